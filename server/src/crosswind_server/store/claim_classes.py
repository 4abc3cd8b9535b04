"""Classes of claims: what instances ask of a worker, a row for each that was asked not long ago."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, delete, select

from crosswind_server.store import guards
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import claim_class, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork

_c = claim_class.c
_t = task_instance.c
_BY_ID = select(claim_class).where(guards.is_among(_c.id, "ids"))


def use(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Add classes, or say of those that are stored that they are used; in the order of their ids, since others do so at
    the same time."""
    uow.dialect.upsert(claim_class, rows, ["id"], set_columns=["used_time"])


def get(uow: UnitOfWork, ids: Collection[str]) -> dict[str, Row[Any]]:
    """Classes by id."""
    return {row.id: row for row in uow.execute(_BY_ID, {"ids": list(ids)})} if ids else {}


def forget_unused(uow: UnitOfWork, *, before: int, most: int) -> int:
    """Delete so many classes that were used last before a time and of which nothing is queued; answers how many.

    Somebody who uses one at the same moment adds it anew, or keeps it: its time is looked at again once it is locked.
    """
    queued = guards.is_one_of(_t.state, guards.QUEUED)
    claimable = select(1).where(queued, ~_t.held, _t.team == _c.team, _t.claim_class == _c.id).exists()
    held = select(1).where(queued, _t.held, _t.claim_class == _c.id).exists()
    unused = select(_c.id).where(_c.used_time < before, ~claimable, ~held).order_by(_c.used_time).limit(most)
    ids = uow.execute(unused).scalars().all()
    if not ids:
        return 0
    # In the order in which others use them.
    still = select(_c.id).where(guards.is_among(_c.id, "ids"), guards.checked(_c.used_time < before))
    locked = uow.execute(uow.dialect.lock_rows(still, claim_class), {"ids": list(ids)}).scalars().all()
    return uow.execute(delete(claim_class).where(_c.id.in_(locked))).rowcount if locked else 0
