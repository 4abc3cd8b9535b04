// Package outcomestore keeps outcomes that the server has not acknowledged on disk. [FIN-1]
//
// Sending them belongs to package delivery.
//
// An outcome is written before it is first sent, so that it survives the end of the worker's process. A rename is
// enough for that. It is not forced onto the disk unless sync is set: a loss of power ends the worker for longer than a
// lease, so that the server has given the attempt up by the time the machine is back.
//
// A file of an acknowledged outcome becomes a spare for the next one: ext4 looks at every inode that was deleted in the
// last minutes before it makes another, which at hundreds of tasks a second takes longer than all the rest of a task.
package outcomestore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/statefolder"
)

// Store holds the outcomes of one state folder.
type Store struct {
	stateFolder string
	folder      string
	sync        bool
	warn        func(sentence string)

	mu     sync.Mutex
	onDisk map[string]int64 // sizes by attempt
	spares []spare
	made   int
}

// spare is a file that holds nothing of use, beside the outcomes' folder.
type spare struct {
	path string
	size int64
}

const (
	sparePrefix = ".spare-"
	maxSpares   = 64
)

// Open opens the store of a state folder; an empty one keeps nothing, so that the caller's memory is all there is.
// sync forces each outcome onto the disk. warn takes one sentence where the disk refuses an outcome.
func Open(stateFolder string, sync bool, warn func(sentence string)) *Store {
	store := &Store{sync: sync, warn: warn, onDisk: map[string]int64{}}
	if stateFolder != "" {
		store.stateFolder = stateFolder
		store.folder = filepath.Join(stateFolder, "outcomes")
		// What stands against it is told when an outcome is to be kept.
		_ = os.Mkdir(store.folder, 0o700)
		// Those of an earlier worker have names of their own.
		left, _ := filepath.Glob(filepath.Join(stateFolder, sparePrefix+"*"))
		for _, path := range left {
			_ = os.Remove(path)
		}
	}
	return store
}

// Load reads what an earlier worker kept. A file that cannot be read is set aside and warned of.
func (s *Store) Load() []*execpb.FinishAttemptRequest {
	if s.folder == "" {
		return nil
	}
	paths, _ := filepath.Glob(filepath.Join(s.folder, "*.finish"))
	sort.Strings(paths)
	var found []*execpb.FinishAttemptRequest
	for _, path := range paths {
		request, err := read(path)
		if err != nil {
			s.warn(fmt.Sprintf("The kept outcome %s cannot be read and is set aside: %v.", path, err))
			_ = os.Rename(path, strings.TrimSuffix(path, ".finish")+".unreadable")
			continue
		}
		s.mu.Lock()
		s.onDisk[request.GetAttempt().GetAttemptId()] = int64(proto.Size(request))
		s.mu.Unlock()
		found = append(found, request)
	}
	return found
}

// Keep keeps an outcome until Forget. Where the disk does not take it, the caller's memory is all there is.
func (s *Store) Keep(request *execpb.FinishAttemptRequest) {
	if s.folder == "" {
		return
	}
	attempt := request.GetAttempt().GetAttemptId()
	content, err := proto.Marshal(request)
	if err == nil {
		err = s.write(s.path(attempt), content)
	}
	if err != nil {
		s.warn(fmt.Sprintf("The outcome of attempt %s could not be written to %s (%s); it is kept in memory and lost if "+
			"this worker ends before the server takes it.", attempt, s.folder, Cause(err)))
		return
	}
	s.mu.Lock()
	s.onDisk[attempt] = int64(len(content))
	s.mu.Unlock()
}

// Forget deletes an outcome that the server has acknowledged or refused.
func (s *Store) Forget(attempt string) {
	s.mu.Lock()
	size, kept := s.onDisk[attempt]
	delete(s.onDisk, attempt)
	enough := len(s.spares) >= maxSpares || s.sync
	free := spare{path: s.nameSpare(), size: size}
	s.mu.Unlock()
	if !kept {
		return
	}
	if enough || os.Rename(s.path(attempt), free.path) != nil {
		_ = os.Remove(s.path(attempt))
		return
	}
	// Nothing of it is to be read there any more; a byte stays, since ext4 writes a file out at once that was emptied.
	if os.Truncate(free.path, min(1, free.size)) == nil {
		free.size = min(1, free.size)
	}
	s.mu.Lock()
	s.spares = append(s.spares, free)
	s.mu.Unlock()
}

// write makes a file that is there whole or not at all.
func (s *Store) write(path string, content []byte) error {
	if s.sync {
		return statefolder.ReplaceFile(path, content, true)
	}
	s.mu.Lock()
	used := spare{path: s.nameSpare()}
	if last := len(s.spares) - 1; last >= 0 {
		used, s.spares = s.spares[last], s.spares[:last]
	}
	s.mu.Unlock()
	file, err := os.OpenFile(used.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	// Not emptied before: that would have ext4 write it out at once.
	if err == nil && used.size > int64(len(content)) {
		err = file.Truncate(int64(len(content)))
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(used.path, path)
	}
	if err != nil {
		_ = os.Remove(used.path)
	}
	return err
}

// nameSpare is called with mu held.
func (s *Store) nameSpare() string {
	s.made++
	return filepath.Join(s.stateFolder, sparePrefix+strconv.Itoa(s.made))
}

func (s *Store) path(attempt string) string {
	// The id is the server's; it becomes a file name only as one.
	name := strings.Map(func(letter rune) rune {
		if unicode.IsLetter(letter) || unicode.IsDigit(letter) || letter == '-' || letter == '_' {
			return letter
		}
		return -1
	}, attempt)
	return filepath.Join(s.folder, name+".finish")
}

func read(path string) (*execpb.FinishAttemptRequest, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	request := &execpb.FinishAttemptRequest{}
	if err := proto.Unmarshal(content, request); err != nil {
		return nil, err
	}
	if request.GetOutcomeId() == "" || filepath.Base(path) != request.GetAttempt().GetAttemptId()+".finish" {
		return nil, errors.New("it names no outcome of this attempt")
	}
	return request, nil
}

// Cause is what the system said, without the operation and the path.
func Cause(err error) string {
	var at *os.PathError
	if errors.As(err, &at) {
		return sentence(at.Err)
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return sentence(link.Err)
	}
	return err.Error()
}

// The system's messages begin with a capital letter, as strerror writes them; Go's do not.
func sentence(err error) string {
	text := err.Error()
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
