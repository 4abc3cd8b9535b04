package serving_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/plugin"
)

// testBinary is the test bundle's, built once.
var testBinary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "crosswind-serving-")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(folder) }()
		testBinary = filepath.Join(folder, "bundle")
		arguments := append([]string{"build", "-o", testBinary}, buildFlags...)
		build := exec.Command("go", append(arguments, "crosswind.dev/go/internal/testbundle")...)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// worker is what a worker serves to its bundles: a callback socket on which each attempt has a key.
type worker struct {
	executionpb.UnimplementedTaskServiceServer
	bundlepb.UnimplementedHostServiceServer

	address string
	values  map[string]string // variables

	mu      sync.Mutex
	logs    map[string][]*executionpb.LogRecord // by key
	batches int
	logged  chan string // a message for each record
}

func newWorker(t testing.TB) *worker {
	t.Helper()
	w := &worker{
		values: map[string]string{"my_variable": "42"},
		logs:   map[string][]*executionpb.LogRecord{},
		logged: make(chan string, 10_000),
	}
	folder, err := os.MkdirTemp("", "cw") // not t.TempDir: a socket's path is at most 103 bytes long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	socket := filepath.Join(folder, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	executionpb.RegisterTaskServiceServer(server, w)
	bundlepb.RegisterHostServiceServer(server, w)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	w.address = "unix://" + socket
	return w
}

func keyOf(ctx context.Context) (string, error) {
	values := metadata.ValueFromIncomingContext(ctx, "crosswind-attempt-key")
	if len(values) != 1 || values[0] == "" {
		return "", status.Error(codes.Unauthenticated, "no attempt key")
	}
	return values[0], nil
}

func (w *worker) GetVariable(
	ctx context.Context, request *executionpb.GetVariableRequest,
) (*executionpb.GetVariableResponse, error) {
	if _, err := keyOf(ctx); err != nil {
		return nil, err
	}
	found, known := w.values[request.GetKey()]
	if !known {
		return nil, refusal(codes.NotFound, "VARIABLE_NOT_FOUND")
	}
	return &executionpb.GetVariableResponse{Variable: &executionpb.Variable{Key: request.GetKey(), Value: found}}, nil
}

func (w *worker) GetXCom(
	ctx context.Context, request *executionpb.GetXComRequest,
) (*executionpb.GetXComResponse, error) {
	if _, err := keyOf(ctx); err != nil {
		return nil, err
	}
	if request.GetKey().GetTaskId() == "huge" {
		return nil, refusal(codes.ResourceExhausted, "MESSAGE_TOO_LARGE")
	}
	return nil, refusal(codes.NotFound, "XCOM_NOT_FOUND")
}

func (w *worker) SliceXCom(
	_ context.Context, request *executionpb.SliceXComRequest,
) (*executionpb.SliceXComResponse, error) {
	const total = 5
	answer := &executionpb.SliceXComResponse{TotalSize: total}
	for number := request.GetStart(); number < min(request.GetStart()+2, total); number++ {
		answer.Values = append(answer.Values, jsonPayload(string(rune('0'+number))))
	}
	return answer, nil
}

func (w *worker) WriteLogs(
	ctx context.Context, request *bundlepb.WriteLogsRequest,
) (*bundlepb.WriteLogsResponse, error) {
	key, err := keyOf(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.logs[key] = append(w.logs[key], request.GetRecords()...)
	w.batches++
	w.mu.Unlock()
	for _, record := range request.GetRecords() {
		select {
		case w.logged <- record.GetMessage():
		default: // nobody waits for so many
		}
	}
	return &bundlepb.WriteLogsResponse{}, nil
}

func (w *worker) log(key string) []*executionpb.LogRecord {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logs[key]
}

func refusal(code codes.Code, reason string) error {
	answer, err := status.New(code, "refused by the test").WithDetails(
		&errdetails.ErrorInfo{Domain: "crosswind", Reason: reason})
	if err != nil {
		return err
	}
	return answer.Err()
}

// process is the test bundle, launched as a Go worker does.
type process struct {
	bundlepb.BundleServiceClient
	client *goplugin.Client
	worker *worker
	stderr *buffer
}

func launch(t testing.TB) *process {
	t.Helper()
	stderr := &buffer{}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		Cmd:              exec.Command(testBinary),
		HandshakeConfig:  plugin.Handshake,
		VersionedPlugins: plugin.HostPlugins(),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		Stderr:           stderr,
		Logger:           hclog.NewNullLogger(),
	})
	t.Cleanup(client.Kill)
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	dispensed, err := protocol.Dispense(plugin.Name)
	if err != nil {
		t.Fatal(err)
	}
	return &process{dispensed.(bundlepb.BundleServiceClient), client, newWorker(t), stderr}
}

type buffer struct {
	mu   sync.Mutex
	data []byte
}

func (b *buffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = append(b.data, data...)
	return len(data), nil
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.data)
}

// cpuOf is the time that a process has used, in nanoseconds.
func cpuOf(t testing.TB, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "schedstat"))
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "schedstat"))
	if err != nil || len(tasks) == 0 {
		t.Fatal(err, string(data))
	}
	var total int64
	for _, task := range tasks {
		if data, err = os.ReadFile(task); err == nil { // else the thread has ended
			spent, _, _ := strings.Cut(string(data), " ")
			nanoseconds, err := strconv.ParseInt(spent, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			total += nanoseconds
		}
	}
	return total
}
