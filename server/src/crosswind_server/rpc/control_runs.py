"""DagRunService."""

from __future__ import annotations

from crosswind.control.v1 import dag_runs_pb2, dag_runs_pb2_grpc, states_pb2
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server.domain.states import RunState
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.enums import run_state, run_type, state_counts, waiting_reason, wanted
from crosswind_server.rpc.messages import (
    change,
    invalid,
    microseconds,
    read_or_wait,
    read_page,
    required,
    timestamp,
    wait_seconds,
)
from crosswind_server.services.catalog import dag_listing
from crosswind_server.services.dependencies import Services, UnitOfWork
from crosswind_server.services.interventions import clearing, ending
from crosswind_server.services.interventions.choosing import ClearTasks
from crosswind_server.services.listing import run_listing
from crosswind_server.services.listing.run_listing import ListedRun, RunFilter
from crosswind_server.services.runs.runs import TriggerRun

_MARKS = {
    states_pb2.RUN_STATE_SUCCEEDED: RunState.SUCCEEDED,
    states_pb2.RUN_STATE_FAILED: RunState.FAILED,
}


class DagRunServicer(dag_runs_pb2_grpc.DagRunServiceServicer):
    """Runs for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def TriggerDagRun(
        self, request: dag_runs_pb2.TriggerDagRunRequest, context: ServicerContext
    ) -> dag_runs_pb2.TriggerDagRunResponse:
        who, runs = caller(), self._services.heart.runs
        run_listing.check_note(request.note)
        logical = microseconds(request.logical_time, "logical_time") if request.HasField("logical_time") else None
        command = TriggerRun(
            team=who.team,
            dag_id=required(request.dag_id, "dag_id"),
            run_id=checked_run_id(request.run_id),
            conf=request.conf.SerializeToString() if request.HasField("conf") else None,
            triggered_by=who.subject,
            note=request.note,
            logical_time=logical,
        )

        def act(uow: UnitOfWork) -> dag_runs_pb2.TriggerDagRunResponse:
            dag_listing.check_not_paused(uow, who.team, command.dag_id)
            run = runs.trigger(uow, command)
            listed = run_listing.get_run(uow, who.team, run.dag_id, run.run_id)
            return dag_runs_pb2.TriggerDagRunResponse(dag_run=run_message(listed, conf=True))

        return await change(self._services, request, dag_runs_pb2.TriggerDagRunResponse, act)

    async def ListDagRuns(
        self, request: dag_runs_pb2.ListDagRunsRequest, context: ServicerContext
    ) -> dag_runs_pb2.ListDagRunsResponse:
        team = caller().team
        page = read_page(request, team)
        bounds = {
            name: microseconds(getattr(request, name), name) if request.HasField(name) else None
            for name in ("min_queued_time", "max_queued_time")
        }
        chosen = RunFilter(
            dag_id=request.dag_id,
            run_id=request.run_id,
            states=wanted("RunState", request.states, "states"),
            types=wanted("RunType", request.types, "types"),
            min_queued_us=bounds["min_queued_time"],
            max_queued_us=bounds["max_queued_time"],
            backfill_id=request.backfill_id,
        )
        before = str(page.after[0]) if page.after else None
        rows = await self._services.store.read(
            lambda uow: run_listing.list_runs(uow, team, chosen, before_id=before, limit=page.limit)
        )
        shown, token = page.split(rows, lambda row: [row.key])
        return dag_runs_pb2.ListDagRunsResponse(
            dag_runs=[run_message(row, conf=False) for row in shown], next_page_token=token
        )

    async def GetDagRun(
        self, request: dag_runs_pb2.GetDagRunRequest, context: ServicerContext
    ) -> dag_runs_pb2.GetDagRunResponse:
        team, dag_id, run_id = caller().team, required(request.dag_id, "dag_id"), required(request.run_id, "run_id")
        waits = request.HasField("known_revision") and request.HasField("wait")
        run = await read_or_wait(
            self._services,
            lambda found: [run_listing.topic(found.key)],
            lambda uow: run_listing.get_run(uow, team, dag_id, run_id),
            done=lambda found: found.revision != request.known_revision,
            wait=wait_seconds(request.wait) if waits else 0.0,
        )
        return dag_runs_pb2.GetDagRunResponse(dag_run=run_message(run, conf=True))

    async def CancelDagRun(
        self, request: dag_runs_pb2.CancelDagRunRequest, context: ServicerContext
    ) -> dag_runs_pb2.CancelDagRunResponse:
        who, runs = caller(), self._services.heart.runs
        dag_id, run_id = required(request.dag_id, "dag_id"), required(request.run_id, "run_id")

        def act(uow: UnitOfWork) -> dag_runs_pb2.CancelDagRunResponse:
            runs.cancel(uow, team=who.team, dag_id=dag_id, run_id=run_id, reason=f"Cancelled by {who.subject}.")
            listed = run_listing.get_run(uow, who.team, dag_id, run_id)
            return dag_runs_pb2.CancelDagRunResponse(dag_run=run_message(listed, conf=True))

        return await change(self._services, request, dag_runs_pb2.CancelDagRunResponse, act)

    async def ClearDagRun(
        self, request: dag_runs_pb2.ClearDagRunRequest, context: ServicerContext
    ) -> dag_runs_pb2.ClearDagRunResponse:
        who, plans = caller(), self._services.heart.plans
        command = ClearTasks(
            team=who.team,
            dag_id=required(request.dag_id, "dag_id"),
            run_id=required(request.run_id, "run_id"),
            only_failed=request.only_failed,
            use_current_version=request.use_current_version,
            dry_run=request.dry_run,
            subject=who.subject,
        )

        def act(uow: UnitOfWork) -> dag_runs_pb2.ClearDagRunResponse:
            cleared = clearing.clear(uow, plans, command)
            listed = run_listing.get_run(uow, who.team, command.dag_id, command.run_id)
            return dag_runs_pb2.ClearDagRunResponse(dag_run=run_message(listed, conf=True), cleared_count=cleared.count)

        return await change(self._services, request, dag_runs_pb2.ClearDagRunResponse, act)

    async def SetDagRunState(
        self, request: dag_runs_pb2.SetDagRunStateRequest, context: ServicerContext
    ) -> dag_runs_pb2.SetDagRunStateResponse:
        who, plans = caller(), self._services.heart.plans
        dag_id, run_id = required(request.dag_id, "dag_id"), required(request.run_id, "run_id")
        if request.state not in _MARKS:
            raise invalid("state", "`state` says how the run ended: give SUCCEEDED or FAILED.")
        state = _MARKS[request.state]

        def act(uow: UnitOfWork) -> dag_runs_pb2.SetDagRunStateResponse:
            ending.mark_run(uow, plans, team=who.team, dag_id=dag_id, run_id=run_id, state=state, subject=who.subject)
            listed = run_listing.get_run(uow, who.team, dag_id, run_id)
            return dag_runs_pb2.SetDagRunStateResponse(dag_run=run_message(listed, conf=True))

        return await change(self._services, request, dag_runs_pb2.SetDagRunStateResponse, act)

    async def UpdateDagRun(
        self, request: dag_runs_pb2.UpdateDagRunRequest, context: ServicerContext
    ) -> dag_runs_pb2.UpdateDagRunResponse:
        team, dag_id, run_id = caller().team, required(request.dag_id, "dag_id"), required(request.run_id, "run_id")
        note = request.note if request.HasField("note") else None

        def act(uow: UnitOfWork) -> dag_runs_pb2.UpdateDagRunResponse:
            listed = run_listing.set_note(uow, team, dag_id, run_id, note=note)
            return dag_runs_pb2.UpdateDagRunResponse(dag_run=run_message(listed, conf=True))

        return await change(self._services, request, dag_runs_pb2.UpdateDagRunResponse, act)


_RUN_ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:+~")


def checked_run_id(run_id: str) -> str | None:
    """A run id that a caller chose, None for none. Raises `Refused`: INVALID_ARGUMENT."""
    if not run_id:
        return None
    if len(run_id) > 250 or not _RUN_ID_CHARACTERS.issuperset(run_id):
        raise invalid("run_id", "A run id has 1 to 250 of the characters A-Z a-z 0-9 _ - . : + ~; choose another.")
    return run_id


def run_message(run: ListedRun, *, conf: bool) -> dag_runs_pb2.DagRun:
    """A run as people see it; `conf` says whether its parameters are shown."""
    return dag_runs_pb2.DagRun(
        dag_id=run.dag_id,
        run_id=run.run_id,
        type=run_type(run.run_type),
        state=run_state(run.state),
        dag_version_id=run.dag_version_id,
        conf=Payload.FromString(run.conf_message) if conf and run.conf_message is not None else None,
        logical_time=timestamp(run.logical_us),
        data_interval_start_time=timestamp(run.interval_start_us),
        data_interval_end_time=timestamp(run.interval_end_us),
        queued_time=timestamp(run.queued_us),
        start_time=timestamp(run.start_us),
        end_time=timestamp(run.end_us),
        note=run.note,
        triggered_by=run.triggered_by,
        task_counts=state_counts(run.task_counts),
        revision=run.revision,
        bundle=run.bundle,
        bundle_version=run.bundle_version,
        backfill_id=run.backfill_id,
        partition_key=run.partition_key,
        deadline_time=timestamp(run.deadline_us),
        deadline_missed=run.deadline_missed,
        waiting_reason=waiting_reason(run.waiting.reason) if run.waiting else None,
        waiting_detail=run.waiting.detail if run.waiting else "",
    )
