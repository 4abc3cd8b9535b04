"""Which of what waits each worker is given: what fits it, its pool and its bounds, best first. [SCHED-3]

Here belongs the choice. The way of a poll, and how a lease is written down, is in `polling` and `assigning`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.claims import PATIENCE_US, PREFERENCE_US, missing, read_labels
from crosswind_server.store import bounds, claims
from crosswind_server.store.bounds import Bound
from crosswind_server.store.unit_of_work import UnitOfWork

_SPARE: Final = 32
_MOST_CLASSES: Final = 128
"""Only so many classes are looked at beyond the number of leases, those whose first rank is best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A class that somebody waits in and that a worker fits.

    Args:
        versions: the bundles and versions in which the worker has it: the newest last, or the bundle's current one.
        preferring: whether its instances would rather have another worker, for a while.
    """

    id: str
    offer_key: str
    slots: int
    pool: str | None
    pool_slots: int
    task_limit: str | None
    best_rank: int
    versions: tuple[tuple[str, str], ...]
    preferring: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a worker is given.

    Args:
        rows: locked instances, best first.
        contended: whether another server had locked some of what it could have been given.
        look_again_us: after how many microseconds there may be more without any hint; None: never.
    """

    rows: Sequence[Row[Any]] = ()
    contended: bool = False
    look_again_us: int | None = None


@dataclass(slots=True)
class Claims:
    """The claims of one transaction: what its workers want, and the pools and bounds of that, locked together.

    All are locked before the first worker is given anything, so that no transaction locks in an order of its own.
    """

    uow: UnitOfWork
    team: str
    wanted: dict[str, Sequence[Wanted]] = field(default_factory=dict)
    pools: Mapping[str, Bound] = field(default_factory=dict)
    limits: Mapping[str, Bound] = field(default_factory=dict)

    @classmethod
    def begin(cls, uow: UnitOfWork, workers: Sequence[Row[Any]]) -> dict[str, Claims]:
        """What workers want, by team, with the bounds of that locked."""
        by_team: dict[str, Claims] = {}
        for worker in workers:
            of_team = by_team.setdefault(worker.team, cls(uow, worker.team))
            of_team.wanted[worker.instance_id] = _wanted(uow, worker)
        for team in sorted(by_team):
            by_team[team]._lock_bounds()
        return by_team

    def _lock_bounds(self) -> None:
        every = [each for wanted in self.wanted.values() for each in wanted]
        if pools := {each.pool for each in every if each.pool is not None}:
            self.pools = bounds.lock_pools(self.uow, self.team, pools)
        if limits := {each.task_limit for each in every if each.task_limit is not None}:
            self.limits = bounds.lock_limits(self.uow, self.team, limits)

    def offers_of(self, instance_id: str) -> dict[str, tuple[tuple[str, str], ...]]:
        """The bundles and versions in which a worker has what it wants, by offer key."""
        return {each.offer_key: each.versions for each in self.wanted.get(instance_id, ())}

    def choose(self, worker: Row[Any], *, slots: int, limit: int) -> Choice:
        """Lock what a worker is given.

        Args:
            slots: of it that are free.
            limit: the most instances.
        """
        fitting: list[tuple[Wanted, int]] = []
        stuck: list[tuple[Wanted, int]] = []
        contended = False
        for each in self.wanted.get(worker.instance_id, ()):
            if each.slots > worker.slots or not self._could_ever(each):
                continue
            if any(bound.locked_elsewhere for bound in self._bounds_of(each)):
                contended = True
            elif (count := min(limit, slots // each.slots, self._room_for(each))) > 0:
                fitting.append((each, count))
            else:
                stuck.append((each, 1))
        most = min(limit + _SPARE, _MOST_CLASSES)
        asked = sorted(fitting, key=_by_rank)[:most] + sorted(filter(_is_heavy, stuck), key=_by_rank)[:_SPARE]
        if not asked:
            return Choice(contended=contended)
        found = claims.find_best(self.uow, self.team, [(each.id, count) for each, count in asked])
        by_id = {each.id: each for each, _ in asked}
        ids, look_again_us = self._pick(found, by_id, slots=slots, limit=limit)
        rows = claims.lock(self.uow, ids)
        for row in rows:
            self._take(by_id[row.claim_class])
        return Choice(rows=rows, contended=contended or len(rows) < len(ids), look_again_us=look_again_us)

    def _pick(
        self, found: Sequence[Row[Any]], classes: Mapping[str, Wanted], *, slots: int, limit: int
    ) -> tuple[list[str], int | None]:
        """The ids of what is to be locked, and when it is worth to look again."""
        now = self.uow.now
        pool_free = {name: pool.free for name, pool in self.pools.items()}
        limit_free = {key: limit.free for key, limit in self.limits.items()}
        picked: list[str] = []
        look_again_us: int | None = None
        for row in found:
            if len(picked) == limit or slots == 0:
                break
            each = classes[row.claim_class]
            waited = now - row.queued_time
            if each.preferring and waited < PREFERENCE_US:
                left = PREFERENCE_US - waited
                look_again_us = left if look_again_us is None else min(look_again_us, left)
                continue
            if each.task_limit is not None and limit_free.get(each.task_limit, 1) < 1:
                continue
            # What has waited long keeps what is free, and too little for it, from what comes after it: else what takes
            # less would come first for ever.
            if each.pool is not None and each.pool_slots > pool_free[each.pool]:
                if waited >= PATIENCE_US:
                    pool_free[each.pool] = 0
                continue
            if each.slots > slots:
                if waited >= PATIENCE_US:
                    break
                continue
            picked.append(row.id)
            slots -= each.slots
            if each.pool is not None:
                pool_free[each.pool] -= each.pool_slots
            if each.task_limit is not None and each.task_limit in limit_free:
                limit_free[each.task_limit] -= 1
        return picked, look_again_us

    def _bounds_of(self, each: Wanted) -> Iterable[Bound]:
        if each.pool is not None and each.pool in self.pools:
            yield self.pools[each.pool]
        if each.task_limit is not None and each.task_limit in self.limits:
            yield self.limits[each.task_limit]

    def _could_ever(self, each: Wanted) -> bool:
        """Whether its pool is there and large enough."""
        if each.pool is None:
            return True
        return each.pool in self.pools and self.pools[each.pool].slots >= each.pool_slots

    def _room_for(self, each: Wanted) -> int:
        """How many of a class its pool and its bound allow now."""
        room: int = 1 << 31
        if each.pool is not None:
            room = self.pools[each.pool].free // each.pool_slots
        if each.task_limit is not None and each.task_limit in self.limits:
            room = min(room, self.limits[each.task_limit].free)
        return room

    def _take(self, each: Wanted) -> None:
        if each.pool is not None:
            self.pools[each.pool].taken += each.pool_slots
        if each.task_limit is not None and each.task_limit in self.limits:
            self.limits[each.task_limit].taken += 1


def _by_rank(asked: tuple[Wanted, int]) -> int:
    return asked[0].best_rank


def _is_heavy(asked: tuple[Wanted, int]) -> bool:
    """Only what takes several slots can find some free and too few."""
    return asked[0].slots > 1 or asked[0].pool_slots > 1


def _wanted(uow: UnitOfWork, worker: Row[Any]) -> Sequence[Wanted]:
    labels = json.loads(worker.labels_json)
    found: dict[str, list[Row[Any]]] = {}
    for row in claims.wanted_classes(
        uow,
        worker.team,
        worker.instance_id,
        queues=json.loads(worker.queues_json),
        roles=json.loads(worker.roles_json),
    ):
        found.setdefault(row.id, []).append(row)
    wanted = []
    for class_id, rows in found.items():
        row = rows[0]
        asked = read_labels(row.labels_json)
        if missing(asked, labels, required=True):
            continue
        wanted.append(
            Wanted(
                id=class_id,
                offer_key=row.offer_key,
                slots=row.slots,
                pool=row.pool,
                pool_slots=row.pool_slots,
                task_limit=row.task_limit,
                best_rank=row.best_rank,
                versions=tuple((each.bundle, each.version) for each in rows),
                preferring=bool(missing(asked, labels, required=False)),
            )
        )
    return wanted
