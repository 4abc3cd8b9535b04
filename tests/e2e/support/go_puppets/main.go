// Command puppets is a bundle whose DAGs stand behind its binary, as JSON: what a test says to tests/e2e/support/dags.py.
// It is built once; every DAG of every test is a copy with another end, and packed. Its tasks are puppets.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	v1 "crosswind.dev/go/bundle/bundlev1"
	"crosswind.dev/go/sdk"
)

// said is a DAG as a test says it.
type said struct {
	DagID   string     `json:"dag_id"`
	Tasks   []taskSaid `json:"tasks"`
	Version int        `json:"version"`
	Stage   string     `json:"stage"`
}

type taskSaid struct {
	Name        string          `json:"name"`
	After       []string        `json:"after"`
	Over        json.RawMessage `json:"over"` // a task's name or numbers
	Does        doesSaid        `json:"does"`
	Retries     int             `json:"retries"`
	RetryDelay  float64         `json:"retry_delay"`
	CancelGrace float64         `json:"cancel_grace"`
	Timeout     *float64        `json:"timeout"`
	OnPartition string          `json:"on_partition"`
	Alone       bool            `json:"alone"`
}

type doesSaid struct {
	Perform bool            `json:"perform"`
	Value   json.RawMessage `json:"value"`
	Note    *string         `json:"note"`
}

func main() {
	read, err := readSaid()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	v1.Serve(bundle{read}, v1.Name(read.DagID))
}

type bundle struct{ said *said }

// RegisterDags implements v1.Bundle.
func (b bundle) RegisterDags(dagbag v1.Registry) error {
	dag := dagbag.AddDag(b.said.DagID)
	added := map[string]sdk.Task{}
	for _, each := range b.said.Tasks {
		options := []sdk.TaskOption{
			sdk.ID(each.Name), sdk.Retries(each.Retries), sdk.RetryDelay(seconds(each.RetryDelay)),
			sdk.CancelGrace(seconds(each.CancelGrace)), sdk.OnPartition(sdk.PartitionPolicy(each.OnPartition)),
		}
		if each.Timeout != nil {
			options = append(options, sdk.Timeout(seconds(*each.Timeout)))
		}
		if each.Alone {
			options = append(options, sdk.Isolated())
		}
		var name string
		var numbers []int
		switch {
		case string(each.Over) == "null":
		case json.Unmarshal(each.Over, &name) == nil:
			options = append(options, sdk.Expand(added[name]))
		case json.Unmarshal(each.Over, &numbers) == nil:
			options = append(options, sdk.Expand(numbers))
		}
		for _, before := range each.After {
			options = append(options, sdk.After(added[before]))
		}
		added[each.Name] = dag.AddTask(b.said.task(each), options...)
	}
	return nil
}

// task is the function of a task.
func (s *said) task(each taskSaid) any {
	return func(
		ctx context.Context, client sdk.Client, log *slog.Logger, info sdk.TaskInfo, values ...json.RawMessage,
	) (any, error) {
		if each.Does.Note != nil {
			if err := note(*each.Does.Note, info); err != nil {
				return nil, err
			}
		}
		if each.Does.Perform {
			return (&puppet{client: client, log: log, version: s.Version}).perform(ctx, s.Stage, info, values)
		}
		return decode(each.Does.Value)
	}
}

// note tells that a task runs, in a file.
func note(path string, info sdk.TaskInfo) error {
	index := "-"
	if info.MapIndex >= 0 {
		index = fmt.Sprint(info.MapIndex)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = fmt.Fprintf(file, "%s %s %d\n", info.TaskID, index, info.TryNumber)
	return err
}

func seconds(number float64) time.Duration { return time.Duration(number * float64(time.Second)) }
