"""What commands and figures say of API versions, to those who run servers, workers and bundles of several. [VER-1]"""

import contextlib
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from crosswind.api_versions import newest
from crosswind.client.control_client import ControlClient
from crosswind.control.v1 import workers_pb2
from tests.e2e.support.processes import BIN, PATIENCE, run
from tests.e2e.support.protocol_worker import ProtocolWorker, independent_tasks, manifest_of
from tests.e2e.support.versions import serving

OLD, NOW, NEW = "2020-10-01", newest(), "2099-03-01"


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    """What a test starts, closed with it."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(
    ("served", "way_out"),
    [
        ([OLD], "upgrade the server, or install an older crosswind-sdk."),
        ([NEW, "2099-06-01"], "upgrade crosswind-sdk."),
        ([OLD, NEW], "install a crosswind-sdk that speaks a version of the server's."),
    ],
)
def test_a_command_without_a_common_version_is_one_sentence(
    opened, tmp_path: Path, served: list[str], way_out: str
) -> None:
    server = opened.enter_context(serving(served, tmp_path))
    options = ["--server", server.address, "--token-file", tmp_path / "access-token"]
    done = run([BIN / "crosswind", "workers", "list", *options], folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"This command speaks API version {NOW}, and the server at {server.address} serves {' to '.join(served)}: "
        f"{way_out}\n"
    )


def test_a_command_of_several_versions_works_with_an_older_server(opened, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("crosswind.api_versions.API_VERSIONS", ("2099-06-01", NOW))
    server = opened.enter_context(serving([OLD, NOW], tmp_path))
    with ControlClient(server.address, token=server.access_token) as client:
        for _ in range(2):
            assert list(client.list_rows(client.workers.ListWorkers, workers_pb2.ListWorkersRequest(), "workers")) == []


def test_the_list_of_workers_shows_versions(opened, tmp_path: Path) -> None:
    server = opened.enter_context(serving([OLD, NOW, NEW], tmp_path))
    worker = ProtocolWorker(server.address, server.enrolment_token, name="bare")
    opened.callback(worker.close)
    manifest = manifest_of("flights", "v1", independent_tasks("flights", 1))
    manifest.api_version = NEW
    worker.register(manifests=[manifest])
    options = ["--server", server.address, "--token-file", tmp_path / "access-token"]
    table = run([BIN / "crosswind", "workers", "list", *options], folder=tmp_path).stdout.splitlines()
    assert re.search(r"api version .*bundle api versions", table[0])
    assert re.search(rf"bare .*{NOW} .*flights +{NEW}", table[1])
    shown = json.loads(run([BIN / "crosswind", "workers", "list", *options, "-o", "json"], folder=tmp_path).stdout)
    assert [(row["api_version"], row["bundles"][0]["api_version"]) for row in shown] == [(NOW, NEW)]


def test_the_servers_command_says_who_needs_which_version(opened, tmp_path: Path) -> None:
    """It reads the database beside the server. It knows the versions of its own source only: one, the newest."""
    server = opened.enter_context(serving([OLD, NOW, NEW], tmp_path))
    worker = ProtocolWorker(server.address, server.enrolment_token, name="bare")
    opened.callback(worker.close)
    manifest = manifest_of("aged", "v1", independent_tasks("flights", 1))
    manifest.api_version = OLD
    worker.register(manifests=[manifest])
    command: list[str | Path] = [BIN / "crosswind-server", "versions", "--db", f"sqlite:///{tmp_path / 'crosswind.db'}"]
    table = run(command, folder=tmp_path)
    assert table.returncode == 0
    lines = table.stdout.splitlines()
    assert re.match(rf"{OLD} +not served +0 live +1 live +\d", lines[1])
    assert re.match(rf"{NOW} +newest +1 live +0 live +\d", lines[2])
    assert f"{OLD} is spoken by the bundles aged@v1." in lines
    assert f"The oldest version served is {NOW}." in lines[-1]
    shown = json.loads(run([*command, "-o", "json"], folder=tmp_path).stdout)
    assert (shown["oldest"], shown["newest"], shown["window_months"]) == (NOW, NOW, 24)
    assert [each["api_version"] for each in shown["versions"]] == [OLD, NOW]


def test_metrics_show_workers_and_bundles_by_version_and_are_for_this_machine(opened, tmp_path: Path) -> None:
    server = opened.enter_context(serving([OLD, NOW, NEW], tmp_path, metrics_address="127.0.0.1:0"))
    worker = ProtocolWorker(server.address, server.enrolment_token, name="bare")
    opened.callback(worker.close)
    worker.register(manifests=[manifest_of("flights", "v1", independent_tasks("flights", 1))])
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    assert f'crosswind_workers{{api_version="{NOW}",language="test",sdk_version="1"}} 1.0' in lines
    assert f'crosswind_bundles{{api_version="{NOW}"}} 1.0' in lines
    assert any(
        line.startswith(f'crosswind_api_version_window_end_timestamp_seconds{{api_version="{OLD}"}}') for line in lines
    )
    assert "crosswind_database_up 1.0" in lines
    refused = run(
        [
            BIN / "crosswind-server",
            "start",
            "--db",
            "sqlite://",
            "--address",
            "127.0.0.1:0",
            "--metrics-address",
            "0.0.0.0:0",
        ],
        folder=tmp_path,
    )
    assert refused.returncode == 3
    assert "--metrics-open" in refused.stderr
