"""Why nobody has taken a task instance that is queued: the first cause that holds, from what somebody must mend to what
passes by itself. [SCHED-3]

The causes are those for which `execution.claiming` and `flow.admission` leave it, in the words of people.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crosswind_server.domain.claims import PREFERENCE_US, LabelPlan, left_of, missing, read_labels
from crosswind_server.domain.ids import time_text
from crosswind_server.domain.plan import DAG_GROUP, DagPlan
from crosswind_server.domain.states import WaitingReason
from crosswind_server.services.execution.patience import Patient, patient_of
from crosswind_server.services.listing.upstream import NAMED_AT_MOST, names_of
from crosswind_server.store import admissions, bounds, claim_classes, run_listing
from crosswind_server.store import task_listing as rows
from crosswind_server.store.bounds import Bound
from crosswind_server.store.task_listing import OfferingWorker
from crosswind_server.store.unit_of_work import UnitOfWork

Cause = tuple[WaitingReason, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What queued instances of one run wait beside: read once for all of them."""

    plan: DagPlan | None
    run: Any
    now: int
    paused: bool = False
    active: Mapping[tuple[str, int], int] = field(default_factory=dict)
    classes: Mapping[str, Any] = field(default_factory=dict)
    pools: Mapping[str, Bound] = field(default_factory=dict)
    limits: Mapping[str, Bound] = field(default_factory=dict)
    patient: Sequence[Patient] = ()
    offering: Mapping[str, Sequence[OfferingWorker]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Queued:
    """One instance, what it asks of workers, and the live workers that offer its code."""

    row: Any
    scene: _Scene
    role: str
    labels: tuple[LabelPlan, ...]
    workers: Sequence[OfferingWorker]

    def serving(self) -> list[OfferingWorker]:
        """The workers that serve its queue."""
        return [worker for worker in self.workers if self.row.queue in json.loads(worker.queues_json)]

    def fitting(self) -> list[OfferingWorker]:
        """Those of them that are what it needs."""
        return [worker for worker in self.serving() if not self.unfit(worker)]

    def going(self) -> list[OfferingWorker]:
        """Those of them that are not paused."""
        return [worker for worker in self.fitting() if not worker.paused]

    def free(self) -> list[OfferingWorker]:
        """Those of them that have the slots for it now."""
        return [worker for worker in self.going() if worker.slots - worker.used_slots >= self.row.slots]

    def lacking(self, worker: OfferingWorker) -> list[LabelPlan]:
        """The labels that it requires and a worker does not have."""
        return missing(self.labels, json.loads(worker.labels_json), required=True)

    def unfit(self, worker: OfferingWorker) -> bool:
        """Whether a worker could never take it."""
        other_role = self.role not in json.loads(worker.roles_json)
        return other_role or worker.slots < self.row.slots or bool(self.lacking(worker))


def explain_queued(uow: UnitOfWork, plan: DagPlan, run: Any, queued: Sequence[Any]) -> Mapping[str, Cause]:
    """Say of queued instances of one run, by id, why each waits."""
    if not queued:
        return {}
    pools = bounds.read_pools(uow, run.team, {row.pool for row in queued if row.pool is not None})
    scene = _Scene(
        plan=plan,
        run=run,
        now=uow.now,
        paused=rows.is_paused(uow, run.team, run.dag_id),
        active=admissions.count_active(uow, [run.id]) if any(row.held for row in queued) else {},
        classes=claim_classes.get(uow, {row.claim_class for row in queued}),
        pools=pools,
        patient=patient_of(uow, run.team, pools),
        limits=bounds.read_limits(uow, run.team, {row.task_limit for row in queued if row.task_limit is not None}),
        offering=_offering(uow, run.team, queued),
    )
    return {row.id: _explain(row, scene) for row in queued}


def explain_queued_workloads(uow: UnitOfWork, team: str, queued: Sequence[Any]) -> Mapping[str, Cause]:
    """The same of workloads beside tasks, of any runs: nothing bounds them within these, and they take no pool's slots.

    Args:
        team: theirs.
        queued: their rows, with the `dag_id` and the `bundle` of their runs.
    """
    if not queued:
        return {}
    classes = claim_classes.get(uow, {row.claim_class for row in queued})
    paused = run_listing.paused_dags(uow, {(team, row.dag_id) for row in queued})
    offering = _offering(uow, team, queued)
    return {
        row.id: _explain(
            row,
            _Scene(
                plan=None,
                run=row,
                now=uow.now,
                paused=(team, row.dag_id) in paused,
                classes=classes,
                offering=offering,
            ),
        )
        for row in queued
    }


def _offering(uow: UnitOfWork, team: str, queued: Sequence[Any]) -> Mapping[str, Sequence[OfferingWorker]]:
    """The live workers that take work, by what they offer of what is queued."""
    offering: dict[str, list[OfferingWorker]] = {}
    for worker in rows.list_offering_workers(uow, team, {row.offer_key for row in queued}):
        if worker.state == "active":
            offering.setdefault(worker.offer_key, []).append(worker)
    return offering


def _explain(row: Any, scene: _Scene) -> Cause:
    of_class = scene.classes[row.claim_class]
    workers = scene.offering.get(row.offer_key, ())
    queued = _Queued(row, scene, of_class.role, read_labels(of_class.labels_json), workers)
    return next(cause for look in _CAUSES if (cause := look(queued)) is not None)


# --- the causes -------------------------------------------------------------------------------------------------------


def _dag_paused(queued: _Queued) -> Cause | None:
    if not queued.scene.paused:
        return None
    return WaitingReason.PAUSED, f"The DAG '{queued.scene.run.dag_id}' is paused; unpause it."


def _too_early(queued: _Queued) -> Cause | None:
    due = queued.row.not_before
    if due is None or due <= queued.scene.now:
        return None
    return WaitingReason.NOT_BEFORE, f"Not before {moment(due)}."


def _held(queued: _Queued) -> Cause | None:
    row, plan = queued.row, queued.scene.plan
    if not row.held or plan is None:
        return None
    active, group = queued.scene.active, row.limit_group
    bound = None if group == DAG_GROUP else plan.run_limits.get(group)
    if bound is not None and (plan.max_active_tasks is None or active.get((row.run_key, group), 0) >= bound):
        what = f"as many instances of the task '{row.task_id}' are active in the run as may be ({bound})"
    else:
        what = f"as many tasks of the run are active as its DAG allows ({plan.max_active_tasks})"
    return WaitingReason.CONCURRENCY, f"Waits for others to end: {what}."


def _not_offered(queued: _Queued) -> Cause | None:
    if queued.workers:
        return None
    return WaitingReason.NO_WORKER, f"No live worker offers {_wanted(queued)}; start one."


def _queue_not_served(queued: _Queued) -> Cause | None:
    if queued.serving():
        return None
    queue = queued.row.queue
    text = f"No worker that offers {_wanted(queued)} serves the queue '{queue}'; start one with --queue."
    return WaitingReason.QUEUE, text


def _no_fitting_worker(queued: _Queued) -> Cause | None:
    serving = queued.serving()
    if queued.fitting():
        return None
    if not any(queued.role in json.loads(worker.roles_json) for worker in serving):
        text = f"No worker that offers {_wanted(queued)} runs {queued.role}; start one with the role."
    elif not any(not queued.lacking(worker) for worker in serving):
        wanted = ", ".join(f"{each.key}={each.value}" for each in queued.labels if each.required)
        text = f"No worker that offers {_wanted(queued)} has the labels {wanted}; start one with --label."
    elif all(worker.slots < queued.row.slots for worker in serving):
        text = f"The task takes {queued.row.slots} slots, and no worker has as many; start one with more --slots."
    else:
        text = (
            f"No one worker has the role, the labels and the {queued.row.slots} slots that the task needs; start one."
        )
    return WaitingReason.LABELS, text


def _pool_impossible(queued: _Queued) -> Cause | None:
    row = queued.row
    if row.pool is None:
        return None
    pool = queued.scene.pools.get(row.pool)
    if pool is None:
        text = f"There is no pool '{row.pool}'; make it with `crosswind pools set`."
        return WaitingReason.POOL, text
    if pool.slots < row.pool_slots:
        text = f"The task takes {row.pool_slots} slots of the pool '{row.pool}', which has {pool.slots}; give it more."
        return WaitingReason.POOL, text
    return None


def _workers_paused(queued: _Queued) -> Cause | None:
    if queued.going():
        return None
    names = names_of([worker.name for worker in queued.fitting()], "worker")
    return WaitingReason.PAUSED, f"Every worker that could take it is paused: {names}; let one go on."


def _pool_full(queued: _Queued) -> Cause | None:
    row = queued.row
    pool = queued.scene.pools.get(row.pool) if row.pool is not None else None
    if pool is None or pool.free >= row.pool_slots:
        return None
    text = f"Waits for {_slots(row.pool_slots)} of the pool '{row.pool}'; {pool.taken} of {pool.slots} are taken."
    return WaitingReason.POOL, text


def _pool_kept(queued: _Queued) -> Cause | None:
    """As `execution.claiming` keeps it."""
    row = queued.row
    if row.pool is None:
        return None
    free = queued.scene.pools[row.pool].free
    for other in queued.scene.patient:
        if other.pool == row.pool and other.rank < row.rank:
            free = left_of(free, wanted=other.pool_slots, waited_us=other.waited_us, at_hand=other.at_hand)
            if free < row.pool_slots:
                what = f"the task '{other.task_id}', which has waited long for {_slots(other.pool_slots)}"
                return WaitingReason.POOL, f"What is free of the pool '{row.pool}' is kept for {what}."
    return None


def _task_limited(queued: _Queued) -> Cause | None:
    row = queued.row
    limit = queued.scene.limits.get(row.task_limit) if row.task_limit is not None else None
    if limit is None or limit.free > 0:
        return None
    what = f"as many instances of the task '{row.task_id}' are active over all runs as may be ({limit.slots})"
    return WaitingReason.CONCURRENCY, f"Waits for others to end: {what}."


def _all_busy(queued: _Queued) -> Cause | None:
    if queued.free():
        return None
    going = queued.going()
    shown = ", ".join(f"'{w.name}' {w.used_slots} of {w.slots}" for w in going[:NAMED_AT_MOST])
    return WaitingReason.SLOTS, f"Waits for {_slots(queued.row.slots)}; taken are: {shown}."


def _rather_another(queued: _Queued) -> Cause | None:
    row, preferred = queued.row, [each for each in queued.labels if not each.required]
    until = row.queued_time + PREFERENCE_US
    if not preferred or until <= queued.scene.now:
        return None
    if any(not missing(preferred, json.loads(worker.labels_json), required=False) for worker in queued.free()):
        return None
    wanted = ", ".join(f"{each.key}={each.value}" for each in preferred)
    return (
        WaitingReason.LABELS,
        f"Would rather have a worker with {wanted}, and takes any other from {moment(until)} on.",
    )


def _ready(queued: _Queued) -> Cause:
    names = names_of([worker.name for worker in queued.free()], "worker")
    return WaitingReason.SLOTS, f"Is ready; {names} can take it in a moment."


_CAUSES: Sequence[Callable[[_Queued], Cause | None]] = (
    _dag_paused,
    _too_early,
    _held,
    _not_offered,
    _queue_not_served,
    _no_fitting_worker,
    _pool_impossible,
    _workers_paused,
    _pool_full,
    _pool_kept,
    _task_limited,
    _all_busy,
    _rather_another,
    _ready,
)


# --- words ------------------------------------------------------------------------------------------------------------


def moment(time_us: int) -> str:
    """A time for people, who do not ask for less than a second."""
    return f"{time_text(time_us)[:19]}Z"


def _slots(count: int) -> str:
    return "a free slot" if count == 1 else f"{count} free slots"


def _wanted(queued: _Queued) -> str:
    run = queued.scene.run
    kind, _, name = queued.row.offer_key.partition(":")
    if kind == "ref":
        bundle, _, entry_point = name.partition("/")
        return f"'{entry_point}' of the bundle '{bundle}'"
    return f"the version {name[:12]} of the DAG '{run.dag_id}' (bundle '{run.bundle}')"
