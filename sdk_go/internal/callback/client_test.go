package callback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	valuepb "crosswind.dev/go/internal/gen/crosswind/value/v1"
	"crosswind.dev/go/internal/value"
	"crosswind.dev/go/sdk"
)

// server answers every call with what the test has for its method, and keeps what was asked.
type server struct {
	answers map[string]func(request proto.Message) (proto.Message, error)
	asked   []string
}

func serve(t *testing.T) (*server, *Client) {
	t.Helper()
	s := &server{answers: map[string]func(proto.Message) (proto.Message, error){}}
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	grpcServer := grpc.NewServer(grpc.UnaryInterceptor(s.answer))
	executionpb.RegisterTaskServiceServer(grpcServer, executionpb.UnimplementedTaskServiceServer{})
	go func() { _ = grpcServer.Serve(listener) }()
	t.Cleanup(grpcServer.Stop)
	pool := &Pool{}
	t.Cleanup(pool.Close)
	connection, err := pool.Connection("unix://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := pool.Connection("unix://" + listener.Addr().String()); err != nil || again != connection {
		t.Error("another connection to the same address")
	}
	return s, NewClient(connection, "key", &executionpb.TaskContext{
		TaskInstance: &executionpb.TaskInstanceKey{DagId: "d", RunId: "r", TaskId: "own", MapIndex: proto.Int32(2)},
		Variables:    []*executionpb.Variable{{Key: "declared", Value: `{"n": 1}`}},
		Connections:  []*executionpb.Connection{{ConnectionId: "declared", Host: "h", Port: proto.Int32(1)}},
	}, 100)
}

func (s *server) answer(ctx context.Context, request any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
	if keys := metadata.ValueFromIncomingContext(ctx, attemptKey); len(keys) != 1 || keys[0] != "key" {
		return nil, status.Error(codes.Unauthenticated, "no key")
	}
	method := info.FullMethod[strings.LastIndex(info.FullMethod, "/")+1:]
	asked := proto.CloneOf(request.(proto.Message))
	if field := asked.ProtoReflect().Descriptor().Fields().ByName("request_id"); field != nil {
		if len(asked.ProtoReflect().Get(field).String()) != 36 {
			return nil, status.Error(codes.InvalidArgument, "no request id")
		}
		asked.ProtoReflect().Clear(field)
	}
	s.asked = append(s.asked, strings.Join(strings.Fields(fmt.Sprintf("%s %v", method, asked)), " "))
	found := s.answers[method]
	if found == nil {
		return nil, status.Error(codes.Unimplemented, method)
	}
	return found(asked)
}

func refused(code codes.Code, reason string) func(proto.Message) (proto.Message, error) {
	return func(proto.Message) (proto.Message, error) {
		answer, err := status.New(code, "refused").WithDetails(&errdetails.ErrorInfo{Domain: "crosswind", Reason: reason})
		if err != nil {
			return nil, err
		}
		return nil, answer.Err()
	}
}

func always(answer proto.Message) func(proto.Message) (proto.Message, error) {
	return func(proto.Message) (proto.Message, error) { return answer, nil }
}

func (s *server) check(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(s.asked, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("asked\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	s.asked = nil
}

func TestVariables(t *testing.T) {
	s, client := serve(t)
	ctx := t.Context()
	s.answers["GetVariable"] = always(&executionpb.GetVariableResponse{Variable: &executionpb.Variable{Value: "v"}})
	s.answers["SetVariable"] = always(&executionpb.SetVariableResponse{})
	s.answers["DeleteVariable"] = always(&executionpb.DeleteVariableResponse{Existed: true})

	if got, err := client.GetVariable(ctx, "k"); got != "v" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	s.check(t, `GetVariable key:"k"`)
	var decoded struct{ N int }
	if err := client.UnmarshalJSONVariable(ctx, "declared", &decoded); err != nil || decoded.N != 1 {
		t.Errorf("got %v, %v", decoded, err)
	}
	s.check(t) // it came with the start
	if err := client.SetVariable(ctx, "declared", "new", sdk.Description("text"), sdk.Public(true)); err != nil {
		t.Error(err)
	}
	if got, err := client.GetVariable(ctx, "declared"); got != "new" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	s.check(t, `SetVariable key:"declared" value:"new" description:"text" public:true`)
	if existed, err := client.DeleteVariable(ctx, "declared"); !existed || err != nil {
		t.Errorf("got %v, %v", existed, err)
	}
	s.check(t, `DeleteVariable key:"declared"`)
	s.answers["GetVariable"] = refused(codes.NotFound, "VARIABLE_NOT_FOUND")
	_, err := client.GetVariable(ctx, "declared")
	var call *sdk.CallError
	if !errors.Is(err, sdk.ErrVariableNotFound) || !errors.As(err, &call) || call.Code != codes.NotFound ||
		err.Error() != "there is no variable 'declared'; set it with `crosswind variables set declared VALUE`" {
		t.Errorf("got %v", err)
	}
	if err := client.UnmarshalJSONVariable(ctx, "declared", decoded); err == nil ||
		err.Error() != "there is nothing to decode into; pass a pointer, as in &value" {
		t.Errorf("got %v", err)
	}
}

func TestConnections(t *testing.T) {
	s, client := serve(t)
	s.answers["GetConnection"] = always(&executionpb.GetConnectionResponse{Connection: &executionpb.Connection{
		ConnectionId: "c", ConnType: "http", Host: "h", Schema: "s", Login: "l", Password: "p", ExtraJson: "{}", Description: "d",
	}})
	want := sdk.Connection{
		ID: "c", Type: "http", Host: "h", Schema: "s", Login: "l", Password: "p", Extra: "{}", Description: "d",
	}
	if got, err := client.GetConnection(t.Context(), "c"); got != want || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := client.GetConnection(t.Context(), "declared"); got.Port != 1 || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	s.check(t, `GetConnection connection_id:"c"`)
	s.answers["GetConnection"] = refused(codes.NotFound, "CONNECTION_NOT_FOUND")
	if _, err := client.GetConnection(t.Context(), "c"); !errors.Is(err, sdk.ErrConnectionNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestXComs(t *testing.T) {
	s, client := serve(t)
	ctx, one := t.Context(), 1
	s.answers["GetXCom"] = always(&executionpb.GetXComResponse{Value: value.Items([][]byte{[]byte("1"), []byte("2")})})
	s.answers["GetXComItem"] = always(&executionpb.GetXComItemResponse{Value: value.Payload([]byte(`"x"`))})
	s.answers["SetXCom"] = always(&executionpb.SetXComResponse{})
	s.answers["DeleteXCom"] = always(&executionpb.DeleteXComResponse{Existed: true})
	written := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	s.answers["ListXComs"] = func(request proto.Message) (proto.Message, error) {
		if request.(*executionpb.ListXComsRequest).GetPageToken() == "" {
			return &executionpb.ListXComsResponse{NextPageToken: "next", Xcoms: []*executionpb.XComInfo{{
				Key: &executionpb.XComKey{TaskId: proto.String("a"), MapIndex: proto.Int32(1)}, Encoding: "json/utf-8",
				SizeBytes: 3, ItemCount: proto.Int64(2), WriteTime: timestamppb.New(written),
			}}}, nil
		}
		return &executionpb.ListXComsResponse{Xcoms: []*executionpb.XComInfo{{Key: &executionpb.XComKey{}}}}, nil
	}

	got, err := sdk.XCom[[]int](ctx, client, sdk.XComKey{TaskID: "a", MapIndex: &one, Key: "k", DagID: "d", RunID: "r"})
	if fmt.Sprint(got) != "[1 2]" || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if err := client.GetXCom(ctx, sdk.XComKey{}, &got); err != nil {
		t.Error(err)
	}
	var text string
	if err := client.GetXComItem(ctx, sdk.XComKey{TaskID: "a"}, -1, &text); text != "x" || err != nil {
		t.Errorf("got %v, %v", text, err)
	}
	if err := client.SetXCom(ctx, "k", []string{"a"}); err != nil {
		t.Error(err)
	}
	if err := client.SetXCom(ctx, "k", nil); err != nil {
		t.Error(err)
	}
	if existed, err := client.DeleteXCom(ctx, "k"); !existed || err != nil {
		t.Errorf("got %v, %v", existed, err)
	}
	infos, err := client.ListXComs(ctx, sdk.XComKey{TaskID: "a"})
	if err != nil || len(infos) != 2 || *infos[0].Key.MapIndex != 1 || infos[0].Items != 2 || infos[1].Items != -1 ||
		infos[1].Key.MapIndex != nil || !infos[0].WriteTime.Equal(written) {
		t.Errorf("got %+v, %v", infos, err)
	}
	s.check(t,
		`GetXCom key:{dag_id:"d" run_id:"r" task_id:"a" map_index:1 key:"k"}`,
		`GetXCom key:{task_id:"own" map_index:2 key:"return_value"}`,
		`GetXComItem key:{task_id:"a" key:"return_value"} index:-1`,
		`SetXCom key:"k" value:{encoding:"json/utf-8" items:{items:{data:"\"a\""}}}`,
		`SetXCom key:"k" value:{encoding:"json/utf-8" data:"null"}`,
		`DeleteXCom key:"k"`,
		`ListXComs filter:{task_id:"a"} page_size:1000`,
		`ListXComs filter:{task_id:"a"} page_size:1000 page_token:"next"`,
	)

	cases := []struct {
		err  error
		kind error
		want string
	}{
		{client.GetXCom(ctx, sdk.XComKey{TaskID: "a"}, &text), sdk.ErrValueNotReadable,
			"XCom 'return_value' of task 'a' cannot be read into string: cannot unmarshal array into Go value of type string"},
		{client.SetXCom(ctx, "k", func() {}), sdk.ErrValueNotEncodable,
			"XCom 'k' of task 'own' cannot be written as JSON: unsupported type: func()"},
		{client.SetXCom(ctx, "k", strings.Repeat("x", 99)), sdk.ErrValueTooLarge,
			"XCom 'k' of task 'own' takes 101 bytes, and at most 100 travel between tasks; write it to a file or an object " +
				"store and pass on where it lies"},
	}
	for _, each := range cases {
		if !errors.Is(each.err, each.kind) || each.err.Error() != each.want {
			t.Errorf("got %v, want %s", each.err, each.want)
		}
	}
	s.answers["GetXCom"] = refused(codes.NotFound, "XCOM_NOT_FOUND")
	s.answers["GetXComItem"] = refused(codes.NotFound, "XCOM_NOT_FOUND")
	s.answers["SliceXCom"] = refused(codes.NotFound, "XCOM_NOT_FOUND")
	_, slicing := client.SliceXCom(ctx, sdk.XComKey{TaskID: "a"}, 0, 5000, &got)
	for _, err := range []error{
		client.GetXCom(ctx, sdk.XComKey{TaskID: "a"}, &got), client.GetXComItem(ctx, sdk.XComKey{TaskID: "a"}, 3, &got), slicing,
	} {
		if !errors.Is(err, sdk.ErrXComNotFound) {
			t.Errorf("got %v", err)
		}
	}
}

func TestSlices(t *testing.T) {
	s, client := serve(t)
	s.answers["SliceXCom"] = always(&executionpb.SliceXComResponse{
		TotalSize: 7, Values: []*valuepb.Payload{value.Payload([]byte("1")), value.Payload([]byte("2"))},
	})
	var page []int
	total, err := client.SliceXCom(t.Context(), sdk.XComKey{TaskID: "a"}, 3, 2, &page)
	if total != 7 || fmt.Sprint(page) != "[1 2]" || err != nil {
		t.Errorf("got %v of %d, %v", page, total, err)
	}
	s.check(t, `SliceXCom key:{task_id:"a" key:"return_value"} start:3 limit:2`)
}

func TestRuns(t *testing.T) {
	s, client := serve(t)
	ctx := t.Context()
	s.answers["TriggerDagRun"] = always(&executionpb.TriggerDagRunResponse{RunId: "made"})
	s.answers["GetDagRun"] = always(&executionpb.GetDagRunResponse{State: "running", Run: &executionpb.RunContext{
		DagId: "d", RunId: "r", RunType: "manual", Conf: value.Payload([]byte(`{"a":1}`)),
	}})
	s.answers["GetTaskStates"] = always(&executionpb.GetTaskStatesResponse{
		Instances: []*executionpb.GetTaskStatesResponse_InstanceState{
			{Key: &executionpb.TaskInstanceKey{TaskId: "a"}, State: "succeeded"},
			{Key: &executionpb.TaskInstanceKey{TaskId: "b", MapIndex: proto.Int32(0)}, State: "running"},
		},
	})
	runID, err := client.TriggerDagRun(ctx, "other", sdk.DagRunRequest{
		RunID: "asked", Conf: map[string]int{"a": 1}, LogicalTime: time.Unix(5, 0),
	})
	if runID != "made" || err != nil {
		t.Errorf("got %s, %v", runID, err)
	}
	run, err := client.GetDagRun(ctx, "", "r")
	if run.State != "running" || run.RunType != "manual" || string(run.Conf["a"]) != "1" || !run.LogicalTime.IsZero() || err != nil {
		t.Errorf("got %+v, %v", run, err)
	}
	states, err := client.GetTaskStates(ctx, "", "", "a", "b")
	want := []sdk.TaskState{{TaskID: "a", MapIndex: -1, State: "succeeded"}, {TaskID: "b", MapIndex: 0, State: "running"}}
	if fmt.Sprint(states) != fmt.Sprint(want) || err != nil {
		t.Errorf("got %+v, %v", states, err)
	}
	s.check(t,
		`TriggerDagRun dag_id:"other" run_id:"asked" conf:{encoding:"json/utf-8" data:"{\"a\":1}"} logical_time:{seconds:5}`,
		`GetDagRun run_id:"r"`,
		`GetTaskStates task_ids:"a" task_ids:"b" page_size:1000`,
	)
	s.answers["GetDagRun"] = refused(codes.NotFound, "RUN_NOT_FOUND")
	if _, err := client.GetDagRun(ctx, "", ""); !errors.Is(err, sdk.ErrRunNotFound) {
		t.Errorf("got %v", err)
	}
	s.answers["TriggerDagRun"] = refused(codes.FailedPrecondition, "DAG_PAUSED")
	_, err = client.TriggerDagRun(ctx, "other", sdk.DagRunRequest{})
	var call *sdk.CallError
	if !errors.As(err, &call) || call.Reason != "DAG_PAUSED" || call.Code != codes.FailedPrecondition || err.Error() != "refused" {
		t.Errorf("got %v", err)
	}
}

func TestTheContextEndsACall(t *testing.T) {
	s, client := serve(t)
	asked, proceed := make(chan struct{}), make(chan struct{})
	defer close(proceed)
	s.answers["GetVariable"] = func(proto.Message) (proto.Message, error) {
		close(asked)
		<-proceed
		return &executionpb.GetVariableResponse{}, nil
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(sdk.ErrCancelled)
	}()
	if _, err := client.GetVariable(ctx, "k"); !errors.Is(err, sdk.ErrCancelled) {
		t.Errorf("got %v", err)
	}
}
