// Command kit is the bundle of end-to-end tests: its tasks come to a test's stage and do what they are told, see
// tests/e2e/support/puppets.py. KIT_START in the worker's environment says how its process fails to start.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "crosswind.dev/go/bundle/bundlev1"
	"crosswind.dev/go/sdk"
)

// version makes another binary, with -ldflags "-X main.version=2".
var version = "1"

func init() {
	switch os.Getenv("KIT_START") {
	case "exit":
		fmt.Fprintln(os.Stderr, "there is no reason to go on")
		os.Exit(3)
	case "print":
		fmt.Println("hello from init")
	case "panic":
		panic("told to panic at the start")
	case "hang":
		fmt.Fprintln(os.Stderr, "still thinking")
		time.Sleep(time.Hour)
	}
}

type kit struct{}

// RegisterDags implements v1.Bundle.
func (kit) RegisterDags(dagbag v1.Registry) error {
	for _, name := range []string{"kit", "kit_too"} {
		dagbag.AddDag(name).AddTask(perform, sdk.ID("work"), sdk.CancelGrace(500*time.Millisecond))
	}
	dagbag.AddDag("kit_alone").AddTask(perform, sdk.ID("work"), sdk.CancelGrace(500*time.Millisecond), sdk.Isolated())
	dagbag.AddTask(double)
	return nil
}

func main() { v1.Serve(kit{}, v1.Name("kit")) }

func double(number int) (int, error) { return 2 * number, nil }

type order struct {
	Do      string `json:"do"`
	Text    string `json:"text"`
	Error   bool   `json:"error"`
	Key     string `json:"key"`
	Code    int    `json:"code"`
	Value   any    `json:"value"`
	Message string `json:"message"`
}

// perform comes to the stage and obeys. It ends when its context does, unless it was told to ignore that.
func perform(ctx context.Context, client sdk.Client, log *slog.Logger, info sdk.TaskInfo) (any, error) {
	path, err := sdk.Param[string](info, "stage")
	if err != nil {
		return nil, err
	}
	connection, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close() }()
	obey := context.AfterFunc(ctx, func() { _ = connection.Close() })
	say := json.NewEncoder(connection)
	who := map[string]any{"dag": info.DagID, "role": info.TaskID, "try": info.TryNumber, "pid": os.Getpid(), "value": nil}
	if err := say.Encode(who); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		var told order
		if err := json.Unmarshal(lines.Bytes(), &told); err != nil {
			return nil, err
		}
		var answer any
		switch told.Do {
		case "return":
			return told.Value, nil
		case "fail":
			return nil, fmt.Errorf("it was told so: %w", errors.New(told.Message))
		case "exit":
			fmt.Fprintln(os.Stderr, "last words")
			os.Exit(told.Code)
		case "panic":
			panic(told.Message)
		case "crash":
			go func() { panic(told.Message) }()
			select {}
		case "ignore":
			obey()
		case "print":
			stream := os.Stdout
			if told.Error {
				stream = os.Stderr
			}
			_, err = fmt.Fprintln(stream, told.Text)
		case "write_to_descriptor":
			_, err = syscall.Write(1, []byte(told.Text+"\n"))
		case "log":
			log.Info(told.Text, "answer", 42)
		case "get_variable":
			answer, err = client.GetVariable(ctx, told.Key)
		case "spawn":
			answer, err = spawn()
		case "environment":
			answer = os.Environ()
		case "version":
			answer = version
		}
		if err != nil {
			return nil, err
		}
		if err := say.Encode(map[string]any{"value": answer}); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, errors.New("the stage is gone")
}

// spawn starts a process that would outlive this one: it is in a session of its own, and its parent has ended.
func spawn() (int, error) {
	output, err := exec.Command("sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(output)))
}
