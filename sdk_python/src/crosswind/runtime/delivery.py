"""Delivering outcomes until the server has taken or refused them. [FIN-1]

Keeping them on disk belongs to `outcomes.py`, making them to `attempt.py`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from crosswind.client.errors import INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, CallError
from crosswind.execution.v1 import failure_pb2, lease_pb2, outcome_pb2
from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.runtime.outcomes import OutcomeStore
from crosswind.runtime.server_calls import FINISH, START, ServerCalls

# Outcomes of an earlier process that are sent at the same time.
_AT_ONCE: Final = 16
_log = logging.getLogger("crosswind.worker")


class Delivery:
    """Sends outcomes.

    Args:
        calls: to the server.
        store: keeps them meanwhile.
        instance_id: of this worker.
    """

    def __init__(self, calls: ServerCalls, store: OutcomeStore, instance_id: str) -> None:
        self._calls = calls
        self._store = store
        self._instance_id = instance_id
        self._pending: dict[str, service.FinishAttemptRequest] = {}
        self._restored = asyncio.Semaphore(_AT_ONCE)
        for request in store.load():
            self._pending[request.attempt.attempt_id] = request

    @property
    def pending(self) -> dict[str, lease_pb2.AttemptRef]:
        """Attempts whose outcomes wait to be acknowledged."""
        return {attempt_id: request.attempt for attempt_id, request in self._pending.items()}

    def drop(self, attempt_id: str) -> None:
        """Forgets an outcome: its lease is not valid any more."""
        if self._pending.pop(attempt_id, None) is not None:
            self._store.forget(attempt_id)

    async def deliver_restored(self) -> None:
        """Delivers what an earlier process kept."""
        requests = list(self._pending.values())
        if requests:
            _log.info("Sending %d outcomes that were kept from before.", len(requests))
        await asyncio.gather(*(self._deliver_restored(request) for request in requests))

    async def _deliver_restored(self, request: service.FinishAttemptRequest) -> None:
        async with self._restored:
            await self._send(request)

    async def deliver(self, request: service.FinishAttemptRequest) -> service.FinishAttemptResponse | None:
        """Keeps an outcome and sends it until it is acknowledged. None: it was refused and dropped.

        Raises:
            WorkerRefused: the server will not have this worker any more; the outcome stays on disk.
        """
        self._pending[request.attempt.attempt_id] = request
        self._store.keep(request)
        return await self._send(request)

    async def _send(self, request: service.FinishAttemptRequest) -> service.FinishAttemptResponse | None:
        attempt_id = request.attempt.attempt_id
        changed = False
        while attempt_id in self._pending:
            try:
                answer = await self._calls.repeat(FINISH, request)
            except CallError as error:
                if error.reason == "ATTEMPT_NOT_STARTED" and await self._start(request.attempt):
                    continue
                failure = None if changed else _as_failure(error)
                if failure is None:
                    _log.warning("The outcome of attempt %s is dropped, the server refuses it: %s", attempt_id, error)
                    self.drop(attempt_id)
                    return None
                changed = True
                # Under the same outcome id: the refused message left no trace.
                request.outcome.Clear()
                request.outcome.failed.failure.CopyFrom(failure)
                del request.log_chunks[:]
                self._store.keep(request)
                continue
            self.drop(attempt_id)
            return answer
        return None

    async def _start(self, ref: lease_pb2.AttemptRef) -> bool:
        try:
            await self._calls.repeat(START, service.StartAttemptRequest(attempt=ref, instance_id=self._instance_id))
        except CallError:
            return False
        return True


def value_too_large(size: int, limit: int) -> outcome_pb2.Outcome:
    """The outcome of a task whose result does not fit into a message."""
    return outcome_pb2.Outcome(
        failed=outcome_pb2.Failed(
            failure=failure_pb2.Failure(
                type="crosswind.ValueTooLarge",
                message=f"The task's result and what it wrote take {size} bytes; the server takes {limit} in one "
                f"message. Store the data elsewhere and return where it is.",
                retryable=False,
            )
        )
    )


def _as_failure(error: CallError) -> failure_pb2.Failure | None:
    """What to finish the attempt with instead, where the server refuses the outcome's content."""
    if error.reason in ("VALUE_TOO_LARGE", "MESSAGE_TOO_LARGE") or error.code == RESOURCE_EXHAUSTED:
        kind = "crosswind.ValueTooLarge"
    elif error.code == UNIMPLEMENTED:
        kind = "crosswind.OutcomeNotSupported"
    elif error.code == INVALID_ARGUMENT:
        kind = "crosswind.OutcomeRefused"
    else:
        return None
    return failure_pb2.Failure(type=kind, message=error.message or str(error), retryable=False)
