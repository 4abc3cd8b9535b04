package registration

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/calls"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/refusal"
	"crosswind.dev/go/internal/worker/scriptedserver"
)

var spoken = []string{"2027-05-01", "2027-02-10"}

// versioned is a server that serves some API versions, oldest first, and refuses calls in others as a real one does.
type versioned struct {
	served atomic.Pointer[[]string]
	server *scriptedserver.Server
}

func (v *versioned) serve(versions ...string) { v.served.Store(&versions) }

func (v *versioned) answer(method string, request proto.Message) (proto.Message, error) {
	served := *v.served.Load()
	if asked, ok := request.(*execpb.NegotiateRequest); ok {
		answer := &execpb.NegotiateResponse{
			OldestApiVersion: served[0], NewestApiVersion: served[len(served)-1], ApiVersions: served,
		}
		for _, each := range slices.Backward(asked.GetApiVersions()) {
			if slices.Contains(served, each) {
				answer.ChosenApiVersion = each
			}
		}
		return answer, nil
	}
	made := v.server.Calls()
	if !slices.Contains(served, made[len(made)-1].APIVersion) {
		return nil, connection.NewCallError(codes.FailedPrecondition, "CLIENT_TOO_NEW", "Too new.").GRPCStatus().Err()
	}
	if method == "RegisterWorker" {
		return &execpb.RegisterWorkerResponse{WorkerToken: "worker"}, nil
	}
	return &execpb.HeartbeatResponse{}, nil
}

func (v *versioned) transcript() string {
	var lines []string
	for _, call := range v.server.Calls() {
		lines = append(lines, call.Method+" "+call.APIVersion)
	}
	return strings.Join(lines, "\n")
}

func startVersioned(t *testing.T, served ...string) (*Registration, *versioned) {
	t.Helper()
	made := &versioned{}
	made.serve(served...)
	registration, server := start(t, made.answer, func(o *Options) { o.Spoken = spoken })
	made.server = server
	return registration, made
}

func negotiate(t *testing.T, made *Registration) {
	t.Helper()
	if _, err := made.Negotiate(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestNothingInCommonIsOneSentenceWithBothRanges(t *testing.T) {
	for _, each := range []struct {
		served []string
		says   string
	}{
		{[]string{"2026-06-01", "2026-12-01"}, "serves API version 2026-06-01 to 2026-12-01, this worker speaks 2027-02-10 to " +
			"2027-05-01: upgrade the server, or install an older worker."},
		{[]string{"2027-08-01"}, "serves API version 2027-08-01, this worker speaks 2027-02-10 to 2027-05-01: upgrade this worker."},
		{[]string{"2026-12-01", "2027-03-01", "2027-08-01"}, "serves API version 2026-12-01, 2027-03-01, 2027-08-01, this worker " +
			"speaks 2027-02-10 to 2027-05-01: install a worker that speaks one of the server's versions."},
	} {
		made, _ := startVersioned(t, each.served...)
		_, err := made.Negotiate(context.Background())
		var refused *refusal.Error
		if !errors.As(err, &refused) || !strings.HasSuffix(err.Error(), each.says) {
			t.Errorf("got %v, want %s", err, each.says)
		}
	}
}

func TestCallsAreMadeInTheChosenVersion(t *testing.T) {
	made, server := startVersioned(t, "2026-12-01", "2027-02-10")
	negotiate(t, made)
	if err := made.Register(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := server.server.Calls()[1]; got.Method != "RegisterWorker" || got.APIVersion != "2027-02-10" {
		t.Errorf("got %v", got)
	}
	agreement := made.Connection.Agreement()
	if got := agreement.VersionOf([]string{"2027-08-01", "2026-12-01"}); got != "2026-12-01" {
		t.Errorf("a bundle is offered under %s", got)
	}
	if got := agreement.VersionOf([]string{"2027-08-01"}); got != "2027-08-01" {
		t.Errorf("a bundle that is not served is offered under %s", got)
	}
}

func TestAServerThatHasBecomeOlderIsNegotiatedWithAgain(t *testing.T) {
	made, server := startVersioned(t, "2027-02-10", "2027-05-01")
	negotiate(t, made)
	if err := made.Register(context.Background()); err != nil {
		t.Fatal(err)
	}
	server.serve("2027-02-10")
	repeating := &calls.Calls{Connection: made.Connection, Renewer: made}
	err := repeating.Repeat(context.Background(), execpb.WorkerService_Heartbeat_FullMethodName,
		&execpb.HeartbeatRequest{}, &execpb.HeartbeatResponse{})
	if err != nil {
		t.Fatal(err)
	}
	want := "Negotiate 2027-05-01\nRegisterWorker 2027-05-01\nHeartbeat 2027-05-01\n" +
		"Negotiate 2027-05-01\nRegisterWorker 2027-02-10\nHeartbeat 2027-02-10"
	if got := strings.Replace(server.transcript(), "Negotiate 2026-12-01", "Negotiate 2027-05-01", 1); got != want {
		t.Errorf("got\n%s", got)
	}
	server.serve("2026-12-01")
	err = repeating.Repeat(context.Background(), execpb.WorkerService_Heartbeat_FullMethodName,
		&execpb.HeartbeatRequest{}, &execpb.HeartbeatResponse{})
	var refused *refusal.Error
	if !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}

func TestRegisteringGoesOnWhereAnotherServerAnswersThanTheOneThatWasAsked(t *testing.T) {
	made, server := startVersioned(t, "2027-05-01")
	negotiate(t, made)
	server.serve("2027-02-10")
	if err := made.Register(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := server.server.Calls(); got[len(got)-1].APIVersion != "2027-02-10" {
		t.Errorf("got %s", server.transcript())
	}
}

func TestARefusalOfABundleDoesNotConcernTheWorker(t *testing.T) {
	made, server := startVersioned(t, "2027-05-01")
	problem := connection.NewCallError(codes.FailedPrecondition, "CLIENT_TOO_NEW", "Too new.")
	problem.Metadata = map[string]string{"bundle": "b"}
	repeating := &calls.Calls{Connection: made.Connection, Renewer: made}
	if err := repeating.Recover(context.Background(), problem, "", 1); !errors.Is(err, problem) {
		t.Errorf("got %v", err)
	}
	if got := server.server.Calls(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
