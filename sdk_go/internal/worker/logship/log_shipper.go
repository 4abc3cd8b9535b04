// Package logship ships logs while tasks run: one call for all attempts, again from where the server is. [BYTES-1]
//
// What a chunk holds belongs to package attemptlog. A short task's log rides along with its outcome, see package attempt.
package logship

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/attemptlog"
	"crosswind.dev/go/internal/worker/calls"
	"crosswind.dev/go/internal/worker/connection"
)

// Of the message limit, for what stands around the chunks.
const envelopeBytes = 64 * 1024

type shipment struct {
	ref *execpb.AttemptRef
	log *attemptlog.Log
	// The attempt has ended: the log is forgotten when the server has all of it.
	leaving bool
}

// Shipper sends what the logs of running and just ended attempts hold.
type Shipper struct {
	calls *calls.Calls
	log   *slog.Logger

	mu        sync.Mutex
	shipments map[string]*shipment
	wanted    chan struct{} // holds one where there may be something to ship
}

// New makes a shipper; Run makes it work.
func New(made *calls.Calls, log *slog.Logger) *Shipper {
	return &Shipper{calls: made, log: log, shipments: map[string]*shipment{}, wanted: make(chan struct{}, 1)}
}

// Add begins to ship a log.
func (s *Shipper) Add(ref *execpb.AttemptRef, log *attemptlog.Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shipments[ref.GetAttemptId()] = &shipment{ref: ref, log: log}
	select {
	case s.wanted <- struct{}{}:
	default:
	}
}

// Discharge ships what is left of a log that has ended, then forgets it.
func (s *Shipper) Discharge(attempt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.shipments[attempt]; found != nil {
		found.leaving = true
		if !found.log.Pending() {
			delete(s.shipments, attempt)
		}
	}
}

// Drop forgets a log: the server does not take it any more.
func (s *Shipper) Drop(attempt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.shipments[attempt]; found != nil {
		delete(s.shipments, attempt)
		found.log.Close()
	}
}

// Run ships until ctx ends. The error is a *refusal.Error, or ctx's.
func (s *Shipper) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.wanted:
		}
		for s.count() > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(s.calls.Connection.Timing().GetLogFlushInterval().AsDuration()):
			}
			if err := s.Flush(ctx); err != nil {
				return err
			}
		}
	}
}

// FlushWithin is Flush, but gives up after a while.
func (s *Shipper) FlushWithin(ctx context.Context, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := s.Flush(limited)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn(fmt.Sprintf("The logs of %d attempts could not be shipped to their end.", s.count()))
		return nil
	}
	return err
}

// Flush ships what is there now. The error is a *refusal.Error, or ctx's.
func (s *Shipper) Flush(ctx context.Context) error {
	for {
		request, more := s.collect()
		if len(request.GetLogs()) == 0 {
			return nil
		}
		answer := &execpb.AppendLogsResponse{}
		err := s.calls.Repeat(ctx, execpb.WorkerService_AppendLogs_FullMethodName, request, answer)
		if problem := connection.AsCallError(err); problem != nil {
			s.log.Error(fmt.Sprintf("The server refuses logs of %d attempts, they are dropped: %v", len(request.GetLogs()), problem))
			for _, logs := range request.GetLogs() {
				s.Drop(logs.GetAttempt().GetAttemptId())
			}
			continue
		}
		if err != nil {
			return err
		}
		if progress := s.settle(request, answer); !more || !progress {
			return nil
		}
	}
}

func (s *Shipper) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.shipments)
}

// collect makes the next request, and tells whether it left something out.
func (s *Shipper) collect() (*execpb.AppendLogsRequest, bool) {
	room := int(s.calls.Connection.Limits().GetMaxMessageBytes()) - envelopeBytes
	request := &execpb.AppendLogsRequest{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range s.shipments {
		chunks := each.log.Chunks()
		if len(chunks) == 0 {
			continue
		}
		logs := &execpb.AttemptLogs{Attempt: each.ref}
		for _, chunk := range chunks {
			size := len(chunk.GetData()) + 64
			if size > room {
				if len(logs.GetChunks()) > 0 {
					request.Logs = append(request.Logs, logs)
				}
				return request, true
			}
			room -= size
			logs.Chunks = append(logs.Chunks, chunk)
		}
		request.Logs = append(request.Logs, logs)
	}
	return request, false
}

func (s *Shipper) settle(request *execpb.AppendLogsRequest, answer *execpb.AppendLogsResponse) bool {
	progress := false
	for i, result := range answer.GetResults() {
		if i >= len(request.GetLogs()) {
			break
		}
		attempt := request.GetLogs()[i].GetAttempt().GetAttemptId()
		s.mu.Lock()
		found := s.shipments[attempt]
		s.mu.Unlock()
		if found == nil {
			continue
		}
		if result.GetClosed() {
			s.Drop(attempt)
			progress = true
			continue
		}
		before := found.log.SealedCount()
		found.log.Acknowledge(result.GetNextSequence())
		progress = progress || found.log.SealedCount() < before
		s.mu.Lock()
		if found.leaving && !found.log.Pending() {
			delete(s.shipments, attempt)
		}
		s.mu.Unlock()
	}
	return progress
}
