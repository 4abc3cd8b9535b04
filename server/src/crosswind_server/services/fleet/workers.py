"""Workers: registering, hearing from them, letting them go. [WORKER-1] [LEASE-3]

Here belongs what a worker instance says of itself. What it is given belongs to `polling`, what it offers to `bundles`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain import lifecycle, registration
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.graph import MAX_ID_LENGTH
from crosswind_server.domain.lifecycle import Event, Reply
from crosswind_server.domain.registration import Admission, Incumbent
from crosswind_server.domain.states import AttemptState, WorkerState
from crosswind_server.services.access import tokens
from crosswind_server.services.access.callers import Caller
from crosswind_server.services.access.tokens import IssuedToken, TokenSigner
from crosswind_server.services.catalog.bundles import Bundles, Offer, OfferingWorker, OfferResult
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.execution import directives
from crosswind_server.services.execution.directives import Directive
from crosswind_server.services.fleet import presence
from crosswind_server.services.flow.sweeps import apply_to_all
from crosswind_server.services.interventions import version_policy
from crosswind_server.store import attempts, bundles, workers
from crosswind_server.store.engine import Store
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterWorker:
    """A worker instance announces itself.

    Args:
        caller: of an enrolment token, or of the worker token of this or the previous instance.
        previous_instance_id: the instance whose state folder it holds, proven by that one's token; else None.
        held_attempt_ids: of the previous instance, whose outcomes it will send.
        address: where the server saw it call from.
        roles: what it does.
    """

    caller: Caller
    name: str
    instance_id: str
    language: str
    language_version: str
    sdk_version: str
    api_version: str
    slots: int
    host: str
    address: str
    process_id: int
    previous_instance_id: str | None = None
    held_attempt_ids: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    roles: tuple[str, ...] = ("tasks",)
    labels: Mapping[str, str]
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A worker is registered. `token` is None where the server makes none, as in tests of the rules."""

    token: IssuedToken | None
    offers: tuple[OfferResult, ...]


class Verdict(StrEnum):
    """What becomes of an attempt that a heartbeat names."""

    CONTINUE = "continue"
    CANCEL = "cancel"
    LOST = "lost"


_BY_REPLY = {Reply.CONTINUE: Verdict.CONTINUE, Reply.CANCEL: Verdict.CANCEL, Reply.LOST: Verdict.LOST}
_UNKNOWN = _BY_REPLY[Reply(lifecycle.UNKNOWN[Event.HEARTBEAT])]
# By the stored text, because a heartbeat asks for each of its attempts.
_VERDICTS = {state.value: _BY_REPLY[Reply(lifecycle.TABLE[state, Event.HEARTBEAT].reply)] for state in AttemptState}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a worker uses, as it says; for people. `load_percent`: of its machine over one minute, in hundredths."""

    used_slots: int = 0
    memory_bytes: int = 0
    load_percent: int = 0
    pending_outcomes: int = 0


UNSAID: Final = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A worker instance lives, and so do its attempts: pairs of id and lease."""

    caller: Caller
    instance_id: str
    attempts: tuple[tuple[str, bytes], ...]
    usage: Usage = UNSAID


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Answers a heartbeat: a verdict for each attempt, in their order."""

    verdicts: tuple[Verdict, ...]
    directives: tuple[Directive, ...]
    token: IssuedToken | None = None


class Workers:
    """What workers say of themselves, in transactions that somebody else commits."""

    def __init__(
        self, store: Store, plans: PlanCache, all_bundles: Bundles, *, timing: Timing, signer: TokenSigner | None
    ) -> None:
        self._store = store
        self._plans = plans
        self._bundles = all_bundles
        self._timing = timing
        self._signer = signer

    def register(self, uow: UnitOfWork, command: RegisterWorker) -> Registered:
        """Take a worker instance in, in the place of an older one if need be.

        Raises:
            Refused: WORKER_NAME_IN_USE, WORKER_SUPERSEDED, BUNDLE_NOT_OWNED, PERMISSION_DENIED or INVALID_ARGUMENT.
        """
        _check(command)
        team = command.caller.team
        own = workers.get(uow, [command.instance_id]).get(command.instance_id)
        if own is not None and (own.team, own.name) != (team, command.name):
            raise _invalid("instance_id", "This instance id belongs to another worker; make a new one at every start.")
        named = workers.lock_name(uow, team, command.name)
        incumbent = named[0] if named else None
        admission = registration.admit(
            command.name,
            _incumbent(incumbent),
            instance_id=command.instance_id,
            own_state=WorkerState(own.state) if own is not None else None,
            predecessor_id=command.previous_instance_id,
            now_us=uow.now,
            listening_since_us=self._listening_since(uow.now),
            heartbeat_us=self._timing.heartbeat_us,
        )
        for offer in command.offers:
            if not command.caller.may_publish(offer.bundle):
                raise _not_allowed(command, f"publish the bundle '{offer.bundle}'", Reason.BUNDLE_NOT_OWNED)
        older = [row for row in named if row.instance_id != command.instance_id]
        changed = bundles.offered_by(uow, [command.instance_id, *(row.instance_id for row in older)])
        changed |= {offer.bundle for offer in command.offers}
        for row in older:
            workers.set_state(uow, row.instance_id, WorkerState.SUPERSEDED, ended=True)
        paused = workers.was_paused(uow, team, command.name)
        workers.put(uow, self._row(uow, command, paused=paused))
        self._replace(uow, command, [row.instance_id for row in older])
        if admission is Admission.RESUME:
            bundles.withdraw(uow, command.instance_id)
        offering = OfferingWorker(caller=command.caller, instance_id=command.instance_id, name=command.name)
        results = tuple(self._bundles.take_registered(uow, offering, offer) for offer in command.offers)
        version_policy.apply(uow, self._plans, team=team, bundles=changed)
        uow.hint(f"work:{team}")
        token = None
        if self._signer is not None:
            token = tokens.issue_worker_token(uow, self._signer, caller=command.caller, instance_id=command.instance_id)
        return Registered(token=token, offers=results)

    def heartbeat(self, uow: UnitOfWork, commands: Sequence[Heartbeat]) -> Sequence[Heard | Exception]:
        """Extend what workers hold: one statement for all workers of the group, one for all their attempts."""
        newest = {command.instance_id: command for command in commands}
        heard = {
            row.instance_id: row
            for row in workers.hear(
                uow,
                [
                    {
                        "instance_id": instance_id,
                        "used_slots": command.usage.used_slots,
                        "memory_bytes": command.usage.memory_bytes,
                        "load_percent": command.usage.load_percent,
                        "pending_outcomes": command.usage.pending_outcomes,
                    }
                    for instance_id, command in newest.items()
                ],
            )
        }
        silent = workers.get(uow, [instance_id for instance_id in newest if instance_id not in heard])
        named = {
            attempt_id: {"id": attempt_id, "lease": lease, "instance_id": command.instance_id}
            for command in commands
            if command.instance_id in heard
            for attempt_id, lease in command.attempts
        }
        rows = [named[attempt_id] for attempt_id in sorted(named)]
        states = self._extend(uow, rows, named)
        return [self._answer(uow, command, heard, silent, states) for command in commands]

    def _extend(
        self, uow: UnitOfWork, rows: Sequence[Mapping[str, Any]], named: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, str]:
        """Extend leases; answers the states of the attempts that are the worker's under the lease that it named."""
        lease_expires = uow.now + self._timing.lease_us
        if attempts.extend_running(uow, rows, lease_expires=lease_expires) == len(rows):
            return dict.fromkeys(named, AttemptState.RUNNING.value)
        states = {row.id: row.state for row in attempts.extend(uow, rows, lease_expires=lease_expires)}
        # What was not extended is unstarted, has ended, or is not this worker's.
        rest = attempts.get_standing(uow, [attempt_id for attempt_id in named if attempt_id not in states])
        for row in rest:
            claimed = named[row.id]
            if bytes(row.lease) == claimed["lease"] and row.instance_id == claimed["instance_id"]:
                states[row.id] = row.state
        return states

    def _answer(
        self,
        uow: UnitOfWork,
        command: Heartbeat,
        heard: Mapping[str, Row[Any]],
        silent: Mapping[str, Row[Any]],
        states: Mapping[str, str],
    ) -> Heard | Exception:
        row = heard.get(command.instance_id) or silent.get(command.instance_id)
        refusal = presence.refusal_of(row, team=command.caller.team, instance_id=command.instance_id)
        if refusal is not None:
            return refusal
        verdicts = tuple(_VERDICTS.get(states.get(attempt_id, ""), _UNKNOWN) for attempt_id, _ in command.attempts)
        token = None
        if self._signer is not None and tokens.needs_renewal(command.caller, uow.now):
            token = tokens.issue_worker_token(uow, self._signer, caller=command.caller, instance_id=command.instance_id)
        return Heard(verdicts=verdicts, directives=tuple(directives.of_worker(row)), token=token)

    def deregister(self, uow: UnitOfWork, *, team: str, instance_id: str) -> None:
        """Let a worker go for good: what it ran is lost, what it had not started goes back to the queue. [STOP-1]

        Raises:
            Refused: WORKER_UNKNOWN. One that has gone already is no error.
        """
        row = workers.get(uow, [instance_id]).get(instance_id)
        refusal = presence.refusal_of(row, team=team, instance_id=instance_id)
        if refusal is not None:
            if row is not None and row.team == team and row.state == WorkerState.GONE:
                return
            raise refusal
        workers.set_state(uow, instance_id, WorkerState.GONE, ended=True)
        self._let_go(uow, team, instance_id, Event.DEREGISTER)

    def lose_silent(self, uow: UnitOfWork, *, limit: int) -> int:
        """Say that workers which were silent for a lease duration are lost; their leases expire by themselves."""
        silent = workers.lock_silent(uow, before=uow.now - self._timing.lease_us, limit=limit)
        for row in silent:
            workers.set_state(uow, row.instance_id, WorkerState.LOST, ended=True)
            version_policy.apply(uow, self._plans, team=row.team, bundles=bundles.offered_by(uow, [row.instance_id]))
            uow.hint(f"work:{row.team}")
        return len(silent)

    def _replace(self, uow: UnitOfWork, command: RegisterWorker, older: Sequence[str]) -> None:
        """Hand the attempts whose outcomes the newcomer brings over to it; the others of the older ones are lost."""
        predecessor = command.previous_instance_id
        before = [*older, *([predecessor] if predecessor is not None and predecessor not in older else [])]
        if predecessor is not None and command.held_attempt_ids:
            live = frozenset(attempts.live_ids(uow, instance_id=predecessor))
            held = [attempt_id for attempt_id in dict.fromkeys(command.held_attempt_ids) if attempt_id in live]
            lease_expires = uow.now + self._timing.lease_us
            attempts.hand_over(uow, held, instance_id=command.instance_id, lease_expires=lease_expires)
        for instance_id in before:
            self._let_go(uow, command.caller.team, instance_id, Event.SUPERSEDE)
            uow.hint(f"worker:{instance_id}")

    def _let_go(self, uow: UnitOfWork, team: str, instance_id: str, event: Event) -> None:
        offered = bundles.offered_by(uow, [instance_id])
        bundles.withdraw(uow, instance_id)
        held = attempts.live_ids(uow, instance_id=instance_id)
        if held:
            apply_to_all(uow, self._plans, event, held)
        if event is Event.DEREGISTER:
            version_policy.apply(uow, self._plans, team=team, bundles=offered)
        uow.hint(f"work:{team}")

    def _listening_since(self, now_us: int) -> int:
        since = self._store.available_since
        return now_us if since is None else now_us - round((self._store.clock.monotonic() - since) * 1_000_000)

    def _row(self, uow: UnitOfWork, command: RegisterWorker, *, paused: bool) -> dict[str, Any]:
        return {
            "instance_id": command.instance_id,
            "team": command.caller.team,
            "name": command.name,
            "subject": command.caller.subject,
            "state": WorkerState.ACTIVE.value,
            "language": command.language,
            "language_version": command.language_version,
            "sdk_version": command.sdk_version,
            "api_version": command.api_version,
            "runtimes_json": json.dumps(sorted(set(command.runtimes))),
            "queues_json": json.dumps(sorted(set(command.queues)) or ["default"]),
            "labels_json": json.dumps(dict(sorted(command.labels.items()))),
            "roles_json": json.dumps(sorted(set(command.roles))),
            "slots": command.slots,
            "used_slots": 0,
            "memory_bytes": 0,
            "load_percent": 0,
            "pending_outcomes": 0,
            "host": command.host[:250],
            "address": command.address[:100],
            "process_id": command.process_id,
            "paused": paused,
            "poll_number": 0,
            "registered_time": uow.now,
            "last_heartbeat_time": uow.now,
            "end_time": None,
        }


def _incumbent(row: Row[Any] | None) -> Incumbent | None:
    if row is None:
        return None
    return Incumbent(instance_id=row.instance_id, state=WorkerState(row.state), heard_us=row.last_heartbeat_time)


def _check(command: RegisterWorker) -> None:
    name = command.name
    if not 1 <= len(name) <= 100 or not all(c.isascii() and (c.isalnum() or c in "_.@-") for c in name):
        raise _invalid("name", f"The worker name {name[:80]!r} is not valid; use 1 to 100 of A-Z, a-z, 0-9 and _.@-")
    if not 1 <= command.slots <= 10_000:
        raise _invalid("slots", f"A worker has 1 to 10,000 slots, not {command.slots}; set --slots.")
    if len(command.labels) > 50:
        raise _invalid("labels", f"A worker has at most 50 labels, not {len(command.labels)}.")
    for queue in command.queues or ("default",):
        if not 1 <= len(queue) <= min(100, MAX_ID_LENGTH):
            raise _invalid("queues", f"The queue {queue[:80]!r} is not valid; a queue has 1 to 100 characters.")
        if not command.caller.may_serve(queue):
            raise _not_allowed(command, f"serve the queue '{queue}'", Reason.PERMISSION_DENIED)


def _invalid(field: str, message: str) -> Refused:
    return Refused(Reason.INVALID_ARGUMENT, message, metadata={"field": field})


def _not_allowed(command: RegisterWorker, what: str, reason: Reason) -> Refused:
    return Refused(
        reason,
        f"The token of '{command.caller.subject}' does not allow the worker '{command.name}' to {what}; use an "
        "enrolment token that does, made with `crosswind-server token create --kind enrolment`.",
        metadata={"worker": command.name},
    )
