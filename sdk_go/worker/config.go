package worker

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/discovery"
	"crosswind.dev/go/internal/worker/outcomestore"
	"crosswind.dev/go/internal/worker/refusal"
	"crosswind.dev/go/internal/worker/registration"
	"crosswind.dev/go/internal/worker/settings"
	"crosswind.dev/go/internal/worker/statefolder"
	"crosswind.dev/go/internal/worker/trust"
)

// RefusedError says why a server will not have a worker, in one sentence with the way out.
type RefusedError = refusal.Error

// StateFolderInUseError says that another worker on this machine holds the state folder.
type StateFolderInUseError = statefolder.InUseError

// ErrNothingToRun says that a configuration names no bundles.
var ErrNothingToRun = errors.New("there is nothing to run: name a folder of packed bundles, or a packed bundle")

// Role is a kind of work. The command spells it as it is: --role triggers.
type Role string

// The roles of a worker.
const (
	// RoleTasks runs tasks, callbacks and timetables.
	RoleTasks Role = "tasks"
	// RoleTriggers runs the triggers that deferred tasks wait for.
	RoleTriggers Role = "triggers"
)

// Config is what a worker is and does. Fields that are not set mean what the command crosswind-go-worker would do.
type Config struct {
	// Server is the server's address, `host:port`. Default: CROSSWIND_SERVER, a settings file, the server that runs on this
	// machine, or 127.0.0.1:8090.
	Server string
	// ServerSource says where that address comes from, for people. Default: it was configured.
	ServerSource string
	// TokenFile holds an enrolment token; it is read at every registration that needs it. Default: that of the server that
	// runs on this machine.
	TokenFile string
	// Token is an enrolment token itself, where there is no file.
	Token string
	// TLS is how to speak TLS with the server. Default: none, unless a server on this machine has left its certificate.
	TLS *tls.Config

	// Bundles are files that crosswind-go-pack wrote, Folders are folders of them. Both are watched: new, changed and
	// replaced files are taken up while the worker runs.
	Bundles, Folders []string
	// Queues to serve. Default: `default`.
	Queues []string
	// Roles are what the worker runs: RoleTasks, RoleTriggers or both. Default: RoleTasks.
	Roles []Role
	// Slots are tasks at the same time, 1 to 10,000. Default: four for each processor.
	Slots int
	// Labels that tasks select by.
	Labels map[string]string

	// Name is unique among live workers of a team. Default: host, `go` and a suffix, kept in the state folder.
	Name string
	// StateDir keeps the worker's token, outcomes that the server has not taken yet, and copies of the bundles. Default: a
	// folder below $XDG_STATE_HOME/crosswind/workers.
	StateDir string
	// Sync forces outcomes onto the disk before they are sent, against loss of power too.
	Sync bool
	// DrainTimeout is how long running tasks may take when the worker stops; then they are ended and given to others.
	// Default: as long as they take.
	DrainTimeout time.Duration
	// StartTimeout is how long a bundle's process may take until it is ready. Default: a minute.
	StartTimeout time.Duration

	// Logger takes the worker's own log, as sentences; the attribute `logger` tells what bundles print (crosswind.bundle)
	// from what the worker says (crosswind.worker). Default: slog.Default().
	Logger *slog.Logger
}

// resolved is a configuration in which nothing is left to be found.
type resolved struct {
	Config
	source string // of the server's address
	trust  *trust.Trust
	roles  []execpb.WorkerRole
	base   string // of all workers' state folders
}

func (c Config) resolve() (*resolved, error) {
	if len(c.Bundles) == 0 && len(c.Folders) == 0 {
		return nil, ErrNothingToRun
	}
	place, err := discovery.Here()
	if err != nil {
		return nil, fmt.Errorf("the working directory is not known: %w", err)
	}
	file, err := place.LoadConfig()
	if err != nil {
		return nil, err
	}
	r := &resolved{Config: c, base: filepath.Join(place.StateHome(), "crosswind", "workers")}
	location := place.FindServer(c.Server, file)
	r.Server, r.source = location.Address, location.Source
	if c.Server != "" {
		r.source = cmp.Or(c.ServerSource, "its configuration")
	}
	if r.TokenFile == "" && r.Token == "" {
		r.TokenFile = location.EnrolmentTokenFile
	}
	switch {
	case c.TLS != nil:
		r.trust = trust.FromConfig(c.TLS)
	case location.TLSCertificateFile != "":
		if r.trust, err = trust.Read(location.TLSCertificateFile, location.TLSServerName); err != nil {
			return nil, fmt.Errorf("the certificate %s of the server on this machine %w", location.TLSCertificateFile, err)
		}
	}
	for _, role := range c.Roles {
		read, err := registration.ReadRole(string(role))
		if err != nil {
			return nil, fmt.Errorf("the role %q cannot be used: %w", role, err)
		}
		r.roles = append(r.roles, read)
	}
	if r.Slots == 0 {
		r.Slots = settings.DefaultSlots()
	}
	if r.StartTimeout == 0 {
		r.StartTimeout = time.Minute
	}
	if r.Logger == nil {
		r.Logger = slog.Default()
	}
	for _, paths := range []*[]string{&r.Bundles, &r.Folders} {
		absolute := make([]string, len(*paths))
		for i, path := range *paths {
			if absolute[i], err = filepath.Abs(path); err != nil {
				return nil, err
			}
		}
		*paths = absolute
	}
	return r, nil
}

// openFolder opens the state folder. Nil, with a warning: it cannot be written. The error is a *StateFolderInUseError.
func (r *resolved) openFolder() (*statefolder.Folder, error) {
	var folder *statefolder.Folder
	var err error
	path := r.StateDir
	switch {
	case path != "":
		folder, err = statefolder.Open(path)
	case r.Name != "":
		path = r.base
		folder, err = statefolder.Open(filepath.Join(r.base, r.Name))
	default:
		path = r.base
		folder, err = statefolder.Find(r.base, settings.DefaultNamePrefix(), r.Server)
	}
	var inUse *statefolder.InUseError
	if err == nil || errors.As(err, &inUse) {
		return folder, err
	}
	r.Logger.Warn(fmt.Sprintf("The state folder %s cannot be written (%s): outcomes that the server has not taken yet are "+
		"lost if this worker is killed. Name another with --state-dir.", path, outcomestore.Cause(err)))
	return nil, nil
}

// chooseName answers the worker's name, which the state folder keeps.
func (r *resolved) chooseName(folder *statefolder.Folder) string {
	switch {
	case r.Name != "":
		return r.Name
	case folder == nil:
		return fmt.Sprintf("%s-%d", settings.DefaultNamePrefix(), os.Getpid())
	case r.StateDir == "":
		return filepath.Base(folder.Path)
	case folder.Previous != nil:
		return folder.Previous.Name
	default:
		// A given folder may be named anything; the name in it is made up once.
		return settings.DefaultNamePrefix() + "-" + statefolder.Suffix()
	}
}

// Sockets of bundles are named `plugin-dir` and `plugin`, with ten digits each, below the folder; the system takes 107
// bytes in all.
const longestRunFolder = 104 - len("/plugin-dir0123456789/plugin0123456789")

// makeRunFolder makes the folder of the worker's sockets, which is the user's alone and has a short path.
func makeRunFolder() (string, error) {
	var first error
	for _, base := range []string{os.TempDir(), "/tmp", os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
		if base == "" {
			continue
		}
		made, err := os.MkdirTemp(base, "crosswind-")
		if err == nil && len(made) <= longestRunFolder {
			return made, nil
		}
		if err == nil {
			_ = os.Remove(made)
			err = fmt.Errorf("the path %s is too long for sockets", made)
		}
		if first == nil {
			first = err
		}
	}
	return "", fmt.Errorf("no folder for sockets could be made; name a short one with TMPDIR: %w", first)
}
