// Package verdict is what the end of a task means: pure decisions from how it ended to the attempt's outcome.
//
// Sending the outcome belongs to package attempt; mapping errors of Go to outcomes happens in the bundle.
package verdict

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/executor"
)

// Ending is why a worker ends an attempt before its time.
type Ending int

// The endings.
const (
	None Ending = iota
	Cancel
	Timeout
	Stop
	Lost
	Partition
)

// String says why, for people; without a full stop.
func (e Ending) String() string {
	switch e {
	case Cancel:
		return "it was cancelled"
	case Timeout:
		return "it ran longer than its execution timeout"
	case Stop:
		return "the worker stops"
	case Lost:
		return "its lease is not valid any more"
	case Partition:
		return "the server could not be reached before its lease could expire, and its policy is to be killed then"
	default:
		return "it ended by itself"
	}
}

// Immediate tells whether the task gets no time to clean up: another one may be running already.
func (e Ending) Immediate() bool { return e == Lost || e == Partition }

// Judge decides an attempt's outcome. killed says whether the worker killed it, stderrTail is the last of its standard
// error, masked. Nil: the attempt is not this worker's any more, or is to be given to another.
func Judge(
	end executor.TaskEnd, ending Ending, context *execpb.TaskContext, killed bool, stderrTail string,
) *execpb.Outcome {
	if ending.Immediate() {
		return nil
	}
	outcome := end.Response.GetOutcome()
	// A newer bundle may end in a way that this worker does not know, and the server does. [VER-1]
	if outcome.GetKind() == nil && len(outcome.ProtoReflect().GetUnknown()) == 0 {
		outcome = nil
	}
	switch {
	case ending == Cancel:
		how := "exited"
		if killed {
			how = "killed"
		} else if end.SignalName != "" {
			how = "terminated"
		}
		return Cancelled(how)
	case (ending == Stop || ending == Timeout) && outcome.GetSucceeded() != nil:
		return outcome // done before it could be ended
	case ending == Stop:
		return nil
	case ending == Timeout:
		limit := strconv.FormatFloat(context.GetExecutionTimeout().AsDuration().Seconds(), 'g', -1, 64)
		how := ""
		if killed {
			how = " and had to be killed"
		}
		return failed("crosswind.ExecutionTimeout",
			fmt.Sprintf("The task ran longer than its execution timeout of %s s%s.", limit, how))
	case outcome != nil:
		return outcome
	case end.Refusal != nil:
		kind := "crosswind.BundleBroken"
		switch end.Refusal.Reason {
		case "VALUE_TOO_LARGE":
			kind = "crosswind.ValueTooLarge"
		case "TASK_NOT_FOUND":
			kind = "crosswind.EntryPointMissing"
		}
		refused := failed(kind, end.Refusal.Message)
		refused.GetFailed().Failure.Retryable = proto.Bool(false)
		return refused
	}
	return died(end, stderrTail)
}

// Cancelled is the outcome of a cancelled attempt. how is "exited", "terminated" or "killed".
func Cancelled(how string) *execpb.Outcome {
	return &execpb.Outcome{Kind: &execpb.Outcome_Cancelled{Cancelled: &execpb.Cancelled{How: how}}}
}

// BundleBroken is the outcome of an attempt whose code could not be started. stderrTail is masked.
func BundleBroken(gone *executor.GoneError, stderrTail string) *execpb.Outcome {
	outcome := failed("crosswind.BundleBroken", gone.Sentence)
	if gone.ExitCode != nil || gone.SignalName != "" || stderrTail != "" {
		outcome.GetFailed().Failure.Exit = &execpb.Failure_ProcessExit{
			Code: gone.ExitCode, Signal: gone.SignalName, StderrTail: stderrTail,
		}
	}
	return outcome
}

func died(end executor.TaskEnd, stderrTail string) *execpb.Outcome {
	what := "The task's process ended before the task had"
	switch {
	case end.SignalName != "":
		what = "The task's process was ended by " + end.SignalName
		if end.SignalName == "SIGKILL" {
			what += ", as the kernel does when memory runs out, or somebody by hand"
		}
	case end.ExitCode != nil:
		what = fmt.Sprintf("The task's process exited with code %d before the task had ended", *end.ExitCode)
	}
	message := what + "."
	if end.Detail != "" {
		message += " " + end.Detail
	}
	outcome := failed("crosswind.ProcessDied", message)
	outcome.GetFailed().Failure.Exit = &execpb.Failure_ProcessExit{
		Code: end.ExitCode, Signal: end.SignalName, StderrTail: stderrTail,
	}
	return outcome
}

func failed(kind, message string) *execpb.Outcome {
	failure := &execpb.Failure{Type: kind, Message: message}
	return &execpb.Outcome{Kind: &execpb.Outcome_Failed{Failed: &execpb.Failed{Failure: failure}}}
}
