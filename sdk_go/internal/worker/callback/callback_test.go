package callback

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/masking"
)

// host answers as it is told, and keeps what it is given.
type host struct {
	forward func(ctx context.Context, method string, request []byte) ([]byte, error)
	records []*execpb.LogRecord
}

// Forward implements executor.TaskHost.
func (h *host) Forward(ctx context.Context, method string, request []byte) ([]byte, error) {
	return h.forward(ctx, method, request)
}

// WriteLogs implements executor.TaskHost.
func (h *host) WriteLogs(records []*execpb.LogRecord) { h.records = append(h.records, records...) }

// WriteOutput implements executor.TaskHost.
func (h *host) WriteOutput(execpb.LogRecord_Source, []byte) {}

// Masker implements executor.TaskHost.
func (h *host) Masker() *masking.Masker { return masking.New() }

func listen(t *testing.T, log *bytes.Buffer) (*Server, *grpc.ClientConn) {
	t.Helper()
	folder, err := os.MkdirTemp("", "cw-")
	if err != nil {
		t.Fatal(err)
	}
	server, err := Listen(folder, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	client, err := grpc.NewClient(server.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		server.Close()
		_ = os.RemoveAll(folder)
	})
	return server, client
}

func as(key string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), keyHeader, key)
}

func getVariable(ctx context.Context, client *grpc.ClientConn) (*execpb.GetVariableResponse, error) {
	return execpb.NewTaskServiceClient(client).GetVariable(ctx, &execpb.GetVariableRequest{Key: "k"})
}

func TestCallsReachTheAttemptOfTheirKeyAlone(t *testing.T) {
	server, client := listen(t, &bytes.Buffer{})
	reached := map[string]string{}
	made := func(name string) *host {
		return &host{forward: func(_ context.Context, method string, _ []byte) ([]byte, error) {
			reached[name] = method
			return nil, nil
		}}
	}
	first, second := server.Admit(made("first")), server.Admit(made("second"))
	if _, err := getVariable(as(second), client); err != nil {
		t.Fatal(err)
	}
	if len(reached) != 1 || reached["second"] != "/crosswind.execution.v1.TaskService/GetVariable" {
		t.Errorf("got %v", reached)
	}
	server.Dismiss(first)
	for name, ctx := range map[string]context.Context{
		"no key": context.Background(), "a wrong key": as("00"), "a key of an attempt that has ended": as(first),
		"two keys": metadata.AppendToOutgoingContext(as(second), keyHeader, second),
	} {
		if _, err := getVariable(ctx, client); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestRefusalIsPassedOnWithItsDetails(t *testing.T) {
	server, client := listen(t, &bytes.Buffer{})
	key := server.Admit(&host{forward: func(context.Context, string, []byte) ([]byte, error) {
		return nil, connection.NewCallError(codes.NotFound, "VARIABLE_NOT_FOUND", "There is none.")
	}})
	_, err := getVariable(as(key), client)
	if problem := connection.FromStatus(err); problem.Code != codes.NotFound || problem.Reason != "VARIABLE_NOT_FOUND" {
		t.Errorf("got %v", err)
	}
}

func TestTheTasksDeadlineHolds(t *testing.T) {
	server, client := listen(t, &bytes.Buffer{})
	key := server.Admit(&host{forward: func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	ctx, cancel := context.WithTimeout(as(key), 50*time.Millisecond)
	defer cancel()
	if _, err := getVariable(ctx, client); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
}

func TestRecordsAreHandedOverInOrder(t *testing.T) {
	server, client := listen(t, &bytes.Buffer{})
	mine := &host{}
	key := server.Admit(mine)
	for _, text := range []string{"one", "two"} {
		request := &bundlepb.WriteLogsRequest{Records: []*execpb.LogRecord{{Message: text}}}
		if _, err := bundlepb.NewHostServiceClient(client).WriteLogs(as(key), request); err != nil {
			t.Fatal(err)
		}
	}
	if len(mine.records) != 2 || mine.records[0].GetMessage() != "one" || mine.records[1].GetMessage() != "two" {
		t.Errorf("got %v", mine.records)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	server, client := listen(t, &bytes.Buffer{})
	key := server.Admit(&host{})
	_, err := execpb.NewWorkerServiceClient(client).FinishAttempt(as(key), &execpb.FinishAttemptRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v", err)
	}
}

func TestDefectIsAnsweredAndTold(t *testing.T) {
	var log bytes.Buffer
	server, client := listen(t, &log)
	key := server.Admit(&host{forward: func(context.Context, string, []byte) ([]byte, error) { panic("a defect") }})
	if _, err := getVariable(as(key), client); status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "a defect") {
		t.Errorf("got %v", err)
	}
	if text := log.String(); !strings.Contains(text, "GetVariable") || !strings.Contains(text, "a defect") {
		t.Errorf("got %s", text)
	}
}
