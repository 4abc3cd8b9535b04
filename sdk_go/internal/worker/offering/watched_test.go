package offering

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/packing"
	"crosswind.dev/go/internal/worker/callback"
	"crosswind.dev/go/internal/worker/hosting"
)

// told is a log.
type told struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *told) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

func (l *told) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	l.text.Reset()
	return text
}

type place struct {
	t      *testing.T
	folder string
	copies string
	log    *told
	clock  time.Time
}

func newPlace(t *testing.T) *place {
	base := t.TempDir()
	made := &place{t: t, folder: filepath.Join(base, "dags"), copies: filepath.Join(base, "bundles"), log: &told{}, clock: time.Now()}
	if err := os.Mkdir(made.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return made
}

func (p *place) open() *Watched {
	p.t.Helper()
	run, err := os.MkdirTemp("", "cw-")
	if err != nil {
		p.t.Fatal(err)
	}
	server, err := callback.Listen(run, slog.New(slog.DiscardHandler))
	if err != nil {
		p.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(p.log, nil))
	services := &hosting.Services{Callback: server, RunFolder: run, StartTimeout: time.Minute, Log: log, BundleLog: log}
	opened := Open(Options{Folders: []string{p.folder}, Copies: p.copies, Hosting: services, Log: log})
	p.t.Cleanup(func() {
		opened.Close()
		_ = os.RemoveAll(run)
	})
	return opened
}

// write packs a bundle whose binary is a text; the version is that text's. Each file is newer than the one before.
func (p *place) write(file, bundle, content string) string {
	p.t.Helper()
	binary := filepath.Join(p.t.TempDir(), "binary")
	if err := os.WriteFile(binary, []byte(content), 0o700); err != nil {
		p.t.Fatal(err)
	}
	path := filepath.Join(p.folder, file)
	packed, err := packing.Write(binary, &manifestpb.Manifest{
		Bundle: bundle, ApiVersion: "2026-12-01", Dags: []*manifestpb.SerializedDag{{DagId: "dag_of_" + bundle}},
	}, path)
	if err != nil {
		p.t.Fatal(err)
	}
	p.touch(path)
	return packed.Manifest.GetBundleVersion()
}

func (p *place) spoil(file, content string) {
	p.t.Helper()
	path := filepath.Join(p.folder, file)
	if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
		p.t.Fatal(err)
	}
	p.touch(path)
}

func (p *place) touch(path string) {
	p.t.Helper()
	p.clock = p.clock.Add(time.Second)
	if err := os.Chtimes(path, p.clock, p.clock); err != nil {
		p.t.Fatal(err)
	}
}

// look scans twice, as a change is taken up when it is the same at two looks.
func look(w *Watched) {
	w.scan(false)
	w.scan(false)
	w.Sweep()
	w.closing.Wait()
}

func offered(w *Watched) []string {
	var found []string
	for _, manifest := range w.Manifests() {
		found = append(found, manifest.GetBundle()+" "+manifest.GetBundleVersion())
	}
	return found
}

func (p *place) check(w *Watched, want ...string) {
	p.t.Helper()
	if got := offered(w); !slices.Equal(got, want) {
		p.t.Errorf("got %v, want %v", got, want)
	}
}

func TestFolderIsOfferedAndItsFilesAreCopied(t *testing.T) {
	p := newPlace(t)
	a, b := p.write("a", "alpha", "one"), p.write("b", "beta", "two")
	p.spoil("README", "This is no bundle, and larger than what stands behind one, which takes fifty-six bytes.")
	p.write(".hidden", "gamma", "three")
	w := p.open()
	p.check(w, "alpha "+a, "beta "+b)
	if observed := w.TakeObserved(); len(observed) != 0 {
		t.Errorf("what it started with is a change: %v", observed)
	}
	text := p.log.take()
	for _, want := range []string{"Bundle alpha, version " + a[:8] + ": dag_of_alpha.", "README is not packed"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	if info, err := os.Stat(filepath.Join(p.copies, a)); err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("got %v, %v", info, err)
	}
	if info, err := os.Stat(p.copies); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v", info, err)
	}
	look(w)
	if text := p.log.take(); text != "" {
		t.Errorf("it is told again: %s", text)
	}
}

func TestNewAndChangedFilesAreTakenUp(t *testing.T) {
	p := newPlace(t)
	first := p.write("a", "alpha", "one")
	w := p.open()
	<-w.Changed()
	second := p.write("a", "alpha", "two")
	w.scan(false)
	p.check(w, "alpha "+first) // it may be half of it
	w.scan(false)
	p.check(w, "alpha "+first, "alpha "+second)
	<-w.Changed()
	if observed := w.TakeObserved(); len(observed) != 1 || observed["alpha"] != second {
		t.Errorf("got %v", observed)
	}
	beta := p.write("sub", "beta", "three")
	look(w)
	p.check(w, "alpha "+first, "alpha "+second, "beta "+beta)
	if observed := w.TakeObserved(); len(observed) != 0 {
		t.Errorf("a new bundle is no change: %v", observed)
	}
	// Taken back: the newest stands last.
	p.write("a", "alpha", "one")
	look(w)
	p.check(w, "alpha "+second, "beta "+beta, "alpha "+first)
	if observed := w.TakeObserved(); observed["alpha"] != first {
		t.Errorf("got %v", observed)
	}
}

func TestDamagedFileIsToldAndTheVersionBeforeStays(t *testing.T) {
	p := newPlace(t)
	first := p.write("a", "alpha", "one")
	w := p.open()
	p.log.take()
	path := filepath.Join(p.folder, "a")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p.spoil("a", "X"+string(whole[1:]))
	look(w)
	text := p.log.take()
	if !strings.Contains(text, "is damaged") || !strings.Contains(text, "Version "+first[:8]+" of the bundle alpha stays on offer") {
		t.Errorf("got %s", text)
	}
	p.check(w, "alpha "+first)
	p.spoil("a", string(whole))
	look(w)
	p.check(w, "alpha "+first)
	if observed := w.TakeObserved(); len(observed) != 0 {
		t.Errorf("it was never another: %v", observed)
	}
}

func TestVersionThatNoRunNeedsEndsUnlessItIsTheNewest(t *testing.T) {
	p := newPlace(t)
	first := p.write("a", "alpha", "one")
	w := p.open()
	w.Retire("alpha", first)
	look(w)
	p.check(w, "alpha "+first)
	second := p.write("a", "alpha", "two")
	look(w)
	w.Retire("alpha", first)
	w.closing.Wait()
	p.check(w, "alpha "+second)
	if _, err := os.Stat(filepath.Join(p.copies, first)); !os.IsNotExist(err) {
		t.Errorf("its copy is there: %v", err)
	}
	if text := p.log.take(); !strings.Contains(text, "Bundle alpha, version "+first[:8]+": no run needs it any more") {
		t.Errorf("got %s", text)
	}
	if _, err := w.FindExecutor("alpha", first); err == nil || !strings.Contains(err.Error(), "does not have version") {
		t.Errorf("got %v", err)
	}
	if found, err := w.FindExecutor("alpha", second); err != nil || found.APIVersions()[0] != "2026-12-01" {
		t.Errorf("got %v, %v", found, err)
	}
	p.write("a", "alpha", "one")
	look(w)
	p.check(w, "alpha "+second, "alpha "+first)
}

func TestTwoFilesOfOneNameAreToldAndTheFirstStays(t *testing.T) {
	p := newPlace(t)
	first := p.write("a", "alpha", "one")
	second := p.write("b", "alpha", "two")
	w := p.open()
	p.check(w, "alpha "+first)
	if text := p.log.take(); !strings.Contains(text, filepath.Join(p.folder, "b")+" hold the bundle alpha: the first stays") {
		t.Errorf("got %s", text)
	}
	// Once the first is gone, the second takes its place.
	if err := os.Remove(filepath.Join(p.folder, "a")); err != nil {
		t.Fatal(err)
	}
	look(w)
	if text := p.log.take(); !strings.Contains(text, "is gone; version "+first[:8]) {
		t.Errorf("got %s", text)
	}
	look(w)
	p.check(w, "alpha "+first, "alpha "+second)
}

func TestCopiesOfEarlierWorkersAreRemoved(t *testing.T) {
	p := newPlace(t)
	first := p.write("a", "alpha", "one")
	if err := os.MkdirAll(p.copies, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"old-version", ".half-1"} {
		if err := os.WriteFile(filepath.Join(p.copies, name), nil, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	p.open()
	entries, err := os.ReadDir(p.copies)
	if err != nil || len(entries) != 1 || entries[0].Name() != first {
		t.Errorf("got %v, %v", entries, err)
	}
}
