"""Workers for people: looking at them, draining, pausing and moving them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.states import WorkerState
from crosswind_server.store import task_listing
from crosswind_server.store import worker_listing as rows
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedWorker:
    """A worker instance: its row, the slots that its attempts take, and what it offers.

    Of what it offers: bundle, version, whether that is current, and its API version.
    """

    row: Any
    used_slots: int
    bundles: Sequence[tuple[str, str, bool, str]]


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
        raise _not_found(team, name)
    return _complete(uow, [row])[0]


def drain_worker(uow: UnitOfWork, team: str, name: str) -> ListedWorker:
    """Let the newest instance of a worker finish what it runs, and leave.

    Raises:
        Refused: WORKER_NOT_FOUND or WORKER_LOST.
    """
    row = _lock_hearing(uow, team, name)
    if row.state != WorkerState.DRAINING:
        rows.drain(uow, row.instance_id)
        uow.hint(f"worker:{row.instance_id}")
    return get_worker(uow, team, name)


def pause_worker(uow: UnitOfWork, team: str, name: str, *, paused: bool) -> ListedWorker:
    """Pause a worker or let it go on. Raises `Refused`: WORKER_NOT_FOUND."""
    row = rows.lock_newest(uow, team, name)
    if row is None:
        raise _not_found(team, name)
    if row.paused is not paused:
        rows.set_paused(uow, row.instance_id, paused=paused)
        uow.hint(f"worker:{row.instance_id}")
        uow.hint(f"work:{team}")
    return get_worker(uow, team, name)


def move_worker(uow: UnitOfWork, team: str, name: str) -> ListedWorker:
    """Let the newest instance of a worker connect anew. Raises `Refused`: WORKER_NOT_FOUND or WORKER_LOST."""
    row = _lock_hearing(uow, team, name)
    if not row.moving:
        rows.set_moving(uow, row.instance_id)
        uow.hint(f"worker:{row.instance_id}")
    return get_worker(uow, team, name)


def _lock_hearing(uow: UnitOfWork, team: str, name: str) -> Any:
    """Lock the newest instance of a worker that can be told something."""
    row = rows.lock_newest(uow, team, name)
    if row is None:
        raise _not_found(team, name)
    if row.state in (WorkerState.SUPERSEDED, WorkerState.GONE):
        raise Refused(
            Reason.WORKER_NOT_FOUND,
            f"The worker '{name}' has left and hears nothing any more; `crosswind workers list` shows those that do.",
            metadata={"worker": name},
        )
    if row.state == WorkerState.LOST:
        raise Refused(
            Reason.WORKER_LOST,
            f"The worker '{name}' is lost: it was not heard of for long, so it cannot be told; repeat this when it is"
            " back, or stop its process.",
            metadata={"worker": name},
        )
    return row


def _not_found(team: str, name: str) -> Refused:
    return Refused(
        Reason.WORKER_NOT_FOUND,
        f"Team '{team}' has no worker '{name}'; `crosswind workers list` shows them.",
        metadata={"worker": name},
    )


def _complete(uow: UnitOfWork, found: Sequence[Any]) -> Sequence[ListedWorker]:
    ids = [row.instance_id for row in found]
    used = task_listing.used_slots(uow, ids)
    bundles = rows.offered_bundles(uow, ids)
    return [
        ListedWorker(row=row, used_slots=used.get(row.instance_id, 0), bundles=bundles.get(row.instance_id, ()))
        for row in found
    ]
