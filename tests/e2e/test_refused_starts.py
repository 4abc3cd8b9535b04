"""Starts that cannot succeed: tokens, addresses, databases. One sentence, a proper exit code, nobody else is harmed."""

import socket
import sqlite3
import threading

import psycopg
import pytest

from tests.e2e.support.cluster import one_task
from tests.e2e.support.processes import BIN, run
from tests.e2e.support.servers import ServerProcess
from tests.e2e.support.workers import NO_WORKER


def let_expire() -> None:
    """Let a token of one second expire. The passing of time is the event here: nothing else could signal it."""
    threading.Event().wait(2.1)


def sentence_of(log: str) -> str:
    """What a process said last; it is no traceback."""
    assert "Traceback" not in log, log
    return log.strip().splitlines()[-1]


@pytest.mark.parametrize("case", ["wrong", "expired", "empty", "missing-file", "revoked-kind"])
def test_worker_with_a_bad_token_stops_and_says_why(cluster, case):
    cluster.write(one_task())
    token_file = cluster.folder / "token"
    expected = str(token_file)
    match case:
        case "wrong":
            token_file.write_text("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.AAAA")
            expected = "token"
        case "expired":
            token_file.write_text(cluster.control.enrolment_token(seconds=1))
            let_expire()
            expected = "expired"
        case "empty":
            token_file.write_text("")
        case "revoked-kind":
            # A person's token is good, but not for this.
            token_file.write_text(cluster.control.access_token(seconds=60))
            expected = "token"
    worker = cluster.worker(token_file=token_file)
    worker.start()
    assert worker.wait() not in (0, -9)
    assert expected in sentence_of(worker.log)
    assert cluster.control.worker_states() == {}


@NO_WORKER
@pytest.mark.parametrize("case", ["wrong", "expired", "missing-file"])
def test_command_with_a_bad_token_fails_and_says_why(cluster, case):
    token_file = cluster.folder / "token"
    expected = "token"
    match case:
        case "wrong":
            token_file.write_text("not a token")
        case "expired":
            token_file.write_text(cluster.control.access_token(seconds=1))
            let_expire()
            expected = "expired"
        case "missing-file":
            expected = str(token_file)
    arguments = ["dags", "list", "--server", cluster.server.address, "--token-file", token_file]
    done = run([BIN / "crosswind", *arguments], folder=cluster.folder)
    assert done.returncode in (2, 3), done
    assert expected in sentence_of(done.stderr)


@NO_WORKER
def test_command_without_any_token_says_where_one_comes_from(cluster):
    done = run([BIN / "crosswind", "dags", "list", "--server", cluster.server.address], folder=cluster.folder)
    assert done.returncode in (2, 3), done
    assert "--token-file" in sentence_of(done.stderr)


def test_viewer_may_not_trigger(cluster):
    cluster.write(one_task())
    cluster.start_worker()
    token_file = cluster.folder / "token"
    token_file.write_text(cluster.control.access_token(seconds=60))
    arguments = ["dags", "trigger", "one", "--server", cluster.server.address, "--token-file", token_file]
    done = run([BIN / "crosswind", *arguments], folder=cluster.folder)
    assert done.returncode == 3, done
    assert "operator" in sentence_of(done.stderr).lower()


def test_command_fails_at_once_when_the_server_is_down(tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text("any")
    address = f"127.0.0.1:{free_port()}"
    done = run([BIN / "crosswind", "dags", "list", "--server", address, "--token-file", token_file], folder=tmp_path)
    assert done.returncode == 3, done
    assert address in sentence_of(done.stderr)


def test_worker_waits_for_a_server_that_is_down(cluster):
    cluster.write(one_task())
    cluster.start_server()
    cluster.server.terminate()
    cluster.server.wait()
    worker = cluster.worker()
    worker.start()
    line = worker.wait_for(rf".*{cluster.server.address}.*").group(0)
    assert "Traceback" not in worker.log
    assert line
    cluster.server.start()
    worker.wait_on_offer()
    run_id = cluster.control.trigger("one")
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", run_id) == "SUCCEEDED"


def test_server_on_a_port_in_use_names_it(tmp_path, sqlite_url):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = ServerProcess(sqlite_url, tmp_path / "server")
        server.listening = address
        server.launch()
        assert server.wait() not in (0, -9)
        assert address in sentence_of(server.log)
        assert "--address" in sentence_of(server.log)


@NO_WORKER
def test_second_server_on_a_sqlite_file_names_the_first(cluster):
    second = ServerProcess(cluster.database_url, cluster.folder / "second")
    first = cluster.server
    second.launch()
    assert second.wait() not in (0, -9)
    assert str(first.pid) in sentence_of(second.log)
    assert first.alive
    assert cluster.control.dag_ids() == []


@NO_WORKER
def test_database_newer_than_the_server_is_refused(each_cluster):
    cluster = each_cluster
    cluster.server.terminate()
    assert cluster.server.wait() == 0
    _pretend_newer(cluster.database_url)
    cluster.server.launch()
    assert cluster.server.wait() not in (0, -9)
    told = sentence_of(cluster.server.log)
    assert "9999" in told
    assert "newer" in told


def _pretend_newer(url: str) -> None:
    statements = (
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE schema_admission SET min_server_revision = '9999'",
    )
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        for statement in statements:
            server.execute(statement.encode())


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        port: int = any_socket.getsockname()[1]
        return port
