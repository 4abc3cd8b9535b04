// Package spec is what authors say of tasks and DAGs, as plain data: the options of packages sdk and bundlev1 write it,
// the registry reads it. Nothing is checked here.
package spec

import (
	"reflect"
	"time"
)

// Task is what was said of a task where it was added. A nil pointer and an empty text mean: not said.
type Task struct {
	ID              *string
	DisplayName     string
	Doc             string
	Retries         *int
	RetryDelay      *time.Duration
	RetryMultiplier *float64
	MaxRetryDelay   *time.Duration
	RetryJitter     *float64
	RetryRules      []RetryRule
	MaxLost         *int
	Timeout         *time.Duration
	CancelGrace     *time.Duration
	Queue           string
	Slots           *int
	Priority        *int
	Trigger         string
	Partition       string
	Isolation       string
	Variables       []string
	Connections     []string
	// Inputs are in the order written.
	Inputs []Input
	// Upstream are tasks to wait for, for their order only.
	Upstream []Member
}

// RetryRule says what is done with failures of some types.
type RetryRule struct {
	FailureTypes []string
	Fail         bool
	Delay        *time.Duration
}

// InputKind says where an input's value comes from.
type InputKind int

// The kinds of inputs.
const (
	// Result is an upstream task's result.
	Result InputKind = iota
	// Items are those of a task's result or of a slice, one for each instance.
	Items
	// Literal is written in the DAG.
	Literal
	// Param is a parameter of the run.
	Param
)

// Input is one value that a task is given.
type Input struct {
	// Name is the tag that it binds to. Empty: it binds by its place.
	Name string
	// Named tells an empty name that an author wrote from none.
	Named bool
	Kind  InputKind
	// Task is the upstream task of Result, and of Items where these are not Value's.
	Task Member
	// Value is the one of Literal, or the slice of Items.
	Value any
	// Param is the parameter's name.
	Param string
	// Written is how the author wrote it, for sentences: `sdk.After(load)`.
	Written string
}

// Node is a task that stands in a DAG.
type Node struct {
	// Dag tells the DAGs apart.
	Dag any
	// DagID and TaskID name it.
	DagID, TaskID string
	// Result is what its function returns. Nil: nothing.
	Result reflect.Type
	// Unknown says that nothing is known of what it returns: it is another bundle's.
	Unknown bool
	// Mapped says that it has an instance for each item, so that its result is a list.
	Mapped bool
	// Broken says that what is wrong with it was noted, so that nobody complains of what follows from it.
	Broken bool
}

// Member is a task that stands in a DAG, as authors hold it. Only Node is one.
type Member interface{ member() *Node }

// ID is the task's id in its DAG.
func (n *Node) ID() string { return n.TaskID }

func (n *Node) member() *Node { return n }

// NodeOf is the node behind what an author holds. Nil for nil.
func NodeOf(member Member) *Node {
	if member == nil {
		return nil
	}
	return member.member()
}

// Dag is what was said of a DAG.
type Dag struct {
	DisplayName        string
	Description        string
	Doc                string
	Owner              string
	Tags               []string
	Params             map[string]any
	Access             *Access
	FailWhenGone       bool
	PausedUponCreation *bool
	Defaults           []func(*Task)
}

// Access is what the tasks of a DAG may reach in strict mode.
type Access struct{ Variables, Connections, Dags []string }

// RunParam is a parameter of a run with more than a default.
type RunParam struct {
	Default     any
	Required    bool
	Description string
	Schema      map[string]any
}
