// Command testbundle is a bundle for tests of whatever runs bundles: a task for each way in which one can end.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	v1 "crosswind.dev/go/bundle/bundlev1"
	"crosswind.dev/go/sdk"
)

type testBundle struct{}

// RegisterDags implements v1.Bundle.
func (*testBundle) RegisterDags(dagbag v1.Registry) error {
	tutorial := dagbag.AddDag("tutorial_dag", v1.Description("Reads a variable."), v1.Tags("test"))
	tutorial.AddTask(transform)

	pipeline := dagbag.AddDag("go_pipeline", v1.Params(map[string]any{"factor": 10}))
	numbers := pipeline.AddTask(numbers, sdk.Arg(4))
	scaled := pipeline.AddTask(scale, sdk.Expand(numbers), sdk.FromParam("factor"))
	total := pipeline.AddTask(total, sdk.After(scaled))
	pipeline.AddTask(tell, sdk.Named("total", sdk.After(total)), sdk.Named("word", sdk.Arg("sum")))

	dagbag.AddTask(nothing)
	dagbag.AddTask(fail)
	dagbag.AddTask(panics)
	dagbag.AddTask(exits)
	dagbag.AddTask(crash)
	dagbag.AddTask(waits)
	dagbag.AddTask(stubborn)
	dagbag.AddTask(skips)
	dagbag.AddTask(printAndLog)
	dagbag.AddTask(large)
	dagbag.AddTask(echo)
	dagbag.AddTask(pid)
	dagbag.AddTask(environment)
	dagbag.AddTask(secret)
	return nil
}

func transform(ctx context.Context, client sdk.VariableClient, log *slog.Logger) error {
	val, err := client.GetVariable(ctx, "my_variable")
	if err != nil {
		return err
	}
	log.Info("Obtained variable", "my_variable", val)
	return nil
}

func numbers(count int) ([]int, error) {
	made := make([]int, count)
	for index := range made {
		made[index] = index + 1
	}
	return made, nil
}

func scale(number, factor int) (int, error) { return number * factor, nil }

func total(numbers []int) (int, error) {
	sum := 0
	for _, number := range numbers {
		sum += number
	}
	return sum, nil
}

type told struct {
	Total int    `crosswind:"total"`
	Word  string `crosswind:"word"`
}

func tell(log *slog.Logger, told told) (string, error) {
	log.Info("The total", "total", told.Total)
	return fmt.Sprintf("%s is %d", told.Word, told.Total), nil
}

func nothing() error { return nil }

func fail(ctx context.Context) error {
	return fmt.Errorf("loading: %w", &fs.PathError{Op: "open", Path: "/data/missing", Err: fs.ErrNotExist})
}

func panics(values []int) (int, error) { return values[len(values)], nil }

func exits(code int) error {
	fmt.Fprintln(os.Stderr, "exits: last words")
	os.Exit(code)
	return nil
}

func crash(ctx context.Context) error {
	go func() { panic("a goroutine of the task panicked") }()
	<-ctx.Done()
	return ctx.Err()
}

// waits until it is cancelled.
func waits(ctx context.Context, log *slog.Logger) error {
	log.Info("Waiting")
	<-ctx.Done()
	return context.Cause(ctx)
}

// stubborn does not care whether it is cancelled.
func stubborn(log *slog.Logger, seconds float64) error {
	log.Info("Not listening")
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	return nil
}

func skips() error { return sdk.Skip("there is nothing to do") }

func printAndLog(log *slog.Logger) error {
	fmt.Println("printed to standard output")
	fmt.Fprintln(os.Stderr, "printed to standard error")
	for number := range 100 {
		log.Info("record", "number", number)
	}
	log.Warn("careful", slog.Group("where", "file", "x.csv", "line", 3))
	return nil
}

func large(bytes int) (string, error) { return strings.Repeat("x", bytes), nil }

func echo(value any) (any, error) { return value, nil }

func pid() (int, error) { return os.Getpid(), nil }

func environment() ([]string, error) { return os.Environ(), nil }

func secret(ctx context.Context, client sdk.Client, log *slog.Logger) error {
	connection, err := client.GetConnection(ctx, "warehouse")
	if err != nil {
		return err
	}
	log.Info("The password is " + connection.Password)
	fmt.Println("the password is " + connection.Password)
	return errors.New("cannot log in with " + connection.Password)
}

func main() { v1.Serve(&testBundle{}, v1.Name("go-test")) }
