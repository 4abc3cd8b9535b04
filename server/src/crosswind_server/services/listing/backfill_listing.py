"""Backfills for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from crosswind_server.services.runs.backfills import get_backfill
from crosswind_server.store import backfills as rows
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ListedBackfill:
    """A backfill: its row, and how many of its runs have not ended."""

    row: Any
    active: int


def list_backfills(
    uow: UnitOfWork, team: str, *, dag_id: str, states: Collection[str], before_id: str | None, limit: int
) -> Sequence[ListedBackfill]:
    """List backfills, created last first."""
    found = rows.list_backfills(uow, team, dag_id=dag_id, states=states, before_id=before_id, limit=limit)
    return _complete(uow, found)


def read_backfill(uow: UnitOfWork, team: str, backfill_id: str) -> ListedBackfill:
    """One backfill. Raises `Refused`: BACKFILL_NOT_FOUND."""
    return _complete(uow, [get_backfill(uow, team, backfill_id)])[0]


def _complete(uow: UnitOfWork, found: Sequence[Any]) -> Sequence[ListedBackfill]:
    active = rows.count_active(uow, [row.id for row in found])
    return [ListedBackfill(row, active.get(row.id, 0)) for row in found]
