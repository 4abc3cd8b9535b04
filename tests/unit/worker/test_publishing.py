"""What a worker tells the server of its bundles when a registration comes in between; the answers are scripted."""

import asyncio
from typing import Any

from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime.publishing import Publisher
from tests.unit.worker.test_delivery import ScriptedCalls


class OneBundle:
    """Offerings of one version, which does not change."""

    def manifests(self) -> list[bundle_pb2.Manifest]:
        return [bundle_pb2.Manifest(bundle="b", bundle_version="v", api_version="2026-12-01")]

    def take_observed(self) -> dict[str, str]:
        return {}


async def test_a_version_is_told_again_when_a_registration_without_it_came_in_between():
    """The registration withdraws what it does not name, and its answer overtakes that of the publication."""
    offered: set[str] = set()
    publisher: Publisher

    def answer(name: str, request: Any) -> Any:
        result = service.OfferResult(bundle="b", bundle_version="v", known=True, current=True)
        if len(calls.calls) == 1:
            publisher.take_registration(service.RegisterWorkerResponse())
        else:
            offered.add(request.offer.bundle_version)
        return service.PublishBundleResponse(result=result)

    async def register() -> None:
        raise AssertionError("nothing was withdrawn")

    calls = ScriptedCalls(answer)
    publisher = Publisher(calls, OneBundle(), "instance", register_again=register)  # type: ignore[arg-type]  # scripted
    publisher.take_registration(service.RegisterWorkerResponse())
    running = asyncio.create_task(publisher.run())
    async with asyncio.timeout(10):
        await publisher.published.wait()
    running.cancel()
    assert offered == {"v"}
    assert len(calls.calls) == 2
