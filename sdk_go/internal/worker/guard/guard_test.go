package guard

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 20 * time.Second

// ownerRole makes the test's binary a worker that is killed.
const ownerRole = "CROSSWIND_TEST_OWNER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(ownerRole); folder != "" {
		own(folder)
	}
	os.Exit(m.Run())
}

// own starts a guard and a shell, says which processes there are, and waits to be killed.
func own(folder string) {
	watched, err := Start()
	if err != nil {
		panic(err)
	}
	watched.RemoveAtEnd(folder)
	reading, writing, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	child, err := watched.Spawn(Spec{
		Path: writeScript(folder, family), Name: "family", Environment: os.Environ(), Directory: "/", Stdout: writing, Stderr: writing,
	})
	if err != nil {
		panic(err)
	}
	lines := bufio.NewScanner(reading)
	for range 2 {
		lines.Scan()
		fmt.Println(lines.Text())
	}
	fmt.Println(child.ProcessID)
	select {}
}

// family starts a child in its group and one in a session of its own; neither listens to what asks them to end.
const family = `trap "" TERM HUP
sh -c 'trap "" TERM HUP; echo $$; while :; do sleep 100; done' &
setsid sh -c 'trap "" TERM HUP; echo $$; while :; do sleep 100; done' &
while :; do sleep 100; done
`

func writeScript(folder, text string) string {
	path := filepath.Join(folder, "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		panic(err)
	}
	return path
}

func startGuard(t *testing.T) *Guard {
	t.Helper()
	made, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

// spawn starts a script and answers what reads its standard output.
func spawn(t *testing.T, watched *Guard, text string) (*Child, *bufio.Scanner) {
	t.Helper()
	reading, writing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reading.Close() })
	child, err := watched.Spawn(Spec{
		Path: writeScript(t.TempDir(), text), Name: "script", Environment: []string{"PATH=" + os.Getenv("PATH"), "GREETING=hello"},
		Directory: "/", Stdout: writing, Stderr: os.Stderr,
	})
	_ = writing.Close()
	if err != nil {
		t.Fatal(err)
	}
	return child, bufio.NewScanner(reading)
}

func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not come to its end", what)
	}
}

// awaitProcess waits until a process, no child of the test's, has ended; the kernel says so.
func awaitProcess(t *testing.T, id int) {
	t.Helper()
	descriptor, err := unix.PidfdOpen(id, 0)
	if errors.Is(err, syscall.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(descriptor) }()
	for {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(descriptor), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		if errors.Is(err, syscall.EINTR) {
			continue // Go's own signals come in between
		}
		if err != nil || ready == 0 {
			t.Fatalf("the process %d still runs: %v", id, err)
		}
		return
	}
}

func number(t *testing.T, lines *bufio.Scanner) int {
	t.Helper()
	if !lines.Scan() {
		t.Fatal("there is no line any more")
	}
	id, err := strconv.Atoi(lines.Text())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestProcessGetsWhatItIsGivenAndItsEndIsTold(t *testing.T) {
	watched := startGuard(t)
	for text, want := range map[string]Exit{
		"exit 3":        {Known: true, Code: 3},
		"exit 0":        {Known: true},
		"kill -SEGV $$": {Known: true, Signal: syscall.SIGSEGV},
	} {
		child, lines := spawn(t, watched, "echo $GREETING from $PWD\n"+text+"\n")
		lines.Scan()
		await(t, text, child.Done())
		got := child.Exit()
		if got.MaxMemory == 0 {
			t.Errorf("%s: no memory is told", text)
		}
		got.CPU, got.MaxMemory = 0, 0
		if got != want || lines.Text() != "hello from /" {
			t.Errorf("%s: got %+v, and it wrote %q", text, got, lines.Text())
		}
	}
}

func TestManyProcessesAtOnce(t *testing.T) {
	watched := startGuard(t)
	var children []*Child
	for i := range 30 {
		child, _ := spawn(t, watched, fmt.Sprintf("exit %d\n", i))
		children = append(children, child)
	}
	for i, child := range children {
		await(t, "a process", child.Done())
		if child.Exit().Code != i {
			t.Errorf("process %d exited with %d", i, child.Exit().Code)
		}
	}
}

func TestProgramThatCannotRunIsTold(t *testing.T) {
	watched := startGuard(t)
	notExecutable := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(notExecutable, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]syscall.Errno{"/nowhere": syscall.ENOENT, notExecutable: syscall.ENOEXEC} {
		_, err := watched.Spawn(Spec{Path: path, Directory: "/", Stdout: os.Stderr, Stderr: os.Stderr})
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestWhatAProcessLeavesBehindEndsWithIt(t *testing.T) {
	watched := startGuard(t)
	other, _ := spawn(t, watched, "exec sleep 100\n")
	child, lines := spawn(t, watched, family)
	inGroup, inSession := number(t, lines), number(t, lines)
	child.Kill()
	await(t, "the process", child.Done())
	if child.Exit().Signal != syscall.SIGKILL {
		t.Errorf("got %+v", child.Exit())
	}
	awaitProcess(t, inGroup)
	awaitProcess(t, inSession)
	select {
	case <-other.Done():
		t.Error("another process ended too")
	default:
	}
}

func TestClosingEndsEverything(t *testing.T) {
	folder := t.TempDir()
	watched := startGuard(t)
	doomed := filepath.Join(folder, "sockets")
	if err := os.Mkdir(doomed, 0o700); err != nil {
		t.Fatal(err)
	}
	watched.RemoveAtEnd(doomed)
	child, lines := spawn(t, watched, family)
	inGroup, inSession := number(t, lines), number(t, lines)
	watched.Close()
	await(t, "the process", child.Done())
	awaitProcess(t, inGroup)
	awaitProcess(t, inSession)
	if _, err := os.Stat(doomed); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	if _, err := watched.Spawn(Spec{Path: "/bin/true"}); !errors.Is(err, ErrGone) {
		t.Errorf("got %v", err)
	}
}

func TestKilledWorkerLeavesNothing(t *testing.T) {
	folder := t.TempDir()
	worker := exec.Command("/proc/self/exe", "-test.run", "^$")
	worker.Env = append(os.Environ(), ownerRole+"="+folder)
	output, err := worker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	ids := []int{number(t, lines), number(t, lines), number(t, lines)}
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		awaitProcess(t, id)
	}
	_ = worker.Wait() // it was killed
}

func TestKilledGuardIsToldAndTakesItsProcessesAlong(t *testing.T) {
	watched := startGuard(t)
	child, _ := spawn(t, watched, "exec sleep 100\n")
	id := child.ProcessID
	if err := watched.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, "the process", child.Done())
	if child.Exit().Known {
		t.Errorf("got %+v", child.Exit())
	}
	awaitProcess(t, id)
	await(t, "the guard", watched.Gone())
}

func TestGuardShowsNothingOfTheWorkersEnvironment(t *testing.T) {
	t.Setenv("CROSSWIND_TOKEN_FILE", "secret-place")
	watched := startGuard(t)
	spawn(t, watched, "exit 0\n") // so that it certainly runs
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", watched.command.Process.Pid))
	if err != nil || strings.Contains(string(environment), "secret-place") {
		t.Errorf("got %q, %v", environment, err)
	}
}
