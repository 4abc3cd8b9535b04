"""XComService."""

from __future__ import annotations

from typing import Any

from crosswind.control.v1 import xcoms_pb2, xcoms_pb2_grpc
from crosswind_server import manifests
from crosswind_server.domain.arguments import RETURN_VALUE, StoredValue
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.messages import invalid, read_page, required, timestamp
from crosswind_server.services.dependencies import Services, UnitOfWork
from crosswind_server.services.execution import xcom_reads
from crosswind_server.services.execution.xcom_reads import Found, XComName
from crosswind_server.services.listing import run_listing


class XComServicer(xcoms_pb2_grpc.XComServiceServicer):
    """XComs for people, to be read only."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListXComs(
        self, request: xcoms_pb2.ListXComsRequest, context: ServicerContext
    ) -> xcoms_pb2.ListXComsResponse:
        team = caller().team
        dag_id, run_id = required(request.dag_id, "dag_id"), required(request.run_id, "run_id")
        if request.HasField("map_index") and not request.task_id:
            raise invalid("map_index", "`map_index` chooses an instance of one task; give `task_id` too.")
        page = read_page(request, team)
        after = None
        if page.after:
            task_id, map_index, key = page.after
            after = (str(task_id), int(map_index or 0), str(key))

        def read(uow: UnitOfWork) -> list[xcoms_pb2.XCom]:
            run = run_listing.find_run(uow, team, dag_id, run_id)
            rows = xcom_reads.list_xcoms(
                uow,
                run.id,
                task_id=request.task_id or None,
                map_index=request.map_index if request.HasField("map_index") else None,
                key=request.key or None,
                after=after,
                limit=page.limit,
            )
            return [xcom_message(dag_id, run_id, row) for row in rows]

        messages = await self._services.store.read(read)
        shown, token = page.split(
            messages, lambda each: [each.task_id, each.map_index if each.HasField("map_index") else -1, each.key]
        )
        return xcoms_pb2.ListXComsResponse(xcoms=shown, next_page_token=token)

    async def GetXCom(self, request: xcoms_pb2.GetXComRequest, context: ServicerContext) -> xcoms_pb2.GetXComResponse:
        team, plans = caller().team, self._services.heart.plans
        if request.first_item < 0 or request.max_items < 0:
            raise invalid("first_item", "`first_item` and `max_items` are 0 or more.")
        name = XComName(
            dag_id=required(request.dag_id, "dag_id"),
            run_id=required(request.run_id, "run_id"),
            task_id=required(request.task_id, "task_id"),
            # People name the instance of a mapped task; its summary has no value of its own.
            map_index=request.map_index if request.HasField("map_index") else -1,
            key=request.key or RETURN_VALUE,
        )

        def read(uow: UnitOfWork) -> tuple[Found, StoredValue, int | None]:
            found = xcom_reads.find(uow, plans, team, name)
            value, next_item = xcom_reads.read_piece(uow, found, first=request.first_item, limit=request.max_items)
            return found, value, next_item

        found, value, next_item = await self._services.store.read(read)
        return xcoms_pb2.GetXComResponse(
            xcom=xcom_message(name.dag_id, name.run_id, found.row),
            value=manifests.payload_of(value),
            next_item=next_item,
        )


def xcom_message(dag_id: str, run_id: str, found: Any) -> xcoms_pb2.XCom:
    """An XCom without its value, as people see it; `found` is its row."""
    return xcoms_pb2.XCom(
        dag_id=dag_id,
        run_id=run_id,
        task_id=found.task_id,
        map_index=found.map_index if found.map_index >= 0 else None,
        key=found.key,
        encoding=found.encoding,
        size_bytes=found.size_bytes,
        item_count=found.item_count,
        write_time=timestamp(found.write_time),
    )
