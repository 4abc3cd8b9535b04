package bundlev1

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"crosswind.dev/go/sdk"
)

type bundle func(dagbag Registry) error

func (b bundle) RegisterDags(dagbag Registry) error { return b(dagbag) }

func nothing() {}

var place = regexp.MustCompile(`bundle_test\.go:[0-9]+`)

func TestWhatRegisterDagsSaysIsTold(t *testing.T) {
	cases := []struct {
		name  string
		given Bundle
		want  string
	}{
		{"nil", nil, "Bundle 'b' has a RegisterDags that failed: there is no bundle; pass v1.Serve one, as in " +
			"v1.Serve(&myBundle{})."},
		{"error", bundle(func(Registry) error { return errors.New("no config") }),
			"Bundle 'b' has a RegisterDags that failed: no config."},
		{"panic", bundle(func(Registry) error { panic("oh") }),
			"Bundle 'b' has a RegisterDags that failed: it panicked at bundle_test.go:N: oh."},
		{"panic of the runtime", bundle(func(Registry) error {
			//lint:ignore SA5000 the panic is what is tested
			map[string]int(nil)["x"] = 1
			return nil
		}), "Bundle 'b' has a RegisterDags that failed: it panicked at bundle_test.go:N: assignment to entry in nil map."},
		{"nothing", bundle(func(Registry) error { return nil }),
			"Bundle 'b' holds nothing; add a DAG with dagbag.AddDag, or offer a task with dagbag.AddTask."},
	}
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			_, err := register(each.given, "b")
			if err == nil || place.ReplaceAllString(err.Error(), "bundle_test.go:N") != each.want {
				t.Errorf("got %v\nwant %s", err, each.want)
			}
		})
	}
}

func TestPlacesAreTheAuthors(t *testing.T) {
	_, _, here, _ := runtime.Caller(0)
	_, err := register(bundle(func(dagbag Registry) error {
		dag := dagbag.AddDag("d", nil, Tags("x"))
		dag.AddTask(nothing, nil)
		dag.AddTask(nothing)
		dag.AddReference("", "")
		dagbag.AddTask(3)
		dagbag.AddDag("d")
		return nil
	}), "b")
	var lines []string
	for _, line := range strings.Split(err.Error(), "\n") {
		number, err := strconv.Atoi(strings.TrimPrefix(place.FindString(line), "bundle_test.go:"))
		if err != nil {
			t.Fatal(line)
		}
		lines = append(lines, fmt.Sprint(number-here))
	}
	if got := strings.Join(lines, " "); got != "4 5 6 7" {
		t.Errorf("lines %s of\n%v", got, err)
	}
}

func TestOptionsOfDags(t *testing.T) {
	said := settingsOf([]DagOption{
		Tags("a"), Tags("b"), Params(map[string]any{"x": 1, "y": Param{Required: true}}), Params(map[string]any{"x": 2}),
		Defaults(sdk.Retries(2), nil, sdk.Queue("q")), nil,
	})
	if strings.Join(said.Tags, "") != "ab" || len(said.Params) != 2 || said.Params["x"] != 2 || len(said.Defaults) != 2 {
		t.Errorf("said %+v", said)
	}
}

func TestMistakesAreWrittenAndNothingIsServed(t *testing.T) {
	var stderr strings.Builder
	code := serve(bundle(func(Registry) error { return errors.New("no config") }), []ServeOption{Name("b")}, &stderr)
	if code != 1 || stderr.String() != "Bundle 'b' has a RegisterDags that failed: no config.\n" {
		t.Errorf("code %d: %s", code, stderr.String())
	}
	stderr.Reset()
	code = serve(bundle(func(dagbag Registry) error { dagbag.AddTask(nothing); return nil }),
		[]ServeOption{LogLevel(slog.LevelDebug)}, &stderr)
	want := []string{
		"This is the Crosswind bundle 'bundlev1.test' (1 tasks for DAGs of other bundles). A worker runs it;",
		"crosswind-go-pack --binary", "crosswind-go-worker --server HOST:PORT --token-file FILE --bundle",
	}
	for _, part := range want {
		if code != 2 || !strings.Contains(stderr.String(), part) {
			t.Errorf("code %d, %q is not in %s", code, part, stderr.String())
		}
	}
}
