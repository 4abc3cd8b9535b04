package sdk

import (
	"fmt"
	"strings"

	"crosswind.dev/go/internal/spec"
)

// Input gives a task values. Inputs bind to the function's value parameters in the order in which they are written; see
// [Named] for those that bind by tag.
type Input struct{ inputs []spec.Input }

// Apply implements TaskOption.
func (i Input) Apply(task *spec.Task) { task.Inputs = append(task.Inputs, i.inputs...) }

// After gives the results of upstream tasks, each a value of its own. The result of a task that is mapped is the list of
// its instances' results. To a function without value parameters it gives the order only.
func After(tasks ...Task) Input {
	inputs := make([]spec.Input, len(tasks))
	for index, task := range tasks {
		inputs[index] = spec.Input{Kind: spec.Result, Task: task, Written: fmt.Sprintf("sdk.After(%s)", nameOf(task))}
	}
	return Input{inputs}
}

// Expand maps the task: one instance for each item of a slice, or of a task's result that is a list. With several of them,
// one for each combination, of which the last varies fastest. The function takes one item.
func Expand(source any) Input {
	input := spec.Input{Kind: spec.Items, Value: source, Written: fmt.Sprintf("sdk.Expand(%T)", source)}
	if task, is := source.(Task); is {
		input.Task, input.Value, input.Written = task, nil, fmt.Sprintf("sdk.Expand(%s)", nameOf(task))
	}
	return Input{[]spec.Input{input}}
}

// Arg gives a value that is written in the DAG.
func Arg(value any) Input {
	written := strings.ToValidUTF8(fmt.Sprintf("sdk.Arg(%v)", value), "?")
	if len(written) > 60 {
		written = fmt.Sprintf("sdk.Arg(%T)", value)
	}
	return Input{[]spec.Input{{Kind: spec.Literal, Value: value, Written: written}}}
}

// FromParam gives a parameter of the run, which the DAG declares with v1.Params.
func FromParam(name string) Input {
	return Input{[]spec.Input{{Kind: spec.Param, Param: name, Written: fmt.Sprintf("sdk.FromParam(%q)", name)}}}
}

// Named gives a value to the field with the tag `crosswind:"name"` of a function's one struct parameter.
func Named(name string, input Input) TaskOption {
	inputs := make([]spec.Input, len(input.inputs))
	for index, each := range input.inputs {
		each.Name, each.Named = name, true
		each.Written = fmt.Sprintf("sdk.Named(%q, %s)", name, each.Written)
		inputs[index] = each
	}
	return Input{inputs}
}

func nameOf(task Task) string {
	if task == nil {
		return "nil"
	}
	return task.ID()
}
