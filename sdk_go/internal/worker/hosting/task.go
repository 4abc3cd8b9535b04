package hosting

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	"crosswind.dev/go/internal/worker/executor"
)

// Before a task that was not found is asked again to end.
const cancelDelay = 10 * time.Millisecond

// task is one in a bundle's process. It implements executor.RunningTask.
type task struct {
	process   atomic.Pointer[process]
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
	t.process.Load().close()
}

func (t *task) run() {
	defer close(t.done)
	p, err := t.call()
	if err != nil {
		t.end = p.judge(err)
	}
	p.version.services.Callback.Dismiss(t.key)
	if !p.alone {
		p.leave(t)
		return
	}
	// Its end is part of the task's, and so is what it used.
	p.end(false)
	<-p.runner.drained
	if exit := p.runner.child.Exit(); exit.Known {
		t.end.Usage = &executor.Usage{CPU: exit.CPU, MaxMemory: exit.MaxMemory}
	}
}

// call has the process run the task, and answers which one did. One that had ended by then, without a word of this task,
// gives its place to another.
func (t *task) call() (*process, error) {
	for tries := 1; ; tries++ {
		p := t.process.Load()
		var reached peer.Peer
		response, err := p.bundle.RunTask(context.Background(), t.request, grpc.Peer(&reached))
		if err == nil {
			t.end.Response = response
			return p, nil
		}
		if status.Code(err) != codes.Unavailable {
			return p, err
		}
		p.fail()
		if reached.Addr != nil || p.alone || t.condemned.Load() || tries == startTries {
			return p, err
		}
		if p.version.find(context.Background(), t) != nil {
			return p, err
		}
		p.leave(t)
		found := t.process.Load()
		t.host.Masker().Lead(found.masker)
		if t.condemned.Load() {
			found.close()
		}
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
		answer, err := t.process.Load().bundle.CancelTask(ctx, request)
		stop()
		if err == nil && answer.GetRunning() {
			return
		}
		select {
		case <-t.done:
			return
		case <-time.After(min(delay, time.Second)):
		}
	}
}
