"""Queries of workloads beside tasks as people see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, and_, literal_column, select

from crosswind_server.store.schema import dag_run, dag_version, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork

_t = task_instance.c
# Written out, so that the partial index of workloads is used.
_IS_WORKLOAD: Final = _t.task_index < literal_column("0")
_LISTED = (
    select(task_instance, dag_run.c.dag_id, dag_run.c.run_id, dag_version.c.bundle)
    .join(dag_run, dag_run.c.id == _t.run_key)
    .outerjoin(
        dag_version,
        and_(dag_version.c.team == dag_run.c.team, dag_version.c.dag_version_id == dag_run.c.code_version_id),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadFilter:
    """Which workloads are wanted; empty or None means any. `run_key` is of a run of the caller's team."""

    run_key: str | None = None
    dag_id: str = ""
    task_id: str = ""
    kinds: tuple[str, ...] = ()
    states: tuple[str, ...] = ()


def list_of_team(
    uow: UnitOfWork, team: str, wanted: WorkloadFilter, *, before_id: str | None, limit: int
) -> Sequence[Row[Any]]:
    """List a team's workloads, the newest first, from the one before `before_id` on.

    Walks the index of workloads from its end, and leaves out what is not wanted.
    """
    query = _LISTED.where(_t.team == team, _IS_WORKLOAD)
    if wanted.dag_id:
        query = query.where(dag_run.c.dag_id == wanted.dag_id)
    if before_id is not None:
        query = query.where(_t.id < before_id)
    return uow.execute(_narrow(query, wanted).order_by(_t.id.desc()).limit(limit)).all()


def list_of_run(
    uow: UnitOfWork, run_key: str, wanted: WorkloadFilter, *, before: int | None, limit: int
) -> Sequence[Row[Any]]:
    """List a run's workloads, the newest first, from the one before the number `before` on.

    Walks the run's rows from their end: its workloads are numbered as they are made.
    """
    query = _LISTED.where(_t.run_key == run_key, _t.task_index == literal_column("-1"))
    if before is not None:
        query = query.where(_t.map_index < before)
    return uow.execute(_narrow(query, wanted).order_by(_t.map_index.desc()).limit(limit)).all()


def get(uow: UnitOfWork, team: str, workload_id: str) -> Row[Any] | None:
    """Read one workload."""
    return uow.execute(_LISTED.where(_t.id == workload_id, _t.team == team, _IS_WORKLOAD)).one_or_none()


def _narrow(query: Any, wanted: WorkloadFilter) -> Any:
    if wanted.task_id:
        query = query.where(_t.task_id == wanted.task_id)
    if wanted.kinds:
        query = query.where(_t.workload.in_(wanted.kinds))
    if wanted.states:
        query = query.where(_t.state.in_(wanted.states))
    return query
