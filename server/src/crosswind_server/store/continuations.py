"""Continuations: work that one transaction left for later ones because it fans out without bound. [SCHED-1]

A piece is taken and deleted in the transaction that works it off, so it happens exactly once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, delete, select

from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import continuation
from crosswind_server.store.unit_of_work import UnitOfWork

_c = continuation.c


def add(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Leave pieces of work, and wake who works them off."""
    if rows:
        uow.dialect.insert_many(continuation, rows)
        uow.hint("continuations")


def take(uow: UnitOfWork, limit: int) -> Sequence[Row[Any]]:
    """Take the oldest pieces that nobody else has taken, and delete them."""
    query = select(continuation).order_by(_c.created_time, _c.id).limit(limit)
    rows = uow.execute(uow.dialect.claim_rows(query, continuation)).all()
    if rows:
        uow.execute(delete(continuation).where(_c.id.in_([row.id for row in rows])))
    return rows


def take_more(uow: UnitOfWork, run_key: str, kind: str, limit: int) -> Sequence[Row[Any]]:
    """Take the oldest pieces of a kind of a locked run that nobody else has taken, and delete them."""
    query = select(continuation).where(_c.run_key == run_key, _c.kind == kind).order_by(_c.created_time, _c.id)
    rows = uow.execute(uow.dialect.claim_rows(query.limit(limit), continuation)).all()
    if rows:
        uow.execute(delete(continuation).where(_c.id.in_([row.id for row in rows])))
    return rows


def of_runs(uow: UnitOfWork, run_keys: Collection[str], kind: str) -> Sequence[Row[Any]]:
    """The pieces of a kind of locked runs, also one that is taken by somebody who waits for its run's lock."""
    return uow.execute(select(continuation).where(_c.run_key.in_(list(run_keys)), _c.kind == kind)).all()
