package bundlev1

import (
	"crosswind.dev/go/internal/spec"
	"crosswind.dev/go/sdk"
)

// DagOption says more of a DAG where it is added.
type DagOption func(*spec.Dag)

func settingsOf(options []DagOption) spec.Dag {
	var said spec.Dag
	for _, option := range options {
		if option != nil {
			option(&said)
		}
	}
	return said
}

// DisplayName is what people see instead of the id.
func DisplayName(name string) DagOption { return func(dag *spec.Dag) { dag.DisplayName = name } }

// Description is one sentence for lists.
func Description(sentence string) DagOption {
	return func(dag *spec.Dag) { dag.Description = sentence }
}

// Doc is longer documentation, Markdown, at most 64 KiB.
func Doc(markdown string) DagOption { return func(dag *spec.Dag) { dag.Doc = markdown } }

// Owner is who is to be asked about it.
func Owner(owner string) DagOption { return func(dag *spec.Dag) { dag.Owner = owner } }

// Tags are labels for search, at most 50 of 100 characters.
func Tags(tags ...string) DagOption {
	return func(dag *spec.Dag) { dag.Tags = append(dag.Tags, tags...) }
}

// Params declares the parameters of a run: by name a default, or a [Param] that says more.
func Params(params map[string]any) DagOption {
	return func(dag *spec.Dag) {
		if dag.Params == nil {
			dag.Params = map[string]any{}
		}
		for name, param := range params {
			if given, is := param.(Param); is {
				param = spec.RunParam(given)
			}
			dag.Params[name] = param
		}
	}
}

// Param is a parameter of a run.
type Param struct {
	// Default is its value where a run gives none.
	Default any
	// Required says that every run must give it, so that it has no default.
	Required bool
	// Description is for people.
	Description string
	// Schema are keywords of JSON Schema, draft 2020-12, such as {"type": "integer", "minimum": 1}.
	Schema map[string]any
}

// Access names what the tasks of a DAG may reach beyond their own data: names, or prefixes that end in '*'.
type Access struct {
	// Variables are names of variables.
	Variables []string
	// Connections are ids of connections.
	Connections []string
	// Dags are other DAGs that may be triggered or read.
	Dags []string
}

// StrictAccess lets the tasks reach only what is named. By default they reach everything of the DAG's team.
func StrictAccess(access Access) DagOption {
	return func(dag *spec.Dag) {
		made := spec.Access(access)
		dag.Access = &made
	}
}

// FailWhenVersionGone fails a run whose bundle version no worker offers any more. By default it goes on with the newest.
func FailWhenVersionGone() DagOption { return func(dag *spec.Dag) { dag.FailWhenGone = true } }

// PausedUponCreation says whether the DAG starts paused when it is published for the first time. By default it does not.
func PausedUponCreation(paused bool) DagOption {
	return func(dag *spec.Dag) { dag.PausedUponCreation = &paused }
}

// Defaults are options of all its tasks; what a task says itself counts more.
func Defaults(options ...sdk.TaskOption) DagOption {
	return func(dag *spec.Dag) {
		for _, option := range options {
			if option != nil {
				dag.Defaults = append(dag.Defaults, option.Apply)
			}
		}
	}
}
