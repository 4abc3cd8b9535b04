package pack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"crosswind.dev/go/internal/pack"
	"crosswind.dev/go/internal/packing"
)

func run(t *testing.T, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, told bytes.Buffer
	code = pack.Main(context.Background(), arguments, &out, &told)
	return code, out.String(), told.String()
}

func TestABundleIsPackedAndShown(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "flights.bundle")
	code, stdout, stderr := run(t, "./testdata/flights", "-o", file, "--", "-ldflags", "-s")
	if code != 0 || stderr != "" {
		t.Fatalf("code %d: %s", code, stderr)
	}
	golden := strings.Join([]string{
		`^bundle      flights`,
		`version     [0-9a-f]{32}`,
		`built with  go 1\.\S+, crosswind \S+, API \d{4}-\d{2}-\d{2}`,
		`binary      \d+\.\d MB`,
		``,
		`DAG flights  main\.go:\d+  +Delays by carrier`,
		`  extract  +flights/extract +`,
		`  stats  +flights/stats +mapped; after extract`,
		`  report  +flights/report +after stats`,
		`  notify  +module:notify of bundle python_bundle  after stats`,
		``,
		`offered to other bundles`,
		`  extract +`,
		`  stats +Figures of one carrier\.`,
		`  report +stats +`,
		`$`,
	}, "\n")
	if !regexp.MustCompile(golden).MatchString(stdout) {
		t.Errorf("it shows\n%s", stdout)
	}
	code, again, _ := run(t, "show", file)
	if code != 0 || again != stdout {
		t.Errorf("show says\n%s", again)
	}
	code, asJSON, _ := run(t, "show", "--output", "json", file)
	var shown struct {
		Bundle  string `json:"bundle"`
		Version string `json:"bundle_version"`
		SHA256  string `json:"sha256"`
		Dags    []struct {
			Tasks []struct {
				TaskID   string   `json:"task_id"`
				Upstream []string `json:"upstream"`
				Mapped   bool     `json:"mapped"`
			} `json:"tasks"`
		} `json:"dags"`
	}
	if err := json.Unmarshal([]byte(asJSON), &shown); code != 0 || err != nil {
		t.Fatalf("code %d, %v: %s", code, err, asJSON)
	}
	if tasks := shown.Dags[0].Tasks; !tasks[1].Mapped || tasks[1].TaskID != "stats" || tasks[1].Upstream[0] != "extract" {
		t.Errorf("tasks %v", tasks)
	}

	t.Run("a packed bundle can be packed again", func(t *testing.T) {
		second := filepath.Join(folder, "second")
		if code, _, stderr := run(t, "--binary", file, "-o", second); code != 0 {
			t.Fatal(stderr)
		}
		first, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := os.ReadFile(second); err != nil || !bytes.Equal(first, same) {
			t.Errorf("another file, %v", err)
		}
	})

	t.Run("by hand it says what to do", func(t *testing.T) {
		output, err := exec.Command(file).CombinedOutput()
		want := "This is the Crosswind bundle 'flights' (DAG 'flights'). A worker runs it; by hand there is nothing to run.\n\n" +
			"  crosswind-go-worker --server HOST:PORT --token-file FILE --bundle " + file + "\n"
		if err == nil || err.Error() != "exit status 2" || !strings.Contains(string(output), want) ||
			strings.Contains(string(output), "crosswind-go-pack") {
			t.Errorf("%v: %s", err, output)
		}
	})

	t.Run("a damaged one is refused", func(t *testing.T) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[100] ^= 1
		damaged := filepath.Join(folder, "damaged")
		if err := os.WriteFile(damaged, data, 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := run(t, "show", damaged)
		if code != 1 || !strings.Contains(stderr, "is damaged: its binary has another SHA-256") {
			t.Errorf("code %d: %s", code, stderr)
		}
	})
}

func TestWhatCannotBePacked(t *testing.T) {
	notExecutable := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(notExecutable, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name      string
		arguments []string
		want      []string
	}{
		{"mistakes", []string{"./testdata/mistakes"}, []string{
			"Task 'load' of DAG 'wrong' in bundle 'mistakes' (main.go:",
			"has the parameter 1 of type chan bool, and no value can be decoded into it",
			"is a function without a name of its own, such as a closure; name the task with sdk.ID.",
			"Task 'report' of DAG 'wrong'", "has sdk.Retries(-1), and it lies between 0 and 1000; correct it.",
			"parameter []string is left without a value",
			"Bundle 'mistakes' has a RegisterDags that failed: it panicked at main.go:", "and then it panicked",
		}},
		{"exits", []string{"./testdata/exits"}, []string{"config.yaml is missing"}},
		{"prints", []string{"./testdata/prints"}, []string{"did not answer as a bundle does: ", "is v1.Serve the last line of its main?"}},
		{"no bundle", []string{"--binary", "/bin/true"}, []string{"/bin/true did not answer as a bundle does: "}},
		{"no program", []string{"--binary", notExecutable}, []string{notExecutable + " cannot be run: it is not executable; chmod +x it"}},
		{"no file", []string{"--binary", "missing"}, []string{"the binary missing cannot be read: no such file or directory"}},
		{"a folder", []string{"--binary", "."}, []string{"the binary . is no file; name one that `go build` wrote"}},
		{"no package", []string{"./testdata/missing"}, []string{"the package ./testdata/missing does not build"}},
	}
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			output := filepath.Join(t.TempDir(), "bundle")
			code, _, stderr := run(t, append(each.arguments, "-o", output)...)
			if code != 1 {
				t.Errorf("code %d", code)
			}
			for _, part := range each.want {
				if !strings.Contains(stderr, part) {
					t.Errorf("%q is not in\n%s", part, stderr)
				}
			}
			if packing.IsPacked(output) {
				t.Error("a file was written")
			}
		})
	}
}

func TestCommandLines(t *testing.T) {
	cases := []struct {
		arguments []string
		code      int
		want      string
	}{
		{nil, 2, "crosswind-go-pack: name the bundle's main package, such as ./cmd/flights, or pass --binary; see crosswind-go-pack --help\n"},
		{[]string{"x"}, 2, "crosswind-go-pack: name the file to write with -o; see crosswind-go-pack --help\n"},
		{[]string{"x", "y", "-o", "z"}, 2, "crosswind-go-pack: there are several packages (x, y); pack one at a time; see crosswind-go-pack --help\n"},
		{[]string{"--binary", "b", "x", "-o", "z"}, 2, "crosswind-go-pack: --binary is built already; drop the package and the flags of go build; see crosswind-go-pack --help\n"},
		{[]string{"show"}, 2, "crosswind-go-pack: show takes one file; see crosswind-go-pack --help\n"},
		{[]string{"--nope"}, 2, "crosswind-go-pack: flag provided but not defined: -nope; see crosswind-go-pack --help\n"},
		{[]string{"show", "x", "--output", "xml"}, 2, "crosswind-go-pack: there is no output format 'xml'; use text or json; see crosswind-go-pack --help\n"},
		{[]string{"show", "command_test.go"}, 1, "crosswind-go-pack: The bundle command_test.go is not packed: it has no manifest behind it; pack it with crosswind-go-pack.\n"},
		{[]string{"--help"}, 0, ""},
		{[]string{"--version"}, 0, ""},
	}
	for _, each := range cases {
		code, stdout, stderr := run(t, each.arguments...)
		if code != each.code || stderr != each.want {
			t.Errorf("%q: code %d, %s", each.arguments, code, stderr)
		}
		if (code == 0) != (stdout != "") {
			t.Errorf("%q printed %q", each.arguments, stdout)
		}
	}
}
