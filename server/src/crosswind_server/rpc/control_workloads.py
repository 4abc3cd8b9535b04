"""WorkloadService: triggers, callbacks and timetables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crosswind.control.v1 import workloads_pb2, workloads_pb2_grpc
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.control_tasks import attempt_message, failure_message
from crosswind_server.rpc.enums import task_state, waiting_reason, wanted
from crosswind_server.rpc.messages import invalid, read_page, required, timestamp
from crosswind_server.services.dependencies import Services
from crosswind_server.services.listing import workload_listing
from crosswind_server.services.listing.workload_listing import ListedWorkload, WorkloadsWanted

_W = workloads_pb2
_KINDS: Mapping[str, Any] = {
    kind: _W.WorkloadKind.Value(f"WORKLOAD_KIND_{kind.upper()}") for kind in workload_listing.KINDS
}
_NAMES = {number: kind for kind, number in _KINDS.items()}


class WorkloadServicer(workloads_pb2_grpc.WorkloadServiceServicer):
    """What workers run beside tasks, for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListWorkloads(
        self, request: _W.ListWorkloadsRequest, context: ServicerContext
    ) -> _W.ListWorkloadsResponse:
        team = caller().team
        if request.run_id and not request.dag_id:
            raise invalid("dag_id", "`run_id` names a run of a DAG; give `dag_id` too.")
        if request.task_id and not request.run_id:
            raise invalid("run_id", "`task_id` names a task of a run; give `run_id` too.")
        filtered = WorkloadsWanted(
            dag_id=request.dag_id,
            run_id=request.run_id,
            task_id=request.task_id,
            kinds=_kinds(request.kinds),
            states=wanted("TaskState", request.states, "states"),
        )
        page = read_page(request, team)
        after = page.after[0] if page.after else None
        found = await self._services.store.read(
            lambda uow: workload_listing.list_workloads(uow, team, filtered, after=after, limit=page.limit)
        )
        shown, token = page.split(found, lambda each: [workload_listing.page_key(each, filtered)])
        return _W.ListWorkloadsResponse(
            workloads=[workload_message(each, whole_failure=False) for each in shown], next_page_token=token
        )

    async def GetWorkload(self, request: _W.GetWorkloadRequest, context: ServicerContext) -> _W.GetWorkloadResponse:
        team, workload_id = caller().team, required(request.workload_id, "workload_id")
        found = await self._services.store.read(lambda uow: workload_listing.get_workload(uow, team, workload_id))
        return _W.GetWorkloadResponse(workload=workload_message(found, whole_failure=True))

    async def ListWorkloadAttempts(
        self, request: _W.ListWorkloadAttemptsRequest, context: ServicerContext
    ) -> _W.ListWorkloadAttemptsResponse:
        team, workload_id = caller().team, required(request.workload_id, "workload_id")
        page = read_page(request, team)
        before = str(page.after[0]) if page.after else None
        rows = await self._services.store.read(
            lambda uow: workload_listing.list_attempts(uow, team, workload_id, before_id=before, limit=page.limit)
        )
        shown, token = page.split(rows, lambda row: [row.id])
        return _W.ListWorkloadAttemptsResponse(attempts=map(attempt_message, shown), next_page_token=token)


def _kinds(numbers: Sequence[int]) -> tuple[str, ...]:
    for number in numbers:
        if number not in _NAMES:
            raise invalid("kinds", f"`kinds` holds {number}, which is no value of WorkloadKind; leave it out for any.")
    return tuple(_NAMES[number] for number in numbers)


def workload_message(listed: ListedWorkload, *, whole_failure: bool) -> _W.Workload:
    """A workload as people see it."""
    row, waiting = listed.row, listed.waiting
    return _W.Workload(
        workload_id=row.id,
        kind=_KINDS[row.workload],
        dag_id=row.dag_id,
        run_id=listed.run_id,
        task_id=row.task_id,
        map_index=row.workload_map_index if row.workload_map_index >= 0 else None,
        callback_event=f"EVENT_{(listed.event or 'unspecified').upper()}",
        entry_point=row.workload_entry_point,
        state=task_state(row.state),
        waiting_reason=waiting_reason(waiting.reason) if waiting is not None else None,
        waiting_detail=waiting.detail if waiting is not None else "",
        try_number=row.try_number,
        max_tries=listed.max_tries,
        lost_count=row.losses,
        queue=row.queue,
        queued_time=timestamp(row.queued_time),
        start_time=timestamp(row.start_time),
        end_time=timestamp(row.end_time),
        not_before_time=timestamp(row.not_before),
        worker=row.worker_name or "",
        language=row.language or "",
        bundle=listed.bundle,
        bundle_version=row.bundle_version or "",
        failure=failure_message(row, whole=whole_failure),
    )
