"""Polling: which worker gets which task instance, and how long an empty-handed one waits. [LEASE-2] [SCHED-3] [STOP-1]

`Polling.claim` is one look, in a transaction; `Polling.poll` looks again whenever a hint says that there may be
something, and never otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.lifecycle import MAX_DELIVERIES, Event
from crosswind_server.domain.states import AttemptState, WorkerState
from crosswind_server.services.access.callers import Caller
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.execution import directives
from crosswind_server.services.execution.assigning import Assigning, Lease
from crosswind_server.services.execution.claiming import Choice, Claims
from crosswind_server.services.execution.directives import Directive, DirectiveKind
from crosswind_server.services.fleet import presence
from crosswind_server.services.flow.sweeps import apply_to_all
from crosswind_server.store import attempts, retirement, workers
from crosswind_server.store.engine import Store
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import SECOND_US, Timing

LARGEST_CLAIM: Final = 500
"""So many leases go with one answer, which keeps it well within a message."""

_STOP: Final = "polls"
_BUSY: Final = 8
_BREATHER_S: Final = 0.025
"""A worker that holds `_BUSY` attempts gets more at most this often. It has enough to do meanwhile, and its slots that
become free one by one are then filled by one claim and one answer instead of many."""
_CONTENDED_S: Final = 0.02
"""After so long a poll looks again for what another server had locked, for which no hint may come."""
_REMEMBERED: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PollWork:
    """A worker asks for work.

    Args:
        held_attempt_ids: what it holds, started or not.
        max_leases: what it can take; None: as many as it has free slots.
        known_directives: the digest of the directives that it obeys.
        first: False when the same poll looks again after a hint.
    """

    caller: Caller
    instance_id: str
    poll_number: int
    held_attempt_ids: tuple[str, ...] = ()
    max_leases: int | None = None
    known_directives: str = ""
    first: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Answers a poll.

    Args:
        contended: another server had locked some of what the worker could have been given.
        look_again_us: after how many microseconds there may be leases without any hint; None: never.
    """

    leases: tuple[Lease, ...] = ()
    directives: tuple[Directive, ...] = ()
    digest: str = ""
    contended: bool = False
    look_again_us: int | None = None


@dataclass(slots=True, kw_only=True)
class _Look:
    """One look for a worker, under way: what it holds, what it is sent, and how much more it can take."""

    command: PollWork
    worker: Row[Any]
    held: list[Row[Any]]
    leases: list[Lease]
    slots: int = 0
    limit: int = 0


class Polling:
    """Long polls of one server, and the claims that they make."""

    def __init__(self, store: Store, plans: PlanCache, *, timing: Timing) -> None:
        self._store = store
        self._plans = plans
        self._timing = timing
        self._assigning = Assigning(plans, timing=timing)
        self._newest: dict[str, int] = {}
        self._given: dict[str, float] = {}
        self._busy: set[str] = set()
        self._stopping = False

    # Waiting

    async def poll(self, command: PollWork, *, wait: float | None = None) -> Work:
        """Wait for leases or news, at most `wait` seconds (None: the server's own bound).

        Raises:
            Refused: WORKER_UNKNOWN, WORKER_SUPERSEDED or POLL_SUPERSEDED.
        """
        loop = asyncio.get_running_loop()
        longest = self._timing.poll_wait
        end = loop.time() + (longest if wait is None else max(0.0, min(wait, longest)))
        instance_id, number = command.instance_id, command.poll_number
        self._note_held(instance_id, len(command.held_attempt_ids))
        if number > self._newest.get(instance_id, -1):
            self._newest[instance_id] = number
            self._store.hints.publish([f"poll:{instance_id}"])
        team = command.caller.team
        topics = (f"work:{team}", f"worker:{instance_id}", f"poll:{instance_id}", _STOP)
        try:
            async with self._store.hints.subscribe(*topics) as subscription:
                while True:
                    if self._stopping:
                        return _answer((), [directives.MOVE_AWAY])
                    if self._newest.get(instance_id, number) > number:
                        raise superseded(instance_id)
                    if self.is_busy(instance_id):
                        await asyncio.sleep(self._given.get(instance_id, 0.0) + _BREATHER_S - loop.time())
                    work = await self._store.write(self.claim, command)
                    if work.leases:
                        self._note_given(instance_id, loop.time())
                        self._note_held(instance_id, len(command.held_attempt_ids) + len(work.leases))
                    if work.leases or work.digest != command.known_directives:
                        return work
                    command = replace(command, first=False)
                    left = max(0.0, end - loop.time())
                    pause = _pause(work)
                    if pause is not None and left > pause:
                        await subscription.wait(pause)
                    elif not await subscription.wait(left):
                        return work
        finally:
            if self._newest.get(instance_id) == number:
                del self._newest[instance_id]

    def is_busy(self, instance_id: str) -> bool:
        """Whether a worker has enough to do, so that its calls may wait a moment for each other."""
        return instance_id in self._busy

    def _note_held(self, instance_id: str, count: int) -> None:
        if count < _BUSY:
            self._busy.discard(instance_id)
        elif instance_id not in self._busy:
            if len(self._busy) >= _REMEMBERED:
                self._busy.clear()  # those that still are busy say so with their next poll
            self._busy.add(instance_id)

    def _note_given(self, instance_id: str, now: float) -> None:
        if len(self._given) >= _REMEMBERED:
            self._given = {key: at for key, at in self._given.items() if at + _BREATHER_S > now}
        self._given[instance_id] = now

    def begin_stop(self) -> None:
        """Answer all open polls, and all that follow, with "move away". Any thread."""
        self._stopping = True
        self._store.hints.publish([_STOP])

    @property
    def stopping(self) -> bool:
        """Whether workers are to move away."""
        return self._stopping

    # One look, in a transaction

    def claim(self, uow: UnitOfWork, commands: Sequence[PollWork]) -> Sequence[Work | Exception]:
        """Give each worker what it can take; the newest poll of one counts."""
        newest: dict[str, int] = {}
        for command in commands:
            newest[command.instance_id] = max(newest.get(command.instance_id, -1), command.poll_number)
        rows = self._hear(uow, commands)
        held = self._held(uow, list(newest))
        results: list[_Look | Exception] = []
        served: set[str] = set()
        for command in commands:
            row = rows.get(command.instance_id)
            refusal = presence.refusal_of(row, team=command.caller.team, instance_id=command.instance_id)
            if refusal is not None or row is None:
                results.append(refusal or superseded(command.instance_id))
            elif command.poll_number < max(row.poll_number, newest[command.instance_id]) or row.instance_id in served:
                results.append(superseded(command.instance_id))
            else:
                served.add(row.instance_id)
                results.append(self._begin(uow, command, row, held.get(command.instance_id, [])))
        looks = [look for look in results if isinstance(look, _Look)]
        taking = Claims.begin(uow, [look.worker for look in looks if look.limit > 0])
        return [self._complete(uow, each, taking) if isinstance(each, _Look) else each for each in results]

    def _hear(self, uow: UnitOfWork, commands: Sequence[PollWork]) -> dict[str, Row[Any]]:
        heard: dict[str, Row[Any]] = {}
        for command in commands:
            if command.first:
                row = workers.hear_poll(uow, command.instance_id, command.poll_number)
                if row is not None:
                    heard[command.instance_id] = row
        rest = {command.instance_id for command in commands} - heard.keys()
        return {**heard, **workers.get(uow, rest)}

    def _held(self, uow: UnitOfWork, instance_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
        held: dict[str, list[Row[Any]]] = {}
        for row in attempts.held_by(uow, instance_ids):
            held.setdefault(row.instance_id, []).append(row)
        return held

    def _begin(self, uow: UnitOfWork, command: PollWork, worker: Row[Any], held: list[Row[Any]]) -> _Look:
        listed = frozenset(command.held_attempt_ids)
        exhausted = []
        again = []
        if command.first:
            unlisted = [row for row in held if row.state == AttemptState.ASSIGNED and row.id not in listed]
            exhausted = [row.id for row in unlisted if row.deliveries >= MAX_DELIVERIES]
            again = [row for row in unlisted if row.deliveries < MAX_DELIVERIES]
        if exhausted:
            apply_to_all(uow, self._plans, Event.REDELIVER, exhausted)
            gone = frozenset(exhausted)
            held = [row for row in held if row.id not in gone]
        look = _Look(command=command, worker=worker, held=held, leases=self._assigning.deliver_again(uow, again))
        if worker.state == WorkerState.ACTIVE and not worker.paused and not self._stopping:
            look.slots = worker.slots - sum(row.slots for row in held)
            room = look.slots if command.max_leases is None else min(look.slots, command.max_leases - len(look.leases))
            look.limit = max(0, min(room, LARGEST_CLAIM))
        return look

    def _complete(self, uow: UnitOfWork, look: _Look, taking: Mapping[str, Claims]) -> Work:
        worker, choice = look.worker, Choice()
        if look.limit > 0:
            choice = taking[worker.team].choose(worker, slots=look.slots, limit=look.limit)
            offers = taking[worker.team].offers_of(worker.instance_id)
            look.leases += self._assigning.assign(uow, worker, choice.rows, offers)
        told = directives.of_worker(worker) + directives.of_attempts(look.held)
        told += self._lost(uow, look.command, look.held)
        told += self._retired(uow, worker.instance_id)
        if worker.moving and directives.digest(sorted(told)) == look.command.known_directives:
            # It says so over its new connection.
            workers.note_moved(uow, worker.instance_id)
            told.remove(directives.MOVE_AWAY)
        return replace(_answer(look.leases, told), contended=choice.contended, look_again_us=choice.look_again_us)

    def _lost(self, uow: UnitOfWork, command: PollWork, held: Sequence[Row[Any]]) -> list[Directive]:
        """What the worker says it holds although its lease is not valid any more, and no outcome ended it."""
        live = {row.id for row in held}
        doubtful = [attempt_id for attempt_id in command.held_attempt_ids if attempt_id not in live]
        if not doubtful:
            return []
        standing = {row.id: row for row in attempts.get_standing(uow, doubtful)}
        return [
            Directive(DirectiveKind.LOST, attempt_id=attempt_id)
            for attempt_id in doubtful
            if attempt_id not in standing or standing[attempt_id].outcome_id is None
        ]

    @staticmethod
    def _retired(uow: UnitOfWork, instance_id: str) -> list[Directive]:
        return [
            Directive(DirectiveKind.RETIRE_BUNDLE, bundle=row.bundle, bundle_version=row.version)
            for row in retirement.retirable(uow, [instance_id])
        ]


def _pause(work: Work) -> float | None:
    """After how many seconds a poll looks again without a hint; None: it does not."""
    if work.contended:
        return _CONTENDED_S
    return None if work.look_again_us is None else work.look_again_us / SECOND_US


def _answer(leases: Sequence[Lease], told: Sequence[Directive]) -> Work:
    ordered = tuple(sorted(told))
    return Work(leases=tuple(leases), directives=ordered, digest=directives.digest(ordered))


def superseded(instance_id: str) -> Refused:
    """The refusal of a poll that a newer one replaced."""
    return Refused(
        Reason.POLL_SUPERSEDED,
        "A newer poll of this worker took the place of this one; ignore this answer.",
        metadata={"instance_id": instance_id},
    )
