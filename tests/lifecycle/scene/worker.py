"""A worker that a transcript plays: it registers, polls, starts, finishes and sends heartbeats as any worker does."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration

from crosswind.execution.v1 import lease_pb2, worker_service_pb2
from crosswind.execution.v1.outcome_pb2 import Outcome
from crosswind.manifest.v1 import bundle_pb2
from tests.e2e.support.protocol_worker import poll_request
from tests.lifecycle.scene.server import CallRefused
from tests.lifecycle.scene.text import Unreadable

if TYPE_CHECKING:
    from tests.lifecycle.scene.scene import Scene

_WORKLOADS = {
    lease_pb2.WORKLOAD_TRIGGER: "trigger:",
    lease_pb2.WORKLOAD_CALLBACK: "callback:",
    lease_pb2.WORKLOAD_TIMETABLE: "timetable:",
}
_CANCEL = worker_service_pb2.HeartbeatResponse.VERDICT_CANCEL
_LOST = worker_service_pb2.HeartbeatResponse.VERDICT_LOST


@dataclass
class Held:
    """An attempt that a worker holds."""

    lease: lease_pb2.Lease
    started: lease_pb2.TaskContext | None = None
    cancelled: bool = False

    @property
    def map_index(self) -> int | None:
        """Of a mapped task."""
        key = self.lease.task_instance
        return key.map_index if key.HasField("map_index") else None


@dataclass
class PlayedWorker:
    """One instance of a worker.

    Args:
        silent: it sends no heartbeats.
        gone: it has left, or was replaced.
        held: the attempts that it holds, by id.
    """

    scene: Scene
    name: str
    slots: int
    queues: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    roles: Sequence[int] = ()
    instance_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    token: str = ""
    silent: bool = False
    gone: bool = False
    held: dict[str, Held] = field(default_factory=dict)
    digest: str = ""
    _polls: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def register(self, offers: Sequence[bundle_pb2.Manifest], previous: PlayedWorker | None = None) -> None:
        """Announce itself with bundles that the server knows."""
        request = worker_service_pb2.RegisterWorkerRequest(
            name=self.name,
            instance_id=self.instance_id,
            sdk=bundle_pb2.Sdk(language="python", language_version="3.11", version="0.1.0"),
            runtimes=["python"],
            queues=self.queues,
            slots=self.slots,
            labels=dict(self.labels),
            roles=self.roles,  # type: ignore[arg-type]  # numbers of its enum
            host="host",
            process_id=os.getpid(),
            bundles=[
                worker_service_pb2.BundleOffer(bundle=each.bundle, bundle_version=each.bundle_version)
                for each in offers
            ],
        )
        if previous is not None:
            request.previous_instance_id, request.previous_token = previous.instance_id, previous.token
        answer = self.scene.server.call(
            "WorkerService.RegisterWorker", request, token=self.scene.server.enrolment_token
        )
        self.token = answer.worker_token

    def publish(self, manifest: bundle_pb2.Manifest) -> worker_service_pb2.OfferResult:
        """Offer a version of a bundle, whose source it saw change."""
        offer = worker_service_pb2.BundleOffer(
            bundle=manifest.bundle, bundle_version=manifest.bundle_version, manifest=manifest
        )
        request = worker_service_pb2.PublishBundleRequest(
            instance_id=self.instance_id, offer=offer, observed_change=True
        )
        result: worker_service_pb2.OfferResult = self._call("PublishBundle", request).result
        return result

    def poll(self, *, lost: bool = False, most: int | None = None) -> worker_service_pb2.PollWorkResponse:
        """Ask for work, without waiting.

        Args:
            lost: the answer does not arrive.
            most: leases at most.
        """
        fields = {"known_directives": self.digest, "wait": Duration()}
        request = poll_request(self.instance_id, next(self._polls), held=self.held, **fields)
        if most is not None:
            request.max_leases = most
        answer: worker_service_pb2.PollWorkResponse = self._call("PollWork", request)
        if not lost:
            self.digest = answer.directives_digest
            for lease in answer.leases:
                self.held[lease.attempt.attempt_id] = Held(lease)
            for directive in answer.directives:
                if directive.HasField("cancel") and directive.cancel.attempt_id in self.held:
                    self.held[directive.cancel.attempt_id].cancelled = True
                if directive.HasField("lost"):
                    self.held.pop(directive.lost.attempt_id, None)
        return answer

    def start(self, held: Held) -> None:
        """Start an attempt."""
        request = worker_service_pb2.StartAttemptRequest(attempt=held.lease.attempt, instance_id=self.instance_id)
        try:
            held.started = self._call("StartAttempt", request).context
        except CallRefused as refused:
            if refused.reason == "STALE_LEASE":
                self.held.pop(held.lease.attempt.attempt_id, None)
            raise

    def finish(
        self, held: Held, outcome: Outcome, *, outcome_id: str | None = None, keep: bool = False
    ) -> worker_service_pb2.FinishAttemptResponse:
        """Finish an attempt; it is not held any more, whatever the answer is, unless it is to be kept."""
        request = worker_service_pb2.FinishAttemptRequest(
            attempt=held.lease.attempt, outcome_id=outcome_id or str(uuid.uuid4()), outcome=outcome
        )
        try:
            answer: worker_service_pb2.FinishAttemptResponse = self._call("FinishAttempt", request)
        except CallRefused as refused:
            if refused.reason in ("STALE_LEASE", "OUTCOME_CONFLICT") and not keep:
                self.held.pop(held.lease.attempt.attempt_id, None)
            raise
        if not keep:
            self.held.pop(held.lease.attempt.attempt_id, None)
        return answer

    def beat(self) -> list[str]:
        """Send a heartbeat; answers what the server said of its attempts that it had not said before."""
        refs = [held.lease.attempt for held in self.held.values()]
        request = worker_service_pb2.HeartbeatRequest(instance_id=self.instance_id, attempts=refs)
        try:
            answer = self._call("Heartbeat", request)
        except CallRefused as refused:
            self.gone = True
            return [f"{self.name} error {refused.code}/{refused.reason}"]
        if answer.worker_token:
            self.token = answer.worker_token
        said = []
        for attempt, verdict in zip(refs, answer.verdicts, strict=True):
            held = self.held[attempt.attempt_id]
            if verdict == _LOST:
                said.append(f"{self.name} lost {self.label(held)}")
                del self.held[attempt.attempt_id]
            elif verdict == _CANCEL and not held.cancelled:
                said.append(f"{self.name} cancel {self.label(held)}")
                held.cancelled = True
        return said

    def deregister(self) -> None:
        """Leave."""
        self._call("DeregisterWorker", worker_service_pb2.DeregisterWorkerRequest(instance_id=self.instance_id))
        self.gone = True

    # Names

    def label(self, held: Held) -> str:
        """The name of what an attempt runs."""
        key = held.lease.task_instance
        name = self.scene.label(key.dag_id, key.run_id, key.task_id, held.map_index)
        return _WORKLOADS.get(held.lease.workload, "") + name

    def find(self, name: str) -> Held | None:
        """The attempt with a name, in full or short."""
        found = []
        for held in self.held.values():
            key = held.lease.task_instance
            short = key.task_id if held.map_index is None else f"{key.task_id}[{held.map_index}]"
            kind = _WORKLOADS.get(held.lease.workload, "")
            if name in (kind + short, f"{kind}{key.run_id}/{short}", f"{kind}{key.dag_id}/{key.run_id}/{short}"):
                found.append(held)
        if len(found) > 1:
            raise Unreadable(f"{name} could be several attempts of {self.name}; name the run too.")
        return found[0] if found else None

    def _call(self, method: str, request: Any) -> Any:
        return self.scene.server.call(f"WorkerService.{method}", request, token=self.token)
