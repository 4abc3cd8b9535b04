"""Queries of DAG runs as people see them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, and_, func, not_, or_, select, update

from crosswind_server.store.guards import TIMETABLE
from crosswind_server.store.schema import dag, dag_run, dag_version, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs are wanted; empty or None means any. Times in microseconds since the epoch."""

    dag_id: str = ""
    run_id: str = ""
    states: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    min_queued_us: int | None = None
    max_queued_us: int | None = None
    backfill_id: str = ""


def _runs() -> Select[Any]:
    return select(*dag_run.c, dag_version.c.bundle).outerjoin(
        dag_version,
        and_(dag_version.c.team == dag_run.c.team, dag_version.c.dag_version_id == dag_run.c.code_version_id),
    )


def list_runs(
    uow: UnitOfWork, team: str, wanted: RunFilter, *, before_id: str | None, limit: int
) -> Sequence[Row[Any]]:
    """List runs, created last first, from the one before `before_id` on."""
    query = _runs().where(dag_run.c.team == team, dag_run.c.run_type != TIMETABLE)
    if wanted.dag_id:
        query = query.where(dag_run.c.dag_id == wanted.dag_id)
    if wanted.run_id:
        query = query.where(dag_run.c.run_id == wanted.run_id)
    if wanted.states:
        query = query.where(dag_run.c.state.in_(wanted.states))
    if wanted.types:
        query = query.where(dag_run.c.run_type.in_(wanted.types))
    if wanted.min_queued_us is not None:
        query = query.where(dag_run.c.queued_time >= wanted.min_queued_us)
    if wanted.max_queued_us is not None:
        query = query.where(dag_run.c.queued_time < wanted.max_queued_us)
    if wanted.backfill_id:
        query = query.where(dag_run.c.backfill_id == wanted.backfill_id)
    if before_id is not None:
        query = query.where(dag_run.c.id < before_id)
    return uow.execute(query.order_by(dag_run.c.id.desc()).limit(limit)).all()


def paused_dags(uow: UnitOfWork, keys: Collection[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Which of the DAGs, by team and id, are paused."""
    found: set[tuple[str, str]] = set()
    for team in {team for team, _ in keys}:
        ids = [dag_id for other, dag_id in keys if other == team]
        query = select(dag.c.dag_id).where(dag.c.team == team, dag.c.dag_id.in_(ids), dag.c.paused.is_(True))
        found |= {(team, dag_id) for dag_id in uow.execute(query).scalars()}
    return frozenset(found)


def previous_run(uow: UnitOfWork, run: Row[Any], state: str | None) -> Row[Any] | None:
    """The run of the same DAG that stands for the latest moment before that of a run; None: there is none.

    Where the run stands for no moment, it is the one created last before it.
    """
    query = _runs().where(dag_run.c.team == run.team, dag_run.c.dag_id == run.dag_id, dag_run.c.run_type != TIMETABLE)
    if run.logical_time is not None:
        query = query.where(dag_run.c.logical_time < run.logical_time)
        query = query.order_by(dag_run.c.logical_time.desc(), dag_run.c.id.desc())
    else:
        query = query.where(dag_run.c.id < run.id).order_by(dag_run.c.id.desc())
    if state is not None:
        query = query.where(dag_run.c.state == state)
    return uow.execute(query.limit(1)).one_or_none()


def get_run(uow: UnitOfWork, team: str, dag_id: str, run_id: str) -> Row[Any] | None:
    """Read one run."""
    query = _runs().where(dag_run.c.team == team, dag_run.c.dag_id == dag_id, dag_run.c.run_id == run_id)
    return uow.execute(query).one_or_none()


def count_tasks(uow: UnitOfWork, run_keys: Collection[str]) -> Mapping[str, Mapping[str, int]]:
    """Count task instances by run and state: mapped ones, and a mapped task's summary only while it has none."""
    if not run_keys:
        return {}
    summary_of_others = and_(task_instance.c.map_index < 0, task_instance.c.instances_total > 0)
    query = (
        select(task_instance.c.run_key, task_instance.c.state, func.count().label("number"))
        .where(task_instance.c.run_key.in_(list(run_keys)), task_instance.c.task_index >= 0, not_(summary_of_others))
        .group_by(task_instance.c.run_key, task_instance.c.state)
    )
    found: dict[str, dict[str, int]] = {}
    for row in uow.execute(query):
        found.setdefault(row.run_key, {})[row.state] = row.number
    return found


def first_bundle_versions(uow: UnitOfWork, run_keys: Collection[str]) -> Mapping[str, str]:
    """Find the bundle version with which the first task of each run's own bundle was started."""
    if not run_keys:
        return {}
    own = task_instance.c.offer_key.startswith("dag:", autoescape=True)
    began = func.min(task_instance.c.first_start_time)
    query = (
        select(task_instance.c.run_key, task_instance.c.bundle_version, began.label("began"))
        .where(task_instance.c.run_key.in_(list(run_keys)), task_instance.c.bundle_version.is_not(None), own)
        .group_by(task_instance.c.run_key, task_instance.c.bundle_version)
    )
    found: dict[str, tuple[int, str]] = {}
    for row in uow.execute(query):
        # One that was assigned and not started yet comes last.
        candidate = (row.began if row.began is not None else 2**62, row.bundle_version)
        found[row.run_key] = min(found.get(row.run_key, candidate), candidate)
    return {run_key: version for run_key, (_, version) in found.items()}


def set_note(uow: UnitOfWork, run_key: str, note: str) -> None:
    """Change a run's note."""
    statement = update(dag_run).where(dag_run.c.id == run_key)
    uow.execute(statement.values(note=note, revision=dag_run.c.revision + 1))


def list_instance_states(
    uow: UnitOfWork, run_key: str, *, task_ids: Collection[str], after: tuple[int, int] | None, limit: int
) -> Sequence[Row[Any]]:
    """List the states of a run's task instances, by task and map index."""
    table = task_instance.c
    query = select(table.task_index, table.task_id, table.map_index, table.state).where(
        table.run_key == run_key, table.task_index >= 0
    )
    if task_ids:
        query = query.where(table.task_id.in_(list(task_ids)))
    if after is not None:
        index, map_index = after
        query = query.where(or_(table.task_index > index, and_(table.task_index == index, table.map_index > map_index)))
    return uow.execute(query.order_by(table.task_index, table.map_index).limit(limit)).all()
