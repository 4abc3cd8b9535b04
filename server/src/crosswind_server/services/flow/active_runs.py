"""Which runs go on at once: as many of a DAG as it allows, the oldest first. A run is QUEUED until it begins.

Scheduled, asset and manual runs share the bound of their DAG; a backfill has its own. Those of a paused DAG do not
begin. A run that ended and is cleared takes a place like any other. The row of the DAG is locked before any run, so
that two servers do not both fill the last place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.states import RunState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import alarms, progress, run_limits, starting
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.rows import Run
from crosswind_server.store import active_runs as rows
from crosswind_server.store import backfills, dags, task_instances, timers
from crosswind_server.store.unit_of_work import UnitOfWork

MOST: Final = 50
"""So many runs begin in one transaction at most."""
RELEASE: Final = "release"
"""Kind of a continuation: let workers be given what became ready in the subject, a run, before it began."""


def promote(board: Board, dag: Row[Any], *, backfills: bool = False, most: int = MOST) -> int:
    """Let queued runs of a DAG begin, as many as may; answers how many. `progress.advance` is to follow.

    What one transaction cannot do is left for the next.

    Args:
        board: holds no lock but that of DAGs, and of runs that it made itself.
        dag: its row, locked.
        backfills: whether runs of backfills are looked at too: there are queued ones only after the DAG was paused, or
            where they were cleared.
        most: so many at most.
    """
    uow = board.uow
    if dag.paused:
        return 0
    plan = board.plans.get(uow, dag.current_version_id)
    free = plan.max_active_runs - rows.count_going(uow, dag.team, dag.dag_id)
    ids = list(_oldest(uow, dag, backfills=False, most=min(free, most))) if free > 0 else []
    if backfills and len(ids) < most:
        ids += _oldest(uow, dag, backfills=True, most=most - len(ids))
    own = [run_id for run_id in ids if run_id in board.runs]
    claimed = rows.claim_queued(uow, [run_id for run_id in ids if run_id not in board.runs])
    board.take(claimed)
    chosen = sorted([*own, *(row.id for row in claimed)])
    begun = begin(board, [board.runs[run_id] for run_id in chosen], waited={row.id for row in claimed})
    if len(begun) < len(ids) or len(ids) == most:
        # There may be more than one transaction begins; and what another one has locked is looked at again soon.
        alarms.ask_promotion(uow, [(dag.team, dag.dag_id)], soon=len(chosen) < len(ids))
    return len(begun)


def _oldest(uow: UnitOfWork, dag: Row[Any], *, backfills: bool, most: int) -> Sequence[str]:
    if not backfills:
        return rows.oldest_queued(uow, dag.team, dag.dag_id, most=most)
    left: dict[str, int] = {}
    ids = []
    for row in rows.oldest_of_backfills(uow, dag.team, dag.dag_id, most=most):
        left[row.backfill_id] = left.get(row.backfill_id, row.free) - 1
        if left[row.backfill_id] >= 0:
            ids.append(row.id)
    return ids


def has_place(board: Board, dag: Row[Any], run: Run) -> bool:
    """Whether a run that has ended may go on at once.

    Args:
        dag: its row, locked before the run was.
    """
    if dag.paused:
        return False
    if run.backfill_id is not None:
        (of,) = backfills.find(board.uow, [run.backfill_id])
        bound: int = of.max_active_runs
        return rows.count_going_of_backfill(board.uow, run.backfill_id) < bound
    plan = board.plans.get(board.uow, dag.current_version_id)
    return rows.count_going(board.uow, dag.team, dag.dag_id) < plan.max_active_runs


def begin(board: Board, chosen: Sequence[Run], *, waited: Collection[str] = ()) -> Sequence[Run]:
    """Let queued runs begin, in this order, until a transaction has changed as many rows as it may; answers those.

    They are locked or new, and all their instances are made. `progress.advance` is to follow.

    Args:
        waited: ids of those that are not new: tasks of theirs may be ready, because a person marked or cleared them.
    """
    begun: list[Run] = []
    changed = 0
    for run in chosen:
        changed += min(len(board.plan_of(run).roots), PIECE) + 1
        if begun and changed > PIECE:
            break
        run.state = RunState.RUNNING.value
        run.start_time = board.uow.now
        board.touch_run(run)
        begun.append(run)
    # Before anything of them is read, since a board writes instances as they were when it read them.
    _release(board, [run for run in begun if run.id in waited])
    for run in begun:
        starting.start_run(board, run)
    run_limits.set_for_started(board, begun)
    return begun


def go_on_releasing(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `RELEASE`."""
    _release(board, [board.runs[piece.subject_id]])


def _release(board: Board, chosen: Sequence[Run]) -> None:
    """Let workers be given what became ready in runs before they began; a piece of it. [SCHED-1]"""
    if not chosen:
        return
    # Of any of them: one that was cleared as a whole has as many unfinished tasks as a new one.
    more = task_instances.release(board.uow, [run.id for run in chosen], limit=PIECE)
    for run in chosen:
        board.admit_in(run.id)
        board.uow.hint(f"work:{run.team}")
        if more:
            board.leave_for(RELEASE, run.id, run.id)


class ActiveRuns:
    """Works off what was asked for, in transactions that somebody else commits."""

    def __init__(self, plans: PlanCache) -> None:
        self._plans = plans

    def ring(self, uow: UnitOfWork, subjects: Sequence[str]) -> None:
        """Let queued runs of DAGs begin, and schedules go on that waited for room."""
        board = Board(uow, self._plans)
        begun = 0
        held: list[str] = []
        for dag in dags.lock_all(uow, [alarms.dag_of(subject) for subject in subjects]):
            if begun < MOST:
                begun += promote(board, dag, backfills=True, most=MOST - begun)
            else:
                alarms.ask_promotion(uow, [(dag.team, dag.dag_id)])
            if not dag.paused and dag.active and dag.next_run_time is not None and dag.next_run_time <= uow.now:
                held.append(alarms.subject_of(dag.team, dag.dag_id))
        timers.put(uow, alarms.SCHEDULE, dict.fromkeys(sorted(held), uow.now))
        progress.advance(board, causes=max(1, begun))
