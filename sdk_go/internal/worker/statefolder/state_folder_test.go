package statefolder

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func mustOpen(t *testing.T, path string) *Folder {
	t.Helper()
	folder, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(folder.Close)
	return folder
}

func TestFolderBelongsToOneWorkerAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w")
	first := mustOpen(t, path)
	_, err := Open(path)
	var inUse *InUseError
	if !errors.As(err, &inUse) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--state-dir") {
		t.Fatalf("got %v", err)
	}
	first.Close()
	mustOpen(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v", info, err)
	}
}

func TestNextWorkerFindsTheNoteOfTheLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w")
	folder := mustOpen(t, path)
	note := Note{Name: "w", Server: "127.0.0.1:1", InstanceID: "i", Token: "t"}
	if folder.Previous != nil {
		t.Errorf("a new folder has the note %v", folder.Previous)
	}
	if err := folder.Leave(note); err != nil {
		t.Fatal(err)
	}
	folder.Close()
	if again := mustOpen(t, path); again.Previous == nil || *again.Previous != note {
		t.Errorf("got %v", again.Previous)
	}
	if info, err := os.Stat(filepath.Join(path, "instance.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
}

func TestHalfANoteIsNone(t *testing.T) {
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, "instance.json"), []byte(`{"name": `), 0o600); err != nil {
		t.Fatal(err)
	}
	if folder := mustOpen(t, path); folder.Previous != nil {
		t.Errorf("got %v", folder.Previous)
	}
}

func TestUnnamedWorkerTakesItsFolderAgainButNotThatOfAnotherServer(t *testing.T) {
	base := t.TempDir()
	find := func(server string) *Folder {
		folder, err := Find(base, "host-go", server)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(folder.Close)
		return folder
	}
	first := find("a:1")
	if err := first.Leave(Note{Name: filepath.Base(first.Path), Server: "a:1"}); err != nil {
		t.Fatal(err)
	}
	if beside := find("a:1"); beside.Path == first.Path {
		t.Error("a folder in use was taken")
	}
	first.Close()
	if other := find("b:1"); other.Path == first.Path {
		t.Error("another server's folder was taken")
	}
	if again := find("a:1"); again.Path != first.Path {
		t.Errorf("got %s, not %s", again.Path, first.Path)
	}
}

func TestFileIsReplacedWhole(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	for _, sync := range []bool{false, true} {
		if err := ReplaceFile(path, []byte("first"), sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := ReplaceFile(path, []byte("2"), true); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if content, _ := os.ReadFile(path); err != nil || len(entries) != 1 || string(content) != "2" {
		t.Errorf("got %q among %v, %v", content, entries, err)
	}
}
