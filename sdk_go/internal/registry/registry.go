// Package registry collects what a bundle says of itself: its DAGs, their tasks and the tasks that it offers to DAGs of
// other bundles. Every mistake becomes a Problem, and all of them are told together; none ends the process.
package registry

import (
	"fmt"
	"regexp"
	"strings"

	"crosswind.dev/go/internal/function"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/spec"
	"crosswind.dev/go/sdk"
)

var id = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,250}$`)

const idRule = "use 1 to 250 letters, digits, '_', '-' and '.'"

// Problem is a mistake of the author's, in one sentence that names the thing and the way out.
type Problem struct {
	// Bundle, Dag and Task say whose it is, as far as it is a DAG's or a task's.
	Bundle, Dag, Task string
	// Location is where it was written, such as main.go:12. Empty where unknown.
	Location string
	// Problem is the sentence's end.
	Problem string
}

// Error implements error.
func (p *Problem) Error() string {
	var who string
	switch {
	case p.Task != "" && p.Dag != "":
		who = fmt.Sprintf("Task '%s' of DAG '%s' in bundle '%s'", p.Task, p.Dag, p.Bundle)
	case p.Task != "":
		who = fmt.Sprintf("Task '%s' in bundle '%s'", p.Task, p.Bundle)
	case p.Dag != "":
		who = fmt.Sprintf("DAG '%s' in bundle '%s'", p.Dag, p.Bundle)
	default:
		who = fmt.Sprintf("Bundle '%s'", p.Bundle)
	}
	if p.Location != "" {
		who += fmt.Sprintf(" (%s)", p.Location)
	}
	return fmt.Sprintf("%s %s.", who, p.Problem)
}

// Problems are all of a bundle's.
type Problems []*Problem

// Error implements error: a line for each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for index, problem := range p {
		lines[index] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap implements errors.Unwrap for several.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for index, problem := range p {
		errs[index] = problem
	}
	return errs
}

// EntryPoint is something that a worker may call.
type EntryPoint struct {
	Name     string
	Function *function.Function
	// Defaults are those of the parameters that the task's DAG declares.
	Defaults sdk.Params
}

// Bundle is a bundle without mistakes.
type Bundle struct {
	Name string
	// Manifest lacks its bundle_version: that is a digest of the binary.
	Manifest *manifestpb.Manifest
	// EntryPoints are by their names.
	EntryPoints map[string]*EntryPoint
}

// Registry collects one bundle.
type Registry struct {
	name     string
	dags     []*Dag
	dagIDs   map[string]*Dag
	offers   []*offer
	problems Problems
}

// offer is a function for DAGs of other bundles.
type offer struct {
	name     string
	doc      string
	function *function.Function
}

// New begins a bundle.
func New(name string) *Registry {
	r := &Registry{name: name, dagIDs: map[string]*Dag{}}
	if !id.MatchString(name) {
		r.note("", "", "", "has a name that is not valid; %s, with v1.Name", idRule)
	}
	return r
}

// Note notes a mistake that is the whole bundle's.
func (r *Registry) Note(format string, args ...any) { r.note("", "", "", format, args...) }

// AddDag adds a DAG.
func (r *Registry) AddDag(dagID string, said spec.Dag, location string) *Dag {
	dag := &Dag{registry: r, id: dagID, said: said, location: location, tasks: map[string]*task{}}
	before, taken := r.dagIDs[dagID]
	switch {
	case !id.MatchString(dagID):
		r.note("", "", location, "has a DAG with the id '%s', which is not valid; %s", dagID, idRule)
	case taken:
		r.note(dagID, "", location, "was added before, at %s; rename one of them", before.location)
	default:
		r.dagIDs[dagID] = dag
		r.dags = append(r.dags, dag)
	}
	dag.checkSaid()
	return dag
}

// AddTask offers a function to DAGs of other bundles.
func (r *Registry) AddTask(given any, options []sdk.TaskOption, location string) {
	var said spec.Task
	for _, each := range options {
		if each != nil {
			each.Apply(&said)
		}
	}
	found, problems := function.Analyze(given)
	name, problem := nameTask(&said, found, problems)
	if problem != "" {
		problems = append([]string{problem}, problems...)
	}
	if what := beyondOffer(&said); what != "" {
		problems = append(problems, fmt.Sprintf("is offered to DAGs of other bundles, which say %s themselves; drop the "+
			"option, or add the task to a DAG", what))
	}
	for _, other := range r.offers {
		if problem == "" && other.name == name {
			problems = append(problems, "was offered before; give one of them another sdk.ID")
		}
	}
	for _, problem := range problems {
		r.note("", name, location, "%s", problem)
	}
	r.offers = append(r.offers, &offer{name, said.Doc, found})
}

// Build ends the bundle. Its error is Problems.
func (r *Registry) Build() (*Bundle, error) {
	if len(r.dags) == 0 && len(r.offers) == 0 && len(r.problems) == 0 {
		r.Note("holds nothing; add a DAG with dagbag.AddDag, or offer a task with dagbag.AddTask")
	}
	for _, dag := range r.dags {
		dag.checkWhole()
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return r.build(), nil
}

func (r *Registry) note(dagID, taskID, location, format string, args ...any) {
	r.problems = append(r.problems, &Problem{
		Bundle: r.name, Dag: dagID, Task: taskID, Location: location, Problem: fmt.Sprintf(format, args...),
	})
}

// allOffers are the explicit offers, then the tasks of the DAGs under their ids. Where different functions have one id,
// each is offered under its entry point's name instead.
func (r *Registry) allOffers() []*offer {
	offers := append([]*offer(nil), r.offers...)
	explicit := map[string]bool{}
	for _, each := range offers {
		explicit[each.name] = true
	}
	var order []string
	byID := map[string][]*task{}
	for _, dag := range r.dags {
		for _, each := range dag.order {
			if each.function == nil || explicit[each.node.TaskID] {
				continue
			}
			if byID[each.node.TaskID] == nil {
				order = append(order, each.node.TaskID)
			}
			byID[each.node.TaskID] = append(byID[each.node.TaskID], each)
		}
	}
	for _, taskID := range order {
		tasks := byID[taskID]
		if areOne(tasks) {
			offers = append(offers, &offer{taskID, firstDoc(tasks), tasks[0].function})
			continue
		}
		for _, each := range tasks {
			offers = append(offers, &offer{each.entryPoint(), each.said.Doc, each.function})
		}
	}
	return offers
}

func areOne(tasks []*task) bool {
	for _, each := range tasks[1:] {
		first := tasks[0].function
		if !first.Plain || !each.function.Plain || first.Func.Pointer() != each.function.Func.Pointer() {
			return false
		}
	}
	return true
}

func firstDoc(tasks []*task) string {
	for _, each := range tasks {
		if each.said.Doc != "" {
			return each.said.Doc
		}
	}
	return ""
}
