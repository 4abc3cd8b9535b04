package outcomestore

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/uuid"
)

func makeRequest(attempt string) *execpb.FinishAttemptRequest {
	return &execpb.FinishAttemptRequest{
		Attempt:   &execpb.AttemptRef{AttemptId: attempt, Lease: []byte(strings.Repeat("l", 16))},
		OutcomeId: uuid.New(),
		Outcome:   &execpb.Outcome{Kind: &execpb.Outcome_Succeeded{Succeeded: &execpb.Succeeded{}}},
	}
}

func refuseWarnings(t *testing.T) func(string) {
	return func(sentence string) { t.Errorf("warned: %s", sentence) }
}

// loaded are the outcomes that a later worker finds, by attempt.
func loaded(t *testing.T, folder string) map[string]*execpb.FinishAttemptRequest {
	found := map[string]*execpb.FinishAttemptRequest{}
	for _, request := range Open(folder, false, refuseWarnings(t)).Load() {
		found[request.GetAttempt().GetAttemptId()] = request
	}
	return found
}

func TestWhatIsKeptIsThereAfterARestart(t *testing.T) {
	for name, sync := range map[string]bool{"quick": false, "sync": true} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			store := Open(folder, sync, refuseWarnings(t))
			requests := []*execpb.FinishAttemptRequest{makeRequest("a"), makeRequest("b"), makeRequest("c")}
			for _, request := range requests {
				store.Keep(request)
			}
			store.Forget("a")
			found := loaded(t, folder)
			if len(found) != 2 || !proto.Equal(found["b"], requests[1]) || !proto.Equal(found["c"], requests[2]) {
				t.Errorf("got %v", found)
			}
		})
	}
}

func TestFilesAreUsedAgain(t *testing.T) {
	folder := t.TempDir()
	store := Open(folder, false, refuseWarnings(t))
	long := makeRequest("long")
	long.Outcome.Kind = &execpb.Outcome_Skipped{Skipped: &execpb.Skipped{Reason: strings.Repeat("x", 5000)}}
	store.Keep(long)
	store.Forget("long")
	if left, _ := filepath.Glob(filepath.Join(folder, "outcomes", "*")); len(left) != 0 {
		t.Fatalf("%v are left", left)
	}
	spares, _ := filepath.Glob(filepath.Join(folder, sparePrefix+"*"))
	if content, err := os.ReadFile(spares[0]); err != nil || len(spares) != 1 || len(content) > 1 {
		t.Fatalf("%v hold %q, %v", spares, content, err)
	}
	short := makeRequest("short")
	store.Keep(short)
	if left, _ := filepath.Glob(filepath.Join(folder, sparePrefix+"*")); len(left) != 0 {
		t.Errorf("%v were not used again", left)
	}
	// Nothing of the longer one stands behind it.
	if found := loaded(t, folder); len(found) != 1 || !proto.Equal(found["short"], short) {
		t.Errorf("got %v", found)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, sparePrefix+"*")); len(left) != 0 {
		t.Errorf("a later worker left %v", left)
	}
}

func TestManyAtOnceDoNotMix(t *testing.T) {
	folder := t.TempDir()
	store := Open(folder, false, refuseWarnings(t))
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 50 {
				request := makeRequest(uuid.New())
				attempt := request.GetAttempt().GetAttemptId()
				store.Keep(request)
				if kept, err := read(store.path(attempt)); err != nil || !proto.Equal(kept, request) {
					t.Errorf("of %s: got %v, %v", attempt, kept, err)
				}
				store.Forget(attempt)
			}
		})
	}
	work.Wait()
	if found := loaded(t, folder); len(found) != 0 {
		t.Errorf("%d are left", len(found))
	}
}

func TestLaterOutcomeTakesThePlaceOfTheFirst(t *testing.T) {
	folder := t.TempDir()
	store := Open(folder, false, refuseWarnings(t))
	request := makeRequest("a")
	store.Keep(request)
	request.Outcome.Kind = &execpb.Outcome_Failed{Failed: &execpb.Failed{Failure: &execpb.Failure{Type: "crosswind.ValueTooLarge"}}}
	store.Keep(request)
	if found := loaded(t, folder); len(found) != 1 || !proto.Equal(found["a"], request) {
		t.Errorf("got %v", found)
	}
}

func TestOnlyTheUserCanReadAnOutcome(t *testing.T) {
	folder := t.TempDir()
	Open(folder, false, refuseWarnings(t)).Keep(makeRequest("a"))
	for path, want := range map[string]os.FileMode{"outcomes": 0o700, "outcomes/a.finish": 0o600} {
		if info, err := os.Stat(filepath.Join(folder, path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v", path, info, err)
		}
	}
}

func TestHalfAFileIsSetAside(t *testing.T) {
	folder := t.TempDir()
	Open(folder, false, refuseWarnings(t)).Keep(makeRequest("good"))
	for name, content := range map[string]string{"broken.finish": "\xff\xff", "empty.finish": ""} {
		if err := os.WriteFile(filepath.Join(folder, "outcomes", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var warnings []string
	warn := func(sentence string) { warnings = append(warnings, sentence) }
	for range 2 {
		if found := Open(folder, false, warn).Load(); len(found) != 1 {
			t.Errorf("got %v", found)
		}
		if len(warnings) != 2 {
			t.Errorf("warned: %q", warnings)
		}
	}
}

func TestAttemptIDDoesNotLeadOutOfTheFolder(t *testing.T) {
	base := t.TempDir()
	folder := filepath.Join(base, "state")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	Open(folder, false, refuseWarnings(t)).Keep(makeRequest("../../escaped"))
	if entries, err := os.ReadDir(base); err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v", entries, err)
	}
}

func TestDiskThatRefusesIsToldAndNotFatal(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	store := Open(folder, false, func(sentence string) { warnings = append(warnings, sentence) })
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	store.Keep(makeRequest("a"))
	store.Forget("a")
	if len(warnings) != 1 || !strings.Contains(warnings[0], "attempt a ") || !strings.Contains(warnings[0], "memory") ||
		!strings.Contains(warnings[0], "(No such file or directory)") {
		t.Errorf("warned: %q", warnings)
	}
}

func TestWithoutAFolderNothingIsKept(t *testing.T) {
	store := Open("", false, refuseWarnings(t))
	store.Keep(makeRequest("a"))
	if found := store.Load(); found != nil {
		t.Errorf("got %v", found)
	}
}
