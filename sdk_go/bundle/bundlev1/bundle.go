// Package bundlev1, imported as v1, is how a Go program becomes a bundle: it says which DAGs and tasks it holds, and
// serves them to the worker that launches it.
//
//	type myBundle struct{}
//
//	func (m *myBundle) RegisterDags(dagbag v1.Registry) error {
//		dag := dagbag.AddDag("tutorial_dag")
//		dag.AddTask(transform)
//		return nil
//	}
//
//	func main() { v1.Serve(&myBundle{}) }
//
// What tasks use is package sdk.
package bundlev1

import (
	"fmt"
	"path/filepath"
	"runtime"

	"crosswind.dev/go/internal/registry"
	"crosswind.dev/go/sdk"
)

// Bundle says what a program holds. It is asked once in each process, and must say the same each time: what it says when
// it is packed is what the server knows.
type Bundle interface {
	// RegisterDags adds the bundle's DAGs and tasks. An error stands for all that could not be added.
	RegisterDags(dagbag Registry) error
}

// Registry takes what a bundle holds. What is wrong is told at the end, all of it together.
type Registry interface {
	// AddDag adds a DAG. Its id is unique in the team: 1 to 250 letters, digits, '_', '-' and '.'.
	AddDag(id string, options ...DagOption) *Dag
	// AddTask offers a task to DAGs of other bundles, in whatever language, under its function's name or [sdk.ID]. The
	// tasks of DAGs are offered under their ids as it is; this is for others, and of the options only [sdk.ID] and
	// [sdk.Doc] count: everything else is the DAG's to say.
	AddTask(function any, options ...sdk.TaskOption)
}

// Dag is a DAG that takes tasks.
type Dag struct{ dag *registry.Dag }

// ID is the DAG's id.
func (d *Dag) ID() string { return d.dag.ID() }

// AddTask adds a task that runs a function; see package sdk for the functions that can be one. Its id is the function's
// name, or [sdk.ID]. A mistake, such as a parameter that cannot be given, is told at the end of the registration.
func (d *Dag) AddTask(function any, options ...sdk.TaskOption) sdk.Task {
	return d.dag.AddTask(function, options, caller())
}

// AddReference adds a task that another bundle offers, in whatever language. It waits, when a run comes to it, until a
// worker offers the task. Its id is the last part of the name under which it is offered, or [sdk.ID].
func (d *Dag) AddReference(bundle, offered string, options ...sdk.TaskOption) sdk.Task {
	return d.dag.AddReference(bundle, offered, options, caller())
}

type dagbag struct{ registry *registry.Registry }

func (b *dagbag) AddDag(id string, options ...DagOption) *Dag {
	return &Dag{b.registry.AddDag(id, settingsOf(options), caller())}
}

func (b *dagbag) AddTask(function any, options ...sdk.TaskOption) {
	b.registry.AddTask(function, options, caller())
}

// register asks a bundle what it holds. Its error is registry.Problems.
func register(bundle Bundle, name string) (*registry.Bundle, error) {
	collected := registry.New(name)
	if err := askBundle(bundle, &dagbag{collected}); err != nil {
		collected.Note("has a RegisterDags that failed: %v", err)
	}
	return collected.Build()
}

func askBundle(bundle Bundle, into Registry) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("it panicked at %s: %v", panicPlace(), value)
		}
	}()
	if bundle == nil {
		return fmt.Errorf("there is no bundle; pass v1.Serve one, as in v1.Serve(&myBundle{})")
	}
	return bundle.RegisterDags(into)
}

// caller is where the author called one of this package's exported methods: a file's name alone, which is the same on
// every machine.
func caller() string {
	_, file, line, known := runtime.Caller(2)
	if !known {
		return ""
	}
	return fmt.Sprintf("%s:%d", filepath.Base(file), line)
}

// panicPlace is the innermost place of the code that panicked, while the panic is being recovered.
func panicPlace() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	panicked := false
	for {
		frame, more := frames.Next()
		if panicked && !isRuntime(frame.Function) {
			return fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		}
		panicked = panicked || frame.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}

func isRuntime(function string) bool {
	return len(function) > 8 && function[:8] == "runtime."
}
