"""Why a task instance does not run: derived from state whenever somebody asks, and never stored. [SCHED-3]"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosswind_server.domain.ids import time_text
from crosswind_server.domain.plan import DagPlan
from crosswind_server.domain.states import TERMINAL_TASK_STATES, RunState, TaskState, WaitingReason
from crosswind_server.services.listing.upstream import NAMED_AT_MOST, explain_upstream, names_of
from crosswind_server.store import task_listing as rows
from crosswind_server.store.task_listing import OfferingWorker
from crosswind_server.store.unit_of_work import UnitOfWork


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
        held = _explain_held(run, paused=rows.is_paused(uow, run.team, run.dag_id))
        return {row.id: held for row in instances if TaskState(row.state) not in TERMINAL_TASK_STATES}
    before = explain_upstream(uow, plan, run, [row for row in instances if row.state == TaskState.WAITING])
    queued = [row for row in instances if row.state == TaskState.QUEUED]
    paused = bool(queued) and rows.is_paused(uow, run.team, run.dag_id)
    offering: dict[str, list[OfferingWorker]] = {}
    for worker in rows.list_offering_workers(uow, run.team, {row.offer_key for row in queued}):
        offering.setdefault(worker.offer_key, []).append(worker)
    found = {}
    for row in instances:
        waiting = _explain(row, run=run, now=uow.now, before=before, paused=paused, offering=offering)
        if waiting is not None:
            found[row.id] = waiting
    return found


def _explain_held(run: Any, *, paused: bool) -> Waiting:
    """Why nothing of a queued run begins."""
    if paused:
        return Waiting(WaitingReason.PAUSED, f"The DAG '{run.dag_id}' is paused; unpause it.")
    text = f"Its run is queued: as many runs of the DAG '{run.dag_id}' are active as may be."
    return Waiting(WaitingReason.RUN, text)


def _explain(
    row: Any,
    *,
    run: Any,
    now: int,
    before: Mapping[str, tuple[WaitingReason, str]],
    paused: bool,
    offering: Mapping[str, Sequence[OfferingWorker]],
) -> Waiting | None:
    match TaskState(row.state):
        case TaskState.WAITING:
            return Waiting(*before[row.id])
        case TaskState.UP_FOR_RETRY | TaskState.UP_FOR_RESCHEDULE | TaskState.DEFERRED:
            what = {TaskState.UP_FOR_RETRY: "The next try begins", TaskState.DEFERRED: "The task goes on"}
            words = what.get(TaskState(row.state), "The task is asked again")
            when = f"not before {_moment(row.not_before)}" if row.not_before is not None else "when its event comes"
            return Waiting(WaitingReason.NOT_BEFORE, f"{words} {when}.")
        case TaskState.AWAITING_INPUT:
            return Waiting(WaitingReason.INPUT, "A person has not answered yet.")
        case TaskState.CANCELLING:
            worker = f"The worker '{row.worker_name}'" if row.worker_name else "Its worker"
            return Waiting(WaitingReason.CANCEL_PENDING, f"{worker} has not confirmed the cancel yet.")
        case TaskState.QUEUED:
            return _explain_queued(row, run=run, now=now, paused=paused, workers=offering.get(row.offer_key, ()))
        case _:
            return None


def _explain_queued(row: Any, *, run: Any, now: int, paused: bool, workers: Sequence[OfferingWorker]) -> Waiting:
    if paused:
        text = f"The DAG '{run.dag_id}' is paused; unpause it."
        return Waiting(WaitingReason.PAUSED, text)
    if row.not_before is not None and row.not_before > now:
        return Waiting(WaitingReason.NOT_BEFORE, f"Not before {_moment(row.not_before)}.")
    active = [worker for worker in workers if worker.state == "active"]
    if not active:
        return Waiting(WaitingReason.NO_WORKER, f"No live worker offers {_wanted(row, run)}; start one.")
    serving = [worker for worker in active if row.queue in json.loads(worker.queues_json)]
    if not serving:
        text = f"No worker that offers {_wanted(row, run)} serves the queue '{row.queue}'; start one with --queue."
        return Waiting(WaitingReason.QUEUE, text)
    going = [worker for worker in serving if not worker.paused]
    if not going:
        names = names_of([worker.name for worker in serving], "worker")
        return Waiting(WaitingReason.PAUSED, f"Every worker that could take it is paused: {names}; let one go on.")
    if all(worker.slots < row.slots for worker in going):
        text = f"The task takes {row.slots} slots, and no worker has as many; start one with more --slots."
        return Waiting(WaitingReason.SLOTS, text)
    free = [worker.name for worker in going if worker.slots - worker.used_slots >= row.slots]
    if free:
        return Waiting(WaitingReason.SLOTS, f"Is ready; {names_of(free, 'worker')} can take it in a moment.")
    shown = ", ".join(f"'{w.name}' {w.used_slots} of {w.slots}" for w in going[:NAMED_AT_MOST])
    return Waiting(WaitingReason.SLOTS, f"Waits for a free slot; taken are: {shown}.")


def _moment(time_us: int) -> str:
    # People do not ask for less than a second.
    return f"{time_text(time_us)[:19]}Z"


def _wanted(row: Any, run: Any) -> str:
    kind, _, name = row.offer_key.partition(":")
    if kind == "ref":
        bundle, _, entry_point = name.partition("/")
        return f"'{entry_point}' of the bundle '{bundle}'"
    return f"the version {name[:12]} of the DAG '{run.dag_id}' (bundle '{run.bundle}')"
