package registration

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/refusal"
	"crosswind.dev/go/internal/worker/scriptedserver"
	"crosswind.dev/go/internal/worker/statefolder"
)

func start(t *testing.T, answer scriptedserver.Answer, change func(*Options)) (*Registration, *scriptedserver.Server) {
	t.Helper()
	server := scriptedserver.Start(t, answer)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	dialled, err := connection.New(server.Address, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dialled.Close)
	options := Options{
		Connection: dialled, Log: log, Identity: Identity{
			Name: "w", Slots: 2, Roles: []execpb.WorkerRole{execpb.WorkerRole_WORKER_ROLE_TRIGGERS},
			InstanceID: "i", EnrolmentToken: "enrolment",
		},
		Offers:       func() []*execpb.BundleOffer { return []*execpb.BundleOffer{{Bundle: "b", BundleVersion: "v"}} },
		Held:         func() []string { return []string{"a"} },
		OnRegistered: func(*execpb.RegisterWorkerResponse) {},
	}
	if change != nil {
		change(&options)
	}
	return New(options), server
}

func take(string, proto.Message) (proto.Message, error) {
	return &execpb.RegisterWorkerResponse{WorkerToken: "worker"}, nil
}

func refuse(code codes.Code, reason string) scriptedserver.Answer {
	return func(string, proto.Message) (proto.Message, error) {
		return nil, connection.NewCallError(code, reason, "The server says so.").GRPCStatus().Err()
	}
}

func openFolder(t *testing.T, note *statefolder.Note) *statefolder.Folder {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state")
	if note != nil {
		before, err := statefolder.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := before.Leave(*note); err != nil {
			t.Fatal(err)
		}
		before.Close()
	}
	folder, err := statefolder.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(folder.Close)
	return folder
}

func TestWorkerSaysWhatItIsAndKeepsItsToken(t *testing.T) {
	folder := openFolder(t, nil)
	made, server := start(t, take, func(options *Options) { options.Folder = folder })
	if err := made.Register(context.Background()); err != nil {
		t.Fatal(err)
	}
	call := server.Calls()[0]
	request := call.Request.(*execpb.RegisterWorkerRequest)
	if call.Token != "enrolment" || request.GetName() != "w" || request.GetSlots() != 2 || request.GetInstanceId() != "i" ||
		request.GetSdk().GetLanguage() != "go" || len(request.GetBundles()) != 1 || request.GetPreviousInstanceId() != "" ||
		!slices.Equal(request.GetRuntimes(), []string{"go-plugin"}) ||
		!slices.Equal(request.GetRoles(), []execpb.WorkerRole{execpb.WorkerRole_WORKER_ROLE_TRIGGERS}) || request.GetProcessId() != int64(os.Getpid()) {
		t.Errorf("got %+v", call)
	}
	folder.Close()
	again, err := statefolder.Open(folder.Path)
	if err != nil {
		t.Fatal(err)
	}
	want := statefolder.Note{Name: "w", Server: server.Address, InstanceID: "i", Token: "worker"}
	if *again.Previous != want || made.Connection.Token() != "worker" {
		t.Errorf("got %+v", again.Previous)
	}
}

func TestNextWorkerSupersedesTheLastAndThenSpeaksForItself(t *testing.T) {
	folder := openFolder(t, &statefolder.Note{Name: "w", Server: "s", InstanceID: "before", Token: "old"})
	made, server := start(t, take, func(options *Options) { options.Folder = folder })
	for range 2 {
		if err := made.Register(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	first, second := server.Calls()[0], server.Calls()[1]
	request := first.Request.(*execpb.RegisterWorkerRequest)
	if first.Token != "enrolment" || request.GetPreviousInstanceId() != "before" || request.GetPreviousToken() != "old" ||
		!slices.Equal(request.GetHeldAttemptIds(), []string{"a"}) {
		t.Errorf("got %+v", first)
	}
	if request := second.Request.(*execpb.RegisterWorkerRequest); second.Token != "worker" || request.GetPreviousToken() != "" {
		t.Errorf("got %+v", second)
	}
}

func TestOldTokenDoesWhereThereIsNoOther(t *testing.T) {
	folder := openFolder(t, &statefolder.Note{Name: "w", Server: "s", InstanceID: "before", Token: "old"})
	made, server := start(t, take, func(options *Options) {
		options.Folder = folder
		options.Identity.EnrolmentToken = ""
		options.Identity.EnrolmentTokenFile = "/nowhere"
	})
	if err := made.Register(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := server.Calls()[0].Token; got != "old" {
		t.Errorf("got %s", got)
	}
}

func TestTokenThatIsNotTakenIsFollowedByTheNext(t *testing.T) {
	folder := openFolder(t, &statefolder.Note{Name: "w", Server: "s", InstanceID: "before", Token: "old"})
	made, server := start(t, func(_ string, request proto.Message) (proto.Message, error) {
		if request.(*execpb.RegisterWorkerRequest).GetPreviousToken() != "" {
			return refuse(codes.Unauthenticated, "TOKEN_INVALID")("", nil)
		}
		return take("", nil)
	}, func(options *Options) { options.Folder = folder })
	if err := made.Register(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := server.Methods(); len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

func TestRefusalsAreSentencesWithTheWayOut(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		answer   scriptedserver.Answer
		change   func(*Options)
		sentence string
	}{
		{refuse(codes.AlreadyExists, "WORKER_NAME_IN_USE"), nil, "is named w already: choose another name with --name"},
		{refuse(codes.Unauthenticated, "TOKEN_EXPIRED"), nil, "says that this worker's token has expired"},
		{refuse(codes.Unauthenticated, "TOKEN_INVALID"), nil, "does not know this worker's token"},
		{refuse(codes.Unauthenticated, "TOKEN_REVOKED"), nil, "has revoked this worker's token"},
		{refuse(codes.PermissionDenied, "BUNDLE_NOT_OWNED"), nil, "refuses this worker: The server says so."},
		{take, func(options *Options) { options.Identity.EnrolmentToken = "" }, "This worker has no token"},
		{take, func(options *Options) { options.Identity.EnrolmentTokenFile = "/nowhere" }, "The token file /nowhere cannot be read: No such file or directory."},
		{take, func(options *Options) { options.Identity.EnrolmentTokenFile = empty }, "The token file " + empty + " is empty"},
	} {
		made, _ := start(t, test.answer, test.change)
		err := made.Register(context.Background())
		var refused *refusal.Error
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.sentence) {
			t.Errorf("got %v, want %s", err, test.sentence)
		}
	}
}

func TestManyRenewTogetherAndOneRegisters(t *testing.T) {
	made, server := start(t, take, nil)
	if err := made.Register(context.Background()); err != nil {
		t.Fatal(err)
	}
	made.Connection.SetToken("expired")
	var renewing sync.WaitGroup
	for range 10 {
		renewing.Go(func() {
			if err := made.Renew(context.Background(), "expired"); err != nil {
				t.Error(err)
			}
		})
	}
	renewing.Wait()
	if got := server.Methods(); len(got) != 2 {
		t.Errorf("got %v", got)
	}
}
