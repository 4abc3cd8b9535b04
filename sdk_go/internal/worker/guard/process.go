package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

const (
	socketDescriptor = 3
	childSubreaper   = 36
	prSetName        = 15
)

// Inside the worker's program, started as a guard: nothing else of the program begins. It runs on the main thread, which
// the runtime keeps for init, so that the parent-death signal of what it starts follows a thread that stays.
func init() {
	if len(os.Args) == 2 && os.Args[1] == argument {
		serve()
		os.Exit(0)
	}
}

type process struct {
	number int
	id     int
}

type server struct {
	mu      sync.Mutex
	running map[int]*process // by number
	folders []string
}

func serve() {
	debug.SetGCPercent(20)
	name := []byte("crosswind-guard\x00")
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetName, uintptr(unsafe.Pointer(&name[0])), 0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, childSubreaper, 1, 0)
	// Whoever stops the worker may signal all processes around it; how tasks end is the worker's to decide. Taken, not
	// ignored, because what is ignored stays ignored in the processes that are started.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	s := &server{running: map[int]*process{}}
	go func() {
		for range ended {
			s.reap()
		}
	}()
	s.receive()
	s.killAll()
	for _, folder := range s.folders {
		_ = os.RemoveAll(folder)
	}
}

// receive obeys until the worker is gone.
func (s *server) receive() {
	var read []byte
	var descriptors []int
	buffer, extra := make([]byte, 64*1024), make([]byte, syscall.CmsgSpace(16*4))
	for {
		size, extraSize, _, _, err := syscall.Recvmsg(socketDescriptor, buffer, extra, syscall.MSG_CMSG_CLOEXEC)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || size <= 0 {
			return
		}
		descriptors = append(descriptors, passed(extra[:extraSize])...)
		read = append(read, buffer[:size]...)
		for {
			content, rest := split(read)
			if content == nil {
				break
			}
			var wanted order
			if json.Unmarshal(content, &wanted) != nil {
				return
			}
			read = bytes.Clone(rest)
			switch {
			case wanted.Start != 0 && len(descriptors) >= 2:
				s.start(wanted, descriptors[0], descriptors[1])
				_ = syscall.Close(descriptors[0])
				_ = syscall.Close(descriptors[1])
				descriptors = descriptors[2:]
			case wanted.Signal != 0:
				s.signal(wanted.Signal, syscall.Signal(wanted.SignalNumber))
			case wanted.Remove != "":
				s.folders = append(s.folders, wanted.Remove)
			}
		}
	}
}

func passed(extra []byte) []int {
	var found []int
	messages, err := syscall.ParseSocketControlMessage(extra)
	if err != nil {
		return nil
	}
	for i := range messages {
		if descriptors, err := syscall.ParseUnixRights(&messages[i]); err == nil {
			found = append(found, descriptors...)
		}
	}
	return found
}

func (s *server) start(wanted order, stdout, stderr int) {
	// Held until the process is known, so that its end cannot be seen before.
	s.mu.Lock()
	defer s.mu.Unlock()
	nothing, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err == nil {
		var id int
		id, err = syscall.ForkExec(wanted.Path, wanted.Arguments, &syscall.ProcAttr{
			Dir:   wanted.Directory,
			Env:   append(wanted.Environment, fmt.Sprintf("%s=%d-%d", marker, os.Getpid(), wanted.Start)),
			Files: []uintptr{uintptr(nothing), uintptr(stdout), uintptr(stderr)},
			Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
		})
		_ = syscall.Close(nothing)
		if err == nil {
			s.running[wanted.Start] = &process{number: wanted.Start, id: id}
			s.tell(report{Started: wanted.Start, ProcessID: id})
			return
		}
	}
	failed := report{Failed: wanted.Start, Errno: int(syscall.EIO)}
	var number syscall.Errno
	if errors.As(err, &number) {
		failed.Errno = int(number)
	}
	s.tell(failed)
}

func (s *server) signal(number int, sent syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.running[number]; found != nil {
		_ = syscall.Kill(-found.id, sent)
	}
}

func (s *server) tell(what report) {
	content := encode(what)
	for len(content) > 0 {
		written, err := syscall.Write(socketDescriptor, content)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return // the worker is gone: the next receive tells it
		}
		content = content[written:]
	}
}

// reap tells of processes that have ended, after what they left behind has been killed.
func (s *server) reap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range s.running {
		if !hasEnded(each.id) {
			continue
		}
		// Before the process id is given back: what is left of its group ends with it.
		_ = syscall.Kill(-each.id, syscall.SIGKILL)
		var status syscall.WaitStatus
		var usage syscall.Rusage
		for {
			_, err := syscall.Wait4(each.id, &status, 0, &usage)
			if !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		delete(s.running, each.number)
		s.tell(report{
			Exited: each.number, Status: uint32(status), MaxMemory: usage.Maxrss * 1024,
			CPUMicros: (usage.Utime.Sec+usage.Stime.Sec)*1e6 + int64(usage.Utime.Usec+usage.Stime.Usec),
		})
	}
	s.killOrphans()
}

// killOrphans ends what processes that have ended left behind in other groups, and reaps the dead among the orphans.
func (s *server) killOrphans() {
	known := map[int]bool{}
	for _, each := range s.running {
		known[each.id] = true
	}
	for _, id := range children() {
		if known[id] {
			continue
		}
		if reaped, _ := syscall.Wait4(id, nil, syscall.WNOHANG, nil); reaped == id {
			continue
		}
		if number, found := ownerOf(id); found && s.running[number] == nil {
			_ = syscall.Kill(id, syscall.SIGKILL) // its end is the next signal
		}
	}
}

func (s *server) killAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range s.running {
		_ = syscall.Kill(-each.id, syscall.SIGKILL)
	}
	for {
		for _, id := range children() {
			_ = syscall.Kill(id, syscall.SIGKILL)
		}
		_, err := syscall.Wait4(-1, nil, 0, nil)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// hasEnded tells whether a child is dead, and leaves it to be waited for.
func hasEnded(id int) bool {
	var info [128]byte
	_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, 1 /* P_PID */, uintptr(id), uintptr(unsafe.Pointer(&info[0])),
		syscall.WEXITED|syscall.WNOHANG|syscall.WNOWAIT, 0, 0)
	// Without a dead child the kernel leaves the signal's number, which comes first, zero.
	return errno == 0 && (info[0]|info[1]|info[2]|info[3]) != 0
}

// children are the process ids of this process's children; none where the kernel does not tell.
func children() []int {
	var found []int
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	for _, thread := range threads {
		listing, err := os.ReadFile("/proc/self/task/" + thread.Name() + "/children")
		if err != nil {
			continue
		}
		for word := range strings.FieldsSeq(string(listing)) {
			if id, err := strconv.Atoi(word); err == nil {
				found = append(found, id)
			}
		}
	}
	return found
}

// ownerOf is the number of the process whose descendant an orphan is.
func ownerOf(id int) (int, bool) {
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", id))
	if err != nil {
		return 0, false
	}
	prefix := fmt.Sprintf("%s=%d-", marker, os.Getpid())
	for entry := range strings.SplitSeq(string(environment), "\x00") {
		if text, found := strings.CutPrefix(entry, prefix); found {
			number, err := strconv.Atoi(text)
			return number, err == nil
		}
	}
	return 0, false
}
