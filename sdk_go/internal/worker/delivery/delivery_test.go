package delivery

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/uuid"
	"crosswind.dev/go/internal/worker/calls"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/outcomestore"
	"crosswind.dev/go/internal/worker/scriptedserver"
)

func makeRequest() *execpb.FinishAttemptRequest {
	return &execpb.FinishAttemptRequest{
		Attempt:   &execpb.AttemptRef{AttemptId: uuid.New(), Lease: []byte(strings.Repeat("l", 16))},
		OutcomeId: uuid.New(),
		Outcome:   &execpb.Outcome{Kind: &execpb.Outcome_Succeeded{Succeeded: &execpb.Succeeded{}}},
	}
}

func openStore(t *testing.T, folder string) *outcomestore.Store {
	return outcomestore.Open(folder, false, func(sentence string) { t.Error(sentence) })
}

func start(t *testing.T, folder string, answer scriptedserver.Answer) (*Delivery, *scriptedserver.Server) {
	t.Helper()
	server := scriptedserver.Start(t, answer)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	dialled, err := connection.New(server.Address, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dialled.Close)
	return New(&calls.Calls{Connection: dialled}, openStore(t, folder), "instance", log), server
}

func refuse(code codes.Code, reason, message string) error {
	return connection.NewCallError(code, reason, message).GRPCStatus().Err()
}

func checkForgotten(t *testing.T, delivery *Delivery, folder string) {
	t.Helper()
	if delivery.PendingCount() != 0 || len(openStore(t, folder).Load()) != 0 {
		t.Errorf("%d are pending, %d on disk", delivery.PendingCount(), len(openStore(t, folder).Load()))
	}
}

func TestAcknowledgedOutcomeIsForgotten(t *testing.T) {
	folder := t.TempDir()
	var onDisk int
	delivery, _ := start(t, folder, func(string, proto.Message) (proto.Message, error) {
		onDisk = len(openStore(t, folder).Load())
		return &execpb.FinishAttemptResponse{NextLogSequence: 3}, nil
	})
	answer, err := delivery.Deliver(context.Background(), makeRequest())
	if err != nil || answer.GetNextLogSequence() != 3 || onDisk != 1 {
		t.Errorf("got %v, %v; %d were on disk", answer, err, onDisk)
	}
	checkForgotten(t, delivery, folder)
}

func TestRefusedOutcomeIsDropped(t *testing.T) {
	for _, reason := range []string{"STALE_LEASE", "OUTCOME_CONFLICT", "UNKNOWN_ATTEMPT"} {
		folder := t.TempDir()
		delivery, _ := start(t, folder, func(string, proto.Message) (proto.Message, error) {
			return nil, refuse(codes.FailedPrecondition, reason, "no")
		})
		if answer, err := delivery.Deliver(context.Background(), makeRequest()); answer != nil || err != nil {
			t.Errorf("%s: got %v, %v", reason, answer, err)
		}
		checkForgotten(t, delivery, folder)
	}
}

func TestRefusedContentBecomesAFailureUnderTheSameID(t *testing.T) {
	for _, test := range []struct {
		code                  codes.Code
		reason, message, kind string
	}{
		{codes.InvalidArgument, "VALUE_TOO_LARGE", "too large", "crosswind.ValueTooLarge"},
		{codes.ResourceExhausted, "", "larger than max", "crosswind.ValueTooLarge"},
		{codes.Unimplemented, "NOT_SUPPORTED", "not yet", "crosswind.OutcomeNotSupported"},
		{codes.InvalidArgument, "INVALID_ARGUMENT", "no such branch", "crosswind.OutcomeRefused"},
	} {
		folder := t.TempDir()
		delivery, server := start(t, folder, func(_ string, request proto.Message) (proto.Message, error) {
			if request.(*execpb.FinishAttemptRequest).GetOutcome().GetSucceeded() != nil {
				return nil, refuse(test.code, test.reason, test.message)
			}
			return &execpb.FinishAttemptResponse{}, nil
		})
		if answer, err := delivery.Deliver(context.Background(), makeRequest()); answer == nil || err != nil {
			t.Errorf("got %v, %v", answer, err)
		}
		sent := server.Calls()
		first, second := sent[0].Request.(*execpb.FinishAttemptRequest), sent[1].Request.(*execpb.FinishAttemptRequest)
		failure := second.GetOutcome().GetFailed().GetFailure()
		if first.GetOutcomeId() != second.GetOutcomeId() || failure.GetType() != test.kind ||
			failure.GetMessage() != test.message || failure.Retryable == nil || failure.GetRetryable() {
			t.Errorf("%s: got %v", test.kind, second)
		}
		checkForgotten(t, delivery, folder)
	}
}

func TestAttemptThatHasNotStartedIsStartedFirst(t *testing.T) {
	started := false
	delivery, server := start(t, t.TempDir(), func(method string, _ proto.Message) (proto.Message, error) {
		switch {
		case method == "StartAttempt":
			started = true
			return &execpb.StartAttemptResponse{}, nil
		case !started:
			return nil, refuse(codes.FailedPrecondition, "ATTEMPT_NOT_STARTED", "start it")
		}
		return &execpb.FinishAttemptResponse{}, nil
	})
	if answer, err := delivery.Deliver(context.Background(), makeRequest()); answer == nil || err != nil {
		t.Errorf("got %v, %v", answer, err)
	}
	if got := server.Methods(); !slices.Equal(got, []string{"FinishAttempt", "StartAttempt", "FinishAttempt"}) {
		t.Errorf("got %v", got)
	}
}

func TestWhatAnEarlierProcessKeptIsDelivered(t *testing.T) {
	folder := t.TempDir()
	store := openStore(t, folder)
	wanted := map[string]bool{}
	for range 40 {
		request := makeRequest()
		store.Keep(request)
		wanted[request.GetOutcomeId()] = true
	}
	delivery, server := start(t, folder, func(string, proto.Message) (proto.Message, error) {
		return &execpb.FinishAttemptResponse{}, nil
	})
	if len(delivery.Pending()) != 40 {
		t.Errorf("%d are pending", len(delivery.Pending()))
	}
	if err := delivery.DeliverRestored(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, call := range server.Calls() {
		delete(wanted, call.Request.(*execpb.FinishAttemptRequest).GetOutcomeId())
	}
	if len(wanted) != 0 || len(server.Calls()) != 40 {
		t.Errorf("%d were not delivered", len(wanted))
	}
	checkForgotten(t, delivery, folder)
}

func TestOutcomeOfALostLeaseIsNotSentAgain(t *testing.T) {
	folder := t.TempDir()
	var delivery *Delivery
	delivery, server := start(t, folder, func(_ string, request proto.Message) (proto.Message, error) {
		delivery.Drop(request.(*execpb.FinishAttemptRequest).GetAttempt().GetAttemptId())
		return nil, refuse(codes.InvalidArgument, "VALUE_TOO_LARGE", "too large")
	})
	if answer, err := delivery.Deliver(context.Background(), makeRequest()); answer != nil || err != nil {
		t.Errorf("got %v, %v", answer, err)
	}
	if got := server.Methods(); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	checkForgotten(t, delivery, folder)
}
