"""Whether a task may run, by counting how its upstream tasks ended. [SCHED-2]

Here belong trigger rules, the state of a mapped task and the end of a run. The counters are kept by the store; nothing
here searches a graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from crosswind_server.domain.states import RunState, TaskState


class TriggerRule(StrEnum):
    """When a task runs, named as in Airflow 3."""

    ALL_SUCCESS = "all_success"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALL_DONE_MIN_ONE_SUCCESS = "all_done_min_one_success"
    ALL_SKIPPED = "all_skipped"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ONE_DONE = "one_done"
    NONE_FAILED = "none_failed"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"
    NONE_SKIPPED = "none_skipped"
    ALWAYS = "always"


class Readiness(StrEnum):
    """What becomes of a waiting task."""

    WAIT = "wait"
    RUN = "run"
    SKIP = "skip"
    UPSTREAM_FAILED = "upstream_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many of a set of task instances ended how. A REMOVED one belongs to no set: it leaves `total`."""

    total: int
    succeeded: int = 0
    failed: int = 0
    upstream_failed: int = 0
    skipped: int = 0
    cancelled: int = 0

    def __post_init__(self) -> None:
        ended = (self.succeeded, self.failed, self.upstream_failed, self.skipped, self.cancelled)
        if min(ended) < 0 or sum(ended) > self.total:
            raise ValueError(f"more task instances have ended than there are: {self}")

    @staticmethod
    def of(states: Iterable[TaskState]) -> Counts:
        """Count states of instances that have all ended; one that was removed counts as failed."""
        found = Counter(states)
        good = {
            name: found.pop(TaskState(name), 0) for name in ("succeeded", "upstream_failed", "skipped", "cancelled")
        }
        failed = found.total()
        return Counts(total=failed + sum(good.values()), failed=failed, **good)

    def counting(self, ended: TaskState, by: int = 1) -> Counts:
        """The same after one more of them ended, or with -1 before; a state that is no end changes nothing."""
        succeeded, failed, upstream_failed = self.succeeded, self.failed, self.upstream_failed
        skipped, cancelled = self.skipped, self.cancelled
        match ended:
            case TaskState.SUCCEEDED:
                succeeded += by
            case TaskState.FAILED:
                failed += by
            case TaskState.UPSTREAM_FAILED:
                upstream_failed += by
            case TaskState.SKIPPED:
                skipped += by
            case TaskState.CANCELLED:
                cancelled += by
            case _:
                return self
        return Counts(
            total=self.total,
            succeeded=succeeded,
            failed=failed,
            upstream_failed=upstream_failed,
            skipped=skipped,
            cancelled=cancelled,
        )

    @property
    def bad(self) -> int:
        """Those that count as failed for a successor; a cancelled one does."""
        return self.failed + self.upstream_failed + self.cancelled

    @property
    def done(self) -> int:
        """Those that ended, however."""
        return self.succeeded + self.skipped + self.bad


def judge(rule: TriggerRule, upstream: Counts) -> Readiness:
    """What a task with this trigger rule does, given its direct upstream tasks.

    Follows Airflow 3's `TriggerRuleDep`: a rule that can no longer be met decides at once, without waiting for the
    rest, and `ALL_DONE_MIN_ONE_SUCCESS` does not take a skipped task for done. A task without upstream runs.
    A mapped upstream task counts once, by its state of `mapped_state`.
    """
    c = upstream
    if c.total == 0 or rule is TriggerRule.ALWAYS:
        return Readiness.RUN
    all_done = c.done == c.total
    run = Readiness.RUN if all_done else Readiness.WAIT
    match rule:
        case TriggerRule.ALL_SUCCESS:
            if c.bad:
                return Readiness.UPSTREAM_FAILED
            return Readiness.SKIP if c.skipped else run
        case TriggerRule.ALL_FAILED:
            return Readiness.SKIP if c.succeeded or c.skipped else run
        case TriggerRule.ALL_DONE:
            return run
        case TriggerRule.ALL_DONE_MIN_ONE_SUCCESS:
            if c.skipped:
                return Readiness.SKIP
            return Readiness.UPSTREAM_FAILED if all_done and not c.succeeded else run
        case TriggerRule.ALL_SKIPPED:
            return Readiness.SKIP if c.succeeded or c.bad else run
        case TriggerRule.ONE_SUCCESS:
            if c.succeeded:
                return Readiness.RUN
            if not all_done:
                return Readiness.WAIT
            return Readiness.SKIP if c.skipped == c.total else Readiness.UPSTREAM_FAILED
        case TriggerRule.ONE_FAILED:
            if c.bad:
                return Readiness.RUN
            return Readiness.SKIP if all_done else Readiness.WAIT
        case TriggerRule.ONE_DONE:
            if c.succeeded or c.failed or c.cancelled:
                return Readiness.RUN
            return Readiness.SKIP if all_done else Readiness.WAIT
        case TriggerRule.NONE_FAILED:
            return Readiness.UPSTREAM_FAILED if c.bad else run
        case TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
            if c.bad:
                return Readiness.UPSTREAM_FAILED
            return Readiness.SKIP if c.skipped == c.total else run
        case TriggerRule.NONE_SKIPPED:
            return Readiness.SKIP if c.skipped else run


def mapped_state(instances: Counts) -> TaskState:
    """The state of a mapped task that its instances replaced: EXPANDED until all have ended.

    The worst end counts: FAILED, UPSTREAM_FAILED, CANCELLED, then SUCCEEDED if any succeeded. SKIPPED if every
    instance was skipped, or if it was mapped over nothing, as in Airflow.
    """
    if instances.done < instances.total:
        return TaskState.EXPANDED
    if instances.failed:
        return TaskState.FAILED
    if instances.upstream_failed:
        return TaskState.UPSTREAM_FAILED
    if instances.cancelled:
        return TaskState.CANCELLED
    return TaskState.SUCCEEDED if instances.succeeded else TaskState.SKIPPED


def run_state(tasks: Counts, leaves: Counts, *, cancel_requested: bool) -> RunState:
    """The state of a run that has begun.

    Args:
        tasks: all its tasks, a mapped task counted once.
        leaves: those without a downstream task. As in Airflow they alone decide: a failure that a later
            `all_done` task made good does not fail the run.
        cancel_requested: someone asked to cancel the run before it ended.

    Returns:
        RUNNING or CANCELLING until every task has ended; then CANCELLED if that was asked for, FAILED if any leaf
        failed, failed by its upstream or was cancelled on its own, else SUCCEEDED, also for a run without tasks.
    """
    if tasks.done < tasks.total:
        return RunState.CANCELLING if cancel_requested else RunState.RUNNING
    return ended_run_state(leaf_is_bad=leaves.bad > 0, cancel_requested=cancel_requested)


def ended_run_state(*, leaf_is_bad: bool, cancel_requested: bool) -> RunState:
    """The state of a run of which every task has ended; see `run_state`."""
    if cancel_requested:
        return RunState.CANCELLED
    return RunState.FAILED if leaf_is_bad else RunState.SUCCEEDED
