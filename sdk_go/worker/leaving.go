package worker

import (
	"context"
	"fmt"
	"strconv"
	"time"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/verdict"
)

const farewellTimeout = 5 * time.Second

// drain takes no new work and leaves once nothing runs.
func (l *life) drain() {
	l.mu.Lock()
	if l.draining {
		l.mu.Unlock()
		return
	}
	l.draining = true
	endPoll := l.endPoll
	running := len(l.attempts)
	l.mu.Unlock()
	what := "none are running"
	if running > 0 {
		what = strconv.Itoa(running) + " running"
	}
	l.log.Info(fmt.Sprintf("Draining: no new tasks are taken; %s.", what))
	if endPoll != nil {
		endPoll() // the next one asks for no leases
	}
	l.spawn(l.leave)
}

// stop ends the running tasks too. Called again, without time to clean up.
func (l *life) stop() {
	l.drain()
	l.mu.Lock()
	again := l.stopping
	l.stopping = true
	if !again {
		close(l.hurried)
	}
	l.mu.Unlock()
	if running := l.running(); running > 0 {
		l.log.Warn(fmt.Sprintf("Ending %d running tasks; they are given to other workers.", running))
	}
	for _, each := range l.held() {
		if again {
			each.Kill()
		}
		each.End(verdict.Stop, "")
	}
}

// leave waits until nothing runs and everything is delivered, then says goodbye.
func (l *life) leave(ctx context.Context) error {
	quiet := func() bool { return l.running() == 0 }
	limit := l.given.DrainTimeout
	if !l.wait(ctx, quiet, limit, nil) {
		l.log.Warn(fmt.Sprintf("Tasks still run after %s s of draining (--drain-timeout).",
			strconv.FormatFloat(limit.Seconds(), 'g', -1, 64)))
		l.stop()
		l.wait(ctx, quiet, 0, nil)
	}
	if held := len(l.held()); held > 0 {
		l.log.Info(fmt.Sprintf("Waiting until the server has taken %d outcomes.", held))
		// What is on disk need not be waited for as long as what only memory holds.
		lease := time.Duration(0)
		if l.statePath != "" {
			lease = l.connection.Timing().GetLeaseDuration().AsDuration()
		}
		l.wait(ctx, func() bool { return len(l.held()) == 0 }, lease, l.hurried)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := l.sayGoodbye(ctx); err != nil {
		return err
	}
	l.log.Info("Stopped.")
	l.end(nil)
	return nil
}

func (l *life) sayGoodbye(ctx context.Context) error {
	if pending := l.delivery.PendingCount(); pending > 0 {
		where := "nowhere, they are lost"
		if l.statePath != "" {
			where = fmt.Sprintf("in %s for the next start", l.statePath)
		}
		l.log.Warn(fmt.Sprintf("%d outcomes could not be delivered; they are kept %s.", pending, where))
		return nil
	}
	l.mu.Lock()
	registered := l.registered
	l.mu.Unlock()
	if !registered {
		return nil
	}
	if err := l.shipper.FlushWithin(ctx, farewellTimeout); err != nil {
		return err
	}
	// From here on the server does not know this worker, which is no reason to complain.
	l.mu.Lock()
	l.leaving = true
	l.mu.Unlock()
	request := &execpb.DeregisterWorkerRequest{InstanceId: l.identity.InstanceID}
	err := l.connection.Send(ctx, execpb.WorkerService_DeregisterWorker_FullMethodName, request,
		&execpb.DeregisterWorkerResponse{}, farewellTimeout)
	if problem := connection.AsCallError(err); problem != nil {
		l.log.Warn(fmt.Sprintf("The server could not be told that this worker leaves: %v", problem))
	}
	return ctx.Err()
}

// wait waits until a condition holds, which attempts' ends may bring about. False: the limit (0: none) has passed, or
// given up is closed, or ctx has ended.
func (l *life) wait(ctx context.Context, holds func() bool, limit time.Duration, givenUp <-chan struct{}) bool {
	var passed <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		passed = timer.C
	}
	for {
		l.mu.Lock()
		settled := l.settled
		l.mu.Unlock()
		if holds() {
			return true
		}
		select {
		case <-settled:
		case <-passed:
			return false
		case <-givenUp:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
