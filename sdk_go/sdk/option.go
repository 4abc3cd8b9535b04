package sdk

import (
	"time"

	"crosswind.dev/go/internal/spec"
)

// ID is the task's name in its DAG: 1 to 250 letters, digits, '_', '-' and '.'. By default it is the function's; a closure
// has none.
func ID(id string) TaskOption { return option(func(task *spec.Task) { task.ID = &id }) }

// DisplayName is what people see instead of the id.
func DisplayName(name string) TaskOption {
	return option(func(task *spec.Task) { task.DisplayName = name })
}

// Doc is documentation, Markdown.
func Doc(markdown string) TaskOption { return option(func(task *spec.Task) { task.Doc = markdown }) }

// Retries is how many further tries follow a first one that failed, 0 to 1,000. By default 0.
func Retries(count int) TaskOption { return option(func(task *spec.Task) { task.Retries = &count }) }

// RetryDelay is the delay before the second try. By default 5 minutes.
func RetryDelay(delay time.Duration) TaskOption {
	return option(func(task *spec.Task) { task.RetryDelay = &delay })
}

// RetryBackoff is the factor, at least 1, by which the delay grows from try to try. By default the delay is constant.
func RetryBackoff(factor float64) TaskOption {
	return option(func(task *spec.Task) { task.RetryMultiplier = &factor })
}

// MaxRetryDelay is the longest delay. By default 24 hours.
func MaxRetryDelay(delay time.Duration) TaskOption {
	return option(func(task *spec.Task) { task.MaxRetryDelay = &delay })
}

// RetryJitter is the part of the delay that is random, 0 to 1. By default 0.
func RetryJitter(part float64) TaskOption {
	return option(func(task *spec.Task) { task.RetryJitter = &part })
}

// RetryRule says what is done with failures of some types, see [RetryRules].
type RetryRule struct {
	// Types are names of error types as %T prints them, such as "*fs.PathError". The type of an error that another one
	// wraps matches too.
	Types []string
	// Fail ends the task at once instead of trying again.
	Fail bool
	// Delay is the one before the next try. 0: as the task says.
	Delay time.Duration
}

// RetryRules are rules by the type of the failure; the first that matches decides.
func RetryRules(rules ...RetryRule) TaskOption {
	return option(func(task *spec.Task) {
		for _, rule := range rules {
			made := spec.RetryRule{FailureTypes: rule.Types, Fail: rule.Fail}
			if rule.Delay != 0 {
				made.Delay = &rule.Delay
			}
			task.RetryRules = append(task.RetryRules, made)
		}
	})
}

// MaxLost is how many attempts may be lost with their worker before the task fails; they are no tries. By default 3.
func MaxLost(count int) TaskOption { return option(func(task *spec.Task) { task.MaxLost = &count }) }

// Timeout is the execution timeout: a try that lasts longer fails. The task's context ends with [ErrTimeout].
func Timeout(limit time.Duration) TaskOption {
	return option(func(task *spec.Task) { task.Timeout = &limit })
}

// CancelGrace is how long a task may go on once its context is cancelled, before its process is closed to other tasks and
// killed as soon as these have ended. By default 10 seconds.
func CancelGrace(span time.Duration) TaskOption {
	return option(func(task *spec.Task) { task.CancelGrace = &span })
}

// Queue is the queue whose workers may run it. By default "default".
func Queue(name string) TaskOption { return option(func(task *spec.Task) { task.Queue = name }) }

// Slots is how many slots it takes of its worker, 1 to 10,000. By default 1.
func Slots(count int) TaskOption { return option(func(task *spec.Task) { task.Slots = &count }) }

// Priority decides which of the tasks that wait goes first: the greater. By default 0.
func Priority(weight int) TaskOption {
	return option(func(task *spec.Task) { task.Priority = &weight })
}

// TriggerRule says when a task runs, given how its direct upstream tasks ended.
type TriggerRule string

// The trigger rules, by Airflow's names.
const (
	AllSuccess              TriggerRule = "all_success"
	AllFailed               TriggerRule = "all_failed"
	AllDone                 TriggerRule = "all_done"
	AllDoneMinOneSuccess    TriggerRule = "all_done_min_one_success"
	OneSuccess              TriggerRule = "one_success"
	OneFailed               TriggerRule = "one_failed"
	OneDone                 TriggerRule = "one_done"
	NoneFailed              TriggerRule = "none_failed"
	NoneFailedMinOneSuccess TriggerRule = "none_failed_min_one_success"
	NoneSkipped             TriggerRule = "none_skipped"
	Always                  TriggerRule = "always"
	AllSkipped              TriggerRule = "all_skipped"
)

// Trigger is the rule by which the task runs. By default [AllSuccess].
func Trigger(rule TriggerRule) TaskOption {
	return option(func(task *spec.Task) { task.Trigger = string(rule) })
}

// PartitionPolicy says what is done with an attempt whose worker cannot reach the server.
type PartitionPolicy string

// The partition policies.
const (
	// RunOn lets it run on, perhaps beside its successor, whose results alone count.
	RunOn PartitionPolicy = "continue"
	// Kill ends it before a successor can start, for a task that must never run beside itself.
	Kill PartitionPolicy = "kill"
)

// OnPartition is what is done with an attempt whose worker cannot reach the server. By default [RunOn].
func OnPartition(policy PartitionPolicy) TaskOption {
	return option(func(task *spec.Task) { task.Partition = string(policy) })
}

// Isolated gives each attempt a process of its own, which other tasks can neither crash nor slow down. By default the
// tasks of a bundle share one.
func Isolated() TaskOption {
	return option(func(task *spec.Task) { task.Isolation = "process" })
}

// Variables names variables that it reads; they ride with its start, which saves a call each.
func Variables(keys ...string) TaskOption {
	return option(func(task *spec.Task) { task.Variables = append(task.Variables, keys...) })
}

// Connections names connections that it reads; they ride with its start, which saves a call each.
func Connections(ids ...string) TaskOption {
	return option(func(task *spec.Task) { task.Connections = append(task.Connections, ids...) })
}

// Upstream names tasks to wait for, for their order only: nothing of what they return is an input.
func Upstream(tasks ...Task) TaskOption {
	return option(func(task *spec.Task) {
		for _, each := range tasks {
			task.Upstream = append(task.Upstream, each)
		}
	})
}
