// Package outcomestore keeps outcomes that the server has not acknowledged on disk. [FIN-1]
//
// Sending them belongs to package delivery.
//
// An outcome is written before it is first sent, so that it survives the end of the worker's process. A rename is
// enough for that. It is not forced onto the disk unless sync is set: a loss of power ends the worker for longer than a
// lease, so that the server has given the attempt up by the time the machine is back.
package outcomestore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"unicode"

	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/statefolder"
)

// Store holds the outcomes of one state folder.
type Store struct {
	folder string
	sync   bool
	warn   func(sentence string)

	mu     sync.Mutex
	onDisk map[string]bool
}

// Open opens the store of a state folder; an empty one keeps nothing, so that the caller's memory is all there is.
// sync forces each outcome onto the disk. warn takes one sentence where the disk refuses an outcome.
func Open(stateFolder string, sync bool, warn func(sentence string)) *Store {
	store := &Store{sync: sync, warn: warn, onDisk: map[string]bool{}}
	if stateFolder != "" {
		store.folder = filepath.Join(stateFolder, "outcomes")
		// What stands against it is told when an outcome is to be kept.
		_ = os.Mkdir(store.folder, 0o700)
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
		s.onDisk[request.GetAttempt().GetAttemptId()] = true
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
		err = statefolder.ReplaceFile(s.path(attempt), content, s.sync)
	}
	if err != nil {
		s.warn(fmt.Sprintf("The outcome of attempt %s could not be written to %s (%s); it is kept in memory and lost if "+
			"this worker ends before the server takes it.", attempt, s.folder, Cause(err)))
		return
	}
	s.mu.Lock()
	s.onDisk[attempt] = true
	s.mu.Unlock()
}

// Forget deletes an outcome that the server has acknowledged or refused.
func (s *Store) Forget(attempt string) {
	s.mu.Lock()
	kept := s.onDisk[attempt]
	delete(s.onDisk, attempt)
	s.mu.Unlock()
	if kept {
		_ = os.Remove(s.path(attempt))
	}
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
