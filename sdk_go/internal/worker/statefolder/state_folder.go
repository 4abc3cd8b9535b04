// Package statefolder is a worker's state folder: its name, its last instance and token, its lock. [WORKER-1]
//
// What is kept in it of outcomes belongs to package outcomestore, of bundles to package offering.
package statefolder

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"syscall"
)

const (
	instanceFile = "instance.json"
	lockFile     = "lock"
)

// InUseError says that another worker process holds a folder.
type InUseError struct {
	// Path is the folder.
	Path string
}

// Error implements error.
func (e *InUseError) Error() string {
	return fmt.Sprintf("The state folder %s is in use by another worker on this machine. Stop that worker, or give this "+
		"one a --name or --state-dir of its own.", e.Path)
}

// Note is what a worker leaves for the next one.
type Note struct {
	// Name is the worker's.
	Name string `json:"name"`
	// Server is the address of its server.
	Server string `json:"server"`
	// InstanceID is the process's id at the server. Empty: it never registered.
	InstanceID string `json:"instance_id"`
	// Token is its worker token. Empty: it never registered.
	Token string `json:"token"`
}

// Folder is a locked folder, 0700; what it holds of the worker is 0600.
type Folder struct {
	// Path is where it is.
	Path string
	// Previous is what the last worker left. Nil: nothing.
	Previous *Note

	lock *os.File
}

// Open makes the folder if need be and locks it. The error is an *InUseError, or that of the file system.
func Open(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &InUseError{Path: path}
		}
		return nil, &os.PathError{Op: "flock", Path: path, Err: err}
	}
	return &Folder{Path: path, Previous: readNote(path), lock: lock}, nil
}

// Find takes the folder of a worker that ran here before without a given name, or makes one with a new name. base is
// the folder of all workers' folders, prefix what such names begin with, server the address of the server: a worker's
// outcomes are of no use to another. The error is that of the file system.
func Find(base, prefix, server string) (*Folder, error) {
	paths, _ := filepath.Glob(filepath.Join(base, prefix+"-????"))
	sort.Strings(paths)
	for _, path := range paths {
		note := readNote(path)
		if note == nil || note.Server != server {
			continue
		}
		folder, err := Open(path)
		var inUse *InUseError
		if errors.As(err, &inUse) {
			continue
		}
		return folder, err
	}
	return Open(filepath.Join(base, prefix+"-"+Suffix()))
}

// Suffix makes up the end of a name, four letters.
func Suffix() string {
	var raw [2]byte
	_, _ = rand.Read(raw[:]) // it never fails
	return hex.EncodeToString(raw[:])
}

// Leave replaces what is left for the next worker.
func (f *Folder) Leave(note Note) error {
	content, err := json.Marshal(note)
	if err != nil {
		return err
	}
	return ReplaceFile(filepath.Join(f.Path, instanceFile), content, false)
}

// Close gives the folder back.
func (f *Folder) Close() { _ = f.lock.Close() }

// ReplaceFile writes a file, 0600, that is there whole or not at all; with sync also after a loss of power.
func ReplaceFile(path string, content []byte, sync bool) error {
	half := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	file, err := os.OpenFile(half, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil && sync {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(half, path)
	}
	if err != nil || !sync {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	return folder.Sync()
}

func readNote(path string) *Note {
	content, err := os.ReadFile(filepath.Join(path, instanceFile))
	if err != nil {
		return nil
	}
	var note Note
	if err := json.Unmarshal(content, &note); err != nil || note.Name == "" {
		return nil
	}
	return &note
}
