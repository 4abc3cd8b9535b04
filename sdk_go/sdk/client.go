package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"crosswind.dev/go/internal/value"
)

// Client is everything that a running task may ask. A task function takes it, one of the narrower interfaces in it, or an
// interface of its own that it satisfies, which makes the function easy to test.
//
// Calls may be made from many goroutines, as long as the task runs; afterwards the server refuses them. While the server
// cannot be reached the worker repeats them, so that they last until the task's context ends. Their errors are
// *[CallError], or the context's.
type Client interface {
	VariableClient
	ConnectionClient
	XComClient
	DagRunClient
}

// VariableClient reads and writes variables: settings that are kept on the server.
type VariableClient interface {
	// GetVariable reads a variable's value. One that does not exist is ErrVariableNotFound.
	GetVariable(ctx context.Context, key string) (string, error)
	// UnmarshalJSONVariable reads a variable's value as JSON into what pointer points to. Besides ErrVariableNotFound it
	// answers ErrValueNotReadable, which does not show the value: it is a secret until somebody says otherwise.
	UnmarshalJSONVariable(ctx context.Context, key string, pointer any) error
	// SetVariable writes a variable, at most 64 KiB. A new one is a secret, which is masked in logs, unless the option
	// Public is given.
	SetVariable(ctx context.Context, key, value string, options ...VariableOption) error
	// DeleteVariable deletes a variable, and answers whether it was there.
	DeleteVariable(ctx context.Context, key string) (existed bool, err error)
}

// VariableOption says more of a variable that is written.
type VariableOption func(*VariableSettings)

// VariableSettings is what the options of a variable say. Nil: as it is.
type VariableSettings struct {
	Description *string
	Public      *bool
}

// Description is for people.
func Description(text string) VariableOption {
	return func(settings *VariableSettings) { settings.Description = &text }
}

// Public says whether the value is no secret and need not be masked.
func Public(public bool) VariableOption {
	return func(settings *VariableSettings) { settings.Public = &public }
}

// ConnectionClient reads connections: how to reach outside systems.
type ConnectionClient interface {
	// GetConnection reads a connection. One that does not exist is ErrConnectionNotFound.
	GetConnection(ctx context.Context, id string) (Connection, error)
}

// XComClient reads and writes XComs: the values that tasks leave for each other.
type XComClient interface {
	// GetXCom reads an XCom into what pointer points to. For a mapped task without a map index that is a slice of its
	// instances' values. One that does not exist is ErrXComNotFound, one of another type ErrValueNotReadable.
	GetXCom(ctx context.Context, key XComKey, pointer any) error
	// GetXComItem reads one item of an XCom that is a list, from 0; a negative index counts from the end.
	GetXComItem(ctx context.Context, key XComKey, index int, pointer any) error
	// SliceXCom reads items of an XCom that is a list into the slice that pointer points to, from start on and at most
	// limit of them, perhaps fewer; 0: as many as fit one answer. It answers how many items there are in all.
	SliceXCom(ctx context.Context, key XComKey, start, limit int, pointer any) (total int, err error)
	// SetXCom writes an XCom of the task's own beside its result. Its errors are ErrValueNotEncodable and ErrValueTooLarge.
	SetXCom(ctx context.Context, key string, value any) error
	// DeleteXCom deletes an XCom of the task's own, and answers whether it was there.
	DeleteXCom(ctx context.Context, key string) (existed bool, err error)
	// ListXComs lists the XComs that match the parts of the filter that are set, without their values.
	ListXComs(ctx context.Context, filter XComKey) ([]XComInfo, error)
}

// XComKey names an XCom. What is empty is the caller's own, and Key the task's result.
type XComKey struct {
	DagID, RunID, TaskID string
	// MapIndex is the instance of a mapped task. Nil: all of them, or the one instance of a task that is not mapped.
	MapIndex *int
	Key      string
}

// XComInfo is an XCom without its value.
type XComInfo struct {
	// Key is its full name.
	Key XComKey
	// Encoding is that of its value, such as json/utf-8.
	Encoding string
	// SizeBytes is the length of its value.
	SizeBytes int64
	// Items is the number of items of a list, -1 for any other value.
	Items int
	// WriteTime is when it was written.
	WriteTime time.Time
}

// XCom reads an XCom as a T; see [XComClient.GetXCom].
func XCom[T any](ctx context.Context, client XComClient, key XComKey) (T, error) {
	var value T
	err := client.GetXCom(ctx, key, &value)
	return value, err
}

// DagRunClient starts and reads runs of DAGs.
type DagRunClient interface {
	// TriggerDagRun starts a run of a DAG and answers its id.
	TriggerDagRun(ctx context.Context, dagID string, request DagRunRequest) (runID string, err error)
	// GetDagRun reads the state of a run; empty ids are the caller's. One that does not exist is ErrRunNotFound.
	GetDagRun(ctx context.Context, dagID, runID string) (DagRun, error)
	// GetTaskStates reads the states of a run's task instances, all of them where no task is named; empty ids are the
	// caller's.
	GetTaskStates(ctx context.Context, dagID, runID string, taskIDs ...string) ([]TaskState, error)
}

// DagRunRequest says how a run is started. The zero value will do.
type DagRunRequest struct {
	// RunID is its id. Empty: the server makes one.
	RunID string
	// Conf are its parameters: anything that is a JSON object. Nil: the DAG's defaults.
	Conf any
	// LogicalTime is the moment that it stands for. Zero: none.
	LogicalTime time.Time
}

// DagRun is a run and its state.
type DagRun struct {
	DagID, RunID string
	// State is such as "running" or "succeeded".
	State string
	// RunType is how it came to be: manual, scheduled, backfill or asset.
	RunType string
	// LogicalTime, DataIntervalStart, DataIntervalEnd and StartTime are zero where there is none.
	LogicalTime, DataIntervalStart, DataIntervalEnd, StartTime time.Time
	// Conf are its parameters as given.
	Conf Params
}

// TaskState is the state of a task instance.
type TaskState struct {
	TaskID string
	// MapIndex is the instance of a mapped task, -1 where the task is not mapped.
	MapIndex int
	// State is such as "succeeded".
	State string
}

// Params are the parameters of a run, by name.
type Params map[string]json.RawMessage

// Decode decodes all of them into what pointer points to, a struct or a map. Its error is ErrValueNotReadable.
func (p Params) Decode(pointer any) error {
	if p == nil {
		p = Params{}
	}
	data, err := value.Encode(p)
	if err == nil {
		err = value.Decode(data, pointer)
	}
	if err != nil {
		return fmt.Errorf("what the run was given %w", err)
	}
	return nil
}

// Get decodes one of them into what pointer points to, and answers whether it is there. Its error is ErrValueNotReadable.
func (p Params) Get(name string, pointer any) (bool, error) {
	data, found := p[name]
	if !found {
		return false, nil
	}
	if err := value.Decode(data, pointer); err != nil {
		return true, fmt.Errorf("the run's parameter '%s' %w", name, err)
	}
	return true, nil
}
