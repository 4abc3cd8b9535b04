"""The queries behind what a server says of itself: how much a team has and does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, not_, select

from crosswind_server.store import guards
from crosswind_server.store.schema import attempt, dag, dag_run, task_instance, worker
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts of one team; `active_tasks` by state, of runs that have not ended."""

    dags: int
    active_runs: int
    active_tasks: Mapping[str, int]
    live_attempts: int
    live_workers: int
    slots: int


def count_team(uow: UnitOfWork, team: str) -> Counts:
    """Count what a team has and does."""
    active = and_(dag_run.c.team == team, dag_run.c.end_time.is_(None))
    tasks = uow.execute(
        select(task_instance.c.state, func.count().label("number"))
        .join(dag_run, dag_run.c.id == task_instance.c.run_key)
        .where(active, countable_instances())
        .group_by(task_instance.c.state)
    )
    live_worker = and_(worker.c.team == team, guards.is_one_of(worker.c.state, guards.LIVE_WORKERS))
    slots = func.coalesce(func.sum(worker.c.slots), 0).label("slots")
    workers = uow.execute(select(func.count().label("number"), slots).where(live_worker)).one()
    attempts = select(func.count()).where(attempt.c.team == team, guards.is_one_of(attempt.c.state, guards.LIVE))
    return Counts(
        dags=uow.execute(select(func.count()).where(dag.c.team == team, dag.c.active)).scalar_one(),
        active_runs=uow.execute(select(func.count()).select_from(dag_run).where(active)).scalar_one(),
        active_tasks={row.state: row.number for row in tasks},
        live_attempts=uow.execute(attempts).scalar_one(),
        live_workers=workers.number,
        slots=int(workers.slots),
    )


def countable_instances() -> ColumnElement[bool]:
    """The instances that counts count: mapped ones, and the summary of a mapped task only while it has none."""
    summary_of_others = and_(task_instance.c.map_index < 0, task_instance.c.instances_total > 0)
    return and_(task_instance.c.task_index >= 0, not_(summary_of_others))
