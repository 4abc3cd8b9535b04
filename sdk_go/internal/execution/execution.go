// Package execution runs one attempt of a task: inputs in, the author's function, the outcome out. How the request came,
// and how the task reaches its worker, is not known here.
package execution

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"crosswind.dev/go/internal/callback"
	"crosswind.dev/go/internal/function"
	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/registry"
	"crosswind.dev/go/internal/value"
	"crosswind.dev/go/sdk"
)

// Attempt is what an attempt is made of.
type Attempt struct {
	Entry *registry.EntryPoint
	// Task is what the server says of it.
	Task *executionpb.TaskContext
	// Client answers its questions, and reads inputs that are too large to ride along.
	Client *callback.Client
	// Logger writes its log.
	Logger *slog.Logger
	// MaxValueBytes bounds its result.
	MaxValueBytes int
}

// Run runs an attempt to its end; it never fails and never panics: whatever happens is the outcome. The context is
// cancelled with a cause, sdk.ErrCancelled, when the attempt is to end.
func Run(ctx context.Context, attempt *Attempt) *executionpb.Outcome {
	if limit := attempt.Task.GetExecutionTimeout(); limit != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit.AsDuration(), sdk.ErrTimeout)
		defer cancel()
	}
	runner := &runner{Attempt: attempt, ctx: ctx}
	ended := make(chan *executionpb.Outcome, 1)
	// In a goroutine of its own, so that a runtime.Goexit ends this one and nothing of ours.
	go func() {
		var outcome *executionpb.Outcome
		finished := false
		defer func() {
			if finished {
				ended <- outcome
				return
			}
			if thrown := recover(); thrown != nil {
				ended <- runner.panicked(thrown)
			} else {
				ended <- runner.report(&executionpb.Failure{
					Type:    "runtime.Goexit",
					Message: "The task ended its goroutine with runtime.Goexit, as FailNow of a test does; return an error",
				})
			}
		}()
		outcome = runner.run()
		finished = true
	}()
	return <-ended
}

type runner struct {
	*Attempt
	ctx context.Context
}

func (r *runner) run() *executionpb.Outcome {
	called := r.Entry.Function
	arguments, err := r.arguments(called)
	if err != nil {
		return r.inputRefused(err)
	}
	results := called.Func.Call(arguments)
	if called.ReturnsError {
		if returned, _ := results[len(results)-1].Interface().(error); returned != nil {
			return r.failed(returned)
		}
	}
	if called.Result == nil {
		return succeeded(nil)
	}
	return r.returned(results[0])
}

// returned is the outcome of a task that returned a value.
func (r *runner) returned(result reflect.Value) *executionpb.Outcome {
	what := fmt.Sprintf("The result of task '%s'", r.Task.GetTaskInstance().GetTaskId())
	payload, size, err := value.Result(result)
	if err != nil {
		return r.report(systemFailure("ValueNotEncodable", false, "%s %v.", what, err))
	}
	if problem := value.TooLarge(size, r.MaxValueBytes); problem != "" {
		return r.report(systemFailure("ValueTooLarge", false, "%s %s.", what, problem))
	}
	return succeeded(&executionpb.Succeeded{Result: payload})
}

// failed is the outcome of a task that returned an error.
func (r *runner) failed(err error) *executionpb.Outcome {
	if outcome := r.ended(err); outcome != nil {
		return outcome
	}
	var skip *sdk.SkipError
	if errors.As(err, &skip) {
		r.Logger.Info("Skipped: " + skip.Reason)
		return &executionpb.Outcome{Kind: &executionpb.Outcome_Skipped{
			Skipped: &executionpb.Skipped{Reason: callback.Cut(skip.Reason, maxMessageBytes)},
		}}
	}
	var oversize *sdk.CallError
	if errors.As(err, &oversize) && oversize.Reason == "VALUE_TOO_LARGE" {
		return r.report(systemFailure("ValueTooLarge", false, "%s.", capitalize(oversize.Message)))
	}
	return r.report(makeFailure(err))
}

// ended is the outcome of an attempt that was to end, whatever its error says. Nil: it was not.
func (r *runner) ended(err error) *executionpb.Outcome {
	cause := context.Cause(r.ctx)
	switch {
	case errors.Is(cause, sdk.ErrTimeout):
		limit := r.Task.GetExecutionTimeout().AsDuration()
		return r.report(systemFailure("ExecutionTimeout", true,
			"The task ran longer than its execution timeout of %g s and ended with: %v.", limit.Seconds(), err))
	case cause != nil, errors.Is(err, sdk.ErrCancelled):
		r.Logger.Warn("The task was cancelled and has ended", "error", err)
		return &executionpb.Outcome{Kind: &executionpb.Outcome_Cancelled{Cancelled: &executionpb.Cancelled{How: "exited"}}}
	}
	return nil
}

func (r *runner) panicked(thrown any) *executionpb.Outcome {
	failure, trace := panicFailure(thrown)
	if err, is := thrown.(error); is {
		if outcome := r.ended(err); outcome != nil && errors.Is(err, sdk.ErrCancelled) {
			return outcome
		}
	}
	r.Logger.Error(failure.GetMessage() + "\n" + trace)
	return failedOutcome(failure)
}

func (r *runner) inputRefused(err error) *executionpb.Outcome {
	var call *sdk.CallError
	if errors.As(err, &call) || context.Cause(r.ctx) != nil {
		return r.failed(err)
	}
	retryable := !errors.Is(err, errBinding)
	return r.report(systemFailure("InputNotReadable", retryable, "Task '%s': %v.", r.Task.GetTaskInstance().GetTaskId(), err))
}

// report is a failed outcome, which the task's log tells too.
func (r *runner) report(failure *executionpb.Failure) *executionpb.Outcome {
	r.Logger.Error(failure.GetType() + ": " + failure.GetMessage())
	return failedOutcome(failure)
}

// arguments are the values for calling a function.
func (r *runner) arguments(called *function.Function) ([]reflect.Value, error) {
	inputs := binding{runner: r, function: called}
	if err := inputs.bind(); err != nil {
		return nil, err
	}
	arguments := make([]reflect.Value, 0, len(called.Parameters)+len(inputs.rest))
	next := 0
	for _, parameter := range called.Parameters {
		switch parameter.Role {
		case function.Context:
			arguments = append(arguments, reflect.ValueOf(r.ctx))
		case function.Logger:
			arguments = append(arguments, reflect.ValueOf(r.Logger))
		case function.Client:
			arguments = append(arguments, reflect.ValueOf(r.Client))
		case function.Info:
			info, err := r.info()
			if err != nil {
				return nil, err
			}
			arguments = append(arguments, reflect.ValueOf(info))
		case function.Tagged:
			arguments = append(arguments, inputs.structure(parameter.Type))
		default:
			if next < len(inputs.values) {
				arguments = append(arguments, inputs.values[next])
			}
			next++
		}
	}
	return append(arguments, inputs.rest...), nil
}

// info is what the task knows of itself.
func (r *runner) info() (sdk.TaskInfo, error) {
	key, run := r.Task.GetTaskInstance(), r.Task.GetRun()
	conf, err := callback.ParamsOf(run.GetConf())
	if err != nil {
		return sdk.TaskInfo{}, fmt.Errorf("the conf of run '%s' %w", key.GetRunId(), err)
	}
	params := make(sdk.Params, len(conf)+len(r.Entry.Defaults))
	for name, data := range r.Entry.Defaults {
		params[name] = data
	}
	for name, data := range conf {
		params[name] = data
	}
	mapIndex := -1
	if key.MapIndex != nil {
		mapIndex = int(key.GetMapIndex())
	}
	return sdk.TaskInfo{
		DagID:             key.GetDagId(),
		RunID:             key.GetRunId(),
		TaskID:            key.GetTaskId(),
		MapIndex:          mapIndex,
		TryNumber:         int(r.Task.GetTryNumber()),
		MaxTries:          int(r.Task.GetMaxTries()),
		AttemptID:         r.Task.GetAttemptId(),
		Bundle:            r.Task.GetBundle(),
		BundleVersion:     r.Task.GetBundleVersion(),
		RunType:           run.GetRunType(),
		LogicalTime:       callback.TimeOf(run.GetLogicalTime()),
		DataIntervalStart: callback.TimeOf(run.GetDataIntervalStartTime()),
		DataIntervalEnd:   callback.TimeOf(run.GetDataIntervalEndTime()),
		Conf:              conf,
		Params:            params,
	}, nil
}

func succeeded(with *executionpb.Succeeded) *executionpb.Outcome {
	if with == nil {
		with = &executionpb.Succeeded{}
	}
	return &executionpb.Outcome{Kind: &executionpb.Outcome_Succeeded{Succeeded: with}}
}

func failedOutcome(failure *executionpb.Failure) *executionpb.Outcome {
	return &executionpb.Outcome{Kind: &executionpb.Outcome_Failed{Failed: &executionpb.Failed{Failure: failure}}}
}

// Deadline is how long calls that the runtime makes for a task may wait where the task itself has no bound.
const Deadline = time.Minute
