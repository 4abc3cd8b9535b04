package serving_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	valuepb "crosswind.dev/go/internal/gen/crosswind/value/v1"
	"crosswind.dev/go/internal/packing"
)

func jsonPayload(data string) *valuepb.Payload {
	return &valuepb.Payload{Encoding: "json/utf-8", Content: &valuepb.Payload_Data{Data: []byte(data)}}
}

func at(position int32, data string) *executionpb.InputValue {
	return &executionpb.InputValue{
		Position: &position, Value: &executionpb.InputValue_Payload{Payload: jsonPayload(data)},
	}
}

func named(name, data string) *executionpb.InputValue {
	return &executionpb.InputValue{Name: name, Value: &executionpb.InputValue_Payload{Payload: jsonPayload(data)}}
}

// request is one for a new attempt, whose id and key are the same.
func (p *process) request(id, entryPoint string, inputs ...*executionpb.InputValue) *bundlepb.RunTaskRequest {
	return &bundlepb.RunTaskRequest{
		Context: &executionpb.TaskContext{
			AttemptId: id, EntryPoint: entryPoint, Inputs: inputs, TryNumber: 1,
			TaskInstance: &executionpb.TaskInstanceKey{DagId: "d", RunId: "r", TaskId: entryPoint},
			Run:          &executionpb.RunContext{DagId: "d", RunId: "r"},
		},
		CallbackAddress: p.worker.address, CallbackKey: id, MaxInlineValueBytes: 1000,
	}
}

func (p *process) run(t *testing.T, request *bundlepb.RunTaskRequest) *executionpb.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := p.RunTask(ctx, request)
	if err != nil {
		t.Fatalf("%s: %v", request.GetContext().GetEntryPoint(), err)
	}
	return answer.GetOutcome()
}

// show is an outcome in a line.
func show(outcome *executionpb.Outcome) string {
	switch kind := outcome.GetKind().(type) {
	case *executionpb.Outcome_Succeeded:
		switch content := kind.Succeeded.GetResult().GetContent().(type) {
		case *valuepb.Payload_Data:
			return "succeeded " + string(content.Data)
		case *valuepb.Payload_Items:
			parts := []string{"succeeded items"}
			for _, item := range content.Items.GetItems() {
				parts = append(parts, string(item.GetData()))
			}
			return strings.Join(parts, " ")
		default:
			return "succeeded"
		}
	case *executionpb.Outcome_Failed:
		failure := kind.Failed.GetFailure()
		text := fmt.Sprintf("failed %s: %s", failure.GetType(), failure.GetMessage())
		if failure.Retryable != nil && !failure.GetRetryable() {
			text += " (final)"
		}
		return text
	case *executionpb.Outcome_Skipped:
		return "skipped " + kind.Skipped.GetReason()
	case *executionpb.Outcome_Cancelled:
		return "cancelled " + kind.Cancelled.GetHow()
	default:
		return fmt.Sprint(outcome)
	}
}

func TestOutcomesOverARealProcess(t *testing.T) {
	bundle := launch(t)
	list := func(payloads ...*valuepb.Payload) *executionpb.InputValue {
		return &executionpb.InputValue{Position: proto.Int32(0), Value: &executionpb.InputValue_List{
			List: &executionpb.PayloadList{Payloads: payloads},
		}}
	}
	reference := func(taskID string) *executionpb.InputValue {
		return &executionpb.InputValue{Position: proto.Int32(0), Value: &executionpb.InputValue_Reference{
			Reference: &executionpb.XComKey{TaskId: &taskID},
		}}
	}
	items := &executionpb.InputValue{Position: proto.Int32(0), Value: &executionpb.InputValue_Payload{
		Payload: &valuepb.Payload{Encoding: "json/utf-8", Content: &valuepb.Payload_Items{Items: &valuepb.Items{
			Items: []*valuepb.Item{
				{Content: &valuepb.Item_Data{Data: []byte("3")}}, {Content: &valuepb.Item_Data{Data: []byte("4")}},
			},
		}}},
	}}
	composite := &executionpb.InputValue{Position: proto.Int32(0), Value: &executionpb.InputValue_Composite{
		Composite: &executionpb.CompositeValue{
			TemplateJson: `{"a":[{"$input":0},1],"b":{"$literal":{"$input":0}}}`,
			Parts:        []*executionpb.InputValue{at(0, `"part"`)},
		},
	}}
	stepped := at(0, `{"rows":[1,2,{"n":12345678901234567890}]}`)
	stepped.Path = []*manifestpb.Output_PathStep{
		{Step: &manifestpb.Output_PathStep_Name{Name: "rows"}}, {Step: &manifestpb.Output_PathStep_Index{Index: -1}},
	}
	cases := []struct {
		entryPoint string
		inputs     []*executionpb.InputValue
		want       string
	}{
		{"nothing", nil, "succeeded"},
		{"tutorial_dag/transform", nil, "succeeded"},
		{"transform", nil, "succeeded"},
		{"numbers", []*executionpb.InputValue{at(0, "3")}, "succeeded items 1 2 3"},
		{"numbers", []*executionpb.InputValue{at(0, "0")}, "succeeded items"},
		{"numbers", []*executionpb.InputValue{named("count", "2")}, "succeeded items 1 2"},
		{"scale", []*executionpb.InputValue{at(1, "10"), at(0, "3")}, "succeeded 30"},
		{"scale", []*executionpb.InputValue{at(0, "3")},
			"failed crosswind.InputNotReadable: Task 'scale': the argument at position 1 is missing; its values are (int, int). (final)"},
		{"scale", []*executionpb.InputValue{named("number", "3"), named("factor", "4")},
			"failed crosswind.InputNotReadable: Task 'scale': it is given the argument 'number' by name, and the parameters of " +
				"a Go function have none; pass it by position, or let the function take a struct with the tag " +
				"`crosswind:\"number\"`. (final)"},
		{"scale", []*executionpb.InputValue{at(0, `"x"`), at(1, "1")},
			"failed crosswind.InputNotReadable: Task 'scale': argument 0 cannot be read into int: cannot unmarshal string into " +
				"Go value of type int."},
		{"nothing", []*executionpb.InputValue{at(0, "1")},
			"failed crosswind.InputNotReadable: Task 'nothing': it takes no argument at position 0; its values are (). (final)"},
		{"tell", []*executionpb.InputValue{named("word", `"sum"`), named("total", "7")}, `succeeded "sum is 7"`},
		{"tell", []*executionpb.InputValue{at(0, "7"), at(1, `"sum"`)}, `succeeded "sum is 7"`},
		{"tell", []*executionpb.InputValue{
			{Value: &executionpb.InputValue_Payload{Payload: jsonPayload(`{"total":8,"word":"sum"}`)}},
		}, `succeeded "sum is 8"`},
		{"tell", []*executionpb.InputValue{named("total", "7")},
			"failed crosswind.InputNotReadable: Task 'tell': the argument 'word' is missing; its arguments are 'total', 'word'. (final)"},
		{"tell", []*executionpb.InputValue{named("totals", "7")},
			"failed crosswind.InputNotReadable: Task 'tell': it takes no argument 'totals'; its arguments are 'total', 'word'. (final)"},
		{"total", []*executionpb.InputValue{items}, "succeeded 7"},
		{"total", []*executionpb.InputValue{list(jsonPayload("1"), jsonPayload("2"), &valuepb.Payload{})}, "succeeded 3"},
		{"total", []*executionpb.InputValue{{Position: proto.Int32(0)}}, "succeeded 0"},
		{"total", []*executionpb.InputValue{reference("huge")}, "succeeded 10"},
		{"total", []*executionpb.InputValue{reference("gone")}, "succeeded 0"},
		{"echo", []*executionpb.InputValue{at(0, "12345678901234567890")}, "succeeded 12345678901234567890"},
		{"echo", []*executionpb.InputValue{at(0, `{"a":[1,{"b":9007199254740993}]}`)},
			`succeeded {"a":[1,{"b":9007199254740993}]}`},
		{"echo", []*executionpb.InputValue{at(0, `[1,"<b>&"]`)}, `succeeded items 1 "<b>&"`},
		{"echo", []*executionpb.InputValue{at(0, "null")}, "succeeded"},
		{"echo", []*executionpb.InputValue{composite}, `succeeded {"a":["part",1],"b":{"$input":0}}`},
		{"echo", []*executionpb.InputValue{stepped}, `succeeded {"n":12345678901234567890}`},
		{"echo", []*executionpb.InputValue{at(0, "{")},
			"failed crosswind.InputNotReadable: Task 'echo': argument 0 cannot be read into interface {}: unexpected EOF."},
		{"echo", []*executionpb.InputValue{at(0, "1 2")},
			"failed crosswind.InputNotReadable: Task 'echo': argument 0 is said to be JSON, but something follows the value."},
		{"large", []*executionpb.InputValue{at(0, "999")},
			"failed crosswind.ValueTooLarge: The result of task 'large' takes 1001 bytes, and at most 1000 travel between tasks; " +
				"write it to a file or an object store and pass on where it lies. (final)"},
		{"fail", nil, "failed *fmt.wrapError: loading: open /data/missing: file does not exist"},
		{"panics", []*executionpb.InputValue{at(0, "[1,2]")},
			"failed runtime.boundsError: runtime error: index out of range [2] with length 2"},
		{"skips", nil, "skipped there is nothing to do"},
	}
	for number, each := range cases {
		t.Run(each.entryPoint, func(t *testing.T) {
			request := bundle.request(fmt.Sprintf("attempt-%d", number), each.entryPoint, each.inputs...)
			if got := show(bundle.run(t, request)); got != each.want {
				t.Errorf("got  %s\nwant %s", got, each.want)
			}
		})
	}
}

func TestFailuresSayTheirTypesAndWhere(t *testing.T) {
	bundle := launch(t)
	failure := bundle.run(t, bundle.request("1", "fail")).GetFailed().GetFailure()
	if got, want := failure.GetBaseTypes(), []string{"*fs.PathError", "*errors.errorString"}; !slices.Equal(got, want) {
		t.Errorf("base types %v, want %v", got, want)
	}
	if got := failure.GetCause().GetCause().GetMessage(); got != "file does not exist" {
		t.Errorf("the innermost cause is %q", got)
	}
	failure = bundle.run(t, bundle.request("2", "panics", at(0, "[]"))).GetFailed().GetFailure()
	if got, want := failure.GetBaseTypes(), []string{"runtime.Error", "panic"}; !slices.Equal(got, want) {
		t.Errorf("base types %v, want %v", got, want)
	}
	frames := failure.GetFrames()
	if len(frames) != 1 || frames[0].GetFunction() != "main.panics" || !strings.HasSuffix(frames[0].GetFile(), "main.go") {
		t.Errorf("frames %v", frames)
	}
	records := bundle.worker.log("2")
	if len(records) != 1 || !strings.Contains(records[0].GetMessage(), "main.panics\n") ||
		records[0].GetLevel() != executionpb.LogRecord_LEVEL_ERROR {
		t.Errorf("log %v", records)
	}
}

func TestTheLogIsCompleteAndInOrderWhenTheOutcomeIsThere(t *testing.T) {
	bundle := launch(t)
	bundle.run(t, bundle.request("key", "printAndLog"))
	records := bundle.worker.log("key")
	if len(records) != 101 {
		t.Fatalf("%d records", len(records))
	}
	for number, record := range records[:100] {
		if want := fmt.Sprintf(`{"number":%d}`, number); record.GetAttributesJson() != want {
			t.Fatalf("record %d has %s", number, record.GetAttributesJson())
		}
	}
	last := records[100]
	if last.GetAttributesJson() != `{"where":{"file":"x.csv","line":3}}` || last.GetMessage() != "careful" ||
		last.GetLevel() != executionpb.LogRecord_LEVEL_WARNING || last.GetSource() != executionpb.LogRecord_SOURCE_TASK ||
		last.GetTime().AsTime().IsZero() {
		t.Errorf("the last record is %v", last)
	}
	if bundle.worker.batches > 10 {
		t.Errorf("%d batches for 101 records", bundle.worker.batches)
	}
	if got := bundle.stderr.String(); !strings.Contains(got, "printed to standard output\nprinted to standard error\n") {
		t.Errorf("standard error has %q", got)
	}
}

func TestCancelReachesOneTaskOnly(t *testing.T) {
	bundle := launch(t)
	outcomes := make(chan string, 2)
	for _, id := range []string{"one", "two"} {
		go func() { outcomes <- id + " " + show(bundle.run(t, bundle.request(id, "waits"))) }()
	}
	for range 2 {
		<-bundle.worker.logged
	}
	for _, id := range []string{"one", "two"} {
		answer, err := bundle.CancelTask(context.Background(), &bundlepb.CancelTaskRequest{AttemptId: id})
		if err != nil || !answer.GetRunning() {
			t.Fatalf("cancel answered %v, %v", answer, err)
		}
		if got := <-outcomes; got != id+" cancelled exited" {
			t.Errorf("got %s", got)
		}
	}
	answer, err := bundle.CancelTask(context.Background(), &bundlepb.CancelTaskRequest{AttemptId: "one"})
	if err != nil || answer.GetRunning() {
		t.Errorf("cancelling what has ended answered %v, %v", answer, err)
	}
}

func TestTheExecutionTimeoutEndsTheContext(t *testing.T) {
	bundle := launch(t)
	request := bundle.request("1", "waits")
	request.Context.ExecutionTimeout = durationpb.New(50 * time.Millisecond)
	want := "failed crosswind.ExecutionTimeout: The task ran longer than its execution timeout of 0.05 s and ended with: " +
		"the task ran longer than its execution timeout."
	if got := show(bundle.run(t, request)); got != want {
		t.Errorf("got %s", got)
	}
}

func TestRefusals(t *testing.T) {
	bundle := launch(t)
	noAddress := bundle.request("1", "nothing")
	noAddress.CallbackAddress = ""
	cases := []struct {
		name    string
		request *bundlepb.RunTaskRequest
		code    codes.Code
		reason  string
		message string
	}{
		{"no such task", bundle.request("1", "missing"), codes.NotFound, "TASK_NOT_FOUND",
			"The bundle 'go-test' at version  has no task 'missing'."},
		{"no address", noAddress, codes.InvalidArgument, "INVALID_ARGUMENT",
			"Task 'nothing' cannot run: the worker gave no address to call back; a Go bundle needs one."},
	}
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			_, err := bundle.RunTask(context.Background(), each.request)
			checkRefusal(t, err, each.code, each.reason, each.message)
		})
	}
}

func checkRefusal(t *testing.T, err error, code codes.Code, reason, message string) {
	t.Helper()
	answer := status.Convert(err)
	if answer.Code() != code || answer.Message() != message {
		t.Errorf("got %s: %s", answer.Code(), answer.Message())
	}
	for _, detail := range answer.Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is && info.GetReason() == reason && info.GetDomain() == "crosswind" {
			return
		}
	}
	t.Errorf("no reason %s in %v", reason, answer.Details())
}

func TestACrashEndsTheCallAndTellsOnStandardError(t *testing.T) {
	cases := []struct {
		entryPoint string
		input      []*executionpb.InputValue
		stderr     string
	}{
		{"crash", nil, "panic: a goroutine of the task panicked"},
		{"exits", []*executionpb.InputValue{at(0, "3")}, "exits: last words"},
	}
	for _, each := range cases {
		t.Run(each.entryPoint, func(t *testing.T) {
			bundle := launch(t)
			_, err := bundle.RunTask(context.Background(), bundle.request("1", each.entryPoint, each.input...))
			if status.Code(err) != codes.Unavailable {
				t.Errorf("got %v", err)
			}
			bundle.client.Kill()
			if got := bundle.stderr.String(); !strings.Contains(got, each.stderr) {
				t.Errorf("standard error has %q", got)
			}
		})
	}
}

func TestTerminateLetsTasksEndAndTakesNoMore(t *testing.T) {
	bundle := launch(t)
	outcome := make(chan string, 2)
	go func() { outcome <- show(bundle.run(t, bundle.request("1", "waits"))) }()
	stubborn := bundle.request("2", "stubborn", at(0, "1"))
	go func() { outcome <- show(bundle.run(t, stubborn)) }()
	for range 2 {
		<-bundle.worker.logged
	}
	pid := bundle.client.ReattachConfig().Pid
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := <-outcome; got != "cancelled exited" {
		t.Errorf("got %s", got)
	}
	_, err := bundle.RunTask(context.Background(), bundle.request("3", "nothing"))
	checkRefusal(t, err, codes.FailedPrecondition, "SERVER_STOPPING",
		"The process of bundle 'go-test' is closed to new tasks; start another one.")
	if got := <-outcome; got != "succeeded" {
		t.Errorf("the stubborn task: %s", got)
	}
	bundle.client.Kill()
}

func TestTheManifestHasTheVersionOfTheBinary(t *testing.T) {
	bundle := launch(t)
	answer, err := bundle.GetManifest(context.Background(), &bundlepb.GetManifestRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := packing.VersionOf(testBinary)
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.GetManifest().GetBundleVersion(); got != want || len(got) != 32 {
		t.Errorf("version %s, want %s", got, want)
	}
	if got := answer.GetManifest().GetBundle(); got != "go-test" {
		t.Errorf("bundle %s", got)
	}
}

func TestManyTasksAtOnce(t *testing.T) {
	bundle := launch(t)
	var group sync.WaitGroup
	for number := range 200 {
		group.Add(1)
		go func() {
			defer group.Done()
			id := fmt.Sprint(number)
			if got := show(bundle.run(t, bundle.request(id, "scale", at(0, id), at(1, "2")))); got !=
				fmt.Sprintf("succeeded %d", 2*number) {
				t.Errorf("task %d: %s", number, got)
			}
			if got := show(bundle.run(t, bundle.request(id+"t", "transform"))); got != "succeeded" {
				t.Errorf("task %d: %s", number, got)
			}
		}()
	}
	group.Wait()
}

func BenchmarkRunTask(b *testing.B) {
	bundle := launch(b)
	var before, after syscall.Rusage
	for _, entryPoint := range []string{"nothing", "transform"} {
		b.Run(entryPoint, func(b *testing.B) {
			own := cpuOf(b, bundle.client.ReattachConfig().Pid)
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
			for number := range b.N {
				if _, err := bundle.RunTask(context.Background(), bundle.request(fmt.Sprint(number), entryPoint)); err != nil {
					b.Fatal(err)
				}
			}
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
			b.ReportMetric(float64(cpuOf(b, bundle.client.ReattachConfig().Pid)-own)/1e3/float64(b.N), "bundle-cpu-us/op")
			spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			b.ReportMetric(float64(spent)/1e3/float64(b.N), "worker-cpu-us/op")
		})
	}
}
