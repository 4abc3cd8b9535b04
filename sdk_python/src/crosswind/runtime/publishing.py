"""Telling the server which versions of bundles this worker offers, with their manifests.

What is offered belongs to `offerings.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from crosswind.client.errors import CallError
from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime.negotiation import spoken_by
from crosswind.runtime.offerings import Offerings
from crosswind.runtime.server_calls import PUBLISH, ServerCalls

_ENVELOPE_BYTES: Final = 64 * 1024
_log = logging.getLogger("crosswind.worker")


class Publisher:
    """Keeps the server's knowledge of the offers up to date.

    Args:
        calls: to the server.
        offerings: what is offered.
        instance_id: of this worker.
        register_again: registers with the present offers and no others.
    """

    def __init__(
        self,
        calls: ServerCalls,
        offerings: Offerings,
        instance_id: str,
        *,
        register_again: Callable[[], Awaitable[None]],
    ) -> None:
        self._calls = calls
        self._offerings = offerings
        self._instance_id = instance_id
        self._register_again = register_again
        self._known: set[tuple[str, str]] = set()  # that the server has been told since the last registration
        self._registrations = 0
        self._agreement = calls.connection.agreement
        self._refused: set[tuple[str, str]] = set()
        self._observed: dict[str, str] = {}  # changes of which the server has not been told
        self._told: set[tuple[str, str]] = set()
        self._wanted = asyncio.Event()
        self.published = asyncio.Event()
        """Set once everything that was there has been told."""

    def take_registration(self, answer: service.RegisterWorkerResponse) -> None:
        """Takes note of what a registration told the server: it knows these versions, and no others."""
        self._known = {(offer.bundle, offer.bundle_version) for offer in answer.offers if offer.known}
        if self._agreement != self._calls.connection.agreement:
            # What this server refuses, or takes, may be something else than before.
            self._agreement = self._calls.connection.agreement
            self._refused.clear()
        self._registrations += 1
        self._wanted.set()

    def want(self) -> None:
        """Asks for another look at the offers."""
        self._wanted.set()

    async def run(self) -> None:
        """Publishes until cancelled.

        Raises:
            WorkerRefused: the server will not have this worker any more.
        """
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._publish()
            self._tell()
            if not self._wanted.is_set():
                self.published.set()

    def _tell(self) -> None:
        """Says in the log what the server will send work for, when that has changed."""
        if self._known != self._told:
            self._told = set(self._known)
            offers = ", ".join(f"{bundle} {version[:8]}" for bundle, version in sorted(self._known))
            _log.info("On offer: %s.", offers or "nothing")

    async def _publish(self) -> None:
        manifests = {(found.bundle, found.bundle_version): found for found in self._offerings.manifests()}
        self._observed |= self._offerings.take_observed()
        withdrawn = {key for key in self._known if key not in manifests}
        for key, manifest in manifests.items():
            if self._observed.get(key[0]) == key[1] or (key not in self._known and key not in self._refused):
                gone = {other for other in withdrawn if other[0] == key[0]}
                await self._offer(manifest, gone)
                withdrawn -= gone
        for bundle, version in withdrawn:
            # A withdrawal rides on an offer; any version of the same bundle will do, known as it is.
            carrier = next((found for found in manifests.values() if found.bundle == bundle), None)
            if carrier is not None:
                await self._send(_bare(carrier), {(bundle, version)})
            else:
                await self._register_again()
                return

    async def _offer(self, manifest: bundle_pb2.Manifest, withdrawn: set[tuple[str, str]]) -> None:
        key = (manifest.bundle, manifest.bundle_version)
        limit = self._calls.connection.limits.max_message_bytes - _ENVELOPE_BYTES
        observed = self._observed.get(manifest.bundle) == manifest.bundle_version
        parts = [_bare(manifest)] if key in self._known else list(split_manifest(self._as_agreed(manifest), limit))
        result: service.OfferResult | None = None
        registrations = self._registrations
        for part in parts:
            result = await self._send(part, withdrawn, observed=observed)
            if result is None:
                break
            withdrawn = set()
        if observed and self._observed.get(manifest.bundle) == manifest.bundle_version:
            del self._observed[manifest.bundle]
        if result is None:
            self._refused.add(key)
            return
        if self._registrations != registrations:
            # A registration withdraws what it does not name, and which of the two came last nobody can tell: once more.
            return
        self._known.add(key)
        self._refused.discard(key)
        for refused in result.refused:
            _log.error("Bundle %s: the server refuses the DAG %s: %s", manifest.bundle, refused.dag_id, refused.message)
        if observed and result.current:
            _log.info("Bundle %s: new runs begin with version %s.", manifest.bundle, manifest.bundle_version[:8])
        elif not result.current:
            _log.warning(
                "Bundle %s: version %s is on offer, but the server knew it before and keeps another one current, with "
                "which new runs begin.",
                manifest.bundle,
                manifest.bundle_version[:8],
            )

    def _as_agreed(self, manifest: bundle_pb2.Manifest) -> bundle_pb2.Manifest:
        """A manifest under the API version in which this server takes it. [VER-1]"""
        version = self._calls.connection.agreement.version_of(spoken_by(manifest))
        if version == manifest.api_version:
            return manifest
        offered = bundle_pb2.Manifest()
        offered.CopyFrom(manifest)
        offered.api_version = version
        return offered

    async def _send(
        self, offer: service.BundleOffer, withdrawn: set[tuple[str, str]], *, observed: bool = False
    ) -> service.OfferResult | None:
        request = service.PublishBundleRequest(
            instance_id=self._instance_id,
            offer=offer,
            observed_change=observed,
            withdrawn=[service.BundleOffer(bundle=name, bundle_version=version) for name, version in sorted(withdrawn)],
        )
        try:
            answer = await self._calls.repeat(PUBLISH, request)
        except CallError as error:
            _log.error("The bundle %s could not be published: %s", offer.bundle, error)
            return None
        self._known -= withdrawn
        return answer.result


def split_manifest(manifest: bundle_pb2.Manifest, limit: int) -> Iterator[service.BundleOffer]:
    """The offer of a manifest, in as many parts as its size takes.

    Args:
        manifest: to be offered.
        limit: of one part, in bytes. A single DAG that is larger makes a part of its own, which the server refuses.
    """
    bare = bundle_pb2.Manifest()
    bare.CopyFrom(manifest)
    del bare.dags[:]
    part, size = bare, bare.ByteSize()
    parts = []
    for dag in manifest.dags:
        added = dag.ByteSize() + 16
        if part.dags and size + added > limit:
            parts.append(part)
            part = bundle_pb2.Manifest(
                bundle=manifest.bundle, bundle_version=manifest.bundle_version, api_version=manifest.api_version
            )
            part.sdk.CopyFrom(manifest.sdk)
            size = part.ByteSize()
        part.dags.append(dag)
        size += added
    parts.append(part)
    for number, content in enumerate(parts, 1):
        offer = _bare(manifest)
        offer.manifest.CopyFrom(content)
        offer.more = number < len(parts)
        yield offer


def _bare(manifest: bundle_pb2.Manifest) -> service.BundleOffer:
    return service.BundleOffer(bundle=manifest.bundle, bundle_version=manifest.bundle_version)
