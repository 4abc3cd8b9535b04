"""Servers, workers, bundles and commands of different API versions: what works, and what is said else. [VER-1]

The versions are all alike here, since only their names matter; how messages are carried is for `tests/compat`.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from crosswind.api_versions import newest
from crosswind.control.v1 import workers_pb2
from crosswind.execution.v1 import worker_service_pb2
from crosswind.manifest.v1 import bundle_pb2
from crosswind_server.app import RunningServer
from tests.e2e.support.cluster import one_task
from tests.e2e.support.control import Control, open_channel
from tests.e2e.support.go_bundles import GoBundles, install
from tests.e2e.support.processes import PATIENCE
from tests.e2e.support.protocol_worker import ProtocolWorker, Refused, independent_tasks, manifest_of
from tests.e2e.support.puppets import Stage
from tests.e2e.support.versions import SpeakingKind, counted_calls, say_version, serving
from tests.e2e.support.workers import WorkerKind, WorkerProcess

OLD, NOW, NEW = "2020-10-01", newest(), "2099-03-01"
RANGE = f"{OLD} to {NEW}"
VERSION = "crosswind-api-version"
LIST_WORKERS = "/crosswind.control.v1.WorkerAdminService/ListWorkers"
HEARTBEAT = "/crosswind.execution.v1.WorkerService/Heartbeat"
NEGOTIATE = "/crosswind.execution.v1.WorkerService/Negotiate"
REFUSALS = {
    None: ("INVALID_ARGUMENT", "API_VERSION_MISSING", f"send metadata '{VERSION}: {NEW}'. This server serves {RANGE}."),
    "": ("INVALID_ARGUMENT", "API_VERSION_MISSING", f"send metadata '{VERSION}: {NEW}'. This server serves {RANGE}."),
    "tomorrow": ("INVALID_ARGUMENT", "API_VERSION_MALFORMED", "The API version 'tomorrow' is not a date"),
    f"{NOW}T00:00": ("INVALID_ARGUMENT", "API_VERSION_MALFORMED", "is not a date"),
    "2098-01-01": ("INVALID_ARGUMENT", "API_VERSION_UNKNOWN", f"this server serves {OLD}, {NOW}, {NEW}."),
    "2020-09-30": (
        "FAILED_PRECONDITION",
        "CLIENT_TOO_OLD",
        f"it speaks API version 2020-09-30, this server serves {RANGE}.",
    ),
    "2099-03-02": (
        "FAILED_PRECONDITION",
        "CLIENT_TOO_NEW",
        f"it speaks API version 2099-03-02, this server serves {RANGE}.",
    ),
}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of three versions."""
    with serving([OLD, NOW, NEW], tmp_path_factory.mktemp("three"), metrics_address="127.0.0.1:0") as server:
        yield server


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    """What a test starts, closed with it."""
    with contextlib.ExitStack() as stack:
        yield stack


def start_worker(stack: contextlib.ExitStack, kind: WorkerKind, server: RunningServer, folder: Path, **options: Any):
    """A worker of a kind, started; its server's tokens are in the folder."""
    dags = folder / "dags"
    dags.mkdir(exist_ok=True)
    worker = WorkerProcess(
        kind, server.address, folder / "enrolment-token", dags=dags, folder=folder / "worker", **options
    )
    stack.callback(worker.close)
    worker.start()
    return worker


def client_of(stack: contextlib.ExitStack, server: RunningServer, version: str = NOW) -> Control:
    control = Control(server.address, server.access_token)
    control.metadata = [control.metadata[0], (VERSION, version)]
    stack.callback(control.close)
    return control


def workers_of(control: Control) -> list[workers_pb2.Worker]:
    found = control.call(control.workers.ListWorkers, workers_pb2.ListWorkersRequest())
    return list(found.workers)


def call(channel: grpc.Channel, method: str, metadata: Any) -> None:
    """An empty message, without what the generated stubs would add."""
    rpc: Any = channel.unary_unary(method)
    rpc(b"", metadata=metadata, timeout=PATIENCE)


# --- calls ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [LIST_WORKERS, HEARTBEAT])
@pytest.mark.parametrize("named", REFUSALS, ids=lambda named: repr(named))
def test_a_call_of_a_version_that_is_not_served_is_refused(
    three: RunningServer, method: str, named: str | None
) -> None:
    """Whatever it asks, and before its token is looked at."""
    metadata = (("authorization", "Bearer nonsense"), *(() if named is None else ((VERSION, named),)))
    with open_channel(three.address) as channel, pytest.raises(grpc.RpcError) as refused:
        call(channel, method, metadata)
    error: Any = refused.value
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    code, reason, sentence = REFUSALS[named]
    assert (error.code().name, info.reason) == (code, reason)
    assert sentence in error.details()
    assert (info.metadata["server_oldest"], info.metadata["server_newest"]) == (OLD, NEW)


@pytest.mark.parametrize("version", [OLD, NOW, NEW])
def test_a_call_of_every_version_that_is_served_is_answered(opened, three: RunningServer, version: str) -> None:
    before = counted_calls(three.metrics_address).get((version, "OK"), 0)
    workers_of(client_of(opened, three, version))
    assert counted_calls(three.metrics_address)[version, "OK"] == before + 1


@pytest.mark.parametrize("named", REFUSALS, ids=lambda named: repr(named))
def test_negotiate_and_health_are_answered_whatever_version_is_named(three: RunningServer, named: str | None) -> None:
    metadata = () if named is None else ((VERSION, named),)
    with open_channel(three.address) as channel:
        ask: Any = channel.unary_unary(NEGOTIATE)
        request = worker_service_pb2.NegotiateRequest(api_versions=["2100-01-01", "tomorrow", NOW, OLD])
        data = ask(request.SerializeToString(), metadata=metadata, timeout=PATIENCE)
        answer = worker_service_pb2.NegotiateResponse.FromString(data)
        health: Any = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest(), metadata=metadata).status == 1
    assert (answer.oldest_api_version, answer.newest_api_version) == (OLD, NEW)
    assert (answer.chosen_api_version, list(answer.api_versions)) == (NOW, [OLD, NOW, NEW])


def test_negotiate_chooses_nothing_where_nothing_is_common(three: RunningServer) -> None:
    with open_channel(three.address) as channel:
        ask: Any = channel.unary_unary(NEGOTIATE)
        for spoken in (["2100-01-01"], ["tomorrow"], []):
            request = worker_service_pb2.NegotiateRequest(api_versions=spoken)
            data = ask(request.SerializeToString(), timeout=PATIENCE)
            assert worker_service_pb2.NegotiateResponse.FromString(data).chosen_api_version == ""


def test_metrics_count_refusals_without_the_version_that_was_named(three: RunningServer) -> None:
    outcome = ("", "FAILED_PRECONDITION/CLIENT_TOO_OLD")
    before = counted_calls(three.metrics_address).get(outcome, 0)
    with open_channel(three.address) as channel, pytest.raises(grpc.RpcError):
        call(channel, LIST_WORKERS, ((VERSION, "1999-01-01"),))
    assert counted_calls(three.metrics_address)[outcome] == before + 1


# --- bundles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [each for each in REFUSALS if each is not None], ids=lambda named: repr(named))
def test_a_manifest_of_a_version_that_is_not_served_is_refused_for_its_bundle_alone(
    opened, three: RunningServer, named: str
) -> None:
    worker = ProtocolWorker(three.address, three.enrolment_token, name=f"bare-{list(REFUSALS).index(named)}")
    opened.callback(worker.close)
    good = manifest_of("good", "v1", independent_tasks("good", 1))
    other = manifest_of("other", "v1", independent_tasks("other", 1))
    other.api_version = named
    offers = {offer.bundle: offer.known for offer in worker.register(manifests=[good, other]).offers}
    assert offers == {"good": True, "other": False}
    with pytest.raises(Refused) as refused:
        publish(worker, other)
    assert refused.value.reason == REFUSALS[named][1]
    assert "bundle 'other'" in str(refused.value)
    assert NEW in str(refused.value)
    assert publish(worker, good).known
    control = client_of(opened, three)
    assert "other" not in control.dag_ids()
    (listed,) = (each for each in workers_of(control) if each.instance_id == worker.instance_id)
    assert [(each.bundle, each.api_version) for each in listed.bundles] == [("good", NOW)]


def publish(worker: ProtocolWorker, manifest: bundle_pb2.Manifest) -> worker_service_pb2.OfferResult:
    offer = worker_service_pb2.BundleOffer(
        bundle=manifest.bundle, bundle_version=manifest.bundle_version, manifest=manifest
    )
    request = worker_service_pb2.PublishBundleRequest(instance_id=worker.instance_id, offer=offer)
    answer: worker_service_pb2.PublishBundleResponse = worker._call(worker._stub.PublishBundle, request)
    return answer.result


def test_a_worker_leaves_out_bundles_of_other_versions_and_runs_one_that_is_newer_than_itself(
    opened, worker_kind: WorkerKind, go_bundles: GoBundles, tmp_path: Path
) -> None:
    stage = opened.enter_context(Stage())
    plain = go_bundles.puppets(one_task(), stage.path)
    bundles = [
        install(plain, tmp_path / "plain.bundle"),
        say_version(go_bundles.kit(), tmp_path / "kit.bundle", name="kit", api_version=NEW),
    ]
    others = {"missing": "", "malformed": "tomorrow", "unknown": "2098-01-01", "old": "2020-09-01", "new": "2100-01-01"}
    for name, version in others.items():
        bundles.append(say_version(go_bundles.kit(), tmp_path / f"{name}.bundle", name=name, api_version=version))
    server = opened.enter_context(serving([OLD, NOW, NEW], tmp_path, metrics_address="127.0.0.1:0"))
    options = [part for bundle in bundles for part in ("--bundle", bundle)]
    worker = start_worker(opened, worker_kind, server, tmp_path, options=options)
    for name, version in others.items():
        line = worker.wait_for(rf"The bundle {name} could not be published: (.*)").group(1)
        assert re.search(
            rf"{version or 'no API version'}.*serves {OLD}(, {NOW}, {NEW}| to {NEW})\. .*\([A-Z_]+\)", line
        )
    offered = worker.wait_for(r"On offer: (.*kit \w+.*one \w+.*)").group(1)
    assert not any(f"{name} " in offered for name in others)
    control = client_of(opened, server)
    control.set_variable("greeting", "hello", public=True)
    for dag_id, version in (("kit", NEW), ("one", NOW)):
        before = counted_calls(server.metrics_address).get((version, "OK"), 0)
        run_id = control.trigger(dag_id, conf=json.dumps({"stage": str(stage.path)}).encode())
        puppet = stage.enter("work")
        if dag_id == "kit":
            assert puppet.order("get_variable", key="greeting") == "hello"
            assert puppet.order("get_variable", key="greeting") == "hello"
            assert counted_calls(server.metrics_address)[version, "OK"] == before + 2
        puppet.succeed(1)
        assert control.wait_run(dag_id, run_id) == "SUCCEEDED"
    (listed,) = workers_of(control)
    spoken = {each.bundle: each.api_version for each in listed.bundles}
    assert (listed.api_version, spoken["kit"]) == (NOW, NEW)


# --- workers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("served", "way_out"),
    [
        ([OLD], "upgrade the server, or install an older (crosswind-sdk|worker)"),
        ([NEW, "2099-06-01"], "upgrade (crosswind-sdk|this worker)"),
    ],
)
def test_a_worker_without_a_common_version_ends_with_one_sentence(
    opened, worker_kind: WorkerKind, tmp_path: Path, served: list[str], way_out: str
) -> None:
    server = opened.enter_context(serving(served, tmp_path))
    worker = start_worker(opened, worker_kind, server, tmp_path)
    shown = " to ".join(served)
    worker.wait_for(
        rf"^crosswind-(go-)?worker: The server at {server.address} serves API version {shown}, this worker speaks "
        rf"{NOW}: {way_out}\.$"
    )
    assert worker.wait() == 3
    assert workers_of(client_of(opened, server, served[0])) == []


def test_sdks_of_several_versions_work_with_an_older_server(
    opened, worker_kind: WorkerKind, go_bundles: GoBundles, tmp_path: Path
) -> None:
    """Both the worker and the bundle are newer than the server, and name its version too."""
    stage = opened.enter_context(Stage())
    bundle = install(go_bundles.kit_speaking("2099-06-01", NOW), tmp_path / "kit.bundle")
    server = opened.enter_context(serving([OLD, NOW], tmp_path, metrics_address="127.0.0.1:0"))
    kind = SpeakingKind(worker_kind, "2099-06-01", NOW)
    worker = start_worker(opened, kind, server, tmp_path, options=["--bundle", bundle])
    worker.wait_for(r"On offer: .*kit ")
    control = client_of(opened, server)
    control.set_variable("greeting", "hello", public=True)
    run_id = control.trigger("kit", conf=json.dumps({"stage": str(stage.path)}).encode())
    puppet = stage.enter("work")
    assert puppet.order("get_variable", key="greeting") == "hello"
    puppet.succeed(1)
    assert control.wait_run("kit", run_id) == "SUCCEEDED"
    (listed,) = workers_of(control)
    assert (listed.api_version, [each.api_version for each in listed.bundles if each.bundle == "kit"]) == (NOW, [NOW])
    assert {version for version, _ in counted_calls(server.metrics_address)} == {"", NOW}


def test_a_worker_takes_up_with_a_server_that_comes_back_in_another_version(
    opened, worker_kind: WorkerKind, go_bundles: GoBundles, tmp_path: Path
) -> None:
    """What the old server refused, the new one is offered, and nobody starts the worker again."""
    bundle = say_version(go_bundles.kit(), tmp_path / "kit.bundle", name="kit", api_version=NEW)
    with contextlib.ExitStack() as before:
        server = before.enter_context(serving([NOW], tmp_path))
        kind = SpeakingKind(worker_kind, "2099-06-01", NOW)
        worker = start_worker(opened, kind, server, tmp_path, options=["--bundle", bundle])
        worker.wait_for(r"The bundle kit could not be published: The bundle 'kit' is too new")
        control = client_of(before, server)
        assert [each.api_version for each in workers_of(control)] == [NOW]
        since = worker.mark()
    server = opened.enter_context(serving([NOW, NEW, "2099-06-01"], tmp_path, address=server.address))
    worker.wait_for(r"serves other API versions than before; registering again, in version 2099-06-01\.", since=since)
    worker.wait_for(r"On offer: .*kit ", since=since)
    (listed,) = workers_of(client_of(opened, server))
    assert (listed.api_version, {each.bundle: each.api_version for each in listed.bundles}["kit"]) == (
        "2099-06-01",
        NEW,
    )
