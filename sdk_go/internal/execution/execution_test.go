package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"crosswind.dev/go/internal/function"
	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/registry"
	"crosswind.dev/go/internal/value"
	"crosswind.dev/go/sdk"
)

func runOf(t *testing.T, ctx context.Context, given any, task *executionpb.TaskContext) *executionpb.Outcome {
	t.Helper()
	found, problems := function.Analyze(given)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if task == nil {
		task = &executionpb.TaskContext{}
	}
	if task.TaskInstance == nil {
		task.TaskInstance = &executionpb.TaskInstanceKey{DagId: "d", RunId: "r", TaskId: "t"}
	}
	return Run(ctx, &Attempt{
		Entry:         &registry.EntryPoint{Function: found, Defaults: sdk.Params{"a": json.RawMessage("1"), "b": json.RawMessage("2")}},
		Task:          task,
		Logger:        slog.New(slog.DiscardHandler),
		MaxValueBytes: 1000,
	})
}

type ownError struct{ reason string }

func (e ownError) Error() string { return e.reason }

type brokenError struct{}

func (*brokenError) Error() string { panic("no message") }

var errBase = errors.New("base")

func TestFailures(t *testing.T) {
	cases := []struct {
		name      string
		given     any
		kind      string
		bases     []string
		message   string
		causes    []string
		retryable *bool
		after     time.Duration
	}{
		{"plain", func() error { return errBase }, "*errors.errorString", nil, "base", nil, nil, 0},
		{"own type", func() error { return ownError{"mine"} }, "execution.ownError", nil, "mine", nil, nil, 0},
		{"wrapped", func() error { return fmt.Errorf("a: %w", &fs.PathError{Op: "open", Path: "p", Err: errBase}) },
			"*fmt.wrapError", []string{"*fs.PathError", "*errors.errorString"}, "a: open p: base",
			[]string{"*fs.PathError: open p: base", "*errors.errorString: base"}, nil, 0},
		{"joined", func() error { return errors.Join(ownError{"one"}, &fs.PathError{Op: "o", Path: "p", Err: errBase}) },
			"*errors.joinError", []string{"execution.ownError", "*fs.PathError", "*errors.errorString"}, "one\no p: base",
			[]string{"execution.ownError: one"}, nil, 0},
		{"no retry", func() error { return sdk.NoRetry(ownError{"never"}) }, "execution.ownError", nil, "never", nil,
			proto.Bool(false), 0},
		{"no retry inside", func() error { return fmt.Errorf("so: %w", sdk.NoRetry(ownError{"never"})) }, "*fmt.wrapError",
			[]string{"execution.ownError"}, "so: never", []string{"execution.ownError: never"}, proto.Bool(false), 0},
		{"later", func() error { return sdk.RetryAfter(ownError{"busy"}, time.Minute) }, "execution.ownError", nil, "busy", nil,
			proto.Bool(true), time.Minute},
		{"empty message", func() error { return ownError{} }, "execution.ownError", nil,
			"It returned a execution.ownError and said no more", nil, nil, 0},
		{"broken message", func() error { return &brokenError{} }, "*execution.brokenError", nil,
			"It returned a *execution.brokenError, whose message cannot be read", nil, nil, 0},
		{"panic with a text", func() { panic("oh no") }, "panic", nil, "panic: oh no", nil, nil, 0},
		{"panic with an error", func() { panic(fmt.Errorf("a: %w", errBase)) }, "panic",
			[]string{"*fmt.wrapError", "*errors.errorString"}, "panic: a: base",
			[]string{"*fmt.wrapError: a: base", "*errors.errorString: base"}, nil, 0},
		{"panic with a final error", func() { panic(sdk.NoRetry(errBase)) }, "panic", []string{"*errors.errorString"},
			"panic: base", []string{"*errors.errorString: base"}, proto.Bool(false), 0},
		{"nil dereference", func() (int, error) { var p *ownError; return len(p.reason), nil }, "runtime.errorString",
			[]string{"runtime.Error", "panic"}, "runtime error: invalid memory address or nil pointer dereference", nil, nil, 0},
		{"panic(nil)", func() { panic(nil) }, "*runtime.PanicNilError", []string{"runtime.Error", "panic"},
			new(runtime.PanicNilError).Error(), nil, nil, 0},
		{"panic with what panics", func() { panic(&brokenError{}) }, "panic", []string{"*execution.brokenError"},
			"panic: It returned a *execution.brokenError, whose message cannot be read",
			[]string{"*execution.brokenError: It returned a *execution.brokenError, whose message cannot be read"}, nil, 0},
		{"Goexit", func() { runtime.Goexit() }, "runtime.Goexit", nil,
			"The task ended its goroutine with runtime.Goexit, as FailNow of a test does; return an error", nil, nil, 0},
		{"not encodable", func() (any, error) { return []any{1, func() {}}, nil }, "crosswind.ValueNotEncodable", nil,
			"The result of task 't' has an item 1 that cannot be written as JSON: unsupported type: func().", nil,
			proto.Bool(false), 0},
		{"too large", func() (string, error) { return strings.Repeat("x", 999), nil }, "crosswind.ValueTooLarge", nil,
			"The result of task 't' takes 1001 bytes, and at most 1000 travel between tasks; write it to a file or an object " +
				"store and pass on where it lies.", nil, proto.Bool(false), 0},
		{"XCom too large", func() error {
			return fmt.Errorf("so: %w", &sdk.CallError{Reason: "VALUE_TOO_LARGE", Message: "XCom 'k' takes much."})
		}, "crosswind.ValueTooLarge", nil, "XCom 'k' takes much.", nil, proto.Bool(false), 0},
	}
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			outcome := runOf(t, context.Background(), each.given, nil)
			failure := outcome.GetFailed().GetFailure()
			if failure.GetType() != each.kind || failure.GetMessage() != each.message {
				t.Fatalf("got %s: %s", failure.GetType(), failure.GetMessage())
			}
			if !slices.Equal(failure.GetBaseTypes(), each.bases) {
				t.Errorf("base types %q", failure.GetBaseTypes())
			}
			var causes []string
			for cause := failure.GetCause(); cause != nil; cause = cause.GetCause() {
				causes = append(causes, cause.GetType()+": "+cause.GetMessage())
			}
			if !slices.Equal(causes, each.causes) {
				t.Errorf("causes %q", causes)
			}
			if (failure.Retryable == nil) != (each.retryable == nil) ||
				each.retryable != nil && failure.GetRetryable() != *each.retryable {
				t.Errorf("retryable %v", failure.Retryable)
			}
			if failure.GetRetryAfter().AsDuration() != each.after {
				t.Errorf("retry after %v", failure.GetRetryAfter().AsDuration())
			}
		})
	}
}

func TestFailuresAreBounded(t *testing.T) {
	deep := errBase
	for range 100 {
		deep = fmt.Errorf("%w", deep)
	}
	failure := runOf(t, context.Background(), func() error { return deep }, nil).GetFailed().GetFailure()
	depth := 0
	for cause := failure; cause != nil; cause = cause.GetCause() {
		depth++
	}
	if depth != maxCauses {
		t.Errorf("%d causes", depth)
	}
	long := runOf(t, context.Background(), func() error { return ownError{strings.Repeat("é", 20_000)} }, nil)
	if message := long.GetFailed().GetFailure().GetMessage(); len(message) > maxMessageBytes || !strings.HasSuffix(message, "(cut)") {
		t.Errorf("a message of %d bytes", len(message))
	}
	var recurse func(int)
	recurse = func(left int) {
		if left == 0 {
			panic("deep")
		}
		recurse(left - 1)
	}
	frames := runOf(t, context.Background(), func() { recurse(500) }, nil).GetFailed().GetFailure().GetFrames()
	if len(frames) > maxFrames {
		t.Errorf("%d frames", len(frames))
	}
}

func TestSignals(t *testing.T) {
	cancelled, cancel := context.WithCancelCause(context.Background())
	cancel(sdk.ErrCancelled)
	cases := []struct {
		name  string
		ctx   context.Context
		given any
		want  string
	}{
		{"skip", context.Background(), func() error { return fmt.Errorf("so: %w", sdk.Skip("holiday")) }, `skipped:{reason:"holiday"}`},
		{"cancelled", cancelled, func(ctx context.Context) error { return ctx.Err() }, `cancelled:{how:"exited"}`},
		{"another error after a cancel", cancelled, func() error { return errBase }, `cancelled:{how:"exited"}`},
		{"done in spite of a cancel", cancelled, func() (int, error) { return 1, nil },
			`succeeded:{result:{encoding:"json/utf-8" data:"1"}}`},
		{"a call that was refused", context.Background(), func() error { return &sdk.CallError{Reason: "STALE_LEASE"} },
			`cancelled:{how:"exited"}`},
		{"no result", context.Background(), func() {}, `succeeded:{}`},
		{"nil result", context.Background(), func() (*ownError, error) { return nil, nil }, `succeeded:{}`},
	}
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			outcome := runOf(t, each.ctx, each.given, nil)
			if got := strings.ReplaceAll(outcome.String(), "  ", " "); got != each.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestInfo(t *testing.T) {
	var got sdk.TaskInfo
	moment := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	runOf(t, context.Background(), func(info sdk.TaskInfo) { got = info }, &executionpb.TaskContext{
		TaskInstance: &executionpb.TaskInstanceKey{DagId: "d", RunId: "r", TaskId: "t", MapIndex: proto.Int32(3)},
		TryNumber:    2, MaxTries: 4, AttemptId: "id", Bundle: "b", BundleVersion: "v",
		Run: &executionpb.RunContext{
			RunType: "manual", LogicalTime: timestamppb.New(moment), Conf: value.Payload([]byte(`{"b":[3],"c":"x"}`)),
		},
	})
	if got.MapIndex != 3 || got.TryNumber != 2 || got.MaxTries != 4 || !got.LogicalTime.Equal(moment) || got.AttemptID != "id" ||
		got.Bundle != "b" || got.BundleVersion != "v" || got.RunType != "manual" || !got.DataIntervalStart.IsZero() {
		t.Errorf("got %+v", got)
	}
	if a, err := sdk.Param[int](got, "a"); err != nil || a != 1 {
		t.Errorf("a default is %d, %v", a, err)
	}
	if b, err := sdk.Param[[]int](got, "b"); err != nil || !slices.Equal(b, []int{3}) {
		t.Errorf("what the run was given is %v, %v", b, err)
	}
	if _, err := sdk.Param[int](got, "c"); !errors.Is(err, sdk.ErrValueNotReadable) {
		t.Errorf("got %v", err)
	}
	const missing = "run 'r' of DAG 'd' has no parameter 'x'; declare it with v1.Params, or give it to the run"
	if _, err := sdk.Param[int](got, "x"); err == nil || err.Error() != missing {
		t.Errorf("got %v", err)
	}
	var all struct {
		A int
		C string
	}
	if err := got.Params.Decode(&all); err != nil || all.A != 1 || all.C != "x" {
		t.Errorf("got %+v, %v", all, err)
	}
	if len(got.Conf) != 2 {
		t.Errorf("conf %v", got.Conf)
	}
}

func TestVariadicValues(t *testing.T) {
	var got []int
	at := func(position int32, data string) *executionpb.InputValue {
		return &executionpb.InputValue{
			Position: &position, Value: &executionpb.InputValue_Payload{Payload: value.Payload([]byte(data))},
		}
	}
	given := func(_ context.Context, first int, _ *slog.Logger, rest ...int) { got = append([]int{first}, rest...) }
	cases := []struct {
		inputs []*executionpb.InputValue
		want   []int
	}{
		{[]*executionpb.InputValue{at(0, "1")}, []int{1}},
		{[]*executionpb.InputValue{at(2, "3"), at(0, "1"), at(1, "2")}, []int{1, 2, 3}},
	}
	for _, each := range cases {
		got = nil
		outcome := runOf(t, context.Background(), given, &executionpb.TaskContext{Inputs: each.inputs})
		if outcome.GetSucceeded() == nil || !slices.Equal(got, each.want) {
			t.Errorf("got %v, %v", got, outcome)
		}
	}
}
