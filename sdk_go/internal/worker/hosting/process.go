// Package hosting runs tasks in processes of bundles, which hashicorp/go-plugin launches: one process for each version of
// a bundle, and one for each task that wants it alone.
//
// Which versions there are belongs to package offering; who starts and ends processes, and cleans up, to package guard.
package hosting

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	pluginrunner "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc/codes"

	"crosswind.dev/go/internal/curve"
	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/packing"
	"crosswind.dev/go/internal/plugin"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/executor"
	"crosswind.dev/go/internal/worker/masking"
)

const (
	// A call that found nobody is followed by the end of the process, if that is the reason.
	endPatience = 5 * time.Second
	callTimeout = 5 * time.Second
)

// process is a running process of a bundle.
type process struct {
	version *Version
	client  *goplugin.Client
	bundle  bundlepb.BundleServiceClient
	runner  *runner
	output  *output
	masker  *masking.Masker // of all tasks that ever ran in it
	alone   bool            // it runs one task and ends with it

	mu      sync.Mutex
	tasks   map[*task]struct{}
	closed  bool // to new tasks
	ending  bool // by us
	killing bool
	failed  bool // a call found nobody there
	mute    bool // it did not end by itself then
}

// launch starts a process. host is that of its only task; nil: it runs many. The error is a *executor.GoneError, or ctx's.
func launch(ctx context.Context, version *Version, host executor.TaskHost) (*process, error) {
	began := time.Now()
	p := &process{version: version, masker: masking.New(), alone: host != nil, tasks: map[*task]struct{}{}}
	var raw func(stderr bool, data []byte)
	if host != nil {
		raw = func(stderr bool, data []byte) {
			source := execpb.LogRecord_SOURCE_STDOUT
			if stderr {
				source = execpb.LogRecord_SOURCE_STDERR
			}
			host.WriteOutput(source, data)
		}
	}
	p.output = newOutput(func(_ bool, line string) {
		version.services.BundleLog.Info(fmt.Sprintf("%s: %s", version.Name(), p.masker.Mask(line)))
	}, raw)
	watched, err := version.services.findGuard()
	if err != nil {
		return nil, &executor.GoneError{Sentence: fmt.Sprintf("A process for the bundle %s could not be started: %v.", version.Name(), err)}
	}
	checked := make(chan error, 1)
	go func() { checked <- check(version.source) }() // while go-plugin makes its certificate
	p.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake,
		VersionedPlugins: plugin.HostPlugins(version.services.PluginVersions...),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     version.services.StartTimeout,
		Logger:           hclog.NewNullLogger(),
		SyncStdout:       stream{p.output, false},
		SyncStderr:       stream{p.output, true},
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: version.services.RunFolder},
		RunnerFunc: func(_ hclog.Logger, asked *exec.Cmd, sockets string) (pluginrunner.Runner, error) {
			// go-plugin itself checks only what it starts itself.
			if err := <-checked; err != nil {
				return nil, err
			}
			p.runner = &runner{
				guard: watched, path: version.source.Path, environment: append(environment(), asked.Env...), output: p.output,
				name: "crosswind-bundle:" + version.Name() + "@" + version.Short(), sockets: sockets,
			}
			return p.runner, nil
		},
	})
	started := make(chan error, 1)
	go func() {
		_, err := p.client.Start()
		started <- err
	}()
	select {
	case err = <-started:
	case <-ctx.Done():
		// It is ended as soon as it has come so far.
		go func() {
			if <-started == nil {
				p.client.Kill()
			}
		}()
		return nil, ctx.Err()
	}
	if err != nil {
		gone := p.explain(err)
		p.client.Kill()
		return nil, gone
	}
	protocol, err := p.client.Client()
	var dispensed any
	if err == nil {
		dispensed, err = protocol.Dispense(plugin.Name)
	}
	if err != nil {
		gone := p.explain(err)
		p.client.Kill()
		return nil, gone
	}
	p.bundle = dispensed.(bundlepb.BundleServiceClient)
	version.services.Log.Debug(fmt.Sprintf("Bundle %s, version %s: its process %d started in %.1f ms.",
		version.Name(), version.Short(), p.runner.child.ProcessID, float64(time.Since(began).Microseconds())/1000))
	go p.awaitEnd()
	return p, nil
}

// check tells whether the worker's copy of a bundle is what was read.
func check(source *packing.Packed) error {
	secure := goplugin.SecureConfig{Checksum: source.FileSHA256[:], Hash: sha256.New()}
	same, err := secure.Check(source.Path)
	if err == nil && !same {
		err = goplugin.ErrChecksumsDoNotMatch
	}
	return err
}

// environment is the worker's without what only the worker is to know, and without go-plugin's own.
func environment() []string {
	var kept []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		secret := strings.HasPrefix(name, "CROSSWIND_") && strings.Contains(name, "TOKEN")
		if !secret && !strings.HasPrefix(name, "PLUGIN_") && name != curve.CookieKey {
			kept = append(kept, entry)
		}
	}
	return kept
}

// explain says why a process is of no use.
func (p *process) explain(err error) *executor.GoneError {
	name := p.version.Name()
	gone := &executor.GoneError{}
	switch {
	case errors.Is(err, goplugin.ErrChecksumsDoNotMatch):
		gone.Sentence = fmt.Sprintf("The worker's copy of the bundle %s (%s) is not what was read: start the worker again.",
			name, p.version.source.Path)
		return gone
	case p.runner == nil || p.runner.child == nil:
		if p.runner != nil {
			_ = os.RemoveAll(p.runner.sockets) // go-plugin removes it only after a process
		}
		var number syscall.Errno
		reason := err.Error()
		if errors.As(err, &number) {
			reason = number.Error()
		}
		if errors.Is(err, syscall.ENOEXEC) {
			reason = "it is no program for this machine, " + describeMachine(p.version.source.Path)
		}
		gone.Sentence = fmt.Sprintf("The process of the bundle %s could not be started: %s.", name, strings.TrimRight(reason, "."))
		return gone
	}
	// Of a process that ended by itself the exit says more than that its output ended.
	first := p.runner.firstLine()
	if first == "" && !strings.Contains(err.Error(), "timeout") {
		select {
		case <-p.runner.child.Done():
		case <-time.After(endPatience):
		}
	}
	// Only an end that was not ours is told.
	exited := false
	select {
	case <-p.runner.child.Done():
		exited = first == ""
	default:
	}
	p.runner.child.Kill()
	<-p.runner.child.Done()
	<-p.runner.drained
	gone.StderrTail = p.masker.Mask(p.output.last())
	how := ""
	if exited {
		how = p.describeExit(gone)
	}
	switch {
	case exited:
		gone.Sentence = fmt.Sprintf("The process of the bundle %s %s before it was ready.", name, how)
	case strings.Contains(err.Error(), "timeout"):
		gone.Sentence = fmt.Sprintf("The process of the bundle %s was not ready within %g s (--import-timeout).",
			name, p.version.services.StartTimeout.Seconds())
	case strings.HasPrefix(err.Error(), "incompatible API version with plugin"):
		_, rest, _ := strings.Cut(first, "|")
		served, _, _ := strings.Cut(rest, "|")
		gone.Sentence = fmt.Sprintf("The process of the bundle %s serves version %s of the plugin, and this worker speaks %s: "+
			"upgrade the older of the two.", name, cut(served), spoken(p.version.services.PluginVersions))
	case strings.HasPrefix(err.Error(), "Unrecognized remote plugin message"):
		gone.Sentence = fmt.Sprintf("The process of the bundle %s printed %q where go-plugin's handshake was expected: "+
			"it is no bundle, or its code prints before bundlev1.Serve.", name, cut(first))
	default:
		gone.Sentence = fmt.Sprintf("The process of the bundle %s does not speak as a bundle does: %s.", name,
			strings.TrimRight(err.Error(), "."))
	}
	if last := lastLine(gone.StderrTail); last != "" {
		gone.Sentence += " The last that it wrote: " + last
	}
	return gone
}

func (p *process) describeExit(gone *executor.GoneError) string {
	exit := p.runner.child.Exit()
	switch {
	case !exit.Known:
		return "ended"
	case exit.Signal != 0:
		gone.SignalName = signalName(exit.Signal)
		return "was ended by " + gone.SignalName
	default:
		code := int32(exit.Code)
		gone.ExitCode = &code
		return fmt.Sprintf("exited with code %d", code)
	}
}

// begin runs a task in the process. The process counts it already.
func (p *process) begin(each *task) {
	each.host.Masker().Lead(p.masker)
	each.key = p.version.services.Callback.Admit(each.host)
	each.request.CallbackAddress = p.version.services.Callback.Address()
	each.request.CallbackKey = each.key
	go each.run()
}

// awaitEnd notes the end of a process.
func (p *process) awaitEnd() {
	<-p.runner.child.Done()
	p.mu.Lock()
	p.closed = true
	expected := p.ending || p.killing || p.alone
	p.mu.Unlock()
	p.version.forget(p)
	if !expected {
		how := p.describeExit(&executor.GoneError{})
		p.version.services.Log.Error(fmt.Sprintf("Bundle %s, version %s: its process %s; the next task starts another.",
			p.version.Name(), p.version.Short(), how))
	}
	// What go-plugin holds for it: a folder and a connection.
	p.client.Kill()
}

// take counts a task. False: the process is closed to new ones.
func (p *process) take(each *task) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.tasks[each] = struct{}{}
	each.process.Store(p)
	return true
}

// leave forgets a task that has ended.
func (p *process) leave(each *task) {
	p.mu.Lock()
	delete(p.tasks, each)
	p.mu.Unlock()
	p.settle()
}

// close takes no new tasks; the process ends when those that it has have ended.
func (p *process) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.version.forget(p)
	p.settle()
}

// fail takes note that a call found nobody there: the process ends, or has no connection any more.
func (p *process) fail() {
	p.mu.Lock()
	first := !p.failed && !p.ending && !p.killing // else it is what we wanted
	p.failed, p.closed = p.failed || first, true
	p.mu.Unlock()
	p.version.forget(p)
	if !first {
		return
	}
	go func() {
		select {
		case <-p.runner.child.Done():
		case <-time.After(endPatience):
			p.mu.Lock()
			p.mute = true
			p.mu.Unlock()
			p.runner.child.Kill()
		}
	}()
}

// settle ends a closed process when nobody needs it: when it has no tasks, or only such as are to be killed.
func (p *process) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed || p.ending || p.failed {
		return
	}
	condemned := 0
	for each := range p.tasks {
		if each.condemned.Load() {
			condemned++
		}
	}
	switch {
	case len(p.tasks) == 0:
		p.ending = true
		go p.client.Kill()
	case condemned == len(p.tasks) && !p.killing:
		p.killing = true
		p.runner.child.Kill()
	}
}

// end ends the process; it returns when it is gone. At once: with whatever runs in it.
func (p *process) end(atOnce bool) {
	p.mu.Lock()
	p.closed, p.ending = true, true
	p.mu.Unlock()
	if atOnce {
		p.runner.child.Kill()
	} else {
		p.client.Kill()
	}
	<-p.runner.child.Done()
}

// judge says how a task ended whose call failed.
func (p *process) judge(err error) executor.TaskEnd {
	problem := connection.FromStatus(err)
	if problem.Code != codes.Unavailable && problem.Code != codes.Canceled {
		return executor.TaskEnd{Refusal: problem}
	}
	// The call knows first that nobody is there any more; how the process ended is known a moment later.
	p.fail()
	<-p.runner.child.Done()
	p.mu.Lock()
	detail := ""
	if p.mute {
		detail = "It did not answer any more: " + problem.Message
	}
	p.mu.Unlock()
	<-p.runner.drained
	exit := p.runner.child.Exit()
	end := executor.TaskEnd{Detail: detail, StderrTail: p.masker.Mask(p.output.last())}
	switch {
	case !exit.Known:
		end.Detail = "The guard of the bundles' processes has ended."
	case exit.Signal != 0:
		end.SignalName = signalName(exit.Signal)
	default:
		code := int32(exit.Code)
		end.ExitCode = &code
	}
	return end
}

func cut(line string) string {
	if len(line) > 200 {
		return strings.ToValidUTF8(line[:200], "") + "..."
	}
	return line
}

// lastLine is the one that says most of why a program ended: of a panic the first, else the last.
func lastLine(tail string) string {
	last := ""
	for line := range strings.Lines(tail) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return cut(line)
		}
		if line != "" {
			last = line
		}
	}
	return cut(last)
}

// spoken are plugin versions for people.
func spoken(versions []int) string {
	if len(versions) == 0 {
		return strconv.Itoa(plugin.ProtocolVersion)
	}
	texts := make([]string, len(versions))
	for i, version := range versions {
		texts[i] = strconv.Itoa(version)
	}
	return strings.Join(texts, ", ")
}
