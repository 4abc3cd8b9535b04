"""The server refuses what `required` and `range` say that it refuses, and means what `default_value` says. [VER-1]

A requirement that is only written down could become real later, and would break old clients without any gate.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from crosswind.control.v1 import dag_runs_pb2, tokens_pb2
from crosswind.execution.v1 import (
    failure_pb2,
    lease_pb2,
    logs_pb2,
    outcome_pb2,
    task_service_pb2,
    worker_service_pb2,
    xcom_pb2,
)
from crosswind.manifest.v1 import bundle_pb2, dag_pb2, retry_pb2, task_pb2
from crosswind.value.v1.value_pb2 import Item, Items, Payload
from crosswind_server import manifests
from crosswind_server.domain.errors import Code, Refused
from crosswind_server.rpc.messages import read_page
from crosswind_server.rpc.unsupported import UNSUPPORTED
from crosswind_server.versions.annotations import annotation
from crosswind_server.versions.releases import server_history
from tests.compat.annotated import defaults, is_list, proto_of, variants
from tests.e2e.support.control import metadata_of
from tests.e2e.support.processes import PATIENCE
from tests.e2e.support.protocol_worker import ProtocolWorker, independent_tasks, manifest_of
from tests.e2e.support.servers import Pace, ServerProcess

VALUE = Payload(encoding="json/utf-8", data=b"1")
WORKER_SERVICE = "/crosswind.execution.v1.WorkerService/"
TASK_SERVICE = "/crosswind.execution.v1.TaskService/"


@dataclass(frozen=True)
class Callers:
    """A server, and the metadata of everybody who may call it."""

    channel: grpc.Channel
    control: list[tuple[str, str]]
    enrolment: list[tuple[str, str]]
    worker: ProtocolWorker
    attempt: lease_pb2.AttemptRef

    def call(self, path: str, request: Message) -> grpc.RpcError | None:
        """Call as who may; the refusal, None where there was none."""
        rpc: Any = self.channel.unary_unary(path, request_serializer=lambda each: each.SerializeToString())
        try:
            rpc(request, metadata=self._metadata(path), timeout=PATIENCE)
        except grpc.RpcError as refused:
            return refused
        return None

    def _metadata(self, path: str) -> Any:
        if path == f"{WORKER_SERVICE}RegisterWorker":
            return self.enrolment
        if path.startswith(WORKER_SERVICE):
            return metadata_of(self.worker.token)
        if path.startswith(TASK_SERVICE):
            lease = ("crosswind-lease-bin", self.attempt.lease)
            return (*metadata_of(self.worker.token), ("crosswind-attempt", self.attempt.attempt_id), lease)
        return self.control


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    folder = tmp_path_factory.mktemp("requirements")
    patient = Pace(lease_duration=120.0, start_deadline=60.0, heartbeat_interval=40.0)
    with ServerProcess(f"sqlite:///{folder / 'crosswind.db'}", folder / "server", pace=patient) as server:
        control = server.control()
        enrolment = Path(server.enrolment_token_file).read_text().strip()
        worker = ProtocolWorker(server.address, enrolment, name="w")
        worker.register(manifests=[manifest_of("b", "v1", independent_tasks("d", 1))])
        trigger = dag_runs_pb2.TriggerDagRunRequest(dag_id="d", request_id=str(uuid.uuid4()))
        control.call(control.runs.TriggerDagRun, trigger)
        attempt = worker.poll().leases[0].attempt
        worker.start(attempt)
        yield Callers(control.channel, control.metadata, metadata_of(enrolment), worker, attempt)
        worker.close()
        control.close()


def supported_calls() -> Mapping[str, Descriptor]:
    """The RPCs of the server that do more than refuse, with their requests."""
    release = server_history().releases[-1]
    pool = descriptor_pool.Default()
    return {
        path: pool.FindMessageTypeByName(method.input_type.lstrip("."))
        for path, method in release.methods.items()
        if path not in UNSUPPORTED and not path.startswith("/crosswind.bundle.")
    }


def example_of(descriptor: Descriptor) -> Any:
    """A message with all that is required."""
    message: Any = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        proto = proto_of(field)
        if not annotation(proto, "required"):
            continue
        if field.message_type is not None and not is_list(field):
            held = Duration(seconds=1) if field.message_type.full_name == "google.protobuf.Duration" else None
            getattr(message, field.name).CopyFrom(held or example_of(field.message_type))
        elif is_list(field):
            getattr(message, field.name).append("x" if field.message_type is None else example_of(field.message_type))
        elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            setattr(message, field.name, str(uuid.uuid4()))
        else:
            setattr(message, field.name, 1)
    return message


def examples(callers: Callers) -> Iterator[tuple[str, Any]]:
    """Requests that nothing is wrong with, as far as they themselves show."""
    own = {
        f"{WORKER_SERVICE}{name}"
        for name in ("RegisterWorker", "PublishBundle", "FinishAttempt", "Heartbeat", "AppendLogs", "PollWork")
    }
    for path, descriptor in supported_calls().items():
        if path not in own:
            message = example_of(descriptor)
            if path.startswith(WORKER_SERVICE) and "instance_id" in descriptor.fields_by_name:
                message.instance_id = callers.worker.instance_id
            if path == f"{WORKER_SERVICE}StartAttempt":
                message.attempt.CopyFrom(callers.attempt)
            if path == f"{TASK_SERVICE}SetXCom":
                message.value.CopyFrom(VALUE)
            if path == f"{TASK_SERVICE}SliceXCom":
                message.key.key = "list"
            if path == f"{TASK_SERVICE}ListAssetEvents":
                message.of_run = True
            if path.endswith("/ReadLogs"):
                message.workload_id = str(uuid.uuid4())
            if path.endswith("/CreateBackfill"):
                message.end_time.FromSeconds(1)
            if path not in (f"{WORKER_SERVICE}Negotiate", f"{WORKER_SERVICE}DeregisterWorker"):
                yield path, message
    instance = callers.worker.instance_id
    execution = worker_service_pb2
    yield f"{WORKER_SERVICE}DeregisterWorker", execution.DeregisterWorkerRequest(instance_id=instance)
    yield f"{WORKER_SERVICE}PollWork", execution.PollWorkRequest(instance_id=instance, wait=Duration())
    yield (
        f"{WORKER_SERVICE}RegisterWorker",
        execution.RegisterWorkerRequest(
            name="other", instance_id=str(uuid.uuid4()), slots=1, sdk=bundle_pb2.Sdk(language="test")
        ),
    )
    offer = execution.BundleOffer(bundle="b", bundle_version="v2")
    yield f"{WORKER_SERVICE}PublishBundle", execution.PublishBundleRequest(instance_id=instance, offer=offer)
    yield f"{WORKER_SERVICE}Heartbeat", execution.HeartbeatRequest(instance_id=instance, attempts=[callers.attempt])
    chunk = logs_pb2.LogChunk(record_count=1, compression=logs_pb2.LogChunk.COMPRESSION_IDENTITY, data=b"x")
    logs = execution.AttemptLogs(attempt=callers.attempt, chunks=[chunk])
    yield f"{WORKER_SERVICE}AppendLogs", execution.AppendLogsRequest(logs=[logs])
    # Of an attempt that is not there, so that it is not ended by what is accepted.
    gone = lease_pb2.AttemptRef(attempt_id=str(uuid.uuid4()), lease=b"x" * 16)
    write = xcom_pb2.XComWrite(key="k", value=VALUE)
    outcomes = (
        outcome_pb2.Outcome(succeeded=outcome_pb2.Succeeded(result=VALUE)),
        outcome_pb2.Outcome(cancelled=outcome_pb2.Cancelled(how="exited"), xcoms=[write]),
        outcome_pb2.Outcome(failed=outcome_pb2.Failed(failure=failure_pb2.Failure(type="ValueError"))),
    )
    for outcome in outcomes:
        yield (
            f"{WORKER_SERVICE}FinishAttempt",
            execution.FinishAttemptRequest(attempt=gone, outcome_id=str(uuid.uuid4()), outcome=outcome),
        )


def test_the_server_refuses_what_is_left_out_or_out_of_range_and_nothing_within(callers):
    items = Payload(encoding="json/utf-8", items=Items(items=[Item(data=b"1")]))
    write = task_service_pb2.SetXComRequest(key="list", value=items, request_id=str(uuid.uuid4()))
    assert callers.call(f"{TASK_SERVICE}SetXCom", write) is None
    wrong = []
    seen: set[str] = set()
    for path, example in examples(callers):
        assert example.DESCRIPTOR is supported_calls()[path]
        for variant in variants(example):
            seen.add(variant.name)
            fresh = "instance_id" if path.endswith("/RegisterWorker") else "request_id"
            if fresh in example.DESCRIPTOR.fields_by_name and f".{fresh} " not in variant.name:
                setattr(variant.message, fresh, str(uuid.uuid4()))
            refusal: Any = callers.call(path, variant.message)
            code = "OK" if refusal is None else refusal.code().name
            # A worker's token is of one instance: no other may be named, and not none.
            other = ".instance_id left out" in variant.name and fresh != "instance_id"
            expected = "PERMISSION_DENIED" if other else "INVALID_ARGUMENT"
            if (code == expected) is not variant.refused:
                wrong.append(f"{path}: {variant.name}: {code} {refusal and refusal.details()}")
    assert not wrong, "\n".join(wrong)
    assert len(seen) > 150


# --- manifests --------------------------------------------------------------------------------------------------------


def dag_examples() -> list[Any]:
    """Valid DAGs that have everything that is annotated; of several messages only the first is changed."""
    first = task_pb2.Task(
        task_id="a",
        entry_point="a",
        inputs=[task_pb2.Input(name="p", literal=VALUE)],
        worker_labels=[task_pb2.LabelSelector(key="zone", value="a")],
        retry=retry_pb2.RetryPolicy(rules=[retry_pb2.RetryRule(failure_types=["ValueError"])]),
    )
    composite = task_pb2.Composite(template_json='{"$input": 0}', parts=[task_pb2.Output(task_id="a")])
    mapped = task_pb2.MappedInput(name="q", output=task_pb2.Output(task_id="a"))
    second = task_pb2.Task(
        task_id="b",
        reference=task_pb2.TaskReference(bundle="other", entry_point="e"),
        upstream=[task_pb2.Edge(task_id="a")],
        inputs=[task_pb2.Input(name="p", composite=composite)],
        mapping=task_pb2.Mapping(inputs=[mapped]),
    )
    return [
        dag_pb2.Dag(
            dag_id="d",
            tasks=tasks,
            access=dag_pb2.Access(variables=["v"]),
            params=[dag_pb2.Param(name="n", default_value=VALUE)],
        )
        for tasks in ([first, second], [second, first])
    ]


def code_of_dag(message: Any) -> str:
    try:
        manifests.read_dag(message.SerializeToString(), dag_version_id="v")
    except Refused as refused:
        return str(refused.code)
    return "OK"


def test_a_dag_is_refused_for_what_is_left_out_or_out_of_range_and_nothing_within():
    wrong = []
    for example in dag_examples():
        assert code_of_dag(example) == "OK"
        for variant in variants(example):
            if "Task.task_id of length" in variant.name or "Dag.tasks of length" in variant.name:
                continue  # other tasks name it, and several of one name are refused for that
            if (code_of_dag(variant.message) == Code.INVALID_ARGUMENT) is not variant.refused:
                wrong.append(f"{variant.name}: {code_of_dag(variant.message)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("count", "code"), [(0, "INVALID_ARGUMENT"), (10_000, "OK"), (10_001, "INVALID_ARGUMENT")])
def test_the_tasks_of_a_dag_are_counted(count, code):
    tasks = [task_pb2.Task(task_id=f"t{n}", entry_point="e") for n in range(count)]
    assert code_of_dag(dag_pb2.Dag(dag_id="d", tasks=tasks)) == code


@pytest.mark.parametrize(("length", "code"), [(1, "OK"), (250, "OK"), (251, "INVALID_ARGUMENT")])
def test_the_id_of_a_task_is_measured(length, code):
    task = task_pb2.Task(task_id="t" * length, entry_point="e")
    assert code_of_dag(dag_pb2.Dag(dag_id="d", tasks=[task])) == code


def test_an_absent_field_of_a_dag_means_its_default():
    seen = set()
    for example in dag_examples():
        for name, absent, said in defaults(example):
            seen.add(name.removeprefix("crosswind.manifest.v1."))
            plans = [
                manifests.read_dag(each.SerializeToString(deterministic=True), dag_version_id="v")
                for each in (absent, said)
            ]
            if name == "crosswind.manifest.v1.Task.on_partition":  # the worker's, to whom it goes on as it is
                plans[1] = replace(plans[1], tasks=tuple(replace(task, on_partition=0) for task in plans[1].tasks))
            assert plans[0] == plans[1], name
    assert {"RetryPolicy.delay", "Task.queue", "Dag.version_policy", "Output.key", "RetryRule.retry"} <= seen


# --- defaults of calls ------------------------------------------------------------------------------------------------


def test_a_page_has_the_size_that_is_said():
    for path, descriptor in supported_calls().items():
        field = descriptor.fields_by_name.get("page_size")
        said = None if field is None else annotation(proto_of(field), "default_value")
        if field is None or path.endswith(("/ReadLogs", "/GetTaskStates")):  # which have another, and say so
            assert field is None or said == "1000"
            continue
        page = read_page(message_factory.GetMessageClass(descriptor)(), "team")
        assert str(page.size) == said, path


def test_a_token_lives_as_long_as_is_said(callers):
    request = tokens_pb2.CreateAccessTokenRequest(subject="s", role="ROLE_VIEWER", request_id=str(uuid.uuid4()))
    rpc: Any = callers.channel.unary_unary(
        "/crosswind.control.v1.TokenService/CreateAccessToken",
        request_serializer=tokens_pb2.CreateAccessTokenRequest.SerializeToString,
        response_deserializer=tokens_pb2.CreateAccessTokenResponse.FromString,
    )
    info = rpc(request, metadata=callers.control, timeout=PATIENCE).info
    life = info.expire_time.ToNanoseconds() - info.create_time.ToNanoseconds()
    said = annotation(proto_of(request.DESCRIPTOR.fields_by_name["ttl"]), "default_value")
    assert said == f"{life // 10**9}s"


def test_an_xcom_without_a_key_is_the_result(callers):
    key = xcom_pb2.XComKey.DESCRIPTOR.fields_by_name["key"]
    write = task_service_pb2.SetXComRequest(
        key=annotation(proto_of(key), "default_value"), value=VALUE, request_id=str(uuid.uuid4())
    )
    assert callers.call(f"{TASK_SERVICE}SetXCom", write) is None
    assert callers.call(f"{TASK_SERVICE}GetXCom", task_service_pb2.GetXComRequest()) is None
