"""The server as a process: how it starts, listens, stops, and what it says when it cannot."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import create_engine, text

from crosswind.control.v1 import dag_runs_pb2, server_pb2, server_pb2_grpc, variables_pb2
from crosswind_server.app import serve_in_thread
from tests.e2e.support.control import Control, open_channel, reason_of
from tests.e2e.support.processes import BIN, PATIENCE, Process, ProcessFailed, run, wait_until_gone
from tests.e2e.support.protocol_worker import ProtocolWorker, independent_tasks, manifest_of
from tests.e2e.support.servers import ServerProcess, child_pids
from tests.postgres import PostgresServer


@pytest.fixture
def server(sqlite_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(sqlite_url, tmp_path / "server")
    yield process
    process.close()


def health_of(channel: grpc.Channel) -> Any:
    """The health service's stub, which its package does not type."""
    return health_pb2_grpc.HealthStub(channel)


def one_sentence(log: str) -> str:
    assert "Traceback" not in log, log
    (line,) = log.strip().splitlines()
    assert line.startswith("crosswind-server: ")
    return line


def test_a_stop_is_announced_answers_what_waits_and_leaves_nothing_behind(server: ServerProcess) -> None:
    server.start()
    control = server.control()
    worker = ProtocolWorker(server.address, server.enrolment_token_file.read_text().strip(), name="w")
    worker.register(manifests=[manifest_of("b", "v1", independent_tasks("waits", 1))])
    run_id = control.trigger("waits")
    worker.poll()
    run_now = control.run("waits", run_id)
    long_poll = control.runs.GetDagRun.future(
        dag_runs_pb2.GetDagRunRequest(
            dag_id="waits", run_id=run_id, wait=Duration(seconds=25), known_revision=run_now.revision
        ),
        metadata=tuple(control.metadata),
        timeout=PATIENCE,
    )
    seen: list[int] = []
    with open_channel(server.address) as channel:
        statuses = health_of(channel).Watch(health_pb2.HealthCheckRequest())
        seen.append(next(statuses).status)
        # A call behind the long poll on the same connection: when it is answered, the poll is with the server.
        control.variables.ListVariables(variables_pb2.ListVariablesRequest(), metadata=tuple(control.metadata))
        began = time.monotonic()
        server.terminate()
        seen.append(next(statuses).status)
    assert long_poll.result().dag_run.revision == run_now.revision
    assert server.wait() == 0
    assert time.monotonic() - began < 10
    assert seen == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]
    assert not (server.home / "server.json").exists()
    assert (server.home / "access-token").exists()
    control.close()
    worker.close()


def test_tokens_and_secrets_outlive_a_restart(server: ServerProcess) -> None:
    server.start()
    control = server.control()
    request = variables_pb2.SetVariableRequest(key="k", value="v", request_id="0" * 32)
    control.call(control.variables.SetVariable, request)
    tokens = server.access_token_file.read_text(), server.enrolment_token_file.read_text()
    server.terminate()
    assert server.wait() == 0
    server.start()
    assert (server.access_token_file.read_text(), server.enrolment_token_file.read_text()) == tokens
    got = control.call(control.variables.GetVariable, variables_pb2.GetVariableRequest(key="k"))
    assert got.variable.value == "v"
    control.close()


def test_a_second_signal_ends_it_before_its_grace_is_over(server: ServerProcess) -> None:
    server.environment["CROSSWIND_STOP_GRACE"] = "60"
    server.start()
    with open_channel(server.address) as channel:
        statuses = health_of(channel).Watch(health_pb2.HealthCheckRequest())
        next(statuses)
        # The open watch is a call in flight, for which the server waits up to a minute.
        server.terminate()
        next(statuses)
        with pytest.raises(ProcessFailed):
            server.wait(seconds=1)
        server.terminate()
        assert server.wait() == -15


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--db", "mysql://u:hunter2@h/d"], "sqlite:///"),
        (["--db", "nonsense"], "postgresql://"),
        (["--db", "sqlite:////no/such/folder/x.db"], "/no/such/folder"),
        (["--address", "nowhere"], "127.0.0.1:8090"),
        (["--address", "0.0.0.0:0"], "--tls-cert"),
        (["--address", "127.0.0.1:0", "--tls-cert", "c.pem", "--tls-key", "k.pem"], "c.pem"),
        (["--address", "127.0.0.1:0", "--tls-cert", __file__, "--tls-key", __file__], "private key in PEM"),
        (["--address", "0.0.0.0:0", "--tls-cert", "c.pem"], "tls_key"),
        (["--lease-duration", "1", "--heartbeat-interval", "1"], "twice as long"),
        (["--encryption-key-file", "nokey"], "nokey"),
        (["--home", "/proc/nothing"], "--home"),
        (["--log-format", "xml"], "--log-format"),
    ],
)
def test_a_start_that_cannot_succeed_is_one_sentence(tmp_path: Path, flags: list[str], told: str) -> None:
    done = run([BIN / "crosswind-server", "start", *flags], folder=tmp_path)
    assert done.returncode == 3, done
    assert told in one_sentence(done.stderr)
    assert "hunter2" not in done.stderr


def test_a_database_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    url = "postgresql://crosswind:hunter2@127.0.0.1:1/none"
    done = run([BIN / "crosswind-server", "start", "--db", url], folder=tmp_path)
    assert done.returncode == 1, done
    assert "127.0.0.1" in one_sentence(done.stderr)
    assert "hunter2" not in done.stderr


def test_an_unknown_flag_is_wrong_usage(tmp_path: Path) -> None:
    assert run([BIN / "crosswind-server", "start", "--lease", "1"], folder=tmp_path).returncode == 2


def test_another_encryption_key_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    server.start()
    server.terminate()
    assert server.wait() == 0
    (server.home / "encryption-key").unlink()
    since = server.mark()
    server.launch()
    assert server.wait() == 3
    assert "--encryption-key-file" in server.log.splitlines()[since:][-1]
    assert "Traceback" not in server.log


def test_a_newer_database_is_refused_by_every_command(server: ServerProcess, sqlite_url: str) -> None:
    server.start()
    server.terminate()
    server.wait()
    database = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.execute("UPDATE schema_admission SET min_server_revision = '9999'")
    database.commit()
    database.close()
    for command in (["start", "--address", "127.0.0.1:0"], ["migrate"], ["token", "list"]):
        done = run([BIN / "crosswind-server", *command, "--db", sqlite_url], folder=server.folder)
        assert done.returncode == 3, (command, done)
        assert "newer" in one_sentence(done.stderr)


def test_migrate_makes_a_fresh_database_leaves_a_current_one_and_refuses_a_newer_one(
    tmp_path: Path, database_url: str
) -> None:
    command: list[str | Path] = [BIN / "crosswind-server", "migrate", "--db", database_url]
    fresh, current = (run(command, folder=tmp_path) for _ in "12")
    assert fresh.stdout == current.stdout == "The database has schema revision 0001.\n"
    assert (fresh.returncode, current.returncode, fresh.stderr, current.stderr) == (0, 0, "", "")
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("UPDATE schema_admission SET min_server_revision = '9999'"))
    engine.dispose()
    newer = run(command, folder=tmp_path)
    assert (newer.returncode, newer.stdout) == (3, "")
    assert "newer" in one_sentence(newer.stderr)


def test_migrate_and_tokens_work_without_a_server(tmp_path: Path, database_url: str) -> None:
    flags = ["--db", database_url]
    migrated = run([BIN / "crosswind-server", "migrate", *flags], folder=tmp_path)
    assert (migrated.returncode, "0001" in migrated.stdout) == (0, True), migrated
    token: list[str | Path] = [BIN / "crosswind-server", "token"]
    made = run([*token, "create", "--kind", "enrolment", "--subject", "me", "--bundle", "a", *flags], folder=tmp_path)
    assert made.returncode == 0, made
    listed = run([*token, "list", *flags], folder=tmp_path).stdout.splitlines()
    (line,) = [line for line in listed if "enrolment" in line]
    assert run([*token, "revoke", line.split()[0], *flags], folder=tmp_path).returncode == 0
    assert "enrolment" not in run([*token, "list", *flags], folder=tmp_path).stdout
    with ServerProcess(database_url, tmp_path) as server:
        worker = ProtocolWorker(server.address, made.stdout.strip(), name="w")
        with pytest.raises(Exception, match="revoked"):
            worker.register()
        worker.close()


def until_refused(call: Callable[[], object]) -> str:
    """Repeat a call until it is refused; returns the reason."""
    while True:
        try:
            call()
        except grpc.RpcError as error:
            return reason_of(error)


def test_tokens_of_any_team_are_made_listed_and_revoked_beside_a_server(tmp_path: Path, database_url: str) -> None:
    with ServerProcess(database_url, tmp_path) as server:

        def token(*arguments: str, team: str) -> str:
            command: list[str | Path] = [BIN / "crosswind-server", "token", *arguments, "--team", team]
            command += ["--db", database_url]
            done = run(command, folder=tmp_path)
            assert (done.returncode, done.stderr) == (0, ""), done
            return done.stdout

        for team in ("default", "red"):
            made = token("create", "--subject", f"{team} reader", "--role", "viewer", team=team)
            listed = token("list", team=team)
            (line,) = [line for line in listed.splitlines() if "reader" in line]
            assert f"{team} reader" in line
            control = Control(server.address, made.strip())
            assert control.dag_ids() == []
            token("revoke", line.split()[0], team=team)
            # On SQLite another process wrote it, of which the server learns within a heartbeat.
            assert until_refused(control.dag_ids) == "TOKEN_REVOKED"
            control.close()


def test_an_idle_connection_survives_pings_that_gRPC_would_end(server: ServerProcess) -> None:
    server.environment["CROSSWIND_MIN_PING_INTERVAL"] = "0.1"
    server.start()
    options = [
        ("grpc.keepalive_time_ms", 1000),
        ("grpc.keepalive_timeout_ms", 5000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    states: list[grpc.ChannelConnectivity] = []
    broken = threading.Event()

    def note(state: grpc.ChannelConnectivity) -> None:
        states.append(state)
        if grpc.ChannelConnectivity.READY in states[:-1]:
            broken.set()

    with grpc.insecure_channel(server.address, options=options) as channel:
        health = health_of(channel)
        health.Check(health_pb2.HealthCheckRequest())
        channel.subscribe(note)
        # gRPC's own server ends a connection at the third ping without data; here some eight pass.
        assert not broken.wait(8)
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        assert not broken.is_set()


def test_the_log_is_json_where_that_is_asked(server: ServerProcess) -> None:
    server.environment["CROSSWIND_LOG_FORMAT"] = "json"
    server.start()
    server.terminate()
    assert server.wait() == 0
    events = [json.loads(line) for line in server.log.splitlines()]
    assert [event["event"].split(" on ")[0] for event in events] == ["listening", "stopping", "stopped"]


def test_a_server_in_a_thread_is_a_real_one() -> None:
    with serve_in_thread() as running:
        control = Control(running.address, running.access_token)
        worker = ProtocolWorker(running.address, running.enrolment_token, name="w")
        worker.register(manifests=[manifest_of("b", "v1", independent_tasks("one", 1))])
        run_id = control.trigger("one")
        lease = worker.poll().leases[0]
        worker.start(lease.attempt)
        worker.finish(lease.attempt)
        assert control.wait_run("one", run_id) == "SUCCEEDED"
        info = control.call(
            server_pb2_grpc.ServerServiceStub(control.channel).GetServerInfo, server_pb2.GetServerInfoRequest()
        )
        assert info.database_kind == server_pb2.DATABASE_KIND_SQLITE_MEMORY
        address = running.address
        control.close()
        worker.close()
    with pytest.raises(grpc.RpcError) as gone, grpc.insecure_channel(address) as channel:
        health_of(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    assert reason_of(gone.value) == ""


def test_dev_runs_a_server_and_a_worker_that_stop_together(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "one.py").write_text(
        "from crosswind import DAG, task\nwith DAG('one'):\n    task(lambda: 1, task_id='t')()\n"
    )
    command: list[str | Path] = [BIN / "crosswind-server", "dev", "dags", "--address", "127.0.0.1:0", "--slots", "2"]
    with Process("dev", command, folder=tmp_path) as dev:
        address = dev.wait_for(r"listening on (127\.0\.0\.1:\d+)").group(1)
        dev.wait_for("crosswind dags trigger")
        dev.wait_for("On offer")
        control = Control.with_token_file(address, tmp_path / ".crosswind" / "access-token")
        (worker,) = child_pids(dev.pid)
        run_id = control.trigger("one")
        assert control.wait_run("one", run_id) == "SUCCEEDED"
        control.close()
        dev.terminate()
        assert dev.wait() == 0
        wait_until_gone(worker)
    with Process("dev-again", command, folder=tmp_path) as dev:
        dev.wait_for("On offer")
        (worker,) = child_pids(dev.pid)
        dev.kill9()
        wait_until_gone(worker)


def test_health_follows_the_database(tmp_path: Path) -> None:
    with PostgresServer() as postgres, ServerProcess(postgres.create_database(), tmp_path) as server:
        control = server.control()
        with open_channel(server.address) as channel:
            statuses = health_of(channel).Watch(health_pb2.HealthCheckRequest())
            assert next(statuses).status == health_pb2.HealthCheckResponse.SERVING
            postgres.stop(immediate=True)
            request = variables_pb2.SetVariableRequest(key="k", value="v", request_id="1" * 32)
            code, reason, _ = control.refused(control.variables.SetVariable, request)
            assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            assert next(statuses).status == health_pb2.HealthCheckResponse.NOT_SERVING
            postgres.start()
            assert next(statuses).status == health_pb2.HealthCheckResponse.SERVING
        assert control.call(control.variables.SetVariable, request).created
        control.close()
        server.terminate()
        assert server.wait() == 0
