"""Named events: beginning to wait for one, and being given it.

Delivering one is a call of its own, see `deliveries`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.ids import uuid7
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.rows import Instance
from crosswind_server.services.flow.waiting import EVENT_PREFIX
from crosswind_server.store import events, timers
from crosswind_server.store.unit_of_work import UnitOfWork

FORGET: Final = "forget events"
"""Kind of a timer: forget the events of the name that is the subject, when nobody is given them any more."""


def begin(board: Board, waiting: Sequence[Instance]) -> None:
    """Let instances wait for the events whose names they say; who is to be given a kept one goes on at once."""
    by_team: dict[str, list[Instance]] = {}
    for instance in waiting:
        by_team.setdefault(instance.team, []).append(instance)
    for team, instances in sorted(by_team.items()):
        locked = lock_names(board.uow, team, {_name_of(instance) for instance in instances})
        for instance in instances:
            name = locked[_name_of(instance)]
            instance.event_number = name.last_number
            board.touch(instance)
            if name.last_number:
                _give_kept(board, instance, name.id)


def _give_kept(board: Board, instance: Instance, name_id: str) -> None:
    run = board.runs[instance.run_key]
    kept = events.newest_kept(board.uow, name_id, dag_id=run.dag_id, run_id=run.run_id)
    if kept is not None and events.note_receipts(board.uow, kept.id, [(instance.id, instance.try_number)]):
        board.resume(instance, kept.payload_message)


def lock_names(uow: UnitOfWork, team: str, names: set[str]) -> dict[str, Row[Any]]:
    """Lock names of events, new ones too: `id`, `name` and `last_number` by name."""
    locked = events.lock_names(uow, team, {name: str(uuid7(uow.now)) for name in names})
    fresh = {row.id: uow.now + events.KEPT_BEYOND_US for row in locked.values() if not row.last_number}
    timers.put(uow, FORGET, fresh)
    return locked


def forget(uow: UnitOfWork, subjects: Sequence[str]) -> None:
    """Do what is due for timers of kind `FORGET`."""
    again = {name_id: events.forget(uow, name_id, PIECE) for name_id in sorted(subjects)}
    timers.put(uow, FORGET, {name_id: due for name_id, due in again.items() if due is not None})


def _name_of(instance: Instance) -> str:
    return (instance.waits_for or "").removeprefix(EVENT_PREFIX)
