package verdict

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"google.golang.org/grpc/codes"

	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/executor"
)

func TestJudge(t *testing.T) {
	succeeded := &execpb.Outcome{Kind: &execpb.Outcome_Succeeded{Succeeded: &execpb.Succeeded{}}}
	told := &execpb.Outcome{Kind: &execpb.Outcome_Failed{Failed: &execpb.Failed{Failure: &execpb.Failure{Type: "*errors.errorString"}}}}
	done := executor.TaskEnd{Response: &bundlepb.RunTaskResponse{Outcome: succeeded}}
	failed := executor.TaskEnd{Response: &bundlepb.RunTaskResponse{Outcome: told}}
	newer := &execpb.Outcome{}
	if err := proto.Unmarshal([]byte("\xa2\x06\x02hi"), newer); err != nil { // field 100
		t.Fatal(err)
	}
	code := int32(3)
	tests := map[string]struct {
		end    executor.TaskEnd
		ending Ending
		killed bool
		kind   string // of a failure
		how    string // of a cancel
		want   *execpb.Outcome
		text   string
	}{
		"it ended by itself":             {end: done, want: succeeded},
		"it failed by itself":            {end: failed, want: told},
		"a kind that only others know":   {end: executor.TaskEnd{Response: &bundlepb.RunTaskResponse{Outcome: newer}}, want: newer},
		"a lost lease tells nothing":     {end: done, ending: Lost},
		"a partition tells nothing":      {end: done, ending: Partition},
		"a cancel wins over a success":   {end: done, ending: Cancel, how: "exited"},
		"a cancel that killed":           {end: executor.TaskEnd{SignalName: "SIGKILL"}, ending: Cancel, killed: true, how: "killed"},
		"a cancel that ended it":         {end: executor.TaskEnd{SignalName: "SIGTERM"}, ending: Cancel, how: "terminated"},
		"done before it could be ended":  {end: done, ending: Stop, want: succeeded},
		"done before the timeout":        {end: done, ending: Timeout, want: succeeded},
		"a stop gives it to others":      {end: failed, ending: Stop},
		"a timeout":                      {end: failed, ending: Timeout, kind: "crosswind.ExecutionTimeout", text: "The task ran longer than its execution timeout of 1.5 s."},
		"a timeout that killed":          {ending: Timeout, killed: true, kind: "crosswind.ExecutionTimeout", text: "The task ran longer than its execution timeout of 1.5 s and had to be killed."},
		"an exit":                        {end: executor.TaskEnd{ExitCode: &code}, kind: "crosswind.ProcessDied", text: "The task's process exited with code 3 before the task had ended."},
		"a signal":                       {end: executor.TaskEnd{SignalName: "SIGSEGV", Detail: "So it was."}, kind: "crosswind.ProcessDied", text: "The task's process was ended by SIGSEGV. So it was."},
		"an answer without an outcome":   {end: executor.TaskEnd{Response: &bundlepb.RunTaskResponse{}}, kind: "crosswind.ProcessDied", text: "The task's process ended before the task had."},
		"no such entry point":            {end: executor.TaskEnd{Refusal: connection.NewCallError(codes.NotFound, "TASK_NOT_FOUND", "No.")}, kind: "crosswind.EntryPointMissing", text: "No."},
		"another refusal of the process": {end: executor.TaskEnd{Refusal: connection.NewCallError(codes.Unimplemented, "", "What?")}, kind: "crosswind.BundleBroken", text: "What?"},
	}
	context := &execpb.TaskContext{ExecutionTimeout: durationpb.New(1500 * time.Millisecond)}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Judge(test.end, test.ending, context, test.killed, "the tail")
			failure := got.GetFailed().GetFailure()
			switch {
			case test.kind != "":
				if failure.GetType() != test.kind || failure.GetMessage() != test.text {
					t.Errorf("got %v", got)
				}
				if test.kind == "crosswind.ProcessDied" && failure.GetExit().GetStderrTail() != "the tail" {
					t.Errorf("got %v", failure.GetExit())
				}
			case test.how != "":
				if got.GetCancelled().GetHow() != test.how {
					t.Errorf("got %v", got)
				}
			case !proto.Equal(got, test.want):
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestBrokenBundleTellsHowItsProcessEnded(t *testing.T) {
	code := int32(2)
	failure := BundleBroken(&executor.GoneError{Sentence: "It is broken.", ExitCode: &code}, "last words").GetFailed().GetFailure()
	if failure.GetType() != "crosswind.BundleBroken" || failure.GetMessage() != "It is broken." ||
		failure.GetExit().GetCode() != 2 || failure.GetExit().GetStderrTail() != "last words" {
		t.Errorf("got %v", failure)
	}
}
