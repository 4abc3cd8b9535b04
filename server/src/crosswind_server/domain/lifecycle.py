"""The life of an attempt: one table of states and events, and the one function that reads it.

Everything that decides what an event does to an attempt is in this file, as data. The SQL guards use the sets derived
from it, `docs/lifecycle.md` is drawn from it (`python -m crosswind_server.domain.diagram`), and the tests compare it
with a model that recomputes the same from history. What becomes of the task instance when its attempt has ended is in
`retry`; when a lease is overdue is in `leases`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.states import AttemptState

MAX_DELIVERIES: Final = 5
"""How often one lease is sent to its worker, the first time included. [LEASE-2]"""

DELIVERY_FAILED: Final = "crosswind.DeliveryFailed"
"""The failure type of an attempt that no delivery brought to a start."""


EXECUTION_TIMEOUT_FAILURE: Final = "crosswind.ExecutionTimeout"
"""The failure type of an attempt that lasted longer than its task allows, whoever ended it."""


class Event(StrEnum):
    """What can happen to an attempt: the columns of the table."""

    ASSIGN = "assign"
    """A worker asks for work, and the task instance of which this is the newest attempt is considered."""
    START = "start"
    HEARTBEAT = "heartbeat"
    REDELIVER = "redeliver"
    """A poll of the worker does not list this lease."""
    REDELIVERY_EXHAUSTED = "redelivery exhausted"
    """The same after the last delivery; `transition` derives it from REDELIVER."""
    START_DEADLINE = "start deadline"
    """The start deadline has passed."""
    EXPIRE = "expire"
    """The lease is overdue and may expire."""
    EXECUTION_TIMEOUT = "execution timeout"
    """It runs longer than its task allows, and its worker did not end it."""
    CANCEL = "cancel"
    CLEAR = "clear"
    FINISH_SUCCEEDED = "finish succeeded"
    FINISH_FAILED = "finish failed"
    FINISH_SKIPPED = "finish skipped"
    FINISH_DEFERRED = "finish deferred"
    FINISH_RESCHEDULED = "finish rescheduled"
    FINISH_AWAITING_INPUT = "finish awaiting input"
    FINISH_CANCELLED = "finish cancelled"
    DUPLICATE_FINISH = "duplicate finish"
    """An outcome with the id that this attempt ended with; derived from any finish."""
    CONFLICTING_FINISH = "conflicting finish"
    """An outcome with another id than this attempt ended with; derived from any finish."""
    SUPERSEDE = "supersede"
    """A newer instance took over the worker's name and its outcomes were applied."""
    DRAIN = "drain"
    """The worker, or the server, is stopping."""
    DEREGISTER = "deregister"
    WRITE = "write"
    """Any task call under the lease: variables, connections, XCom and the like, to read or to write."""
    APPEND_LOGS = "append logs"
    LATE_LOGS = "late logs"
    """Logs after the final sequence number or the grace period; derived from APPEND_LOGS."""
    SERVER_START = "server start"
    FAILOVER = "failover"


class Reply(StrEnum):
    """What the caller is told when it is not refused."""

    NONE = "none"
    """Nobody asked: the server moved the attempt itself, or left it alone."""
    OK = "ok"
    LEASE = "lease"
    """The poll's reply carries the lease again."""
    HELD = "held"
    """No successor may be assigned: the lease is valid."""
    CONTINUE = "continue"
    CANCEL = "cancel"
    LOST = "lost"
    IMPOSSIBLE = "impossible"
    """Cannot happen by construction; `transition` raises `LifecycleError`."""


class TaskEffect(StrEnum):
    """What the event does to the task instance."""

    NONE = "none"
    ASSIGN = "assign"
    """ASSIGNED, under a new attempt."""
    RUN = "run"
    """RUNNING."""
    CANCELLING = "cancelling"
    """CANCELLING."""
    SETTLE = "settle"
    """`retry.after_attempt` decides by the attempt's new state."""
    RETURN = "return"
    """QUEUED again, at no cost of a try."""
    CANCEL = "cancel"
    """CANCELLED."""
    CLEAR = "clear"
    """QUEUED again with fresh budgets, once its upstream allows."""
    CLOSE = "close"
    """CLEAR if a clear asked the attempt to end, else CANCEL; `transition` resolves it."""


class LeaseEffect(StrEnum):
    """What the event does to the lease."""

    KEEP = "keep"
    EXTEND = "extend"
    """Valid for one lease duration from now."""
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class Cell:
    """What one event does in one state."""

    next_state: AttemptState
    reply: Reply | Reason
    """A `Reason` is a refusal."""
    task_effect: TaskEffect
    lease: LeaseEffect
    rules: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What the rules need to know of an attempt.

    Args:
        attempt_id: named in refusals.
        deliveries: how often its lease was sent, from 1.
        outcome_id: the id of the outcome that ended it, None while it lives or if it ended without one.
        clear_requested: it is CANCELLING because its task instance was cleared; the later of cancel and clear counts.
        logs_closed: it has ended, and its final log sequence number or the grace period has passed.
    """

    attempt_id: str
    state: AttemptState = AttemptState.ASSIGNED
    deliveries: int = 1
    outcome_id: str | None = None
    clear_requested: bool = False
    logs_closed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What came of an event: the attempt afterwards, the answer, and what else must change with it."""

    attempt: Attempt
    reply: Reply | Refused
    task_effect: TaskEffect
    lease: LeaseEffect
    cell: Cell
    event: Event
    """The column that applied, after duplicates and the like were told apart."""


class LifecycleError(Exception):
    """An event that cannot happen: a defect of the caller, not of a worker."""


_S = AttemptState
_E = Event

LIVE: Final = frozenset({_S.ASSIGNED, _S.RUNNING, _S.CANCELLING})
"""States in which the lease is valid. [LEASE-1]"""

ENDED: Final = frozenset(AttemptState) - LIVE

ENDS_WITHOUT_OUTCOME: Final = frozenset({_S.FAILED, _S.CANCELLED, _S.LOST, _S.RETURNED})
"""States that an attempt can reach although no worker said how it ended."""

OUTCOMES: Final[Mapping[Event, AttemptState]] = MappingProxyType(
    {
        _E.FINISH_SUCCEEDED: _S.SUCCEEDED,
        _E.FINISH_FAILED: _S.FAILED,
        _E.FINISH_SKIPPED: _S.SKIPPED,
        _E.FINISH_DEFERRED: _S.DEFERRED,
        _E.FINISH_RESCHEDULED: _S.RESCHEDULED,
        _E.FINISH_AWAITING_INPUT: _S.AWAITING_INPUT,
        _E.FINISH_CANCELLED: _S.CANCELLED,
    }
)
"""The finish events and the state each leads to from RUNNING."""

ENDS_WITH_OUTCOME: Final = frozenset(OUTCOMES.values())

_ANY = frozenset(AttemptState)


def _on(*events: Event | Iterable[Event]) -> tuple[Event, ...]:
    return tuple(e for item in events for e in ((item,) if isinstance(item, Event) else item))


@dataclass(frozen=True, slots=True)
class _Row:
    """Cells that are alike. `to` None stays in the state."""

    events: tuple[Event, ...]
    states: frozenset[AttemptState]
    to: AttemptState | None
    reply: Reply | Reason
    why: str
    rules: tuple[str, ...]
    task: TaskEffect = TaskEffect.NONE
    lease: LeaseEffect = LeaseEffect.KEEP


def _in(*states: AttemptState) -> frozenset[AttemptState]:
    return frozenset(states)


_R, _T, _L = Reply, TaskEffect, LeaseEffect

# fmt: off
_ROWS: tuple[_Row, ...] = (
    # -- assign: asked of the newest attempt of a runnable task instance
    _Row(_on(_E.ASSIGN), _in(_S.ASSIGNED, _S.RUNNING), None, _R.HELD, "its lease is valid", ("LEASE-1",)),
    _Row(_on(_E.ASSIGN), _in(_S.CANCELLING), None, _R.HELD,
         "its process may still run: the successor waits for the worker or the expiry", ("LEASE-1", "LEASE-4")),
    _Row(_on(_E.ASSIGN), ENDED, None, _R.OK,
         "a new attempt begins in ASSIGNED, under a lease of its own", ("LEASE-1",), task=_T.ASSIGN),
    # -- start
    _Row(_on(_E.START), _in(_S.ASSIGNED), _S.RUNNING, _R.OK,
         "the worker has it; the lease runs from now", ("LEASE-2",), task=_T.RUN, lease=_L.EXTEND),
    _Row(_on(_E.START), _in(_S.RUNNING), None, _R.OK, "the first reply was lost: the same answer", ("LEASE-2",)),
    _Row(_on(_E.START), _in(_S.CANCELLING), None, Reason.ATTEMPT_CANCELLING,
         "only logs and the closing finish are accepted", ("LEASE-4",)),
    _Row(_on(_E.START), ENDED, None, Reason.STALE_LEASE, "the lease was revoked", ("LEASE-1",)),
    # -- heartbeat
    _Row(_on(_E.HEARTBEAT), _in(_S.ASSIGNED), None, _R.CONTINUE, "the start deadline stays", ("LEASE-2",)),
    _Row(_on(_E.HEARTBEAT), _in(_S.RUNNING), None, _R.CONTINUE, "extends the lease", ("LEASE-3",), lease=_L.EXTEND),
    _Row(_on(_E.HEARTBEAT), _in(_S.CANCELLING), None, _R.CANCEL,
         "told again until the worker confirms", ("LEASE-4",), lease=_L.EXTEND),
    _Row(_on(_E.HEARTBEAT), ENDED, None, _R.LOST, "the worker ends the process and drops the result", ("LEASE-1",)),
    # -- redelivery and the start deadline
    _Row(_on(_E.REDELIVER), _in(_S.ASSIGNED), None, _R.LEASE,
         "the poll reply that carried it was lost; the start deadline stays", ("LEASE-2",)),
    _Row(_on(_E.REDELIVERY_EXHAUSTED), _in(_S.ASSIGNED), _S.FAILED, _R.NONE,
         f"{MAX_DELIVERIES} deliveries came to nothing: {DELIVERY_FAILED}", ("LEASE-2",),
         task=_T.SETTLE, lease=_L.REVOKE),
    _Row(_on(_E.START_DEADLINE), _in(_S.ASSIGNED), _S.RETURNED, _R.NONE,
         "nothing ran: back to the queue at no cost of a try", ("LEASE-2",), task=_T.RETURN, lease=_L.REVOKE),
    _Row(_on(_E.REDELIVER, _E.REDELIVERY_EXHAUSTED, _E.START_DEADLINE), _ANY - {_S.ASSIGNED}, None, _R.NONE,
         "concerns unstarted leases only", ("LEASE-2",)),
    # -- expiry
    _Row(_on(_E.EXPIRE), _in(_S.ASSIGNED), None, _R.NONE, "the start deadline decides", ("LEASE-2",)),
    _Row(_on(_E.EXPIRE), _in(_S.RUNNING), _S.LOST, _R.NONE,
         "nothing was heard for a whole lease duration", ("LEASE-3",), task=_T.SETTLE, lease=_L.REVOKE),
    _Row(_on(_E.EXPIRE), _in(_S.CANCELLING), _S.LOST, _R.NONE,
         "the worker never confirmed; the cancel is done", ("LEASE-3", "LEASE-4"), task=_T.CLOSE, lease=_L.REVOKE),
    _Row(_on(_E.EXPIRE), ENDED, None, _R.NONE, "the lease was revoked before", ("LEASE-3",)),
    # -- the execution timeout, which the worker enforces and the server where the worker does not
    _Row(_on(_E.EXECUTION_TIMEOUT), _in(_S.RUNNING), _S.FAILED, _R.NONE,
         f"its worker had the timeout, the grace and a heartbeat to end it: {EXECUTION_TIMEOUT_FAILURE}", ("LEASE-3",),
         task=_T.SETTLE, lease=_L.REVOKE),
    _Row(_on(_E.EXECUTION_TIMEOUT), _in(_S.ASSIGNED, _S.CANCELLING), None, _R.NONE,
         "its start deadline, or its lease, ends it", ("LEASE-2", "LEASE-4")),
    _Row(_on(_E.EXECUTION_TIMEOUT), ENDED, None, _R.NONE, "an end stays", ("LEASE-3",)),
    # -- cancel and clear: asked of the newest attempt of the task instance
    _Row(_on(_E.CANCEL), _in(_S.ASSIGNED), _S.CANCELLED, _R.OK,
         "nothing runs: cancelled at once, and a start is refused", ("LEASE-4", "AUTH-1"),
         task=_T.CANCEL, lease=_L.REVOKE),
    _Row(_on(_E.CLEAR), _in(_S.ASSIGNED), _S.CANCELLED, _R.OK,
         "nothing runs: revoked at once, and the task is queued afresh", ("LEASE-4", "AUTH-1"),
         task=_T.CLEAR, lease=_L.REVOKE),
    _Row(_on(_E.CANCEL, _E.CLEAR), _in(_S.RUNNING), _S.CANCELLING, _R.OK,
         "the worker is told in every poll and heartbeat reply", ("LEASE-4",), task=_T.CANCELLING),
    _Row(_on(_E.CANCEL, _E.CLEAR), _in(_S.CANCELLING), None, _R.OK,
         "already asked; the later of cancel and clear decides what follows", ("LEASE-4",)),
    _Row(_on(_E.CANCEL), ENDED, None, _R.OK, "what was committed first stays", ("LEASE-4",)),
    _Row(_on(_E.CLEAR), ENDED, None, _R.OK,
         "the attempt stays as it ended; the task is queued afresh", ("LEASE-1",), task=_T.CLEAR),
    # -- finish
    *(_Row(_on(event), _in(_S.RUNNING), state, _R.OK, "the outcome is recorded with its id", ("FIN-1",),
           task=_T.SETTLE, lease=_L.REVOKE) for event, state in OUTCOMES.items()),
    _Row(_on(OUTCOMES), _in(_S.CANCELLING), _S.CANCELLED, _R.OK,
         "the cancel was committed first: whatever the outcome, its result is dropped", ("LEASE-4", "FIN-1"),
         task=_T.CLOSE, lease=_L.REVOKE),
    _Row(_on(OUTCOMES), _in(_S.ASSIGNED), None, Reason.ATTEMPT_NOT_STARTED, "nothing ran yet", ("LEASE-2", "FIN-1")),
    _Row(_on(OUTCOMES), ENDS_WITHOUT_OUTCOME, None, Reason.STALE_LEASE,
         "it ended without an outcome, and a successor may run", ("LEASE-1", "LEASE-3")),
    _Row(_on(OUTCOMES), ENDED - ENDS_WITHOUT_OUTCOME, None, _R.IMPOSSIBLE,
         "it has an outcome, so this is a duplicate or a conflict", ("FIN-1",)),
    _Row(_on(_E.DUPLICATE_FINISH), ENDS_WITH_OUTCOME, None, _R.OK,
         "acknowledged as often as asked, before any other check", ("FIN-1",)),
    _Row(_on(_E.CONFLICTING_FINISH), ENDS_WITH_OUTCOME, None, Reason.OUTCOME_CONFLICT,
         "the first outcome stays", ("FIN-1",)),
    _Row(_on(_E.DUPLICATE_FINISH, _E.CONFLICTING_FINISH), _ANY - ENDS_WITH_OUTCOME, None, _R.IMPOSSIBLE,
         "it has no outcome to compare with", ("FIN-1",)),
    # -- the worker goes
    _Row(_on(_E.SUPERSEDE), _in(_S.ASSIGNED), _S.RETURNED, _R.NONE,
         "nothing ran: back to the queue at no cost of a try", ("WORKER-1", "LEASE-2"),
         task=_T.RETURN, lease=_L.REVOKE),
    _Row(_on(_E.SUPERSEDE), _in(_S.RUNNING), _S.LOST, _R.NONE,
         "the newer instance did not bring its outcome", ("WORKER-1",), task=_T.SETTLE, lease=_L.REVOKE),
    _Row(_on(_E.SUPERSEDE), _in(_S.CANCELLING), _S.LOST, _R.NONE,
         "nobody is left to confirm; the cancel is done", ("WORKER-1", "LEASE-4"), task=_T.CLOSE, lease=_L.REVOKE),
    _Row(_on(_E.SUPERSEDE), ENDED, None, _R.NONE, "an end stays", ("WORKER-1",)),
    _Row(_on(_E.DRAIN), _ANY, None, _R.NONE,
         "what is held is finished, nothing new is assigned", ("STOP-1",)),
    _Row(_on(_E.DEREGISTER), _in(_S.ASSIGNED), _S.RETURNED, _R.NONE,
         "nothing ran: back to the queue at no cost of a try", ("STOP-1", "LEASE-2"), task=_T.RETURN, lease=_L.REVOKE),
    _Row(_on(_E.DEREGISTER), _in(_S.RUNNING), _S.LOST, _R.NONE,
         "the worker left without its outcome", ("STOP-1",), task=_T.SETTLE, lease=_L.REVOKE),
    _Row(_on(_E.DEREGISTER), _in(_S.CANCELLING), _S.LOST, _R.NONE,
         "nobody is left to confirm; the cancel is done", ("STOP-1", "LEASE-4"), task=_T.CLOSE, lease=_L.REVOKE),
    _Row(_on(_E.DEREGISTER), ENDED, None, _R.NONE, "an end stays", ("STOP-1",)),
    # -- calls of the task
    _Row(_on(_E.WRITE), _in(_S.ASSIGNED), None, Reason.ATTEMPT_NOT_STARTED, "nothing runs yet", ("LEASE-2",)),
    _Row(_on(_E.WRITE), _in(_S.RUNNING), None, _R.OK, "the lease is valid", ("LEASE-1", "AUTH-1")),
    _Row(_on(_E.WRITE), _in(_S.CANCELLING), None, Reason.ATTEMPT_CANCELLING,
         "only logs and the closing finish are accepted", ("LEASE-4", "AUTH-1")),
    _Row(_on(_E.WRITE), ENDED, None, Reason.STALE_LEASE, "the lease was revoked", ("LEASE-1", "AUTH-1")),
    _Row(_on(_E.APPEND_LOGS), LIVE, None, _R.OK, "the lease is valid", ("BYTES-1", "LEASE-4")),
    _Row(_on(_E.APPEND_LOGS), ENDED, None, _R.OK,
         "the attempt's own last lines, which touch nothing else", ("BYTES-1",)),
    _Row(_on(_E.LATE_LOGS), LIVE, None, _R.IMPOSSIBLE, "logs close only after an end", ("BYTES-1",)),
    _Row(_on(_E.LATE_LOGS), ENDED, None, Reason.STALE_LEASE,
         "the final number or the grace period has passed", ("BYTES-1",)),
    # -- the server comes back
    _Row(_on(_E.SERVER_START, _E.FAILOVER), _ANY, None, _R.NONE,
         "nothing ends by it; expiry is held back one lease duration", ("LEASE-3", "STOP-1")),
)
# fmt: on

Table = Mapping[tuple[AttemptState, Event], Cell]


def _expand(rows: Iterable[_Row]) -> Table:
    """Writes one cell for every state and event; two rows for one cell, or none, is a defect."""
    table: dict[tuple[AttemptState, Event], Cell] = {}
    for row in rows:
        for event in row.events:
            for state in row.states:
                if (state, event) in table:
                    raise LifecycleError(f"two rows for {state} x {event}")
                table[state, event] = Cell(row.to or state, row.reply, row.task, row.lease, row.rules, row.why)
    missing = [f"{s} x {e}" for s in AttemptState for e in Event if (s, e) not in table]
    if missing:
        raise LifecycleError(f"no row for {', '.join(missing)}")
    return MappingProxyType(table)


TABLE: Final[Table] = _expand(_ROWS)
"""What every event does in every state."""

UNKNOWN: Final[Mapping[Event, Reply | Reason]] = MappingProxyType(
    {
        Event.HEARTBEAT: Reply.LOST,
        Event.START: Reason.UNKNOWN_ATTEMPT,
        Event.WRITE: Reason.UNKNOWN_ATTEMPT,
        Event.APPEND_LOGS: Reason.UNKNOWN_ATTEMPT,
        **dict.fromkeys(OUTCOMES, Reason.UNKNOWN_ATTEMPT),
    }
)
"""The answers to a worker about an attempt that the server does not know, or that another lease was given for."""


def states_where(event: Event, *replies: Reply | Reason) -> frozenset[AttemptState]:
    """The states in which `event` is answered with one of `replies`."""
    return frozenset(state for state in AttemptState if TABLE[state, event].reply in replies)


def moved_by(event: Event) -> frozenset[AttemptState]:
    """The states that `event` leaves: the guard of the statement that commits it."""
    return frozenset(state for state in AttemptState if TABLE[state, event].next_state is not state)


ACCEPTS_WRITES: Final = states_where(Event.WRITE, Reply.OK)
ACCEPTS_FINISH: Final = moved_by(Event.FINISH_SUCCEEDED)
ACCEPTS_LOGS: Final = states_where(Event.APPEND_LOGS, Reply.OK)
STARTABLE: Final = moved_by(Event.START)
REDELIVERABLE: Final = states_where(Event.REDELIVER, Reply.LEASE)
RETURNABLE: Final = moved_by(Event.START_DEADLINE)
EXPIRABLE: Final = moved_by(Event.EXPIRE)
EXTENDED_BY_HEARTBEAT: Final = frozenset(
    state for state in AttemptState if TABLE[state, Event.HEARTBEAT].lease is LeaseEffect.EXTEND
)

_SENTENCES: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.STALE_LEASE: (
            "Attempt {id} has ended ({state}) and its lease is no longer valid; stop its process and drop its result."
        ),
        Reason.OUTCOME_CONFLICT: (
            "Attempt {id} already ended ({state}) with another outcome; keep the first outcome and drop this one."
        ),
        Reason.ATTEMPT_NOT_STARTED: "Attempt {id} has not been started; call StartAttempt first.",
        Reason.ATTEMPT_CANCELLING: (
            "Attempt {id} is being cancelled; end its process and call FinishAttempt, nothing but logs is accepted."
        ),
        Reason.UNKNOWN_ATTEMPT: (
            "Attempt {id} is not known under this lease; stop its process if it runs, and forget it."
        ),
    }
)


def refusal(reason: Reason, *, attempt_id: str, state: AttemptState | None) -> Refused:
    """The refusal of a call that names an attempt."""
    shown = state.name if state else "unknown"
    message = _SENTENCES[reason].format(id=attempt_id, state=shown)
    return Refused(reason, message, metadata={"attempt_id": attempt_id, "state": shown})


def answer_unknown(event: Event, *, attempt_id: str) -> Reply | Refused:
    """What a worker is told about an attempt that does not exist under the lease that it names."""
    reply = UNKNOWN[event]
    return refusal(reply, attempt_id=attempt_id, state=None) if isinstance(reply, Reason) else reply


def classify(attempt: Attempt, event: Event, *, outcome_id: str | None = None) -> Event:
    """Tells the columns apart that differ by what the attempt remembers.

    Raises:
        ValueError: a finish without an outcome id.
    """
    if event in OUTCOMES:
        if not outcome_id:
            raise ValueError("a finish names its outcome id")
        if attempt.outcome_id is not None:
            return Event.DUPLICATE_FINISH if attempt.outcome_id == outcome_id else Event.CONFLICTING_FINISH
    if event is Event.REDELIVER and attempt.deliveries >= MAX_DELIVERIES:
        return Event.REDELIVERY_EXHAUSTED
    if event is Event.APPEND_LOGS and attempt.logs_closed:
        return Event.LATE_LOGS
    return event


def transition(attempt: Attempt, event: Event, *, outcome_id: str | None = None, table: Table = TABLE) -> Step:
    """What `event` does to `attempt`, whose lease the caller named (or which the server itself moves).

    Args:
        outcome_id: with a finish, the id that the worker gave the outcome.
        table: another table, for tests that change a cell.

    Returns:
        The step. A refusal is part of it, not raised: a batch of calls has one answer each.

    Raises:
        LifecycleError: the event cannot happen in this state.
    """
    event = classify(attempt, event, outcome_id=outcome_id)
    cell = table[attempt.state, event]
    if cell.reply is Reply.IMPOSSIBLE:
        raise LifecycleError(f"{event} cannot happen to attempt {attempt.attempt_id}, {attempt.state}: {cell.why}")

    after = replace(attempt, state=cell.next_state)
    if event in OUTCOMES and cell.next_state in ENDED and attempt.state in LIVE:
        after = replace(after, outcome_id=outcome_id)
    if event in (Event.CANCEL, Event.CLEAR) and cell.next_state is AttemptState.CANCELLING:
        after = replace(after, clear_requested=event is Event.CLEAR)
    if cell.reply is Reply.LEASE:
        after = replace(after, deliveries=attempt.deliveries + 1)

    effect = cell.task_effect
    if effect is TaskEffect.CLOSE:
        effect = TaskEffect.CLEAR if attempt.clear_requested else TaskEffect.CANCEL
    reply = cell.reply
    answer = refusal(reply, attempt_id=attempt.attempt_id, state=attempt.state) if isinstance(reply, Reason) else reply
    return Step(after, answer, effect, cell.lease, cell, event)
