"""The states of attempts, task instances, runs and workers, as the database stores them.

Here belong the names and the plain sets over them. What moves one state to another is in `lifecycle`, `retry` and
`readiness`.
"""

from __future__ import annotations

from enum import StrEnum


class AttemptState(StrEnum):
    """One try to run a task instance under one lease. The first three are live, the others have ended."""

    ASSIGNED = "assigned"
    """Leased to a worker that has not started it yet."""
    RUNNING = "running"
    """Started by its worker."""
    CANCELLING = "cancelling"
    """Running, but asked to end; only logs and the closing finish are accepted."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    DEFERRED = "deferred"
    """Left its worker to wait for a trigger; a later attempt resumes it."""
    RESCHEDULED = "rescheduled"
    """Left its worker to be tried again at a time it named, as sensors do."""
    AWAITING_INPUT = "awaiting_input"
    """Left its worker until a person answers."""
    CANCELLED = "cancelled"
    LOST = "lost"
    """Its lease expired or its worker went away while it ran; how it ended is unknown."""
    RETURNED = "returned"
    """Never started and went back to the queue, at no cost of a try."""


class TaskState(StrEnum):
    """A task instance: one task (or one instance of a mapped task) of one run."""

    WAITING = "waiting"
    """Its upstream tasks do not satisfy its trigger rule yet."""
    QUEUED = "queued"
    """Runnable; waits for a worker, a slot or a pool."""
    ASSIGNED = "assigned"
    RUNNING = "running"
    CANCELLING = "cancelling"
    UP_FOR_RETRY = "up_for_retry"
    UP_FOR_RESCHEDULE = "up_for_reschedule"
    DEFERRED = "deferred"
    AWAITING_INPUT = "awaiting_input"
    EXPANDED = "expanded"
    """A mapped task that its instances have replaced; it ends when they have."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    CANCELLED = "cancelled"
    REMOVED = "removed"
    """Not part of the run any more: its DAG version or its mapping no longer has it."""


class Workload(StrEnum):
    """What an instance runs. All but a task are for a task instance or a run, and no part of the graph."""

    TASK = "task"
    TRIGGER = "trigger"
    """The condition of a deferred task, in code."""
    CALLBACK = "callback"
    """What an author wants to happen after something happened to a run or a task instance."""
    TIMETABLE = "timetable"
    """An author's code that says the next dates of a DAG."""


class RunState(StrEnum):
    """A DAG run."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BackfillState(StrEnum):
    """A backfill."""

    RUNNING = "running"
    """It has runs to create, or runs that have not ended."""
    CANCELLING = "cancelling"

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WaitingReason(StrEnum):
    """Why a task that is not running waits. [SCHED-3]"""

    UPSTREAM = "upstream"
    """Upstream tasks have not finished."""
    PAST = "past"
    """It depends on the run before, in which something has not ended well."""
    PAUSED = "paused"
    """The DAG is paused."""
    NOT_BEFORE = "not_before"
    """A retry delay, a reschedule time or a trigger's time has not come."""
    CONCURRENCY = "concurrency"
    """The DAG or the task already runs as often at once as it may."""
    POOL = "pool"
    """Its pool has no free slot."""
    NO_WORKER = "no_worker"
    """No live worker offers this bundle version."""
    QUEUE = "queue"
    """Live workers offer the bundle, none of them serves the task's queue."""
    SLOTS = "slots"
    """Every worker that could run it is full."""
    CANCEL_PENDING = "cancel_pending"
    """A cancelled predecessor attempt has not been confirmed by its worker yet."""
    TRIGGER = "trigger"
    """Deferred: its trigger has not fired."""
    INPUT = "input"
    """A person has not answered yet."""
    LABELS = "labels"
    """Live workers offer the bundle and serve the queue, none of them has the labels, the role or the slots."""
    RUN = "run"
    """Its run is queued: as many runs of its DAG are active as may be."""


class WorkerState(StrEnum):
    """A worker instance, that is one process under a worker's name."""

    ACTIVE = "active"
    DRAINING = "draining"
    """Finishes what it holds and takes nothing new."""

    SUPERSEDED = "superseded"
    """A newer instance took over its name."""
    LOST = "lost"
    """Silent for longer than a lease lasts."""
    GONE = "gone"
    """Deregistered in good order."""


LIVE_TASK_STATES = frozenset({TaskState.ASSIGNED, TaskState.RUNNING, TaskState.CANCELLING})
"""States in which a task instance has a live attempt."""

TERMINAL_TASK_STATES = frozenset(
    {
        TaskState.SUCCEEDED,
        TaskState.FAILED,
        TaskState.SKIPPED,
        TaskState.UPSTREAM_FAILED,
        TaskState.CANCELLED,
        TaskState.REMOVED,
    }
)
"""States that a task instance leaves only when someone clears it."""

IDLE_TASK_STATES = frozenset(TaskState) - LIVE_TASK_STATES - TERMINAL_TASK_STATES
"""Not ended and without a live attempt: a cancel moves these to CANCELLED at once."""

TERMINAL_RUN_STATES = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})

STATE_OF_REST = {
    RunState.CANCELLED: TaskState.CANCELLED,
    RunState.SUCCEEDED: TaskState.SUCCEEDED,
    RunState.FAILED: TaskState.SKIPPED,
}
"""What becomes of the task instances of a run that have not ended when somebody stops it, by how the run then ends."""

TIMED_OUT = "timed_out"
"""How a run is stopped that lasted too long, beside the final states that a person gives it: it fails."""


def final_state_of(stopped_as: str) -> RunState:
    """How a run ends that is stopped so."""
    return RunState.FAILED if stopped_as == TIMED_OUT else RunState(stopped_as)


def rest_of(stopped_as: str) -> TaskState:
    """What becomes of the task instances that have not ended then. Nobody meant to skip those of one that timed out."""
    return TaskState.CANCELLED if stopped_as == TIMED_OUT else STATE_OF_REST[RunState(stopped_as)]


LIVE_WORKER_STATES = frozenset({WorkerState.ACTIVE, WorkerState.DRAINING})
"""States in which a worker instance may hold leases."""
