"""A worker made of bare calls: what a test says exactly when it wants, without a process behind it."""

import itertools
import uuid
from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import duration_pb2

from crosswind.execution.v1 import (
    failure_pb2,
    lease_pb2,
    outcome_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)
from crosswind.manifest.v1 import bundle_pb2, dag_pb2, task_pb2
from crosswind.value.v1 import value_pb2
from tests.e2e.support.control import API_VERSION, metadata_of, open_channel, reason_of
from tests.e2e.support.processes import PATIENCE


class Refused(Exception):
    """A call was refused; `reason` is its `ErrorReason`."""

    def __init__(self, error: grpc.RpcError) -> None:
        super().__init__(f"{error.code()}: {error.details()}")
        self.code: grpc.StatusCode = error.code()
        self.reason = reason_of(error)


def manifest_of(bundle: str, version: str, *dags: dag_pb2.Dag) -> bundle_pb2.Manifest:
    """A manifest with these DAGs."""
    return bundle_pb2.Manifest(
        bundle=bundle,
        bundle_version=version,
        api_version=API_VERSION,
        sdk=bundle_pb2.Sdk(language="test", version="1"),
        dags=[
            bundle_pb2.SerializedDag(dag_id=dag.dag_id, dag=dag.SerializeToString(deterministic=True)) for dag in dags
        ],
    )


def independent_tasks(dag_id: str, count: int) -> dag_pb2.Dag:
    """A DAG of tasks `t0`, `t1` ... without edges."""
    tasks = [task_pb2.Task(task_id=f"t{n}", entry_point="t", language="test") for n in range(count)]
    return dag_pb2.Dag(dag_id=dag_id, tasks=tasks)


def poll_request(
    instance_id: str, number: int, *, held: Iterable[str] = (), **fields: Any
) -> worker_service_pb2.PollWorkRequest:
    """What a worker asks for work with; `number` grows with every poll."""
    return worker_service_pb2.PollWorkRequest(
        instance_id=instance_id,
        poll_number=number,
        held_attempt_ids=list(held),
        **fields,
    )


class ProtocolWorker:
    """Speaks `WorkerService` over one connection. Close it at the end."""

    def __init__(self, address: str, enrolment_token: str, *, name: str) -> None:
        self._channel = open_channel(address)
        self._stub = worker_service_pb2_grpc.WorkerServiceStub(self._channel)
        self._tasks = task_service_pb2_grpc.TaskServiceStub(self._channel)
        self._polls = itertools.count(1)
        self.token = enrolment_token
        self.name = name
        self.instance_id = str(uuid.uuid4())

    def close(self) -> None:
        """Close the connection, without a word to the server."""
        self._channel.close()

    def register(
        self, *, slots: int = 1, manifests: Iterable[bundle_pb2.Manifest] = (), **fields: Any
    ) -> worker_service_pb2.RegisterWorkerResponse:
        """Register; from then on it speaks with its worker token."""
        request = worker_service_pb2.RegisterWorkerRequest(
            name=self.name,
            instance_id=self.instance_id,
            slots=slots,
            sdk=bundle_pb2.Sdk(language="test", version="1"),
            runtimes=["test"],
            bundles=[
                worker_service_pb2.BundleOffer(bundle=m.bundle, bundle_version=m.bundle_version, manifest=m)
                for m in manifests
            ],
            **fields,
        )
        answer: worker_service_pb2.RegisterWorkerResponse = self._call(self._stub.RegisterWorker, request)
        self.token = answer.worker_token
        return answer

    def deregister(self) -> None:
        """Leave."""
        self._call(
            self._stub.DeregisterWorker, worker_service_pb2.DeregisterWorkerRequest(instance_id=self.instance_id)
        )

    def poll(
        self, *, held: Iterable[str] = (), wait: float = 10.0, max_leases: int | None = None, known: str = ""
    ) -> worker_service_pb2.PollWorkResponse:
        """Poll once."""
        fields = {"max_leases": max_leases, "wait": _duration(wait), "known_directives": known}
        request = poll_request(self.instance_id, next(self._polls), held=held, **fields)
        answer: worker_service_pb2.PollWorkResponse = self._call(self._stub.PollWork, request)
        return answer

    def start(self, attempt: lease_pb2.AttemptRef) -> worker_service_pb2.StartAttemptResponse:
        """Start an attempt."""
        request = worker_service_pb2.StartAttemptRequest(attempt=attempt, instance_id=self.instance_id)
        answer: worker_service_pb2.StartAttemptResponse = self._call(self._stub.StartAttempt, request)
        return answer

    def heartbeat(
        self, attempts: Iterable[lease_pb2.AttemptRef] = (), *, usage: worker_service_pb2.WorkerUsage | None = None
    ) -> worker_service_pb2.HeartbeatResponse:
        """Send a heartbeat."""
        request = worker_service_pb2.HeartbeatRequest(
            instance_id=self.instance_id, attempts=list(attempts), usage=usage
        )
        answer: worker_service_pb2.HeartbeatResponse = self._call(self._stub.Heartbeat, request)
        return answer

    def finish(
        self,
        attempt: lease_pb2.AttemptRef,
        *,
        outcome_id: str | None = None,
        outcome: outcome_pb2.Outcome | None = None,
    ) -> worker_service_pb2.FinishAttemptResponse:
        """Finish an attempt, by default as succeeded with the value 1."""
        request = worker_service_pb2.FinishAttemptRequest(
            attempt=attempt, outcome_id=outcome_id or str(uuid.uuid4()), outcome=outcome or succeeded(b"1")
        )
        answer: worker_service_pb2.FinishAttemptResponse = self._call(self._stub.FinishAttempt, request)
        return answer

    def get_variable(self, attempt: lease_pb2.AttemptRef, key: str) -> str:
        """Call as a task under an attempt's lease."""
        lease: tuple[str, str | bytes] = ("crosswind-lease-bin", attempt.lease)
        metadata = (*metadata_of(self.token), ("crosswind-attempt", attempt.attempt_id), lease)
        try:
            answer = self._tasks.GetVariable(
                task_service_pb2.GetVariableRequest(key=key), metadata=metadata, timeout=PATIENCE
            )
        except grpc.RpcError as error:
            raise Refused(error) from error
        return str(answer.variable.value)

    def get_variable_or_none(self, attempt: lease_pb2.AttemptRef, key: str) -> str | None:
        """The same, where it need not exist."""
        try:
            return self.get_variable(attempt, key)
        except Refused as refused:
            if refused.reason != "VARIABLE_NOT_FOUND":
                raise
            return None

    def _call(self, rpc: Any, request: Any) -> Any:
        try:
            return rpc(request, metadata=metadata_of(self.token), timeout=PATIENCE, wait_for_ready=True)
        except grpc.RpcError as error:
            raise Refused(error) from error


def succeeded(data: bytes) -> outcome_pb2.Outcome:
    """An outcome with a result."""
    result = value_pb2.Payload(encoding="json/utf-8", data=data)
    return outcome_pb2.Outcome(succeeded=outcome_pb2.Succeeded(result=result))


def failed(message: str) -> outcome_pb2.Outcome:
    """An outcome that failed."""
    return outcome_pb2.Outcome(
        failed=outcome_pb2.Failed(failure=failure_pb2.Failure(type="TestError", message=message))
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=int(seconds), nanos=round(seconds % 1 * 1e9))
