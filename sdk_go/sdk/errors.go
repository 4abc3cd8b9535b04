package sdk

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"

	"crosswind.dev/go/internal/value"
)

var (
	// ErrVariableNotFound says that there is no such variable.
	ErrVariableNotFound = errors.New("there is no such variable")
	// ErrConnectionNotFound says that there is no such connection.
	ErrConnectionNotFound = errors.New("there is no such connection")
	// ErrXComNotFound says that there is no such XCom, or no such item of one.
	ErrXComNotFound = errors.New("there is no such XCom")
	// ErrRunNotFound says that there is no such run.
	ErrRunNotFound = errors.New("there is no such run")

	// ErrCancelled says that the attempt is to end: somebody cancelled it, its lease was lost, or its worker stops. It is
	// the cause of the task's context, see [context.Cause], and what calls answer that the server refuses for it.
	ErrCancelled = errors.New("the attempt is being cancelled")
	// ErrTimeout is the cause of the task's context once the task has run for its execution timeout.
	ErrTimeout = errors.New("the task ran longer than its execution timeout")

	// ErrValueTooLarge says that a value is over the limit of what travels between tasks.
	ErrValueTooLarge = errors.New("the value is too large")
	// ErrValueNotEncodable says that a value cannot be written as JSON.
	ErrValueNotEncodable = value.ErrNotEncodable
	// ErrValueNotReadable says that a value cannot be read into the type that it is wanted as.
	ErrValueNotReadable = value.ErrNotReadable
)

// CallError is a call of a client that failed.
//
// errors.Is tells what it means: ErrVariableNotFound and its like, ErrCancelled, ErrValueTooLarge. Everything else that
// can be repeated has been repeated by the worker by then.
type CallError struct {
	// Code is the status of the call.
	Code codes.Code
	// Reason says why, such as VARIABLE_NOT_FOUND; see ErrorReason in the protocol. Empty where nobody said.
	Reason string
	// Message is one sentence.
	Message string
}

// Error implements error.
func (e *CallError) Error() string {
	switch {
	case e.Message != "":
		return e.Message
	case e.Reason != "":
		return fmt.Sprintf("the call failed: %s (%s)", e.Reason, e.Code)
	default:
		return fmt.Sprintf("the call failed: %s", e.Code)
	}
}

// Is tells errors.Is what the reason means.
func (e *CallError) Is(target error) bool {
	meaning, known := meanings[e.Reason]
	return known && meaning == target
}

var meanings = map[string]error{
	"VARIABLE_NOT_FOUND":   ErrVariableNotFound,
	"CONNECTION_NOT_FOUND": ErrConnectionNotFound,
	"XCOM_NOT_FOUND":       ErrXComNotFound,
	"RUN_NOT_FOUND":        ErrRunNotFound,
	"VALUE_TOO_LARGE":      ErrValueTooLarge,
	"ATTEMPT_CANCELLING":   ErrCancelled,
	"STALE_LEASE":          ErrCancelled,
	"UNKNOWN_ATTEMPT":      ErrCancelled,
}
