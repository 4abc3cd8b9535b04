package connection

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/scriptedserver"
)

func connect(t *testing.T, address string, log *bytes.Buffer) *Connection {
	t.Helper()
	plain := func(_ []string, attribute slog.Attr) slog.Attr {
		if attribute.Key == slog.TimeKey || attribute.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return attribute
	}
	made, err := New(address, nil, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{ReplaceAttr: plain})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

func send(c *Connection, ctx context.Context) error {
	return c.Send(ctx, execpb.WorkerService_Heartbeat_FullMethodName, &execpb.HeartbeatRequest{}, &execpb.HeartbeatResponse{}, 10*time.Second)
}

func TestServerThatAnswersWithErrorsIsAskedLessAndLess(t *testing.T) {
	var bounds []time.Duration
	for failures := 1; failures < 12; failures++ {
		bounds = append(bounds, backoffBound(200*time.Millisecond, 15*time.Second, failures))
	}
	want := []float64{0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15, 15, 15, 15, 15}
	for i, bound := range bounds {
		if bound.Seconds() != want[i] {
			t.Errorf("after %d failures: got %v, want %v s", i+1, bound, want[i])
		}
	}
	if bound := backoffBound(200*time.Millisecond, 15*time.Second, 1<<40); bound != 15*time.Second {
		t.Errorf("got %v", bound)
	}
}

func TestServerThatComesBackIsAskedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, "127.0.0.1:1", &bytes.Buffer{})
		c.timing = &execpb.Timing{BackoffInitial: durationpb.New(time.Minute), BackoffMax: durationpb.New(1000 * time.Hour)}
		c.noteDown(NewCallError(codes.Unavailable, "", "refused"))
		began := time.Now()
		waited := make(chan error, 1)
		go func() { waited <- c.WaitForRetry(context.Background(), 60) }()
		synctest.Wait()
		c.noteUp()
		if err := <-waited; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	c := connect(t, "127.0.0.1:1", &bytes.Buffer{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.WaitForRetry(ctx, 60); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLogSaysWhatIsAway(t *testing.T) {
	refused := NewCallError(codes.Unavailable, "",
		`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`)
	stopping := NewCallError(codes.Unavailable, "SERVER_STOPPING", "The server is stopping.")
	noDatabase := NewCallError(codes.Unavailable, "DATABASE_UNAVAILABLE", "PostgreSQL at db:5432 cannot be used now.")
	const (
		connected    = `Connected to the server at 127\.0\.0\.1:1\.`
		away         = `The server at 127\.0\.0\.1:1 cannot be reached: connection refused; trying again until it answers\.`
		again        = `Connected to the server at 127\.0\.0\.1:1 again, after \d\.\d s\.`
		stops        = `The server at 127\.0\.0\.1:1 is stopping; trying again until it answers\.`
		databaseAway = `The server at 127\.0\.0\.1:1 answers, but cannot use its database now \(DATABASE_UNAVAILABLE\): ` +
			`PostgreSQL at db:5432 cannot be used now\. Trying again until it can\.`
		databaseBack = `The server at 127\.0\.0\.1:1 can use its database again, after \d\.\d s\.`
	)
	for _, test := range []struct {
		events    []*CallError // nil is a call that got through
		sentences []string
	}{
		{[]*CallError{nil}, []string{connected}},
		{[]*CallError{nil, refused, refused, nil}, []string{connected, away, again}},
		{[]*CallError{refused, nil}, []string{away, again}},
		{[]*CallError{nil, stopping, refused, nil}, []string{connected, stops, again}},
		{[]*CallError{nil, noDatabase, noDatabase, nil}, []string{connected, databaseAway, databaseBack}},
		{[]*CallError{noDatabase, nil}, []string{databaseAway, databaseBack}},
		{[]*CallError{nil, noDatabase, refused, nil}, []string{connected, databaseAway, away, again}},
		{[]*CallError{nil, refused, noDatabase, nil}, []string{connected, away, databaseAway, databaseBack}},
	} {
		var log bytes.Buffer
		c := connect(t, "127.0.0.1:1", &log)
		for _, event := range test.events {
			if event == nil {
				c.noteUp()
			} else {
				c.noteDown(event)
			}
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != len(test.sentences) {
			t.Errorf("got %q", lines)
			continue
		}
		for i, line := range lines {
			if !regexp.MustCompile(`^\{"msg":"` + test.sentences[i] + `"\}$`).MatchString(line) {
				t.Errorf("got %s, want %s", line, test.sentences[i])
			}
		}
	}
}

func TestErrorKeepsItsReasonAndAllDetails(t *testing.T) {
	server := scriptedserver.Start(t, func(string, proto.Message) (proto.Message, error) {
		full, err := status.New(codes.FailedPrecondition, "It is stale.").WithDetails(
			&errdetails.RequestInfo{RequestId: "r"},
			&errdetails.ErrorInfo{Domain: "elsewhere", Reason: "OTHER"},
			&errdetails.ErrorInfo{Domain: "crosswind", Reason: "STALE_LEASE", Metadata: map[string]string{"attempt": "a"}},
		)
		if err != nil {
			return nil, err
		}
		return nil, full.Err()
	})
	problem := AsCallError(send(connect(t, server.Address, &bytes.Buffer{}), context.Background()))
	if problem == nil || problem.Code != codes.FailedPrecondition || problem.Reason != "STALE_LEASE" ||
		problem.Error() != "It is stale. (STALE_LEASE)" {
		t.Fatalf("got %v", problem)
	}
	if details := problem.GRPCStatus().Details(); len(details) != 3 {
		t.Errorf("got %v", details)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, test := range []struct {
		err                              *CallError
		unreachable, repeatable, renewed bool
	}{
		{NewCallError(codes.Unavailable, "", ""), true, true, false},
		{NewCallError(codes.Internal, "INTERNAL", ""), false, true, false},
		{NewCallError(codes.DeadlineExceeded, "", ""), false, true, false},
		{NewCallError(codes.Canceled, "", ""), false, true, false},
		{NewCallError(codes.Unknown, "", ""), false, true, false},
		{NewCallError(codes.Unknown, "NEW_REASON", ""), false, false, false},
		{NewCallError(codes.FailedPrecondition, "STALE_LEASE", ""), false, false, false},
		{NewCallError(codes.Unauthenticated, "TOKEN_EXPIRED", ""), false, false, true},
		{NewCallError(codes.NotFound, "WORKER_UNKNOWN", ""), false, false, true},
	} {
		if test.err.Unreachable() != test.unreachable || test.err.Repeatable() != test.repeatable ||
			test.err.NeedsRegistration() != test.renewed {
			t.Errorf("of %v %s: got %v, %v, %v", test.err.Code, test.err.Reason, test.err.Unreachable(),
				test.err.Repeatable(), test.err.NeedsRegistration())
		}
	}
}

func TestForwardedMessageIsNotOpened(t *testing.T) {
	server := scriptedserver.Start(t, func(_ string, request proto.Message) (proto.Message, error) {
		return &execpb.HeartbeatResponse{WorkerToken: proto.String(request.(*execpb.HeartbeatRequest).GetInstanceId())}, nil
	})
	c := connect(t, server.Address, &bytes.Buffer{})
	c.SetToken("secret")
	sent, err := proto.Marshal(&execpb.HeartbeatRequest{InstanceId: "i"})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Forward(context.Background(), execpb.WorkerService_Heartbeat_FullMethodName, sent, 10*time.Second, []string{"2027-01-01"})
	if err != nil {
		t.Fatal(err)
	}
	got := &execpb.HeartbeatResponse{}
	if err := proto.Unmarshal(answer, got); err != nil || got.GetWorkerToken() != "i" {
		t.Errorf("got %v, %v", got, err)
	}
	if calls := server.Calls(); len(calls) != 1 || calls[0].Token != "secret" {
		t.Errorf("got %v", calls)
	}
}

func TestCallEndsWithItsContextAndNoCallError(t *testing.T) {
	reached, release := make(chan struct{}), make(chan struct{})
	server := scriptedserver.Start(t, func(string, proto.Message) (proto.Message, error) {
		close(reached)
		<-release
		return &execpb.HeartbeatResponse{}, nil
	})
	defer close(release)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-reached
		cancel()
	}()
	if err := send(connect(t, server.Address, &bytes.Buffer{}), ctx); !errors.Is(err, context.Canceled) || AsCallError(err) != nil {
		t.Errorf("got %v", err)
	}
}

func TestReopenedConnectionLetsCallsEndOnTheOldOne(t *testing.T) {
	reached, release := make(chan struct{}), make(chan struct{})
	first := true
	server := scriptedserver.Start(t, func(string, proto.Message) (proto.Message, error) {
		if first {
			first = false
			close(reached)
			<-release
		}
		return &execpb.HeartbeatResponse{}, nil
	})
	c := connect(t, server.Address, &bytes.Buffer{})
	ended := make(chan error)
	go func() { ended <- send(c, context.Background()) }()
	<-reached
	c.noteUp()
	returns := 0
	c.OnReturn(func() { returns++ })
	old := c.channel
	c.Reopen(time.Hour)
	for range 2 {
		if err := send(c, context.Background()); err != nil {
			t.Error(err)
		}
	}
	if returns != 1 {
		t.Errorf("the server returned %d times", returns)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	if !old.closed || old == c.channel {
		t.Error("the old connection is open")
	}
}

func TestServerThatIsNotThereIsUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	var log bytes.Buffer
	problem := AsCallError(send(connect(t, address, &log), context.Background()))
	if problem == nil || !problem.Unreachable() || !strings.Contains(log.String(), "cannot be reached: connection refused; trying again") {
		t.Errorf("got %v and %s", problem, &log)
	}
}
