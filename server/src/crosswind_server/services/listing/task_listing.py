"""Task instances and attempts for people. Why one waits is said by `waiting`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.plan import DagPlan, TaskPlan
from crosswind_server.domain.states import TaskState
from crosswind_server.services.catalog.dag_listing import read_messages
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.execution.logs import LogPiece
from crosswind_server.services.listing import log_reading
from crosswind_server.services.listing.log_reading import LogWanted
from crosswind_server.services.listing.run_listing import find_run
from crosswind_server.services.listing.waiting import Waiting, explain_waiting
from crosswind_server.store import task_listing as rows
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedInstance:
    """A task instance: its row, its task in the plan (None where the plan has none), and why it waits."""

    row: Any
    dag_id: str
    run_id: str
    task: TaskPlan | None
    upstream_task_ids: tuple[str, ...]
    own_bundle: str
    waiting: Waiting | None
    mapped_counts: Mapping[str, int]
    start_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancePage:
    """Task instances of a run, and the message of the DAG version that describes them."""

    instances: Sequence[ListedInstance]
    dag_version_id: str
    dag_message: bytes


def list_instances(
    uow: UnitOfWork,
    plans: PlanCache,
    team: str,
    *,
    dag_id: str,
    run_id: str,
    states: Collection[str],
    task_id: str,
    exclude_mapped: bool,
    after: tuple[int, int] | None,
    limit: int,
) -> InstancePage:
    """List the task instances of a run in manifest order. Raises `Refused`: RUN_NOT_FOUND."""
    run = find_run(uow, team, dag_id, run_id)
    found = rows.list_instances(
        uow, run.id, states=states, task_id=task_id, exclude_mapped=exclude_mapped, after=after, limit=limit
    )
    return _complete(uow, plans, run, found)


def get_instance(
    uow: UnitOfWork, plans: PlanCache, team: str, *, dag_id: str, run_id: str, task_id: str, map_index: int
) -> InstancePage:
    """One task instance. Raises `Refused`: RUN_NOT_FOUND or TASK_NOT_FOUND."""
    run = find_run(uow, team, dag_id, run_id)
    return _complete(uow, plans, run, [_find(uow, run, task_id, map_index)])


def list_attempts(
    uow: UnitOfWork,
    team: str,
    *,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: int,
    before_id: str | None,
    limit: int,
) -> Sequence[Any]:
    """List the attempts of a task instance, the newest first. Raises `Refused`: RUN_NOT_FOUND or TASK_NOT_FOUND."""
    run = find_run(uow, team, dag_id, run_id)
    instance = _find(uow, run, task_id, map_index)
    return rows.list_attempts(uow, instance.id, before_id=before_id, limit=limit)


def read_log(
    uow: UnitOfWork, team: str, *, dag_id: str, run_id: str, task_id: str, map_index: int, wanted: LogWanted
) -> LogPiece:
    """Read a part of an attempt's log. Raises `Refused`: RUN_NOT_FOUND, TASK_NOT_FOUND or LOG_NOT_FOUND."""
    run = find_run(uow, team, dag_id, run_id)
    instance = _find(uow, run, task_id, map_index)
    metadata = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id}
    of = f"The task '{task_id}' of run '{run_id}'"
    return log_reading.read_piece(uow, instance.id, wanted, of=of, metadata=metadata)


def _find(uow: UnitOfWork, run: Any, task_id: str, map_index: int) -> Any:
    row = rows.get_instance(uow, run.id, task_id, map_index)
    if row is None:
        which = f"[{map_index}]" if map_index >= 0 else ""
        raise Refused(
            Reason.TASK_NOT_FOUND,
            f"The run '{run.run_id}' has no task instance '{task_id}{which}'; list them with"
            f" `crosswind tasks list {run.dag_id}/{run.run_id}`.",
            metadata={"dag_id": run.dag_id, "run_id": run.run_id, "task_id": task_id},
        )
    return row


def _complete(uow: UnitOfWork, plans: PlanCache, run: Any, found: Sequence[Any]) -> InstancePage:
    plan = plans.of_run(uow, run)
    summaries = [row.id for row in found if row.map_index < 0 and row.instances_total > 0]
    mapped = rows.sum_up_mapped(uow, summaries)
    waiting = explain_waiting(uow, plan, run, found)
    messages = read_messages(uow, plans.versions, run.team, [run.dag_version_id])
    return InstancePage(
        instances=[
            ListedInstance(
                row=row,
                dag_id=run.dag_id,
                run_id=run.run_id,
                task=_task(plan, row),
                upstream_task_ids=_upstream(plan, row),
                own_bundle=run.bundle or "",
                waiting=waiting.get(row.id),
                mapped_counts=mapped[row.id].counts if row.id in mapped else {},
                start_us=mapped[row.id].start_time if row.id in mapped else row.start_time,
            )
            for row in found
        ],
        dag_version_id=run.dag_version_id,
        dag_message=messages.get(run.dag_version_id, b""),
    )


def _task(plan: DagPlan, row: Any) -> TaskPlan | None:
    return plan.by_id.get(row.task_id)


def _upstream(plan: DagPlan, row: Any) -> tuple[str, ...]:
    task = _task(plan, row)
    return tuple(plan.tasks[index].task_id for index in sorted(task.upstream)) if task is not None else ()


def is_summary(listed: ListedInstance) -> bool:
    """Whether a row is the summary of a mapped task that was expanded."""
    row = listed.row
    mapped = listed.task is not None and listed.task.mapping is not None
    expanded = row.instances_total > 0 or row.state == TaskState.EXPANDED or row.end_time is not None
    return bool(row.map_index < 0 and mapped and expanded)
