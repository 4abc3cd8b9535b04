"""PoolService."""

from __future__ import annotations

from crosswind.control.v1 import pools_pb2, pools_pb2_grpc
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.messages import change, read_page, required, timestamp
from crosswind_server.services.dependencies import Services, UnitOfWork
from crosswind_server.services.fleet import pools


class PoolServicer(pools_pb2_grpc.PoolServiceServicer):
    """Pools for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListPools(
        self, request: pools_pb2.ListPoolsRequest, context: ServicerContext
    ) -> pools_pb2.ListPoolsResponse:
        team = caller().team
        page = read_page(request, team)
        after = str(page.after[0]) if page.after else None
        rows = await self._services.store.read(
            lambda uow: pools.list_pools(uow, team, after_name=after, limit=page.limit)
        )
        shown, token = page.split(rows, lambda each: [each.row.name])
        return pools_pb2.ListPoolsResponse(pools=map(pool_message, shown), next_page_token=token)

    async def GetPool(self, request: pools_pb2.GetPoolRequest, context: ServicerContext) -> pools_pb2.GetPoolResponse:
        team, name = caller().team, required(request.name, "name")
        found = await self._services.store.read(lambda uow: pools.get_pool(uow, team, name))
        return pools_pb2.GetPoolResponse(pool=pool_message(found))

    async def SetPool(self, request: pools_pb2.SetPoolRequest, context: ServicerContext) -> pools_pb2.SetPoolResponse:
        team, name = caller().team, required(request.name, "name")

        def act(uow: UnitOfWork) -> pools_pb2.SetPoolResponse:
            pool, created = pools.set_pool(
                uow,
                team,
                name,
                slots=request.slots if request.HasField("slots") else None,
                description=request.description if request.HasField("description") else None,
            )
            return pools_pb2.SetPoolResponse(pool=pool_message(pool), created=created)

        return await change(self._services, request, pools_pb2.SetPoolResponse, act)

    async def DeletePool(
        self, request: pools_pb2.DeletePoolRequest, context: ServicerContext
    ) -> pools_pb2.DeletePoolResponse:
        team, name = caller().team, required(request.name, "name")

        def act(uow: UnitOfWork) -> pools_pb2.DeletePoolResponse:
            pools.delete_pool(uow, team, name)
            return pools_pb2.DeletePoolResponse()

        return await change(self._services, request, pools_pb2.DeletePoolResponse, act)


def pool_message(pool: pools.Pool) -> pools_pb2.Pool:
    """A pool as people see it."""
    row = pool.row
    return pools_pb2.Pool(
        name=row.name,
        slots=row.slots,
        description=row.description,
        used_slots=pool.used_slots,
        waiting_count=pool.waiting_count,
        create_time=timestamp(row.created_time),
        update_time=timestamp(row.updated_time),
    )
