package logship

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/attemptlog"
	"crosswind.dev/go/internal/worker/calls"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/masking"
	"crosswind.dev/go/internal/worker/scriptedserver"
)

// logServer takes chunks as the protocol says: in order, again without harm; a forgetful one drops every second call.
type logServer struct {
	forgetful bool

	mu       sync.Mutex
	calls    int
	next     map[string]int64
	closed   map[string]bool
	complete chan struct{} // closed when a last chunk came
}

func newLogServer() *logServer {
	return &logServer{next: map[string]int64{}, closed: map[string]bool{}, complete: make(chan struct{})}
}

func (s *logServer) answer(_ string, request proto.Message) (proto.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	response := &execpb.AppendLogsResponse{}
	for _, logs := range request.(*execpb.AppendLogsRequest).GetLogs() {
		attempt := logs.GetAttempt().GetAttemptId()
		expected := s.next[attempt]
		for _, chunk := range logs.GetChunks() {
			if forgotten := s.forgetful && s.calls%2 == 1; !forgotten && chunk.GetFirstSequence() == expected {
				expected += int64(chunk.GetRecordCount())
				if chunk.GetLast() {
					close(s.complete)
				}
			}
		}
		s.next[attempt] = expected
		response.Results = append(response.Results, &execpb.LogResult{NextSequence: expected, Closed: s.closed[attempt]})
	}
	return response, nil
}

func (s *logServer) has(want map[string]int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Equal(s.next, want)
}

func start(t *testing.T, answer scriptedserver.Answer, maxMessage int32) (*Shipper, *scriptedserver.Server) {
	t.Helper()
	server := scriptedserver.Start(t, answer)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	dialled, err := connection.New(server.Address, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dialled.Close)
	dialled.Adopt(&execpb.Timing{LogFlushInterval: durationpb.New(time.Millisecond)}, &execpb.Limits{MaxMessageBytes: maxMessage})
	return New(&calls.Calls{Connection: dialled}, log), server
}

func add(shipper *Shipper, attempt string, lines int) *attemptlog.Log {
	log := attemptlog.New(masking.New(), attemptlog.NewMemory(64<<20))
	shipper.Add(&execpb.AttemptRef{AttemptId: attempt}, log)
	write(log, lines)
	return log
}

func write(log *attemptlog.Log, lines int) {
	for number := range lines {
		log.WriteOutput(execpb.LogRecord_SOURCE_STDOUT, fmt.Appendf(nil, "line %d\n", number))
	}
}

func flush(t *testing.T, shipper *Shipper) {
	t.Helper()
	if err := shipper.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestOneCallShipsTheLogsOfAllAttempts(t *testing.T) {
	taken := newLogServer()
	shipper, server := start(t, taken.answer, 4<<20)
	want := map[string]int64{}
	var logs []*attemptlog.Log
	for number := range 5 {
		logs = append(logs, add(shipper, strconv.Itoa(number), 3))
		want[strconv.Itoa(number)] = 3
	}
	flush(t, shipper)
	flush(t, shipper)
	if len(server.Calls()) != 1 || !taken.has(want) {
		t.Errorf("got %d calls and %v", len(server.Calls()), taken.next)
	}
	for _, log := range logs {
		if log.Pending() {
			t.Error("something is pending")
		}
	}
}

func TestWhatTheServerDidNotTakeIsSentAgain(t *testing.T) {
	taken := newLogServer()
	taken.forgetful = true
	shipper, _ := start(t, taken.answer, 4<<20)
	log := add(shipper, "a", 3)
	flush(t, shipper)
	if !log.Pending() {
		t.Error("nothing is pending")
	}
	write(log, 2)
	flush(t, shipper)
	if log.Pending() || !taken.has(map[string]int64{"a": 5}) {
		t.Errorf("got %v", taken.next)
	}
}

func TestMoreThanAMessageTakesGoesInSeveral(t *testing.T) {
	taken := newLogServer()
	shipper, server := start(t, taken.answer, envelopeBytes+1000)
	want := map[string]int64{}
	for number := range 6 {
		add(shipper, strconv.Itoa(number), 10)
		want[strconv.Itoa(number)] = 10
	}
	flush(t, shipper)
	if len(server.Calls()) < 2 || !taken.has(want) {
		t.Errorf("got %d calls and %v", len(server.Calls()), taken.next)
	}
}

func TestLogThatIsClosedIsForgotten(t *testing.T) {
	taken := newLogServer()
	taken.closed["a"] = true
	shipper, server := start(t, taken.answer, 4<<20)
	log := add(shipper, "a", 1)
	flush(t, shipper)
	write(log, 1)
	flush(t, shipper)
	if len(server.Calls()) != 1 || log.Pending() || shipper.count() != 0 {
		t.Errorf("got %d calls, %d logs", len(server.Calls()), shipper.count())
	}
}

func TestLogsThatAreRefusedAreDroppedAndOthersShipped(t *testing.T) {
	taken := newLogServer()
	refused := false
	shipper, _ := start(t, func(method string, request proto.Message) (proto.Message, error) {
		if !refused {
			refused = true
			return nil, connection.NewCallError(codes.InvalidArgument, "INVALID_ARGUMENT", "no").GRPCStatus().Err()
		}
		return taken.answer(method, request)
	}, 4<<20)
	add(shipper, "a", 1)
	flush(t, shipper)
	if shipper.count() != 0 {
		t.Errorf("%d logs are left", shipper.count())
	}
	add(shipper, "b", 2)
	flush(t, shipper)
	if !taken.has(map[string]int64{"b": 2}) {
		t.Errorf("got %v", taken.next)
	}
}

func TestLogThatHasEndedIsShippedToItsEndThenForgotten(t *testing.T) {
	taken := newLogServer()
	shipper, _ := start(t, taken.answer, 4<<20)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- shipper.Run(ctx) }()
	log := add(shipper, "a", 3)
	log.End()
	shipper.Discharge("a")
	select {
	case <-taken.complete:
	case <-time.After(20 * time.Second):
		t.Fatal("it was not shipped")
	}
	cancel()
	<-ended
	if !taken.has(map[string]int64{"a": 3}) {
		t.Errorf("got %v", taken.next)
	}
}

func TestShippingEndsWhereTheServerTakesTooLong(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	shipper, _ := start(t, func(string, proto.Message) (proto.Message, error) {
		<-release
		return &execpb.AppendLogsResponse{}, nil
	}, 4<<20)
	add(shipper, "a", 1)
	if err := shipper.FlushWithin(context.Background(), time.Millisecond); err != nil {
		t.Error(err)
	}
}
