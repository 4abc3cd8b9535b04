package callback

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"google.golang.org/grpc/codes"

	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	valuepb "crosswind.dev/go/internal/gen/crosswind/value/v1"
	"crosswind.dev/go/internal/uuid"
	"crosswind.dev/go/internal/value"
	"crosswind.dev/go/sdk"
)

// GetXCom implements sdk.XComClient.
func (c *Client) GetXCom(ctx context.Context, key sdk.XComKey, pointer any) error {
	if err := checkPointer(pointer); err != nil {
		return err
	}
	data, err := c.ReadXCom(ctx, c.keyOf(key))
	if err != nil {
		return err
	}
	return decode(data, describeKey(key), pointer)
}

// GetXComItem implements sdk.XComClient.
func (c *Client) GetXComItem(ctx context.Context, key sdk.XComKey, index int, pointer any) error {
	if err := checkPointer(pointer); err != nil {
		return err
	}
	answer, err := c.service.GetXComItem(withKey(ctx, c.key), &executionpb.GetXComItemRequest{
		Key: c.keyOf(key), Index: int64(index),
	})
	what := fmt.Sprintf("item %d of %s", index, describeKey(key))
	if err = callError(ctx, err); isReason(err, "XCOM_NOT_FOUND") {
		return missing("XCOM_NOT_FOUND", "there is no %s", what)
	} else if err != nil {
		return err
	}
	data, err := value.FromPayload(answer.GetValue())
	if err != nil {
		return fmt.Errorf("%s %w", what, err)
	}
	return decode(data, what, pointer)
}

// SliceXCom implements sdk.XComClient.
func (c *Client) SliceXCom(ctx context.Context, key sdk.XComKey, start, limit int, pointer any) (int, error) {
	if err := checkPointer(pointer); err != nil {
		return 0, err
	}
	request := &executionpb.SliceXComRequest{Key: c.keyOf(key), Start: int64(start)}
	if limit > 0 {
		bound := int32(min(limit, pageSize))
		request.Limit = &bound
	}
	payloads, total, err := c.slice(ctx, request)
	if err != nil {
		return 0, err
	}
	data, err := value.FromList(payloads)
	if err != nil {
		return 0, fmt.Errorf("%s %w", describeKey(key), err)
	}
	return total, decode(data, describeKey(key), pointer)
}

// SetXCom implements sdk.XComClient.
func (c *Client) SetXCom(ctx context.Context, key string, given any) error {
	what := fmt.Sprintf("XCom '%s' of task '%s'", key, c.task.GetTaskInstance().GetTaskId())
	payload, err := c.payloadOf(given, what)
	if err != nil {
		return err
	}
	_, err = c.service.SetXCom(withKey(ctx, c.key), &executionpb.SetXComRequest{
		Key: key, Value: payload, RequestId: uuid.New(),
	})
	return callError(ctx, err)
}

// DeleteXCom implements sdk.XComClient.
func (c *Client) DeleteXCom(ctx context.Context, key string) (bool, error) {
	answer, err := c.service.DeleteXCom(withKey(ctx, c.key), &executionpb.DeleteXComRequest{
		Key: key, RequestId: uuid.New(),
	})
	return answer.GetExisted(), callError(ctx, err)
}

// ListXComs implements sdk.XComClient.
func (c *Client) ListXComs(ctx context.Context, filter sdk.XComKey) ([]sdk.XComInfo, error) {
	request := &executionpb.ListXComsRequest{Filter: partsOf(filter), PageSize: pageSize}
	var found []sdk.XComInfo
	for {
		page, err := c.service.ListXComs(withKey(ctx, c.key), request)
		if err = callError(ctx, err); err != nil {
			return nil, err
		}
		for _, each := range page.GetXcoms() {
			found = append(found, infoOf(each))
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return found, nil
		}
	}
}

// ReadXCom reads an XCom whole as JSON; one that does not fit into a message is read in pieces.
func (c *Client) ReadXCom(ctx context.Context, key *executionpb.XComKey) ([]byte, error) {
	answer, err := c.service.GetXCom(withKey(ctx, c.key), &executionpb.GetXComRequest{Key: key})
	err = callError(ctx, err)
	switch {
	case isReason(err, "XCOM_NOT_FOUND"):
		return nil, missing("XCOM_NOT_FOUND", "task '%s' has written no XCom '%s' in this run", key.GetTaskId(), key.GetKey())
	case isReason(err, "MESSAGE_TOO_LARGE"):
		return c.readInPieces(ctx, key)
	case err != nil:
		return nil, err
	case answer.GetList() != nil:
		return value.FromList(answer.GetList().GetPayloads())
	default:
		return value.FromPayload(answer.GetValue())
	}
}

func (c *Client) readInPieces(ctx context.Context, key *executionpb.XComKey) ([]byte, error) {
	var payloads []*valuepb.Payload
	for {
		page, total, err := c.slice(ctx, &executionpb.SliceXComRequest{Key: key, Start: int64(len(payloads))})
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, page...)
		if len(page) == 0 || len(payloads) >= total {
			return value.FromList(payloads)
		}
	}
}

func (c *Client) slice(ctx context.Context, request *executionpb.SliceXComRequest) ([]*valuepb.Payload, int, error) {
	answer, err := c.service.SliceXCom(withKey(ctx, c.key), request)
	if err = callError(ctx, err); isReason(err, "XCOM_NOT_FOUND") {
		return nil, 0, missing("XCOM_NOT_FOUND", "task '%s' has written no list '%s' in this run",
			request.GetKey().GetTaskId(), request.GetKey().GetKey())
	} else if err != nil {
		return nil, 0, err
	}
	return answer.GetValues(), int(answer.GetTotalSize()), nil
}

func (c *Client) payloadOf(given any, what string) (*valuepb.Payload, error) {
	if given == nil {
		return value.Payload([]byte("null")), nil
	}
	payload, size, err := value.Result(reflect.ValueOf(given))
	if err != nil {
		return nil, fmt.Errorf("%s %w", what, err)
	}
	if payload == nil {
		return value.Payload([]byte("null")), nil
	}
	if problem := value.TooLarge(size, c.maxValue); problem != "" {
		return nil, &sdk.CallError{
			Code: codes.InvalidArgument, Reason: "VALUE_TOO_LARGE", Message: fmt.Sprintf("%s %s", what, problem),
		}
	}
	return payload, nil
}

// keyOf is the full name of an XCom: what an author leaves out is the task's own.
func (c *Client) keyOf(key sdk.XComKey) *executionpb.XComKey {
	message := partsOf(key)
	if message.TaskId == nil {
		own := c.task.GetTaskInstance()
		message.TaskId = textOf(own.GetTaskId())
		if message.MapIndex == nil {
			message.MapIndex = own.MapIndex
		}
	}
	if message.Key == nil {
		message.Key = textOf("return_value")
	}
	return message
}

func partsOf(key sdk.XComKey) *executionpb.XComKey {
	message := &executionpb.XComKey{
		DagId: textOf(key.DagID), RunId: textOf(key.RunID), TaskId: textOf(key.TaskID), Key: textOf(key.Key),
	}
	if key.MapIndex != nil {
		index := int32(*key.MapIndex)
		message.MapIndex = &index
	}
	return message
}

func infoOf(each *executionpb.XComInfo) sdk.XComInfo {
	key := each.GetKey()
	info := sdk.XComInfo{
		Key:       sdk.XComKey{DagID: key.GetDagId(), RunID: key.GetRunId(), TaskID: key.GetTaskId(), Key: key.GetKey()},
		Encoding:  each.GetEncoding(),
		SizeBytes: each.GetSizeBytes(),
		Items:     -1,
		WriteTime: TimeOf(each.GetWriteTime()),
	}
	if key.MapIndex != nil {
		index := int(key.GetMapIndex())
		info.Key.MapIndex = &index
	}
	if each.ItemCount != nil {
		info.Items = int(each.GetItemCount())
	}
	return info
}

func decode(data []byte, what string, pointer any) error {
	if err := value.Decode(data, pointer); err != nil {
		return fmt.Errorf("%s %w", what, err)
	}
	return nil
}

func describeKey(key sdk.XComKey) string {
	name := key.Key
	if name == "" {
		name = "return_value"
	}
	if key.TaskID == "" {
		return fmt.Sprintf("XCom '%s'", name)
	}
	return strings.ToValidUTF8(fmt.Sprintf("XCom '%s' of task '%s'", name, key.TaskID), "?")
}
