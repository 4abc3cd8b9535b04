package hosting

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"crosswind.dev/go/internal/worker/attemptlog"
	"crosswind.dev/go/internal/worker/guard"
)

// A handshake is one short line; what is longer is something else.
const handshakeBytes = 64 * 1024

// How long output may come after the end of a process, from what it left behind.
const drainPatience = 500 * time.Millisecond

// output takes what a process writes, and keeps the last of its standard error. It is called by one goroutine a stream.
type output struct {
	mu   sync.Mutex
	tail attemptlog.Tail
	take func(stderr bool, line string)
	raw  func(stderr bool, data []byte) // instead of take, where the process runs one task alone
	out  *attemptlog.Lines
	err  *attemptlog.Lines
}

func newOutput(take func(stderr bool, line string), raw func(stderr bool, data []byte)) *output {
	o := &output{take: take, raw: raw}
	o.out = attemptlog.NewLines(attemptlog.MessageBytes, func(line string, _ bool) { o.line(false, line) })
	o.err = attemptlog.NewLines(attemptlog.MessageBytes, func(line string, _ bool) { o.line(true, line) })
	return o
}

func (o *output) line(stderr bool, line string) {
	if stderr {
		o.tail.Add(line)
	}
	if o.raw == nil {
		o.take(stderr, line)
	}
}

// write takes output, cut anywhere.
func (o *output) write(stderr bool, data []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.raw != nil {
		o.raw(stderr, data)
	}
	if stderr {
		o.err.Write(data)
	} else {
		o.out.Write(data)
	}
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.out.End()
	o.err.End()
}

// last is the last of standard error.
func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tail.String()
}

// stream is an io.Writer of one of the two.
type stream struct {
	output *output
	stderr bool
}

// Write implements io.Writer.
func (s stream) Write(data []byte) (int, error) {
	s.output.write(s.stderr, data)
	return len(data), nil
}

// runner has the guard start a bundle's process for go-plugin, which sees of its output the handshake alone.
type runner struct {
	guard       *guard.Guard
	path        string
	name        string // that the process is shown under
	environment []string
	output      *output
	sockets     string // go-plugin's folder for it

	child   *guard.Child
	first   atomic.Value  // the line that should have been the handshake, once it came
	drained chan struct{} // closed when the process has ended and its output has been read
	stdout  *io.PipeReader
}

// Start implements runner.Runner.
func (r *runner) Start(context.Context) error {
	outReading, outWriting, err := os.Pipe()
	if err != nil {
		return err
	}
	errReading, errWriting, err := os.Pipe()
	if err != nil {
		_, _ = outReading.Close(), outWriting.Close()
		return err
	}
	directory, err := os.Getwd()
	if err == nil {
		r.child, err = r.guard.Spawn(guard.Spec{
			Path: r.path, Name: r.name, Environment: r.environment, Directory: directory, Stdout: outWriting, Stderr: errWriting,
		})
	}
	_, _ = outWriting.Close(), errWriting.Close()
	if err != nil {
		_, _ = outReading.Close(), errReading.Close()
		return err
	}
	handshake, handed := io.Pipe()
	r.stdout = handshake
	r.drained = make(chan struct{})
	read := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { r.readStdout(outReading, handed) })
	reading.Go(func() { _, _ = io.Copy(stream{r.output, true}, errReading) })
	go func() {
		reading.Wait()
		close(read)
	}()
	go func() {
		<-r.child.Done()
		select {
		case <-read:
		case <-time.After(drainPatience): // somebody that it left behind still holds the writing end
		}
		_, _ = outReading.Close(), errReading.Close()
		<-read
		r.output.end()
		close(r.drained)
	}()
	return nil
}

// readStdout gives go-plugin the first line, and the output the others.
func (r *runner) readStdout(from io.Reader, handshake *io.PipeWriter) {
	buffered := bufio.NewReaderSize(from, 4096)
	var line []byte
	for len(line) < handshakeBytes {
		part, err := buffered.ReadSlice('\n')
		line = append(line, part...)
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	r.first.Store(strings.ToValidUTF8(string(bytes.TrimSpace(line)), "\uFFFD"))
	_, _ = handshake.Write(line)
	_ = handshake.Close()
	_, _ = io.Copy(stream{r.output, false}, buffered)
}

// firstLine is what the process printed first, so far.
func (r *runner) firstLine() string {
	first, _ := r.first.Load().(string)
	return first
}

// Wait implements runner.AttachedRunner.
func (r *runner) Wait(context.Context) error {
	<-r.child.Done()
	return nil
}

// Kill implements runner.AttachedRunner.
func (r *runner) Kill(context.Context) error {
	r.child.Kill()
	return nil
}

// Stdout implements runner.Runner.
func (r *runner) Stdout() io.ReadCloser { return r.stdout }

// Stderr implements runner.Runner. go-plugin would look for log levels in it; it is read here instead.
func (r *runner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name implements runner.Runner.
func (r *runner) Name() string { return r.path }

// ID implements runner.AttachedRunner.
func (r *runner) ID() string {
	if r.child == nil {
		return ""
	}
	return strconv.Itoa(r.child.ProcessID)
}

// Diagnose implements runner.Runner. What is wrong with a program is said by explain.
func (r *runner) Diagnose(context.Context) string { return "" }

// PluginToHost implements runner.AddrTranslator.
func (r *runner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin implements runner.AddrTranslator.
func (r *runner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// signalName is as people know it.
func signalName(number syscall.Signal) string {
	names := map[syscall.Signal]string{
		syscall.SIGHUP: "SIGHUP", syscall.SIGINT: "SIGINT", syscall.SIGQUIT: "SIGQUIT", syscall.SIGILL: "SIGILL",
		syscall.SIGTRAP: "SIGTRAP", syscall.SIGABRT: "SIGABRT", syscall.SIGBUS: "SIGBUS", syscall.SIGFPE: "SIGFPE",
		syscall.SIGKILL: "SIGKILL", syscall.SIGUSR1: "SIGUSR1", syscall.SIGSEGV: "SIGSEGV", syscall.SIGUSR2: "SIGUSR2",
		syscall.SIGPIPE: "SIGPIPE", syscall.SIGALRM: "SIGALRM", syscall.SIGTERM: "SIGTERM", syscall.SIGXCPU: "SIGXCPU",
		syscall.SIGXFSZ: "SIGXFSZ", syscall.SIGSYS: "SIGSYS",
	}
	if name, known := names[number]; known {
		return name
	}
	return "SIG" + strconv.Itoa(int(number))
}
