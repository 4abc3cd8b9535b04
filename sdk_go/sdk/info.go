package sdk

import (
	"fmt"
	"time"
)

// TaskInfo is what a running task knows of itself. A task function takes it by value.
type TaskInfo struct {
	// DagID, RunID and TaskID name the task instance.
	DagID, RunID, TaskID string
	// MapIndex is the instance of a mapped task, from 0; -1 where the task is not mapped.
	MapIndex int
	// TryNumber is the number of the try, from 1, and MaxTries what the retry policy allows in all.
	TryNumber, MaxTries int
	// AttemptID is good as an idempotency key for outside systems.
	AttemptID string
	// Bundle and BundleVersion are those of the code that runs.
	Bundle, BundleVersion string
	// RunType is how the run came to be: manual, scheduled, backfill or asset.
	RunType string
	// LogicalTime is the moment that the run stands for, UTC. Zero: none.
	LogicalTime time.Time
	// DataIntervalStart and DataIntervalEnd are the span of data that the run covers, UTC. Zero: none.
	DataIntervalStart, DataIntervalEnd time.Time
	// Conf are the run's parameters as given, Params the same with the defaults that the DAG declares.
	Conf, Params Params
}

// Param is a run's parameter as a T. One that is not there, or is no T, is an error.
func Param[T any](info TaskInfo, name string) (T, error) {
	var value T
	found, err := info.Params.Get(name, &value)
	if err == nil && !found {
		err = fmt.Errorf("run '%s' of DAG '%s' has no parameter '%s'; declare it with v1.Params, or give it to the run",
			info.RunID, info.DagID, name)
	}
	return value, err
}
