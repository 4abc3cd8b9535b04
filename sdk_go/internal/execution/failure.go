package execution

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"crosswind.dev/go/internal/callback"
	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/sdk"
)

const (
	maxMessageBytes = 16 * 1024
	maxFrames       = 200
	maxCauses       = 20
	maxBaseTypes    = 50

	// PanicType is the type of a failure by a panic that is no error of the runtime's.
	PanicType = "panic"
	// ourPackages are what stands between a task's function and the top of its stack.
	ourPackages = "crosswind.dev/go/internal/"
)

// systemFailure is a failure that is the system's to name; see docs/protocol.md, "Failures of the system".
func systemFailure(kind string, retryable bool, format string, arguments ...any) *executionpb.Failure {
	failure := &executionpb.Failure{
		Type: "crosswind." + kind, Message: callback.Cut(fmt.Sprintf(format, arguments...), maxMessageBytes),
	}
	if !retryable {
		failure.Retryable = proto.Bool(false)
	}
	return failure
}

// makeFailure is what an error says, with the errors that it wraps.
func makeFailure(err error) *executionpb.Failure {
	failure := describe(strip(err), 0)
	var never *sdk.NoRetryError
	if errors.As(err, &never) {
		failure.Retryable = proto.Bool(false)
	}
	var later *sdk.RetryAfterError
	if errors.As(err, &later) {
		failure.RetryAfter = durationpb.New(later.Delay)
		if never == nil {
			failure.Retryable = proto.Bool(true)
		}
	}
	return failure
}

func describe(err error, depth int) *executionpb.Failure {
	failure := &executionpb.Failure{
		Type: typeOf(err), BaseTypes: baseTypes(err), Message: callback.Cut(messageOf(err), maxMessageBytes),
	}
	if wrapped := unwrap(err); len(wrapped) > 0 && depth+1 < maxCauses {
		failure.Cause = describe(wrapped[0], depth+1) // of several the first stands for all; the message has them all
	}
	return failure
}

// baseTypes are the types of the errors that one wraps, nearest first, without its own.
func baseTypes(err error) []string {
	own := typeOf(err)
	seen := map[string]bool{own: true}
	var names []string
	level := unwrap(err)
	for steps := 0; len(level) > 0 && steps < maxBaseTypes; steps++ {
		var next []error
		for _, each := range level {
			if name := typeOf(each); !seen[name] && len(names) < maxBaseTypes {
				seen[name] = true
				names = append(names, name)
			}
			next = append(next, unwrap(each)...)
		}
		if len(next) > maxBaseTypes {
			next = next[:maxBaseTypes]
		}
		level = next
	}
	return names
}

// unwrap are the errors that one wraps, without those that only mark it.
func unwrap(err error) []error {
	var wrapped []error
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		wrapped = []error{err.Unwrap()}
	case interface{ Unwrap() []error }:
		wrapped = err.Unwrap()
	}
	found := make([]error, 0, len(wrapped))
	for _, each := range wrapped {
		if each != nil {
			found = append(found, strip(each))
		}
	}
	return found
}

// strip is an error without the marks of NoRetry and RetryAfter.
func strip(err error) error {
	for {
		switch marked := err.(type) {
		case *sdk.NoRetryError:
			err = marked.Err
		case *sdk.RetryAfterError:
			err = marked.Err
		default:
			return err
		}
	}
}

func typeOf(err error) string { return fmt.Sprintf("%T", err) }

func messageOf(err error) (message string) {
	defer func() {
		if recover() != nil {
			message = fmt.Sprintf("It returned a %T, whose message cannot be read", err)
		}
	}()
	message = err.Error()
	if message == "" {
		message = fmt.Sprintf("It returned a %T and said no more", err)
	}
	return message
}

// panicFailure is what a panic says, and its stack as text. It is called while the panic is being recovered.
func panicFailure(thrown any) (failure *executionpb.Failure, trace string) {
	frames := panicFrames()
	switch thrown := thrown.(type) {
	case runtime.Error:
		failure = &executionpb.Failure{
			Type: fmt.Sprintf("%T", thrown), BaseTypes: []string{"runtime.Error", PanicType}, Message: messageOf(thrown),
		}
	case error:
		cause := describe(strip(thrown), 1)
		failure = &executionpb.Failure{
			Type: PanicType, BaseTypes: append([]string{cause.GetType()}, cause.GetBaseTypes()...),
			Message: "panic: " + cause.GetMessage(), Cause: cause,
		}
		marks := makeFailure(thrown)
		failure.Retryable, failure.RetryAfter = marks.Retryable, marks.RetryAfter
	default:
		failure = &executionpb.Failure{Type: PanicType, Message: "panic: " + textOf(thrown)}
	}
	failure.Message = callback.Cut(failure.GetMessage(), maxMessageBytes)
	failure.Frames = frames
	var text strings.Builder
	for index := len(frames) - 1; index >= 0; index-- {
		fmt.Fprintf(&text, "\n%s\n\t%s:%d", frames[index].GetFunction(), frames[index].GetFile(), frames[index].GetLine())
	}
	return failure, text.String()
}

// panicFrames are the author's levels of the stack, outermost first.
func panicFrames() []*executionpb.Failure_Frame {
	callers := make([]uintptr, 1024)
	levels := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	var frames []*executionpb.Failure_Frame
	panicked := false
	for more := true; more; {
		var level runtime.Frame
		level, more = levels.Next()
		switch {
		case level.Function == "runtime.gopanic":
			panicked = true
		case !panicked, strings.HasPrefix(level.Function, "runtime."), strings.HasPrefix(level.Function, "reflect.Value."):
		case strings.HasPrefix(level.Function, ourPackages+"execution."):
			more = false // below is nothing of the author's
		default:
			frames = append(frames, &executionpb.Failure_Frame{
				Function: level.Function, File: level.File, Line: int32(level.Line),
			})
		}
	}
	if len(frames) > maxFrames {
		frames = append(frames[:maxFrames/2:maxFrames/2], frames[len(frames)-maxFrames/2:]...)
	}
	for i, j := 0, len(frames)-1; i < j; i, j = i+1, j-1 {
		frames[i], frames[j] = frames[j], frames[i]
	}
	return frames
}

func textOf(thrown any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a %T, which cannot be shown", thrown)
		}
	}()
	return fmt.Sprint(thrown)
}

func capitalize(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".")
}
