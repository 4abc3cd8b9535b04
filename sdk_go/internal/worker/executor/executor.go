// Package executor is the seam between an attempt and what runs its task.
//
// Here belong the interfaces of both sides. What runs tasks in processes of bundles is package hosting; which bundles
// there are is package offering.
package executor

import (
	"context"
	"time"

	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/masking"
)

// GoneError says why nothing runs tasks of a version of a bundle, in a sentence.
type GoneError struct {
	// Sentence is for people.
	Sentence string
	// StderrTail is the last of what its process wrote, not masked.
	StderrTail string
	// ExitCode of that process. Nil: it did not exit by itself.
	ExitCode *int32
	// SignalName that ended it. Empty: none did.
	SignalName string
}

// Error implements error.
func (e *GoneError) Error() string { return e.Sentence }

// TaskEnd is how a task's code ended.
type TaskEnd struct {
	// Response of the bundle. Nil: its process ended without one.
	Response *bundlepb.RunTaskResponse
	// Refusal is why the process could not run the task at all.
	Refusal *connection.CallError
	// ExitCode of the process. Nil: it goes on, a signal ended it, or it is not known.
	ExitCode *int32
	// SignalName is the signal that ended the process, such as SIGKILL; empty otherwise.
	SignalName string
	// Detail is what else is known of an end without a response, in a sentence.
	Detail string
	// StderrTail is the last of the process's standard error, not masked.
	StderrTail string
	// Usage of a process that ran this task alone. Nil: not known.
	Usage *Usage
}

// Usage is what a process used.
type Usage struct {
	// CPU is the time of the user and of the system.
	CPU time.Duration
	// MaxMemory is the most resident memory, in bytes.
	MaxMemory int64
}

// TaskHost is what a running task reaches: its attempt. Several goroutines may call it at once.
type TaskHost interface {
	// Forward calls TaskService of the server for the task. The error is a *connection.CallError, or ctx's.
	Forward(ctx context.Context, method string, request []byte) ([]byte, error)
	// WriteLogs takes records of the task's log.
	WriteLogs(records []*execpb.LogRecord)
	// WriteOutput takes raw output of a process that runs this task alone, cut anywhere.
	WriteOutput(source execpb.LogRecord_Source, data []byte)
	// Masker knows the task's secrets.
	Masker() *masking.Masker
}

// RunningTask is a task that has been started.
type RunningTask interface {
	// Done is closed when the task has ended, and all that it wrote has been handed over.
	Done() <-chan struct{}
	// End is how it ended, once Done is closed.
	End() TaskEnd
	// Terminate asks the task to end. grace is how long it has.
	Terminate(grace time.Duration)
	// Kill ends the task; where others share its process, as soon as they have ended.
	Kill()
}

// Executor runs tasks of one version of a bundle.
type Executor interface {
	// APIVersions are those in which the bundle's tasks can speak, their own first.
	APIVersions() []string
	// Start starts a task. The error is a *GoneError, or ctx's.
	Start(ctx context.Context, task *execpb.TaskContext, maxInlineValueBytes int32, host TaskHost) (RunningTask, error)
}

// Offerings are the versions of bundles that a worker can run now.
type Offerings interface {
	// Manifests of every version that is offered; of one bundle the newest last. They are not to be changed.
	Manifests() []*manifestpb.Manifest
	// TakeObserved answers the version of each bundle to which its source was seen to change since this was last asked.
	// What a worker starts with is no change. [WORKER-1]
	TakeObserved() map[string]string
	// FindExecutor finds what runs tasks of a version. The error is a *GoneError.
	FindExecutor(bundle, version string) (Executor, error)
	// Retire takes note that no run needs a version any more. The newest of a bundle is kept all the same.
	Retire(bundle, version string)
	// Warm starts what the newest versions need before there is a task, now and whenever there is a new one.
	Warm()
	// Sweep ends what is retired and has no tasks; called when a task has ended.
	Sweep()
	// Changed holds one value where Manifests answers something new.
	Changed() <-chan struct{}
	// Run keeps the offerings up to date until ctx ends.
	Run(ctx context.Context)
	// Close ends every process of the bundles.
	Close()
}
