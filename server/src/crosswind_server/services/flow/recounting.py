"""How a task instance counts its upstream tasks: one by one as they end, or all anew where that was undone. [SCHED-2]

Here belongs what a counter means. `progress` counts ends as they happen; after a clear or a mark the counters of those
that wait are computed from the states of their upstream tasks, which gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from crosswind_server.domain.plan import TaskPlan
from crosswind_server.domain.readiness import TriggerRule
from crosswind_server.domain.states import TERMINAL_TASK_STATES, TaskState
from crosswind_server.services.flow.board import Board, Instance
from crosswind_server.store import continuations

ADVANCE: Final = "advance"
"""Kind of a continuation: tell the successors of the subject, from `position` on in its plan's order. Its detail is the
end of which they are told: a task that was cleared meanwhile, and ended again, has told them anew."""


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
        case TaskState.FAILED | TaskState.UPSTREAM_FAILED:
            summary.instances_failed += by
        case _:
            pass


def recount(board: Board, waiting: Iterable[Instance], *, undone: Collection[str] = ()) -> list[Instance]:
    """Compute the counters of instances that wait anew, from how their upstream tasks stand; answers these instances.

    What an upstream task is still to tell by a continuation is left for that to count.

    Args:
        undone: ids of tasks that are about to run again, though their states do not say so yet.
    """
    chosen = [each for each in waiting if each.state == TaskState.WAITING]
    keys = {(each.run_key, index): None for each in chosen for index in board.task_of(each).upstream}
    board.load_tasks(keys)
    untold = _untold(board, {each.run_key for each in chosen}) if keys else {}
    for each in chosen:
        task = board.task_of(each)
        each.upstream_succeeded = each.upstream_failed = each.upstream_skipped = 0
        for index in task.upstream:
            upstream = board.tasks.get((each.run_key, index))
            if (
                upstream is not None
                and upstream.id not in undone
                and _has_told(board, upstream, each.task_index, untold)
            ):
                count_end(each, task, TaskState(upstream.state))
        board.touch(each)
    return chosen


def _has_told(board: Board, upstream: Instance, index: int, untold: dict[tuple[str, int], int]) -> bool:
    if TaskState(upstream.state) not in TERMINAL_TASK_STATES:
        return False
    position = untold.get((upstream.id, upstream.end_time or 0))
    return position is None or index not in board.task_of(upstream).downstream[position:]


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
