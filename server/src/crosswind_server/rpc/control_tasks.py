"""TaskInstanceService."""

from __future__ import annotations

from typing import Any

from crosswind.control.v1 import task_instances_pb2, task_instances_pb2_grpc
from crosswind.execution.v1.failure_pb2 import Failure
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.dag_facts import DagFacts, facts_of
from crosswind_server.rpc.enums import attempt_state, state_counts, task_state, waiting_reason, wanted
from crosswind_server.rpc.messages import change, invalid, read_page, required, timestamp
from crosswind_server.rpc.worker_messages import span
from crosswind_server.services.dependencies import Services, UnitOfWork
from crosswind_server.services.interventions import clearing, ending
from crosswind_server.services.interventions.choosing import ClearTasks, TaskSelection
from crosswind_server.services.interventions.ending import TaskName
from crosswind_server.services.listing import task_listing
from crosswind_server.services.listing.task_listing import InstancePage, ListedInstance


class TaskInstanceServicer(task_instances_pb2_grpc.TaskInstanceServiceServicer):
    """Task instances and their attempts for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListTaskInstances(
        self, request: task_instances_pb2.ListTaskInstancesRequest, context: ServicerContext
    ) -> task_instances_pb2.ListTaskInstancesResponse:
        team, plans = caller().team, self._services.heart.plans
        dag_id, run_id = required(request.dag_id, "dag_id"), required(request.run_id, "run_id")
        page = read_page(request, team)
        states = wanted("TaskState", request.states, "states")
        after = (int(page.after[0] or 0), int(page.after[1] or 0)) if page.after else None
        found = await self._services.store.read(
            lambda uow: task_listing.list_instances(
                uow,
                plans,
                team,
                dag_id=dag_id,
                run_id=run_id,
                states=states,
                task_id=request.task_id,
                exclude_mapped=request.exclude_mapped,
                after=after,
                limit=page.limit,
            )
        )
        shown, token = page.split(found.instances, lambda each: [each.row.task_index, each.row.map_index])
        facts = facts_of(found.dag_version_id, found.dag_message)
        return task_instances_pb2.ListTaskInstancesResponse(
            task_instances=[instance_message(each, facts, whole_failure=False) for each in shown], next_page_token=token
        )

    async def GetTaskInstance(
        self, request: task_instances_pb2.GetTaskInstanceRequest, context: ServicerContext
    ) -> task_instances_pb2.GetTaskInstanceResponse:
        team, plans = caller().team, self._services.heart.plans
        names = instance_names(request)
        found: InstancePage = await self._services.store.read(
            lambda uow: task_listing.get_instance(uow, plans, team, **names)
        )
        return task_instances_pb2.GetTaskInstanceResponse(task_instance=_show(found))

    async def ListAttempts(
        self, request: task_instances_pb2.ListAttemptsRequest, context: ServicerContext
    ) -> task_instances_pb2.ListAttemptsResponse:
        team, names = caller().team, instance_names(request)
        page = read_page(request, team)
        before = str(page.after[0]) if page.after else None
        rows = await self._services.store.read(
            lambda uow: task_listing.list_attempts(uow, team, **names, before_id=before, limit=page.limit)
        )
        shown, token = page.split(rows, lambda row: [row.id])
        return task_instances_pb2.ListAttemptsResponse(attempts=map(attempt_message, shown), next_page_token=token)

    async def ClearTaskInstances(
        self, request: task_instances_pb2.ClearTaskInstancesRequest, context: ServicerContext
    ) -> task_instances_pb2.ClearTaskInstancesResponse:
        who, plans = caller(), self._services.heart.plans
        if not 1 <= len(request.selections) <= _SELECTIONS_AT_MOST:
            raise invalid("selections", f"`selections` names 1 to {_SELECTIONS_AT_MOST:,} tasks.")
        command = ClearTasks(
            team=who.team,
            dag_id=required(request.dag_id, "dag_id"),
            run_id=required(request.run_id, "run_id"),
            selections=tuple(map(_selection, request.selections)),
            include_upstream=request.include_upstream,
            include_downstream=request.include_downstream,
            only_failed=request.only_failed,
            dry_run=request.dry_run,
            subject=who.subject,
        )

        def act(uow: UnitOfWork) -> task_instances_pb2.ClearTaskInstancesResponse:
            cleared = clearing.clear(uow, plans, command)
            return task_instances_pb2.ClearTaskInstancesResponse(cleared_count=cleared.count, task_ids=cleared.task_ids)

        return await change(self._services, request, task_instances_pb2.ClearTaskInstancesResponse, act)

    async def SetTaskInstanceState(
        self, request: task_instances_pb2.SetTaskInstanceStateRequest, context: ServicerContext
    ) -> task_instances_pb2.SetTaskInstanceStateResponse:
        who, plans, names = caller(), self._services.heart.plans, instance_names(request)
        if request.state not in _MARKS:
            raise invalid("state", "`state` says how the task ended: give SUCCEEDED, FAILED or SKIPPED.")
        state = _MARKS[request.state]

        def act(uow: UnitOfWork) -> task_instances_pb2.SetTaskInstanceStateResponse:
            ending.mark(uow, plans, _task_name(who.team, names), state, subject=who.subject)
            return task_instances_pb2.SetTaskInstanceStateResponse(
                task_instance=_show(task_listing.get_instance(uow, plans, who.team, **names))
            )

        return await change(self._services, request, task_instances_pb2.SetTaskInstanceStateResponse, act)

    async def CancelTaskInstance(
        self, request: task_instances_pb2.CancelTaskInstanceRequest, context: ServicerContext
    ) -> task_instances_pb2.CancelTaskInstanceResponse:
        who, plans, names = caller(), self._services.heart.plans, instance_names(request)

        def act(uow: UnitOfWork) -> task_instances_pb2.CancelTaskInstanceResponse:
            ending.cancel(uow, plans, _task_name(who.team, names), subject=who.subject)
            return task_instances_pb2.CancelTaskInstanceResponse(
                task_instance=_show(task_listing.get_instance(uow, plans, who.team, **names))
            )

        return await change(self._services, request, task_instances_pb2.CancelTaskInstanceResponse, act)


_SELECTIONS_AT_MOST = 1_000
_MARKS = {task_state(state.value): state for state in ending.MARKS}


def _selection(selection: task_instances_pb2.ClearTaskInstancesRequest.TaskSelection) -> TaskSelection:
    index = selection.map_index if selection.HasField("map_index") else None
    return TaskSelection(required(selection.task_id, "selections.task_id"), index)


def _task_name(team: str, names: dict[str, Any]) -> TaskName:
    map_index = names["map_index"]
    return TaskName(**{**names, "team": team, "map_index": None if map_index < 0 else map_index})


def _show(found: InstancePage) -> task_instances_pb2.TaskInstance:
    facts = facts_of(found.dag_version_id, found.dag_message)
    return instance_message(found.instances[0], facts, whole_failure=True)


def instance_names(request: Any) -> dict[str, Any]:
    """The names of the task instance in a request. Raises `Refused`: INVALID_ARGUMENT."""
    map_index = request.map_index if request.HasField("map_index") else -1
    if map_index < -1:
        raise invalid("map_index", "`map_index` counts from 0; leave it out for a task that is not mapped.")
    return {
        "dag_id": required(request.dag_id, "dag_id"),
        "run_id": required(request.run_id, "run_id"),
        "task_id": required(request.task_id, "task_id"),
        "map_index": map_index,
    }


def instance_message(
    listed: ListedInstance, facts: DagFacts, *, whole_failure: bool
) -> task_instances_pb2.TaskInstance:
    """A task instance as people see it."""
    row, task = listed.row, listed.task
    told = facts.tasks.get(row.task_id)
    reference = task.reference if task is not None else None
    summary = task_listing.is_summary(listed)
    return task_instances_pb2.TaskInstance(
        dag_id=listed.dag_id,
        run_id=listed.run_id,
        task_id=row.task_id,
        map_index=row.map_index if row.map_index >= 0 else None,
        try_number=row.try_number,
        max_tries=row.max_tries,
        state=task_state(row.state),
        waiting_reason=waiting_reason(listed.waiting.reason) if listed.waiting is not None else None,
        waiting_detail=listed.waiting.detail if listed.waiting is not None else "",
        queue=row.queue,
        pool=told.pool if told is not None else "",
        pool_slots=told.pool_slots if told is not None else 0,
        priority=row.priority,
        queued_time=timestamp(row.queued_time),
        start_time=timestamp(listed.start_us),
        end_time=timestamp(row.end_time),
        not_before_time=timestamp(row.not_before),
        worker=row.worker_name or "",
        language=row.language or (told.language if told is not None else ""),
        bundle=reference.bundle if reference is not None else listed.own_bundle,
        bundle_version=row.bundle_version or "",
        failure=failure_message(row, whole=whole_failure),
        mapped_counts=state_counts(listed.mapped_counts) if summary else (),
        mapped_total=row.instances_total if summary else None,
        entry_point=task.entry_point if task is not None else "",
        group_id=told.group_id if told is not None else "",
        upstream_task_ids=listed.upstream_task_ids,
        mapped=task is not None and task.mapping is not None,
        map_label=row.map_index_name or "",
        lost_count=row.losses,
        description=told.description if told is not None else "",
    )


def failure_message(row: Any, *, whole: bool) -> Failure | None:
    """Why a task instance or a workload failed; not whole without frames and causes. None: it did not."""
    if row.failure_message is None:
        return None
    failure = Failure.FromString(row.failure_message)
    if not whole:
        del failure.frames[:]
        failure.ClearField("cause")
    return failure


def attempt_message(row: Any) -> task_instances_pb2.Attempt:
    """An attempt as people see it."""
    return task_instances_pb2.Attempt(
        attempt_id=row.id,
        try_number=row.try_number,
        state=attempt_state(row.state),
        worker=row.worker_name or "",
        worker_instance_id=row.instance_id,
        language=row.language or "",
        bundle=row.bundle,
        bundle_version=row.bundle_version,
        assign_time=timestamp(row.assigned_time),
        start_time=timestamp(row.start_time),
        end_time=timestamp(row.end_time),
        failure=Failure.FromString(row.failure_message) if row.failure_message is not None else None,
        log_record_count=row.log_next_sequence,
        log_dropped_count=row.log_dropped,
        delivery_count=row.deliveries,
        cpu_time=span(row.cpu_time_us) if row.cpu_time_us is not None else None,
        max_memory_bytes=row.max_memory_bytes or 0,
    )
