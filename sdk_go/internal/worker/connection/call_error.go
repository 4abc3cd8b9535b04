package connection

import (
	"fmt"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const errorDomain = "crosswind"

// CallError is a call that was refused, or that did not get through.
type CallError struct {
	// Code is the gRPC status code.
	Code codes.Code
	// Reason is the name of an ErrorReason without its prefix, such as STALE_LEASE. Empty: the server named none.
	Reason string
	// Message says what happened, in a sentence.
	Message string
	// Metadata are the things concerned, as the server names them.
	Metadata map[string]string

	full *status.Status // as it came, with all its details
}

// NewCallError makes an error that did not come from a server.
func NewCallError(code codes.Code, reason, message string) *CallError {
	full := status.New(code, message)
	if reason != "" {
		if detailed, err := full.WithDetails(&errdetails.ErrorInfo{Domain: errorDomain, Reason: reason}); err == nil {
			full = detailed
		}
	}
	return &CallError{Code: code, Reason: reason, Message: message, full: full}
}

// FromStatus reads the error of a gRPC call.
func FromStatus(err error) *CallError {
	full := status.Convert(err)
	found := &CallError{Code: full.Code(), Message: full.Message(), full: full}
	for _, detail := range full.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == errorDomain {
			found.Reason, found.Metadata = info.GetReason(), info.GetMetadata()
			break
		}
	}
	return found
}

// Error implements error.
func (e *CallError) Error() string {
	switch {
	case e.Reason != "":
		return fmt.Sprintf("%s (%s)", e.Message, e.Reason)
	case e.Message != "":
		return e.Message
	default:
		return "gRPC status " + strconv.Itoa(int(e.Code))
	}
}

// GRPCStatus is the status with all its details, so that a handler that returns the error passes it on whole.
func (e *CallError) GRPCStatus() *status.Status { return e.full }

// Unreachable tells whether the call may not have reached the server, or the server its database.
func (e *CallError) Unreachable() bool { return e.Code == codes.Unavailable }

// Repeatable tells whether the same call is to be made again after a while.
func (e *CallError) Repeatable() bool {
	switch e.Code {
	case codes.Unavailable, codes.Internal, codes.DeadlineExceeded, codes.Canceled:
		return true
	default:
		return e.Code == codes.Unknown && e.Reason == ""
	}
}

// NeedsRegistration tells whether the worker has to register again before the call is repeated.
func (e *CallError) NeedsRegistration() bool {
	return e.Code == codes.Unauthenticated || e.Reason == "WORKER_UNKNOWN"
}

// ConcernsVersion tells whether the server does not serve the API version that the call named. [VER-1]
func (e *CallError) ConcernsVersion() bool {
	switch e.Reason {
	case "CLIENT_TOO_OLD", "CLIENT_TOO_NEW", "API_VERSION_UNKNOWN", "API_VERSION_MISSING", "API_VERSION_MALFORMED":
		return true
	default:
		return false
	}
}

// ConcernsOwnVersion is ConcernsVersion where that is the version in which the worker itself speaks, not a bundle's.
func (e *CallError) ConcernsOwnVersion() bool {
	return e.ConcernsVersion() && e.Metadata["bundle"] == ""
}
