"""Runs that begin: their task instances are made, and then the first tasks judged, in pieces where there are many.
[SCHED-1]

Here belong making and judging. When a run may begin is decided in `active_runs`.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.plan import DagPlan
from crosswind_server.domain.states import TERMINAL_RUN_STATES, RunState
from crosswind_server.services.flow import alarms
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.rows import Run, new_instance

MAKE: Final = "make"
"""Kind of a continuation: make the instances of the run's tasks from `position` on."""
START: Final = "start"
"""Kind of a continuation: judge the first tasks of the run, from `position` in `DagPlan.roots` on. Its detail is the
version."""


def make_tasks(board: Board, run: Run) -> None:
    """Make the task instances of a new run, at most a piece at once; `run.unmade` says how many are left for later."""
    run.unmade = len(board.plan_of(run).tasks)
    _make_piece(board, run, first=0)


def unmade_of(plan: DagPlan) -> int:
    """Of how many tasks the instances are left for later when a run is new."""
    return max(0, len(plan.tasks) - PIECE)


def start_run(board: Board, run: Run) -> None:
    """Judge the first tasks of a run that may begin, at most a piece at once; `progress.advance` is to follow.

    Args:
        run: locked or new; all its instances are made (`run.unmade` is 0), and it is called once a run.
    """
    _start_piece(board, run, first=0)


def go_on_making(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `MAKE`; a run whose last instances this makes may begin."""
    run = board.runs[piece.subject_id]
    # Where it was cleared into another version meanwhile, that made them.
    if not _is_over(run) and run.unmade:
        _make_piece(board, run, first=piece.position)
        if not run.unmade:
            alarms.ask_promotion(board.uow, [(run.team, run.dag_id)])


def go_on_starting(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `START`."""
    run = board.runs[piece.subject_id]
    # Where it was cleared into another version meanwhile, that judges them.
    if not _is_over(run) and piece.detail_json == run.dag_version_id:
        _start_piece(board, run, first=piece.position)


def _is_over(run: Run) -> bool:
    return run.final_state is not None or RunState(run.state) in TERMINAL_RUN_STATES


def _make_piece(board: Board, run: Run, *, first: int) -> None:
    plan = board.plan_of(run)
    tasks = plan.tasks[first : first + PIECE]
    for task in tasks:
        board.add(new_instance(run, task, now=board.uow.now, offer_key=plan.offer_key_for(task)))
    run.unmade -= len(tasks)
    if run.unmade:
        board.leave_for(MAKE, run.id, run.id, first + len(tasks))


def _start_piece(board: Board, run: Run, *, first: int) -> None:
    roots = board.plan_of(run).roots
    piece = roots[first : first + PIECE]
    keys = [(run.id, index) for index in piece]
    board.load_tasks(keys)
    for key in keys:
        board.judge(board.tasks[key])
    if first + len(piece) < len(roots):
        board.leave_for(START, run.id, run.id, first + len(piece), detail_json=run.dag_version_id)
