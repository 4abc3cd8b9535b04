"""Timers: what is to happen at a moment, one for each kind and subject. What happens belongs to the services.

A timer is taken and deleted in the transaction that does what is due, so it happens exactly once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, delete, select

from crosswind_server.store.schema import timer
from crosswind_server.store.unit_of_work import UnitOfWork

TOPIC = "timers"
_t = timer.c


def put(uow: UnitOfWork, kind: str, due: Mapping[str, int]) -> None:
    """Set the timers of a kind, by subject, to moments; one that is set already is moved."""
    rows = [{"kind": kind, "subject_id": subject, "due_time": moment} for subject, moment in due.items()]
    if rows:
        uow.dialect.upsert(timer, rows, ["kind", "subject_id"])
        uow.hint(TOPIC)


def drop(uow: UnitOfWork, kind: str, subjects: Collection[str]) -> None:
    """Forget the timers of a kind for these subjects, where there are any."""
    if subjects:
        uow.execute(delete(timer).where(_t.kind == kind, _t.subject_id.in_(list(subjects))))


def take_due(uow: UnitOfWork, limit: int) -> Sequence[Row[Any]]:
    """Take timers whose time has come and that nobody else has taken, the earliest first, and delete them.

    They are of one kind: of others, what is due stays. What one kind locks, another may lock in another order.
    """
    query = select(timer).where(_t.due_time <= uow.now).order_by(_t.due_time).limit(limit)
    rows = uow.execute(uow.dialect.claim_rows(query, timer)).all()
    if not rows:
        return []
    taken = [row for row in rows if row.kind == rows[0].kind]
    subjects = [row.subject_id for row in taken]
    uow.execute(delete(timer).where(and_(_t.kind == rows[0].kind, _t.subject_id.in_(subjects))))
    return taken
