// Package serving is BundleService as a bundle's process serves it to its worker: several tasks at once, each with a
// context that the worker can cancel. How a task runs is package execution's, how the process came to be bundlev1's.
package serving

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"crosswind.dev/go/internal/callback"
	"crosswind.dev/go/internal/execution"
	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	"crosswind.dev/go/internal/packing"
	"crosswind.dev/go/internal/registry"
	"crosswind.dev/go/sdk"
)

// Where a worker names no limit, the protocol's own.
const defaultMaxValueBytes = 1024 * 1024

// Server serves one bundle.
type Server struct {
	bundlepb.UnimplementedBundleServiceServer

	bundle  *registry.Bundle
	level   slog.Leveler
	pool    callback.Pool
	version func() (string, error)

	mu      sync.Mutex
	running map[string]context.CancelCauseFunc // by attempt
	closed  bool
	drained chan struct{} // closed once the server is, and nothing runs
}

// New makes the server of a bundle, whose tasks log from a level on.
func New(bundle *registry.Bundle, level slog.Leveler) *Server {
	return &Server{
		bundle:  bundle,
		level:   level,
		version: sync.OnceValues(ownVersion),
		running: map[string]context.CancelCauseFunc{},
		drained: make(chan struct{}),
	}
}

// GetManifest implements bundlepb.BundleServiceServer.
func (s *Server) GetManifest(context.Context, *bundlepb.GetManifestRequest) (*bundlepb.GetManifestResponse, error) {
	version, err := s.version()
	if err != nil {
		return nil, refuse(codes.Internal, "INTERNAL", "The bundle '%s' cannot tell its version: %v", s.bundle.Name, err)
	}
	manifest := proto.CloneOf(s.bundle.Manifest)
	manifest.BundleVersion = version
	return &bundlepb.GetManifestResponse{Manifest: manifest}, nil
}

// RunTask implements bundlepb.BundleServiceServer.
func (s *Server) RunTask(call context.Context, request *bundlepb.RunTaskRequest) (*bundlepb.RunTaskResponse, error) {
	task := request.GetContext()
	entry := s.bundle.EntryPoints[task.GetEntryPoint()]
	if entry == nil {
		return nil, refuse(codes.NotFound, "TASK_NOT_FOUND", "The bundle '%s' at version %s has no task '%s'",
			s.bundle.Name, task.GetBundleVersion(), task.GetEntryPoint())
	}
	connection, err := s.pool.Connection(request.GetCallbackAddress())
	if err != nil {
		return nil, refuse(codes.InvalidArgument, "INVALID_ARGUMENT", "Task '%s' cannot run: %v",
			task.GetTaskInstance().GetTaskId(), err)
	}
	// The task's context ends with the call: a worker that hangs up wants no answer any more.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(call))
	defer cancel(nil)
	defer context.AfterFunc(call, func() { cancel(sdk.ErrCancelled) })()
	if err := s.begin(task.GetAttemptId(), cancel); err != nil {
		return nil, err
	}
	defer s.end(task.GetAttemptId())

	maxValueBytes := int(request.GetMaxInlineValueBytes())
	if maxValueBytes <= 0 {
		maxValueBytes = defaultMaxValueBytes
	}
	log := callback.NewLog(connection, request.GetCallbackKey())
	outcome := execution.Run(ctx, &execution.Attempt{
		Entry:         entry,
		Task:          task,
		Client:        callback.NewClient(connection, request.GetCallbackKey(), task, maxValueBytes),
		Logger:        slog.New(log.Handler(s.level)),
		MaxValueBytes: maxValueBytes,
	})
	log.Close() // the log is complete before the outcome is known
	return &bundlepb.RunTaskResponse{Outcome: outcome}, nil
}

// CancelTask implements bundlepb.BundleServiceServer.
func (s *Server) CancelTask(
	_ context.Context, request *bundlepb.CancelTaskRequest,
) (*bundlepb.CancelTaskResponse, error) {
	s.mu.Lock()
	cancel := s.running[request.GetAttemptId()]
	s.mu.Unlock()
	if cancel != nil {
		cancel(sdk.ErrCancelled)
	}
	return &bundlepb.CancelTaskResponse{Running: cancel != nil}, nil
}

// Stop closes the server to new tasks and cancels those that run. What it answers is closed when none runs any more.
func (s *Server) Stop() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		for _, cancel := range s.running {
			cancel(sdk.ErrCancelled)
		}
		s.noteDrained()
	}
	return s.drained
}

func (s *Server) begin(attemptID string, cancel context.CancelCauseFunc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return refuse(codes.FailedPrecondition, "SERVER_STOPPING",
			"The process of bundle '%s' is closed to new tasks; start another one", s.bundle.Name)
	}
	if s.running[attemptID] != nil {
		return refuse(codes.AlreadyExists, "TASK_RUNNING", "The attempt %s runs already", attemptID)
	}
	s.running[attemptID] = cancel
	return nil
}

func (s *Server) end(attemptID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, attemptID)
	s.noteDrained()
}

// noteDrained is called with the lock held.
func (s *Server) noteDrained() {
	if s.closed && len(s.running) == 0 {
		select {
		case <-s.drained:
		default:
			close(s.drained)
		}
	}
}

// ownVersion is the version of the bundle that this process runs.
func ownVersion() (string, error) {
	// Not os.Executable: the file behind the process may have been replaced since, or removed.
	const own = "/proc/self/exe"
	if _, err := os.Stat(own); err == nil {
		return packing.VersionOf(own)
	}
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	return packing.VersionOf(path)
}

func refuse(code codes.Code, reason, format string, arguments ...any) error {
	answer := status.New(code, fmt.Sprintf(format+".", arguments...))
	detailed, err := answer.WithDetails(&errdetails.ErrorInfo{Domain: "crosswind", Reason: reason})
	if err != nil {
		return answer.Err()
	}
	return detailed.Err()
}
