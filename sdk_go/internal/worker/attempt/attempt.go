// Package attempt is one attempt, from its lease to its acknowledged outcome. [LEASE-1] [FIN-1] [BYTES-1]
//
// Which attempts there are belongs to the worker; what an ended process means to package verdict.
package attempt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/uuid"
	"crosswind.dev/go/internal/worker/attemptlog"
	"crosswind.dev/go/internal/worker/calls"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/delivery"
	"crosswind.dev/go/internal/worker/executor"
	"crosswind.dev/go/internal/worker/logship"
	"crosswind.dev/go/internal/worker/masking"
	"crosswind.dev/go/internal/worker/verdict"
)

const (
	defaultCancelGrace = 10 * time.Second
	// Of the lease, before which a task is ended that must not run beside its successor.
	partitionMargin = 10
	envelopeBytes   = 64 * 1024
)

// Services are what attempts need of their worker.
type Services struct {
	// Calls go to the server.
	Calls *calls.Calls
	// Delivery takes outcomes.
	Delivery *delivery.Delivery
	// Shipper takes logs.
	Shipper *logship.Shipper
	// Memory bounds all logs together.
	Memory *attemptlog.Memory
	// InstanceID is the worker's.
	InstanceID string
	// Offerings find what runs tasks.
	Offerings executor.Offerings
	// NoteDelivering is called when an attempt has only its outcome left to deliver.
	NoteDelivering func()
	// Log is the worker's.
	Log *slog.Logger
}

// Attempt is one that this worker holds. It is the host of its task.
type Attempt struct {
	lease    *execpb.Lease
	services *Services
	masker   *masking.Masker
	log      *attemptlog.Log

	mu         sync.Mutex
	ending     verdict.Ending
	reason     string
	begun      context.CancelFunc // ends the start of the task's process, while that goes on
	task       executor.RunningTask
	taskEnded  bool
	context    *execpb.TaskContext
	executor   executor.Executor
	delivering bool
	killed     bool
	timers     map[string]*time.Timer
	finished   bool
}

// New takes a lease.
func New(lease *execpb.Lease, services *Services) *Attempt {
	masker := masking.New()
	return &Attempt{
		lease: lease, services: services, masker: masker, log: attemptlog.New(masker, services.Memory),
		context: &execpb.TaskContext{}, timers: map[string]*time.Timer{},
	}
}

// Ref names the attempt to the server.
func (a *Attempt) Ref() *execpb.AttemptRef { return a.lease.GetAttempt() }

// ID is the attempt's id.
func (a *Attempt) ID() string { return a.lease.GetAttempt().GetAttemptId() }

// Label is the attempt for people: DAG, run, task and try.
func (a *Attempt) Label() string {
	key := a.lease.GetTaskInstance()
	index := ""
	if key.MapIndex != nil {
		index = fmt.Sprintf("[%d]", key.GetMapIndex())
	}
	return fmt.Sprintf("%s %s %s%s (try %d)", key.GetDagId(), key.GetRunId(), key.GetTaskId(), index, a.lease.GetTryNumber())
}

// Ending is why the worker ends it before its time, if it does.
func (a *Attempt) Ending() verdict.Ending {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ending
}

// Delivering tells whether the task has ended and only its outcome is on its way.
func (a *Attempt) Delivering() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.delivering
}

// Run runs the attempt to its end. The error is a *refusal.Error, or ctx's.
func (a *Attempt) Run(ctx context.Context) error {
	defer a.stopTimers()
	begun, validUntil, err := a.begin(ctx)
	if err != nil || !begun {
		return err
	}
	outcome, usage, err := a.runTask(ctx, validUntil)
	if err != nil {
		return err
	}
	if outcome == nil {
		a.services.Log.Info(fmt.Sprintf("%s is dropped: %s.", a.Label(), a.Ending()))
		a.services.Shipper.Drop(a.ID())
		a.log.Close()
		return nil
	}
	return a.finish(ctx, outcome, usage)
}

// End ends the attempt before its time. The first ending counts, but a lost lease takes the place of any other. reason is
// more of it, for the task's log.
func (a *Attempt) End(ending verdict.Ending, reason string) {
	a.mu.Lock()
	if a.ending != verdict.None && (ending != verdict.Lost || a.ending == verdict.Lost) {
		a.mu.Unlock()
		return
	}
	a.ending, a.reason = ending, reason
	task, begun := a.task, a.begun
	if task == nil || a.taskEnded {
		a.mu.Unlock()
		if ending == verdict.Lost {
			a.services.Delivery.Drop(a.ID())
		}
		if begun != nil {
			begun() // it is seen where that is waited for
		}
		return
	}
	a.mu.Unlock()
	if ending == verdict.Lost {
		a.services.Delivery.Drop(a.ID())
	}
	a.endTask(task)
}

// Kill ends the task's process, whatever it does.
func (a *Attempt) Kill() {
	a.mu.Lock()
	task := a.task
	if task == nil || a.taskEnded {
		a.mu.Unlock()
		return
	}
	a.killed = true
	a.mu.Unlock()
	task.Kill()
}

// NoteLease takes note until when the lease is certainly valid.
func (a *Attempt) NoteLease(validUntil time.Time) {
	a.mu.Lock()
	applies := a.context.GetOnPartition() == manifestpb.PartitionPolicy_PARTITION_POLICY_KILL && a.task != nil && !a.taskEnded
	a.mu.Unlock()
	if applies {
		lease := a.services.Calls.Connection.Timing().GetLeaseDuration().AsDuration()
		a.setTimer("partition", time.Until(validUntil)-lease/partitionMargin, func() { a.End(verdict.Partition, "") })
	}
}

// endTask does what the ending asks of a running task.
func (a *Attempt) endTask(task executor.RunningTask) {
	a.mu.Lock()
	ending, reason := a.ending, a.reason
	grace := defaultCancelGrace
	if given := a.context.GetCancelGrace(); given != nil {
		grace = given.AsDuration()
	}
	a.mu.Unlock()
	if ending.Immediate() {
		// The one who obeys ends at once; the process of one that does not is killed.
		task.Terminate(0)
		a.Kill()
		return
	}
	if reason == "" {
		reason = ending.String()
	}
	a.log.WriteWorker(fmt.Sprintf("The worker ends the task: %s.", strings.TrimRight(reason, ".")), execpb.LogRecord_LEVEL_WARNING)
	task.Terminate(grace)
	a.setTimer("kill", grace, a.Kill)
}

// begin starts the attempt at the server. False: there is nothing to run.
func (a *Attempt) begin(ctx context.Context) (bool, time.Time, error) {
	asked := time.Now()
	request := &execpb.StartAttemptRequest{Attempt: a.Ref(), InstanceId: a.services.InstanceID}
	answer := &execpb.StartAttemptResponse{}
	err := a.services.Calls.Repeat(ctx, execpb.WorkerService_StartAttempt_FullMethodName, request, answer)
	if problem := connection.AsCallError(err); problem != nil {
		switch problem.Reason {
		case "ATTEMPT_CANCELLING":
			return false, asked, a.finish(ctx, verdict.Cancelled("exited"), nil)
		case "STALE_LEASE", "UNKNOWN_ATTEMPT":
			a.services.Log.Info(fmt.Sprintf("%s is dropped, its lease is not valid any more.", a.Label()))
		default:
			a.services.Log.Error(fmt.Sprintf("%s is dropped, the server refuses to start it: %v", a.Label(), problem))
		}
		return false, asked, nil
	}
	if err != nil {
		return false, asked, err
	}
	a.mu.Lock()
	a.context = answer.GetContext()
	a.mu.Unlock()
	for _, variable := range answer.GetContext().GetVariables() {
		a.masker.AddVariable(variable)
	}
	for _, found := range answer.GetContext().GetConnections() {
		a.masker.AddConnection(found)
	}
	return true, asked.Add(answer.GetLeaseDuration().AsDuration()), nil
}

// runTask runs the task's code. A nil outcome: its lease is lost, so that there is nothing to tell.
func (a *Attempt) runTask(
	ctx context.Context, validUntil time.Time,
) (*execpb.Outcome, *execpb.ResourceUsage, error) {
	task, gone, err := a.start(ctx)
	switch {
	case err != nil:
		return nil, nil, err
	case gone != nil:
		return verdict.BundleBroken(gone, a.masker.Mask(gone.StderrTail)), nil, nil
	case task == nil:
		if a.Ending() == verdict.Cancel {
			return verdict.Cancelled("exited"), nil, nil
		}
		return nil, nil, nil
	}
	if timeout := a.context.GetExecutionTimeout(); timeout != nil {
		a.setTimer("timeout", timeout.AsDuration(), func() { a.End(verdict.Timeout, "") })
	}
	a.NoteLease(validUntil)
	select {
	case <-task.Done():
	case <-ctx.Done():
		task.Kill()
		return nil, nil, ctx.Err()
	}
	end := task.End()
	a.mu.Lock()
	a.taskEnded = true
	ending, killed := a.ending, a.killed
	a.mu.Unlock()
	var usage *execpb.ResourceUsage
	if end.Usage != nil {
		usage = &execpb.ResourceUsage{CpuTime: durationpb.New(end.Usage.CPU), MaxMemoryBytes: end.Usage.MaxMemory}
	}
	a.log.EndLines()
	tail := a.log.StderrTail()
	if tail == "" {
		tail = a.masker.Mask(end.StderrTail)
	}
	return verdict.Judge(end, ending, a.context, killed, tail), usage, nil
}

// start has the task's process run it. No task and no error: it was ended before.
func (a *Attempt) start(ctx context.Context) (executor.RunningTask, *executor.GoneError, error) {
	found, err := a.services.Offerings.FindExecutor(a.lease.GetBundle(), a.lease.GetBundleVersion())
	if gone := asGone(err); gone != nil {
		return nil, gone, nil
	}
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	a.mu.Lock()
	a.executor = found
	if a.ending != verdict.None {
		a.mu.Unlock()
		return nil, nil, nil
	}
	a.begun = cancel
	a.mu.Unlock()
	limit := a.services.Calls.Connection.Limits().GetMaxInlineValueBytes()
	task, err := found.Start(starting, a.context, limit, a)
	a.mu.Lock()
	a.begun = nil
	ended := a.ending != verdict.None
	if err == nil {
		a.task = task
	}
	a.mu.Unlock()
	switch gone := asGone(err); {
	case ctx.Err() != nil && err != nil:
		return nil, nil, ctx.Err()
	case err != nil && ended:
		return nil, nil, nil
	case gone != nil:
		return nil, gone, nil
	case err != nil:
		return nil, &executor.GoneError{Sentence: fmt.Sprintf("The task could not be started: %v.", err)}, nil
	}
	a.services.Shipper.Add(a.Ref(), a.log)
	if ended {
		a.endTask(task)
	}
	return task, nil, nil
}

func (a *Attempt) finish(ctx context.Context, outcome *execpb.Outcome, usage *execpb.ResourceUsage) error {
	if failure := outcome.GetFailed().GetFailure(); failure != nil {
		a.masker.MaskFailure(failure)
		if strings.HasPrefix(failure.GetType(), "crosswind.") {
			a.log.WriteWorker(failure.GetMessage(), execpb.LogRecord_LEVEL_ERROR)
		}
	} else if skipped := outcome.GetSkipped(); skipped != nil {
		skipped.Reason = a.masker.Mask(skipped.GetReason())
	}
	a.log.End()
	request := &execpb.FinishAttemptRequest{
		Attempt: a.Ref(), OutcomeId: uuid.New(), Outcome: outcome, Usage: usage, EndTime: timestamppb.Now(),
	}
	limit := int(a.services.Calls.Connection.Limits().GetMaxMessageBytes())
	if size := proto.Size(request); size > limit-envelopeBytes {
		request.Outcome = delivery.ValueTooLarge(size, limit)
	}
	room := limit - envelopeBytes - proto.Size(request)
	for _, chunk := range a.log.Chunks() {
		if room -= len(chunk.GetData()) + 64; room < 0 {
			break
		}
		request.LogChunks = append(request.LogChunks, chunk)
	}
	a.mu.Lock()
	a.delivering = true
	a.mu.Unlock()
	a.services.NoteDelivering()
	answer, err := a.services.Delivery.Deliver(ctx, request)
	if err != nil {
		return err
	}
	if answer == nil {
		a.services.Shipper.Drop(a.ID())
		a.log.Close()
		return nil
	}
	a.log.Acknowledge(answer.GetNextLogSequence())
	a.services.Shipper.Discharge(a.ID())
	return nil
}

func (a *Attempt) setTimer(name string, delay time.Duration, action func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.finished {
		return
	}
	if old := a.timers[name]; old != nil {
		old.Stop()
	}
	a.timers[name] = time.AfterFunc(max(0, delay), action)
}

func (a *Attempt) stopTimers() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.finished = true
	for _, timer := range a.timers {
		timer.Stop()
	}
}

func asGone(err error) *executor.GoneError {
	var gone *executor.GoneError
	if errors.As(err, &gone) {
		return gone
	}
	return nil
}
