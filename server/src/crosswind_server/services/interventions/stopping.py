"""Stopping a run: what has not ended ends without having run, and live attempts are cancelled. [LEASE-4]

Here belongs a stop for any cause: a cancel, a person's word about the run, its timeout. It is worked off in bounded
pieces; from the first on nothing of the run is assigned, and nobody is told of an end. [SCHED-1]
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.lifecycle import Event
from crosswind_server.domain.states import TIMED_OUT, RunState, rest_of
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.resetting import end_stopped
from crosswind_server.services.flow.rows import Run
from crosswind_server.services.flow.settlement import ask_to_end
from crosswind_server.store import attempts, task_instances

STOP: Final = "stop"
"""Kind of a continuation: stop what has not ended of the subject, a run. Its detail is the reason for the logs."""


def stop(board: Board, run: Run, final: RunState, *, reason: str, timed_out: bool = False) -> None:
    """Stop a run that is on the board and has not ended: it ends as `final` once its live attempts have ended.

    `progress.advance` follows, which ends the run where nothing is live.

    Args:
        reason: one sentence for the logs of the tasks that are cancelled.
        timed_out: it fails because it lasted too long, and its tasks are cancelled, not skipped.
    """
    run.cancel_requested = True
    run.final_state = TIMED_OUT if timed_out else final.value
    run.state = RunState.CANCELLING.value
    run.holds += 1
    board.stale.clear()
    board.touch_run(run)
    _work_off(board, run, reason)


def go_on(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `STOP`."""
    _work_off(board, board.runs[piece.subject_id], piece.detail_json)


def _work_off(board: Board, run: Run, reason: str) -> None:
    uow = board.uow
    assert run.final_state is not None
    # First what nobody holds, so that nothing of it can be assigned meanwhile; then what somebody does.
    idle, more = task_instances.lock_idle(uow, run.id, PIECE)
    end_stopped(board, board.put_rows(idle), rest_of(run.final_state))
    held = ask_to_end(board, attempts.uncancelled_ids(uow, run.id, PIECE), Event.CANCEL, reason=reason)
    if not more and len(held) < PIECE:
        run.holds -= 1
    else:
        board.leave_for(STOP, run.id, run.id, detail_json=reason)
    board.touch_run(run)
