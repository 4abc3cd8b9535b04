"""TLS from end to end: found by what the server leaves on its machine, named by hand, and wanting on either side."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support.certificates import write_certificate
from tests.e2e.support.cluster import Cluster, one_task
from tests.e2e.support.dags import Does
from tests.e2e.support.processes import BIN, Process, run
from tests.e2e.support.workers import NO_WORKER, PYTHON_SOURCE, WorkerKind

NAMES = {"the address": "127.0.0.1", "a name elsewhere": "crosswind.example"}


@pytest.fixture(params=list(NAMES))
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key; for the address that is dialled, and for another name."""
    return write_certificate(tmp_path / "tls", NAMES[request.param])


@pytest.fixture
def cluster(
    worker_kind: WorkerKind, certificate: tuple[Path, Path], sqlite_url: str, tmp_path: Path
) -> Iterator[Cluster]:
    """A server with TLS on every address, and one DAG."""
    cluster = Cluster(worker_kind, sqlite_url, tmp_path)
    try:
        tls = {"CROSSWIND_TLS_CERT": str(certificate[0]), "CROSSWIND_TLS_KEY": str(certificate[1])}
        server = cluster.start_server(environment=tls, address="0.0.0.0:0")
        cluster.write(one_task("one", does=Does(perform=False)))
        assert server.address.startswith("127.0.0.1:")
        yield cluster
    finally:
        cluster.close()


def make_worker(cluster: Cluster) -> Process:
    """A worker beside the server, told nothing of it, not started."""
    options: list[str | Path] = ["--name", "w", "--state-dir", cluster.folder / "state"]
    command = cluster.kind.command(dags=cluster.dags, options=options)
    process = Process("worker", command, folder=cluster.server.folder)
    cluster.processes.append(process)
    return process


def test_worker_and_commands_find_it_by_themselves(cluster):
    note = json.loads((cluster.server.home / "server.json").read_text())
    assert note["address"] == cluster.server.address  # not the wildcard, which is no place to dial
    with make_worker(cluster) as worker:
        worker.wait_for(r"On offer: \S+ \S")
        done = cluster.command("dags", "trigger", "one", "--wait")
        assert done.returncode == 0, done.stderr
        tokens = run(
            [BIN / "crosswind-server", "token", "list", "--db", cluster.database_url], folder=cluster.server.folder
        )
        assert (tokens.returncode, "enrolment" in tokens.stdout) == (0, True), tokens.stderr


@pytest.mark.parametrize("certificate", ["the address"], indirect=True)
def test_worker_and_commands_take_the_authorities_by_hand(cluster, certificate, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    server = ["--server", cluster.server.address, "--tls-ca", certificate[0]]
    worker = cluster.worker("far", options=["--tls-ca", certificate[0]])
    worker.start()
    worker.wait_on_offer()
    stated = [*server, "--token-file", cluster.server.access_token_file]
    done = run([BIN / "crosswind", "dags", "trigger", "one", "--wait", *stated], folder=elsewhere)
    assert done.returncode == 0, done.stderr


def not_trusted(cluster: Cluster) -> str:
    return f"The server at {cluster.server.address} has a certificate that is not trusted here: name the authorities"


@NO_WORKER
@pytest.mark.parametrize("certificate", ["the address"], indirect=True)
def test_command_that_does_not_speak_it_or_does_not_trust_it_tells_so(cluster, tmp_path):
    address, token = cluster.server.address, cluster.server.access_token_file
    elsewhere = tmp_path / "elsewhere"
    other, _ = write_certificate(elsewhere)
    told: dict[tuple[str | Path, ...], str] = {
        (): f"The server at {address} speaks TLS only: give --tls, or --tls-ca with the authorities to trust.",
        ("--tls",): not_trusted(cluster),
        ("--tls-ca", other): not_trusted(cluster),
    }
    for options, sentence in told.items():
        command = [BIN / "crosswind", "dags", "list", "--server", address, "--token-file", token, *options]
        done = run(command, folder=elsewhere)
        assert done.returncode == 3
        assert done.stderr.startswith(sentence), done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("certificate", ["the address"], indirect=True)
def test_worker_that_does_not_speak_it_or_does_not_trust_it_tells_so(cluster, tmp_path):
    other, _ = write_certificate(tmp_path / "elsewhere")
    worker = cluster.worker("plain")
    worker.start()
    worker.wait_for(
        f"The server at {cluster.server.address} speaks TLS only: give --tls, .*; trying again until it answers"
    )
    mistaken = cluster.worker("mistaken", options=["--tls-ca", other])
    mistaken.start()
    mistaken.wait_for(f"{not_trusted(cluster)} that made it with --tls-ca; trying again until it answers")
    mistaken.terminate()
    assert mistaken.wait() == 0
    # gRPC's own lines do not stand around it, unless somebody wants them.
    assert "andshake failed" not in mistaken.log


@PYTHON_SOURCE
@pytest.mark.parametrize("certificate", ["the address"], indirect=True)
def test_python_worker_shows_the_lines_of_grpc_to_who_wants_them(cluster, tmp_path):
    other, _ = write_certificate(tmp_path / "elsewhere")
    wordy = cluster.worker("wordy", options=["--tls-ca", other], environment={"GRPC_VERBOSITY": "INFO"})
    wordy.start()
    wordy.wait_for("Handshake failed")


ASKS = """
import os
from crosswind import DAG, task
@task
def ask() -> None:
    print("verbosity", os.environ.get("GRPC_VERBOSITY"))
with DAG("asks"):
    ask()
"""


@PYTHON_SOURCE
@pytest.mark.parametrize("certificate", ["the address"], indirect=True)
def test_tasks_do_not_inherit_that_their_worker_silences_grpc(cluster):
    (cluster.dags / "asks.py").write_text(ASKS)
    with make_worker(cluster) as worker:
        worker.wait_for(r"On offer: \S+ \S")
        done = cluster.command("dags", "trigger", "asks", "--run-id", "r1", "--wait")
        assert done.returncode == 0, done.stderr
        assert "verbosity None" in cluster.command("tasks", "logs", "asks/r1", "ask").stdout


@pytest.mark.parametrize("certificate", ["a name elsewhere"], indirect=True)
def test_a_certificate_for_another_name_is_told(cluster, certificate, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stated = ["--server", cluster.server.address, "--token-file", cluster.server.access_token_file]
    done = run([BIN / "crosswind", "dags", "list", *stated, "--tls-ca", certificate[0]], folder=elsewhere)
    assert done.returncode == 3
    assert "has a certificate for another name" in done.stderr
    worker = cluster.worker("mistaken", options=["--tls-ca", certificate[0]])
    worker.start()
    worker.wait_for("has a certificate for another name: give --server a name that its certificate holds")
