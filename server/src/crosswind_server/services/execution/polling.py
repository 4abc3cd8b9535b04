"""Polling: which worker gets which task instance, and how long an empty-handed one waits. [LEASE-2] [SCHED-3] [STOP-1]

`Polling.claim` is one look, in a transaction; `Polling.poll` looks again whenever a hint says that there may be
something, and never otherwise.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.ids import make_lease, uuid7
from crosswind_server.domain.lifecycle import MAX_DELIVERIES, Event
from crosswind_server.domain.plan import Reference
from crosswind_server.domain.states import AttemptState, TaskState, WorkerState
from crosswind_server.services.access.callers import Caller
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.execution import directives
from crosswind_server.services.execution.directives import Directive, DirectiveKind
from crosswind_server.services.fleet import presence
from crosswind_server.services.flow.settlement import apply_to_all
from crosswind_server.store import attempts, claims, run_listing, runs, task_instances, workers
from crosswind_server.store.engine import Store
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import Timing

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
_CONSUMES_A_NUMBER: Final = frozenset({"succeeded", "failed", "skipped", "lost"})


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
class Lease:
    """The right to run one attempt. Times are spans in microseconds."""

    attempt_id: str
    lease: bytes
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    bundle: str
    bundle_version: str
    entry_point: str
    start_deadline_us: int
    slots: int
    queue: str
    delivery: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Answers a poll. `contended`: another server had locked some of what the worker could have been given."""

    leases: tuple[Lease, ...] = ()
    directives: tuple[Directive, ...] = ()
    digest: str = ""
    contended: bool = False


class Polling:
    """Long polls of one server, and the claims that they make."""

    def __init__(self, store: Store, plans: PlanCache, *, timing: Timing) -> None:
        self._store = store
        self._plans = plans
        self._timing = timing
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
                    if work.contended and left > _CONTENDED_S:
                        await subscription.wait(_CONTENDED_S)
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
        results: list[Work | Exception] = []
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
                results.append(self._look(uow, command, row, held.get(command.instance_id, [])))
        return results

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

    def _look(self, uow: UnitOfWork, command: PollWork, worker: Row[Any], held: list[Row[Any]]) -> Work:
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
        leases, contended = self._deliver_again(uow, again), False
        if worker.state == WorkerState.ACTIVE and not worker.paused and not self._stopping:
            free = worker.slots - sum(row.slots for row in held)
            room = free if command.max_leases is None else min(free, command.max_leases - len(leases))
            if room > 0:
                assigned, contended = self._assign(uow, worker, slots=free, limit=min(room, LARGEST_CLAIM))
                leases += assigned
        told = directives.of_worker(worker) + directives.of_attempts(held)
        told += self._lost(uow, command, held)
        told += self._retired(uow, command.instance_id)
        return replace(_answer(leases, told), contended=contended)

    def _deliver_again(self, uow: UnitOfWork, rows: Sequence[Row[Any]]) -> list[Lease]:
        if not rows:
            return []
        still = frozenset(attempts.deliver_again(uow, [row.id for row in rows]))
        return [
            Lease(
                attempt_id=row.id,
                lease=bytes(row.lease),
                dag_id=row.dag_id,
                run_id=row.run_id,
                task_id=row.task_id,
                map_index=row.map_index,
                try_number=row.try_number,
                bundle=row.bundle,
                bundle_version=row.bundle_version,
                entry_point=row.entry_point,
                start_deadline_us=max(0, row.start_deadline - uow.now),
                slots=row.slots,
                queue=row.queue,
                delivery=row.deliveries + 1,
            )
            for row in rows
            if row.id in still
        ]

    def _assign(self, uow: UnitOfWork, worker: Row[Any], *, slots: int, limit: int) -> tuple[list[Lease], bool]:
        """The leases of what waits for the worker, and whether another server had locked some of it."""
        queues = json.loads(worker.queues_json)
        offers = claims.wanted_offers(uow, worker.team, worker.instance_id, queues)
        if not offers:
            return [], False
        found, contended = claims.lock_best(
            uow, worker.team, offer_keys=list(offers), queues=queues, slots=slots, limit=limit
        )
        leases: list[Lease] = []
        given: list[Row[Any]] = []
        new_attempts: list[dict[str, Any]] = []
        assignments: list[dict[str, Any]] = []
        began_with = self._began_with(uow, found, offers)
        for row in found:
            if row.slots > slots:
                continue
            slots -= row.slots
            bundle, version = offers[row.offer_key][-1]
            earlier = (bundle, began_with.get(row.run_key, version))
            if earlier in offers[row.offer_key]:
                version = earlier[1]
            lease = self._lease(uow, row, bundle, version)
            leases.append(lease)
            given.append(row)
            new_attempts.append(self._attempt(uow, worker, row, lease))
            assignments.append(
                {
                    "id": row.id,
                    "state": TaskState.ASSIGNED.value,
                    "attempt_id": lease.attempt_id,
                    "worker_name": worker.name,
                    "language": worker.language if row.language is None else row.language,
                    "bundle_version": version,
                    "try_number": lease.try_number,
                }
            )
        if leases:
            attempts.add(uow, new_attempts)
            claims.assign(uow, assignments)
            self._pin(uow, given, new_attempts)
            run_keys = sorted({attempt["run_key"] for attempt in new_attempts})
            runs.touch_unlocked(uow, run_keys)
            for run_key in run_keys:
                uow.hint(f"run:{run_key}")
        return leases, contended

    def _lease(self, uow: UnitOfWork, row: Row[Any], bundle: str, version: str) -> Lease:
        code = self._plans.get(uow, row.code_version_id)
        used = row.last_state in _CONSUMES_A_NUMBER or (row.last_state == "cancelled" and row.last_started)
        return Lease(
            attempt_id=str(uuid7(uow.now)),
            lease=bytes.fromhex(make_lease()),
            dag_id=row.dag_id,
            run_id=row.run_id,
            task_id=row.task_id,
            map_index=row.map_index,
            try_number=max(1, row.try_number + (1 if used else 0)),
            bundle=bundle,
            bundle_version=version,
            entry_point=code.by_id[row.task_id].entry_point,
            start_deadline_us=self._timing.start_deadline_us,
            slots=row.slots,
            queue=row.queue,
            delivery=1,
        )

    def _attempt(self, uow: UnitOfWork, worker: Row[Any], row: Row[Any], lease: Lease) -> dict[str, Any]:
        return {
            "id": lease.attempt_id,
            "task_instance_id": row.id,
            "run_key": row.run_key,
            "team": row.team,
            "try_number": lease.try_number,
            "lease": lease.lease,
            "instance_id": worker.instance_id,
            "state": AttemptState.ASSIGNED.value,
            "deliveries": 1,
            "slots": row.slots,
            "bundle": lease.bundle,
            "bundle_version": lease.bundle_version,
            "entry_point": lease.entry_point,
            "assigned_time": uow.now,
            "start_deadline": uow.now + self._timing.start_deadline_us,
        }

    @staticmethod
    def _began_with(
        uow: UnitOfWork, found: Sequence[Row[Any]], offers: Mapping[str, Sequence[tuple[str, str]]]
    ) -> Mapping[str, str]:
        """The bundle versions with which runs began, where there is a choice: a run goes on with the code it has."""
        torn = {row.run_key for row in found if row.offer_key.startswith("dag:") and len(offers[row.offer_key]) > 1}
        return run_listing.first_bundle_versions(uow, torn)

    @staticmethod
    def _pin(uow: UnitOfWork, given: Sequence[Row[Any]], new_attempts: Sequence[Mapping[str, Any]]) -> None:
        """A reference to another bundle resolves when it is first assigned, and stays so for the run."""
        pinned: set[tuple[str, str]] = set()
        for row, attempt in zip(given, new_attempts, strict=True):
            kind, _, rest = row.offer_key.partition(":")
            name, _, entry_point = rest.partition("/")
            if kind != "ref" or "@" in name or (row.run_key, row.offer_key) in pinned:
                continue
            pinned.add((row.run_key, row.offer_key))
            pinned_key = Reference(name, entry_point).pinned_key(attempt["bundle_version"])
            task_instances.pin(uow, row.run_key, row.offer_key, pinned_key)

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
            for row in claims.retirable(uow, [instance_id])
        ]


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
