package hosting

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"crosswind.dev/go/internal/curve"
	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/packing"
	"crosswind.dev/go/internal/worker/callback"
	"crosswind.dev/go/internal/worker/executor"
	"crosswind.dev/go/internal/worker/guard"
	"crosswind.dev/go/internal/worker/negotiation"
)

// How long the process of a version that is not current is kept for another task.
const idlePatience = 30 * time.Second

// How often a task looks for a process that takes it.
const startTries = 10

// Services are what hosting needs of its worker.
type Services struct {
	// Callback serves the tasks.
	Callback *callback.Server
	// RunFolder holds sockets; it is the user's alone, and its path is short.
	RunFolder string
	// StartTimeout is how long a process may take until it is ready.
	StartTimeout time.Duration
	// PluginVersions are those that the worker speaks. Empty: that of package plugin.
	PluginVersions []int
	// Log is the worker's, BundleLog takes what bundles print.
	Log, BundleLog *slog.Logger

	mu    sync.Mutex
	guard *guard.Guard
	ended bool
}

// findGuard answers the guard, or starts one.
func (s *Services) findGuard() (*guard.Guard, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, guard.ErrGone
	}
	if s.guard != nil {
		select {
		case <-s.guard.Gone():
			s.Log.Error("The guard of the bundles' processes has ended, and they with it; another one is started.")
		default:
			return s.guard, nil
		}
	}
	started, err := guard.Start()
	if err != nil {
		return nil, err
	}
	started.RemoveAtEnd(s.RunFolder)
	s.guard = started
	return started, nil
}

// Open starts the guard, so that nothing outlives the worker from here on, and does what the first start of a process
// would have to wait for.
func (s *Services) Open() error {
	go curve.WarmUp()
	_, err := s.findGuard()
	return err
}

// Close ends every process; it returns when they are gone.
func (s *Services) Close() {
	s.mu.Lock()
	s.ended = true
	found := s.guard
	s.mu.Unlock()
	if found != nil {
		found.Close()
	}
	s.Callback.Close()
}

// Version is a version of a bundle with its processes. It implements executor.Executor.
type Version struct {
	services *Services
	source   *packing.Packed

	mu        sync.Mutex
	shared    *process
	starting  *starting
	processes map[*process]struct{}
	tasks     int
	current   bool
	ended     bool
	idle      *time.Timer
}

// starting is a process on its way, for which several tasks may wait.
type starting struct {
	done chan struct{}
	err  error
}

// NewVersion hosts a packed bundle. Its file is the worker's own; no process is started before Warm or a task.
func NewVersion(source *packing.Packed, services *Services) *Version {
	return &Version{source: source, services: services, processes: map[*process]struct{}{}, current: true}
}

// Name is the bundle's.
func (v *Version) Name() string { return v.source.Manifest.GetBundle() }

// Short is the version for people.
func (v *Version) Short() string {
	version := v.source.Manifest.GetBundleVersion()
	return version[:min(8, len(version))]
}

// Manifest is what the bundle holds.
func (v *Version) Manifest() *manifestpb.Manifest { return v.source.Manifest }

// Path is the worker's copy of the bundle's file.
func (v *Version) Path() string { return v.source.Path }

// APIVersions implements executor.Executor.
func (v *Version) APIVersions() []string { return negotiation.SpokenBy(v.source.Manifest) }

func (v *Version) isEnded() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ended
}

// TaskCount is how many tasks it has, those on their way included.
func (v *Version) TaskCount() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.tasks
}

// SetCurrent says whether new runs begin with this version. The process of one that is not ends when it has had no task
// for a while.
func (v *Version) SetCurrent(current bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.current = current
	v.watchIdle()
}

// Start implements executor.Executor.
func (v *Version) Start(
	ctx context.Context, given *execpb.TaskContext, maxInlineValueBytes int32, host executor.TaskHost,
) (executor.RunningTask, error) {
	each := &task{
		request: &bundlepb.RunTaskRequest{Context: given, MaxInlineValueBytes: maxInlineValueBytes},
		host:    host,
		done:    make(chan struct{}),
	}
	v.mu.Lock()
	v.tasks++
	v.mu.Unlock()
	err := v.find(ctx, each)
	if err != nil {
		v.note(-1)
		return nil, err
	}
	go func() {
		<-each.done
		v.note(-1)
	}()
	each.process.Load().begin(each)
	return each, nil
}

// find gives a task a process.
func (v *Version) find(ctx context.Context, each *task) error {
	given := each.request.GetContext()
	if isAlone(given.GetIsolation(), given.GetOnPartition()) {
		started, err := v.launch(ctx, each.host)
		if err != nil {
			return err
		}
		started.take(each)
		return nil
	}
	for range startTries {
		v.mu.Lock()
		shared, way := v.shared, v.starting
		if shared == nil && way == nil {
			way = &starting{done: make(chan struct{})}
			v.starting = way
			go v.startShared(way)
		}
		v.mu.Unlock()
		if shared != nil {
			if shared.take(each) {
				return nil
			}
			v.forget(shared)
			continue
		}
		select {
		case <-way.done:
			if way.err != nil {
				return way.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return &executor.GoneError{Sentence: fmt.Sprintf(
		"The process of the bundle %s ends as soon as it has started.", v.Name())}
}

// Warm starts the process that its tasks share, before there is one, where any does. What is wrong is told in the log.
func (v *Version) Warm() {
	if !sharesProcesses(v.source.Manifest) {
		return
	}
	v.mu.Lock()
	way := v.starting
	begun := v.shared == nil && way == nil && !v.ended
	if begun {
		way = &starting{done: make(chan struct{})}
		v.starting = way
	}
	v.mu.Unlock()
	if begun {
		v.startShared(way)
	}
}

// sharesProcesses tells whether a bundle has tasks that do not each want a process alone.
func sharesProcesses(manifest *manifestpb.Manifest) bool {
	tasks := 0
	for _, serialized := range manifest.GetDags() {
		dag := &manifestpb.Dag{}
		if proto.Unmarshal(serialized.GetDag(), dag) != nil {
			return true
		}
		for _, task := range dag.GetTasks() {
			tasks++
			if !isAlone(task.GetIsolation(), task.GetOnPartition()) {
				return true
			}
		}
	}
	return tasks == 0 // those that are offered may be called
}

// isAlone tells whether a task has a process of its own. One that must be ended in time has no others beside it, which
// would end with it.
func isAlone(isolation manifestpb.Isolation, policy manifestpb.PartitionPolicy) bool {
	return isolation == manifestpb.Isolation_ISOLATION_PROCESS ||
		policy == manifestpb.PartitionPolicy_PARTITION_POLICY_KILL
}

func (v *Version) startShared(way *starting) {
	started, err := v.launch(context.Background(), nil)
	if err != nil && !v.isEnded() {
		v.services.Log.Error(fmt.Sprintf("Bundle %s, version %s: %v", v.Name(), v.Short(), err))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.starting = nil
	way.err = err
	if err == nil {
		v.shared = started
		if _, lives := v.processes[started]; !lives {
			v.shared = nil // it has ended already
		}
	}
	close(way.done)
}

func (v *Version) launch(ctx context.Context, host executor.TaskHost) (*process, error) {
	started, err := launch(ctx, v, host)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		go started.end(true)
		return nil, &executor.GoneError{Sentence: fmt.Sprintf(
			"This worker does not have version %s of the bundle %s any more.", v.Short(), v.Name())}
	}
	select {
	case <-started.runner.child.Done():
	default:
		v.processes[started] = struct{}{}
	}
	return started, nil
}

// forget has new tasks find another process.
func (v *Version) forget(gone *process) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.shared == gone {
		v.shared = nil
	}
	select {
	case <-gone.runner.child.Done():
		delete(v.processes, gone)
	default:
	}
}

func (v *Version) note(change int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tasks += change
	v.watchIdle()
}

// watchIdle ends the process that is of no use, after a while. Called with mu held.
func (v *Version) watchIdle() {
	if v.idle != nil {
		v.idle.Stop()
		v.idle = nil
	}
	if v.current || v.ended || v.tasks > 0 || v.shared == nil {
		return
	}
	v.idle = time.AfterFunc(idlePatience, func() {
		v.mu.Lock()
		shared := v.shared
		unused := !v.current && v.tasks == 0
		v.mu.Unlock()
		if unused && shared != nil {
			shared.close()
		}
	})
}

// End ends its processes, with whatever runs in them; it returns when they are gone.
func (v *Version) End() {
	v.mu.Lock()
	v.ended = true
	if v.idle != nil {
		v.idle.Stop()
	}
	processes := slices.Collect(keys(v.processes))
	v.mu.Unlock()
	var ends sync.WaitGroup
	for _, each := range processes {
		ends.Go(func() { each.end(true) })
	}
	ends.Wait()
}

func keys(processes map[*process]struct{}) func(func(*process) bool) {
	return func(yield func(*process) bool) {
		for each := range processes {
			if !yield(each) {
				return
			}
		}
	}
}
