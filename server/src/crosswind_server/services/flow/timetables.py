"""Timetables: an author's own code says the next dates of a DAG, and a worker that offers its bundle is asked for them.

Here belongs the asking, and the way of an answer to `schedules`. What is asked belongs to a run of its own for each
DAG version, which has ended from the beginning, so that nothing counts it. Who holds a run's lock must not lock its
DAG, so the schedule asks by a timer, and the answer reaches it by a continuation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server import manifests
from crosswind_server.domain.ids import uuid7
from crosswind_server.domain.plan import DagPlan
from crosswind_server.domain.schedule import ScheduledRun
from crosswind_server.domain.states import RunState, Workload
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import alarms
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Instance, new_workload
from crosswind_server.store import continuations, dags, runs, timers
from crosswind_server.store.unit_of_work import UnitOfWork

ASK: Final = "ask timetable"
"""Kind of a timer: let a worker be asked for the next dates of the DAG that is the subject."""
TAKE: Final = "take dates"
"""Kind of a continuation: take the dates in the detail for the DAG that is the subject."""
RUN_TYPE: Final = "timetable"
MOST_DATES: Final = 100

TakeDates = Callable[[UnitOfWork, str, str, Sequence[ScheduledRun]], None]
"""Takes the dates that a DAG's code answered: `schedules.Schedules.take_dates`."""


def ask_soon(uow: UnitOfWork, dag: Row[Any]) -> None:
    """Let a worker be asked for a DAG's next dates, in a transaction of its own; the DAG's row is locked."""
    timers.put(uow, ASK, {alarms.subject_of(dag.team, dag.dag_id): uow.now})


class Timetables:
    """The asking of authors' code, in transactions that somebody else commits.

    Args:
        plans: the DAG versions.
        take: what becomes of an answer.
    """

    def __init__(self, plans: PlanCache, take: TakeDates) -> None:
        self._plans = plans
        self._take = take

    def ring(self, uow: UnitOfWork, subjects: Sequence[str]) -> None:
        """Do what is due for timers of kind `ASK`."""
        board = Board(uow, self._plans)
        for subject in sorted(subjects):
            team, dag_id = alarms.dag_of(subject)
            for dag in dags.get(uow, team, [dag_id]):
                plan = self._plans.get(uow, dag.current_version_id)
                if dag.active and not dag.paused and plan.timetable is not None:
                    self._ask(board, dag, plan, plan.timetable.entry_point)
        board.flush()

    def _ask(self, board: Board, dag: Row[Any], plan: DagPlan, entry_point: str) -> None:
        uow = board.uow
        run_id = f"{RUN_TYPE}__{plan.dag_version_id}"
        if runs.find(uow, dag.team, dag.dag_id, run_id) is None:
            runs.add_once(uow, _run_row(uow, dag, plan, run_id))
        found = runs.find(uow, dag.team, dag.dag_id, run_id)
        assert found is not None
        board.lock_runs([found.id])
        run = board.runs[found.id]
        if not runs.has_open_workload(uow, run.id):
            board.add(new_workload(run, Workload.TIMETABLE, now=uow.now, plan=plan, entry_point=entry_point))

    def go_on(self, board: Board, piece: Row[Any]) -> None:
        """Work off a continuation of kind `TAKE`."""
        team, dag_id = alarms.dag_of(piece.subject_id)
        answer = json.loads(piece.detail_json)
        for dag in dags.get(board.uow, team, [dag_id]):
            # What the code of an older version said counts no more.
            if dag.current_version_id == answer["dag_version_id"]:
                self._take(board.uow, team, dag_id, [ScheduledRun(*values) for values in answer["dates"]])


def answered(board: Board, ended: Sequence[Instance]) -> None:
    """Leave what timetables answered for those who lock their DAGs."""
    left = []
    for instance in ended:
        run = board.runs[instance.run_key]
        dates = json.loads(board.results.get(instance.id) or b"[]")
        left.append(
            {
                "id": str(uuid7(board.uow.now)),
                "kind": TAKE,
                "run_key": None,
                "subject_id": alarms.subject_of(run.team, run.dag_id),
                "position": 0,
                "detail_json": json.dumps({"dag_version_id": run.dag_version_id, "dates": dates}),
                "created_time": board.uow.now,
            }
        )
    continuations.add(board.uow, left)


def question(uow: UnitOfWork, plan: DagPlan, team: str) -> bytes:
    """What a timetable is asked, a serialized `TimetableContext`."""
    (dag,) = dags.get(uow, team, [plan.dag_id])
    schedule = plan.schedule
    return manifests.timetable_message(
        config_json=plan.timetable.config_json if plan.timetable is not None else "",
        last_logical_us=dag.last_logical_time,
        last_interval_end_us=dag.last_interval_end,
        start_us=schedule.start if schedule is not None else None,
        end_us=schedule.end if schedule is not None else None,
        catchup=schedule is not None and schedule.catchup,
        limit=MOST_DATES,
        now_us=uow.now,
    )


def _run_row(uow: UnitOfWork, dag: Row[Any], plan: DagPlan, run_id: str) -> dict[str, Any]:
    return {
        "id": str(uuid7(uow.now)),
        "team": dag.team,
        "dag_id": dag.dag_id,
        "run_id": run_id,
        "run_type": RUN_TYPE,
        "state": RunState.SUCCEEDED.value,
        "dag_version_id": plan.dag_version_id,
        "code_version_id": plan.dag_version_id,
        "queued_time": uow.now,
        "start_time": uow.now,
        "end_time": uow.now,
        "triggered_by": RUN_TYPE,
    }
