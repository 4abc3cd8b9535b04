// Package callback is how a running task reaches its worker: the connection to its socket, the client of its questions and
// the log that it writes. What a task is and how it ends is package execution's.
package callback

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"crosswind.dev/go/internal/plugin"
	"crosswind.dev/go/sdk"
)

// attemptKey is the metadata that proves which attempt a call is from.
const attemptKey = "crosswind-attempt-key"

// Pool holds one connection for each worker's address, of which a process usually sees one.
type Pool struct {
	mu          sync.Mutex
	connections map[string]*grpc.ClientConn
}

// Connection is the one to an address, `unix:///...`. It is not dialled before the first call.
func (p *Pool) Connection(address string) (*grpc.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.connections[address]; found != nil {
		return found, nil
	}
	if address == "" {
		return nil, errors.New("the worker gave no address to call back; a Go bundle needs one")
	}
	made, err := grpc.NewClient(address,
		// The socket lies in a folder that is the worker's alone, and each call has its attempt's key.
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(plugin.MaxMessageBytes), grpc.MaxCallSendMsgSize(plugin.MaxMessageBytes)),
	)
	if err != nil {
		return nil, fmt.Errorf("the worker's address %s cannot be called back: %w", address, err)
	}
	if p.connections == nil {
		p.connections = map[string]*grpc.ClientConn{}
	}
	p.connections[address] = made
	return made, nil
}

// Close closes all connections.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, connection := range p.connections {
		_ = connection.Close() // it is done with
	}
	p.connections = nil
}

func withKey(ctx context.Context, key string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, attemptKey, key)
}

// callError is a call's failure as authors see it: the context's own error where it ended, else *sdk.CallError.
func callError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	answer := status.Convert(err)
	failed := &sdk.CallError{Code: answer.Code(), Message: answer.Message()}
	for _, detail := range answer.Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is {
			failed.Reason = info.GetReason()
		}
	}
	return failed
}

func isReason(err error, reason string) bool {
	var failed *sdk.CallError
	return errors.As(err, &failed) && failed.Reason == reason
}

func missing(reason, format string, args ...any) *sdk.CallError {
	return &sdk.CallError{Code: codes.NotFound, Reason: reason, Message: fmt.Sprintf(format, args...)}
}
