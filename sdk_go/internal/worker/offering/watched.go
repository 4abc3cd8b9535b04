// Package offering is the packed bundles that a worker watches: files, and folders of them. New, changed and replaced
// ones are taken up while it runs. Reading one executes nothing.
//
// How tasks run in them belongs to package hosting; what the server is told to package publishing.
package offering

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/packing"
	"crosswind.dev/go/internal/worker/executor"
	"crosswind.dev/go/internal/worker/hosting"
)

const watchInterval = 500 * time.Millisecond

// Options are what is watched, and what with.
type Options struct {
	// Files and Folders that hold bundles, absolute.
	Files, Folders []string
	// Copies is the worker's own folder for bundles' files: what runs is not what others may replace.
	Copies string
	// Hosting runs their tasks.
	Hosting *hosting.Services
	// Log is the worker's.
	Log *slog.Logger
}

// state is what the file system says of a file; it changes whenever one is saved.
type state struct {
	modified time.Time
	size     int64
	inode    uint64
}

// file is one that may hold a bundle.
type file struct {
	path    string
	taken   *state // of which the current version, or the failed attempt at one, was made
	pending *state
	bundle  string // that it held last
	behind  string // the file that holds the same bundle and was there first
}

// bundle is what is known of a bundle's name.
type bundle struct {
	path    string // of the file that holds it
	seen    string // the version that it was at the last look that could tell
	current *hosting.Version
}

type version struct {
	hosted  *hosting.Version
	retired bool
	closing bool
}

// Watched implements executor.Offerings.
type Watched struct {
	options Options
	changed chan struct{}

	files map[string]*file // only of the goroutine that scans

	mu       sync.Mutex
	bundles  map[string]*bundle
	versions []*version // of one bundle the newest last
	observed map[string]string
	warm     bool
	closed   bool
	closing  sync.WaitGroup
	warming  sync.Mutex // held while one is started, so that many do not take the machine at once
}

// Open reads what there is now. What cannot be read is told in the log.
func Open(options Options) *Watched {
	w := &Watched{
		options: options, changed: make(chan struct{}, 1), files: map[string]*file{}, bundles: map[string]*bundle{},
		observed: map[string]string{},
	}
	w.scan(true)
	w.removeOldCopies()
	return w
}

// Manifests implements executor.Offerings.
func (w *Watched) Manifests() []*manifestpb.Manifest {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []*manifestpb.Manifest
	for _, each := range w.versions {
		if !each.closing {
			found = append(found, each.hosted.Manifest())
		}
	}
	return found
}

// TakeObserved implements executor.Offerings.
func (w *Watched) TakeObserved() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	observed := w.observed
	w.observed = map[string]string{}
	return observed
}

// FindExecutor implements executor.Offerings.
func (w *Watched) FindExecutor(name, wanted string) (executor.Executor, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if found := w.find(name, wanted); found != nil && !found.closing {
		return found.hosted, nil
	}
	return nil, &executor.GoneError{Sentence: fmt.Sprintf(
		"This worker does not have version %s of the bundle %s any more.", wanted, name)}
}

// Retire implements executor.Offerings.
func (w *Watched) Retire(name, wanted string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := w.find(name, wanted)
	if found == nil || w.bundles[name].current == found.hosted {
		return
	}
	found.retired = true
	w.sweep()
}

// Warm implements executor.Offerings.
func (w *Watched) Warm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.warm = true
	for _, of := range w.bundles {
		w.start(of.current)
	}
}

// start is called with mu held.
func (w *Watched) start(hosted *hosting.Version) {
	if !w.warm || w.closed || hosted == nil {
		return
	}
	w.closing.Go(func() {
		w.warming.Lock()
		defer w.warming.Unlock()
		hosted.Warm()
	})
}

// Sweep ends what is retired and has no tasks; to be called when a task has ended.
func (w *Watched) Sweep() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sweep()
}

// Changed implements executor.Offerings.
func (w *Watched) Changed() <-chan struct{} { return w.changed }

// Run implements executor.Offerings.
func (w *Watched) Run(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.scan(false)
			w.Sweep()
		}
	}
}

// Close implements executor.Offerings.
func (w *Watched) Close() {
	w.mu.Lock()
	w.closed = true
	versions := slices.Clone(w.versions)
	for _, each := range versions {
		each.closing = true
	}
	w.mu.Unlock()
	var ends sync.WaitGroup
	for _, each := range versions {
		ends.Go(each.hosted.End)
	}
	ends.Wait()
	// Also what was just being started.
	w.options.Hosting.Close()
	w.closing.Wait()
}

func (w *Watched) find(name, wanted string) *version {
	for _, each := range w.versions {
		if manifest := each.hosted.Manifest(); manifest.GetBundle() == name && manifest.GetBundleVersion() == wanted {
			return each
		}
	}
	return nil
}

// sweep is called with mu held.
func (w *Watched) sweep() {
	for _, each := range w.versions {
		if each.retired && !each.closing && each.hosted.TaskCount() == 0 {
			each.closing = true
			w.closing.Go(func() { w.closeVersion(each) })
		}
	}
}

func (w *Watched) closeVersion(gone *version) {
	gone.hosted.End()
	w.mu.Lock()
	w.versions = slices.DeleteFunc(w.versions, func(each *version) bool { return each == gone })
	closed := w.closed
	// The same version may have come back meanwhile.
	again := slices.ContainsFunc(w.versions, func(each *version) bool { return each.hosted.Path() == gone.hosted.Path() })
	if !closed && !again {
		_ = os.Remove(gone.hosted.Path())
	}
	w.mu.Unlock()
	if closed {
		return
	}
	w.noteChange()
	w.options.Log.Info(fmt.Sprintf("Bundle %s, version %s: no run needs it any more, its process has ended.",
		gone.hosted.Name(), gone.hosted.Short()))
}

func (w *Watched) noteChange() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// scan looks at all files. A change is taken up when it is the same at two looks: whoever writes is done then.
func (w *Watched) scan(first bool) {
	present := map[string]bool{}
	for _, path := range w.paths() {
		present[path] = true
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue // gone meanwhile, or not ours to read
		}
		now := &state{modified: info.ModTime(), size: info.Size()}
		if system, ok := info.Sys().(*syscall.Stat_t); ok {
			now.inode = system.Ino
		}
		known := w.files[path]
		if known == nil {
			known = &file{path: path}
			w.files[path] = known
		}
		switch {
		case known.taken != nil && *known.taken == *now:
			known.pending = nil
		case first || known.pending != nil && *known.pending == *now:
			known.taken, known.pending = now, nil
			w.load(known)
		default:
			known.pending = now
		}
	}
	for path, known := range w.files {
		if !present[path] {
			delete(w.files, path)
			w.noteGone(known)
			for _, other := range w.files {
				if other.behind == path {
					other.behind, other.taken = "", nil // its turn, at the next look
				}
			}
		}
	}
}

func (w *Watched) paths() []string {
	found := slices.Clone(w.options.Files)
	for _, folder := range w.options.Folders {
		_ = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil // gone meanwhile, or not ours to read
			case path != folder && strings.HasPrefix(entry.Name(), "."):
				if entry.IsDir() {
					return fs.SkipDir
				}
			case !entry.IsDir():
				found = append(found, path)
			}
			return nil
		})
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// load takes up a file. What cannot be read is told, and the version before stays.
func (w *Watched) load(known *file) {
	packed, err := packing.Read(known.path)
	if err != nil {
		w.report(known, err)
		return
	}
	name, read := packed.Manifest.GetBundle(), packed.Manifest.GetBundleVersion()
	w.mu.Lock()
	of := w.bundles[name]
	if of == nil {
		of = &bundle{path: known.path}
		w.bundles[name] = of
	}
	if of.path != known.path {
		if other := w.files[of.path]; other != nil && other.bundle == name {
			known.behind = of.path
			w.mu.Unlock()
			w.options.Log.Error(fmt.Sprintf("Both %s and %s hold the bundle %s: the first stays on offer; pack one of them "+
				"under another name, or take it away.", of.path, known.path, name))
			return
		}
		of.path = known.path
	}
	known.bundle = name
	observed := of.seen != "" && of.seen != read
	of.seen = read
	if of.current != nil && of.current.Manifest().GetBundleVersion() == read {
		w.mu.Unlock()
		return
	}
	if found := w.find(name, read); found != nil && !found.closing {
		w.take(of, found, observed)
		w.mu.Unlock()
		return
	}
	w.mu.Unlock()
	path, err := keepCopy(packed, w.options.Copies)
	if err != nil {
		w.report(known, err)
		return
	}
	packed.Path = path
	found := &version{hosted: hosting.NewVersion(packed, w.options.Hosting)}
	w.mu.Lock()
	w.take(of, found, observed)
	w.mu.Unlock()
	w.describe(packed.Manifest)
}

// take makes a version the one with which the file's bundle is offered. Called with mu held.
func (w *Watched) take(of *bundle, found *version, observed bool) {
	manifest := found.hosted.Manifest()
	if observed {
		w.observed[manifest.GetBundle()] = manifest.GetBundleVersion()
	}
	// The newest stands last.
	w.versions = slices.DeleteFunc(w.versions, func(each *version) bool { return each == found })
	w.versions = append(w.versions, found)
	found.retired = false
	if of.current != nil {
		of.current.SetCurrent(false)
	}
	of.current = found.hosted
	found.hosted.SetCurrent(true)
	w.start(found.hosted)
	w.noteChange()
}

func (w *Watched) report(known *file, err error) {
	kept := ""
	w.mu.Lock()
	if of := w.bundles[known.bundle]; known.bundle != "" && of != nil && of.current != nil {
		kept = fmt.Sprintf(" Version %s of the bundle %s stays on offer.", of.current.Short(), known.bundle)
	}
	w.mu.Unlock()
	var problem *packing.Error
	if !errors.As(err, &problem) {
		err = fmt.Errorf("the bundle %s could not be read: %w", known.path, err)
	}
	sentence := strings.TrimRight(err.Error(), ".")
	level := slog.LevelError
	if errors.Is(err, packing.ErrNotPacked) && known.bundle == "" {
		// Whatever else lies in the folder.
		level = slog.LevelWarn
	}
	w.options.Log.Log(context.Background(), level, strings.ToUpper(sentence[:1])+sentence[1:]+"."+kept)
}

// noteGone says that a file is not there any more. Runs that exist may need what it held.
func (w *Watched) noteGone(known *file) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of := w.bundles[known.bundle]
	if known.bundle == "" || of == nil || of.path != known.path || of.current == nil {
		return
	}
	w.options.Log.Warn(fmt.Sprintf("The file %s is gone; version %s of the bundle %s stays on offer until this worker ends.",
		known.path, of.current.Short(), known.bundle))
}

func (w *Watched) describe(manifest *manifestpb.Manifest) {
	var dags []string
	for _, dag := range manifest.GetDags() {
		dags = append(dags, dag.GetDagId())
	}
	held := strings.Join(dags, ", ")
	if held == "" {
		held = "no DAGs"
	}
	read := manifest.GetBundleVersion()
	w.options.Log.Info(fmt.Sprintf("Bundle %s, version %s: %s.", manifest.GetBundle(), read[:min(8, len(read))], held))
	for _, problem := range manifest.GetSourceErrors() {
		line := ""
		if problem.GetLine() > 0 {
			line = fmt.Sprintf(":%d", problem.GetLine())
		}
		w.options.Log.Error(fmt.Sprintf("Bundle %s, %s%s: %s", manifest.GetBundle(), problem.GetSource(), line, problem.GetMessage()))
	}
}

// removeOldCopies removes what earlier workers kept and this one does not offer.
func (w *Watched) removeOldCopies() {
	entries, err := os.ReadDir(w.options.Copies)
	if err != nil {
		return
	}
	used := map[string]bool{}
	for _, each := range w.versions {
		used[filepath.Base(each.hosted.Path())] = true
	}
	for _, entry := range entries {
		if !used[entry.Name()] {
			_ = os.Remove(filepath.Join(w.options.Copies, entry.Name()))
		}
	}
}
