"""Clearing: chosen task instances of a run run again, with fresh budgets; their attempts and logs are kept.

Here belongs what a clear does to the run. What it concerns is chosen by `choosing`, worked off by `unwinding` in pieces
before the last of which the run does not end [SCHED-1], and preceded by `renewing` where the run goes on with another
version of its DAG.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.states import TERMINAL_RUN_STATES, RunState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import active_runs, alarms, progress, run_limits
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Run
from crosswind_server.services.interventions import renewing
from crosswind_server.services.interventions.choosing import Choice, Cleared, ClearTasks, choose, count
from crosswind_server.services.interventions.renewing import VersionChange
from crosswind_server.services.interventions.unwinding import Rest, work_off
from crosswind_server.store import dags, runs
from crosswind_server.store.unit_of_work import UnitOfWork

CLEAR: Final = "clear"
"""Kind of a continuation: clear the rest of a choice. Its detail is a `Rest` as JSON."""


def clear(uow: UnitOfWork, plans: PlanCache, command: ClearTasks) -> Cleared:
    """Clear task instances of a run. The run goes on; one that had ended, as soon as its DAG has a place for it.

    Raises:
        Refused: RUN_NOT_FOUND, TASK_NOT_FOUND or RUN_CANCELLING; with the DAG's current version also DAG_NOT_FOUND,
            CONF_INVALID or VALUE_TOO_LARGE.
    """
    dag = _lock_dag_of_ended(uow, command)
    board, run = lock_open_run(uow, plans, team=command.team, dag_id=command.dag_id, run_id=command.run_id)
    change = renewing.change_version(board, run) if command.use_current_version else None
    chosen = choose(board, run, command, anew=change.anew if change is not None else ())
    cleared = count(board, run, chosen)
    if not command.dry_run and (cleared.count or change is not None):
        _begin(board, run, chosen, subject=command.subject, dag=dag, change=change)
        progress.advance(board)
    return cleared


def clear_run(board: Board, run: Run, *, dag: Row[Any], only_failed: bool, subject: str) -> int:
    """Clear a run that is on the board and not being cancelled, or only what failed in it and all that depends on that.

    `progress.advance` is to follow. Answers how many instances that are.

    Args:
        dag: its row, locked before the run was.
    """
    command = ClearTasks(team=run.team, dag_id=run.dag_id, run_id=run.run_id, only_failed=only_failed)
    chosen = choose(board, run, command)
    cleared = count(board, run, chosen)
    if cleared.count:
        _begin(board, run, chosen, subject=subject, dag=dag)
    return cleared.count


def go_on(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `CLEAR`."""
    run = board.runs[piece.subject_id]
    run.holds -= 1
    board.touch_run(run)
    if run.final_state is None:
        _work_off(board, run, Rest.from_json(piece.detail_json))


def lock_open_run(uow: UnitOfWork, plans: PlanCache, *, team: str, dag_id: str, run_id: str) -> tuple[Board, Run]:
    """Lock a run that is not being cancelled. Raises `Refused`: RUN_NOT_FOUND or RUN_CANCELLING."""
    board, run = lock_run(uow, plans, team=team, dag_id=dag_id, run_id=run_id)
    if run.state == RunState.CANCELLING:
        raise Refused(
            Reason.RUN_CANCELLING,
            f"The run '{run_id}' of DAG '{dag_id}' is being cancelled; wait until it has ended, then repeat.",
            metadata={"dag_id": dag_id, "run_id": run_id},
        )
    return board, run


def lock_run(uow: UnitOfWork, plans: PlanCache, *, team: str, dag_id: str, run_id: str) -> tuple[Board, Run]:
    """Lock a run. Raises `Refused`: RUN_NOT_FOUND."""
    found = runs.find(uow, team, dag_id, run_id)
    if found is None:
        raise Refused(
            Reason.RUN_NOT_FOUND,
            f"The DAG '{dag_id[:80]}' has no run '{run_id[:80]}'; list its runs.",
            metadata={"dag_id": dag_id[:80], "run_id": run_id[:80]},
        )
    board = Board(uow, plans)
    board.lock_runs([found.id])
    return board, board.runs[found.id]


def _lock_dag_of_ended(uow: UnitOfWork, command: ClearTasks) -> Row[Any] | None:
    """Lock the DAG of a run that has ended: before the run, since a place may be free for it."""
    found = None if command.dry_run else runs.find(uow, command.team, command.dag_id, command.run_id)
    ended = found is not None and found.end_time is not None
    return dags.lock(uow, command.team, command.dag_id) if ended else None


def _begin(
    board: Board,
    run: Run,
    chosen: Mapping[int, Choice],
    *,
    subject: str,
    dag: Row[Any] | None,
    change: VersionChange | None = None,
) -> None:
    ended = RunState(run.state) in TERMINAL_RUN_STATES
    # Somebody stopped it before all of its instances were made.
    incomplete = ended and (run.renewing or run.unmade > 0)
    if ended:
        reopen(board, run, dag)
    ranks = board.plan_of(run).ranks
    ordered = sorted(chosen.items(), key=lambda each: ranks[each[0]])
    rest = Rest(chosen=ordered, subject=subject)
    if change is not None or incomplete:
        renewing.begin(board, run, rest, change)
    else:
        _work_off(board, run, rest)


def _work_off(board: Board, run: Run, rest: Rest) -> None:
    work_off(board, run, rest)
    if rest.chosen:
        run.holds += 1
        board.touch_run(run)
        board.leave_for(CLEAR, run.id, run.id, detail_json=rest.to_json())
    elif run.state == RunState.QUEUED:
        # It is a candidate from now on, and a place may have become free meanwhile.
        alarms.ask_promotion(board.uow, [(run.team, run.dag_id)])


def reopen(board: Board, run: Run, dag: Row[Any] | None) -> None:
    """Let a run that had ended go on: at once where its DAG has a place for it, else QUEUED as any other.

    Args:
        dag: its row, locked before the run was; None: it was not, for the run ended only then.
    """
    begins = dag is not None and active_runs.has_place(board, dag, run)
    run.state = (RunState.RUNNING if begins else RunState.QUEUED).value
    run.cancel_requested, run.final_state = False, None
    run.start_time = board.uow.now if begins else None
    run.end_time = None
    board.touch_run(run)
    runs.set_queued_time(board.uow, run.id)
    run_limits.set_for_new(board, [run])
    if begins:
        run_limits.set_for_started(board, [run])
