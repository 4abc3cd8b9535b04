"""Which of what waits each worker is given: what fits it, its pool and its bounds, best first. [SCHED-3]

Here belongs the choice. The way of a poll, and how a lease is written down, is in `polling` and `assigning`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.claims import PATIENCE_US, PREFERENCE_US, left_of, missing, read_labels
from crosswind_server.services.execution import patience, pinning
from crosswind_server.services.execution.patience import Patient
from crosswind_server.store import bounds, claims
from crosswind_server.store.bounds import Bound
from crosswind_server.store.unit_of_work import UnitOfWork

_SPARE: Final = 32
_MOST_CLASSES: Final = 128
"""Only so many classes are looked at beyond the number of leases, those whose first rank is best."""
_LOOK_AGAIN_US: Final = 5_000_000
"""When a worker looks again that was not given what somebody else waits for: that may have gone without being taken."""


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
class _Picking:
    """What a worker is about to be given.

    Args:
        slots: of the worker that are free.
        pool_free, limit_free: what is free of pools and bounds.
        patient: what waits for slots of pools, whoever it is for, best first; empties as it is passed.
        ids: of what is to be locked.
    """

    slots: int
    pool_free: dict[str, int]
    limit_free: dict[str, int]
    patient: list[Patient]
    ids: list[str] = field(default_factory=list)
    look_again_us: int | None = None

    def pass_patient(self, rank: int | None) -> None:
        """Keep the slots of pools for what waits for them and comes before a rank, or for all of it."""
        while self.patient and (rank is None or self.patient[0].rank < rank):
            first = self.patient.pop(0)
            free = self.pool_free[first.pool]
            left = left_of(free, wanted=first.pool_slots, waited_us=first.waited_us, at_hand=first.at_hand)
            if left < free:
                self.pool_free[first.pool] = left
                self.look_again(_LOOK_AGAIN_US)

    def look_again(self, after_us: int) -> None:
        """Let the worker look again after so many microseconds at the latest."""
        self.look_again_us = after_us if self.look_again_us is None else min(self.look_again_us, after_us)


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
    patient: list[Patient] = field(default_factory=list)

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
        self.patient = patience.patient_of(self.uow, self.team, self.pools)

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
        picking = self._pick(found, by_id, slots=slots, limit=limit)
        # Somebody else may have pinned what was found, and it is of another class now.
        locked = [row for row in claims.lock(self.uow, picking.ids) if row.claim_class in by_id]
        rows = pinning.assignable(self.uow, locked)
        for row in rows:
            self._take(by_id[row.claim_class])
        self._note_taken({row.id for row in rows})
        contended = contended or len(rows) < len(picking.ids)
        return Choice(rows=rows, contended=contended, look_again_us=picking.look_again_us)

    def _pick(self, found: Sequence[Row[Any]], classes: Mapping[str, Wanted], *, slots: int, limit: int) -> _Picking:
        pool_free = {name: pool.free for name, pool in self.pools.items()}
        limit_free = {key: limit.free for key, limit in self.limits.items()}
        own = {row.id for row in found}
        picking = _Picking(slots, pool_free, limit_free, [each for each in self.patient if each.id not in own])
        for row in found:
            if len(picking.ids) == limit or picking.slots == 0:
                break
            each = classes[row.claim_class]
            waited = self.uow.now - row.queued_time
            picking.pass_patient(row.rank)
            if each.preferring and waited < PREFERENCE_US:
                picking.look_again(PREFERENCE_US - waited)
                continue
            if each.task_limit is not None and limit_free.get(each.task_limit, 1) < 1:
                continue
            if each.pool is not None and each.pool_slots > pool_free[each.pool]:
                free = pool_free[each.pool]
                pool_free[each.pool] = left_of(free, wanted=each.pool_slots, waited_us=waited, at_hand=True)
                continue
            # The same for the slots of a worker.
            if each.slots > picking.slots:
                if waited >= PATIENCE_US:
                    break
                continue
            picking.ids.append(row.id)
            picking.slots -= each.slots
            if each.pool is not None:
                pool_free[each.pool] -= each.pool_slots
            if each.task_limit is not None and each.task_limit in limit_free:
                limit_free[each.task_limit] -= 1
        return picking

    def _note_taken(self, ids: Collection[str]) -> None:
        """Keep nothing more for what is taken, and let those look again from whom it was kept."""
        waiting = [each for each in self.patient if each.id not in ids]
        if len(waiting) < len(self.patient):
            self.patient = waiting
            self.uow.hint(f"work:{self.team}")

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
