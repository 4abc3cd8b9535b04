"""DAG runs: creating one with its first tasks ready, and cancelling one. [SCHED-1] [LEASE-4]

How a run goes on is in `progress`; listing and showing runs is in `listings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crosswind_server import manifests
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.ids import make_run_id, uuid7
from crosswind_server.domain.schedule import interval_of
from crosswind_server.domain.states import TERMINAL_RUN_STATES, RunState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import active_runs, alarms, progress, run_limits
from crosswind_server.services.flow.board import Board
from crosswind_server.services.interventions.stopping import stop
from crosswind_server.services.runs.creation import NewRun, add_runs
from crosswind_server.store import dags, runs, timers
from crosswind_server.store.unit_of_work import UnitOfWork

MANUAL: Final = "manual"
CANCEL_REASON: Final = "The run was cancelled."


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRun:
    """Somebody wants a run.

    Args:
        run_id: chosen by the caller, 1 to 250 characters; None: made here.
        conf: a serialized payload with a JSON object; None: no parameters.
        logical_time: microseconds since the epoch, as are the bounds of the data interval.
        partition_key: of the assets that it is about; empty: none.
    """

    team: str
    dag_id: str
    run_id: str | None = None
    conf: bytes | None = None
    run_type: str = MANUAL
    triggered_by: str = ""
    note: str = ""
    logical_time: int | None = None
    data_interval_start: int | None = None
    data_interval_end: int | None = None
    partition_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggeredRun:
    """A run that was created. `key` is its id in the database."""

    key: str
    dag_id: str
    run_id: str


class Runs:
    """Creating and cancelling runs, in transactions that somebody else commits."""

    def __init__(self, plans: PlanCache) -> None:
        self._plans = plans

    def trigger(self, uow: UnitOfWork, command: TriggerRun) -> TriggeredRun:
        """Create a run of the DAG's current version and, where it may begin, make its first tasks ready.

        It stays QUEUED while as many runs of the DAG go on as may, while the DAG is paused, and where it has more than
        `PIECE` tasks, until the instances of all of them are made.

        Raises:
            Refused: DAG_NOT_FOUND, RUN_EXISTS, CONF_INVALID, INVALID_ARGUMENT or VALUE_TOO_LARGE.
        """
        dag = dags.lock(uow, command.team, command.dag_id)
        if dag is None or not dag.active:
            gone = "its bundle no longer has it" if dag is not None else "no bundle has published it"
            raise Refused(
                Reason.DAG_NOT_FOUND,
                f"There is no DAG '{command.dag_id[:80]}': {gone}; list the DAGs.",
                metadata={"dag_id": command.dag_id[:80]},
            )
        plan = self._plans.get(uow, dag.current_version_id)
        manifests.check_conf(plan, manifests.read_conf(command.conf) if command.conf is not None else {})
        run_id = command.run_id or make_run_id(command.run_type, uow.now)
        if len(run_id) > 250 or any(ord(c) < 33 for c in run_id):
            raise Refused(
                Reason.INVALID_ARGUMENT,
                f"The run id {run_id[:80]!r} is not valid; use 1 to 250 characters without spaces.",
                metadata={"field": "run_id"},
            )
        if runs.find(uow, command.team, command.dag_id, run_id) is not None:
            if command.run_id is not None:
                raise _run_exists(command.dag_id, run_id)
            # Two triggers within a microsecond: the id keeps its shape and becomes unique.
            run_id = f"{run_id}_{uuid7(uow.now).hex[-6:]}"
        interval = (command.data_interval_start, command.data_interval_end)
        if command.logical_time is not None and command.data_interval_start is None:
            interval = interval_of(plan.schedule, command.logical_time) or interval
        board = Board(uow, self._plans)
        (run,) = add_runs(
            board,
            [
                NewRun(
                    team=command.team,
                    plan=plan,
                    run_id=run_id,
                    run_type=command.run_type,
                    conf=command.conf,
                    logical_time=command.logical_time,
                    data_interval_start=interval[0],
                    data_interval_end=interval[1],
                    triggered_by=command.triggered_by,
                    note=command.note,
                    partition_key=command.partition_key,
                )
            ],
        )
        active_runs.promote(board, dag)
        progress.advance(board)
        return TriggeredRun(key=run.id, dag_id=run.dag_id, run_id=run.run_id)

    def cancel(self, uow: UnitOfWork, *, team: str, dag_id: str, run_id: str, reason: str = CANCEL_REASON) -> str:
        """Cancel a run; answers its key. Repeating it is safe.

        Raises:
            Refused: RUN_NOT_FOUND or RUN_FINISHED.
        """
        found = runs.find(uow, team, dag_id, run_id)
        if found is None:
            raise Refused(
                Reason.RUN_NOT_FOUND,
                f"The DAG '{dag_id[:80]}' has no run '{run_id[:80]}'; list its runs.",
                metadata={"dag_id": dag_id[:80], "run_id": run_id[:80]},
            )
        board = Board(uow, self._plans)
        board.lock_runs([found.id])
        run = board.runs[found.id]
        if RunState(run.state) in TERMINAL_RUN_STATES:
            raise Refused(
                Reason.RUN_FINISHED,
                f"The run '{run_id}' of DAG '{dag_id}' has ended ({run.state.upper()}); there is nothing to cancel.",
                metadata={"dag_id": dag_id, "run_id": run_id, "state": run.state.upper()},
            )
        if run.cancel_requested:
            return run.id
        stop(board, run, RunState.CANCELLED, reason=reason)
        progress.advance(board)
        return run.id

    def time_out(self, uow: UnitOfWork, subjects: Sequence[str]) -> None:
        """Let a run fail that lasted longer than its DAG allows: what runs of it is cancelled. One a transaction."""
        first, *others = sorted(subjects)
        timers.put(uow, alarms.RUN_TIMEOUT, dict.fromkeys(others, uow.now))
        board = Board(uow, self._plans)
        board.lock_runs([first])
        run = board.runs.get(first)
        if run is not None and not run.cancel_requested and RunState(run.state) not in TERMINAL_RUN_STATES:
            stop(board, run, RunState.FAILED, reason=run_limits.TOO_LONG, timed_out=True)
            progress.advance(board)


def _run_exists(dag_id: str, run_id: str) -> Refused:
    return Refused(
        Reason.RUN_EXISTS,
        f"The DAG '{dag_id}' has a run '{run_id}' already; choose another id, or leave it out.",
        metadata={"dag_id": dag_id, "run_id": run_id},
    )
