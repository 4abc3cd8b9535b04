"""Pools: the slots that the tasks which name them may take together. How they bound claims is in `claiming`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.services.access.variables import check_description
from crosswind_server.store import bounds
from crosswind_server.store import pools as rows
from crosswind_server.store.unit_of_work import UnitOfWork

MOST_SLOTS: Final = 1_000_000
LONGEST_NAME: Final = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool: its row, the slots that live attempts take, and how many instances wait for some."""

    row: Any
    used_slots: int
    waiting_count: int


def list_pools(uow: UnitOfWork, team: str, *, after_name: str | None, limit: int) -> Sequence[Pool]:
    """A team's pools by name."""
    return _complete(uow, team, rows.list_pools(uow, team, after_name=after_name, limit=limit))


def get_pool(uow: UnitOfWork, team: str, name: str) -> Pool:
    """One pool. Raises `Refused`: POOL_NOT_FOUND."""
    row = rows.get_pool(uow, team, name)
    if row is None:
        raise not_found(team, name)
    return _complete(uow, team, [row])[0]


def set_pool(
    uow: UnitOfWork, team: str, name: str, *, slots: int | None = None, description: str | None = None
) -> tuple[Pool, bool]:
    """Create or change a pool; None leaves a part as it is. Answers it, and whether it was created.

    Raises:
        Refused: POOL_NOT_FOUND, it is new and gets no slots; INVALID_ARGUMENT or VALUE_TOO_LARGE.
    """
    if len(name) > LONGEST_NAME:
        raise _invalid("name", f"A pool's name has 1 to {LONGEST_NAME} characters, not {len(name)}; shorten it.")
    if slots is not None and not 0 <= slots <= MOST_SLOTS:
        raise _invalid("slots", f"A pool has 0 to {MOST_SLOTS:,} slots, not {slots:,}.")
    if description is not None:
        check_description(description)
    old = rows.lock_pool(uow, team, name)
    if old is None and slots is None:
        raise not_found(team, name, "; give it slots, and it is created")
    rows.put_pool(
        uow,
        {
            "team": team,
            "name": name,
            "slots": old.slots if slots is None and old is not None else slots,
            "description": description if description is not None else old.description if old is not None else "",
            "created_time": old.created_time if old is not None else uow.now,
            "updated_time": uow.now,
        },
    )
    uow.hint(f"work:{team}")
    return get_pool(uow, team, name), old is None


def delete_pool(uow: UnitOfWork, team: str, name: str) -> None:
    """Delete a pool: what names it waits until there is one again. Raises `Refused`: POOL_NOT_FOUND."""
    if not rows.delete_pool(uow, team, name):
        raise not_found(team, name)


def not_found(team: str, name: str, way_out: str = "; `crosswind pools list` shows them") -> Refused:
    """The refusal of a pool that does not exist."""
    return Refused(
        Reason.POOL_NOT_FOUND, f"Team '{team}' has no pool '{name[:80]}'{way_out}.", metadata={"pool": name[:80]}
    )


def _invalid(field: str, message: str) -> Refused:
    return Refused(Reason.INVALID_ARGUMENT, message, metadata={"field": field})


def _complete(uow: UnitOfWork, team: str, found: Sequence[Any]) -> Sequence[Pool]:
    names = [row.name for row in found]
    taken = bounds.read_pools(uow, team, names)
    waiting = rows.count_waiting(uow, team, names)
    return [
        Pool(row=row, used_slots=taken[row.name].taken, waiting_count=waiting.get(row.name, 0))
        for row in found
        if row.name in taken
    ]
