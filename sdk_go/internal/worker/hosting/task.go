package hosting

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	"crosswind.dev/go/internal/worker/executor"
)

// Before a task that was not found is asked again to end.
const cancelDelay = 10 * time.Millisecond

// task is one in a bundle's process. It implements executor.RunningTask.
type task struct {
	process   *process
	request   *bundlepb.RunTaskRequest
	host      executor.TaskHost
	key       string
	condemned atomic.Bool
	done      chan struct{}
	end       executor.TaskEnd
}

// Done implements executor.RunningTask.
func (t *task) Done() <-chan struct{} { return t.done }

// End implements executor.RunningTask.
func (t *task) End() executor.TaskEnd { return t.end }

// Terminate implements executor.RunningTask.
func (t *task) Terminate(grace time.Duration) { go t.cancel(grace) }

// Kill implements executor.RunningTask. The process is closed to new tasks, and killed when the others have ended.
func (t *task) Kill() {
	t.condemned.Store(true)
	t.process.close()
}

func (t *task) run() {
	defer close(t.done)
	response, err := t.process.bundle.RunTask(context.Background(), t.request)
	if err == nil {
		t.end.Response = response
	} else {
		t.end = t.process.judge(err)
	}
	t.process.version.services.Callback.Dismiss(t.key)
	if !t.process.alone {
		t.process.leave(t)
		return
	}
	// Its end is part of the task's, and so is what it used.
	t.process.end(false)
	<-t.process.runner.drained
	if exit := t.process.runner.child.Exit(); exit.Known {
		t.end.Usage = &executor.Usage{CPU: exit.CPU, MaxMemory: exit.MaxMemory}
	}
}

// cancel asks the task to end, again while its request has not arrived. One that cannot be asked is killed after its
// grace, or gone.
func (t *task) cancel(grace time.Duration) {
	request := &bundlepb.CancelTaskRequest{
		AttemptId: t.request.GetContext().GetAttemptId(), Grace: durationpb.New(grace),
	}
	for delay := cancelDelay; ; delay *= 2 {
		ctx, stop := context.WithTimeout(context.Background(), callTimeout)
		answer, err := t.process.bundle.CancelTask(ctx, request)
		stop()
		if err == nil && answer.GetRunning() {
			return
		}
		select {
		case <-t.done:
			return
		case <-t.process.runner.child.Done():
			return
		case <-time.After(min(delay, time.Second)):
		}
	}
}
