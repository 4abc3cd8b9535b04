"""Workers for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.store import task_listing
from crosswind_server.store import worker_listing as rows
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedWorker:
    """A worker instance: its row, the slots that its attempts take, and what it offers (bundle, version, current)."""

    row: Any
    used_slots: int
    bundles: Sequence[tuple[str, str, bool]]


def list_workers(
    uow: UnitOfWork,
    team: str,
    *,
    states: Collection[str],
    bundle: str,
    queue: str,
    after: tuple[str, int, str] | None,
    limit: int,
) -> Sequence[ListedWorker]:
    """List worker instances by name, then the newest first."""
    found = rows.list_workers(uow, team, states=states, of_bundle=bundle, queue=queue, after=after, limit=limit)
    return _complete(uow, found)


def get_worker(uow: UnitOfWork, team: str, name: str) -> ListedWorker:
    """The newest instance of a worker. Raises `Refused`: WORKER_NOT_FOUND."""
    row = rows.newest_instance(uow, team, name)
    if row is None:
        raise Refused(
            Reason.WORKER_NOT_FOUND,
            f"Team '{team}' has no worker '{name}'; `crosswind workers list` shows them.",
            metadata={"worker": name},
        )
    return _complete(uow, [row])[0]


def _complete(uow: UnitOfWork, found: Sequence[Any]) -> Sequence[ListedWorker]:
    ids = [row.instance_id for row in found]
    used = task_listing.used_slots(uow, ids)
    bundles = rows.offered_bundles(uow, ids)
    return [
        ListedWorker(row=row, used_slots=used.get(row.instance_id, 0), bundles=bundles.get(row.instance_id, ()))
        for row in found
    ]
