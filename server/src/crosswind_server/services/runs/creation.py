"""Runs as they come to be: their rows, and the instances of their tasks. [SCHED-1]

Every run is QUEUED first, whoever wants it; when it begins is decided in `active_runs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crosswind_server.domain.ids import make_run_id, uuid7
from crosswind_server.domain.plan import DagPlan
from crosswind_server.domain.schedule import ScheduledRun
from crosswind_server.domain.states import RunState
from crosswind_server.services.flow import run_limits, starting
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Run
from crosswind_server.store import runs


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run that is wanted. Times are microseconds since the epoch; see `TriggerRun`."""

    team: str
    plan: DagPlan
    run_id: str
    run_type: str
    conf: bytes | None = None
    logical_time: int | None = None
    data_interval_start: int | None = None
    data_interval_end: int | None = None
    triggered_by: str = ""
    note: str = ""
    backfill_id: str | None = None
    partition_key: str = ""


def run_for(
    moment: ScheduledRun,
    plan: DagPlan,
    *,
    team: str,
    run_type: str,
    triggered_by: str,
    conf: bytes | None = None,
    backfill_id: str | None = None,
) -> NewRun:
    """The run of a DAG for a moment of its schedule; its id says for which."""
    return NewRun(
        team=team,
        plan=plan,
        run_id=make_run_id(run_type, moment.logical_time),
        run_type=run_type,
        conf=conf,
        logical_time=moment.logical_time,
        data_interval_start=moment.interval_start,
        data_interval_end=moment.interval_end,
        triggered_by=triggered_by,
        backfill_id=backfill_id,
    )


def add_runs(board: Board, wanted: Sequence[NewRun]) -> Sequence[Run]:
    """Add runs, queued, with the instances of their first tasks; of large ones the others follow in pieces.

    One whose readable id its DAG has already is left out. `progress.advance` is to follow.

    Args:
        board: the DAGs of the runs are locked.
        wanted: few enough for one transaction.
    """
    made = {run.id: (run, new) for run, new in ((_run_of(board, new), new) for new in wanted)}
    added = runs.add_all(board.uow, [_row(board, run, new) for run, new in made.values()])
    created = [run for run, _ in made.values() if run.id in added]
    for run in created:
        board.runs[run.id] = run
        starting.make_tasks(board, run)
    run_limits.set_for_new(board, created)
    return created


def _run_of(board: Board, new: NewRun) -> Run:
    return Run(
        id=str(uuid7(board.uow.now)),
        team=new.team,
        dag_id=new.plan.dag_id,
        run_id=new.run_id,
        run_type=new.run_type,
        state=RunState.QUEUED.value,
        dag_version_id=new.plan.dag_version_id,
        code_version_id=new.plan.dag_version_id,
        unfinished=0,
        cancel_requested=False,
        start_time=None,
        end_time=None,
        logical_time=new.logical_time,
        backfill_id=new.backfill_id,
    )


def _row(board: Board, run: Run, new: NewRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "team": run.team,
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "run_type": run.run_type,
        "state": run.state,
        "dag_version_id": run.dag_version_id,
        "code_version_id": run.code_version_id,
        "conf_message": new.conf,
        "logical_time": new.logical_time,
        "data_interval_start": new.data_interval_start,
        "data_interval_end": new.data_interval_end,
        "queued_time": board.uow.now,
        "start_time": None,
        "end_time": None,
        "triggered_by": new.triggered_by,
        "note": new.note,
        "unfinished": 0,
        "unmade": starting.unmade_of(new.plan),
        "cancel_requested": False,
        "backfill_id": new.backfill_id,
        "partition_key": new.partition_key,
        "revision": 1,
    }
