"""Backfills: runs of a DAG for a span of the past, created piece by piece as their own bound allows. [SCHED-1]

A piece locks the DAG, the backfill and then runs, in this order. It looks at some of the moments in the span, creates
or clears runs for them, and asks for the next piece; the end of a run does so too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server import manifests
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.ids import uuid7
from crosswind_server.domain.plan import DagPlan
from crosswind_server.domain.schedule import ScheduledRun, has_moments, runs_between
from crosswind_server.domain.states import BackfillState, RunState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import active_runs, alarms, progress
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.interventions.clearing import clear_run
from crosswind_server.services.interventions.stopping import stop
from crosswind_server.services.runs.creation import NewRun, add_runs, run_for
from crosswind_server.store import backfills as rows
from crosswind_server.store import dags, runs
from crosswind_server.store.unit_of_work import UnitOfWork

BACKFILL: Final = "backfill"
MOST_MOMENTS: Final = 10_000
"""In the span of one backfill."""
MOST_PLANNED: Final = 1_000
_CLEARED_STATES: Final = {
    "none": frozenset[RunState](),
    "failed": frozenset({RunState.FAILED, RunState.CANCELLED}),
    "ended": frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}),
}
_ENDED: Final = (BackfillState.SUCCEEDED, BackfillState.FAILED, BackfillState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBackfill:
    """Somebody wants a backfill. Times are microseconds since the epoch.

    Args:
        start: begin of the span of logical times, inclusive.
        end: end of it, exclusive.
        conf: a serialized payload with a JSON object for each run; None: no parameters.
        reverse: the latest moment comes first.
        reprocess: none, failed or ended: which runs that are there are cleared.
        max_active_runs: so many of its runs are not ended at once; None: as many as the DAG says.
        created_by: the subject of a token.
    """

    team: str
    dag_id: str
    start: int
    end: int
    conf: bytes | None = None
    reverse: bool = False
    reprocess: str = "none"
    max_active_runs: int | None = None
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """A run that a backfill creates, or clears where there is one."""

    run: ScheduledRun
    existing_run_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillPlan:
    """What a backfill would do.

    Args:
        max_active_runs: its bound.
        total: moments in its span.
        skipped: of these, those that it leaves alone.
        planned: the first runs that it creates or clears, in that order.
    """

    max_active_runs: int
    dag_version_id: str
    total: int
    skipped: int
    planned: Sequence[Planned]


class Backfills:
    """Creating, cancelling and working off backfills, in transactions that somebody else commits."""

    def __init__(self, plans: PlanCache) -> None:
        self._plans = plans

    def plan(self, uow: UnitOfWork, command: CreateBackfill) -> BackfillPlan:
        """What a backfill would do, as things are.

        Raises:
            Refused: DAG_NOT_FOUND, DAG_NOT_SCHEDULED, CONF_INVALID, VALUE_TOO_LARGE or INVALID_ARGUMENT.
        """
        dag = next(iter(dags.get(uow, command.team, [command.dag_id])), None)
        if dag is None or not dag.active:
            raise Refused(
                Reason.DAG_NOT_FOUND,
                f"There is no DAG '{command.dag_id[:80]}'; list the DAGs.",
                metadata={"dag_id": command.dag_id[:80]},
            )
        plan = self._plans.get(uow, dag.current_version_id)
        if not has_moments(plan.schedule):
            raise Refused(
                Reason.DAG_NOT_SCHEDULED,
                f"The DAG '{command.dag_id}' has no schedule by cron, interval or listed times, so nobody knows which"
                " runs the span lacks; trigger single runs with `crosswind dags trigger`.",
                metadata={"dag_id": command.dag_id},
            )
        manifests.check_conf(plan, manifests.read_conf(command.conf) if command.conf is not None else {})
        if command.start > uow.now:
            raise Refused(
                Reason.INVALID_ARGUMENT,
                "`start_time` is still to come, and a backfill is for the past: the schedule creates the runs of the"
                " future.",
                metadata={"field": "start_time"},
            )
        span = _moments(plan, command.start, command.end, by=uow.now, reverse=command.reverse)
        moments = list(itertools.islice(span, MOST_MOMENTS + 1))
        if len(moments) > MOST_MOMENTS:
            raise Refused(
                Reason.INVALID_ARGUMENT,
                f"The span has more than {MOST_MOMENTS:,} points in time; make several backfills of parts of it.",
                metadata={"field": "end_time"},
            )
        chosen = [each for each in _choose(uow, command, moments) if each is not None]
        return BackfillPlan(
            max_active_runs=command.max_active_runs or plan.max_active_runs,
            dag_version_id=plan.dag_version_id,
            total=len(moments),
            skipped=len(moments) - len(chosen),
            planned=chosen[:MOST_PLANNED],
        )

    def create(self, uow: UnitOfWork, command: CreateBackfill) -> tuple[str, BackfillPlan]:
        """Create a backfill, which is worked off in later transactions; answers its id. Raises as `plan` does."""
        plan = self.plan(uow, command)
        backfill_id = str(uuid7(uow.now))
        rows.add(
            uow,
            {
                "id": backfill_id,
                "team": command.team,
                "dag_id": command.dag_id,
                "state": BackfillState.RUNNING.value,
                "dag_version_id": plan.dag_version_id,
                "start_time": command.start,
                "end_time": command.end,
                "conf_message": command.conf,
                "reverse": command.reverse,
                "reprocess": command.reprocess,
                "max_active_runs": plan.max_active_runs,
                "total_count": plan.total,
                "created_count": 0,
                "skipped_count": 0,
                "last_logical_time": None,
                "exhausted": False,
                "created_by": command.created_by,
                "created_time": uow.now,
                "finished_time": None,
            },
        )
        alarms.ask_backfills(uow, {backfill_id})
        return backfill_id, plan

    def cancel(self, uow: UnitOfWork, *, team: str, backfill_id: str) -> None:
        """Cancel a backfill: it creates no further run; those that have not ended are cancelled in later transactions.

        Raises:
            Refused: BACKFILL_NOT_FOUND.
        """
        get_backfill(uow, team, backfill_id)
        row = rows.lock(uow, backfill_id)
        if row is None or row.state != BackfillState.RUNNING:
            return
        changes: dict[str, Any] = {"state": BackfillState.CANCELLING.value, "exhausted": True}
        if not rows.count_active(uow, {backfill_id}):
            changes |= {"state": BackfillState.CANCELLED.value, "finished_time": uow.now}
        rows.change(uow, backfill_id, changes)
        alarms.ask_backfills(uow, {backfill_id})

    def ring(self, uow: UnitOfWork, subjects: Sequence[str]) -> None:
        """Work off a piece of one backfill; the others wait for transactions of their own."""
        first, *others = sorted(subjects)
        alarms.ask_backfills(uow, others)
        for found in rows.find(uow, [first]):
            dag = dags.lock(uow, found.team, found.dag_id)
            row = rows.lock(uow, found.id)
            if dag is None or row is None:
                continue
            if rows.has_queued(uow, row.id):
                alarms.ask_promotion(uow, [(dag.team, dag.dag_id)])
            if row.state in _ENDED:
                continue
            board = Board(uow, self._plans)
            if row.state == BackfillState.CANCELLING:
                self._stop_runs(board, row)
            elif not row.exhausted and dag.active:
                self._go_on(board, dag, row)
            else:
                self._end(
                    uow, row, BackfillState.FAILED if row.created_count + row.skipped_count < row.total_count else None
                )
            progress.advance(board, causes=1)

    def _stop_runs(self, board: Board, row: Row[Any]) -> None:
        uow = board.uow
        # A stop changes up to a piece of rows, so it is one run a transaction.
        found, more = rows.claim_uncancelled(uow, row.id, 1)
        board.take(found)
        for run in list(board.runs.values()):
            stop(board, run, RunState.CANCELLED, reason=f"The backfill {row.id} was cancelled.")
        if more:
            alarms.ask_backfills(uow, {row.id}, soon=not found)
        elif not found:
            self._end(uow, row, BackfillState.CANCELLED)

    def _go_on(self, board: Board, dag: Row[Any], row: Row[Any]) -> None:
        """Look at the next moments, and create or clear as many runs as may be active."""
        uow = board.uow
        plan = self._plans.get(uow, dag.current_version_id)
        free = row.max_active_runs - rows.count_active(uow, {row.id}).get(row.id, 0)
        if free <= 0:
            return
        rest = self._rest_of(uow, row)
        moments = list(itertools.islice(rest, PIECE))
        wanted: list[ScheduledRun] = []
        looked, cleared, changed = 0, 0, 0
        for moment, chosen in zip(moments, _choose(uow, row, moments), strict=True):
            cost = min(len(plan.tasks), PIECE)
            if len(wanted) + cleared >= free or cleared or (wanted and changed + cost > PIECE):
                break
            if chosen is not None and chosen.existing_run_id:
                if wanted:
                    break
                # To clear a run may change up to a piece of rows.
                cleared = self._clear(board, dag, row, chosen.existing_run_id)
            elif chosen is not None:
                wanted.append(moment)
                changed += cost
            looked += 1
        created = add_runs(board, [_new_run(dag, plan, row, each) for each in wanted])
        exhausted = looked == len(moments) < PIECE
        rows.change(
            uow,
            row.id,
            {
                "created_count": row.created_count + len(created) + cleared,
                "skipped_count": row.skipped_count + looked - len(created) - cleared,
                "last_logical_time": moments[looked - 1].logical_time if looked else row.last_logical_time,
                "exhausted": exhausted,
            },
        )
        if not dag.paused:
            begun = active_runs.begin(board, [run for run in created if not run.unmade])
            if len(begun) < len(created):
                alarms.ask_promotion(uow, [(dag.team, dag.dag_id)])
        if len(created) + cleared < free:
            alarms.ask_backfills(uow, {row.id})

    def _rest_of(self, uow: UnitOfWork, row: Row[Any]) -> Iterator[ScheduledRun]:
        version = self._plans.get(uow, row.dag_version_id)
        start, end = row.start_time, row.end_time
        if row.last_logical_time is not None:
            start, end = (start, row.last_logical_time) if row.reverse else (row.last_logical_time + 1, end)
        return _moments(version, start, end, by=row.created_time, reverse=row.reverse)

    @staticmethod
    def _clear(board: Board, dag: Row[Any], row: Row[Any], run_id: str) -> int:
        found = runs.find(board.uow, row.team, row.dag_id, run_id)
        assert found is not None
        board.lock_runs([found.id])
        run = board.runs[found.id]
        if RunState(run.state) not in _CLEARED_STATES[row.reprocess]:
            return 0
        run.backfill_id = row.id
        board.touch_run(run)
        return min(1, clear_run(board, run, dag=dag, only_failed=False, subject=row.created_by))

    @staticmethod
    def _end(uow: UnitOfWork, row: Row[Any], state: BackfillState | None) -> None:
        """End a backfill that has nothing more to do, once the last of its runs has ended."""
        if rows.count_active(uow, {row.id}):
            return
        if state is None:
            state = BackfillState.FAILED if rows.has_unsuccessful(uow, row.id) else BackfillState.SUCCEEDED
        rows.change(uow, row.id, {"state": state.value, "finished_time": uow.now, "exhausted": True})


def get_backfill(uow: UnitOfWork, team: str, backfill_id: str) -> Row[Any]:
    """One backfill. Raises `Refused`: BACKFILL_NOT_FOUND."""
    row = rows.get(uow, team, backfill_id)
    if row is None:
        raise Refused(
            Reason.BACKFILL_NOT_FOUND,
            f"There is no backfill '{backfill_id[:80]}'; `crosswind backfills list` shows them.",
            metadata={"backfill_id": backfill_id[:80]},
        )
    return row


def _moments(plan: DagPlan, start: int, end: int, *, by: int, reverse: bool) -> Iterator[ScheduledRun]:
    return iter(()) if plan.schedule is None else runs_between(plan.schedule, start, end, by=by, reverse=reverse)


def _choose(uow: UnitOfWork, wanted: Any, moments: Sequence[ScheduledRun]) -> Iterable[Planned | None]:
    """For each moment, in their order, what becomes of it; None: it is left alone.

    Args:
        wanted: `CreateBackfill` or the row of a backfill.
    """
    if not moments:
        return ()
    ends = sorted((moments[0].logical_time, moments[-1].logical_time))
    existing: dict[int, Row[Any]] = {}
    for row in rows.runs_of_moments(uow, wanted.team, wanted.dag_id, *ends):
        existing[row.logical_time] = row
    states = _CLEARED_STATES[wanted.reprocess]
    chosen: list[Planned | None] = []
    for moment in moments:
        there = existing.get(moment.logical_time)
        if there is None:
            chosen.append(Planned(moment))
        elif there.end_time is not None and RunState(there.state) in states:
            chosen.append(Planned(moment, there.run_id))
        else:
            chosen.append(None)
    return chosen


def _new_run(dag: Row[Any], plan: DagPlan, row: Row[Any], moment: ScheduledRun) -> NewRun:
    return run_for(
        moment,
        plan,
        team=dag.team,
        run_type=BACKFILL,
        triggered_by=f"backfill {row.id}",
        conf=row.conf_message,
        backfill_id=row.id,
    )
