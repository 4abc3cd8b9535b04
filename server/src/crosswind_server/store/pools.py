"""Queries of pools as people see and change them. What is taken of them is counted in `bounds`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, func, select

from crosswind_server.store import guards
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import pool, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork

_t = task_instance.c


def list_pools(uow: UnitOfWork, team: str, *, after_name: str | None, limit: int) -> Sequence[Row[Any]]:
    """List a team's pools by name, from the one after `after_name` on."""
    query = select(pool).where(pool.c.team == team)
    if after_name is not None:
        query = query.where(pool.c.name > after_name)
    return uow.execute(query.order_by(pool.c.name).limit(limit)).all()


def get_pool(uow: UnitOfWork, team: str, name: str) -> Row[Any] | None:
    """Read one pool."""
    return uow.execute(select(pool).where(pool.c.team == team, pool.c.name == name)).one_or_none()


def lock_pool(uow: UnitOfWork, team: str, name: str) -> Row[Any] | None:
    """Read one pool, locked."""
    query = select(pool).where(pool.c.team == team, pool.c.name == name)
    return uow.execute(uow.dialect.lock_rows(query, pool)).one_or_none()


def put_pool(uow: UnitOfWork, row: RowValues) -> None:
    """Create a pool or replace it."""
    uow.dialect.upsert(pool, [row], ["team", "name"], set_columns=["slots", "description", "updated_time"])


def delete_pool(uow: UnitOfWork, team: str, name: str) -> bool:
    """Delete a pool; returns whether it was there."""
    return uow.execute(delete(pool).where(pool.c.team == team, pool.c.name == name)).rowcount > 0


def count_waiting(uow: UnitOfWork, team: str, names: Collection[str]) -> Mapping[str, int]:
    """Count the queued instances that name each of the pools."""
    if not names:
        return {}
    query = (
        select(_t.pool, func.count().label("number"))
        .where(_t.team == team, _t.pool.in_(list(names)), _t.pool.is_not(None))
        .where(guards.is_one_of(_t.state, guards.ASKING), guards.is_one_of(_t.state, guards.QUEUED))
        .group_by(_t.pool)
    )
    return {str(row.pool): row.number for row in uow.execute(query)}
