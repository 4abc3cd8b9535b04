package sdk

import "time"

// Skip is returned by a task that has nothing to do: the task is skipped, and with it what waits for its success.
//
// The reason is one sentence for people. Wrapping the error keeps its meaning.
func Skip(reason string) error { return &SkipError{Reason: reason} }

// SkipError is what Skip makes.
type SkipError struct{ Reason string }

// Error implements error.
func (e *SkipError) Error() string {
	if e.Reason == "" {
		return "skipped"
	}
	return "skipped: " + e.Reason
}

// NoRetry marks an error as one that another try cannot help: the task fails at once. NoRetry(nil) is nil.
func NoRetry(err error) error {
	if err == nil {
		return nil
	}
	return &NoRetryError{Err: err}
}

// NoRetryError is what NoRetry makes.
type NoRetryError struct{ Err error }

// Error implements error.
func (e *NoRetryError) Error() string { return e.Err.Error() }

// Unwrap implements errors.Unwrap.
func (e *NoRetryError) Unwrap() error { return e.Err }

// RetryAfter marks an error as one after which the next try, counted like any other, should wait for at least a while. It
// overrides the delay of the task's retry policy. A negative while counts as none. RetryAfter(nil, d) is nil.
func RetryAfter(err error, delay time.Duration) error {
	if err == nil {
		return nil
	}
	return &RetryAfterError{Err: err, Delay: max(delay, 0)}
}

// RetryAfterError is what RetryAfter makes.
type RetryAfterError struct {
	Err   error
	Delay time.Duration
}

// Error implements error.
func (e *RetryAfterError) Error() string { return e.Err.Error() }

// Unwrap implements errors.Unwrap.
func (e *RetryAfterError) Unwrap() error { return e.Err }
