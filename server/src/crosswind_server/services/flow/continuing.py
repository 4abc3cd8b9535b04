"""Continuations: working off, piece by piece, what one transaction left for later ones. [SCHED-1]

Here belongs taking a piece and handing it to what made it. What a kind of piece does belongs to the module that leaves
it; `services.heart` puts the kinds together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import progress
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.recounting import ADVANCE
from crosswind_server.store import continuations
from crosswind_server.store.unit_of_work import UnitOfWork

TOLD_TOGETHER: Final = 200
"""So many ends are told in one transaction at most beside the first."""

PieceHandler = Callable[[Board, Row[Any]], None]
"""Works off one piece, whose run is locked and on the board. Whatever it ends is followed up afterwards."""


def _also(piece: Row[Any]) -> list[str]:
    """The ids of other runs that a piece is about: `runs` in a detail that is a JSON object. All are locked at once."""
    if not (piece.detail_json or "").startswith("{"):
        return []
    also: list[str] = json.loads(piece.detail_json).get("runs", [])
    return also


class Continuer:
    """Works off pieces by their kinds.

    Args:
        plans: the DAG versions.
        kinds: what each kind of piece does.
    """

    def __init__(self, plans: PlanCache, kinds: Mapping[str, PieceHandler]) -> None:
        self._plans = plans
        self._kinds = kinds

    def take(self, uow: UnitOfWork, _: object) -> int:
        """Work off the oldest piece that nobody else has taken; answers how many that were.

        Where it tells successors of an end, others of its run that do so go with it, all within one budget of rows: a
        cascade through a wide DAG leaves one a task.
        """
        pieces = continuations.take(uow, 1)
        if not pieces:
            return 0
        (piece,) = pieces
        board = Board(uow, self._plans)
        if piece.run_key is not None:
            board.lock_runs({piece.run_key, *_also(piece)})
        if piece.kind == ADVANCE and piece.run_key in board.runs:
            pieces = [piece, *continuations.take_more(uow, piece.run_key, ADVANCE, TOLD_TOGETHER)]
        if piece.run_key is None or piece.run_key in board.runs:
            for each in pieces:
                self._kinds[each.kind](board, each)
        progress.advance(board)
        return len(pieces)
