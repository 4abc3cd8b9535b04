// Package worker runs tasks of packed bundles for a Crosswind server: the command crosswind-go-worker as a library, which
// lives as well inside another program.
//
//	err := worker.New(worker.Config{Folders: []string{"bundles"}}).Run(ctx)
//
// It is one loop that polls, one that heartbeats, and the attempts in between [WORKER-1] [LEASE-2] [LEASE-4]. It installs
// no signal handlers, dials one connection, and runs the code of bundles in processes of their own, which end with it.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/uuid"
	"crosswind.dev/go/internal/worker/attempt"
	"crosswind.dev/go/internal/worker/attemptlog"
	"crosswind.dev/go/internal/worker/callback"
	"crosswind.dev/go/internal/worker/calls"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/delivery"
	"crosswind.dev/go/internal/worker/executor"
	"crosswind.dev/go/internal/worker/hosting"
	"crosswind.dev/go/internal/worker/logship"
	"crosswind.dev/go/internal/worker/offering"
	"crosswind.dev/go/internal/worker/outcomestore"
	"crosswind.dev/go/internal/worker/publishing"
	"crosswind.dev/go/internal/worker/registration"
	"crosswind.dev/go/internal/worker/statefolder"
	"crosswind.dev/go/internal/worker/verdict"
)

const logMemoryBytes = 64 * 1024 * 1024

// ErrAlreadyRun says that a worker was run twice.
var ErrAlreadyRun = errors.New("this worker has been run already; make another with worker.New")

// Worker is a worker. It runs once.
type Worker struct {
	config Config

	mu       sync.Mutex
	begun    bool
	draining bool
	stops    int // calls of Stop
	life     *life
}

// New makes a worker; Run makes it work.
func New(config Config) *Worker { return &Worker{config: config} }

// Run works until the worker has drained: until ctx ends, Drain or Stop is called, or the server says so. Then the error
// is nil. It is a *RefusedError where the server will not have this worker, at once or any more, a *StateFolderInUseError,
// or says what is wrong with the configuration.
func (w *Worker) Run(ctx context.Context) error {
	w.mu.Lock()
	if w.begun {
		w.mu.Unlock()
		return ErrAlreadyRun
	}
	w.begun = true
	w.mu.Unlock()
	given, err := w.config.resolve()
	if err != nil {
		return err
	}
	folder, err := given.openFolder()
	if err != nil {
		return err
	}
	if folder != nil {
		defer folder.Close()
	}
	began, err := begin(given, folder)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.life = began
	draining, stops := w.draining, w.stops
	w.mu.Unlock()
	if draining {
		began.drain()
	}
	for range stops {
		began.stop()
	}
	defer context.AfterFunc(ctx, w.Drain)()
	return began.run()
}

// Drain takes no new work, lets tasks end, delivers their outcomes, and leaves. Calling it again changes nothing.
func (w *Worker) Drain() {
	w.mu.Lock()
	w.draining = true
	began := w.life
	w.mu.Unlock()
	if began != nil {
		began.drain()
	}
}

// Stop drains, and ends the running tasks too: they are given to other workers. Called again, without time to clean up.
func (w *Worker) Stop() {
	w.mu.Lock()
	w.draining = true
	w.stops++
	began := w.life
	w.mu.Unlock()
	if began != nil {
		began.stop()
	}
}

// life is a worker at work.
type life struct {
	given        *resolved
	log          *slog.Logger
	identity     registration.Identity
	statePath    string
	runFolder    string
	connection   *connection.Connection
	calls        *calls.Calls
	registration *registration.Registration
	delivery     *delivery.Delivery
	shipper      *logship.Shipper
	publisher    *publishing.Publisher
	offerings    executor.Offerings
	services     *attempt.Services

	ctx    context.Context // of everything that it does
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	ended  chan error // holds the end

	mu         sync.Mutex
	attempts   map[string]*attempt.Attempt
	settled    chan struct{} // closed and renewed whenever an attempt ends or begins to deliver
	registered bool
	over       bool // nothing more is begun
	leaving    bool // the server is told goodbye
	draining   bool
	stopping   bool
	hurried    chan struct{} // closed by stop
	paused     bool
	directives string
	endPoll    context.CancelFunc
}

// begin makes everything that a worker is made of.
func begin(given *resolved, folder *statefolder.Folder) (*life, error) {
	l := &life{
		given:    given,
		log:      given.Logger.With("logger", "crosswind.worker"),
		attempts: map[string]*attempt.Attempt{},
		settled:  make(chan struct{}),
		hurried:  make(chan struct{}),
		ended:    make(chan error, 1),
	}
	l.identity = registration.Identity{
		Name: given.chooseName(folder), Slots: given.Slots, Queues: given.Queues, Roles: given.roles,
		Labels:             given.Labels,
		EnrolmentTokenFile: given.TokenFile, EnrolmentToken: given.Token, InstanceID: uuid.New(),
	}
	if folder != nil {
		l.statePath = folder.Path
		if folder.Previous == nil {
			if err := folder.Leave(statefolder.Note{Name: l.identity.Name, Server: given.Server}); err != nil {
				l.log.Warn(fmt.Sprintf("The worker's name could not be written to %s (%s).", folder.Path, outcomestore.Cause(err)))
			}
		}
	}
	l.log.Info(fmt.Sprintf("crosswind-go-worker %s, %s, server %s (from %s).",
		registration.Version, l.identity.Name, given.Server, given.source))
	if given.trust == nil && !isLoopback(given.Server) {
		l.log.Warn(fmt.Sprintf("The connection to %s is not encrypted: whoever listens sees the token (--tls-ca).", given.Server))
	}
	opened, err := connection.New(given.Server, given.trust, l.log)
	if err != nil {
		return nil, err
	}
	l.connection = opened
	if err := l.openOfferings(); err != nil {
		opened.Close()
		return nil, err
	}
	l.calls = &calls.Calls{Connection: l.connection}
	l.registration = registration.New(registration.Options{
		Connection: l.connection, Identity: l.identity, Folder: folder, Offers: l.offers, Held: l.kept,
		OnRegistered: func(answer *execpb.RegisterWorkerResponse) { l.publisher.TakeRegistration(answer) }, Log: l.log,
	})
	l.calls.Renewer = l.registration
	store := outcomestore.Open(l.statePath, given.Sync, func(sentence string) { l.log.Warn(sentence) })
	l.delivery = delivery.New(l.calls, store, l.identity.InstanceID, l.log)
	l.shipper = logship.New(l.calls, l.log)
	l.publisher = publishing.New(l.calls, l.offerings, l.identity.InstanceID, l.registration.Register, l.log)
	l.services = &attempt.Services{
		Calls: l.calls, Delivery: l.delivery, Shipper: l.shipper, Memory: attemptlog.NewMemory(logMemoryBytes),
		InstanceID: l.identity.InstanceID, Offerings: l.offerings, NoteDelivering: l.noteSettled, Log: l.log,
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// openOfferings makes what bundles' processes need, and reads the bundles.
func (l *life) openOfferings() error {
	folder, err := makeRunFolder()
	if err != nil {
		return err
	}
	server, err := callback.Listen(folder, l.log)
	if err != nil {
		_ = os.RemoveAll(folder)
		return err
	}
	l.runFolder = folder
	services := &hosting.Services{
		Callback: server, RunFolder: folder, StartTimeout: l.given.StartTimeout, Log: l.log,
		BundleLog: l.given.Logger.With("logger", "crosswind.bundle"),
	}
	if err := services.Open(); err != nil {
		server.Close()
		_ = os.RemoveAll(folder)
		return err
	}
	copies := filepath.Join(folder, "bundles")
	if l.statePath != "" {
		copies = filepath.Join(l.statePath, "bundles")
	}
	l.offerings = offering.Open(offering.Options{
		Files: l.given.Bundles, Folders: l.given.Folders, Copies: copies, Hosting: services, Log: l.log,
	})
	return nil
}

// run works until the end.
func (l *life) run() error {
	l.spawn(l.live)
	err := <-l.ended
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.cancel()
	l.offerings.Close()
	l.tasks.Wait()
	l.connection.Close()
	_ = os.RemoveAll(l.runFolder)
	return err
}

// spawn does some work beside the rest. Its error, but for that of the worker's end, ends the worker.
func (l *life) spawn(work func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.tasks.Go(func() {
		err := work(l.ctx)
		l.mu.Lock()
		told := err != nil && l.ctx.Err() == nil && !l.leaving
		l.mu.Unlock()
		if told {
			l.end(err)
		}
	})
}

// end ends the worker; the first reason counts.
func (l *life) end(err error) {
	select {
	case l.ended <- err:
	default:
	}
}

func (l *life) live(ctx context.Context) error {
	l.spawn(func(ctx context.Context) error {
		l.offerings.Run(ctx)
		return nil
	})
	if _, err := l.registration.Negotiate(ctx); err != nil {
		return err
	}
	if err := l.registration.Register(ctx); err != nil {
		return err
	}
	queues := strings.Join(l.identity.Queues, ", ")
	if queues == "" {
		queues = "default"
	}
	l.log.Info(fmt.Sprintf("Registered as %s with %d slots, queues: %s.", l.identity.Name, l.identity.Slots, queues))
	l.mu.Lock()
	l.registered = true
	l.mu.Unlock()
	// What answers again may be another server, of another version.
	l.connection.OnReturn(func() { l.spawn(l.registration.NegotiateAgain) })
	l.spawn(l.beat)
	l.spawn(l.publisher.Run)
	l.offerings.Warm()
	l.spawn(l.shipper.Run)
	// Before the first poll, as nothing else frees what successors wait for.
	if err := l.delivery.DeliverRestored(ctx); err != nil {
		return err
	}
	return l.poll(ctx)
}

// begin runs an attempt that the server gave.
func (l *life) begin(lease *execpb.Lease) {
	id := lease.GetAttempt().GetAttemptId()
	l.mu.Lock()
	if _, held := l.attempts[id]; held {
		l.mu.Unlock()
		return // sent again because the poll did not list it yet
	}
	begun := attempt.New(lease, l.services)
	l.attempts[id] = begun
	stopping := l.stopping
	l.mu.Unlock()
	if stopping {
		begun.End(verdict.Stop, "")
	}
	l.spawn(func(ctx context.Context) error { return l.runAttempt(ctx, begun) })
}

func (l *life) runAttempt(ctx context.Context, begun *attempt.Attempt) (err error) {
	defer func() {
		if defect := recover(); defect != nil {
			l.log.Error(fmt.Sprintf("%s is dropped after a defect of the worker: %v\n%s", begun.Label(), defect, debug.Stack()))
			begun.Kill()
		}
		l.mu.Lock()
		delete(l.attempts, begun.ID())
		l.mu.Unlock()
		l.noteSettled()
		l.offerings.Sweep()
	}()
	return begun.Run(ctx)
}

func (l *life) noteSettled() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.settled)
	l.settled = make(chan struct{})
}

// held are the attempts whose tasks run or whose outcomes are on their way.
func (l *life) held() []*attempt.Attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := make([]*attempt.Attempt, 0, len(l.attempts))
	for _, each := range l.attempts {
		found = append(found, each)
	}
	return found
}

func (l *life) running() int {
	count := 0
	for _, each := range l.held() {
		if !each.Delivering() {
			count++
		}
	}
	return count
}

// kept are the attempts of a previous instance whose outcomes this one will send.
func (l *life) kept() []string {
	var ids []string
	for id := range l.delivery.Pending() {
		ids = append(ids, id)
	}
	return ids
}

func (l *life) offers() []*execpb.BundleOffer {
	var offers []*execpb.BundleOffer
	for _, manifest := range l.offerings.Manifests() {
		offers = append(offers, &execpb.BundleOffer{
			Bundle: manifest.GetBundle(), BundleVersion: manifest.GetBundleVersion(),
		})
	}
	return offers
}

func isLoopback(address string) bool {
	for _, prefix := range []string{"127.", "localhost:", "[::1]:", "unix:"} {
		if strings.HasPrefix(address, prefix) {
			return true
		}
	}
	return false
}

func sleep(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
