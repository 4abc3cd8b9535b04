"""A worker that is nothing but its calls: it loads the server with any one of them, many at a time.

The tests have a synchronous one, `tests.e2e.support.protocol_worker`, whose messages it borrows.
"""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Self, TypeVar

import grpc.aio

from crosswind.execution.v1 import (
    lease_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)
from crosswind.manifest.v1 import bundle_pb2
from tests.bench.site import PATIENCE
from tests.e2e.support.control import metadata_of
from tests.e2e.support.protocol_worker import poll_request, succeeded

Item = TypeVar("Item")


class RawWorker:
    """Speaks `WorkerService` and `TaskService` over one connection. An asynchronous context manager."""

    def __init__(self, address: str, enrolment_token: str, *, name: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        self._calls = worker_service_pb2_grpc.WorkerServiceStub(self._channel)
        self._task_calls = task_service_pb2_grpc.TaskServiceStub(self._channel)
        self._polls = itertools.count(1)
        self._metadata = metadata_of(enrolment_token)
        self.name = name
        self.instance_id = str(uuid.uuid4())
        self.done = 0
        """Attempts that `work` has finished."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def register(self, *, slots: int, manifest: bundle_pb2.Manifest) -> None:
        """Register with one bundle."""
        offer = worker_service_pb2.BundleOffer(
            bundle=manifest.bundle, bundle_version=manifest.bundle_version, manifest=manifest
        )
        request = worker_service_pb2.RegisterWorkerRequest(
            name=self.name,
            instance_id=self.instance_id,
            slots=slots,
            sdk=bundle_pb2.Sdk(language="bench", version="1"),
            runtimes=["bench"],
            bundles=[offer],
        )
        answer = await self._call(self._calls.RegisterWorker, request)
        self._metadata = metadata_of(answer.worker_token)

    async def take(self, count: int) -> list[lease_pb2.AttemptRef]:
        """Poll until it has so many leases."""
        taken: dict[str, lease_pb2.AttemptRef] = {}
        while len(taken) < count:
            missing = count - len(taken)
            request = poll_request(self.instance_id, next(self._polls), held=taken, max_leases=missing)
            for lease in (await self._call(self._calls.PollWork, request)).leases:
                taken[lease.attempt.attempt_id] = lease.attempt
        return list(taken.values())

    async def work(self, *, at_once: int) -> None:
        """Start and finish whatever there is, so many attempts at the same time, until it is cancelled."""
        held: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                request = worker_service_pb2.PollWorkRequest(
                    instance_id=self.instance_id,
                    poll_number=next(self._polls),
                    held_attempt_ids=list(held),
                    max_leases=at_once,
                )
                for lease in (await self._call(self._calls.PollWork, request)).leases:
                    if lease.attempt.attempt_id not in held:
                        held.add(lease.attempt.attempt_id)
                        group.create_task(self._run(lease.attempt, held))

    async def _run(self, attempt: lease_pb2.AttemptRef, held: set[str]) -> None:
        await self.start(attempt)
        await self.finish(attempt)
        held.discard(attempt.attempt_id)
        self.done += 1

    async def start(self, attempt: lease_pb2.AttemptRef) -> None:
        """Start an attempt."""
        request = worker_service_pb2.StartAttemptRequest(attempt=attempt, instance_id=self.instance_id)
        await self._call(self._calls.StartAttempt, request)

    async def finish(self, attempt: lease_pb2.AttemptRef) -> None:
        """Finish an attempt as succeeded with a small value."""
        request = worker_service_pb2.FinishAttemptRequest(
            attempt=attempt, outcome_id=str(uuid.uuid4()), outcome=succeeded(b"1")
        )
        await self._call(self._calls.FinishAttempt, request)

    async def heartbeat(self, attempts: Sequence[lease_pb2.AttemptRef]) -> None:
        """Send a heartbeat. Raises `ValueError` where an attempt is not to go on."""
        request = worker_service_pb2.HeartbeatRequest(instance_id=self.instance_id, attempts=attempts)
        answer = await self._call(self._calls.Heartbeat, request)
        go_on = worker_service_pb2.HeartbeatResponse.VERDICT_CONTINUE
        if list(answer.verdicts) != [go_on] * len(attempts):
            raise ValueError(f"A heartbeat was answered {answer.verdicts}.")

    async def get_variable(self, attempt: lease_pb2.AttemptRef, key: str) -> None:
        """Read a variable as the task of an attempt would, through its worker."""
        lease: list[tuple[str, str | bytes]] = [
            ("crosswind-attempt", attempt.attempt_id),
            ("crosswind-lease-bin", attempt.lease),
        ]
        request = task_service_pb2.GetVariableRequest(key=key)
        await self._call(self._task_calls.GetVariable, request, lease)

    async def _call(self, rpc: Any, request: Any, more: Sequence[tuple[str, str | bytes]] = ()) -> Any:
        return await rpc(request, metadata=(*self._metadata, *more), timeout=PATIENCE)


async def do_all(items: Iterable[Item], action: Callable[[Item], Awaitable[None]], *, at_once: int) -> None:
    """Act on every item, `at_once` of them at the same time."""
    waiting = iter(items)

    async def go_on() -> None:
        for item in waiting:
            await action(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(go_on())
