// Package scriptedserver is for tests: a WorkerService on loopback whose answers come from a function.
package scriptedserver

import (
	"context"
	"net"
	"path"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
)

// Answer is what the server says to a request of a method, such as FinishAttempt.
type Answer func(method string, request proto.Message) (proto.Message, error)

// Call is one that came.
type Call struct {
	// Method is its short name.
	Method string
	// Request is what it said.
	Request proto.Message
	// Token that it carried. Empty: none.
	Token string
	// APIVersion that it named. Empty: none.
	APIVersion string
}

// Server answers as it was told.
type Server struct {
	// Address is where it listens.
	Address string

	mu    sync.Mutex
	calls []Call
}

// Start serves until the test ends.
func Start(t *testing.T, answer Answer) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Address: listener.Addr().String()}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64<<20), grpc.UnaryInterceptor(
		func(ctx context.Context, request any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			call := Call{Method: path.Base(info.FullMethod), Request: request.(proto.Message)}
			if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) == 1 {
				call.Token = values[0][len("Bearer "):]
			}
			if values := metadata.ValueFromIncomingContext(ctx, "crosswind-api-version"); len(values) == 1 {
				call.APIVersion = values[0]
			}
			s.mu.Lock()
			s.calls = append(s.calls, call)
			s.mu.Unlock()
			response, err := answer(call.Method, call.Request)
			if err != nil {
				return nil, err
			}
			return response, nil
		}))
	execpb.RegisterWorkerServiceServer(server, execpb.UnimplementedWorkerServiceServer{})
	go func() { _ = server.Serve(listener) }() // it ends by Stop
	t.Cleanup(server.Stop)
	return s
}

// Calls are all that came, in order.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Methods are the short names of all calls that came, in order.
func (s *Server) Methods() []string {
	var names []string
	for _, call := range s.Calls() {
		names = append(names, call.Method)
	}
	return names
}
