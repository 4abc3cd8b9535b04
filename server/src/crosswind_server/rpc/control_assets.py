"""AssetService."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crosswind.control.v1 import assets_pb2, assets_pb2_grpc
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server import manifests
from crosswind_server.domain.assets import AssetRef
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.messages import change, microseconds, read_page, required, timestamp
from crosswind_server.services.dependencies import Services, UnitOfWork
from crosswind_server.services.listing import asset_listing
from crosswind_server.services.listing.asset_listing import ListedAsset
from crosswind_server.services.runs import asset_events
from crosswind_server.services.runs.asset_events import Emission, Source


class AssetServicer(assets_pb2_grpc.AssetServiceServicer):
    """Assets for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListAssets(
        self, request: assets_pb2.ListAssetsRequest, context: ServicerContext
    ) -> assets_pb2.ListAssetsResponse:
        team = caller().team
        page = read_page(request, team)
        after = str(page.after[0]) if page.after else None
        found = await self._services.store.read(
            lambda uow: asset_listing.list_assets(
                uow, team, prefix=request.name_prefix, after_name=after, limit=page.limit
            )
        )
        shown, token = page.split(found, lambda each: [each.name])
        return assets_pb2.ListAssetsResponse(assets=map(asset_message, shown), next_page_token=token)

    async def ListAssetEvents(
        self, request: assets_pb2.ListAssetEventsRequest, context: ServicerContext
    ) -> assets_pb2.ListAssetEventsResponse:
        team = caller().team
        page = read_page(request, team)
        since = microseconds(request.min_event_time, "min_event_time") if request.HasField("min_event_time") else None

        def read(uow: UnitOfWork) -> tuple[Sequence[Any], Mapping[str, Sequence[tuple[str, str]]]]:
            if request.asset_name:
                asset_listing.check_exists(uow, team, request.asset_name)
            rows, _ = asset_listing.list_events(
                uow,
                team,
                name=request.asset_name or None,
                since=since,
                partition_key=request.partition_key if request.HasField("partition_key") else None,
                before_id=str(page.after[0]) if page.after else None,
                limit=page.limit,
            )
            return rows, asset_listing.runs_of(uow, [row.id for row in rows])

        rows, runs = await self._services.store.read(read)
        shown, token = page.split(rows, lambda row: [row.id])
        return assets_pb2.ListAssetEventsResponse(
            asset_events=[event_message(row, runs.get(row.id, ())) for row in shown], next_page_token=token
        )

    async def CreateAssetEvent(
        self, request: assets_pb2.CreateAssetEventRequest, context: ServicerContext
    ) -> assets_pb2.CreateAssetEventResponse:
        who, asset_runs = caller(), self._services.heart.asset_runs
        name = required(request.asset_name, "asset_name")
        emission = Emission(
            asset=AssetRef(name),
            partition_key=manifests.check_partition(request.partition_key, "partition_key"),
            extra=manifests.check_extra(request.extra, "extra") if request.HasField("extra") else None,
        )

        def act(uow: UnitOfWork) -> assets_pb2.CreateAssetEventResponse:
            asset_listing.check_exists(uow, who.team, name)
            (event_id,) = asset_events.record(uow, who.team, [(emission, Source(subject=who.subject))])
            asset_runs.follow(uow, who.team, event_id, emission.partition_key)
            row = asset_listing.find_event(uow, event_id)
            runs = asset_listing.runs_of(uow, [event_id])
            return assets_pb2.CreateAssetEventResponse(asset_event=event_message(row, runs.get(event_id, ())))

        return await change(self._services, request, assets_pb2.CreateAssetEventResponse, act)


def asset_message(asset: ListedAsset) -> assets_pb2.Asset:
    """An asset as people see it."""
    return assets_pb2.Asset(
        name=asset.name,
        uri=asset.uri,
        alias=asset.alias,
        scheduled_dag_ids=asset.scheduled,
        producers=[assets_pb2.AssetTask(dag_id=dag_id, task_id=task_id) for dag_id, task_id in asset.producers],
        consumers=[assets_pb2.AssetTask(dag_id=dag_id, task_id=task_id) for dag_id, task_id in asset.consumers],
        last_event_time=timestamp(asset.last_event_us),
        event_count=asset.event_count,
    )


def event_message(row: Any, runs: Sequence[tuple[str, str]]) -> assets_pb2.AssetEvent:
    """An event as people see it."""
    message = assets_pb2.AssetEvent(
        event_id=row.id,
        asset_name=row.asset_name,
        event_time=timestamp(row.event_time),
        partition_key=row.partition_key,
        extra=Payload.FromString(row.extra_message) if row.extra_message is not None else None,
        triggered_runs=[assets_pb2.AssetEvent.AssetEventRun(dag_id=dag_id, run_id=run_id) for dag_id, run_id in runs],
    )
    if row.task_id is not None:
        message.task.dag_id, message.task.run_id, message.task.task_id = row.dag_id, row.run_id, row.task_id
        if row.map_index is not None:
            message.task.map_index = row.map_index
    else:
        message.subject = row.subject or ""
    return message
