"""What follows when runs end, in the transaction in which they do: one function a noun. [SCHED-1]

The runs are locked, so nothing here locks a DAG, a backfill or another run: it asks for what needs that.
"""

from __future__ import annotations

from collections.abc import Sequence

from crosswind_server.services.flow import alarms, callbacks, run_limits
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Run


def follow(board: Board, ended: Sequence[Run]) -> None:
    """Do what follows when runs have ended."""
    _make_room(board, ended)
    _tell_backfills(board, ended)
    run_limits.forget(board, ended)
    for run in ended:
        callbacks.of_run_end(board, run)


def _make_room(board: Board, ended: Sequence[Run]) -> None:
    """Others of their DAGs may begin."""
    places = {(run.team, run.dag_id) for run in ended if run.backfill_id is None}
    alarms.ask_promotion(board.uow, places)


def _tell_backfills(board: Board, ended: Sequence[Run]) -> None:
    """Their backfills may create the next ones, or are done."""
    alarms.ask_backfills(board.uow, {run.backfill_id for run in ended if run.backfill_id is not None})
