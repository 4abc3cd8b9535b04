"""The health service: SERVING while the database answers and the server does not stop. No token is needed for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from grpc_health.v1 import health, health_pb2

from crosswind_server.services.dependencies import Services

_LOOK_EVERY_S = 0.5


class Health:
    """Keeps the health service true.

    Args:
        services: of this server.
        names: the services to report beside the overall state, which has the empty name.
    """

    def __init__(self, services: Services, names: Sequence[str]) -> None:
        self._services = services
        self._names = ("", *names)
        self._serving: bool | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.servicer = health.aio.HealthServicer()

    async def start(self) -> None:
        """Report the state, and go on doing so."""
        await self._report(self._available())
        self._watcher = asyncio.create_task(self._watch(), name="crosswind-health")

    async def stop(self) -> None:
        """Report NOT_SERVING from now on."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        await self._report(False)

    def _available(self) -> bool:
        return self._services.store.available_since is not None and not self._services.stopping.is_set()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await self._report(self._available())

    async def _report(self, serving: bool) -> None:
        if serving is self._serving:
            return
        self._serving = serving
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self._names:
            await self.servicer.set(name, status)
