"""ServerService."""

from __future__ import annotations

from crosswind.control.v1 import server_pb2, server_pb2_grpc
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.enums import state_counts
from crosswind_server.rpc.messages import timestamp
from crosswind_server.services import server_info
from crosswind_server.services.dependencies import Services

_KINDS = {
    "sqlite": server_pb2.DATABASE_KIND_SQLITE,
    "postgresql": server_pb2.DATABASE_KIND_POSTGRESQL,
}


class ServerServicer(server_pb2_grpc.ServerServiceServicer):
    """What the server says of itself."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetServerInfo(
        self, request: server_pb2.GetServerInfoRequest, context: ServicerContext
    ) -> server_pb2.GetServerInfoResponse:
        services, who = self._services, caller()
        info = await services.store.read(lambda uow: server_info.read_info(uow, who.team))
        kind = server_pb2.DATABASE_KIND_SQLITE_MEMORY if services.in_memory else _KINDS[services.store.kind]
        return server_pb2.GetServerInfoResponse(
            version=services.version,
            api_versions=[str(version) for version in reversed(services.served.versions)],
            database_kind=kind,
            database_connections=services.database_connections,
            start_time=timestamp(services.started_us),
            database_time=timestamp(info.database_us),
            schema_revision=services.store.revision or "",
            server_id=services.server_id,
            team=who.team,
            subject=who.subject,
            counts=server_pb2.ServerCounts(
                dags=info.counts.dags,
                active_runs=info.counts.active_runs,
                active_tasks=state_counts(info.counts.active_tasks),
                live_attempts=info.counts.live_attempts,
                live_workers=info.counts.live_workers,
                slots=info.counts.slots,
            ),
        )
