package callback

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"google.golang.org/grpc"

	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/uuid"
	"crosswind.dev/go/internal/value"
	"crosswind.dev/go/sdk"
)

const pageSize = 1000

// Client asks the server for one attempt. It implements sdk.Client.
type Client struct {
	service  executionpb.TaskServiceClient
	key      string
	task     *executionpb.TaskContext
	maxValue int

	mu        sync.Mutex
	variables map[string]string // what came with the start, or was written since
}

var _ sdk.Client = (*Client)(nil)

// NewClient makes the client of an attempt.
func NewClient(connection *grpc.ClientConn, key string, task *executionpb.TaskContext, maxValueBytes int) *Client {
	c := &Client{
		service: executionpb.NewTaskServiceClient(connection), key: key, task: task, maxValue: maxValueBytes,
	}
	if given := task.GetVariables(); len(given) > 0 {
		c.variables = make(map[string]string, len(given))
		for _, variable := range given {
			c.variables[variable.GetKey()] = variable.GetValue()
		}
	}
	return c
}

// GetVariable implements sdk.VariableClient.
func (c *Client) GetVariable(ctx context.Context, key string) (string, error) {
	c.mu.Lock()
	found, known := c.variables[key]
	c.mu.Unlock()
	if known {
		return found, nil
	}
	answer, err := c.service.GetVariable(withKey(ctx, c.key), &executionpb.GetVariableRequest{Key: key})
	if err = callError(ctx, err); isReason(err, "VARIABLE_NOT_FOUND") {
		return "", missing("VARIABLE_NOT_FOUND",
			"there is no variable '%s'; set it with `crosswind variables set %s VALUE`", key, key)
	} else if err != nil {
		return "", err
	}
	return answer.GetVariable().GetValue(), nil
}

// UnmarshalJSONVariable implements sdk.VariableClient.
func (c *Client) UnmarshalJSONVariable(ctx context.Context, key string, pointer any) error {
	if err := checkPointer(pointer); err != nil {
		return err
	}
	found, err := c.GetVariable(ctx, key)
	if err != nil {
		return err
	}
	if err := value.DecodeSecret([]byte(found), pointer); err != nil {
		return fmt.Errorf("variable '%s' %w", key, err)
	}
	return nil
}

// SetVariable implements sdk.VariableClient.
func (c *Client) SetVariable(ctx context.Context, key, text string, options ...sdk.VariableOption) error {
	var settings sdk.VariableSettings
	for _, option := range options {
		option(&settings)
	}
	_, err := c.service.SetVariable(withKey(ctx, c.key), &executionpb.SetVariableRequest{
		Key: key, Value: text, Description: settings.Description, Public: settings.Public, RequestId: uuid.New(),
	})
	if err = callError(ctx, err); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.variables[key]; known {
		c.variables[key] = text
	}
	return nil
}

// DeleteVariable implements sdk.VariableClient.
func (c *Client) DeleteVariable(ctx context.Context, key string) (bool, error) {
	answer, err := c.service.DeleteVariable(withKey(ctx, c.key), &executionpb.DeleteVariableRequest{
		Key: key, RequestId: uuid.New(),
	})
	if err = callError(ctx, err); err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.variables, key)
	return answer.GetExisted(), nil
}

// GetConnection implements sdk.ConnectionClient.
func (c *Client) GetConnection(ctx context.Context, id string) (sdk.Connection, error) {
	for _, given := range c.task.GetConnections() {
		if given.GetConnectionId() == id {
			return connectionOf(given), nil
		}
	}
	answer, err := c.service.GetConnection(withKey(ctx, c.key), &executionpb.GetConnectionRequest{ConnectionId: id})
	if err = callError(ctx, err); isReason(err, "CONNECTION_NOT_FOUND") {
		return sdk.Connection{}, missing("CONNECTION_NOT_FOUND",
			"there is no connection '%s'; make it with `crosswind connections set %s ...`", id, id)
	} else if err != nil {
		return sdk.Connection{}, err
	}
	return connectionOf(answer.GetConnection()), nil
}

func checkPointer(pointer any) error {
	if found := reflect.ValueOf(pointer); found.Kind() != reflect.Pointer || found.IsNil() {
		return errors.New("there is nothing to decode into; pass a pointer, as in &value")
	}
	return nil
}

func textOf(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
func connectionOf(message *executionpb.Connection) sdk.Connection {
	return sdk.Connection{
		ID:          message.GetConnectionId(),
		Type:        message.GetConnType(),
		Host:        message.GetHost(),
		Port:        int(message.GetPort()),
		Schema:      message.GetSchema(),
		Login:       message.GetLogin(),
		Password:    message.GetPassword(),
		Extra:       message.GetExtraJson(),
		Description: message.GetDescription(),
	}
}
