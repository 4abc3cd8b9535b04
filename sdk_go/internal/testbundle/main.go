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

	registerEveryOption(dagbag)

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

// registerEveryOption adds a DAG that says all that can be said of one, for whoever reads manifests.
func registerEveryOption(dagbag v1.Registry) {
	every := dagbag.AddDag("every_option",
		v1.DisplayName("Every option"), v1.Description("Says all that can be said."), v1.Doc("# Every option"), v1.Owner("test"),
		v1.Tags("one", "two"), v1.PausedUponCreation(true), v1.FailWhenVersionGone(),
		v1.StrictAccess(v1.Access{Variables: []string{"my_*"}, Connections: []string{"warehouse"}, Dags: []string{"go_pipeline"}}),
		v1.Params(map[string]any{
			"month": v1.Param{Default: 1, Description: "of the year", Schema: map[string]any{"type": "integer", "maximum": 12}},
			"year":  v1.Param{Required: true},
			"plain": nil,
		}),
		v1.Defaults(sdk.Retries(1), sdk.Queue("go")),
	)
	first := every.AddTask(numbers, sdk.FromParam("month"), sdk.DisplayName("Numbers"), sdk.Doc("Counts."),
		sdk.Retries(3), sdk.RetryDelay(time.Second), sdk.RetryBackoff(2), sdk.MaxRetryDelay(time.Minute), sdk.RetryJitter(0.5),
		sdk.RetryRules(sdk.RetryRule{Types: []string{"*fs.PathError"}, Fail: true},
			sdk.RetryRule{Types: []string{"panic"}, Delay: time.Minute}),
		sdk.MaxLost(1), sdk.Timeout(time.Hour), sdk.CancelGrace(time.Second), sdk.Queue("big"), sdk.Slots(2), sdk.Priority(-1),
		sdk.OnPartition(sdk.Kill), sdk.Isolated(), sdk.Variables("my_variable"), sdk.Connections("warehouse"))
	mapped := every.AddTask(scale, sdk.Expand(first), sdk.Expand([]int{1, 2}), sdk.Trigger(sdk.AllDone))
	other := every.AddReference("python_bundle", "module:load", sdk.After(mapped), sdk.Named("limit", sdk.Arg(3)))
	every.AddTask(tell, sdk.Named("total", sdk.After(other)), sdk.Named("word", sdk.Arg("x")), sdk.Upstream(first))
	every.AddTask(nothing, sdk.After(first, other))
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
