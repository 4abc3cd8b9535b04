package hosting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	v1 "crosswind.dev/go/bundle/bundlev1"
	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/packing"
	"crosswind.dev/go/internal/plugin"
	"crosswind.dev/go/internal/worker/callback"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/executor"
	"crosswind.dev/go/internal/worker/masking"
	"crosswind.dev/go/sdk"
)

const patience = 30 * time.Second

// mode makes the test's own program a bundle, and says what it does before it is one.
const mode = "CROSSWIND_TEST_MODE"

func TestMain(m *testing.M) {
	switch os.Getenv(mode) {
	case "":
		os.Exit(m.Run())
	case "exit":
		fmt.Fprintln(os.Stderr, "the licence has expired")
		os.Exit(7)
	case "panic":
		panic("no configuration")
	case "print":
		fmt.Println("Hello from init!")
	case "hang":
		select {}
	case "plugin 2":
		goplugin.Serve(&goplugin.ServeConfig{
			HandshakeConfig:  plugin.Handshake,
			VersionedPlugins: plugin.BundlePlugins(bundlepb.UnimplementedBundleServiceServer{}, 2),
			GRPCServer:       plugin.NewServer,
		})
		os.Exit(0)
	}
	v1.Serve(testBundle{}, v1.Name("tested"))
}

type testBundle struct{}

// RegisterDags implements v1.Bundle.
func (testBundle) RegisterDags(dagbag v1.Registry) error {
	dag := dagbag.AddDag("d")
	for name, function := range map[string]any{
		"answer": func() (int, error) { return os.Getpid(), nil },
		"crash": func() error {
			fmt.Fprintln(os.Stderr, "the last words, the key is hunter2")
			os.Exit(3)
			return nil
		},
		"panic":  func() error { panic("oh no") },
		"killed": func() error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) },
		"say": func() error {
			fmt.Println("to standard output")
			fmt.Fprintln(os.Stderr, "to standard error")
			return nil
		},
		"obey": func(ctx context.Context, client sdk.VariableClient) error {
			if _, err := client.GetVariable(ctx, "ready"); err != nil {
				return err
			}
			<-ctx.Done()
			return context.Cause(ctx)
		},
		"ignore": func(ctx context.Context, client sdk.VariableClient) error {
			_, _ = client.GetVariable(ctx, "ready") // the cancel may come meanwhile
			select {}
		},
		"read": func(ctx context.Context, client sdk.VariableClient) (string, error) {
			return client.GetVariable(ctx, "v")
		},
	} {
		dag.AddTask(function, sdk.ID(name))
	}
	return nil
}

// host is an attempt without a worker.
type host struct {
	masker *masking.Masker
	ready  chan struct{} // closed when the task says that it runs

	mu     sync.Mutex
	output map[execpb.LogRecord_Source]string
}

func newHost(secrets ...string) *host {
	made := &host{masker: masking.New(), ready: make(chan struct{}), output: map[execpb.LogRecord_Source]string{}}
	for _, secret := range secrets {
		made.masker.Add(secret)
	}
	return made
}

// Forward implements executor.TaskHost: it knows one variable, `ready`, and no other.
func (h *host) Forward(_ context.Context, method string, request []byte) ([]byte, error) {
	if strings.HasSuffix(method, "/GetVariable") && bytes.Contains(request, []byte("ready")) {
		close(h.ready)
		return nil, nil
	}
	return nil, connection.NewCallError(codes.NotFound, "VARIABLE_NOT_FOUND", "There is no such variable.")
}

// WriteLogs implements executor.TaskHost.
func (h *host) WriteLogs([]*execpb.LogRecord) {}

// WriteOutput implements executor.TaskHost.
func (h *host) WriteOutput(source execpb.LogRecord_Source, data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.output[source] += string(data)
}

// Masker implements executor.TaskHost.
func (h *host) Masker() *masking.Masker { return h.masker }

// logs collects what is logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logs) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

type stand struct {
	*Version
	log, bundleLog *logs
}

// ownBundle is the test's own program, packed.
var ownBundle = sync.OnceValues(func() (*packing.Packed, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// Beside the program, and gone with it.
	manifest := &manifestpb.Manifest{Bundle: "tested", ApiVersion: "2026-12-01"}
	return packing.Write(program, manifest, program+".bundle")
})

// newStand hosts the test's own program.
func newStand(t *testing.T) *stand {
	t.Helper()
	packed, err := ownBundle()
	if err != nil {
		t.Fatal(err)
	}
	return standOf(t, packed)
}

func standOf(t *testing.T, packed *packing.Packed) *stand {
	t.Helper()
	folder, err := os.MkdirTemp("", "cw-")
	if err != nil {
		t.Fatal(err)
	}
	server, err := callback.Listen(folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	made := &stand{log: &logs{}, bundleLog: &logs{}}
	debug := &slog.HandlerOptions{Level: slog.LevelDebug}
	services := &Services{
		Callback: server, RunFolder: folder, StartTimeout: patience,
		Log: slog.New(slog.NewTextHandler(made.log, debug)), BundleLog: slog.New(slog.NewTextHandler(made.bundleLog, debug)),
	}
	made.Version = NewVersion(packed, services)
	t.Cleanup(func() {
		made.End()
		services.Close()
		_ = os.RemoveAll(folder)
	})
	t.Setenv(mode, "serve")
	return made
}

func (s *stand) begin(t *testing.T, task string, host *host, change ...func(*execpb.TaskContext)) executor.RunningTask {
	t.Helper()
	started, err := s.try(t, task, host, change...)
	if err != nil {
		t.Fatal(err)
	}
	return started
}

func (s *stand) try(
	t *testing.T, task string, host *host, change ...func(*execpb.TaskContext),
) (executor.RunningTask, error) {
	t.Helper()
	given := &execpb.TaskContext{
		TaskInstance: &execpb.TaskInstanceKey{DagId: "d", RunId: "r", TaskId: task}, AttemptId: fmt.Sprintf("%s-%p", task, host),
		TryNumber: 1, MaxTries: 1, Bundle: "tested", EntryPoint: "d/" + task, Run: &execpb.RunContext{DagId: "d", RunId: "r"},
	}
	for _, each := range change {
		each(given)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.Start(ctx, given, 1<<20, host)
}

func isolated(given *execpb.TaskContext) { given.Isolation = manifestpb.Isolation_ISOLATION_PROCESS }

func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
}

func endOf(t *testing.T, task executor.RunningTask) executor.TaskEnd {
	t.Helper()
	await(t, "the end of the task", task.Done())
	return task.End()
}

// pid runs a task that answers with its process.
func (s *stand) pid(t *testing.T, change ...func(*execpb.TaskContext)) string {
	t.Helper()
	end := endOf(t, s.begin(t, "answer", newHost(), change...))
	result := end.Response.GetOutcome().GetSucceeded().GetResult()
	if result == nil {
		t.Fatalf("got %+v", end)
	}
	return string(result.GetData())
}

func TestTasksOfABundleShareAProcess(t *testing.T) {
	s := newStand(t)
	if first, second := s.pid(t), s.pid(t); first != second {
		t.Errorf("they ran in %s and %s", first, second)
	}
	if !strings.Contains(s.log.String(), "started in") {
		t.Errorf("the start is not told: %s", s.log)
	}
}

func TestProcessIsThereBeforeTheFirstTask(t *testing.T) {
	s := newStand(t)
	s.Warm()
	started := s.log.String()
	if !strings.Contains(started, "started in") {
		t.Fatalf("got %s", started)
	}
	s.pid(t)
	s.Warm()
	if again := s.log.String(); again != started {
		t.Errorf("got %s", again)
	}
}

func TestProcessThatCannotBeStartedIsTold(t *testing.T) {
	s := newStand(t)
	t.Setenv(mode, "exit")
	s.Warm()
	if got := s.log.String(); !strings.Contains(got, "exited with code 7 before it was ready") {
		t.Errorf("got %s", got)
	}
}

func TestBundleOfIsolatedTasksSharesNoProcess(t *testing.T) {
	for want, tasks := range map[bool][]*manifestpb.Task{
		true:  {{Isolation: manifestpb.Isolation_ISOLATION_PROCESS}, {Isolation: manifestpb.Isolation_ISOLATION_SHARED}},
		false: {{Isolation: manifestpb.Isolation_ISOLATION_PROCESS}, {OnPartition: manifestpb.PartitionPolicy_PARTITION_POLICY_KILL}},
	} {
		dag, err := proto.Marshal(&manifestpb.Dag{Tasks: tasks})
		if err != nil {
			t.Fatal(err)
		}
		if got := sharesProcesses(&manifestpb.Manifest{Dags: []*manifestpb.SerializedDag{{Dag: dag}}}); got != want {
			t.Errorf("of %v: got %v", tasks, got)
		}
	}
	if !sharesProcesses(&manifestpb.Manifest{}) {
		t.Error("one that offers tasks without a DAG has none")
	}
}

func TestIsolatedTaskHasAProcessOfItsOwnAndItsOutput(t *testing.T) {
	s := newStand(t)
	shared := s.pid(t)
	if alone := s.pid(t, isolated); alone == shared {
		t.Errorf("both ran in %s", alone)
	}
	mine := newHost()
	end := endOf(t, s.begin(t, "say", mine, isolated))
	if end.Usage == nil || end.Usage.CPU <= 0 || end.Usage.MaxMemory < 1<<20 {
		t.Errorf("got %+v", end.Usage)
	}
	told := mine.output[execpb.LogRecord_SOURCE_STDOUT] + mine.output[execpb.LogRecord_SOURCE_STDERR]
	if !strings.Contains(told, "to standard output\n") || !strings.Contains(told, "to standard error\n") {
		t.Errorf("got %q", told)
	}
	if s.bundleLog.String() != "" {
		t.Errorf("the bundle's log has %s", s.bundleLog)
	}
}

func TestTaskThatMustEndInTimeIsAlone(t *testing.T) {
	s := newStand(t)
	kill := func(given *execpb.TaskContext) { given.OnPartition = manifestpb.PartitionPolicy_PARTITION_POLICY_KILL }
	if shared, alone := s.pid(t), s.pid(t, kill); shared == alone {
		t.Errorf("both ran in %s", alone)
	}
}

func TestOutputOfASharedProcessIsTheBundlesAndMasked(t *testing.T) {
	s := newStand(t)
	endOf(t, s.begin(t, "say", newHost("standard")))
	endOf(t, s.begin(t, "crash", newHost("hunter2")))
	if got := s.bundleLog.String(); !strings.Contains(got, "to *** output") || strings.Contains(got, "hunter2") {
		t.Errorf("got %s", got)
	}
}

func TestCrashFailsTheTasksOfItsProcessAndTheNextStartsAnother(t *testing.T) {
	s := newStand(t)
	before := s.pid(t)
	beside := newHost()
	neighbour := s.begin(t, "obey", beside)
	await(t, "the neighbour", beside.ready)
	// Another attempt's secret is none of this one's, and stays hidden all the same.
	endOf(t, s.begin(t, "answer", newHost("hunter2")))
	end := endOf(t, s.begin(t, "crash", newHost()))
	if end.ExitCode == nil || *end.ExitCode != 3 || !strings.Contains(end.StderrTail, "the last words, the key is ***") {
		t.Errorf("got %+v", end)
	}
	if end := endOf(t, neighbour); end.ExitCode == nil || *end.ExitCode != 3 {
		t.Errorf("the neighbour's end is %+v", end)
	}
	if after := s.pid(t); after == before {
		t.Errorf("%s runs again", after)
	}
	if !strings.Contains(s.log.String(), "exited with code 3; the next task starts another") {
		t.Errorf("it is not told: %s", s.log)
	}
}

func TestKilledProcessIsToldByItsSignal(t *testing.T) {
	s := newStand(t)
	if end := endOf(t, s.begin(t, "killed", newHost())); end.SignalName != "SIGKILL" || end.ExitCode != nil {
		t.Errorf("got %+v", end)
	}
}

func TestPanicFailsItsTaskAlone(t *testing.T) {
	s := newStand(t)
	before := s.pid(t)
	end := endOf(t, s.begin(t, "panic", newHost()))
	if failure := end.Response.GetOutcome().GetFailed().GetFailure(); failure.GetType() != "panic" {
		t.Errorf("got %+v", end)
	}
	if after := s.pid(t); after != before {
		t.Errorf("the process ended: %s, then %s", before, after)
	}
}

func TestTaskThatObeysEndsByItself(t *testing.T) {
	s := newStand(t)
	mine := newHost()
	task := s.begin(t, "obey", mine)
	task.Terminate(time.Minute) // perhaps before the bundle knows of it
	if end := endOf(t, task); end.Response == nil {
		t.Errorf("got %+v", end)
	}
	s.pid(t)
}

func TestTaskThatDoesNotObeyIsKilledWhenTheOthersHaveEnded(t *testing.T) {
	s := newStand(t)
	before := s.pid(t)
	deaf, beside := newHost(), newHost()
	ignoring, neighbour := s.begin(t, "ignore", deaf), s.begin(t, "obey", beside)
	await(t, "the deaf task", deaf.ready)
	await(t, "its neighbour", beside.ready)
	ignoring.Terminate(0)
	ignoring.Kill()
	// The process is closed to new tasks, and goes on for the one that it has.
	if after := s.pid(t); after == before {
		t.Errorf("a new task ran in %s too", after)
	}
	select {
	case <-neighbour.Done():
		t.Fatalf("the neighbour was ended: %+v", neighbour.End())
	case <-ignoring.Done():
		t.Fatalf("the process was ended: %+v", ignoring.End())
	default:
	}
	neighbour.Terminate(time.Minute)
	if end := endOf(t, neighbour); end.Response == nil {
		t.Errorf("the neighbour's end is %+v", end)
	}
	if end := endOf(t, ignoring); end.SignalName != "SIGKILL" {
		t.Errorf("got %+v", end)
	}
	if text := s.log.String(); strings.Contains(text, "level=ERROR") {
		t.Errorf("an end that was wanted is told as an error: %s", text)
	}
}

func TestIsolatedTaskIsKilledAtOnce(t *testing.T) {
	s := newStand(t)
	mine := newHost()
	task := s.begin(t, "ignore", mine, isolated)
	await(t, "the task", mine.ready)
	task.Kill()
	if end := endOf(t, task); end.SignalName != "SIGKILL" {
		t.Errorf("got %+v", end)
	}
}

func TestCallThatIsRefusedReachesTheTaskWithItsReason(t *testing.T) {
	s := newStand(t)
	end := endOf(t, s.begin(t, "read", newHost()))
	failure := end.Response.GetOutcome().GetFailed().GetFailure()
	if failure.GetType() != "*sdk.CallError" || !strings.Contains(failure.GetMessage(), "no variable 'v'") {
		t.Errorf("got %+v", end)
	}
}

func TestEntryPointThatIsMissingIsARefusalOfTheTask(t *testing.T) {
	s := newStand(t)
	end := endOf(t, s.begin(t, "nothing", newHost()))
	failure := end.Response.GetOutcome().GetFailed().GetFailure()
	if failure.GetType() != "crosswind.EntryPointMissing" && (end.Refusal == nil || end.Refusal.Reason != "TASK_NOT_FOUND") {
		t.Errorf("got %+v", end)
	}
}

func TestBundleThatCannotBeStartedSaysWhy(t *testing.T) {
	for how, want := range map[string]struct {
		sentence, tail string
		code           int32
	}{
		"exit":  {"The process of the bundle tested exited with code 7 before it was ready. The last that it wrote: the licence has expired", "the licence has expired", 7},
		"panic": {"exited with code 2 before it was ready. The last that it wrote: panic: no configuration", "goroutine 1", 2},
		"print": {`printed "Hello from init!" where go-plugin's handshake was expected`, "", 0},
		"hang":  {"was not ready within 1 s (--import-timeout)", "", 0},
	} {
		t.Run(how, func(t *testing.T) {
			s := newStand(t)
			if how == "hang" {
				s.services.StartTimeout = time.Second
			}
			t.Setenv(mode, how)
			_, err := s.try(t, "answer", newHost())
			var gone *executor.GoneError
			if !errors.As(err, &gone) || !strings.Contains(gone.Sentence, want.sentence) || !strings.Contains(gone.StderrTail, want.tail) {
				t.Fatalf("got %v", err)
			}
			if want.code != 0 && (gone.ExitCode == nil || *gone.ExitCode != want.code) {
				t.Errorf("got %+v", gone)
			}
			// It may be better the next time.
			t.Setenv(mode, "serve")
			s.pid(t)
		})
	}
}

func TestFileThatIsNoBundleSaysWhy(t *testing.T) {
	foreign := []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00\x01\x00\x00\x00")
	script := "#!/bin/sh\necho not a plugin\nexec sleep 100\n"
	for name, test := range map[string]struct {
		content  []byte
		sentence string
	}{
		"of another machine": {append(foreign, make([]byte, 100)...), "it is no program for this machine"},
		"no program":         {[]byte("just data"), "it is no program for this machine"},
		"no plugin":          {[]byte(script), `printed "not a plugin" where go-plugin's handshake was expected`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "program")
			if err := os.WriteFile(path, test.content, 0o700); err != nil {
				t.Fatal(err)
			}
			packed, err := packing.Write(path, &manifestpb.Manifest{Bundle: "tested", ApiVersion: "2026-12-01"}, path+".bundle")
			if err != nil {
				t.Fatal(err)
			}
			_, err = standOf(t, packed).try(t, "answer", newHost())
			if err == nil || !strings.Contains(err.Error(), test.sentence) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCopyThatWasChangedIsNotRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	packed, err := packing.Write(path, &manifestpb.Manifest{Bundle: "tested", ApiVersion: "2026-12-01"}, path+".bundle")
	if err != nil {
		t.Fatal(err)
	}
	s := standOf(t, packed)
	if err := os.WriteFile(s.Path(), []byte("something else"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.try(t, "answer", newHost()); err == nil || !strings.Contains(err.Error(), "is not what was read") {
		t.Errorf("got %v", err)
	}
}

func TestProcessSeesNoToken(t *testing.T) {
	t.Setenv("CROSSWIND_TOKEN_FILE", "/secret/place")
	t.Setenv("HTTPS_PROXY", "http://proxy.example:1")
	s := newStand(t)
	environment, err := os.ReadFile("/proc/" + s.pid(t) + "/environ")
	if err != nil || bytes.Contains(environment, []byte("secret")) || !bytes.Contains(environment, []byte("HTTPS_PROXY=")) {
		t.Errorf("got %s, %v", environment, err)
	}
}

func TestKilledGuardIsReplaced(t *testing.T) {
	s := newStand(t)
	mine := newHost()
	before := s.pid(t)
	task := s.begin(t, "obey", mine)
	await(t, "the task", mine.ready)
	parent, err := exec.Command("ps", "-o", "ppid=", "-p", before).Output()
	if err != nil {
		t.Fatal(err)
	}
	var id int
	if _, err := fmt.Sscan(string(parent), &id); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if end := endOf(t, task); end.Response != nil || end.Detail == "" {
		t.Errorf("got %+v", end)
	}
	if after := s.pid(t); after == before {
		t.Errorf("%s runs again", after)
	}
}
