package registry

import (
	"fmt"
	"reflect"
	"strings"

	"crosswind.dev/go/internal/function"
	valuepb "crosswind.dev/go/internal/gen/crosswind/value/v1"
	"crosswind.dev/go/internal/spec"
	"crosswind.dev/go/internal/value"
)

// bound is an input in its place among a function's values.
type bound struct {
	name     string
	position int // -1: by name only
	input    spec.Input
	// literal is the value of a Literal, or of Items that are a slice.
	literal *valuepb.Payload
}

// bind gives a task's inputs their places, and notes what does not fit.
func (d *Dag) bind(of *task) {
	inputs := d.sortInputs(of)
	if of.node.Broken {
		return
	}
	switch {
	case of.function == nil:
		d.bindUnknown(of, inputs)
	case of.function.Fields != nil:
		d.bindFields(of, inputs, of.function.Fields)
	default:
		d.bindValues(of, inputs)
	}
	for index := range of.bound {
		d.fill(of, &of.bound[index])
	}
}

// sortInputs notes what the task waits for, and answers which of its inputs are values.
func (d *Dag) sortInputs(of *task) []spec.Input {
	var values []spec.Input
	waits := map[string]bool{}
	wait := func(node *spec.Node) {
		if !waits[node.TaskID] {
			waits[node.TaskID] = true
			of.upstream = append(of.upstream, node.TaskID)
		}
	}
	takesNone := of.function != nil && of.function.Fields == nil && len(of.function.Values) == 0
	for _, input := range of.said.Inputs {
		takesTask := input.Kind == spec.Result || input.Kind == spec.Items && input.Task != nil
		if takesTask {
			node := d.checkMember(of, input.Task, input.Written)
			if node == nil {
				continue
			}
			wait(node)
			if takesNone && input.Kind == spec.Result && !input.Named {
				continue
			}
			d.checkResult(of, node, input)
		}
		if takesNone {
			d.note(of, "is given %s, and its function takes no values; add a parameter for it, or drop it", input.Written)
			continue
		}
		values = append(values, input)
		of.node.Mapped = of.node.Mapped || input.Kind == spec.Items
	}
	for _, member := range of.said.Upstream {
		if node := d.checkMember(of, member, "sdk.Upstream"); node != nil {
			wait(node)
		}
	}
	return values
}

// checkMember is the node of a task that can be waited for. Nil: what is wrong was noted.
func (d *Dag) checkMember(of *task, member spec.Member, written string) *spec.Node {
	node := spec.NodeOf(member)
	switch {
	case node == nil:
		d.note(of, "has %s around no task; pass what AddTask returned", written)
		return nil
	case node.Dag != any(d):
		d.note(of, "waits for the task '%s' of DAG '%s'; tasks wait for tasks of their own DAG only", node.TaskID, node.DagID)
		return nil
	case d.tasks[node.TaskID] == nil || d.tasks[node.TaskID].node != node:
		of.node.Broken = true // its own mistake was told
		return nil
	}
	return node
}

func (d *Dag) checkResult(of *task, from *spec.Node, input spec.Input) {
	switch {
	case from.Broken || from.Unknown:
	case from.Result == nil:
		d.note(of, "takes the result of the task '%s', which returns no value; let it return one, or write "+
			"sdk.Upstream for the order only", from.TaskID)
	case input.Kind == spec.Items && !from.Mapped && !mayBeList(from.Result):
		d.note(of, "is mapped over the result of the task '%s', a %s; let it return a slice", from.TaskID, from.Result)
	}
}

func mayBeList(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer && !value.MarshalsItself(t) {
		t = t.Elem()
	}
	return t.Kind() == reflect.Interface || value.MarshalsItself(t) || value.IsList(t)
}

func (d *Dag) bindValues(of *task, inputs []spec.Input) {
	types := of.function.Values
	for _, input := range inputs {
		if input.Named {
			d.note(of, "is given %s, and a Go function's parameters have no names; drop sdk.Named, or take one struct "+
				"whose field has the tag `crosswind:\"%s\"`", input.Written, input.Name)
			return
		}
	}
	least := len(types)
	if of.function.Variadic {
		least--
	}
	switch {
	case len(inputs) < least:
		d.note(of, "is given %s, and its function takes %s: parameter %s is left without a value; give it one with "+
			"sdk.After, sdk.Expand, sdk.Arg or sdk.FromParam", numberOf(len(inputs), "value"), listTypes(of.function),
			types[len(inputs)])
	case len(inputs) > len(types) && !of.function.Variadic:
		d.note(of, "is given %s, and its function takes %s; drop %s, or write sdk.Upstream for the order only",
			numberOf(len(inputs), "value"), listTypes(of.function), inputs[len(types)].Written)
	default:
		for position, input := range inputs {
			of.bound = append(of.bound, bound{position: position, input: input})
		}
	}
}

func (d *Dag) bindFields(of *task, inputs []spec.Input, fields []function.Field) {
	places := map[string]int{}
	for place, field := range fields {
		places[field.Name] = place
	}
	given := map[int]string{}
	next := 0
	for _, input := range inputs {
		place, known := next, next < len(fields)
		if input.Named {
			place, known = places[input.Name]
		} else {
			next++
		}
		switch {
		case !known && input.Named:
			d.note(of, "is given %s, and its struct has no field with the tag `crosswind:\"%s\"`; it has %s", input.Written,
				input.Name, listTags(fields))
			return
		case !known:
			d.note(of, "is given %s, and its struct has only the tags %s; drop it", input.Written, listTags(fields))
			return
		case given[place] != "":
			d.note(of, "is given both %s and %s for '%s'; drop one of them", given[place], input.Written, fields[place].Name)
			return
		}
		given[place] = input.Written
		of.bound = append(of.bound, bound{name: fields[place].Name, position: place, input: input})
	}
	for place, field := range fields {
		if given[place] == "" && !field.Optional {
			d.note(of, "is given nothing for the field with the tag `crosswind:\"%s\"`; add sdk.Named(%q, ...), or make it "+
				"`crosswind:\"%s,optional\"`", field.Name, field.Name, field.Name)
		}
	}
}

// bindUnknown binds the inputs of another bundle's task, whose parameters only the other bundle knows.
func (d *Dag) bindUnknown(of *task, inputs []spec.Input) {
	position := 0
	names := map[string]bool{}
	for _, input := range inputs {
		if !input.Named {
			of.bound = append(of.bound, bound{position: position, input: input})
			position++
			continue
		}
		if input.Name == "" || names[input.Name] {
			d.note(of, "has two inputs named '%s', or one whose name is empty; rename it", input.Name)
			return
		}
		names[input.Name] = true
		of.bound = append(of.bound, bound{name: input.Name, position: -1, input: input})
	}
}

// fill encodes what is written in the DAG.
func (d *Dag) fill(of *task, each *bound) {
	input := each.input
	switch {
	case input.Kind == spec.Literal:
		data, err := value.Encode(input.Value)
		if err != nil {
			d.note(of, "is given %s, which %v", input.Written, err)
			return
		}
		each.literal = value.Payload(data)
	case input.Kind == spec.Items && input.Task == nil:
		given := reflect.ValueOf(input.Value)
		if !given.IsValid() {
			d.note(of, "is mapped over nil; pass sdk.Expand a task or a slice")
			return
		}
		items, isList, err := value.ItemsOf(given)
		switch {
		case err != nil:
			d.note(of, "is mapped over a %s, which %v", given.Type(), err)
		case !isList:
			d.note(of, "is mapped over a %s; pass sdk.Expand a task or a slice", given.Type())
		default:
			each.literal = value.Items(items)
		}
	case input.Kind == spec.Param:
		if _, declared := d.said.Params[input.Param]; !declared {
			d.note(of, "takes the run's parameter '%s', which the DAG does not declare; add it to v1.Params", input.Param)
		}
	}
}

func numberOf(count int, what string) string {
	if count == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", count, what)
}

func listTypes(of *function.Function) string {
	if len(of.Values) == 0 {
		return "none"
	}
	names := make([]string, len(of.Values))
	for index, t := range of.Values {
		names[index] = t.String()
	}
	if of.Variadic {
		names[len(names)-1] = "..." + names[len(names)-1]
	}
	return fmt.Sprintf("%s (%s)", numberOf(len(names), "value"), strings.Join(names, ", "))
}

func listTags(fields []function.Field) string {
	names := make([]string, len(fields))
	for index, field := range fields {
		names[index] = "'" + field.Name + "'"
	}
	return strings.Join(names, ", ")
}
