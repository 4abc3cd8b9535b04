package settings

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crosswind.dev/go/internal/worker/discovery"
)

// place is a working directory with a folder `dags` and a file `one`, inside a user's folder.
type place struct {
	t    *testing.T
	here string
}

func newPlace(t *testing.T) *place {
	here := filepath.Join(t.TempDir(), "here")
	if err := os.MkdirAll(filepath.Join(here, "dags"), 0o755); err != nil {
		t.Fatal(err)
	}
	made := &place{t: t, here: here}
	made.write(filepath.Join(here, "one"), "")
	made.write(filepath.Join(here, "dag.py"), "")
	return made
}

func (p *place) write(path, text string) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) parent() string { return filepath.Dir(p.here) }

func (p *place) read(environ map[string]string, arguments ...string) (*Settings, error) {
	getenv := func(name string) string {
		if name == "HOME" {
			return filepath.Join(p.parent(), "home")
		}
		return environ[name]
	}
	return Read(arguments, discovery.Place{Getenv: getenv, Directory: p.here})
}

func (p *place) mustRead(environ map[string]string, arguments ...string) *Settings {
	p.t.Helper()
	found, err := p.read(environ, arguments...)
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

func (p *place) note(folder string, note map[string]any) {
	p.t.Helper()
	text, err := json.Marshal(note)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(filepath.Join(folder, "server.json"), string(text))
}

func TestFlagThenEnvironmentThenFileThenDefault(t *testing.T) {
	p := newPlace(t)
	check := func(found *Settings, address string, slots int, queues []string, name string, labels map[string]string) {
		t.Helper()
		if found.Server.Address != address || found.Slots != slots || !slices.Equal(found.Queues, queues) ||
			found.Name != name || !maps.Equal(found.Labels, labels) {
			t.Errorf("got %+v", found)
		}
	}
	check(p.mustRead(nil), "127.0.0.1:8090", DefaultSlots(), nil, "", nil)
	p.write(filepath.Join(p.here, "crosswind.toml"), "server = \"file:1\"\n[worker]\nslots = 3\nqueue = [\"f\"]\nname = \"file\"\n"+
		"label = {zone = \"f\"}\ndrain_timeout = 1.5\nfsync = true\n")
	found := p.mustRead(nil)
	check(found, "file:1", 3, []string{"f"}, "file", map[string]string{"zone": "f"})
	if found.DrainTimeout != 1500*time.Millisecond || !found.Sync || found.StartTimeout != time.Minute {
		t.Errorf("got %+v", found)
	}
	environ := map[string]string{
		"CROSSWIND_SERVER": "env:2", "CROSSWIND_SLOTS": "4", "CROSSWIND_QUEUE": "e1, e2", "CROSSWIND_NAME": "env",
		"CROSSWIND_LABEL": "zone=e,rack=7",
	}
	check(p.mustRead(environ), "env:2", 4, []string{"e1", "e2"}, "env", map[string]string{"zone": "e", "rack": "7"})
	check(p.mustRead(environ, "--server", "flag:3", "--slots=5", "--queue", "a", "--queue", "b", "--name", "flag",
		"--label", "zone=g"), "flag:3", 5, []string{"a", "b"}, "flag", map[string]string{"zone": "g"})
}

func TestRolesAreWordsEachOnce(t *testing.T) {
	p := newPlace(t)
	check := func(found *Settings, roles ...string) {
		t.Helper()
		if !slices.Equal(found.Roles, roles) {
			t.Errorf("got %q, want %q", found.Roles, roles)
		}
	}
	check(p.mustRead(nil))
	check(p.mustRead(nil, "--role", "triggers"), "triggers")
	check(p.mustRead(nil, "--role", "triggers", "--role", "tasks", "--role", "triggers"), "triggers", "tasks")
	check(p.mustRead(map[string]string{"CROSSWIND_ROLE": "tasks, triggers"}), "tasks", "triggers")
	p.write(filepath.Join(p.here, "crosswind.toml"), "[worker]\nrole = \"triggers\"\n")
	check(p.mustRead(nil), "triggers")
}

func TestConfigOfAParentFolderCountsBeforeTheUsers(t *testing.T) {
	p := newPlace(t)
	p.write(filepath.Join(p.parent(), "home", ".config", "crosswind", "config.toml"), "[worker]\nslots = 2\n")
	if found := p.mustRead(nil); found.Slots != 2 {
		t.Errorf("got %d", found.Slots)
	}
	p.write(filepath.Join(p.parent(), "crosswind.toml"), "[worker]\nslots = 7\n")
	if found := p.mustRead(nil); found.Slots != 7 {
		t.Errorf("got %d", found.Slots)
	}
}

func TestNoteOfARunningServerGivesAddressAndToken(t *testing.T) {
	p := newPlace(t)
	p.note(filepath.Join(p.parent(), "home", ".local", "state", "crosswind"),
		map[string]any{"address": "127.0.0.1:1111", "enrolment_token_file": "/state/token"})
	if found := p.mustRead(nil); found.TokenFile != "/state/token" {
		t.Errorf("got %s", found.TokenFile)
	}
	p.note(filepath.Join(p.parent(), ".crosswind"),
		map[string]any{"address": "127.0.0.1:2222", "enrolment_token_file": "enrolment", "process_id": 7})
	found := p.mustRead(nil)
	if found.Server.Address != "127.0.0.1:2222" || found.TokenFile != filepath.Join(p.parent(), ".crosswind", "enrolment") {
		t.Errorf("got %+v", found)
	}
	if elsewhere := p.mustRead(nil, "--server", "elsewhere:1"); elsewhere.TokenFile != "" {
		t.Errorf("another server gets the token %s", elsewhere.TokenFile)
	}
	if same := p.mustRead(nil, "--server", "127.0.0.1:2222"); same.TokenFile == "" || same.Server.Source != "--server" {
		t.Errorf("got %+v", same)
	}
}

func TestHalfANoteIsNoNote(t *testing.T) {
	p := newPlace(t)
	p.write(filepath.Join(p.here, ".crosswind", "server.json"), `{"address": `)
	if found := p.mustRead(nil); found.Server.Source != "the default" {
		t.Errorf("got %+v", found.Server)
	}
}

func TestAddressGetsTheDefaultPort(t *testing.T) {
	for address, want := range map[string]string{
		"host": "host:8090", "host:1": "host:1", "::1": "[::1]:8090", "[::1]": "[::1]:8090", "[::1]:2": "[::1]:2",
	} {
		if got := discovery.WithPort(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

func TestBundlesAreFilesAndFolders(t *testing.T) {
	p := newPlace(t)
	found := p.mustRead(nil, "--dags", "dags", "--bundle", "one")
	if !slices.Equal(found.Folders, []string{filepath.Join(p.here, "dags")}) ||
		!slices.Equal(found.Files, []string{filepath.Join(p.here, "one")}) {
		t.Errorf("got %+v", found)
	}
}

func TestWrongSettingIsOneSentence(t *testing.T) {
	p := newPlace(t)
	p.write(filepath.Join(p.here, "empty.pem"), "nothing")
	for _, test := range []struct {
		arguments []string
		sentence  string
	}{
		{[]string{"--dags", "missing"}, "there is no folder"},
		{[]string{"--dags", "one"}, "is a file"},
		{[]string{"--bundle", "missing"}, "there is no file"},
		{[]string{"--bundle", "dags"}, "is a folder"},
		{[]string{"--bundle", "dag.py"}, "is a Python file"},
		{[]string{"--slots", "0"}, "slots are 1 to 10,000"},
		{[]string{"--slots", "many"}, "--slots cannot be used"},
		{[]string{"--role", "cook"}, "--role cannot be used: a role is tasks or triggers"},
		{[]string{"--name", "a b"}, "a worker's name is"},
		{[]string{"--label", "zone"}, "is not KEY=VALUE"},
		{[]string{"--log-format", "xml"}, "console, json"},
		{[]string{"--drain-timeout", "-1"}, "number of seconds"},
		{[]string{"--tls-ca", "empty.pem"}, "holds no certificates in PEM"},
		{[]string{"--tls-ca", "missing.pem"}, "cannot be read: No such file or directory"},
	} {
		_, err := p.read(nil, test.arguments...)
		var wrong *Error
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), test.sentence) ||
			!strings.Contains(err.Error(), test.arguments[0]) {
			t.Errorf("%q: got %v", test.arguments, err)
		}
	}
}

func TestWrongFileIsOneSentence(t *testing.T) {
	for text, sentence := range map[string]string{
		"[worker]\nslot = 1\n":       "no setting `slot`",
		"worker = 1\n":               "not a table",
		"[worker\n":                  "not valid TOML",
		"[worker]\nslots = \"x\"\n":  "slots in ",
		"[worker]\nslots = [1, 2]\n": "takes one value",
	} {
		p := newPlace(t)
		p.write(filepath.Join(p.here, "crosswind.toml"), text)
		_, err := p.read(nil)
		if err == nil || !strings.Contains(err.Error(), sentence) || !strings.Contains(err.Error(), "crosswind.toml") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestArgumentsThatAreNoSettings(t *testing.T) {
	p := newPlace(t)
	for sentence, arguments := range map[string][]string{
		"unrecognized arguments: --bundles":        {"--bundles", "x"},
		"unrecognized arguments: x":                {"x"},
		"argument --slots: expected one argument":  {"--slots"},
		"argument --server: expected one argument": {"--server", "--slots", "1"},
		"argument --fsync: it takes no value":      {"--fsync=yes"},
	} {
		_, err := p.read(nil, arguments...)
		var usage *Usage
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), sentence) || !strings.HasPrefix(err.Error(), "usage: ") {
			t.Errorf("%q: got %v", arguments, err)
		}
	}
}

func TestHelpShowsEverySettingWithVariableAndDefault(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	p := newPlace(t)
	_, err := p.read(nil, "--help")
	var shown *Shown
	if !errors.As(err, &shown) {
		t.Fatalf("got %v", err)
	}
	text := strings.Join(strings.Fields(shown.Text), " ")
	for _, each := range (&reader{}).definitions() {
		if !strings.Contains(text, each.flag()) || !strings.Contains(text, "["+each.variable()) {
			t.Errorf("%s is not shown", each.flag())
		}
	}
	if !strings.Contains(text, discovery.DefaultAddress) {
		t.Error("the default address is not shown")
	}
	for line := range strings.Lines(shown.Text) {
		if len(line) > 82 {
			t.Errorf("a line is long: %s", line)
		}
	}
}
