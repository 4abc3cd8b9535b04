package bundlev1

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"crosswind.dev/go/internal/curve"
	"crosswind.dev/go/internal/packing"
	"crosswind.dev/go/internal/plugin"
	"crosswind.dev/go/internal/registry"
	"crosswind.dev/go/internal/serving"
)

// ServeOption says more of how a bundle is served.
type ServeOption func(*serveSettings)

type serveSettings struct {
	name  string
	level slog.Leveler
}

// Name is the bundle's name, unique in a team: 1 to 250 letters, digits, '_', '-' and '.'. By default it is the last
// element of the main package's path.
func Name(name string) ServeOption { return func(settings *serveSettings) { settings.name = name } }

// LogLevel is the least level of the records that stand in the logs of tasks. By default slog.LevelInfo.
func LogLevel(level slog.Leveler) ServeOption {
	return func(settings *serveSettings) { settings.level = level }
}

// Serve makes the program a bundle: it is main's last line, and does not return.
//
// A worker launches the program and asks it to run tasks; crosswind-go-pack launches it to ask what it holds. Started by
// hand it says what to do instead, and what is wrong with the bundle, if anything is. Mistakes of the registration go to
// standard error, and the exit code is then 1.
func Serve(bundle Bundle, options ...ServeOption) {
	os.Exit(serve(bundle, options, os.Stderr))
}

func serve(bundle Bundle, options []ServeOption, stderr io.Writer) (code int) {
	settings := serveSettings{level: slog.LevelInfo}
	for _, option := range options {
		option(&settings)
	}
	if settings.name == "" {
		settings.name = defaultName()
	}
	// What RegisterDags prints must not come before the handshake's line, which is the first on standard output.
	stdout := os.Stdout
	os.Stdout = os.Stderr
	registered, err := register(bundle, settings.name)
	os.Stdout = stdout
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err) // there is nowhere else to say it
		return 1
	}
	if !curve.WasLaunched() {
		_, _ = fmt.Fprint(stderr, instructions(registered))
		return 2
	}
	served := &served{server: serving.New(registered, settings.level), output: os.Stderr}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  plugin.Handshake,
		VersionedPlugins: plugin.BundlePlugins(served.server),
		GRPCServer:       served.newServer,
		// go-plugin tells the worker of errors by ending; what it would write besides is of no use to anyone.
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr, JSONFormat: true}),
	})
	return 0
}

// served is the process while it serves.
type served struct {
	server *serving.Server
	output *os.File
	once   sync.Once
}

func (s *served) newServer(options []grpc.ServerOption) *grpc.Server {
	server := plugin.NewServer(append(options, grpc.ChainUnaryInterceptor(s.intercept)))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		s.stop(server)
	}()
	return server
}

// intercept gives the tasks back their output before the first of them runs: go-plugin puts pipes in its place, which
// block once they are full if the worker does not read them. What tasks print belongs to the bundle's log, and that is
// standard error, where a crash is told too.
func (s *served) intercept(
	ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (any, error) {
	s.once.Do(func() { os.Stdout, os.Stderr = s.output, s.output })
	return handle(ctx, request)
}

// stop lets SIGTERM end the process as soon as its tasks have obeyed the cancel that it is for them, and their outcomes
// are on their way.
func (s *served) stop(server *grpc.Server) {
	<-s.server.Stop()
	answered := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(answered)
	}()
	select {
	case <-answered:
	case <-time.After(time.Second): // go-plugin has calls of its own, which last as long as the process
	}
	os.Exit(0)
}

func instructions(bundle *registry.Bundle) string {
	own := filepath.Base(os.Args[0])
	var holds []string
	for _, dag := range bundle.Manifest.GetDags() {
		holds = append(holds, fmt.Sprintf("DAG '%s'", dag.GetDagId()))
	}
	if len(holds) == 0 {
		holds = append(holds, fmt.Sprintf("%d tasks for DAGs of other bundles", len(bundle.Manifest.GetOfferedTasks())))
	}
	text := fmt.Sprintf("This is the Crosswind bundle '%s' (%s). A worker runs it; by hand there is nothing to run.\n\n",
		bundle.Name, strings.Join(holds, ", "))
	file := os.Args[0]
	if !packing.IsPacked(file) {
		file = own + ".bundle"
		text += fmt.Sprintf("  crosswind-go-pack --binary %s -o %s\n"+
			"      packs it, so that workers know what it holds\n", os.Args[0], file)
	}
	return text + fmt.Sprintf("  crosswind-go-worker --server HOST:PORT --token-file FILE --bundle %s\n"+
		"      runs its tasks; crosswind-worker takes the same flag\n", file)
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// defaultName is the last element of the main package's path, or of its module's where the package was given as files.
func defaultName() string {
	info, known := debug.ReadBuildInfo()
	if !known {
		return ""
	}
	full := info.Path
	if full == "" || full == "command-line-arguments" {
		full = info.Main.Path
	}
	if majorVersion.MatchString(path.Base(full)) {
		full = path.Dir(full)
	}
	if full == "" || full == "." {
		return ""
	}
	return path.Base(full)
}
