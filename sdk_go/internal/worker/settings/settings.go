// Package settings is the worker's settings: flag, then environment, then settings file, then default; all shown by
// --help.
//
// Here belongs reading them. Finding the server belongs to package discovery, using them to package worker.
package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"crosswind.dev/go/internal/worker/discovery"
	"crosswind.dev/go/internal/worker/outcomestore"
	"crosswind.dev/go/internal/worker/registration"
	"crosswind.dev/go/internal/worker/trust"
)

// Error is a setting that cannot be used; the sentence names it and where it came from.
type Error struct{ sentence string }

// Error implements error.
func (e *Error) Error() string { return e.sentence }

func complain(format string, arguments ...any) *Error {
	return &Error{sentence: fmt.Sprintf(format, arguments...)}
}

// Settings are all of a worker's.
type Settings struct {
	// Server is where the server is.
	Server discovery.Location
	// TokenFile holds the enrolment token. Empty: none is known.
	TokenFile string
	// Files and Folders hold packed bundles; absolute.
	Files, Folders []string
	// Queues to serve. Empty: `default`.
	Queues []string
	// Roles are what the worker does, "tasks" and "triggers", each once. Empty: tasks.
	Roles []string
	// Slots are tasks at the same time, 1 to 10,000.
	Slots int
	// Name of the worker. Empty: made up, and kept in the state folder.
	Name string
	// StateDir is the state folder. Empty: one below WorkersDir.
	StateDir string
	// WorkersDir is the folder of all state folders of this user.
	WorkersDir string
	// Labels that tasks select by.
	Labels map[string]string
	// LogFormat is "console" or "json".
	LogFormat string
	// LogLevel is of the worker's own log, such as "info".
	LogLevel string
	// DrainTimeout is how long tasks may take when the worker stops. 0: as long as they take.
	DrainTimeout time.Duration
	// StartTimeout is how long a bundle's process may take until it is ready.
	StartTimeout time.Duration
	// Trust is whom to trust with TLS. Nil: no TLS.
	Trust *trust.Trust
	// Sync forces outcomes onto the disk before they are sent.
	Sync bool
}

// setting is one in all its spellings.
type setting struct {
	// key in the settings file; with dashes it is the flag, in capitals the end of the environment variable.
	key string
	// read takes over a value; its error says what is wrong with it.
	read func(*Settings, string) error
	// help, metavar and shown are for --help; shown is the default. Without a metavar it is a switch.
	help, metavar, shown string
	many                 bool
}

func (s setting) flag() string     { return "--" + strings.ReplaceAll(s.key, "_", "-") }
func (s setting) variable() string { return "CROSSWIND_" + strings.ToUpper(s.key) }

// DefaultSlots are tasks at the same time where nobody says how many.
func DefaultSlots() int { return 4 * runtime.NumCPU() }

var (
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9_.@-]{1,100}$`)
	labelPattern = regexp.MustCompile(`^([^=\s]+)=(.*)$`)
)

// reader holds what is settled once all values have been read.
type reader struct {
	settings      Settings
	place         discovery.Place
	server        string
	dags, bundles []string
	tls           bool
	tlsCA         string
}

func (r *reader) definitions() []setting {
	return []setting{
		{key: "server", metavar: "HOST:PORT", help: "the server", shown: "the one that runs here, or " + discovery.DefaultAddress,
			read: func(_ *Settings, text string) error { r.server = text; return nil }},
		{key: "token_file", metavar: "FILE", help: "holds an enrolment token", shown: "that of the server that runs here",
			read: func(s *Settings, text string) error { s.TokenFile = r.absolute(text); return nil }},
		{key: "dags", metavar: "DIR", many: true,
			help: "folder of packed bundles; new, changed and replaced ones are taken up while the worker runs",
			read: func(_ *Settings, text string) error { r.dags = append(r.dags, text); return nil }},
		{key: "bundle", metavar: "FILE", many: true, help: "packed bundle, as crosswind-go-pack writes it",
			read: func(_ *Settings, text string) error { r.bundles = append(r.bundles, text); return nil }},
		{key: "queue", metavar: "NAME", many: true, help: "queue to serve", shown: "default",
			read: func(s *Settings, text string) error { s.Queues = append(s.Queues, text); return checkName(text) }},
		{key: "role", metavar: "ROLE", many: true, help: "what it runs: tasks, or triggers of deferred tasks; twice for both",
			shown: "tasks", read: readRole},
		{key: "slots", metavar: "N", help: "tasks at the same time", shown: strconv.Itoa(DefaultSlots()), read: readSlots},
		{key: "name", metavar: "NAME", help: "of the worker, unique", shown: "made up, kept in the state folder",
			read: func(s *Settings, text string) error { s.Name = text; return checkName(text) }},
		{key: "state_dir", metavar: "DIR", help: "keeps token, outcomes and copies of the bundles",
			shown: "$XDG_STATE_HOME/crosswind/workers/NAME",
			read:  func(s *Settings, text string) error { s.StateDir = r.absolute(text); return nil }},
		{key: "label", metavar: "KEY=VALUE", many: true, help: "label that tasks select by", shown: "none", read: readLabel},
		{key: "log_format", metavar: "console|json", help: "of the worker's log", shown: "console",
			read: oneOf(func(s *Settings) *string { return &s.LogFormat }, "console", "json")},
		{key: "log_level", metavar: "LEVEL", help: "of the worker's log: debug, info, warning or error", shown: "info",
			read: oneOf(func(s *Settings) *string { return &s.LogLevel }, "debug", "info", "warning", "error")},
		{key: "drain_timeout", metavar: "SECONDS", shown: "as long as they take",
			help: "for running tasks when the worker stops; then they are ended and given to others",
			read: seconds(func(s *Settings) *time.Duration { return &s.DrainTimeout })},
		{key: "import_timeout", metavar: "SECONDS", help: "for starting a bundle's process", shown: "60.0",
			read: seconds(func(s *Settings) *time.Duration { return &s.StartTimeout })},
		{key: "tls", help: "speak TLS, trusting the system's authorities",
			read: func(_ *Settings, text string) (err error) { r.tls, err = readSwitch(text); return err }},
		{key: "tls_ca", metavar: "FILE", help: "speak TLS, trusting these authorities (PEM)", shown: "the system's",
			read: func(_ *Settings, text string) error { r.tlsCA = r.absolute(text); return nil }},
		{key: "fsync", help: "force outcomes onto the disk, against loss of power too",
			read: func(s *Settings, text string) (err error) { s.Sync, err = readSwitch(text); return err }},
	}
}

// Read reads the settings from a command's arguments and what is around it. The error is an *Error, a *Usage where the
// arguments are not settings, or a *Shown.
func Read(arguments []string, place discovery.Place) (*Settings, error) {
	r := &reader{place: place, settings: Settings{
		Slots: DefaultSlots(), Labels: map[string]string{}, LogFormat: "console", LogLevel: "info", StartTimeout: time.Minute,
	}}
	definitions := r.definitions()
	flags, err := parse(arguments, definitions)
	if err != nil {
		return nil, err
	}
	config, err := place.LoadConfig()
	if err != nil {
		return nil, complain("%v", err)
	}
	table, isTable := config.Content["worker"].(map[string]any)
	if _, stated := config.Content["worker"]; stated && !isTable {
		return nil, complain("In %s, `worker` is not a table: write the worker's settings below [worker].", config.Path)
	}
	if err := checkKeys(table, definitions, config.Path); err != nil {
		return nil, err
	}
	for _, each := range definitions {
		values, source := r.choose(each, flags, table, config.Path)
		if len(values) > 1 && !each.many {
			return nil, complain("%s is a list; it takes one value.", source)
		}
		for _, value := range values {
			if value == "" {
				continue
			}
			if err := each.read(&r.settings, value); err != nil {
				return nil, complain("%s cannot be used: %v.", source, err)
			}
		}
	}
	if err := r.settle(flags, config, table); err != nil {
		return nil, err
	}
	return &r.settings, nil
}

func checkKeys(table map[string]any, definitions []setting, path string) error {
	var known, unknown []string
	for _, each := range definitions {
		known = append(known, each.key)
	}
	for key := range table {
		if !slices.Contains(known, key) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return complain("In %s, [worker] has no setting `%s`; it has %s.", path, unknown[0], strings.Join(known[1:], ", "))
}

// choose answers what was stated for a setting, and where.
func (r *reader) choose(each setting, flags map[string][]string, table map[string]any, path string) ([]string, string) {
	if values := flags[each.key]; len(values) > 0 {
		return values, each.flag()
	}
	if text := r.place.Getenv(each.variable()); text != "" {
		if !each.many {
			return []string{text}, each.variable()
		}
		parts := strings.Split(text, ",")
		for i, part := range parts {
			parts[i] = strings.TrimSpace(part)
		}
		return parts, each.variable()
	}
	source := fmt.Sprintf("%s in %s", each.key, path)
	switch stated := table[each.key].(type) {
	case nil:
		return nil, source
	case []any:
		var values []string
		for _, item := range stated {
			values = append(values, fmt.Sprint(item))
		}
		return values, source
	case map[string]any:
		var values []string
		for key, item := range stated {
			values = append(values, fmt.Sprintf("%s=%v", key, item))
		}
		slices.Sort(values)
		return values, source
	default:
		return []string{fmt.Sprint(stated)}, source
	}
}

// settle does what needs several settings.
func (r *reader) settle(flags map[string][]string, config discovery.Config, table map[string]any) error {
	s := &r.settings
	flag := ""
	if stated := flags["server"]; len(stated) > 0 {
		flag = stated[0]
	} else if stated, ok := table["server"].(string); ok && r.place.Getenv("CROSSWIND_SERVER") == "" {
		flag = stated
	}
	s.Server = r.place.FindServer(flag, config)
	if s.TokenFile == "" {
		s.TokenFile = s.Server.EnrolmentTokenFile
	}
	s.WorkersDir = filepath.Join(r.place.StateHome(), "crosswind", "workers")
	if err := r.findBundles(); err != nil {
		return err
	}
	authorities, name := r.tlsCA, ""
	if !r.tls && authorities == "" && s.Server.TLSCertificateFile != "" {
		// A server on this machine; its own certificate is the authority then.
		authorities, name = s.Server.TLSCertificateFile, s.Server.TLSServerName
	}
	if !r.tls && authorities == "" {
		return nil
	}
	read, err := trust.Read(authorities, name)
	switch {
	case errors.Is(err, trust.ErrNoCertificates):
		return complain("--tls-ca %s %v: name another file.", authorities, err)
	case err != nil:
		return complain("--tls-ca %s cannot be read: %s.", authorities, outcomestore.Cause(err))
	}
	s.Trust = read
	return nil
}

func (r *reader) findBundles() error {
	for _, text := range r.dags {
		path := r.absolute(text)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return complain("--dags %s: there is no folder %s.", text, path)
		case !info.IsDir():
			return complain("--dags %s: %s is a file; name packed bundles with --bundle.", text, path)
		}
		r.settings.Folders = append(r.settings.Folders, path)
	}
	for _, text := range r.bundles {
		path := r.absolute(text)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return complain("--bundle %s: there is no file %s.", text, path)
		case info.IsDir():
			return complain("--bundle %s: %s is a folder; name folders of packed bundles with --dags.", text, path)
		case filepath.Ext(path) == ".py":
			return complain("--bundle %s: %s is a Python file; this worker runs packed bundles, as crosswind-go-pack writes "+
				"them. Python DAG files are run by crosswind-worker.", text, path)
		}
		r.settings.Files = append(r.settings.Files, path)
	}
	return nil
}

func (r *reader) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(r.place.Directory, path)
}

// DefaultNamePrefix is what the name of a worker without a given one begins with: the host and `go`.
func DefaultNamePrefix() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "host"
	}
	host = regexp.MustCompile(`[^A-Za-z0-9_.-]`).ReplaceAllString(host, "-")
	return host[:min(80, len(host))] + "-go"
}

func checkName(text string) error {
	if !namePattern.MatchString(text) {
		return errors.New("a worker's name is 1 to 100 letters, digits and _.@-")
	}
	return nil
}

func readRole(s *Settings, text string) error {
	if _, err := registration.ReadRole(text); err != nil {
		return err
	}
	if !slices.Contains(s.Roles, text) {
		s.Roles = append(s.Roles, text)
	}
	return nil
}

func readSlots(s *Settings, text string) error {
	slots, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("`%s` is no number", text)
	}
	if slots < 1 || slots > 10_000 {
		return errors.New("slots are 1 to 10,000")
	}
	s.Slots = slots
	return nil
}

func readLabel(s *Settings, text string) error {
	match := labelPattern.FindStringSubmatch(text)
	if match == nil {
		return fmt.Errorf("`%s` is not KEY=VALUE", text)
	}
	s.Labels[match[1]] = match[2]
	return nil
}

func readSwitch(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "1", "true", "yes", "on":
		return true, nil
	case "0", "false", "no", "off":
		return false, nil
	}
	return false, errors.New("it is true or false")
}

func seconds(of func(*Settings) *time.Duration) func(*Settings, string) error {
	return func(s *Settings, text string) error {
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || !(value >= 0 && value < 1e9) {
			return errors.New("a time is a number of seconds, 0 or more")
		}
		*of(s) = time.Duration(value * float64(time.Second))
		return nil
	}
}

func oneOf(of func(*Settings) *string, choices ...string) func(*Settings, string) error {
	return func(s *Settings, text string) error {
		if !slices.Contains(choices, strings.ToLower(text)) {
			return fmt.Errorf("it is one of %s", strings.Join(choices, ", "))
		}
		*of(s) = strings.ToLower(text)
		return nil
	}
}
