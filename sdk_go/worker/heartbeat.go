package worker

import (
	"context"
	"os"
	"time"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/resident"
	"crosswind.dev/go/internal/worker/verdict"
)

const maxHeartbeatAttempts = 10_000

// beat keeps the worker and its attempts alive until ctx ends. Its error is a *RefusedError, or ctx's.
func (l *life) beat(ctx context.Context) error {
	failures := 0
	for {
		refs := l.refs()
		request := &execpb.HeartbeatRequest{InstanceId: l.identity.InstanceID, Attempts: refs, Usage: l.usage()}
		timing := l.connection.Timing()
		interval := timing.GetHeartbeatInterval().AsDuration()
		token, sent := l.connection.Token(), time.Now()
		answer := &execpb.HeartbeatResponse{}
		err := l.connection.Send(ctx, execpb.WorkerService_Heartbeat_FullMethodName, request, answer, max(time.Second, interval))
		if err != nil {
			problem := connection.AsCallError(err)
			if problem == nil {
				return err
			}
			failures++
			// Leases run out meanwhile; and no more often than when all is well.
			if err := l.calls.RecoverWithin(ctx, problem, token, failures, interval); err != nil {
				return err
			}
			continue
		}
		failures = 0
		validUntil := sent.Add(timing.GetLeaseDuration().AsDuration())
		for i, given := range answer.GetVerdicts() {
			if i < len(refs) {
				l.judge(refs[i].GetAttemptId(), given, validUntil)
			}
		}
		l.obey(answer.GetDirectives())
		if answer.WorkerToken != nil {
			l.registration.NoteToken(answer.GetWorkerToken())
		}
		if err := sleep(ctx, time.Until(sent.Add(interval))); err != nil {
			return err
		}
	}
}

func (l *life) judge(id string, given execpb.HeartbeatResponse_Verdict, validUntil time.Time) {
	switch given {
	case execpb.HeartbeatResponse_VERDICT_CANCEL:
		l.endAttempt(id, verdict.Cancel, "")
	case execpb.HeartbeatResponse_VERDICT_LOST:
		l.endAttempt(id, verdict.Lost, "")
	case execpb.HeartbeatResponse_VERDICT_CONTINUE:
		l.mu.Lock()
		found := l.attempts[id]
		l.mu.Unlock()
		if found != nil {
			found.NoteLease(validUntil)
		}
	}
}

func (l *life) refs() []*execpb.AttemptRef {
	byID := l.delivery.Pending()
	for _, each := range l.held() {
		// One that was given up is to be lost: nobody extends its lease.
		if !each.Ending().Immediate() {
			byID[each.ID()] = each.Ref()
		}
	}
	refs := make([]*execpb.AttemptRef, 0, min(len(byID), maxHeartbeatAttempts))
	for _, ref := range byID {
		if len(refs) == maxHeartbeatAttempts {
			break
		}
		refs = append(refs, ref)
	}
	return refs
}

func (l *life) usage() *execpb.WorkerUsage {
	return &execpb.WorkerUsage{
		UsedSlots:       int32(len(l.held())),
		MemoryBytes:     resident.Bytes(os.Getpid()),
		Load:            resident.Load(),
		PendingOutcomes: int32(l.delivery.PendingCount()),
	}
}
