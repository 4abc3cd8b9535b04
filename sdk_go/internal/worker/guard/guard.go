package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// ErrGone says that the guard has ended; another one may be started.
var ErrGone = errors.New("the guard of the bundles' processes has ended")

// Spec is a process to start. Its standard input is empty.
type Spec struct {
	// Path of the program, and the name that it is shown under.
	Path, Name string
	// Environment, whole.
	Environment []string
	// Directory it works in.
	Directory string
	// Stdout and Stderr are the ends that it writes to; the caller closes its own.
	Stdout, Stderr *os.File
}

// Exit is how a process ended.
type Exit struct {
	// Known is false where nobody could tell.
	Known bool
	// Code of an exit. Meaningless where a signal ended it.
	Code int
	// Signal that ended it. 0: it exited.
	Signal syscall.Signal
	// CPU is the time of the user and of the system; MaxMemory the most resident memory, in bytes.
	CPU       time.Duration
	MaxMemory int64
}

// Child is a process that was started.
type Child struct {
	// ProcessID of it.
	ProcessID int

	guard  *Guard
	number int
	done   chan struct{}
	exit   Exit
}

// Done is closed when the process has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Exit is how it ended, once Done is closed.
func (c *Child) Exit() Exit { return c.exit }

// Kill ends the process and its group.
func (c *Child) Kill() {
	c.guard.send(order{Signal: c.number, SignalNumber: int(syscall.SIGKILL)})
}

// Guard is the guard's process, as the worker sees it.
type Guard struct {
	command *exec.Cmd
	socket  *net.UnixConn
	gone    chan struct{}

	sending sync.Mutex
	mu      sync.Mutex
	number  int
	started map[int]chan report
	running map[int]*Child
	ended   bool
}

// Start starts a guard.
func Start() (*Guard, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the socket to a guard process could not be made: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "guard"), os.NewFile(uintptr(pair[1]), "guard")
	defer func() { _, _ = ours.Close(), theirs.Close() }()
	made, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("the socket to a guard process could not be used: %w", err)
	}
	// The program that runs, even if its file was replaced meanwhile.
	command := exec.Command("/proc/self/exe", argument)
	command.ExtraFiles = []*os.File{theirs}
	// Nothing of the worker's environment: what is secret there shows nowhere else.
	command.Env = []string{"GOMAXPROCS=1"}
	command.Stderr = os.Stderr
	// What signals the worker's group, such as Ctrl-C, is the worker's to handle.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		_ = made.Close()
		return nil, fmt.Errorf("the guard process could not be started: %w", err)
	}
	g := &Guard{
		command: command, socket: made.(*net.UnixConn), gone: make(chan struct{}), started: map[int]chan report{},
		running: map[int]*Child{},
	}
	go g.receive()
	return g, nil
}

// Gone is closed when the guard has ended, and with it everything below it.
func (g *Guard) Gone() <-chan struct{} { return g.gone }

// Spawn starts a process. The error is a syscall.Errno of the start, or ErrGone.
func (g *Guard) Spawn(spec Spec) (*Child, error) {
	answer := make(chan report, 1)
	g.mu.Lock()
	if g.ended {
		g.mu.Unlock()
		return nil, ErrGone
	}
	g.number++
	child := &Child{guard: g, number: g.number, done: make(chan struct{})}
	g.started[child.number] = answer
	g.running[child.number] = child
	g.mu.Unlock()
	g.send(order{
		Start: child.number, Path: spec.Path, Arguments: []string{spec.Name}, Environment: spec.Environment,
		Directory: spec.Directory,
	}, spec.Stdout, spec.Stderr)
	told, ok := <-answer
	if !ok {
		return nil, ErrGone
	}
	if told.Failed != 0 {
		return nil, syscall.Errno(told.Errno)
	}
	child.ProcessID = told.ProcessID
	return child, nil
}

// RemoveAtEnd has a folder removed when everything below the guard has ended.
func (g *Guard) RemoveAtEnd(folder string) { g.send(order{Remove: folder}) }

// Close ends everything below the guard, and the guard; it returns when all of it is gone.
func (g *Guard) Close() {
	_ = g.socket.CloseWrite()
	<-g.gone
}

func (g *Guard) send(what order, files ...*os.File) {
	content := encode(what)
	var rights []byte
	if len(files) > 0 {
		descriptors := make([]int, len(files))
		for i, file := range files {
			descriptors[i] = int(file.Fd())
		}
		rights = syscall.UnixRights(descriptors...)
	}
	g.sending.Lock()
	defer g.sending.Unlock()
	// What cannot be sent is not: the guard has ended, which receive tells.
	written, _, err := g.socket.WriteMsgUnix(content, rights, nil)
	if err == nil && written < len(content) {
		_, _ = g.socket.Write(content[written:])
	}
}

func (g *Guard) receive() {
	var read []byte
	buffer := make([]byte, 4096)
	for {
		size, err := g.socket.Read(buffer)
		read = append(read, buffer[:size]...)
		for {
			content, rest := split(read)
			if content == nil {
				break
			}
			var told report
			if json.Unmarshal(content, &told) == nil {
				g.take(told)
			}
			read = bytes.Clone(rest)
		}
		if err != nil {
			break
		}
	}
	_ = g.socket.Close()
	_ = g.command.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	for _, answer := range g.started {
		close(answer)
	}
	for _, child := range g.running {
		close(child.done)
	}
	g.started, g.running = nil, nil
	close(g.gone)
}

func (g *Guard) take(told report) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, number := range []int{told.Started, told.Failed} {
		if answer := g.started[number]; answer != nil {
			answer <- told
			delete(g.started, number)
		}
	}
	if told.Failed != 0 {
		delete(g.running, told.Failed)
	}
	if child := g.running[told.Exited]; child != nil {
		status := syscall.WaitStatus(told.Status)
		child.exit = Exit{Known: true, CPU: time.Duration(told.CPUMicros) * time.Microsecond, MaxMemory: told.MaxMemory}
		if status.Signaled() {
			child.exit.Signal = status.Signal()
		} else {
			child.exit.Code = status.ExitStatus()
		}
		delete(g.running, told.Exited)
		close(child.done)
	}
}
