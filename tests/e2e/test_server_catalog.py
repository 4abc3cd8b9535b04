"""What people see of workers, bundles and mapped tasks is what workers said and did."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crosswind.control.v1 import bundles_pb2, bundles_pb2_grpc, states_pb2, task_instances_pb2, workers_pb2
from crosswind.execution.v1 import errors_pb2, outcome_pb2, worker_service_pb2
from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind.value.v1 import value_pb2
from tests.e2e.support.control import Control
from tests.e2e.support.protocol_worker import ProtocolWorker, independent_tasks, manifest_of, succeeded
from tests.e2e.support.servers import Pace, ServerProcess


@pytest.fixture
def server(migrated_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(migrated_url, tmp_path / "server", pace=Pace(lease_duration=30)) as process:
        yield process


@pytest.fixture
def control(server: ServerProcess) -> Iterator[Control]:
    control = server.control()
    yield control
    control.close()


@pytest.fixture
def enrol(server: ServerProcess) -> Iterator[type[ProtocolWorker]]:
    """Makes workers, and closes them at the end."""
    made: list[ProtocolWorker] = []

    def make(name: str) -> ProtocolWorker:
        made.append(ProtocolWorker(server.address, server.enrolment_token_file.read_text().strip(), name=name))
        return made[-1]

    yield make  # type: ignore[misc]  # called as the class would be
    for worker in made:
        worker.close()


def test_a_worker_is_shown_as_it_registered_and_as_its_last_heartbeat_said(control, enrol):
    worker = enrol("w1")
    worker.register(slots=4, roles=[worker_service_pb2.WORKER_ROLE_TASKS])
    plain = enrol("w2")
    plain.register(slots=1)

    def shown(name: str) -> workers_pb2.Worker:
        return control.call(control.workers.GetWorker, workers_pb2.GetWorkerRequest(name=name)).worker

    first = shown("w1")
    assert list(first.roles) == list(shown("w2").roles) == [worker_service_pb2.WORKER_ROLE_TASKS]
    host, _, port = first.address.rpartition(":")
    assert (host, port.isdigit()) == ("127.0.0.1", True)
    assert (first.memory_bytes, first.load, first.pending_outcomes) == (0, 0, 0)
    usage = worker_service_pb2.WorkerUsage(used_slots=2, memory_bytes=5 * 2**30, load=1.25, pending_outcomes=3)
    worker.heartbeat(usage=usage)
    plain.heartbeat(usage=worker_service_pb2.WorkerUsage(memory_bytes=-1, load=float("nan"), pending_outcomes=-1))
    second, other = shown("w1"), shown("w2")
    assert (second.memory_bytes, second.load, second.pending_outcomes) == (5 * 2**30, 1.25, 3)
    assert (other.memory_bytes, other.load, other.pending_outcomes) == (0, 0, 0)
    plain.heartbeat(usage=worker_service_pb2.WorkerUsage(load=float("inf")))
    assert shown("w2").load == 1_000_000


def test_a_bundle_says_who_published_it_when_it_changed_and_why_a_dag_was_refused(control, enrol):
    first, second = enrol("first"), enrol("second")
    catalog = bundles_pb2_grpc.BundleCatalogServiceStub(control.channel)

    def bundle(name: str) -> bundles_pb2.Bundle:
        listed = control.call(catalog.ListBundles, bundles_pb2.ListBundlesRequest()).bundles
        return next(each for each in listed if each.bundle == name)

    first.register(manifests=[manifest_of("one", "v1", independent_tasks("d", 1))])
    before = bundle("one")
    assert before.current_version.published_by == "first"
    assert before.update_time.ToNanoseconds() == before.create_time.ToNanoseconds()
    second.register(
        manifests=[
            manifest_of("one", "v2", independent_tasks("d", 2)),
            manifest_of("two", "v1", independent_tasks("d", 1)),
            manifest_of("three", "v1", dag_pb2.Dag(dag_id="empty")),
        ]
    )
    after = bundle("one")
    assert after.update_time.ToNanoseconds() > after.create_time.ToNanoseconds()
    assert (after.current_version.bundle_version, after.current_version.published_by) == ("v2", "second")
    (taken,) = bundle("two").current_version.problems
    assert (taken.dag_id, taken.source) == ("d", "")
    assert taken.reason == errors_pb2.ERROR_REASON_DAG_OWNED_BY_OTHER_BUNDLE
    (invalid,) = bundle("three").current_version.problems
    assert (invalid.dag_id, invalid.reason) == ("empty", errors_pb2.ERROR_REASON_DAG_INVALID)
    enrol("third").register(manifests=[manifest_of("one", "v2", independent_tasks("d", 2))])
    assert bundle("one").update_time == after.update_time


def test_a_mapped_task_started_when_its_first_instance_did(control, enrol):
    worker = enrol("w")
    output = task_pb2.Output(task_id="list")
    mapping = task_pb2.Mapping(inputs=[task_pb2.MappedInput(name="item", position=0, output=output)])
    dag = dag_pb2.Dag(
        dag_id="mapped",
        tasks=[
            task_pb2.Task(task_id="list", entry_point="list", language="test"),
            task_pb2.Task(task_id="each", entry_point="each", language="test", mapping=mapping),
        ],
    )
    worker.register(slots=4, manifests=[manifest_of("b", "v1", dag)])
    run_id = control.trigger("mapped")

    def instances() -> list[task_instances_pb2.TaskInstance]:
        request = task_instances_pb2.ListTaskInstancesRequest(dag_id="mapped", run_id=run_id, task_id="each")
        return list(control.call(control.tasks.ListTaskInstances, request).task_instances)

    lease = worker.poll(max_leases=1).leases[0]
    worker.start(lease.attempt)
    items = value_pb2.Items(items=[value_pb2.Item(data=b"1"), value_pb2.Item(data=b"2")])
    listed = value_pb2.Payload(encoding="json/utf-8", items=items)
    worker.finish(lease.attempt, outcome=outcome_pb2.Outcome(succeeded=outcome_pb2.Succeeded(result=listed)))
    assert not instances()[0].HasField("start_time")
    for _ in "12":
        lease = worker.poll(max_leases=1).leases[0]
        worker.start(lease.attempt)
        worker.finish(lease.attempt, outcome=succeeded(b"1"))
    summary, first, second = instances()
    assert summary.state == states_pb2.TASK_STATE_SUCCEEDED
    assert summary.start_time == first.start_time
    assert summary.start_time.ToNanoseconds() < second.start_time.ToNanoseconds()
