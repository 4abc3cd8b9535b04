"""Delivering a named event to all that wait for it, in the same transaction or in pieces where they are many. [SCHED-1]

The name is locked after the runs of those that wait, here as where somebody begins to wait. Who began before the event
is given it, who begins later only where it is kept: the event's number says which it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.ids import uuid7
from crosswind_server.domain.states import TaskState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import progress
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.events import lock_names
from crosswind_server.services.flow.waiting import EVENT_PREFIX
from crosswind_server.store import continuations, events
from crosswind_server.store.unit_of_work import UnitOfWork

DELIVER: Final = "deliver"
"""Kind of a continuation: give the event that is the subject to the rest of those that wait for it."""

LONGEST_NAME: Final = 500
LONGEST_KEEP_US: Final = 7 * 86_400 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverEvent:
    """Something happened outside.

    Args:
        name: 1 to 500 characters.
        payload: what it brings, a serialized payload; None: nothing.
        dag_id, run_id: only for tasks of this DAG and run; empty: for all.
        keep_us: how long it is kept for tasks that begin to wait later, in microseconds.
    """

    team: str
    name: str
    payload: bytes | None = None
    dag_id: str = ""
    run_id: str = ""
    keep_us: int = 0


def check_name(name: str, field: str) -> str:
    """The name of an event. Raises `Refused`: INVALID_ARGUMENT."""
    if not 1 <= len(name) <= LONGEST_NAME or "\0" in name:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            f"The name of an event has 1 to {LONGEST_NAME} characters, not {len(name)}.",
            metadata={"field": field},
        )
    return name


def deliver(uow: UnitOfWork, plans: PlanCache, command: DeliverEvent) -> int:
    """Deliver an event; answers how many task instances wait for it.

    Raises:
        Refused: INVALID_ARGUMENT.
    """
    check_name(command.name, "name")
    if command.run_id and not command.dag_id:
        raise Refused(
            Reason.INVALID_ARGUMENT, "`run_id` names a run of a DAG; give `dag_id` too.", metadata={"field": "dag_id"}
        )
    if not 0 <= command.keep_us <= LONGEST_KEEP_US:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            "An event is kept for at most 7 days, and not for less than none; change `keep`.",
            metadata={"field": "keep"},
        )
    board = Board(uow, plans)
    found = events.find_waiters(
        uow, command.team, command.name, dag_id=command.dag_id, run_id=command.run_id, limit=PIECE
    )
    board.lock_runs({row.run_key for row in found})
    name = lock_names(uow, command.team, {command.name})[command.name]
    event = {
        "id": str(uuid7(uow.now)),
        "number": name.last_number + 1,
        "dag_id": command.dag_id,
        "run_id": command.run_id,
        "payload_message": command.payload,
        "created_time": uow.now,
        "expire_time": uow.now + command.keep_us,
    }
    events.add(uow, name.id, event)
    # Counted under the lock: whoever began to wait meanwhile waits since before this event.
    waiting = events.count_waiters(uow, command.team, command.name, dag_id=command.dag_id, run_id=command.run_id)
    row = events.get(uow, event["id"])
    assert row is not None
    given = _give(board, row, [row.id for row in found])
    if waiting > given:
        _leave(uow, event["id"])
    progress.advance(board, causes=1)
    return waiting


def go_on(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `DELIVER`."""
    event = events.get(board.uow, piece.subject_id)
    if event is None:
        return
    found = events.find_waiters(
        board.uow,
        event.team,
        event.name,
        dag_id=event.dag_id,
        run_id=event.run_id,
        before=event.number,
        limit=PIECE,
    )
    board.lock_runs({row.run_key for row in found})
    _give(board, event, [row.id for row in found])
    if len(found) == PIECE:
        _leave(board.uow, event.id)


def _give(board: Board, event: Row[Any], instance_ids: Sequence[str]) -> int:
    """Give an event to instances of locked runs that still wait for it; answers how many those are."""
    board.load_instances(instance_ids)
    key = f"{EVENT_PREFIX}{event.name}"
    waiting = [
        instance
        for instance in (board.instances[each] for each in instance_ids)
        if instance.state == TaskState.DEFERRED and instance.waits_for == key
    ]
    if event.expire_time > event.created_time:
        events.note_receipts(board.uow, event.id, [(instance.id, instance.try_number) for instance in waiting])
    for instance in waiting:
        board.resume(instance, event.payload_message)
    return len(waiting)


def _leave(uow: UnitOfWork, event_id: str) -> None:
    continuations.add(
        uow,
        [
            {
                "id": str(uuid7(uow.now)),
                "kind": DELIVER,
                "run_key": None,
                "subject_id": event_id,
                "position": 0,
                "detail_json": None,
                "created_time": uow.now,
            }
        ],
    )
