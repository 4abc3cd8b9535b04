// Package delivery sends outcomes until the server has taken or refused them. [FIN-1]
//
// Keeping them on disk belongs to package outcomestore, making them to package attempt.
package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/calls"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/outcomestore"
)

// Outcomes of an earlier process that are sent at the same time.
const atOnce = 16

// Delivery sends outcomes.
type Delivery struct {
	calls    *calls.Calls
	store    *outcomestore.Store
	instance string
	log      *slog.Logger

	mu      sync.Mutex
	pending map[string]*execpb.FinishAttemptRequest
}

// New begins with what the store kept. instance is the worker's id.
func New(made *calls.Calls, store *outcomestore.Store, instance string, log *slog.Logger) *Delivery {
	delivery := &Delivery{
		calls: made, store: store, instance: instance, log: log, pending: map[string]*execpb.FinishAttemptRequest{},
	}
	for _, request := range store.Load() {
		delivery.pending[request.GetAttempt().GetAttemptId()] = request
	}
	return delivery
}

// Pending answers the attempts whose outcomes wait to be acknowledged, by id.
func (d *Delivery) Pending() map[string]*execpb.AttemptRef {
	d.mu.Lock()
	defer d.mu.Unlock()
	refs := make(map[string]*execpb.AttemptRef, len(d.pending))
	for id, request := range d.pending {
		refs[id] = request.GetAttempt()
	}
	return refs
}

// PendingCount is how many outcomes wait to be acknowledged.
func (d *Delivery) PendingCount() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pending)
}

// Drop forgets an outcome: its lease is not valid any more.
func (d *Delivery) Drop(attempt string) {
	d.mu.Lock()
	_, known := d.pending[attempt]
	delete(d.pending, attempt)
	d.mu.Unlock()
	if known {
		d.store.Forget(attempt)
	}
}

// DeliverRestored delivers what an earlier process kept. The error is a *refusal.Error, or ctx's.
func (d *Delivery) DeliverRestored(ctx context.Context) error {
	d.mu.Lock()
	requests := make([]*execpb.FinishAttemptRequest, 0, len(d.pending))
	for _, request := range d.pending {
		requests = append(requests, request)
	}
	d.mu.Unlock()
	if len(requests) == 0 {
		return nil
	}
	d.log.Info(fmt.Sprintf("Sending %d outcomes that were kept from before.", len(requests)))
	ends := make(chan error, len(requests))
	turns := make(chan struct{}, atOnce)
	for _, request := range requests {
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			_, err := d.send(ctx, request)
			ends <- err
		}()
	}
	var first error
	for range requests {
		if err := <-ends; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Deliver keeps an outcome and sends it until it is acknowledged. A nil answer: it was refused and dropped. The error is
// a *refusal.Error, or ctx's; the outcome stays on disk.
func (d *Delivery) Deliver(
	ctx context.Context, request *execpb.FinishAttemptRequest,
) (*execpb.FinishAttemptResponse, error) {
	d.mu.Lock()
	d.pending[request.GetAttempt().GetAttemptId()] = request
	d.mu.Unlock()
	d.store.Keep(request)
	return d.send(ctx, request)
}

func (d *Delivery) send(
	ctx context.Context, request *execpb.FinishAttemptRequest,
) (*execpb.FinishAttemptResponse, error) {
	attempt := request.GetAttempt().GetAttemptId()
	changed := false
	for d.isPending(attempt) {
		response := &execpb.FinishAttemptResponse{}
		err := d.calls.Repeat(ctx, execpb.WorkerService_FinishAttempt_FullMethodName, request, response)
		if err == nil {
			d.Drop(attempt)
			return response, nil
		}
		problem := connection.AsCallError(err)
		if problem == nil {
			return nil, err
		}
		if problem.Reason == "ATTEMPT_NOT_STARTED" {
			if started, err := d.start(ctx, request.GetAttempt()); started || err != nil {
				if err != nil {
					return nil, err
				}
				continue
			}
		}
		failure := asFailure(problem)
		if lost := !d.isPending(attempt); lost || changed || failure == nil {
			d.log.Warn(fmt.Sprintf("The outcome of attempt %s is dropped, the server refuses it: %v", attempt, problem))
			d.Drop(attempt)
			return nil, nil
		}
		changed = true
		// Under the same outcome id: the refused message left no trace.
		request.Outcome = failed(failure)
		request.LogChunks = nil
		d.store.Keep(request)
	}
	return nil, nil
}

func (d *Delivery) isPending(attempt string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, pending := d.pending[attempt]
	return pending
}

func (d *Delivery) start(ctx context.Context, ref *execpb.AttemptRef) (bool, error) {
	request := &execpb.StartAttemptRequest{Attempt: ref, InstanceId: d.instance}
	err := d.calls.Repeat(ctx, execpb.WorkerService_StartAttempt_FullMethodName, request, &execpb.StartAttemptResponse{})
	if connection.AsCallError(err) != nil {
		return false, nil
	}
	return err == nil, err
}

// ValueTooLarge is the outcome of a task whose result does not fit into a message. Sizes are in bytes.
func ValueTooLarge(size, limit int) *execpb.Outcome {
	return failed(&execpb.Failure{
		Type: "crosswind.ValueTooLarge",
		Message: fmt.Sprintf("The task's result and what it wrote take %d bytes; the server takes %d in one message. "+
			"Store the data elsewhere and return where it is.", size, limit),
		Retryable: proto.Bool(false),
	})
}

// asFailure is what to finish the attempt with instead, where the server refuses the outcome's content.
func asFailure(problem *connection.CallError) *execpb.Failure {
	var kind string
	switch {
	case problem.Reason == "VALUE_TOO_LARGE", problem.Reason == "MESSAGE_TOO_LARGE",
		problem.Code == codes.ResourceExhausted:
		kind = "crosswind.ValueTooLarge"
	case problem.Code == codes.Unimplemented:
		kind = "crosswind.OutcomeNotSupported"
	case problem.Code == codes.InvalidArgument:
		kind = "crosswind.OutcomeRefused"
	default:
		return nil
	}
	message := problem.Message
	if message == "" {
		message = problem.Error()
	}
	return &execpb.Failure{Type: kind, Message: message, Retryable: proto.Bool(false)}
}

func failed(failure *execpb.Failure) *execpb.Outcome {
	return &execpb.Outcome{Kind: &execpb.Outcome_Failed{Failed: &execpb.Failed{Failure: failure}}}
}
