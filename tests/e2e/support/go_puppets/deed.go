package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// spawn starts a grandchild that would outlive this process; it ignores TERM and a hang-up too.
func spawn() (int, error) {
	child := exec.Command("sh", "-c", `trap "" TERM HUP; echo; exec sleep 600`)
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := child.Start(); err != nil {
		return 0, err
	}
	_, err = bufio.NewReader(output).ReadString('\n')
	return child.Process.Pid, err
}

// reach says whether a TCP port answers, and if not why, in Python's words for it.
func reach(host string, port int) string {
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(port)), 2*time.Second)
	switch {
	case err == nil:
		_ = connection.Close()
		return "connected"
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("ConnectionRefusedError: %v", err)
	default:
		return fmt.Sprintf("OSError: %v", err)
	}
}

// burn holds memory and uses processor time.
func burn(megabytes int, seconds float64) int {
	held := make([]byte, megabytes<<20)
	for index := range held {
		held[index] = 'x'
	}
	for began := processorTime(); processorTime()-began < time.Duration(seconds*float64(time.Second)); {
	}
	return len(held)
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// flood prints lines that hardly compress.
func flood(lines, length int) error {
	random := make([]byte, length/2)
	for range lines {
		if _, err := rand.Read(random); err != nil {
			return err
		}
		if _, err := fmt.Println(hex.EncodeToString(random)); err != nil {
			return err
		}
	}
	return nil
}

func environment() map[string]string {
	found := map[string]string{}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		found[name] = value
	}
	return found
}

// lookAround is everything that this process and the one above it show of themselves.
func lookAround() (map[string]string, error) {
	shown := map[string]string{}
	for name, pid := range map[string]int{"child": os.Getpid(), "parent": os.Getppid()} {
		for _, part := range []string{"environ", "cmdline"} {
			content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, part))
			if err != nil {
				return nil, err
			}
			shown[name+" "+part] = string(content)
		}
		folder := fmt.Sprintf("/proc/%d/fd", pid)
		descriptors, err := os.ReadDir(folder)
		if err != nil {
			return nil, err
		}
		for _, descriptor := range descriptors {
			// The one that listed them is gone.
			if target, err := os.Readlink(folder + "/" + descriptor.Name()); err == nil {
				shown[fmt.Sprintf("%s fd %s", name, descriptor.Name())] = target
			}
		}
	}
	return shown, nil
}
