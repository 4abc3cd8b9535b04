"""How a task instance counts its upstream tasks: one by one as they end, or all anew where that was undone. [SCHED-2]

What a counter means is said in `domain.hearing`. `progress` counts ends as they happen; after a clear or a mark the
counters of those that wait are computed from the states of their upstream tasks, which gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from crosswind_server.domain import hearing
from crosswind_server.domain.hearing import NOTHING, End
from crosswind_server.domain.readiness import Counts
from crosswind_server.domain.skipping import read_skips
from crosswind_server.domain.states import TERMINAL_TASK_STATES, TaskState
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.facts import heard_of, remember
from crosswind_server.services.flow.rows import Instance
from crosswind_server.store import continuations

ADVANCE: Final = "advance"
"""Kind of a continuation: tell the successors of the subject, from `position` on in its plan's order. Its detail is the
end of which they are told: a task that was cleared meanwhile, and ended again, has told them anew."""


def successors_of(board: Board, ended: Instance) -> tuple[int, ...]:
    """Positions of the tasks that are told of an instance's end, in the order in which they are."""
    task = board.task_of(ended)
    return hearing.successors_of(task, map_index=ended.map_index, expanded=ended.instances_total > 0)


def hear(board: Board, successor: Instance, ended: Instance) -> None:
    """Let an instance that waits hear how one of its upstream tasks ended, or an expanded task of a mapped group, whose
    instances share what it hears."""
    plan = board.plan_of(board.runs[successor.run_key])
    task = plan.tasks[successor.task_index]
    if ended.task_index in task.guards:
        return  # It is no upstream task, and looked at when the successor could run otherwise.
    group = plan.groups[task.mapped_group] if task.mapped_group is not None and successor.map_index < 0 else None
    is_source = group is not None and ended.task_index in group.sources
    end = End(TaskState(ended.state), read_skips(ended.skips), is_source)
    remember(successor, hearing.hear(task, heard_of(successor), end))
    board.touch(successor)


def instances_of(summary: Instance) -> Counts:
    """How the instances of a mapped task ended, as its summary has counted them."""
    return Counts(
        total=summary.instances_total,
        succeeded=summary.instances_succeeded,
        failed=summary.instances_failed,
        upstream_failed=summary.instances_upstream_failed,
        skipped=summary.instances_skipped,
        cancelled=summary.instances_cancelled,
    )


def count_mapped_end(summary: Instance, ended: TaskState, *, by: int = 1) -> None:
    """Count the end of one instance of a mapped task in its summary, or with -1 take that back."""
    counts = instances_of(summary).counting(ended, by)
    summary.instances_succeeded = counts.succeeded
    summary.instances_failed = counts.failed
    summary.instances_upstream_failed = counts.upstream_failed
    summary.instances_skipped = counts.skipped
    summary.instances_cancelled = counts.cancelled


def recount(board: Board, waiting: Iterable[Instance], *, undone: Collection[str] = ()) -> list[Instance]:
    """Compute the counters of instances that wait anew, from how their upstream tasks stand; answers these instances.

    So it does for a task of a mapped group that is expanded, whose instances share what it counts. What an upstream
    task is still to tell by a continuation is left for that to count.

    Args:
        undone: ids of tasks that are about to run again, though their states do not say so yet.
    """
    chosen = [each for each in waiting if each.state == TaskState.WAITING or _is_shared(board, each)]
    places = {each.id: _counted_by(board, each) for each in chosen}
    board.load_all([place for several in places.values() for place in several])
    found = [board.at(*place) for several in places.values() for place in several]
    # Most often, and for new instances of a mapped group always, none has ended.
    ended = any(each is not None and each.ended for each in found)
    untold = _untold(board, {each.run_key for each in chosen}) if ended else {}
    for each in chosen:
        remember(each, NOTHING)
        board.touch(each)
        for place in places[each.id]:
            upstream = board.at(*place)
            if upstream is not None and upstream.id not in undone and _has_told(board, upstream, each, untold):
                hear(board, each, upstream)
    return chosen


def _is_shared(board: Board, instance: Instance) -> bool:
    expanded = instance.state == TaskState.EXPANDED and instance.map_index < 0
    return expanded and board.task_of(instance).mapped_group is not None


def _counted_by(board: Board, instance: Instance) -> list[tuple[str, int, int]]:
    """The places of the instances whose ends an instance counts itself."""
    places = hearing.counted_by(board.task_of(instance), instance.map_index)
    return [(instance.run_key, *place) for place in places]


def _has_told(board: Board, upstream: Instance, successor: Instance, untold: dict[tuple[str, int], int]) -> bool:
    state = TaskState(upstream.state)
    if state not in TERMINAL_TASK_STATES or (state is TaskState.REMOVED and upstream.map_index >= 0):
        return False
    successors = successors_of(board, upstream)
    position = untold.get((upstream.id, upstream.end_time or 0), len(successors))
    return successor.task_index in successors[:position]


def _untold(board: Board, run_keys: Collection[str]) -> dict[tuple[str, int], int]:
    """From which position on tasks are still to tell their successors of an end, by task instance and end."""
    left: Sequence[tuple[str, int, str | None]] = [
        *(
            (row.subject_id, row.position, row.detail_json)
            for row in continuations.of_runs(board.uow, run_keys, ADVANCE)
        ),
        *board.left_behind(ADVANCE),
    ]
    return {(subject_id, int(detail or 0)): position for subject_id, position, detail in left}
