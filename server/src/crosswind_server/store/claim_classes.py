"""Classes of claims: what instances ask of a worker, a row for each that was ever asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, select

from crosswind_server.store import guards
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import claim_class
from crosswind_server.store.unit_of_work import UnitOfWork

_BY_ID = select(claim_class).where(guards.is_among(claim_class.c.id, "ids"))


def add(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Add classes that may be stored already; in the order of their ids, since others add them at the same time."""
    uow.dialect.insert_ignore(claim_class, rows, ["id"])


def get(uow: UnitOfWork, ids: Collection[str]) -> dict[str, Row[Any]]:
    """Classes by id."""
    return {row.id: row for row in uow.execute(_BY_ID, {"ids": list(ids)})} if ids else {}
