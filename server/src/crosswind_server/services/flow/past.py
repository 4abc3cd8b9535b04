"""Tasks that depend on the run before: they wait until it has ended well there. [SCHED-3]

Whether it has is looked at with both runs locked, by a continuation, since a transaction that holds one run never locks
another. Where it has not, the instance is noted with the task that it waits for, and that task's good end leaves the
continuation again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.decision import Past
from crosswind_server.domain.past import GOOD_ENDS, needed_before
from crosswind_server.domain.states import TaskState
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Instance, Run
from crosswind_server.store import past_waits, runs

PAST: Final = "past"
"""Kind of a continuation: let the subject go on if what it depends on in the run before ended well. Its detail names
that run, which is locked too."""


def standing_of(board: Board, instance: Instance) -> Past:
    """How an instance stands towards the run before, as far as that is known without looking."""
    if instance.id in board.past_is_fine or board.runs[instance.run_key].logical_time is None:
        return Past.FREE
    return Past.UNKNOWN


def look(board: Board, asking: Sequence[Instance]) -> list[Past]:
    """How instances stand towards the run before. Where there is one, a continuation looks at it."""
    previous = {run_key: runs.find_previous(board.uow, run_key) for run_key in {each.run_key for each in asking}}
    found = []
    for instance in asking:
        before = previous[instance.run_key]
        if before is not None:
            _leave(board, instance.run_key, instance.id, before)
        found.append(Past.FREE if before is None else Past.HELD)
    return found


def _leave(board: Board, run_key: str, instance_id: str, previous: str) -> None:
    board.leave_for(PAST, run_key, instance_id, detail_json=json.dumps({"runs": [previous]}))


def go_on(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `PAST`: both runs are locked and on the board."""
    board.load_instances({piece.subject_id})
    instance = board.instances[piece.subject_id]
    if instance.state != TaskState.WAITING:
        return
    previous = runs.find_previous(board.uow, instance.run_key)
    if previous is not None and previous not in board.runs:
        # Meanwhile a run came in between.
        _leave(board, instance.run_key, instance.id, previous)
        return
    if previous is not None:
        missing = _missing(board, instance, board.runs[previous])
        if missing:
            past_waits.add(board.uow, previous, missing, instance_id=instance.id, run_key=instance.run_key)
            board.runs[previous].awaited = True
            board.touch_run(board.runs[previous])
            # Who looks at its run sees why it waits.
            board.touch_run(board.runs[instance.run_key])
            return
    board.past_is_fine.add(instance.id)
    board.judge(instance)


def _missing(board: Board, instance: Instance, before: Run) -> list[str]:
    """The tasks of the run before that have not ended well, though the instance depends on them."""
    plan = board.plan_of(before)
    needed = needed_before(board.task_of(instance), plan)
    board.load_tasks((before.id, index) for index in needed)
    found = [(index, board.tasks.get((before.id, index))) for index in needed]
    return [plan.tasks[index].task_id for index, row in found if row is None or TaskState(row.state) not in GOOD_ENDS]


def tell(board: Board, ended: Iterable[Instance]) -> None:
    """Let those look again that wait for tasks of an earlier run which now ended well."""
    by_run: dict[str, list[str]] = {}
    for instance in ended:
        if board.runs[instance.run_key].awaited and instance.map_index < 0 and TaskState(instance.state) in GOOD_ENDS:
            by_run.setdefault(instance.run_key, []).append(instance.task_id)
    for run_key, task_ids in by_run.items():
        for row in past_waits.take(board.uow, run_key, task_ids):
            _leave(board, row.run_key, row.instance_id, run_key)
