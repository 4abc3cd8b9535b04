// Package callback serves what tasks in bundles' processes call, on one Unix socket of the worker: TaskService, whose
// messages are passed on unopened, and HostService.
//
// Each call names its attempt by a random key. What an attempt does with it belongs to package attempt.
package callback

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	"crosswind.dev/go/internal/plugin"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/executor"
)

const (
	keyHeader   = "crosswind-attempt-key"
	taskService = "/crosswind.execution.v1.TaskService/"
)

// Server serves the tasks of one worker.
type Server struct {
	address string
	server  *grpc.Server
	log     *slog.Logger

	mu    sync.RWMutex
	hosts map[string]executor.TaskHost
}

// Listen serves on a socket in a folder that is the user's alone. log is the worker's.
func Listen(folder string, log *slog.Logger) (*Server, error) {
	path := filepath.Join(folder, "w")
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("the socket for tasks could not be made: %w", err)
	}
	s := &Server{address: "unix://" + path, hosts: map[string]executor.TaskHost{}, log: log}
	s.server = grpc.NewServer(
		grpc.ForceServerCodecV2(connection.RawCodec{}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return s.handle(stream) }),
		grpc.MaxRecvMsgSize(plugin.MaxMessageBytes), grpc.MaxSendMsgSize(plugin.MaxMessageBytes),
	)
	go func() { _ = s.server.Serve(listener) }() // it ends by Close
	return s, nil
}

// Address is where the socket is, for RunTaskRequest.callback_address.
func (s *Server) Address() string { return s.address }

// Admit makes a key by which a task calls its host.
func (s *Server) Admit(host executor.TaskHost) string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // it never fails
	key := hex.EncodeToString(raw[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts[key] = host
	return key
}

// Dismiss takes a key back.
func (s *Server) Dismiss(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.hosts, key)
}

// Close ends it.
func (s *Server) Close() { s.server.Stop() }

func (s *Server) handle(stream grpc.ServerStream) (err error) {
	ctx := stream.Context()
	method, _ := grpc.Method(ctx)
	defer func() {
		if defect := recover(); defect != nil {
			// The task waits for an answer, so that a defect here must not leave it without one.
			s.log.Error(fmt.Sprintf("A call of a task, %s, failed by a defect of the worker: %v\n%s", method, defect, debug.Stack()))
			err = connection.NewCallError(codes.Internal, "INTERNAL", fmt.Sprintf("The worker failed: %v", defect)).GRPCStatus().Err()
		}
	}()
	host := s.find(metadata.ValueFromIncomingContext(ctx, keyHeader))
	if host == nil {
		return status.Error(codes.PermissionDenied, "The call's crosswind-attempt-key is that of no running attempt.")
	}
	var request connection.Raw
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	var answer connection.Raw
	switch {
	case strings.HasPrefix(method, taskService):
		forwarded, err := host.Forward(ctx, method, request.Bytes)
		if err != nil {
			if problem := connection.AsCallError(err); problem != nil {
				return problem.GRPCStatus().Err()
			}
			return status.FromContextError(err).Err()
		}
		answer.Bytes = forwarded
	case method == bundlepb.HostService_WriteLogs_FullMethodName:
		message := &bundlepb.WriteLogsRequest{}
		if err := proto.Unmarshal(request.Bytes, message); err != nil {
			return status.Error(codes.InvalidArgument, "The records cannot be read.")
		}
		host.WriteLogs(message.GetRecords())
	default:
		return status.Errorf(codes.Unimplemented, "A task cannot call %s.", method)
	}
	return stream.SendMsg(&answer)
}

func (s *Server) find(keys []string) executor.TaskHost {
	if len(keys) != 1 {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.hosts[keys[0]]
}
