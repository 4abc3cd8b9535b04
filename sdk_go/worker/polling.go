package worker

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/verdict"
)

// Beyond the server's wait, before a poll whose answer was lost is made again.
const pollMargin = 5 * time.Second

// poll asks for work until ctx ends. Its error is a *RefusedError, or ctx's.
func (l *life) poll(ctx context.Context) error {
	failures := 0
	for number := int64(1); ; number++ {
		request := &execpb.PollWorkRequest{InstanceId: l.identity.InstanceID, PollNumber: number, HeldAttemptIds: l.heldIDs()}
		// Both are told before the request is made: whoever drains from here on ends this poll.
		polling, cancel := context.WithCancel(ctx)
		l.mu.Lock()
		l.endPoll = cancel
		if l.draining || l.paused {
			request.MaxLeases = proto.Int32(0)
		}
		request.KnownDirectives = l.directives
		l.mu.Unlock()
		answer := &execpb.PollWorkResponse{}
		token := l.connection.Token()
		wait := l.connection.Timing().GetPollWait().AsDuration() + pollMargin
		err := l.connection.Send(polling, execpb.WorkerService_PollWork_FullMethodName, request, answer, wait)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			problem := connection.AsCallError(err)
			if problem == nil {
				continue // drain wants another poll
			}
			failures++
			if problem.Reason != "POLL_SUPERSEDED" {
				if err := l.calls.Recover(ctx, problem, token, failures); err != nil {
					return err
				}
			}
			continue
		}
		failures = 0
		for _, lease := range answer.GetLeases() {
			l.begin(lease)
		}
		l.obey(answer.GetDirectives())
		l.mu.Lock()
		l.paused = false
		for _, directive := range answer.GetDirectives() {
			if directive.GetPause() != nil {
				l.paused = true
			}
		}
		l.directives = answer.GetDirectivesDigest()
		l.mu.Unlock()
	}
}

func (l *life) heldIDs() []string {
	held := map[string]bool{}
	for id := range l.delivery.Pending() {
		held[id] = true
	}
	for _, each := range l.held() {
		held[each.ID()] = true
	}
	ids := make([]string, 0, len(held))
	for id := range held {
		ids = append(ids, id)
	}
	return ids
}

func (l *life) obey(directives []*execpb.Directive) {
	for _, directive := range directives {
		switch kind := directive.GetKind().(type) {
		case *execpb.Directive_Cancel:
			l.endAttempt(kind.Cancel.GetAttemptId(), verdict.Cancel, kind.Cancel.GetReason())
		case *execpb.Directive_Lost:
			l.endAttempt(kind.Lost.GetAttemptId(), verdict.Lost, "")
		case *execpb.Directive_Drain:
			l.drain()
		case *execpb.Directive_MoveAway:
			l.log.Info(fmt.Sprintf("The server at %s sends this worker away; connecting again.", l.connection.Address()))
			l.connection.Reopen(kind.MoveAway.GetGrace().AsDuration())
		case *execpb.Directive_RetireBundle:
			l.offerings.Retire(kind.RetireBundle.GetBundle(), kind.RetireBundle.GetBundleVersion())
		default:
			// Pause is read from the whole set; an unknown kind is for newer workers.
		}
	}
}

func (l *life) endAttempt(id string, ending verdict.Ending, reason string) {
	l.mu.Lock()
	found := l.attempts[id]
	l.mu.Unlock()
	switch {
	case found != nil:
		if reason != "" {
			reason = "it was cancelled: " + reason
		}
		found.End(ending, reason)
	case ending == verdict.Lost:
		l.delivery.Drop(id)
	}
}
