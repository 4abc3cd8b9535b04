"""Why a task instance does not run: derived from state whenever somebody asks, and never stored. [SCHED-3]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosswind_server.domain.plan import DagPlan
from crosswind_server.domain.states import TERMINAL_TASK_STATES, RunState, TaskState, WaitingReason, Workload
from crosswind_server.services.listing.claimable import Cause, explain_queued, explain_queued_workloads, moment
from crosswind_server.services.listing.upstream import explain_upstream
from crosswind_server.store import task_listing as rows
from crosswind_server.store.unit_of_work import UnitOfWork

_HELD_BACK = frozenset({TaskState.WAITING, TaskState.QUEUED})


@dataclass(frozen=True, slots=True)
class Waiting:
    """The reason, and a sentence that names what is waited for."""

    reason: WaitingReason
    detail: str


def explain_waiting(uow: UnitOfWork, plan: DagPlan, run: Any, instances: Sequence[Any]) -> Mapping[str, Waiting]:
    """Say why each of some task instances of one run waits; those that do not are left out.

    Args:
        uow: the transaction.
        plan: of the run.
        run: its row.
        instances: their rows.
    """
    if run.state == RunState.QUEUED:
        held = explain_queued_run(run, paused=rows.is_paused(uow, run.team, run.dag_id))
        return {row.id: held for row in instances if TaskState(row.state) not in TERMINAL_TASK_STATES}
    if run.renewing:
        text = "Its run was cleared into another version of its DAG; it goes on when all its tasks have followed."
        return {row.id: Waiting(WaitingReason.RUN, text) for row in instances if row.state in _HELD_BACK}
    before = explain_upstream(uow, plan, run, [row for row in instances if row.state == TaskState.WAITING])
    queued = explain_queued(uow, plan, run, [row for row in instances if row.state == TaskState.QUEUED])
    found = {}
    for row in instances:
        waiting = _explain(row, before=before, queued=queued)
        if waiting is not None:
            found[row.id] = waiting
    return found


def explain_workloads(uow: UnitOfWork, team: str, workloads: Sequence[Any]) -> Mapping[str, Waiting]:
    """Say why each of some workloads beside tasks waits; those that do not are left out.

    Args:
        uow: the transaction.
        team: theirs.
        workloads: their rows, with the `dag_id` and the `bundle` of their runs.
    """
    queued = explain_queued_workloads(uow, team, [row for row in workloads if row.state == TaskState.QUEUED])
    found = {row.id: _explain(row, before={}, queued=queued) for row in workloads}
    return {key: waiting for key, waiting in found.items() if waiting is not None}


def explain_queued_run(run: Any, *, paused: bool) -> Waiting:
    """Say why a queued run does not begin, and with it none of its tasks.

    Args:
        run: its row.
        paused: whether its DAG is.
    """
    if paused:
        return Waiting(WaitingReason.PAUSED, f"The DAG '{run.dag_id}' is paused; unpause it.")
    if run.unmade:
        return Waiting(WaitingReason.RUN, "The run begins when the instances of all its tasks are made.")
    if run.holds:
        return Waiting(WaitingReason.RUN, "The run begins when all of it is cleared that somebody wanted to be.")
    of = "its backfill" if run.backfill_id is not None else f"the DAG '{run.dag_id}'"
    text = f"As many runs of {of} are active as may be; the oldest that is queued begins when one ends."
    return Waiting(WaitingReason.RUN, text)


def _explain(row: Any, *, before: Mapping[str, Cause], queued: Mapping[str, Cause]) -> Waiting | None:
    match TaskState(row.state):
        case TaskState.WAITING:
            return Waiting(*before[row.id])
        case TaskState.DEFERRED if row.waits_for is not None:
            return Waiting(WaitingReason.TRIGGER, _explain_wait(row))
        case TaskState.UP_FOR_RETRY | TaskState.UP_FOR_RESCHEDULE | TaskState.DEFERRED:
            what = {TaskState.UP_FOR_RETRY: "The next try begins", TaskState.DEFERRED: "The task goes on"}
            asked = "trigger" if row.workload == Workload.TRIGGER else "task"
            words = what.get(TaskState(row.state), f"The {asked} is asked again")
            return Waiting(WaitingReason.NOT_BEFORE, f"{words} not before {moment(row.not_before)}.")
        case TaskState.AWAITING_INPUT:
            until = f" by {moment(row.not_before)}" if row.not_before is not None else ""
            return Waiting(WaitingReason.INPUT, f"A person is to answer its question{until}.")
        case TaskState.CANCELLING:
            worker = f"The worker '{row.worker_name}'" if row.worker_name else "Its worker"
            return Waiting(WaitingReason.CANCEL_PENDING, f"{worker} has not confirmed the cancel yet.")
        case TaskState.QUEUED:
            return Waiting(*queued[row.id])
        case _:
            return None


def _explain_wait(row: Any) -> str:
    kind, _, name = row.waits_for.partition(":")
    what = f"the event '{name}'" if kind == "event" else f"its trigger '{name}'"
    until = f", at most until {moment(row.not_before)}" if row.not_before is not None else ""
    # The trigger is an attempt of its own, which may itself wait for a worker.
    where = "" if kind == "event" else "; `crosswind workloads list` says how it stands"
    return f"Waits for {what}{until}{where}."
