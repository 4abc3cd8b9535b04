"""Calls of the worker that are repeated until the server has answered them.

Which error means what for one method belongs to its caller; here is what holds for all of them.
"""

from __future__ import annotations

import math
from typing import Final

from crosswind.client.errors import CallError
from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.runtime.negotiation import concerns_own_version
from crosswind.runtime.registration import Registration, WorkerRefused
from crosswind.runtime.server_connection import (
    RequestT,
    ResponseT,
    Rpc,
    ServerConnection,
    is_repeatable,
    needs_registration,
)

PUBLISH = Rpc[service.PublishBundleRequest, service.PublishBundleResponse](
    "PublishBundle", service.PublishBundleResponse
)
POLL = Rpc[service.PollWorkRequest, service.PollWorkResponse]("PollWork", service.PollWorkResponse)
HEARTBEAT = Rpc[service.HeartbeatRequest, service.HeartbeatResponse]("Heartbeat", service.HeartbeatResponse)
START = Rpc[service.StartAttemptRequest, service.StartAttemptResponse]("StartAttempt", service.StartAttemptResponse)
FINISH = Rpc[service.FinishAttemptRequest, service.FinishAttemptResponse](
    "FinishAttempt", service.FinishAttemptResponse
)
APPEND_LOGS = Rpc[service.AppendLogsRequest, service.AppendLogsResponse]("AppendLogs", service.AppendLogsResponse)
DEREGISTER = Rpc[service.DeregisterWorkerRequest, service.DeregisterWorkerResponse](
    "DeregisterWorker", service.DeregisterWorkerResponse
)

CALL_SECONDS: Final = 15.0


class ServerCalls:
    """Repeats calls.

    Args:
        connection: carries them.
        registration: is renewed when the server asks for it.
    """

    def __init__(self, connection: ServerConnection, registration: Registration) -> None:
        self.connection = connection
        self._registration = registration

    async def repeat(
        self, rpc: Rpc[RequestT, ResponseT], request: RequestT, *, timeout: float = CALL_SECONDS
    ) -> ResponseT:
        """Makes a call as often as it takes to get an answer.

        Args:
            rpc: the method.
            request: the message, the same every time.
            timeout: of one try, in seconds.

        Raises:
            CallError: the server refused it for good.
            WorkerRefused: the server will not have this worker any more.
        """
        failures = 0
        while True:
            token = self.connection.token
            try:
                return await self.connection.send(rpc, request, timeout=timeout)
            except CallError as error:
                failures += 1
                await self.recover(error, token=token, failures=failures)

    async def recover(self, error: CallError, *, token: str, failures: int, most: float = math.inf) -> None:
        """Does what an error asks for before the call may be repeated.

        Args:
            error: how the call failed.
            token: that it carried.
            failures: how often it failed in a row, from 1.
            most: the longest wait before the server is asked again, in seconds.

        Raises:
            CallError: `error`, where repeating cannot help.
            WorkerRefused: the server will not have this worker any more.
        """
        if needs_registration(error):
            if failures > 1:
                await self.connection.wait_for_retry(failures, most=most)
            await self._registration.renew(token)
        elif error.reason == "WORKER_SUPERSEDED":
            raise WorkerRefused(
                f"A newer worker of the same name took this one's place at {self.connection.address}; its tasks are "
                f"given to others. Give one of the two another --name."
            ) from None
        elif concerns_own_version(error):
            if failures > 1:
                await self.connection.wait_for_retry(failures, most=most)
            await self._registration.negotiate_again()
        elif is_repeatable(error):
            await self.connection.wait_for_retry(failures, most=most)
        else:
            raise error
