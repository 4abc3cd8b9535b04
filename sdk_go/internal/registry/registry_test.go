package registry_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/registry"
	"crosswind.dev/go/internal/spec"
	"crosswind.dev/go/sdk"
)

type options = []sdk.TaskOption

func nothing() error                 { return nil }
func list() ([]int, error)           { return nil, nil }
func whole() (map[string]int, error) { return nil, nil }
func one(int) (int, error)           { return 0, nil }
func two(int, string) error          { return nil }
func many(string, ...int) error      { return nil }
func tagged(struct {
	Rows  []int `crosswind:"rows"`
	Limit int   `crosswind:"limit,optional"`
}) error {
	return nil
}
func broken(chan int) error { return nil }

// problemsOf are the sentences about what a function adds to a DAG.
func problemsOf(t *testing.T, add func(r *registry.Registry, dag *registry.Dag)) []string {
	t.Helper()
	r := registry.New("b")
	dag := r.AddDag("d", spec.Dag{Params: map[string]any{"month": 1}}, "main.go:1")
	dag.AddTask(nothing, options{sdk.ID("first")}, "main.go:2")
	add(r, dag)
	_, err := r.Build()
	if err == nil {
		return nil
	}
	var problems registry.Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(problems) {
		t.Errorf("%d problems in %d lines: %s", len(problems), len(lines), err)
	}
	return lines
}

func TestEachMistakeHasItsSentence(t *testing.T) {
	task := func(given any, of ...sdk.TaskOption) func(*registry.Registry, *registry.Dag) {
		return func(_ *registry.Registry, dag *registry.Dag) { dag.AddTask(given, of, "main.go:9") }
	}
	after := func(first any, given any, use func(sdk.Task) sdk.TaskOption) func(*registry.Registry, *registry.Dag) {
		return func(_ *registry.Registry, dag *registry.Dag) {
			dag.AddTask(given, options{use(dag.AddTask(first, nil, "main.go:8"))}, "main.go:9")
		}
	}
	of := func(id string) string { return fmt.Sprintf("Task '%s' of DAG 'd' in bundle 'b' (main.go:9) ", id) }
	const given = "give it one with sdk.After, sdk.Expand, sdk.Arg or sdk.FromParam."
	cases := []struct {
		name string
		add  func(*registry.Registry, *registry.Dag)
		want string
	}{
		{"analysis", task(broken), of("broken") + "has the parameter 1 of type chan int, and no value can be decoded into it: " +
			"it is of type chan int, which JSON has no word for."},
		{"closure", task(func() error { return nil }), of("?") + "is a function without a name of its own, such as a closure; " +
			"name the task with sdk.ID."},
		{"id", task(nothing, sdk.ID("a b")), of("a b") + "has an id that is not valid; use 1 to 250 letters, digits, '_', '-' and '.'."},
		{"duplicate", task(nothing, sdk.ID("first")), of("first") + "was added before, at main.go:2; give one of them another " +
			"name with sdk.ID."},
		{"too few", task(one), of("one") + "is given 0 values, and its function takes 1 value (int): parameter int is left " +
			"without a value; " + given},
		{"too few of two", task(two, sdk.Arg(1)), of("two") + "is given 1 value, and its function takes 2 values (int, string): " +
			"parameter string is left without a value; " + given},
		{"too few before rest", task(many), of("many") + "is given 0 values, and its function takes 2 values (string, ...int): " +
			"parameter string is left without a value; " + given},
		{"too many", task(one, sdk.Arg(1), sdk.Arg(2)), of("one") + "is given 2 values, and its function takes 1 value (int); " +
			"drop sdk.Arg(2), or write sdk.Upstream for the order only."},
		{"none taken", task(nothing, sdk.Arg(1)), of("nothing") + "is given sdk.Arg(1), and its function takes no values; add a " +
			"parameter for it, or drop it."},
		{"named for plain", task(one, sdk.Named("n", sdk.Arg(1))), of("one") + "is given sdk.Named(\"n\", sdk.Arg(1)), and a Go " +
			"function's parameters have no names; drop sdk.Named, or take one struct whose field has the tag `crosswind:\"n\"`."},
		{"unknown tag", task(tagged, sdk.Named("row", sdk.Arg(1))), of("tagged") + "is given sdk.Named(\"row\", sdk.Arg(1)), and " +
			"its struct has no field with the tag `crosswind:\"row\"`; it has 'rows', 'limit'."},
		{"missing tag", task(tagged, sdk.Named("limit", sdk.Arg(1))), of("tagged") + "is given nothing for the field with the tag " +
			"`crosswind:\"rows\"`; add sdk.Named(\"rows\", ...), or make it `crosswind:\"rows,optional\"`."},
		{"tag twice", task(tagged, sdk.Arg(1), sdk.Named("rows", sdk.Arg(2))), of("tagged") + "is given both sdk.Arg(1) and " +
			"sdk.Named(\"rows\", sdk.Arg(2)) for 'rows'; drop one of them."},
		{"too many for tags", task(tagged, sdk.Arg(1), sdk.Arg(2), sdk.Arg(3)), of("tagged") + "is given sdk.Arg(3), and its " +
			"struct has only the tags 'rows', 'limit'; drop it."},
		{"nothing returned", after(nothing, one, func(up sdk.Task) sdk.TaskOption { return sdk.After(up) }),
			of("one") + "takes the result of the task 'nothing', which returns no value; let it return one, or write " +
				"sdk.Upstream for the order only."},
		{"no list returned", after(whole, one, func(up sdk.Task) sdk.TaskOption { return sdk.Expand(up) }),
			of("one") + "is mapped over the result of the task 'whole', a map[string]int; let it return a slice."},
		{"no list", task(one, sdk.Expand(5)), of("one") + "is mapped over a int; pass sdk.Expand a task or a slice."},
		{"nil list", task(one, sdk.Expand(nil)), of("one") + "is mapped over nil; pass sdk.Expand a task or a slice."},
		{"list of what is not JSON", task(one, sdk.Expand([]float64{math.NaN()})), of("one") + "is mapped over a []float64, which " +
			"has an item 0 that cannot be written as JSON: it has a NaN, which JSON has no word for; use a nil pointer or a text instead."},
		{"argument that is not JSON", task(one, sdk.Arg(math.Inf(1))), of("one") + "is given sdk.Arg(+Inf), which cannot be " +
			"written as JSON: it has a +Inf, which JSON has no word for; use a nil pointer or a text instead."},
		{"unknown parameter", task(one, sdk.FromParam("mont")), of("one") + "takes the run's parameter 'mont', which the DAG does " +
			"not declare; add it to v1.Params."},
		{"nil task", task(one, sdk.After(nil)), of("one") + "has sdk.After(nil) around no task; pass what AddTask returned."},
		{"another DAG's", func(r *registry.Registry, dag *registry.Dag) {
			other := r.AddDag("other", spec.Dag{}, "main.go:7").AddTask(list, nil, "main.go:8")
			dag.AddTask(one, options{sdk.Expand(other)}, "main.go:9")
		}, of("one") + "waits for the task 'list' of DAG 'other'; tasks wait for tasks of their own DAG only."},
		{"retries", task(nothing, sdk.Retries(-1)), of("nothing") + "has sdk.Retries(-1), and it lies between 0 and 1000; correct it."},
		{"delay", task(nothing, sdk.RetryDelay(-time.Second)), of("nothing") + "has sdk.RetryDelay(-1s), and it lies between 0s " +
			"and ten years; correct it."},
		{"timeout", task(nothing, sdk.Timeout(0)), of("nothing") + "has sdk.Timeout(0s), and it lies between 1µs and ten years; " +
			"correct it."},
		{"slots", task(nothing, sdk.Slots(0)), of("nothing") + "has sdk.Slots(0), and it lies between 1 and 10000; correct it."},
		{"factor", task(nothing, sdk.RetryBackoff(0.5)), of("nothing") + "has sdk.RetryBackoff(0.5), and the factor is at least 1; " +
			"correct it."},
		{"jitter", task(nothing, sdk.RetryJitter(2)), of("nothing") + "has sdk.RetryJitter(2), and it lies between 0 and 1; correct it."},
		{"rule", task(nothing, sdk.RetryRules(sdk.RetryRule{})), of("nothing") + "has a sdk.RetryRule without Types; name at least " +
			"one, such as \"*fs.PathError\"."},
		{"queue", task(nothing, sdk.Queue(strings.Repeat("q", 101))), of("nothing") + "has a queue of more than 100 characters; shorten it."},
		{"trigger", task(nothing, sdk.Trigger("some")), of("nothing") + "has the trigger rule 'some', which does not exist; use a " +
			"constant such as sdk.AllDone."},
		{"partition", task(nothing, sdk.OnPartition("die")), of("nothing") + "has the partition policy 'die', which does not " +
			"exist; use sdk.RunOn or sdk.Kill."},
		{"text", task(nothing, sdk.Doc("\xff")), of("nothing") + "has a text that is not UTF-8 (\"\\xff\"); correct it."},
		{"reference", func(_ *registry.Registry, dag *registry.Dag) { dag.AddReference("", "x", nil, "main.go:9") },
			of("x") + "refers to the task 'x' of the bundle ''; name both, as the other bundle does."},
		{"DAG twice", func(r *registry.Registry, _ *registry.Dag) { r.AddDag("d", spec.Dag{}, "main.go:9") },
			"DAG 'd' in bundle 'b' (main.go:9) was added before, at main.go:1; rename one of them."},
		{"DAG id", func(r *registry.Registry, _ *registry.Dag) { r.AddDag("", spec.Dag{}, "main.go:9") },
			"Bundle 'b' (main.go:9) has a DAG with the id '', which is not valid; use 1 to 250 letters, digits, '_', '-' and '.'."},
		{"DAG without tasks", func(r *registry.Registry, _ *registry.Dag) { r.AddDag("e", spec.Dag{}, "main.go:9") },
			"DAG 'e' in bundle 'b' (main.go:9) has no tasks; add one with dag.AddTask, or drop the DAG."},
		{"default", func(r *registry.Registry, _ *registry.Dag) {
			r.AddDag("e", spec.Dag{Params: map[string]any{"x": math.NaN()}}, "main.go:9").AddTask(nothing, nil, "main.go:10")
		}, "DAG 'e' in bundle 'b' (main.go:9) has the parameter 'x', whose default cannot be written as JSON: it has a NaN, which " +
			"JSON has no word for; use a nil pointer or a text instead; give it another."},
		{"required with default", func(r *registry.Registry, _ *registry.Dag) {
			said := spec.Dag{Params: map[string]any{"x": spec.RunParam{Default: 1, Required: true}}}
			r.AddDag("e", said, "main.go:9").AddTask(nothing, nil, "main.go:10")
		}, "DAG 'e' in bundle 'b' (main.go:9) has the parameter 'x', whose default is set, though every run must give it; drop " +
			"one of the two."},
		{"tag of a DAG", func(r *registry.Registry, _ *registry.Dag) {
			r.AddDag("e", spec.Dag{Tags: []string{strings.Repeat("t", 101)}}, "main.go:9").AddTask(nothing, nil, "main.go:10")
		}, "DAG 'e' in bundle 'b' (main.go:9) has the tag 'tttttttttttttttttttt...' of more than 100 characters; shorten it."},
		{"offered with options", func(r *registry.Registry, _ *registry.Dag) {
			r.AddTask(nothing, options{sdk.Retries(2)}, "main.go:9")
		}, "Task 'nothing' in bundle 'b' (main.go:9) is offered to DAGs of other bundles, which say how it is run themselves; drop " +
			"the option, or add the task to a DAG."},
		{"offered with inputs", func(r *registry.Registry, _ *registry.Dag) {
			r.AddTask(one, options{sdk.Arg(2)}, "main.go:9")
		}, "Task 'one' in bundle 'b' (main.go:9) is offered to DAGs of other bundles, which say what its inputs are (sdk.Arg(2)) " +
			"themselves; drop the option, or add the task to a DAG."},
		{"offered twice", func(r *registry.Registry, _ *registry.Dag) {
			r.AddTask(one, nil, "main.go:8")
			r.AddTask(two, options{sdk.ID("one")}, "main.go:9")
		}, "Task 'one' in bundle 'b' (main.go:9) was offered before; give one of them another sdk.ID."},
	}
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			got := problemsOf(t, each.add)
			if len(got) != 1 || got[0] != each.want {
				t.Errorf("\ngot  %s\nwant %s", strings.Join(got, "\n     "), each.want)
			}
		})
	}
}

func TestWhatFollowsFromAMistakeIsNotTold(t *testing.T) {
	got := problemsOf(t, func(_ *registry.Registry, dag *registry.Dag) {
		up := dag.AddTask(broken, nil, "main.go:8")
		next := dag.AddTask(one, options{sdk.After(up)}, "main.go:9")
		dag.AddTask(two, options{sdk.After(next), sdk.Arg("x")}, "main.go:10")
	})
	if len(got) != 1 || !strings.HasPrefix(got[0], "Task 'broken'") {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}

func TestAllMistakesAreToldTogether(t *testing.T) {
	got := problemsOf(t, func(_ *registry.Registry, dag *registry.Dag) {
		dag.AddTask(one, options{sdk.Retries(-1), sdk.Slots(0)}, "main.go:8")
		dag.AddTask(broken, nil, "main.go:9")
	})
	if len(got) != 4 {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}

func TestAnEmptyBundleIsRefused(t *testing.T) {
	_, err := registry.New("b").Build()
	const want = "Bundle 'b' holds nothing; add a DAG with dagbag.AddDag, or offer a task with dagbag.AddTask."
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	_, err = registry.New("").Build()
	if err == nil || !strings.HasPrefix(err.Error(), "Bundle '' has a name that is not valid; ") {
		t.Errorf("got %v", err)
	}
}

func dagOf(t *testing.T, bundle *registry.Bundle, index int) *manifestpb.Dag {
	t.Helper()
	var dag manifestpb.Dag
	if err := proto.Unmarshal(bundle.Manifest.GetDags()[index].GetDag(), &dag); err != nil {
		t.Fatal(err)
	}
	return &dag
}

func TestADagBecomesAManifest(t *testing.T) {
	r := registry.New("b")
	paused := true
	dag := r.AddDag("d", spec.Dag{
		Description: "text", Owner: "me", Tags: []string{"x"}, Params: map[string]any{
			"month": spec.RunParam{Default: 1, Schema: map[string]any{"type": "integer"}, Description: "which"}, "all": nil,
			"must": spec.RunParam{Required: true},
		},
		Access: &spec.Access{Variables: []string{"a*"}}, FailWhenGone: true, PausedUponCreation: &paused,
		Defaults: []func(*spec.Task){sdk.Retries(2).Apply, sdk.Queue("q").Apply},
	}, "main.go:3")
	items := dag.AddTask(list, options{sdk.Retries(0), sdk.Doc("doc")}, "main.go:4")
	mapped := dag.AddTask(one, options{
		sdk.Expand(items), sdk.RetryDelay(time.Second), sdk.RetryBackoff(2), sdk.MaxRetryDelay(time.Minute), sdk.RetryJitter(0.5),
		sdk.RetryRules(sdk.RetryRule{Types: []string{"panic"}, Fail: true}, sdk.RetryRule{Types: []string{"x"}, Delay: time.Second}),
		sdk.MaxLost(1), sdk.Timeout(time.Hour), sdk.CancelGrace(time.Second), sdk.Queue("big"), sdk.Slots(2), sdk.Priority(-1),
		sdk.DisplayName("One"), sdk.Trigger(sdk.AllDone), sdk.OnPartition(sdk.Kill), sdk.Isolated(), sdk.Variables("v"),
		sdk.Connections("c"),
	}, "main.go:5")
	ref := dag.AddReference("other", "module:load", options{sdk.After(mapped), sdk.Named("limit", sdk.FromParam("month"))}, "")
	dag.AddTask(tagged, options{
		sdk.Named("limit", sdk.Arg(3)), sdk.Named("rows", sdk.After(ref)), sdk.Upstream(items, ref),
	}, "main.go:6")
	dag.AddTask(nothing, options{sdk.After(items, mapped)}, "main.go:7")
	dag.AddTask(two, options{sdk.Expand([]int{1, 2}), sdk.Expand([]string{"a"})}, "main.go:8")
	bundle, err := r.Build()
	if err != nil {
		t.Fatal(err)
	}
	got := dagOf(t, bundle, 0)
	want := &manifestpb.Dag{}
	if err := prototext.Unmarshal([]byte(wantedDag), want); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, want) {
		t.Errorf("got\n%s", prototext.MarshalOptions{Multiline: true}.Format(got))
	}
	names := make([]string, 0, len(bundle.EntryPoints))
	for name := range bundle.EntryPoints {
		names = append(names, name)
	}
	slices.Sort(names)
	wantNames := []string{"d/list", "d/nothing", "d/one", "d/tagged", "d/two", "list", "nothing", "one", "tagged", "two"}
	if !slices.Equal(names, wantNames) {
		t.Errorf("entry points %v", names)
	}
	if defaults := bundle.EntryPoints["d/one"].Defaults; len(defaults) != 2 || string(defaults["month"]) != "1" {
		t.Errorf("defaults %s", defaults)
	}
}

const wantedDag = `
dag_id: "d" description: "text" owner: "me" tags: "x" version_policy: VERSION_POLICY_FAIL paused_upon_creation: true
source_location: "main.go:3"
params { name: "all" default_value { encoding: "json/utf-8" data: "null" } }
params { name: "month" default_value { encoding: "json/utf-8" data: "1" } json_schema: "{\"type\":\"integer\"}" description: "which" }
params { name: "must" }
access { mode: ACCESS_MODE_STRICT variables: "a*" }
tasks {
  task_id: "list" doc_md: "doc" entry_point: "d/list" kind: TASK_KIND_NORMAL retry { retries: 0 } queue: "q" language: "go"
}
tasks {
  task_id: "one" display_name: "One" entry_point: "d/one" kind: TASK_KIND_NORMAL upstream { task_id: "list" }
  trigger_rule: TRIGGER_RULE_ALL_DONE
  mapping { combination: COMBINATION_CROSS inputs { position: 0 output { task_id: "list" } } }
  retry {
    retries: 2 delay { seconds: 1 } multiplier: 2 max_delay { seconds: 60 } jitter: 0.5 max_lost: 1
    rules { failure_types: "panic" retry: false } rules { failure_types: "x" delay { seconds: 1 } }
  }
  execution_timeout { seconds: 3600 } cancel_grace { seconds: 1 } queue: "big" slots: 2 priority: -1
  on_partition: PARTITION_POLICY_KILL isolation: ISOLATION_PROCESS variables: "v" connections: "c" language: "go"
}
tasks {
  task_id: "load" reference { bundle: "other" entry_point: "module:load" } kind: TASK_KIND_NORMAL upstream { task_id: "one" }
  inputs { position: 0 output { task_id: "one" } } inputs { name: "limit" param: "month" } retry { retries: 2 } queue: "q"
}
tasks {
  task_id: "tagged" entry_point: "d/tagged" kind: TASK_KIND_NORMAL upstream { task_id: "load" } upstream { task_id: "list" }
  inputs { name: "limit" position: 1 literal { encoding: "json/utf-8" data: "3" } }
  inputs { name: "rows" position: 0 output { task_id: "load" } } retry { retries: 2 } queue: "q" language: "go"
}
tasks {
  task_id: "nothing" entry_point: "d/nothing" kind: TASK_KIND_NORMAL upstream { task_id: "list" } upstream { task_id: "one" }
  retry { retries: 2 } queue: "q" language: "go"
}
tasks {
  task_id: "two" entry_point: "d/two" kind: TASK_KIND_NORMAL retry { retries: 2 } queue: "q" language: "go"
  mapping {
    combination: COMBINATION_CROSS
    inputs { position: 0 literal { encoding: "json/utf-8" items { items { data: "1" } items { data: "2" } } } }
    inputs { position: 1 literal { encoding: "json/utf-8" items { items { data: "\"a\"" } } } }
  }
}
`

type holder struct{}

func (holder) load() error { return nil }

func TestWhatIsOffered(t *testing.T) {
	r := registry.New("b")
	first, second := r.AddDag("d", spec.Dag{}, ""), r.AddDag("e", spec.Dag{}, "")
	for _, dag := range []*registry.Dag{first, second} {
		dag.AddTask(nothing, options{sdk.Doc("does nothing")}, "")
		dag.AddTask(holder{}.load, nil, "")
		dag.AddTask(func() error { return nil }, options{sdk.ID("closure")}, "")
		dag.AddTask(list, options{sdk.ID("explicit")}, "")
	}
	second.AddTask(one, options{sdk.ID("renamed"), sdk.Arg(1)}, "")
	second.AddReference("other", "theirs", nil, "")
	r.AddTask(tagged, options{sdk.ID("explicit"), sdk.Doc("# told")}, "")
	bundle, err := r.Build()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, each := range bundle.Manifest.GetOfferedTasks() {
		got = append(got, fmt.Sprintf("%s(%s) %s", each.GetEntryPoint(), strings.Join(each.GetParameterNames(), ","), each.GetDoc()))
		if bundle.EntryPoints[each.GetEntryPoint()] == nil {
			t.Errorf("%s is offered, and cannot be called", each.GetEntryPoint())
		}
	}
	// Different functions of one name are offered under their DAGs' names, unless one was offered by name.
	want := []string{
		"explicit(rows,limit) # told", "nothing() does nothing", "d/load() ", "e/load() ", "d/closure() ", "e/closure() ",
		"renamed() ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestTheSameSourceGivesTheSameBytes(t *testing.T) {
	build := func() string {
		r := registry.New("b")
		dag := r.AddDag("d", spec.Dag{Params: map[string]any{"a": 1, "b": 2, "c": map[string]int{"x": 1, "y": 2}}}, "main.go:1")
		dag.AddTask(one, options{sdk.Arg(map[string]any{"p": 1, "q": 2, "r": 3})}, "")
		bundle, err := r.Build()
		if err != nil {
			t.Fatal(err)
		}
		return string(bundle.Manifest.GetDags()[0].GetDag())
	}
	first := build()
	for range 20 {
		if build() != first {
			t.Fatal("the bytes differ")
		}
	}
}
