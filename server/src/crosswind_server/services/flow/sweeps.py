"""Events that nobody asked for, applied to many attempts: an expiry, a worker that left, a deadline that passed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crosswind_server.domain.lifecycle import Event
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import progress
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import AttemptRecord
from crosswind_server.services.flow.settlement import Settler
from crosswind_server.store.unit_of_work import UnitOfWork


def apply_to_all(uow: UnitOfWork, plans: PlanCache, event: Event, ids: Iterable[str]) -> Sequence[AttemptRecord]:
    """Apply an event to attempts, and all that follows. Answers the attempts afterwards."""
    board = Board(uow, plans)
    records = board.lock_attempts(list(ids))
    settler = Settler(board)
    for record in records.values():
        settler.apply(record, event)
    settler.write()
    progress.advance(board, causes=len(records))
    return list(records.values())
