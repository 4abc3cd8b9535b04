"""Queries of XComs by name and for lists. Writing them, and reading their bytes, is in `xcoms`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, delete, func, or_, select

from crosswind_server.store.schema import dag_run, xcom, xcom_item
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.store.xcoms import INFO

_x = xcom.c


def get(uow: UnitOfWork, run_key: str, task_id: str, map_index: int, key: str) -> Row[Any] | None:
    """Read one XCom without its bytes."""
    named = and_(_x.run_key == run_key, _x.task_id == task_id, _x.map_index == map_index, _x.key == key)
    return uow.execute(select(*INFO).where(named)).one_or_none()


def list_xcoms(
    uow: UnitOfWork,
    run_key: str,
    *,
    task_id: str | None,
    map_index: int | None,
    key: str | None,
    after: tuple[str, int, str] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """List the XComs of a run without their bytes, by task, map index and key."""
    query = select(*INFO).where(_x.run_key == run_key)
    if task_id is not None:
        query = query.where(_x.task_id == task_id)
    if map_index is not None:
        query = query.where(_x.map_index == map_index)
    if key is not None:
        query = query.where(_x.key == key)
    if after is not None:
        task, index, name = after
        query = query.where(
            or_(
                _x.task_id > task,
                and_(_x.task_id == task, _x.map_index > index),
                and_(_x.task_id == task, _x.map_index == index, _x.key > name),
            )
        )
    return uow.execute(query.order_by(_x.task_id, _x.map_index, _x.key).limit(limit)).all()


def delete_one(uow: UnitOfWork, run_key: str, task_id: str, map_index: int, key: str) -> bool:
    """Delete one XCom with its items; returns whether it was there."""
    named = and_(_x.run_key == run_key, _x.task_id == task_id, _x.map_index == map_index, _x.key == key)
    uow.execute(delete(xcom_item).where(xcom_item.c.xcom_id.in_(select(_x.id).where(named))))
    return uow.execute(delete(xcom).where(named)).rowcount > 0


def list_mapped(uow: UnitOfWork, run_key: str, task_id: str, key: str, *, first: int, end: int) -> Sequence[Row[Any]]:
    """List what the instances `first` to `end` (not included) of a mapped task wrote, by map index."""
    named = and_(_x.run_key == run_key, _x.task_id == task_id, _x.key == key)
    query = select(*INFO).where(named, _x.map_index >= max(first, 0), _x.map_index < end)
    return uow.execute(query.order_by(_x.map_index)).all()


def item_sizes(uow: UnitOfWork, xcom_id: str, *, first: int, limit: int) -> Sequence[int]:
    """Read the lengths of items of a list, in bytes, so that as many are read as a message can hold."""
    query = (
        select(func.length(xcom_item.c.data))
        .where(xcom_item.c.xcom_id == xcom_id, xcom_item.c.item_index >= first, xcom_item.c.item_index < first + limit)
        .order_by(xcom_item.c.item_index)
    )
    return list(uow.execute(query).scalars())


def latest_run_with(
    uow: UnitOfWork, team: str, dag_id: str, *, before_run: str, task_id: str, map_index: int | None, key: str
) -> str | None:
    """The id of the latest run of a DAG that stands for an earlier moment than a run and in which a task wrote an XCom.

    Without map index: the only instance, or any of a mapped task.
    """
    own = select(dag_run.c.logical_time).where(dag_run.c.id == before_run).scalar_subquery()
    written = and_(xcom.c.run_key == dag_run.c.id, xcom.c.task_id == task_id, xcom.c.key == key)
    if map_index is not None:
        written = and_(written, xcom.c.map_index == map_index)
    query = (
        select(dag_run.c.run_id)
        .where(dag_run.c.team == team, dag_run.c.dag_id == dag_id, dag_run.c.logical_time < own)
        .where(select(1).where(written).exists())
        .order_by(dag_run.c.logical_time.desc(), dag_run.c.id.desc())
        .limit(1)
    )
    found: str | None = uow.execute(query).scalar_one_or_none()
    return found
