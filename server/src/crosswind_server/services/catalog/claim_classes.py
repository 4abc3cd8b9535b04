"""Classes of claims that are stored: each is written once, however many instances have it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from crosswind_server.domain.claims import ClaimClass
from crosswind_server.store import claim_classes
from crosswind_server.store.unit_of_work import UnitOfWork

_CAPACITY: Final = 100_000


class ClaimClasses:
    """The ids of classes that are known to be in the database. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[str] = set()

    def keep(self, uow: UnitOfWork, classes: Mapping[str, ClaimClass]) -> None:
        """Write those classes, by id, that may not be stored yet."""
        new = [classes[each] for each in sorted(classes.keys() - self._known)]
        if not new:
            return
        claim_classes.add(uow, [_row(each) for each in new])
        # Not before: what is rolled back would be taken for stored.
        uow.after_commit(lambda: self._remember(each.id for each in new))

    def _remember(self, ids: Iterable[str]) -> None:
        with self._lock:
            if len(self._known) > _CAPACITY:
                self._known.clear()
            self._known.update(ids)


def _row(of: ClaimClass) -> dict[str, Any]:
    return {
        "id": of.id,
        "team": of.team,
        "offer_key": of.offer_key,
        "queue": of.queue,
        "role": of.role,
        "slots": of.slots,
        "pool": of.pool,
        "pool_slots": of.pool_slots,
        "task_limit": of.task_limit,
        "labels_json": of.labels_json,
    }
