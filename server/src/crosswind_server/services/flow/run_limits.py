"""How long runs may last and by when they should have ended: timers that are set, dropped and kept.

A run that lasts longer than its DAG allows fails, as if somebody stopped it. A deadline changes nothing but what people
are told, and what the author wants to happen then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from crosswind_server.domain.plan import CallbackEvent, DeadlineReference
from crosswind_server.domain.states import TERMINAL_RUN_STATES, RunState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import alarms, callbacks
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Run
from crosswind_server.store import runs, timers
from crosswind_server.store.unit_of_work import UnitOfWork

TOO_LONG: Final = "The run lasted longer than its DAG allows."


def set_for_new(board: Board, created: Iterable[Run]) -> None:
    """Set the deadlines of new runs that are known from the beginning."""
    _set_deadlines(
        board,
        created,
        lambda run: {
            DeadlineReference.QUEUED: board.uow.now,
            DeadlineReference.LOGICAL_TIME: run.logical_time,
        },
    )


def set_for_started(board: Board, started: Sequence[Run]) -> None:
    """Set the timeouts of runs that begin, and their deadlines that count from then."""
    uow = board.uow
    due = {run.id: uow.now + span for run in started if (span := board.plan_of(run).run_timeout_us) is not None}
    timers.put(uow, alarms.RUN_TIMEOUT, due)
    _set_deadlines(board, started, lambda run: {DeadlineReference.STARTED: run.start_time})


def set_anew(board: Board, run: Run) -> None:
    """Set the timeout of a run that goes on, as the version says into which it was cleared; it counts as before."""
    timers.drop(board.uow, alarms.RUN_TIMEOUT, [run.id])
    span = board.plan_of(run).run_timeout_us
    if span is not None and run.start_time is not None:
        timers.put(board.uow, alarms.RUN_TIMEOUT, {run.id: run.start_time + span})


def forget(board: Board, ended: Iterable[Run]) -> None:
    """Drop what was set for runs that have ended."""
    timed, bound = [], []
    for run in ended:
        if board.plan_of(run).run_timeout_us is not None:
            timed.append(run.id)
        if run.deadline_time is not None:
            bound.append(run.id)
    timers.drop(board.uow, alarms.RUN_TIMEOUT, timed)
    timers.drop(board.uow, alarms.DEADLINE, bound)


def _set_deadlines(
    board: Board, chosen: Iterable[Run], moments: Callable[[Run], dict[DeadlineReference, int | None]]
) -> None:
    due: dict[str, int] = {}
    for run in chosen:
        deadline = board.plan_of(run).deadline
        moment = None if deadline is None else moments(run).get(deadline.reference)
        if deadline is None or moment is None:
            continue
        run.deadline_time = due[run.id] = moment + deadline.interval_us
        board.touch_run(run)
    timers.put(board.uow, alarms.DEADLINE, due)


class Deadlines:
    """Keeps deadlines, in transactions that somebody else commits."""

    def __init__(self, plans: PlanCache) -> None:
        self._plans = plans

    def ring(self, uow: UnitOfWork, subjects: Sequence[str]) -> None:
        """Note which runs have not ended by their deadlines, and call back their authors' code."""
        board = Board(uow, self._plans)
        board.lock_runs(subjects)
        late = [run for run in board.runs.values() if RunState(run.state) not in TERMINAL_RUN_STATES]
        runs.miss_deadlines(uow, [run.id for run in late])
        for run in late:
            board.touch_run(run)
            callbacks.of_run(board, run, CallbackEvent.DEADLINE)
        board.flush()
