package attempt

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/masking"
)

const (
	taskService = "/crosswind.execution.v1.TaskService/"
	// A forwarded call that is not answered in this time is made again; every method of TaskService may be repeated.
	forwardTimeout = 30 * time.Second
)

// Forward implements executor.TaskHost. It repeats the call while the server cannot be reached, as long as ctx lasts.
func (a *Attempt) Forward(ctx context.Context, method string, request []byte) ([]byte, error) {
	name := strings.TrimPrefix(method, taskService)
	if name == "SetVariable" {
		a.registerWritten(request)
	}
	a.mu.Lock()
	spoken := a.executor.APIVersions()
	a.mu.Unlock()
	made := a.services.Calls
	for failures := 1; ; failures++ {
		timeout := forwardTimeout
		if deadline, ok := ctx.Deadline(); ok {
			timeout = min(timeout, time.Until(deadline))
		}
		token := made.Connection.Token()
		answer, err := made.Connection.Forward(ctx, method, request, timeout, spoken,
			"crosswind-attempt", a.ID(), "crosswind-lease-bin", string(a.Ref().GetLease()))
		if err == nil {
			// Before the task sees it [BYTES-1].
			a.registerRead(name, answer)
			return answer, nil
		}
		problem := connection.AsCallError(err)
		if problem != nil && !problem.ConcernsVersion() { // of the version it is the bundle's, not the worker's
			err = made.Recover(ctx, problem, token, failures)
		}
		switch {
		case err == nil:
		case ctx.Err() == context.DeadlineExceeded && problem != nil:
			return nil, problem
		case ctx.Err() == context.DeadlineExceeded:
			return nil, connection.NewCallError(codes.DeadlineExceeded, "", "The server could not be reached in time.")
		default:
			return nil, err
		}
	}
}

// WriteLogs implements executor.TaskHost.
func (a *Attempt) WriteLogs(records []*execpb.LogRecord) { a.log.WriteRecords(records) }

// WriteOutput implements executor.TaskHost.
func (a *Attempt) WriteOutput(source execpb.LogRecord_Source, data []byte) {
	a.log.WriteOutput(source, data)
}

// Masker implements executor.TaskHost.
func (a *Attempt) Masker() *masking.Masker { return a.masker }

func (a *Attempt) registerRead(name string, answer []byte) {
	switch name {
	case "GetVariable":
		message := &execpb.GetVariableResponse{}
		if proto.Unmarshal(answer, message) == nil {
			a.masker.AddVariable(message.GetVariable())
		}
	case "GetConnection":
		message := &execpb.GetConnectionResponse{}
		if proto.Unmarshal(answer, message) == nil {
			a.masker.AddConnection(message.GetConnection())
		}
	}
}

func (a *Attempt) registerWritten(request []byte) {
	message := &execpb.SetVariableRequest{}
	// One that cannot be read is the server's to refuse.
	if proto.Unmarshal(request, message) == nil && !message.GetPublic() {
		a.masker.AddVariable(&execpb.Variable{Value: message.GetValue()})
	}
}
