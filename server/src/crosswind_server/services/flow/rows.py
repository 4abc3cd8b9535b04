"""The rows that a board holds: runs, task instances and attempts, and how new ones begin.

Here belong their fields, in the order in which the store reads them. What changes them is in `board` and in those who
work on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from crosswind_server import manifests
from crosswind_server.domain.claims import task_limit_key
from crosswind_server.domain.ids import uuid7
from crosswind_server.domain.plan import DagPlan, TaskPlan, offer_key_of
from crosswind_server.domain.states import TERMINAL_TASK_STATES, TaskState, Workload
from crosswind_server.domain.workloads import NO_TASK, plan_workload
from crosswind_server.store import task_instances

NO_NUMBER: Final = -2
"""The map index of a workload beside tasks until it is written."""


@dataclass(slots=True)
class Run:
    """A locked run; the columns of `store.runs.COLUMNS`."""

    id: str
    team: str
    dag_id: str
    run_id: str
    run_type: str
    state: str
    dag_version_id: str
    code_version_id: str
    unfinished: int
    cancel_requested: bool
    start_time: int | None
    end_time: int | None
    final_state: str | None = None
    holds: int = 0
    numbering_json: str | None = None
    logical_time: int | None = None
    backfill_id: str | None = None
    deadline_time: int | None = None
    unmade: int = 0
    awaited: bool = False
    renewing: bool = False


@dataclass(slots=True)
class Instance:
    """A task instance; the columns of `store.task_instances.COLUMNS`."""

    id: str
    run_key: str
    team: str
    task_index: int
    task_id: str
    map_index: int
    parent_id: str | None
    state: str
    upstream_succeeded: int
    upstream_failed: int
    upstream_skipped: int
    instances_total: int
    instances_succeeded: int
    instances_failed: int
    instances_upstream_failed: int
    instances_skipped: int
    instances_cancelled: int
    sources_ended: int
    skips: str | None
    offer_key: str
    queue: str
    priority: int
    slots: int
    not_before: int | None
    queued_time: int | None
    first_start_time: int | None
    start_time: int | None
    end_time: int | None
    try_number: int
    failures: int
    losses: int
    max_tries: int
    attempt_id: str | None
    worker_name: str | None
    language: str | None
    bundle_version: str | None
    failure_message: bytes | None
    resumption_message: bytes | None
    waits_for: str | None = None
    event_number: int | None = None
    workload: str = Workload.TASK.value
    workload_entry_point: str | None = None
    workload_map_index: int = -1
    workload_message: bytes | None = None
    claim_class: str = ""
    pool: str | None = None
    pool_slots: int = 1
    task_limit: str | None = None
    rank: int = 0
    limit_group: int | None = None
    held: bool = False

    @property
    def is_task(self) -> bool:
        """Whether it is an instance of a task of the graph; else a workload beside tasks."""
        return self.task_index >= 0

    @property
    def ended(self) -> bool:
        """Whether it is in a final state."""
        return TaskState(self.state) in TERMINAL_TASK_STATES


@dataclass(slots=True)
class AttemptRecord:
    """An attempt; the columns of `store.attempts.COLUMNS`."""

    id: str
    task_instance_id: str
    run_key: str
    try_number: int
    lease: bytes
    instance_id: str
    state: str
    deliveries: int
    slots: int
    bundle: str
    bundle_version: str
    entry_point: str
    start_deadline: int
    start_time: int | None
    lease_expires: int | None
    end_time: int | None
    outcome_id: str | None
    requeue: bool
    log_next_sequence: int
    log_closed: bool


def instance_of(row: Sequence[Any]) -> Instance:
    """The instance in a row of `store.task_instances.COLUMNS`, which may have further columns."""
    return Instance(*row[: len(task_instances.COLUMNS)])


_NAMES: Final = tuple(Instance.__dataclass_fields__)


def values_of(instance: Instance) -> dict[str, Any]:
    """All columns of an instance, to be added."""
    return {name: getattr(instance, name) for name in _NAMES}


def plan_of_workload(plan: DagPlan, instance: Instance) -> TaskPlan:
    """The plan of a workload beside tasks."""
    kind = Workload(instance.workload)
    return plan_workload(
        plan,
        kind,
        entry_point=instance.workload_entry_point or "",
        task_id=instance.task_id,
        event=manifests.callback_event(instance.workload_message) if kind is Workload.CALLBACK else "",
        arguments=manifests.arguments_of(instance.workload_message) if kind is Workload.TRIGGER else None,
    )


def new_workload(
    run: Run,
    workload: Workload,
    *,
    now: int,
    plan: DagPlan,
    entry_point: str,
    message: bytes | None = None,
    subject: Instance | None = None,
) -> Instance:
    """A workload that does not exist yet, for a task instance or for its run: queued, under a number given later."""
    task = plan.present[0] if subject is None else plan.tasks[subject.task_index]
    offer_key = offer_key_of(run.code_version_id) if subject is None else subject.offer_key
    made = new_instance(run, task, now=now, offer_key=offer_key, state=TaskState.QUEUED)
    made.task_index = NO_TASK
    made.task_id = "" if subject is None else subject.task_id
    made.parent_id = None if subject is None else subject.id
    made.map_index = NO_NUMBER
    made.workload = workload.value
    made.workload_entry_point = entry_point
    made.workload_map_index = -1 if subject is None else subject.map_index
    made.workload_message = message
    made.slots = 1
    made.pool = made.task_limit = None
    made.max_tries = plan_of_workload(plan, made).retry.retries + 1
    return made


def of_version(run: Run, task: TaskPlan, limit_group: int | None, offer_key: str) -> dict[str, Any]:
    """What an instance has from its task, as the version of its run has it: `task_instances.OF_VERSION`, and what a
    worker must offer.

    Args:
        run: its run.
        task: its task.
        limit_group: what bounds it within the run.
        offer_key: what it wanted so far; a version to which it was pinned of what another bundle offers stays.
    """
    wanted = offer_key_of(run.code_version_id)
    if task.reference is not None:
        wanted = offer_key if task.reference.is_pinned_by(offer_key) else task.reference.offer_key
    return {
        "offer_key": wanted,
        "queue": task.queue,
        "priority": task.priority,
        "slots": task.slots,
        "pool": task.pool,
        "pool_slots": task.pool_slots,
        "task_limit": task_limit_key(run.dag_id, task.task_id) if task.max_active_instances is not None else None,
        "limit_group": limit_group,
    }


def new_instance(
    run: Run,
    task: TaskPlan,
    *,
    now: int,
    offer_key: str,
    state: TaskState = TaskState.WAITING,
    map_index: int = -1,
    parent_id: str | None = None,
) -> Instance:
    """A task instance that does not exist yet."""
    return Instance(
        id=str(uuid7(now)),
        run_key=run.id,
        team=run.team,
        task_index=task.index,
        task_id=task.task_id,
        map_index=map_index,
        parent_id=parent_id,
        state=state.value,
        upstream_succeeded=0,
        upstream_failed=0,
        upstream_skipped=0,
        instances_total=0,
        instances_succeeded=0,
        instances_failed=0,
        instances_upstream_failed=0,
        instances_skipped=0,
        instances_cancelled=0,
        sources_ended=0,
        skips=None,
        offer_key=offer_key,
        queue=task.queue,
        priority=task.priority,
        slots=task.slots,
        not_before=None,
        queued_time=now if state is TaskState.QUEUED else None,
        first_start_time=None,
        start_time=None,
        end_time=None,
        try_number=0,
        failures=0,
        losses=0,
        max_tries=task.retry.retries + 1,
        attempt_id=None,
        worker_name=None,
        language=task.language or None,
        bundle_version=None,
        failure_message=None,
        resumption_message=None,
        pool=task.pool,
        pool_slots=task.pool_slots,
        task_limit=task_limit_key(run.dag_id, task.task_id) if task.max_active_instances is not None else None,
    )
