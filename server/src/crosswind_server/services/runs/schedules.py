"""Schedules at work: what comes next for each DAG, and the runs that are created when their moments come. [SCHED-2]

Which run is next is a rule of `domain.schedule`. Here belongs when it is asked: when a version of the DAG becomes
current, when the DAG is paused or goes on, and when a run was created. The DAG's row is locked meanwhile, so each run
is created once, whatever number of servers there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.plan import DagPlan
from crosswind_server.domain.schedule import Asked, Done, Schedule, ScheduledRun, next_run
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import active_runs, alarms, progress
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.runs.creation import NewRun, add_runs, run_for
from crosswind_server.store import active_runs as counts
from crosswind_server.store import dags, runs, timers
from crosswind_server.store.unit_of_work import UnitOfWork

SCHEDULED: Final = "scheduled"
TRIGGERED_BY: Final = "schedule"

AskForDates = Callable[[UnitOfWork, Row[Any]], None]
"""Lets a worker be asked for a DAG's next dates; its row is locked. The answer goes to `Schedules.take_dates`."""


class Schedules:
    """What DAGs do by themselves, in transactions that somebody else commits.

    Args:
        plans: the DAG versions.
        ask: what happens where only an author's code knows the next dates; None: nothing.
    """

    def __init__(self, plans: PlanCache, ask: AskForDates | None = None) -> None:
        self._plans = plans
        self._ask = ask

    def renew(self, uow: UnitOfWork, team: str, dag_ids: Collection[str], *, changed: bool = False) -> None:
        """Find out anew what comes next for DAGs, whose rows are locked.

        Args:
            changed: their versions may have changed: what their code answered before counts no more.
        """
        plan = _Changes(uow)
        for dag in dags.get(uow, team, dag_ids):
            self._plan_next(plan, dag, _done(dag), None if changed else dag.planned_json)
        plan.write()
        if changed:
            # The bound of active runs may be greater now.
            alarms.ask_promotion(uow, [(team, dag_id) for dag_id in counts.with_queued(uow, team, dag_ids)])

    def ring(self, uow: UnitOfWork, subjects: Sequence[str]) -> None:
        """Create the runs whose moments have come, one for each DAG, and find out what comes then.

        A moment for which the DAG has a run already, such as one of a backfill, is left out.
        A DAG with as many active runs as it allows waits until one of them ends: `active_runs` sets it going again.
        """
        board = Board(uow, self._plans)
        locked = dags.lock_all(uow, [alarms.dag_of(subject) for subject in subjects])
        active = _count_active(uow, locked)
        plan = _Changes(uow)
        wanted: dict[tuple[str, str], tuple[Row[Any], NewRun]] = {}
        rows = 0
        due = [(dag, self._plans.get(uow, dag.current_version_id)) for dag in locked if _is_due(uow, dag)]
        coming = [self._next(uow, dag, version, _done(dag), dag.planned_json) for dag, version in due]
        moments = [(dag.team, dag.dag_id, run.logical_time) for (dag, _), run in zip(due, coming, strict=True) if run]
        taken = runs.find_moments(uow, moments)
        for (dag, version), run in zip(due, coming, strict=True):
            key = dag.team, dag.dag_id
            if run is None or run.run_time > uow.now:
                self._plan_next(plan, dag, _done(dag), dag.planned_json)
                continue
            done = Done(logical_time=run.logical_time, interval_end=run.interval_end, published=dag.created_time)
            if (*key, run.logical_time) in taken:
                # A backfill, or a person, was there before.
                self._plan_next(plan, dag, done, dag.planned_json)
            elif active.get(key, 0) >= version.max_active_runs:
                plan.keep(dag, run, _done(dag), dag.planned_json)
            elif wanted and rows + len(version.tasks) > PIECE:
                plan.due[alarms.subject_of(*key)] = uow.now
            else:
                rows += min(len(version.tasks), PIECE)
                wanted[key] = dag, _new_run(dag, version, run)
                self._plan_next(plan, dag, done, dag.planned_json)
        self._create(board, wanted, active)
        plan.write()
        progress.advance(board, causes=max(1, len(wanted)))

    def take_dates(self, uow: UnitOfWork, team: str, dag_id: str, dates: Sequence[ScheduledRun]) -> None:
        """Take what a DAG's own code answered when it was asked for the next dates.

        Dates that are not later than the last run's, or out of the DAG's bounds, are left out. Without any, the code is
        not asked again before the DAG is published anew, paused and unpaused.
        """
        dag = dags.lock(uow, team, dag_id)
        if dag is None:
            return
        text = json.dumps([[d.logical_time, d.interval_start, d.interval_end, d.run_time] for d in sorted(dates)])
        plan = _Changes(uow)
        self._plan_next(plan, dag, _done(dag), text, ask=False)
        plan.write()

    @staticmethod
    def _create(
        board: Board, wanted: dict[tuple[str, str], tuple[Row[Any], NewRun]], active: dict[tuple[str, str], int]
    ) -> None:
        created = {(run.team, run.dag_id): run for run in add_runs(board, [new for _, new in wanted.values()])}
        # Where none was active the new one is the only one that may begin; else the oldest goes first.
        alone = [run for key, run in created.items() if not active.get(key) and not run.unmade]
        begun = active_runs.begin(board, alone)
        alarms.ask_promotion(board.uow, [(run.team, run.dag_id) for run in alone[len(begun) :]])
        for key in created:
            if active.get(key):
                active_runs.promote(board, wanted[key][0])

    def _plan_next(
        self, plan: _Changes, dag: Row[Any], done: Done, planned_json: str | None, *, ask: bool = True
    ) -> None:
        """Note what comes next for a DAG."""
        version = self._plans.get(plan.uow, dag.current_version_id)
        if version.schedule is None or dag.paused or not dag.active:
            plan.stop(dag, done)
            return
        run = self._next(plan.uow, dag, version, done, planned_json)
        if run is not None:
            plan.keep(dag, run, done, planned_json)
            plan.due[alarms.subject_of(dag.team, dag.dag_id)] = run.run_time
            return
        plan.stop(dag, done)
        if ask and isinstance(version.schedule.kind, Asked) and self._ask is not None:
            self._ask(plan.uow, dag)

    @staticmethod
    def _next(
        uow: UnitOfWork, dag: Row[Any], version: DagPlan, done: Done, planned_json: str | None
    ) -> ScheduledRun | None:
        schedule = version.schedule
        if schedule is None:
            return None
        if isinstance(schedule.kind, Asked):
            return _first_planned(schedule, done, planned_json)
        return next_run(schedule, done, uow.now)


class _Changes:
    """What changes of DAGs whose schedules were looked at, written together."""

    def __init__(self, uow: UnitOfWork) -> None:
        self.uow = uow
        self.due: dict[str, int] = {}
        self._rows: list[dict[str, Any]] = []
        self._stopped: list[str] = []

    def keep(self, dag: Row[Any], run: ScheduledRun, done: Done, planned_json: str | None) -> None:
        """Note the run that comes next."""
        self._note(dag, done, run, planned_json)

    def stop(self, dag: Row[Any], done: Done) -> None:
        """Note that none comes next."""
        self._note(dag, done, None, None)
        if dag.next_run_time is not None:
            self._stopped.append(alarms.subject_of(dag.team, dag.dag_id))

    def _note(self, dag: Row[Any], done: Done, run: ScheduledRun | None, planned_json: str | None) -> None:
        found = {
            "last_logical_time": done.logical_time,
            "last_interval_end": done.interval_end,
            "next_logical_time": run and run.logical_time,
            "next_interval_start": run and run.interval_start,
            "next_interval_end": run and run.interval_end,
            "next_run_time": run and run.run_time,
            "planned_json": planned_json,
        }
        before = dag._mapping
        if any(before[name] != value for name, value in found.items()):
            self._rows.append({**before, **found})

    def write(self) -> None:
        """Write it: a statement for the DAGs, one for timers that are set, one for those that are dropped."""
        dags.set_scheduled(self.uow, self._rows)
        timers.put(self.uow, alarms.SCHEDULE, dict(sorted(self.due.items())))
        timers.drop(self.uow, alarms.SCHEDULE, self._stopped)


def _done(dag: Row[Any]) -> Done:
    return Done(logical_time=dag.last_logical_time, interval_end=dag.last_interval_end, published=dag.created_time)


def _is_due(uow: UnitOfWork, dag: Row[Any]) -> bool:
    return dag.active and not dag.paused and dag.next_run_time is not None and dag.next_run_time <= uow.now


def _count_active(uow: UnitOfWork, locked: Sequence[Row[Any]]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for team in sorted({dag.team for dag in locked}):
        numbers = counts.count_active(uow, team, [dag.dag_id for dag in locked if dag.team == team])
        found |= {(team, dag_id): number for dag_id, number in numbers.items()}
    return found


def _new_run(dag: Row[Any], version: DagPlan, run: ScheduledRun) -> NewRun:
    return run_for(run, version, team=dag.team, run_type=SCHEDULED, triggered_by=TRIGGERED_BY)


def _first_planned(schedule: Schedule, done: Done, planned_json: str | None) -> ScheduledRun | None:
    for values in json.loads(planned_json or "[]"):
        run = ScheduledRun(*values)
        late = schedule.end is not None and run.logical_time > schedule.end
        early = schedule.start is not None and run.logical_time < schedule.start
        known = done.logical_time is not None and run.logical_time <= done.logical_time
        if not (late or early or known):
            return run
    return None
