"""Backfills: adding, finding and changing them, and which of their runs are there.

What they do belongs to the services.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from crosswind_server.store import guards, runs
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import backfill, dag_run
from crosswind_server.store.unit_of_work import UnitOfWork

_r = dag_run.c


def add(uow: UnitOfWork, values: RowValues) -> None:
    """Add a backfill."""
    uow.execute(insert(backfill), dict(values))


def get(uow: UnitOfWork, team: str, backfill_id: str) -> Row[Any] | None:
    """One backfill of a team, not locked."""
    query = select(backfill).where(backfill.c.id == backfill_id, backfill.c.team == team)
    return uow.execute(query).one_or_none()


def find(uow: UnitOfWork, ids: Collection[str]) -> Sequence[Row[Any]]:
    """Backfills by id, not locked."""
    return uow.execute(select(backfill).where(backfill.c.id.in_(list(ids))).order_by(backfill.c.id)).all()


def lock(uow: UnitOfWork, backfill_id: str) -> Row[Any] | None:
    """One backfill, locked: after its DAG and before its runs."""
    query = select(backfill).where(backfill.c.id == backfill_id)
    return uow.execute(uow.dialect.lock_rows(query, backfill)).one_or_none()


def change(uow: UnitOfWork, backfill_id: str, values: Mapping[str, Any]) -> None:
    """Change a locked backfill."""
    uow.execute(update(backfill).where(backfill.c.id == backfill_id).values(**values))


def list_backfills(
    uow: UnitOfWork, team: str, *, dag_id: str, states: Collection[str], before_id: str | None, limit: int
) -> Sequence[Row[Any]]:
    """List backfills, created last first, from the one before `before_id` on."""
    query = select(backfill).where(backfill.c.team == team)
    if dag_id:
        query = query.where(backfill.c.dag_id == dag_id)
    if states:
        query = query.where(backfill.c.state.in_(list(states)))
    if before_id is not None:
        query = query.where(backfill.c.id < before_id)
    return uow.execute(query.order_by(backfill.c.id.desc()).limit(limit)).all()


def count_active(uow: UnitOfWork, ids: Collection[str]) -> Mapping[str, int]:
    """How many runs of backfills have not ended; backfills without any are left out."""
    query = (
        select(_r.backfill_id, func.count().label("number"))
        .where(_r.backfill_id.in_(list(ids)), _r.end_time.is_(None))
        .group_by(_r.backfill_id)
    )
    return {row.backfill_id: row.number for row in uow.execute(query)} if ids else {}


def has_queued(uow: UnitOfWork, backfill_id: str) -> bool:
    """Whether a run of a backfill is queued: its DAG was paused, or somebody cleared it."""
    waiting = (_r.end_time.is_(None), guards.checked(guards.is_one_of(_r.state, guards.QUEUED)))
    query = select(_r.id).where(_r.backfill_id == backfill_id, *waiting).limit(1)
    return uow.execute(query).first() is not None


def has_unsuccessful(uow: UnitOfWork, backfill_id: str) -> bool:
    """Whether a run of a backfill did not succeed. Looked at once, when it ends."""
    query = select(_r.id).where(_r.backfill_id == backfill_id, _r.state != "succeeded").limit(1)
    return uow.execute(query).first() is not None


def claim_uncancelled(uow: UnitOfWork, backfill_id: str, most: int) -> tuple[Sequence[Row[Any]], bool]:
    """Lock runs of a backfill that have neither ended nor been cancelled, and skip those that somebody has locked.

    Answers the columns of runs, and whether there are more.
    """
    chosen = (
        select(_r.id)
        .where(_r.backfill_id == backfill_id, _r.end_time.is_(None), _r.cancel_requested.is_(False))
        .order_by(_r.id)
        .limit(most + 1)
    )
    ids = uow.execute(chosen).scalars().all()
    query = select(*runs.COLUMNS).where(
        guards.is_among(_r.id, "ids"),
        guards.checked(_r.end_time.is_(None)),
        guards.checked(_r.cancel_requested.is_(False)),
    )
    found = uow.execute(uow.dialect.claim_rows(query, dag_run), {"ids": list(ids[:most])}).all() if ids else []
    return found, len(found) < len(ids)


def runs_of_moments(uow: UnitOfWork, team: str, dag_id: str, first: int, last: int) -> Sequence[Row[Any]]:
    """The runs of a DAG that stand for moments of a span, both ends inclusive: id, readable id, moment and state."""
    query = select(_r.id, _r.run_id, _r.logical_time, _r.state, _r.end_time).where(
        _r.team == team, _r.dag_id == dag_id, _r.logical_time.between(first, last)
    )
    return uow.execute(query.order_by(_r.logical_time, _r.id)).all()
