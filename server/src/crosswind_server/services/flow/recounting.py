"""How a task instance counts its upstream tasks: one by one as they end, or all anew where that was undone. [SCHED-2]

Here belongs what a counter means. `progress` counts ends as they happen; after a clear or a mark the counters of those
that wait are computed from the states of their upstream tasks, which gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from crosswind_server.domain.plan import TaskPlan
from crosswind_server.domain.readiness import TriggerRule
from crosswind_server.domain.skipping import Skips, read_skips
from crosswind_server.domain.states import TERMINAL_TASK_STATES, TaskState
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Instance
from crosswind_server.store import continuations

ADVANCE: Final = "advance"
"""Kind of a continuation: tell the successors of the subject, from `position` on in its plan's order. Its detail is the
end of which they are told: a task that was cleared meanwhile, and ended again, has told them anew."""


def successors_of(board: Board, ended: Instance) -> tuple[int, ...]:
    """Positions of the tasks that are told of an instance's end, in the order in which they are.

    One of a mapped group's instances tells those of its own index. The task as a whole then tells who is outside; where
    it never had instances it tells all.
    """
    task = board.task_of(ended)
    if ended.map_index >= 0:
        return task.inner_downstream
    return task.outer_downstream if task.mapped_group is not None and ended.instances_total else task.downstream


def hear(board: Board, successor: Instance, ended: Instance) -> None:
    """Let an instance that waits hear how one of its upstream tasks ended: it counts it, or is skipped by it."""
    task = board.task_of(successor)
    skips = read_skips(ended.skips)
    if skips is not None and skips.covers(task):
        board.end(successor, TaskState.SKIPPED, skips=skips.onward)
        return
    if skips is not None and skips.cascade:
        # A teardown runs nevertheless; what comes after it is skipped when it has ended.
        successor.skips = skips.onward
    count_end(successor, task, TaskState(ended.state))
    group = task.mapped_group
    if group is not None and successor.map_index < 0:
        plan = board.plan_of(board.runs[successor.run_key])
        successor.sources_ended += ended.task_index in plan.groups[group].sources
    board.touch(successor)


def hear_outside(board: Board, whole: Instance, ended: Instance) -> None:
    """Let an expanded task of a mapped group hear how a task outside ended; its instances share what it counts."""
    task = board.task_of(whole)
    skips = read_skips(ended.skips)
    if skips is not None and skips.covers(task):
        whole.skips = Skips(None if skips.cascade else frozenset(), skips.cascade, itself=True).to_json()
    elif skips is not None and skips.cascade:
        whole.skips = skips.onward
    count_end(whole, task, TaskState(ended.state))
    board.touch(whole)


def count_end(successor: Instance, task: TaskPlan, ended: TaskState) -> None:
    """Count the end of one upstream task.

    Args:
        successor: the instance that counts.
        task: its task.
        ended: how the upstream task ended.
    """
    match ended:
        case TaskState.SUCCEEDED:
            successor.upstream_succeeded += 1
        case TaskState.SKIPPED:
            successor.upstream_skipped += 1
        case TaskState.UPSTREAM_FAILED if task.trigger_rule is TriggerRule.ONE_DONE:
            # For this rule alone a task that never ran is no end, failed upstream or skipped alike.
            successor.upstream_skipped += 1
        case _:
            successor.upstream_failed += 1


def count_mapped_end(summary: Instance, ended: TaskState, *, by: int = 1) -> None:
    """Count the end of one instance of a mapped task in its summary, or with -1 take that back."""
    match ended:
        case TaskState.SUCCEEDED:
            summary.instances_succeeded += by
        case TaskState.SKIPPED:
            summary.instances_skipped += by
        case TaskState.CANCELLED:
            summary.instances_cancelled += by
        case TaskState.FAILED:
            summary.instances_failed += by
        case TaskState.UPSTREAM_FAILED:
            summary.instances_upstream_failed += by
        case _:
            pass


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
        shared = each.state == TaskState.EXPANDED
        each.upstream_succeeded = each.upstream_failed = each.upstream_skipped = 0
        each.sources_ended = each.sources_ended if shared else 0
        each.skips = None
        board.touch(each)
        for place in places[each.id]:
            upstream = board.at(*place)
            if upstream is None or upstream.id in undone or each.ended:
                continue
            if _has_told(board, upstream, each.task_index, untold):
                (hear_outside if shared else hear)(board, each, upstream)
    return chosen


def _is_shared(board: Board, instance: Instance) -> bool:
    expanded = instance.state == TaskState.EXPANDED and instance.map_index < 0
    return expanded and board.task_of(instance).mapped_group is not None


def _counted_by(board: Board, instance: Instance) -> list[tuple[str, int, int]]:
    """The places of the instances whose ends an instance counts itself."""
    task = board.task_of(instance)
    if instance.map_index >= 0:
        return [(instance.run_key, index, instance.map_index) for index in task.inner_upstream]
    return [(instance.run_key, index, -1) for index in task.upstream]


def _has_told(board: Board, upstream: Instance, index: int, untold: dict[tuple[str, int], int]) -> bool:
    state = TaskState(upstream.state)
    if state not in TERMINAL_TASK_STATES or (state is TaskState.REMOVED and upstream.map_index >= 0):
        return False
    successors = successors_of(board, upstream)
    position = untold.get((upstream.id, upstream.end_time or 0), len(successors))
    return index in successors[:position]


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
