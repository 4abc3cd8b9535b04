package sdk

import "crosswind.dev/go/internal/spec"

// Task is a task that was added to a DAG: pass it to [After], [Expand] and [Upstream] of others.
type Task interface {
	// ID is its id in the DAG.
	ID() string
	spec.Member
}

// TaskOption says more of a task where it is added to a DAG.
type TaskOption interface {
	// Apply is for the SDK.
	Apply(task *spec.Task)
}

type option func(*spec.Task)

// Apply implements TaskOption.
func (o option) Apply(task *spec.Task) { o(task) }
