package registry

import (
	"fmt"
	"reflect"
	"unicode/utf8"

	"crosswind.dev/go/internal/function"
	"crosswind.dev/go/internal/spec"
	"crosswind.dev/go/sdk"
)

const maxTasks = 10_000

// Dag collects one DAG.
type Dag struct {
	registry *Registry
	id       string
	said     spec.Dag
	location string
	// begun counts the tasks that were added, also those that are wrong.
	begun int
	order []*task
	tasks map[string]*task
}

// task is a task of a DAG.
type task struct {
	dag      *Dag
	node     *spec.Node
	said     spec.Task
	location string
	// function is nil for a task of another bundle.
	function *function.Function
	// reference is empty for one of this bundle.
	bundle, offered string
	bound           []bound
	// upstream are the tasks to wait for, first those whose results are inputs.
	upstream []string
}

// ID is the DAG's.
func (d *Dag) ID() string { return d.id }

// AddTask adds a task whose function is the bundle's own.
func (d *Dag) AddTask(given any, options []sdk.TaskOption, location string) *spec.Node {
	made := d.begin(options, location)
	found, problems := function.Analyze(given)
	name, problem := nameTask(&made.said, found, problems)
	made.node.TaskID = name
	made.node.Result = found.Result
	made.function = found
	if problem != "" {
		d.note(made, "%s", problem)
	}
	for _, each := range problems {
		d.note(made, "%s", each)
	}
	d.add(made, problem == "")
	return made.node
}

// AddReference adds a task that another bundle offers.
func (d *Dag) AddReference(bundle, offered string, options []sdk.TaskOption, location string) *spec.Node {
	made := d.begin(options, location)
	made.bundle, made.offered = bundle, offered
	made.node.Unknown = true
	made.node.TaskID = lastPart(offered)
	if made.said.ID != nil {
		made.node.TaskID = *made.said.ID
	}
	switch {
	case !id.MatchString(bundle) || offered == "":
		if made.node.TaskID == "" {
			made.node.TaskID = "?"
		}
		d.note(made, "refers to the task '%s' of the bundle '%s'; name both, as the other bundle does", offered, bundle)
	case !id.MatchString(made.node.TaskID):
		d.note(made, "has an id that is not valid; %s, with sdk.ID", idRule)
	}
	d.add(made, id.MatchString(made.node.TaskID))
	return made.node
}

func (d *Dag) begin(options []sdk.TaskOption, location string) *task {
	d.begun++
	made := &task{dag: d, location: location, node: &spec.Node{Dag: d, DagID: d.id}}
	for _, each := range d.said.Defaults {
		each(&made.said)
	}
	for _, each := range options {
		if each != nil {
			each.Apply(&made.said)
		}
	}
	return made
}

func (d *Dag) add(made *task, named bool) {
	if named {
		if before, taken := d.tasks[made.node.TaskID]; taken {
			d.note(made, "was added before, at %s; give one of them another name with sdk.ID", before.location)
		} else {
			d.tasks[made.node.TaskID] = made
			d.order = append(d.order, made)
		}
	}
	canBind := !made.node.Broken
	d.checkSettings(made)
	if canBind {
		made.node.Broken = false // a wrong setting says nothing of the inputs
		d.bind(made)
	}
}

// note notes a mistake of a task's. What follows from it is not told.
func (d *Dag) note(of *task, format string, args ...any) {
	of.node.Broken = true
	d.registry.note(d.id, of.node.TaskID, of.location, format, args...)
}

func (d *Dag) checkSaid() {
	complain := func(format string, args ...any) { d.registry.note(d.id, "", d.location, format, args...) }
	for _, text := range append([]string{d.said.DisplayName, d.said.Description, d.said.Doc, d.said.Owner}, d.said.Tags...) {
		if !utf8.ValidString(text) {
			complain("has a text that is not UTF-8 (%.20q); correct it", text)
		}
	}
	if len(d.said.Tags) > 50 {
		complain("has %d tags, and at most 50 are allowed; drop some", len(d.said.Tags))
	}
	for _, tag := range d.said.Tags {
		if len([]rune(tag)) > 100 {
			complain("has the tag '%.20s...' of more than 100 characters; shorten it", tag)
		}
	}
	if len(d.said.Doc) > 64*1024 {
		complain("has documentation of more than 64 KiB; shorten it")
	}
	for _, name := range sortedKeys(d.said.Params) {
		if name == "" {
			complain("has a parameter without a name; give it one")
		}
		if _, _, problem := readParam(d.said.Params[name]); problem != "" {
			complain("has the parameter '%s', whose %s", name, problem)
		}
	}
}

func (d *Dag) checkWhole() {
	switch {
	case len(d.order) > maxTasks:
		d.registry.note(d.id, "", d.location, "has %d tasks, and at most %d are allowed; map one over a list with "+
			"sdk.Expand", len(d.order), maxTasks)
	case d.begun == 0:
		d.registry.note(d.id, "", d.location, "has no tasks; add one with dag.AddTask, or drop the DAG")
	}
}

// nameTask is a task's id.
func nameTask(said *spec.Task, found *function.Function, problems []string) (name, problem string) {
	switch {
	case said.ID != nil && id.MatchString(*said.ID):
		return *said.ID, ""
	case said.ID != nil:
		return *said.ID, fmt.Sprintf("has an id that is not valid; %s", idRule)
	case found.Name == "" && found.Func.IsValid():
		return "?", "is a function without a name of its own, such as a closure; name the task with sdk.ID"
	case found.Name == "": // it is no function, which is told already
		return "?", ""
	case !id.MatchString(found.Name):
		return found.Name, fmt.Sprintf("has a function's name that cannot be an id; %s, with sdk.ID", idRule)
	default:
		return found.Name, ""
	}
}

// beyondOffer is what was said of an offered task beyond its id and doc. Empty: nothing.
func beyondOffer(said *spec.Task) string {
	rest := *said
	rest.ID, rest.Doc = nil, ""
	switch {
	case len(rest.Inputs) > 0:
		return "what its inputs are (" + rest.Inputs[0].Written + ")"
	case len(rest.Upstream) > 0:
		return "what it waits for (sdk.Upstream)"
	case !reflect.ValueOf(rest).IsZero():
		return "how it is run"
	default:
		return ""
	}
}
