// Command crosswind-go-worker runs tasks of packed bundles on this machine.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"crosswind.dev/go/internal/worker/discovery"
	"crosswind.dev/go/internal/worker/registration"
	"crosswind.dev/go/internal/worker/settings"
	"crosswind.dev/go/worker"
)

// Exit codes.
const (
	exitDrained  = 0
	exitSettings = 2
	exitRefused  = 3
)

// What the worker keeps is small and short-lived: collecting often costs little, and memory is the tasks'.
const (
	collectPercent = 50
	memoryBytes    = 24 << 20
)

const program = "crosswind-go-worker"

func main() { os.Exit(run()) }

func run() int {
	place, err := discovery.Here()
	var given *settings.Settings
	if err == nil {
		given, err = settings.Read(os.Args[1:], place)
	}
	if err != nil {
		return explain(err)
	}
	if len(given.Files) == 0 && len(given.Folders) == 0 {
		fmt.Fprintf(os.Stderr, "%s: There is nothing to run: name a folder of packed bundles with --dags, or a packed bundle "+
			"with --bundle.\n", program)
		return exitSettings
	}
	keepSmall()
	log := newLog(given.LogFormat, given.LogLevel)
	var speak *tls.Config
	if given.Trust != nil {
		speak = given.Trust.Config()
	}
	roles := make([]worker.Role, len(given.Roles))
	for i, role := range given.Roles {
		roles[i] = worker.Role(role)
	}
	made := worker.New(worker.Config{
		Server: given.Server.Address, ServerSource: given.Server.Source, TokenFile: given.TokenFile, TLS: speak,
		Bundles: given.Files, Folders: given.Folders, Queues: given.Queues, Roles: roles,
		Slots: given.Slots, Labels: given.Labels,
		Name: given.Name, StateDir: given.StateDir, Sync: given.Sync,
		DrainTimeout: given.DrainTimeout, StartTimeout: given.StartTimeout, Logger: slog.New(log),
	})
	go obey(made)
	err = made.Run(context.Background())
	if err != nil {
		return explain(err)
	}
	return exitDrained
}

// obey drains at the first signal, and ends the running tasks at further ones.
func obey(made *worker.Worker) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
	made.Drain()
	for range signals {
		made.Stop()
	}
}

func explain(err error) int {
	var shown *settings.Shown
	var usage *settings.Usage
	var refused *worker.RefusedError
	var inUse *worker.StateFolderInUseError
	switch {
	case errors.As(err, &shown) && shown.Version:
		fmt.Printf("%s %s\n", program, registration.Version)
		return exitDrained
	case errors.As(err, &shown):
		fmt.Print(shown.Text)
		return exitDrained
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, usage)
		return exitSettings
	case errors.As(err, &refused), errors.As(err, &inUse):
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		return exitRefused
	default:
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		return exitSettings
	}
}

func keepSmall() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryBytes)
	}
}
