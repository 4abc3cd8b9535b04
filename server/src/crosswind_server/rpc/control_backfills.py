"""BackfillService."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from crosswind.control.v1 import backfills_pb2, backfills_pb2_grpc
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.messages import change, invalid, microseconds, read_page, required, timestamp
from crosswind_server.services.dependencies import Services, UnitOfWork
from crosswind_server.services.listing import backfill_listing
from crosswind_server.services.listing.backfill_listing import ListedBackfill
from crosswind_server.services.runs.backfills import BackfillPlan, CreateBackfill

_STATES = {
    value.number: value.name.removeprefix("BACKFILL_STATE_").lower()
    for value in backfills_pb2.BackfillState.DESCRIPTOR.values
    if value.number
}
_NUMBERS = {text: number for number, text in _STATES.items()}
_POLICIES = {
    backfills_pb2.REPROCESS_POLICY_NONE: "none",
    backfills_pb2.REPROCESS_POLICY_FAILED: "failed",
    backfills_pb2.REPROCESS_POLICY_ENDED: "ended",
}
_POLICY_NUMBERS = {text: number for number, text in _POLICIES.items()}
_MOST_ACTIVE = 1_000


class BackfillServicer(backfills_pb2_grpc.BackfillServiceServicer):
    """Backfills for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def CreateBackfill(
        self, request: backfills_pb2.CreateBackfillRequest, context: ServicerContext
    ) -> backfills_pb2.CreateBackfillResponse:
        who, backfills = caller(), self._services.heart.backfills
        command = _command(request, who.team, who.subject)
        if request.dry_run:
            plan = await self._services.store.read(lambda uow: backfills.plan(uow, command))
            return backfills_pb2.CreateBackfillResponse(
                backfill=_planned_message(command, plan), planned_runs=_planned_runs(plan)
            )

        def act(uow: UnitOfWork) -> backfills_pb2.CreateBackfillResponse:
            backfill_id, plan = backfills.create(uow, command)
            listed = backfill_listing.read_backfill(uow, who.team, backfill_id)
            return backfills_pb2.CreateBackfillResponse(
                backfill=backfill_message(listed, conf=True), planned_runs=_planned_runs(plan)
            )

        return await change(self._services, request, backfills_pb2.CreateBackfillResponse, act)

    async def ListBackfills(
        self, request: backfills_pb2.ListBackfillsRequest, context: ServicerContext
    ) -> backfills_pb2.ListBackfillsResponse:
        team = caller().team
        page = read_page(request, team)
        states = tuple(_wanted(request.states))
        before = str(page.after[0]) if page.after else None
        rows = await self._services.store.read(
            lambda uow: backfill_listing.list_backfills(
                uow, team, dag_id=request.dag_id, states=states, before_id=before, limit=page.limit
            )
        )
        shown, token = page.split(rows, lambda listed: [listed.row.id])
        return backfills_pb2.ListBackfillsResponse(
            backfills=[backfill_message(listed, conf=False) for listed in shown], next_page_token=token
        )

    async def GetBackfill(
        self, request: backfills_pb2.GetBackfillRequest, context: ServicerContext
    ) -> backfills_pb2.GetBackfillResponse:
        team, backfill_id = caller().team, required(request.backfill_id, "backfill_id")
        listed = await self._services.store.read(lambda uow: backfill_listing.read_backfill(uow, team, backfill_id))
        return backfills_pb2.GetBackfillResponse(backfill=backfill_message(listed, conf=True))

    async def CancelBackfill(
        self, request: backfills_pb2.CancelBackfillRequest, context: ServicerContext
    ) -> backfills_pb2.CancelBackfillResponse:
        team, backfill_id = caller().team, required(request.backfill_id, "backfill_id")

        def act(uow: UnitOfWork) -> backfills_pb2.CancelBackfillResponse:
            self._services.heart.backfills.cancel(uow, team=team, backfill_id=backfill_id)
            listed = backfill_listing.read_backfill(uow, team, backfill_id)
            return backfills_pb2.CancelBackfillResponse(backfill=backfill_message(listed, conf=True))

        return await change(self._services, request, backfills_pb2.CancelBackfillResponse, act)


def backfill_message(listed: ListedBackfill, *, conf: bool) -> backfills_pb2.Backfill:
    """A backfill as people see it; `conf` says whether its parameters are shown."""
    row = listed.row
    return backfills_pb2.Backfill(
        backfill_id=row.id,
        dag_id=row.dag_id,
        state=cast("backfills_pb2.BackfillState", _NUMBERS[row.state]),
        start_time=timestamp(row.start_time),
        end_time=timestamp(row.end_time),
        conf=Payload.FromString(row.conf_message) if conf and row.conf_message is not None else None,
        reverse=row.reverse,
        reprocess_policy=_POLICY_NUMBERS[row.reprocess],
        max_active_runs=row.max_active_runs,
        total_count=row.total_count,
        created_count=row.created_count,
        ended_count=row.created_count - listed.active,
        skipped_count=row.skipped_count,
        created_by=row.created_by,
        create_time=timestamp(row.created_time),
        finish_time=timestamp(row.finished_time),
    )


def _command(request: backfills_pb2.CreateBackfillRequest, team: str, subject: str) -> CreateBackfill:
    required(request.dag_id, "dag_id")
    for field in ("start_time", "end_time"):
        if not request.HasField(field):
            raise invalid(field, f"`{field}` is missing; give it.")
    start, end = microseconds(request.start_time, "start_time"), microseconds(request.end_time, "end_time")
    if end <= start:
        raise invalid("end_time", "`end_time` is not after `start_time`; the span is empty.")
    policy = _POLICIES.get(request.reprocess_policy or backfills_pb2.REPROCESS_POLICY_NONE)
    if policy is None:
        raise invalid("reprocess_policy", f"`reprocess_policy` {request.reprocess_policy} is none that is known.")
    active = request.max_active_runs if request.HasField("max_active_runs") else None
    if active is not None and not 1 <= active <= _MOST_ACTIVE:
        raise invalid("max_active_runs", f"`max_active_runs` lies between 1 and {_MOST_ACTIVE:,}.")
    return CreateBackfill(
        team=team,
        dag_id=request.dag_id,
        start=start,
        end=end,
        conf=request.conf.SerializeToString() if request.HasField("conf") else None,
        reverse=request.reverse,
        reprocess=policy,
        max_active_runs=active,
        created_by=subject,
    )


def _planned_message(command: CreateBackfill, plan: BackfillPlan) -> backfills_pb2.Backfill:
    return backfills_pb2.Backfill(
        dag_id=command.dag_id,
        start_time=timestamp(command.start),
        end_time=timestamp(command.end),
        conf=Payload.FromString(command.conf) if command.conf is not None else None,
        reverse=command.reverse,
        reprocess_policy=_POLICY_NUMBERS[command.reprocess],
        max_active_runs=plan.max_active_runs,
        total_count=plan.total,
        created_count=plan.total - plan.skipped,
        skipped_count=plan.skipped,
        created_by=command.created_by,
    )


def _planned_runs(plan: BackfillPlan) -> list[backfills_pb2.CreateBackfillResponse.PlannedRun]:
    return [
        backfills_pb2.CreateBackfillResponse.PlannedRun(
            logical_time=timestamp(planned.run.logical_time),
            data_interval_start_time=timestamp(planned.run.interval_start),
            data_interval_end_time=timestamp(planned.run.interval_end),
            existing_run_id=planned.existing_run_id,
        )
        for planned in plan.planned
    ]


def _wanted(numbers: Iterable[int]) -> Iterable[str]:
    for number in numbers:
        if number not in _STATES:
            raise invalid("states", f"`states` holds {number}, which is no BackfillState; leave it out for any.")
        yield _STATES[number]
