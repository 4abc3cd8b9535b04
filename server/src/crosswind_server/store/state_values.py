"""The state store: values of a task instance across its tries, or of an asset."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, and_, delete, or_, select

from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import state_value
from crosswind_server.store.unit_of_work import UnitOfWork

_s = state_value.c


def get(uow: UnitOfWork, owner_id: str, key: str) -> Row[Any] | None:
    """A value that is there and has not expired."""
    query = select(state_value).where(_s.owner_id == owner_id, _s.key == key)
    return uow.execute(query.where(or_(_s.expire_time.is_(None), _s.expire_time > uow.now))).one_or_none()


def lock(uow: UnitOfWork, owner_id: str, key: str) -> Row[Any] | None:
    """A value, expired or not, that nobody else changes meanwhile."""
    query = select(state_value).where(_s.owner_id == owner_id, _s.key == key)
    return uow.execute(uow.dialect.lock_rows(query, state_value)).one_or_none()


def add(uow: UnitOfWork, row: RowValues) -> bool:
    """Add a value; answers False where somebody else has added one."""
    added = uow.dialect.insert_ignore(state_value, [row], ["owner_id", "key"], returning=["key"])
    return bool(added)


def put(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Write values over what was there. No two rows have the same owner and key."""
    uow.dialect.upsert(state_value, rows, ["owner_id", "key"])


def remove(uow: UnitOfWork, names: Collection[tuple[str, str]]) -> None:
    """Delete values by owner and key."""
    if names:
        uow.execute(delete(state_value).where(or_(*(and_(_s.owner_id == o, _s.key == k) for o, k in names))))


def remove_expired(uow: UnitOfWork, names: Collection[tuple[str, str]]) -> None:
    """Delete those of these values whose time has come."""
    if names:
        of_names = or_(*(and_(_s.owner_id == o, _s.key == k) for o, k in names))
        uow.execute(delete(state_value).where(of_names, _s.expire_time.is_not(None), _s.expire_time <= uow.now))
