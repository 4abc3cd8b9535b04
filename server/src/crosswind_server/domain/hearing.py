"""What a task instance hears of its upstream tasks, and what it remembers of that: counters, never a list. [SCHED-2]

Here belong what each counter means, who is told of an end, and of whom an instance hears. What becomes of an instance
by what it has heard is in `decision`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crosswind_server.domain.plan import TaskPlan
from crosswind_server.domain.readiness import TriggerRule
from crosswind_server.domain.skipping import Skips
from crosswind_server.domain.states import TaskState


@dataclass(frozen=True, slots=True)
class End:
    """How an upstream task ended, as its successors are told.

    Args:
        state: its final state.
        skips: which of its successors it skips; None: none.
        is_source: whether the mapped group around the one that hears is mapped over its output.
    """

    state: TaskState
    skips: Skips | None = None
    is_source: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What an instance remembers of the ends of which it was told.

    Args:
        succeeded, failed, skipped: of how many upstream tasks, as its trigger rule counts them.
        sources: how many of the tasks over whose outputs its mapped group is mapped are among them.
        skips: with `itself`, it is skipped itself; with `cascade`, all that comes after it is, once it has ended.
    """

    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    sources: int = 0
    skips: Skips | None = None


NOTHING: Final = Heard()
"""What an instance has heard that nobody has told anything."""


def hear(task: TaskPlan, heard: Heard, end: End) -> Heard:
    """What an instance remembers after it was told of one more end; the order in which it is told does not matter.

    A task of a mapped group that has been expanded hears of what is outside on behalf of all its instances.

    Args:
        task: of the instance that hears.
        heard: what it has heard before.
        end: of one of its upstream tasks.
    """
    succeeded, failed, skipped = heard.succeeded, heard.failed, heard.skipped
    match end.state:
        case TaskState.SUCCEEDED:
            succeeded += 1
        case TaskState.SKIPPED:
            skipped += 1
        case TaskState.UPSTREAM_FAILED if task.trigger_rule is TriggerRule.ONE_DONE:
            # For this rule alone a task that never ran is no end, failed upstream or skipped alike.
            skipped += 1
        case _:
            failed += 1
    skips = heard.skips if end.skips is None else _skipped_by(task, end.skips, heard.skips)
    return Heard(succeeded, failed, skipped, heard.sources + end.is_source, skips)


def _skipped_by(task: TaskPlan, told: Skips, before: Skips | None) -> Skips | None:
    itself, cascade = told.covers(task), told.cascade
    if not (itself or cascade):
        return before
    if before is not None:
        itself, cascade = itself or before.itself, cascade or before.cascade
    return Skips(None if cascade else frozenset(), cascade, itself)


def successors_of(task: TaskPlan, *, map_index: int, expanded: bool) -> tuple[int, ...]:
    """Positions of the tasks that are told of an instance's end, in the order in which they are.

    Those that it guards come last: they count nothing, and look at it anew.

    One of a mapped group's instances tells those of its own index. The task as a whole then tells who is outside; where
    it never had instances it tells all.

    Args:
        map_index: of the instance that ended; negative: the task as a whole.
        expanded: whether the task ever had instances.
    """
    if map_index >= 0:
        return task.inner_downstream + task.guarded
    downstream = task.outer_downstream if task.mapped_group is not None and expanded else task.downstream
    return downstream + task.guarded


def upstream_of(task: TaskPlan, map_index: int) -> list[tuple[int, int]]:
    """Positions and map indexes of what an instance waits for: in a mapped group, of those inside its own index."""
    return _at(task, task.upstream, map_index)


def setups_of(task: TaskPlan, map_index: int) -> list[tuple[int, int]]:
    """Positions and map indexes of the setups that an instance of a teardown tears down, or in whose scope it is."""
    return _at(task, task.setups if task.is_teardown else task.guards, map_index)


def _at(task: TaskPlan, indexes: tuple[int, ...], map_index: int) -> list[tuple[int, int]]:
    if map_index < 0:
        return [(index, -1) for index in indexes]
    inside = {*task.inner_upstream, *task.inner_guards}
    return [(index, map_index if index in inside else -1) for index in indexes]


def counted_by(task: TaskPlan, map_index: int) -> list[tuple[int, int]]:
    """Positions and map indexes of those whose ends an instance counts itself.

    One in a mapped group counts what is inside, at its own index; its task as a whole counts what is outside for all.
    """
    if map_index >= 0:
        return [(index, map_index) for index in task.inner_upstream]
    return [(index, -1) for index in task.upstream]
