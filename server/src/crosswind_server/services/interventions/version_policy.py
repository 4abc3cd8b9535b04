"""What happens to runs whose version no live worker offers any more. [SCHED-3]

Looked at whenever offers change. While no live worker offers the DAG's current version either, runs wait. A run changes
its version at once, and what waits of it then in pieces: whatever is made ready meanwhile follows the run. [SCHED-1]
A run that has ended is no exception as long as it has callbacks to run.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.plan import offer_key_of
from crosswind_server.domain.states import TaskState, Workload
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import progress
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.lost_versions import OUTDATED, why_not
from crosswind_server.services.flow.rows import Run
from crosswind_server.store import runs, stranded, task_instances
from crosswind_server.store.unit_of_work import UnitOfWork

STRANDED: Final = "stranded"
"""Kind of a continuation: look for further runs of a team, the subject, that lost their version. Its detail names the
bundles."""
VERSION: Final = "version"
"""Kind of a continuation: let what waits of a run, the subject, follow it into another version."""
MOST: Final = 100
"""So many runs change their version in one transaction at most."""


def apply(uow: UnitOfWork, plans: PlanCache, *, team: str, bundles: Collection[str]) -> None:
    """Let the stranded runs of the bundles' DAGs go on with the current version, or fail, as their DAGs say."""
    board = Board(uow, plans)
    if bundles:
        _apply(board, team, bundles)
    if board.runs:
        progress.advance(board)


def go_on_looking(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `STRANDED`."""
    _apply(board, piece.subject_id, json.loads(piece.detail_json)["bundles"])


def go_on_moving(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `VERSION`."""
    _move(board, board.runs[piece.subject_id], PIECE)


def _apply(board: Board, team: str, bundles: Collection[str]) -> None:
    found = stranded.lock_runs(board.uow, team, bundles, limit=MOST)
    budget = PIECE
    for row in found:
        run = Run(*tuple(row)[: len(runs.COLUMNS)])
        board.runs[run.id] = run
        run.code_version_id = row.current_version_id
        board.touch_run(run)
        budget -= _move(board, run, budget)
    if len(found) == MOST:
        board.leave_for(STRANDED, None, team, detail_json=json.dumps({"bundles": sorted(bundles)}))
    if found:
        board.uow.hint(f"work:{team}")


def _move(board: Board, run: Run, budget: int) -> int:
    """Let so many instances of a run follow it that wait in another version; answers how many did."""
    key = offer_key_of(run.code_version_id)
    own, code = board.plan_of(run), board.plans.get(board.uow, run.code_version_id)
    if budget <= 0:
        board.leave_for(VERSION, run.id, run.id)
        return 0
    rows, more = task_instances.lock_idle_elsewhere(board.uow, run.id, key, budget)
    for instance in board.put_rows(rows):
        if instance.workload == Workload.TIMETABLE:
            failure: bytes | None = OUTDATED
        else:
            failure = why_not(own, code, instance.task_id if instance.is_task else "")
        if failure is not None:
            board.end(instance, TaskState.FAILED, failure=failure)
        else:
            instance.offer_key = key
            board.touch(instance)
    if more:
        board.leave_for(VERSION, run.id, run.id)
    return len(rows)
