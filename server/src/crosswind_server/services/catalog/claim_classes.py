"""Classes of claims that are stored: each is written once, however many instances have it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from crosswind_server.domain.claims import ClaimClass
from crosswind_server.store import claim_classes
from crosswind_server.store.unit_of_work import UnitOfWork

TRUSTED_US: Final = 3_600_000_000
"""So long a server takes a class for stored that it has written, in microseconds of the database's clock."""
KEPT_US: Final = 24 * TRUSTED_US
"""So long a class stays that nobody writes again: no transaction that trusts it lasts as long as the difference."""
_CAPACITY: Final = 100_000
_PIECE: Final = 500


class ClaimClasses:
    """The ids of classes that are known to be in the database, and since when. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, int] = {}

    def keep(self, uow: UnitOfWork, classes: Mapping[str, ClaimClass]) -> None:
        """Write those classes, by id, that may not be stored any more, or not as used lately."""
        stale = uow.now - TRUSTED_US
        new = [classes[each] for each in sorted(classes) if self._known.get(each, 0) <= stale]
        if not new:
            return
        claim_classes.use(uow, [_row(each, uow.now) for each in new])
        # Not before: what is rolled back would be taken for stored.
        uow.after_commit(lambda: self._remember((each.id for each in new), uow.now))

    def _remember(self, ids: Iterable[str], now: int) -> None:
        with self._lock:
            if len(self._known) > _CAPACITY:
                self._known.clear()
            self._known.update(dict.fromkeys(ids, now))


def forget_unused(uow: UnitOfWork) -> int:
    """Delete classes that nobody uses any more, a piece of them; answers how many."""
    return claim_classes.forget_unused(uow, before=uow.now - KEPT_US, most=_PIECE)


def _row(of: ClaimClass, now: int) -> dict[str, Any]:
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
        "used_time": now,
    }
