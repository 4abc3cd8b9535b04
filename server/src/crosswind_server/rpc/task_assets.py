"""TaskService: events of assets, recorded and read by tasks."""

from __future__ import annotations

from typing import Any

from crosswind.execution.v1 import task_service_pb2 as messages
from crosswind_server import manifests
from crosswind_server.rpc.authentication import attempt
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.landing_messages import read_emission, recorded_event
from crosswind_server.rpc.messages import invalid, microseconds, read_page
from crosswind_server.rpc.task_door import TaskDoor
from crosswind_server.services.dependencies import UnitOfWork
from crosswind_server.services.execution.attempt_access import AttemptScope
from crosswind_server.services.listing import asset_listing
from crosswind_server.services.runs import asset_events
from crosswind_server.services.runs.asset_events import Source


class AssetCalls(TaskDoor):
    """Events of assets."""

    async def ListAssetEvents(
        self, request: messages.ListAssetEventsRequest, context: ServicerContext
    ) -> messages.ListAssetEventsResponse:
        if not request.of_run and not request.HasField("asset"):
            raise invalid("asset", "`asset` is missing; give it, or ask for the events `of_run`.")
        name = manifests.check_reference(request.asset, "asset").name if request.HasField("asset") else None
        page = read_page(request, attempt().team)
        since = microseconds(request.after_time, "after_time") if request.HasField("after_time") else None

        def read(uow: UnitOfWork, scope: AttemptScope) -> tuple[Any, Any]:
            return asset_listing.list_events(
                uow,
                scope.team,
                name=name,
                of_run=scope.attempt.run_key if request.of_run else None,
                since=since,
                partition_key=request.partition_key if request.HasField("partition_key") else None,
                before_id=str(page.after[0]) if page.after else None,
                limit=page.limit,
            )

        rows, aliases = await self._read(read)
        shown, token = page.split(rows, lambda row: [row.id])
        return messages.ListAssetEventsResponse(
            events=[recorded_event(row, aliases.get(row.id, ())) for row in shown], next_page_token=token
        )

    async def EmitAssetEvent(
        self, request: messages.EmitAssetEventRequest, context: ServicerContext
    ) -> messages.EmitAssetEventResponse:
        if not request.HasField("event"):
            raise invalid("event", "`event` is missing; give it.")
        emission = read_emission(request.event, "event")

        def act(uow: UnitOfWork, scope: AttemptScope) -> messages.EmitAssetEventResponse:
            own = scope.attempt
            source = Source(
                run_key=own.run_key,
                task_id=own.task_id,
                map_index=own.map_index if own.map_index >= 0 else None,
            )
            asset_events.emit(uow, scope.team, [(emission, source)])
            return messages.EmitAssetEventResponse()

        return await self._change(request, messages.EmitAssetEventResponse, act)
