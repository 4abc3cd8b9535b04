package callback

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	valuepb "crosswind.dev/go/internal/gen/crosswind/value/v1"
	"crosswind.dev/go/internal/uuid"
	"crosswind.dev/go/internal/value"
	"crosswind.dev/go/sdk"
)

// TriggerDagRun implements sdk.DagRunClient.
func (c *Client) TriggerDagRun(ctx context.Context, dagID string, request sdk.DagRunRequest) (string, error) {
	message := &executionpb.TriggerDagRunRequest{DagId: dagID, RunId: request.RunID, RequestId: uuid.New()}
	if request.Conf != nil {
		data, err := value.Encode(request.Conf)
		if err != nil {
			return "", fmt.Errorf("the conf of a run of DAG '%s' %w", dagID, err)
		}
		message.Conf = value.Payload(data)
	}
	if !request.LogicalTime.IsZero() {
		message.LogicalTime = timestamppb.New(request.LogicalTime)
	}
	answer, err := c.service.TriggerDagRun(withKey(ctx, c.key), message)
	return answer.GetRunId(), callError(ctx, err)
}

// GetDagRun implements sdk.DagRunClient.
func (c *Client) GetDagRun(ctx context.Context, dagID, runID string) (sdk.DagRun, error) {
	answer, err := c.service.GetDagRun(withKey(ctx, c.key), &executionpb.GetDagRunRequest{
		DagId: textOf(dagID), RunId: textOf(runID),
	})
	if err = callError(ctx, err); err != nil {
		return sdk.DagRun{}, err
	}
	run := answer.GetRun()
	conf, err := ParamsOf(run.GetConf())
	if err != nil {
		return sdk.DagRun{}, fmt.Errorf("the conf of run '%s' %w", run.GetRunId(), err)
	}
	return sdk.DagRun{
		DagID:             run.GetDagId(),
		RunID:             run.GetRunId(),
		State:             answer.GetState(),
		RunType:           run.GetRunType(),
		LogicalTime:       TimeOf(run.GetLogicalTime()),
		DataIntervalStart: TimeOf(run.GetDataIntervalStartTime()),
		DataIntervalEnd:   TimeOf(run.GetDataIntervalEndTime()),
		StartTime:         TimeOf(run.GetStartTime()),
		Conf:              conf,
	}, nil
}

// GetTaskStates implements sdk.DagRunClient.
func (c *Client) GetTaskStates(ctx context.Context, dagID, runID string, taskIDs ...string) ([]sdk.TaskState, error) {
	request := &executionpb.GetTaskStatesRequest{
		DagId: textOf(dagID), RunId: textOf(runID), TaskIds: taskIDs, PageSize: pageSize,
	}
	var found []sdk.TaskState
	for {
		page, err := c.service.GetTaskStates(withKey(ctx, c.key), request)
		if err = callError(ctx, err); err != nil {
			return nil, err
		}
		for _, each := range page.GetInstances() {
			index := -1
			if each.GetKey().MapIndex != nil {
				index = int(each.GetKey().GetMapIndex())
			}
			found = append(found, sdk.TaskState{TaskID: each.GetKey().GetTaskId(), MapIndex: index, State: each.GetState()})
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return found, nil
		}
	}
}

// ParamsOf are the parameters in a payload, none where it is absent. Its error is value.ErrNotReadable.
func ParamsOf(payload *valuepb.Payload) (sdk.Params, error) {
	params := sdk.Params{}
	if payload == nil {
		return params, nil
	}
	data, err := value.FromPayload(payload)
	if err == nil {
		err = value.Decode(data, &params)
	}
	if params == nil { // null
		params = sdk.Params{}
	}
	return params, err
}

// TimeOf is a moment in UTC, zero where it is absent.
func TimeOf(message *timestamppb.Timestamp) time.Time {
	if message == nil {
		return time.Time{}
	}
	return message.AsTime()
}
