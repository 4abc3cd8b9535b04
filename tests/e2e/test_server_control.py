"""The control API and the calls of tasks, on a real server, with a worker made of bare calls."""

import gzip
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from crosswind.control.v1 import (
    bundles_pb2,
    bundles_pb2_grpc,
    connections_pb2,
    dag_runs_pb2,
    dags_pb2,
    logs_pb2,
    server_pb2,
    server_pb2_grpc,
    states_pb2,
    task_instances_pb2,
    variables_pb2,
    workers_pb2,
    xcoms_pb2,
)
from crosswind.execution.v1 import (
    lease_pb2,
    outcome_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
    worker_service_pb2,
    xcom_pb2,
)
from crosswind.execution.v1 import logs_pb2 as execution_logs_pb2
from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind.value.v1 import value_pb2
from tests.e2e.support.control import Control, metadata_of, open_channel, reason_of
from tests.e2e.support.processes import PATIENCE
from tests.e2e.support.protocol_worker import ProtocolWorker, manifest_of, succeeded
from tests.e2e.support.servers import Pace, ServerProcess

EACH_DATABASE = pytest.mark.parametrize("server", ["migrated_sqlite_url", "migrated_postgres_url"], indirect=True)
"""For what the database decides; the other tests run on SQLite."""


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    database_url = request.getfixturevalue(getattr(request, "param", "migrated_sqlite_url"))
    with ServerProcess(database_url, tmp_path / "server", pace=Pace(lease_duration=30, start_deadline=30)) as process:
        yield process


@pytest.fixture
def control(server: ServerProcess) -> Iterator[Control]:
    control = server.control()
    yield control
    control.close()


@pytest.fixture
def worker(server: ServerProcess) -> Iterator[ProtocolWorker]:
    worker = ProtocolWorker(server.address, server.enrolment_token_file.read_text().strip(), name="w1")
    yield worker
    worker.close()


def request_id() -> str:
    return str(uuid.uuid4())


def payload(value: object) -> value_pb2.Payload:
    return value_pb2.Payload(encoding="json/utf-8", data=json.dumps(value).encode())


def items(*values: object) -> value_pb2.Payload:
    found = [value_pb2.Item(data=json.dumps(value).encode()) for value in values]
    return value_pb2.Payload(encoding="json/utf-8", items=value_pb2.Items(items=found))


def pipeline(dag_id: str, **access: Any) -> dag_pb2.Dag:
    """`first`, then `each` mapped over its list, then `last`."""
    output = task_pb2.Output(task_id="first")
    mapping = task_pb2.Mapping(inputs=[task_pb2.MappedInput(name="item", position=0, output=output)])
    return dag_pb2.Dag(
        dag_id=dag_id,
        description="A list, its items, an end.",
        tags=["flow", "test"],
        owner="me",
        tasks=[
            task_pb2.Task(task_id="first", entry_point="first", language="test"),
            task_pb2.Task(task_id="each", entry_point="each", language="test", mapping=mapping),
            task_pb2.Task(
                task_id="last", entry_point="last", language="test", upstream=[task_pb2.Edge(task_id="each")]
            ),
        ],
        access=dag_pb2.Access(**access) if access else None,
    )


class Task:
    """A task's calls under the lease of a running attempt."""

    def __init__(self, server: ServerProcess, worker: ProtocolWorker, attempt: lease_pb2.AttemptRef) -> None:
        self.channel = open_channel(server.address)
        self.stub = task_service_pb2_grpc.TaskServiceStub(self.channel)
        lease: tuple[str, Any] = ("crosswind-lease-bin", attempt.lease)
        self.metadata = (*metadata_of(worker.token), ("crosswind-attempt", attempt.attempt_id), lease)

    def __call__(self, method: str, **fields: Any) -> Any:
        request = getattr(task_service_pb2, f"{method}Request")(**fields)
        return getattr(self.stub, method)(request, metadata=self.metadata, timeout=PATIENCE)

    def refused(self, method: str, **fields: Any) -> str:
        with pytest.raises(grpc.RpcError) as refused:
            self(method, **fields)
        return reason_of(refused.value)


def start_next(worker: ProtocolWorker) -> tuple[lease_pb2.Lease, lease_pb2.TaskContext]:
    lease = worker.poll(max_leases=1).leases[0]
    return lease, worker.start(lease.attempt).context


@EACH_DATABASE
def test_a_run_is_seen_from_its_trigger_to_its_end(
    server: ServerProcess, control: Control, worker: ProtocolWorker
) -> None:
    dag = pipeline("flow")
    worker.register(slots=4, manifests=[manifest_of("b", "v1", dag)])

    listed = control.call(control.dags.ListDags, dags_pb2.ListDagsRequest(tags=["flow"])).dags
    assert [(each.dag_id, each.bundle, each.offered, each.task_count) for each in listed] == [("flow", "b", True, 3)]
    assert not control.call(control.dags.ListDags, dags_pb2.ListDagsRequest(tags=["other"])).dags
    shown = control.call(control.dags.GetDag, dags_pb2.GetDagRequest(dag_id="flow", include_manifest=True))
    assert shown.manifest == dag
    versions = control.call(control.dags.ListDagVersions, dags_pb2.ListDagVersionsRequest(dag_id="flow")).dag_versions
    assert [(each.version_number, each.current, list(each.bundle_versions)) for each in versions] == [(1, True, ["v1"])]

    trigger = dag_runs_pb2.TriggerDagRunRequest(dag_id="flow", conf=payload({"a": 1}), request_id=request_id())
    run = control.call(control.runs.TriggerDagRun, trigger).dag_run
    again = control.call(control.runs.TriggerDagRun, trigger).dag_run
    assert again == run
    assert run.triggered_by == "local"
    trigger.note = "another message"
    assert control.refused(control.runs.TriggerDagRun, trigger)[1] == "REQUEST_ID_REUSED"

    def instances(**fields: Any) -> list[Any]:
        request = task_instances_pb2.ListTaskInstancesRequest(dag_id="flow", run_id=run.run_id, **fields)
        return list(control.call(control.tasks.ListTaskInstances, request).task_instances)

    before = instances()
    assert [each.task_id for each in before] == ["first", "each", "last"]
    assert [states_pb2.WaitingReason.Name(each.waiting_reason)[15:] for each in before] == [
        "SLOTS",
        "UPSTREAM",
        "UPSTREAM",
    ]
    assert "'first'" in before[1].waiting_detail

    lease, context = start_next(worker)
    assert (context.task_instance.task_id, context.run.run_id) == ("first", run.run_id)
    worker.finish(lease.attempt, outcome=outcome_pb2.Outcome(succeeded=outcome_pb2.Succeeded(result=items(1, 2))))
    mapped = instances(task_id="each")
    assert [(each.HasField("map_index"), each.mapped_total) for each in mapped] == [(False, 2), (True, 0), (True, 0)]
    assert [(count.state, count.count) for count in mapped[0].mapped_counts] == [(states_pb2.TASK_STATE_QUEUED, 2)]

    for expected in (0, 1):
        lease, context = start_next(worker)
        assert context.task_instance.map_index == expected
        worker.finish(lease.attempt, outcome=succeeded(str(expected * 10).encode()))
    lease, _ = start_next(worker)
    task = Task(server, worker, lease.attempt)
    whole = task("GetXCom", key=xcom_pb2.XComKey(task_id="each"))
    assert [json.loads(each.data) for each in whole.list.payloads] == [0, 10]
    assert json.loads(task("GetXComItem", key=xcom_pb2.XComKey(task_id="first"), index=-1).value.data) == 2
    piece = task("SliceXCom", key=xcom_pb2.XComKey(task_id="each"), start=1, limit=5)
    assert ([json.loads(each.data) for each in piece.values], piece.total_size) == ([10], 2)
    assert task.refused("GetXComItem", key=xcom_pb2.XComKey(task_id="first"), index=2) == "XCOM_NOT_FOUND"
    task("SetXCom", key="note", value=payload("hello"), request_id=request_id())
    assert json.loads(task("GetXCom", key=xcom_pb2.XComKey(key="note")).value.data) == "hello"
    names = [(each.key.task_id, each.key.key) for each in task("ListXComs").xcoms]
    assert names == [("each", "return_value"), ("each", "return_value"), ("first", "return_value"), ("last", "note")]
    assert [task("DeleteXCom", key="note", request_id=request_id()).existed for _ in "12"] == [True, False]
    states = task("GetTaskStates", task_ids=["first", "last"]).instances
    assert [(each.key.task_id, each.state) for each in states] == [("first", "succeeded"), ("last", "running")]
    assert task("GetDagRun").state == "running"

    revision = control.call(control.runs.GetDagRun, dag_runs_pb2.GetDagRunRequest(dag_id="flow", run_id=run.run_id))
    waiting = dag_runs_pb2.GetDagRunRequest(
        dag_id="flow", run_id=run.run_id, wait=Duration(seconds=20), known_revision=revision.dag_run.revision
    )
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(control.call, control.runs.GetDagRun, waiting)
        worker.finish(lease.attempt)
        ended = waits.result().dag_run
    assert ended.state == states_pb2.RUN_STATE_SUCCEEDED
    assert task.refused("GetXCom") == "STALE_LEASE"
    assert [(each.state, each.count) for each in ended.task_counts] == [(states_pb2.TASK_STATE_SUCCEEDED, 4)]
    assert ended.bundle_version == "v1"

    xcoms = control.call(control.xcoms.ListXComs, xcoms_pb2.ListXComsRequest(dag_id="flow", run_id=run.run_id)).xcoms
    assert [(each.task_id, each.item_count) for each in xcoms if each.task_id == "first"] == [("first", 2)]
    one = xcoms_pb2.GetXComRequest(dag_id="flow", run_id=run.run_id, task_id="first", first_item=1)
    answer = control.call(control.xcoms.GetXCom, one)
    assert ([each.data for each in answer.value.items.items], answer.HasField("next_item")) == ([b"2"], False)
    attempts = task_instances_pb2.ListAttemptsRequest(dag_id="flow", run_id=run.run_id, task_id="last")
    found = control.call(control.tasks.ListAttempts, attempts).attempts
    assert [(each.worker, each.language, each.state) for each in found] == [
        ("w1", "test", states_pb2.ATTEMPT_STATE_SUCCEEDED)
    ]
    workers = control.call(control.workers.ListWorkers, workers_pb2.ListWorkersRequest(queue="default")).workers
    assert [(each.name, each.used_slots, each.bundles[0].bundle_version) for each in workers] == [("w1", 0, "v1")]
    bundles = bundles_pb2_grpc.BundleCatalogServiceStub(control.channel)
    listed_bundles = control.call(bundles.ListBundles, bundles_pb2.ListBundlesRequest()).bundles
    assert [(each.bundle, each.current_version.dags[0].dag_id, each.owner) for each in listed_bundles] == [
        ("b", "flow", "local")
    ]
    info = control.call(
        server_pb2_grpc.ServerServiceStub(control.channel).GetServerInfo, server_pb2.GetServerInfoRequest()
    )
    assert (info.counts.dags, info.counts.live_workers, info.counts.active_runs) == (1, 1, 0)


def test_a_strict_dag_reaches_only_what_it_names(
    server: ServerProcess, control: Control, worker: ProtocolWorker
) -> None:
    strict = pipeline(
        "strict",
        mode=dag_pb2.ACCESS_MODE_STRICT,
        variables=["mine_*"],
        connections=["db"],
        dags=["strict"],
    )
    worker.register(slots=1, manifests=[manifest_of("b", "v1", strict)])
    for key in ("mine_1", "other"):
        control.call(
            control.variables.SetVariable,
            variables_pb2.SetVariableRequest(key=key, value="x", request_id=request_id()),
        )
    wanted = connections_pb2.Connection(
        connection_id="db", conn_type="postgres", port=5432, password="p", extra_json="{}"
    )
    control.call(
        control.connections.SetConnection,
        connections_pb2.SetConnectionRequest(connection=wanted, request_id=request_id()),
    )
    control.trigger("strict")
    lease, _ = start_next(worker)
    task = Task(server, worker, lease.attempt)
    assert task("GetVariable", key="mine_1").variable.value == "x"
    assert task.refused("GetVariable", key="other") == "PERMISSION_DENIED"
    assert task.refused("SetVariable", key="other", value="y", request_id=request_id()) == "PERMISSION_DENIED"
    assert task.refused("GetVariable", key="mine_2") == "VARIABLE_NOT_FOUND"
    assert task("GetConnection", connection_id="db").connection.password == "p"
    assert task.refused("GetConnection", connection_id="else") == "PERMISSION_DENIED"
    assert task.refused("TriggerDagRun", dag_id="elsewhere", request_id=request_id()) == "PERMISSION_DENIED"
    triggered = task("TriggerDagRun", dag_id="strict", run_id="child", request_id=request_id())
    assert triggered.run_id == "child"
    assert task("SetVariable", key="mine_2", value="z", request_id=request_id()) is not None
    assert [task("DeleteVariable", key="mine_2", request_id=request_id()).existed for _ in "12"] == [True, False]
    child = control.call(control.runs.GetDagRun, dag_runs_pb2.GetDagRunRequest(dag_id="strict", run_id="child"))
    assert child.dag_run.triggered_by.startswith("task strict/")


@EACH_DATABASE
def test_a_task_call_needs_the_lease_of_its_own_worker(
    server: ServerProcess, control: Control, worker: ProtocolWorker
) -> None:
    worker.register(slots=2, manifests=[manifest_of("b", "v1", pipeline("flow"))])
    control.trigger("flow")
    lease = worker.poll(max_leases=1).leases[0]
    assert Task(server, worker, lease.attempt).refused("GetVariable", key="k") == "ATTEMPT_NOT_STARTED"
    worker.start(lease.attempt)
    wrong = lease_pb2.AttemptRef(attempt_id=lease.attempt.attempt_id, lease=bytes(16))
    assert Task(server, worker, wrong).refused("GetVariable", key="k") == "STALE_LEASE"
    unknown = lease_pb2.AttemptRef(attempt_id=request_id(), lease=bytes(16))
    assert Task(server, worker, unknown).refused("GetVariable", key="k") == "UNKNOWN_ATTEMPT"
    thief = ProtocolWorker(server.address, server.enrolment_token_file.read_text().strip(), name="thief")
    thief.register()
    assert Task(server, thief, lease.attempt).refused("GetVariable", key="k") == "STALE_LEASE"
    thief.close()
    control.call(
        control.runs.CancelDagRun,
        dag_runs_pb2.CancelDagRunRequest(
            dag_id="flow",
            run_id=control.call(control.runs.ListDagRuns, dag_runs_pb2.ListDagRunsRequest()).dag_runs[0].run_id,
            request_id=request_id(),
        ),
    )
    assert Task(server, worker, lease.attempt).refused("GetVariable", key="k") == "ATTEMPT_CANCELLING"


@EACH_DATABASE
def test_a_task_says_what_it_waits_for(server: ServerProcess, control: Control, worker: ProtocolWorker) -> None:
    dag = pipeline("flow")
    worker.register(slots=1, queues=["other"], manifests=[manifest_of("b", "v1", dag)])
    run_id = control.trigger("flow")

    def reason() -> tuple[str, str]:
        request = task_instances_pb2.GetTaskInstanceRequest(dag_id="flow", run_id=run_id, task_id="first")
        found = control.call(control.tasks.GetTaskInstance, request).task_instance
        return states_pb2.WaitingReason.Name(found.waiting_reason)[15:], found.waiting_detail

    assert reason()[0] == "QUEUE"
    assert "'default'" in reason()[1]
    pause = dags_pb2.UpdateDagRequest(dag_id="flow", paused=True, request_id=request_id())
    assert control.call(control.dags.UpdateDag, pause).dag.paused
    assert reason()[0] == "PAUSED"
    trigger = dag_runs_pb2.TriggerDagRunRequest(dag_id="flow", request_id=request_id())
    assert control.refused(control.runs.TriggerDagRun, trigger)[1] == "DAG_PAUSED"
    control.call(
        control.dags.UpdateDag, dags_pb2.UpdateDagRequest(dag_id="flow", paused=False, request_id=request_id())
    )
    stub = worker._stub  # the one call that ProtocolWorker has no method for
    stub.DeregisterWorker(
        worker_service_pb2.DeregisterWorkerRequest(instance_id=worker.instance_id),
        metadata=tuple(metadata_of(worker.token)),
    )
    assert reason()[0] == "NO_WORKER"


def test_no_run_of_a_paused_dag_is_begun_by_people_nor_by_tasks(
    server: ServerProcess, control: Control, worker: ProtocolWorker
) -> None:
    worker.register(slots=1, manifests=[manifest_of("b", "v1", pipeline("flow"))])
    control.trigger("flow")
    lease, _ = start_next(worker)
    task = Task(server, worker, lease.attempt)

    def pause(paused: bool) -> None:
        request = dags_pb2.UpdateDagRequest(dag_id="flow", paused=paused, request_id=request_id())
        control.call(control.dags.UpdateDag, request)

    pause(True)
    trigger = dag_runs_pb2.TriggerDagRunRequest(dag_id="flow", run_id="r", request_id=request_id())
    _, reason, sentence = control.refused(control.runs.TriggerDagRun, trigger)
    assert (reason, "crosswind dags unpause flow" in sentence) == ("DAG_PAUSED", True)
    assert task.refused("TriggerDagRun", dag_id="flow", run_id="r", request_id=request_id()) == "DAG_PAUSED"
    pause(False)
    assert task("TriggerDagRun", dag_id="flow", run_id="r", request_id=request_id()).run_id == "r"


@EACH_DATABASE
def test_logs_are_read_while_they_come_and_to_their_end(
    server: ServerProcess, control: Control, worker: ProtocolWorker
) -> None:
    worker.register(slots=1, manifests=[manifest_of("b", "v1", pipeline("flow"))])
    run_id = control.trigger("flow")
    names: dict[str, Any] = {"dag_id": "flow", "run_id": run_id, "task_id": "first"}
    assert control.refused(control.logs.ReadLogs, logs_pb2.ReadLogsRequest(**names))[1] == "LOG_NOT_FOUND"
    lease, _ = start_next(worker)

    def chunk(first: int, *lines: str, **fields: Any) -> execution_logs_pb2.LogChunk:
        records = execution_logs_pb2.LogRecords(records=[execution_logs_pb2.LogRecord(message=line) for line in lines])
        return execution_logs_pb2.LogChunk(
            first_sequence=first,
            record_count=len(lines),
            compression=execution_logs_pb2.LogChunk.COMPRESSION_GZIP,
            data=gzip.compress(records.SerializeToString()) if lines else b"",
            **fields,
        )

    def append(*chunks: execution_logs_pb2.LogChunk) -> tuple[int, bool]:
        logs = [worker_service_pb2.AttemptLogs(attempt=lease.attempt, chunks=chunks)]
        answer = worker._stub.AppendLogs(
            worker_service_pb2.AppendLogsRequest(logs=logs), metadata=tuple(metadata_of(worker.token))
        )
        return answer.results[0].next_sequence, answer.results[0].closed

    def read(**fields: Any) -> logs_pb2.ReadLogsResponse:
        return control.call(control.logs.ReadLogs, logs_pb2.ReadLogsRequest(**names, **fields))

    assert append(chunk(0, "a", "b")) == (2, False)
    assert append(chunk(0, "a", "b")) == (2, False)
    assert append(chunk(5, "gap")) == (2, False)
    assert [each.record.message for each in read().records] == ["a", "b"]
    assert not read().complete
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(read, from_sequence=2, wait=Duration(seconds=20))
        assert append(chunk(2, dropped=3), chunk(2, dropped=3), chunk(2, "c")) == (3, False)
        first = waits.result()
    assert first.next_sequence in (2, 3)
    assert [(each.sequence, each.dropped_before) for each in read(from_sequence=2).records] == [(2, 3)]
    assert read().dropped_count == 3
    assert [each.record.message for each in read(last_records=1).records] == ["c"]
    request = worker_service_pb2.FinishAttemptRequest(
        attempt=lease.attempt,
        outcome_id=request_id(),
        outcome=succeeded(b"[]"),
        log_chunks=[chunk(3, "d", last=True)],
    )
    finished = worker._stub.FinishAttempt(request, metadata=tuple(metadata_of(worker.token)))
    assert finished.next_log_sequence == 4
    ended = read(from_sequence=3, wait=Duration(seconds=20))
    assert ([each.record.message for each in ended.records], ended.complete) == (["d"], True)
    assert append(chunk(4, "late")) == (4, True)


@pytest.mark.parametrize("kind", ["variables", "connections", "runs"])
def test_listings_page_without_gaps(control: Control, worker: ProtocolWorker, kind: str) -> None:
    worker.register(manifests=[manifest_of("b", "v1", pipeline("flow"))])
    expected = [f"k{n:02}" for n in range(7)]
    for name in expected:
        if kind == "variables":
            message: Any = variables_pb2.SetVariableRequest(key=name, value=name, public=True, request_id=request_id())
            control.call(control.variables.SetVariable, message)
        elif kind == "connections":
            wanted = connections_pb2.Connection(connection_id=name, conn_type="http")
            message = connections_pb2.SetConnectionRequest(connection=wanted, request_id=request_id())
            control.call(control.connections.SetConnection, message)
        else:
            control.trigger("flow", run_id=name)
    calls: dict[str, tuple[Callable[..., Any], Any, Callable[[Any], list[str]]]] = {
        "variables": (
            control.variables.ListVariables,
            variables_pb2.ListVariablesRequest,
            lambda page: [each.key for each in page.variables],
        ),
        "connections": (
            control.connections.ListConnections,
            connections_pb2.ListConnectionsRequest,
            lambda page: [each.connection_id for each in page.connections],
        ),
        "runs": (
            control.runs.ListDagRuns,
            dag_runs_pb2.ListDagRunsRequest,
            lambda page: [each.run_id for each in page.dag_runs],
        ),
    }
    rpc, request_type, names_of = calls[kind]
    found: list[str] = []
    token = ""
    while True:
        page = control.call(rpc, request_type(page_size=3, page_token=token))
        found += names_of(page)
        token = page.next_page_token
        if not token:
            break
        last = token
    assert found == (expected if kind != "runs" else expected[::-1])
    field = {"variables": "key_prefix", "connections": "conn_type", "runs": "dag_id"}[kind]
    other = request_type(page_size=3, page_token=last, **{field: "x"})
    assert control.refused(rpc, other)[1] == "PAGE_TOKEN_INVALID"
    assert control.refused(rpc, request_type(page_size=-1))[1] == "INVALID_ARGUMENT"


def test_variables_and_connections_are_changed_in_parts(control: Control) -> None:
    def set_variable(**fields: Any) -> Any:
        return variables_pb2.SetVariableRequest(request_id=request_id(), **fields)

    variables = control.variables
    assert control.refused(variables.SetVariable, set_variable(key="k"))[1] == "VARIABLE_NOT_FOUND"
    assert control.call(variables.SetVariable, set_variable(key="k", value="v", description="d")).created
    changed = control.call(variables.SetVariable, set_variable(key="k", public=True))
    assert (changed.variable.value, changed.variable.description, changed.created) == ("v", "d", False)
    too_large = set_variable(key="k", value="x" * (64 * 1024 + 1))
    assert control.refused(variables.SetVariable, too_large)[1] == "VALUE_TOO_LARGE"

    connections = control.connections

    def set_connection(**fields: Any) -> Any:
        wanted = connections_pb2.Connection(connection_id="c", conn_type="http", **fields)
        request = connections_pb2.SetConnectionRequest(connection=wanted, request_id=request_id())
        return control.call(connections.SetConnection, request)

    first = set_connection(password="p", extra_json='{"a": "b"}')
    assert (first.connection.has_password, first.connection.HasField("password"), first.created) == (True, False, True)
    set_connection(host="h", extra_json="")
    found = control.call(connections.GetConnection, connections_pb2.GetConnectionRequest(connection_id="c")).connection
    assert (found.host, found.password, found.has_extra) == ("h", "p", False)
    delete = connections_pb2.DeleteConnectionRequest(connection_id="c", request_id=request_id())
    control.call(connections.DeleteConnection, delete)
    control.call(connections.DeleteConnection, delete)
    assert (
        control.refused(connections.GetConnection, connections_pb2.GetConnectionRequest(connection_id="c"))[1]
        == "CONNECTION_NOT_FOUND"
    )


def test_a_wait_for_a_change_ends_by_itself(control: Control, worker: ProtocolWorker) -> None:
    worker.register(manifests=[manifest_of("b", "v1", pipeline("flow"))])
    run_id = control.trigger("flow")
    run = control.call(control.runs.GetDagRun, dag_runs_pb2.GetDagRunRequest(dag_id="flow", run_id=run_id)).dag_run
    began = time.monotonic()
    request = dag_runs_pb2.GetDagRunRequest(
        dag_id="flow", run_id=run_id, wait=Duration(nanos=200_000_000), known_revision=run.revision
    )
    assert control.call(control.runs.GetDagRun, request).dag_run.revision == run.revision
    assert time.monotonic() - began >= 0.2
