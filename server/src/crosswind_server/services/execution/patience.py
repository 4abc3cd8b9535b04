"""What has waited long for several slots of a pool, whoever could take it: it keeps what comes free. [SCHED-3]

A worker sees what it fits. Without this, tasks of one queue that take little would come first for ever in a pool that
they share with tasks of another queue, or of another bundle, that take more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crosswind_server.domain.claims import PATIENCE_US, WorkerTraits, read_labels
from crosswind_server.store import bounds, claims, task_listing
from crosswind_server.store.bounds import Bound
from crosswind_server.store.task_listing import OfferingWorker
from crosswind_server.store.unit_of_work import UnitOfWork

_MOST: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """An instance that has waited long for several slots of a pool.

    Args:
        at_hand: whether a worker that fits has the slots for it now.
    """

    id: str
    task_id: str
    pool: str
    pool_slots: int
    rank: int
    waited_us: int
    at_hand: bool


def patient_of(uow: UnitOfWork, team: str, pools: Mapping[str, Bound]) -> list[Patient]:
    """What has waited long for several slots of pools and a live worker could take, best first; the best of each class.

    What nobody could take keeps nothing: no worker is what it needs or goes on, its pool is too small, its DAG is
    paused, or its task runs as often as may be. Nor does anything of a pool of which nothing is taken, or all.
    """
    shared = [name for name, pool in pools.items() if pool.taken and pool.free]
    found = claims.patient_of_pools(uow, team, shared, since=uow.now - PATIENCE_US, most=_MOST)
    if not found:
        return []
    limits = bounds.read_limits(uow, team, {row.task_limit for row in found if row.task_limit is not None})
    offering: dict[str, list[OfferingWorker]] = {}
    for worker in task_listing.list_offering_workers(uow, team, {row.offer_key for row in found}):
        if worker.state == "active" and not worker.paused:
            offering.setdefault(worker.offer_key, []).append(worker)
    patient = []
    for row in found:
        limit = limits.get(row.task_limit)
        fitting = _fitting(row, offering.get(row.offer_key, ()))
        if not fitting or row.pool_slots > pools[row.pool].slots or (limit is not None and limit.free < 1):
            continue
        patient.append(
            Patient(
                id=row.best_id,
                task_id=row.task_id,
                pool=row.pool,
                pool_slots=row.pool_slots,
                rank=row.rank,
                waited_us=uow.now - row.queued_time,
                at_hand=any(worker.slots - worker.used_slots >= row.slots for worker in fitting),
            )
        )
    return patient


def _fitting(row: Any, workers: Sequence[OfferingWorker]) -> list[OfferingWorker]:
    labels = read_labels(row.labels_json)
    return [
        worker
        for worker in workers
        if WorkerTraits(
            queues=tuple(json.loads(worker.queues_json)),
            roles=tuple(json.loads(worker.roles_json)),
            labels=json.loads(worker.labels_json),
            slots=worker.slots,
        ).could_ever_take(queue=row.queue, role=row.role, slots=row.slots, labels=labels)
    ]
