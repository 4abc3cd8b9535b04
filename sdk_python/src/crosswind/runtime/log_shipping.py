"""Shipping logs while tasks run: one call for all attempts, again from where the server is. [BYTES-1]

What a chunk holds belongs to `attempt_log.py`. A short task's log rides along with its outcome, see `attempt.py`.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from crosswind.client.errors import CallError
from crosswind.execution.v1 import lease_pb2
from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.runtime.attempt_log import AttemptLog
from crosswind.runtime.server_calls import APPEND_LOGS, ServerCalls
from crosswind.runtime.server_connection import seconds

# Of the message limit, for what stands around the chunks.
_ENVELOPE_BYTES: Final = 64 * 1024
_log = logging.getLogger("crosswind.worker")


@dataclass
class _Shipment:
    ref: lease_pb2.AttemptRef
    log: AttemptLog
    leaving: bool = False
    """The attempt has ended: the log is forgotten when the server has all of it."""


class LogShipper:
    """Sends what the logs of running and just ended attempts hold."""

    def __init__(self, calls: ServerCalls) -> None:
        self._calls = calls
        self._shipments: dict[str, _Shipment] = {}
        self._wanted = asyncio.Event()

    def add(self, ref: lease_pb2.AttemptRef, log: AttemptLog) -> None:
        """Begins to ship a log."""
        self._shipments[ref.attempt_id] = _Shipment(ref, log)
        self._wanted.set()

    def discharge(self, attempt_id: str) -> None:
        """Ships what is left of a log that has ended, then forgets it."""
        shipment = self._shipments.get(attempt_id)
        if shipment is not None:
            shipment.leaving = True
            if not shipment.log.pending:
                del self._shipments[attempt_id]

    def drop(self, attempt_id: str) -> None:
        """Forgets a log: the server does not take it any more."""
        shipment = self._shipments.pop(attempt_id, None)
        if shipment is not None:
            shipment.log.close()

    async def run(self) -> None:
        """Ships until cancelled."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(seconds(self._calls.connection.timing.log_flush_interval))
            if not self._shipments:
                self._wanted.clear()
                continue
            await self.flush()

    async def flush_within(self, limit: float) -> None:
        """As `flush`, but gives up after `limit` seconds."""
        try:
            async with asyncio.timeout(limit):
                await self.flush()
        except TimeoutError:
            _log.warning("The logs of %d attempts could not be shipped to their end.", len(self._shipments))

    async def flush(self) -> None:
        """Ships what is there now.

        Raises:
            WorkerRefused: the server will not have this worker any more.
        """
        while True:
            request, more = self._collect()
            if not request.logs:
                return
            try:
                answer = await self._calls.repeat(APPEND_LOGS, request)
            except CallError as error:
                _log.error("The server refuses logs of %d attempts, they are dropped: %s", len(request.logs), error)
                for logs in request.logs:
                    self.drop(logs.attempt.attempt_id)
                continue
            progress = self._settle(request, answer)
            if not more or not progress:
                return

    def _collect(self) -> tuple[service.AppendLogsRequest, bool]:
        """The next request, and whether it left something out."""
        limits = self._calls.connection.limits
        room = limits.max_message_bytes - _ENVELOPE_BYTES
        request = service.AppendLogsRequest()
        for shipment in self._shipments.values():
            chunks = shipment.log.chunks()
            if not chunks:
                continue
            logs = request.logs.add(attempt=shipment.ref)
            for chunk in chunks:
                size = len(chunk.data) + 64
                if size > room:
                    if not logs.chunks:
                        del request.logs[-1]
                    return request, True
                room -= size
                logs.chunks.append(chunk)
        return request, False

    def _settle(self, request: service.AppendLogsRequest, answer: service.AppendLogsResponse) -> bool:
        progress = False
        for logs, result in zip(request.logs, answer.results, strict=False):
            attempt_id = logs.attempt.attempt_id
            shipment = self._shipments.get(attempt_id)
            if shipment is None:
                continue
            if result.closed:
                self.drop(attempt_id)
                progress = True
                continue
            before = shipment.log.sealed_count
            shipment.log.acknowledge(result.next_sequence)
            progress = progress or shipment.log.sealed_count < before
            if shipment.leaving and not shipment.log.pending:
                del self._shipments[attempt_id]
        return progress
