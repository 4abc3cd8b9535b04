package publishing

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/worker/calls"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/executor"
	"crosswind.dev/go/internal/worker/scriptedserver"
)

func manifest(bundle, version string, dags, size int) *manifestpb.Manifest {
	made := &manifestpb.Manifest{
		Bundle: bundle, BundleVersion: version, ApiVersion: "2026-12-01", Sdk: &manifestpb.Sdk{Language: "go", Version: "1"},
		OfferedTasks: []*manifestpb.OfferedTask{{EntryPoint: "t"}},
	}
	for i := range dags {
		made.Dags = append(made.Dags, &manifestpb.SerializedDag{DagId: fmt.Sprintf("d%d", i), Dag: make([]byte, size)})
	}
	return made
}

func TestManifestIsSplitIntoAsManyPartsAsItTakes(t *testing.T) {
	whole := manifest("b", "v", 10, 1000)
	parts := splitManifest(whole, 3500)
	if len(parts) < 3 {
		t.Fatalf("got %d parts", len(parts))
	}
	var dags []*manifestpb.SerializedDag
	for i, part := range parts {
		if proto.Size(part.GetManifest()) > 3500 || part.GetMore() != (i+1 < len(parts)) || part.GetBundleVersion() != "v" {
			t.Errorf("part %d is %v", i, part)
		}
		if offered := len(part.GetManifest().GetOfferedTasks()); (offered == 1) != (i == 0) {
			t.Errorf("part %d offers %d tasks", i, offered)
		}
		dags = append(dags, part.GetManifest().GetDags()...)
	}
	if together := (&manifestpb.Manifest{Dags: dags}); !proto.Equal(together, &manifestpb.Manifest{Dags: whole.GetDags()}) {
		t.Error("the parts are not the whole")
	}
	if one := splitManifest(whole, 1<<20); len(one) != 1 || !proto.Equal(one[0].GetManifest(), whole) || one[0].GetMore() {
		t.Errorf("got %d parts", len(one))
	}
	if large := splitManifest(manifest("b", "v", 2, 5000), 3500); len(large) != 2 {
		t.Errorf("got %d parts of two large DAGs", len(large))
	}
}

// shelf offers what it is told.
type shelf struct {
	executor.Offerings
	mu        sync.Mutex
	manifests []*manifestpb.Manifest
	observed  map[string]string
	changed   chan struct{}
}

// Manifests implements executor.Offerings.
func (s *shelf) Manifests() []*manifestpb.Manifest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manifests
}

// TakeObserved implements executor.Offerings.
func (s *shelf) TakeObserved() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	observed := s.observed
	s.observed = nil
	return observed
}

// Changed implements executor.Offerings.
func (s *shelf) Changed() <-chan struct{} { return s.changed }

func (s *shelf) put(observed map[string]string, manifests ...*manifestpb.Manifest) {
	s.mu.Lock()
	s.manifests, s.observed = manifests, observed
	s.mu.Unlock()
	s.changed <- struct{}{}
}

// told is a log whose lines are waited for.
type told struct{ lines chan string }

// Write implements io.Writer.
func (l *told) Write(data []byte) (int, error) {
	l.lines <- string(data)
	return len(data), nil
}

func (l *told) await(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	var seen []string
	for {
		select {
		case line := <-l.lines:
			if seen = append(seen, line); strings.Contains(line, want) {
				return
			}
		case <-timeout:
			t.Fatalf("no line has %q: %q", want, seen)
		}
	}
}

func start(t *testing.T, answer scriptedserver.Answer) (*Publisher, *shelf, *told, *scriptedserver.Server, chan struct{}) {
	t.Helper()
	server := scriptedserver.Start(t, answer)
	lines := &told{lines: make(chan string, 100)}
	log := slog.New(slog.NewTextHandler(lines, nil))
	dialled, err := connection.New(server.Address, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	offered := &shelf{changed: make(chan struct{}, 1)}
	again := make(chan struct{}, 10)
	publisher := New(&calls.Calls{Connection: dialled}, offered, "instance", func(context.Context) error {
		again <- struct{}{}
		return nil
	}, log)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- publisher.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		dialled.Close()
	})
	return publisher, offered, lines, server, again
}

func takeOffer(string, proto.Message) (proto.Message, error) {
	return &execpb.PublishBundleResponse{Result: &execpb.OfferResult{Known: true, Current: true}}, nil
}

func publishes(server *scriptedserver.Server) []*execpb.PublishBundleRequest {
	var found []*execpb.PublishBundleRequest
	for _, call := range server.Calls() {
		found = append(found, call.Request.(*execpb.PublishBundleRequest))
	}
	return found
}

func TestUnknownVersionsAreSentAndKnownOnesNot(t *testing.T) {
	publisher, offered, lines, server, _ := start(t, takeOffer)
	offered.manifests = []*manifestpb.Manifest{manifest("known", "11111111aa", 1, 10), manifest("new", "22222222bb", 1, 10)}
	publisher.TakeRegistration(&execpb.RegisterWorkerResponse{Offers: []*execpb.OfferResult{
		{Bundle: "known", BundleVersion: "11111111aa", Known: true}, {Bundle: "new", BundleVersion: "22222222bb"},
	}})
	lines.await(t, "On offer: known 11111111, new 22222222.")
	sent := publishes(server)
	if len(sent) != 1 || sent[0].GetOffer().GetBundle() != "new" || sent[0].GetOffer().GetManifest() == nil ||
		sent[0].GetObservedChange() {
		t.Errorf("got %v", sent)
	}
}

func TestObservedChangeIsToldAlsoOfAKnownVersionAndWithdrawalsRideAlong(t *testing.T) {
	publisher, offered, lines, server, _ := start(t, takeOffer)
	first, second := manifest("b", "11111111aa", 1, 10), manifest("b", "22222222bb", 1, 10)
	offered.manifests = []*manifestpb.Manifest{first}
	publisher.TakeRegistration(&execpb.RegisterWorkerResponse{Offers: []*execpb.OfferResult{
		{Bundle: "b", BundleVersion: "11111111aa", Known: true},
	}})
	lines.await(t, "On offer: b 11111111.")
	offered.put(map[string]string{"b": "22222222bb"}, second)
	lines.await(t, "Bundle b: new runs begin with version 22222222.")
	lines.await(t, "On offer: b 22222222.")
	offered.put(map[string]string{"b": "11111111aa"}, second, first)
	lines.await(t, "Bundle b: new runs begin with version 11111111.")
	lines.await(t, "On offer: b 11111111, b 22222222.")
	sent := publishes(server)
	if len(sent) != 2 || !sent[0].GetObservedChange() || !sent[1].GetObservedChange() ||
		len(sent[0].GetWithdrawn()) != 1 || sent[0].GetWithdrawn()[0].GetBundleVersion() != "11111111aa" {
		t.Errorf("got %v", sent)
	}
}

func TestVersionThatTheServerKeepsFromBeingCurrentIsToldOf(t *testing.T) {
	publisher, offered, lines, _, _ := start(t, func(string, proto.Message) (proto.Message, error) {
		return &execpb.PublishBundleResponse{Result: &execpb.OfferResult{Known: true, Refused: []*execpb.RefusedDag{
			{DagId: "d0", Message: "it is another's"},
		}}}, nil
	})
	offered.manifests = []*manifestpb.Manifest{manifest("b", "11111111aa", 1, 10)}
	publisher.TakeRegistration(&execpb.RegisterWorkerResponse{})
	lines.await(t, "Bundle b: the server refuses the DAG d0: it is another's")
	lines.await(t, "version 11111111 is on offer, but the server knew it before and keeps another one current")
}

func TestRefusedOfferIsToldAndNotRepeated(t *testing.T) {
	publisher, offered, lines, server, _ := start(t, func(_ string, request proto.Message) (proto.Message, error) {
		if request.(*execpb.PublishBundleRequest).GetOffer().GetBundle() == "b" {
			return nil, connection.NewCallError(codes.PermissionDenied, "BUNDLE_NOT_OWNED", "It is not yours.").GRPCStatus().Err()
		}
		return takeOffer("", request)
	})
	b := manifest("b", "11111111aa", 1, 10)
	offered.manifests = []*manifestpb.Manifest{b}
	publisher.TakeRegistration(&execpb.RegisterWorkerResponse{})
	lines.await(t, "The bundle b could not be published: It is not yours. (BUNDLE_NOT_OWNED)")
	offered.put(nil, b, manifest("c", "22222222bb", 1, 10))
	lines.await(t, "On offer: c 22222222.")
	if sent := publishes(server); len(sent) != 2 {
		t.Errorf("got %v", sent)
	}
}

func TestLastVersionOfABundleIsWithdrawnByRegisteringAgain(t *testing.T) {
	publisher, offered, lines, _, again := start(t, takeOffer)
	offered.manifests = []*manifestpb.Manifest{manifest("b", "11111111aa", 1, 10)}
	publisher.TakeRegistration(&execpb.RegisterWorkerResponse{})
	lines.await(t, "On offer: b 11111111.")
	offered.put(nil)
	select {
	case <-again:
	case <-time.After(20 * time.Second):
		t.Error("it did not register again")
	}
}
