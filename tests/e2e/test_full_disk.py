"""A full disk under the database: a clear error, nothing corrupt, and everything goes on when there is room again."""

import contextlib
import re
import sys
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import grpc
import psycopg
import pytest

from crosswind.control.v1 import variables_pb2
from tests.e2e.support.cluster import Cluster, chain
from tests.e2e.support.control import Control
from tests.e2e.support.processes import Process, run
from tests.e2e.support.servers import ServerProcess
from tests.e2e.support.small_disk import SmallDisk

MEBIBYTE = 1 << 20
_CHECK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(*(connection.execute(f"PRAGMA {name}_check").fetchall() for name in ("integrity", "foreign_key")))
"""


class Disk:
    """The database's disk, in one hand for both databases."""

    def __init__(self, disk: SmallDisk, process: Process) -> None:
        self._disk = disk
        self._process = process

    def fill(self) -> None:
        """Leave no room."""
        self._disk.fill(self._process.pid)

    def free(self) -> None:
        """Make room, and see to it that the database runs."""
        self._disk.free(self._process.pid)
        if not isinstance(self._process, ServerProcess):
            self._process.say("ensure")
            self._process.wait_for("^running$")


def test_sqlite_on_a_full_disk(worker_kind, clusters, tmp_path):
    disk = SmallDisk(tmp_path / "disk", size_bytes=24 * MEBIBYTE)
    database = disk.folder / "crosswind.db"
    cluster = Cluster(worker_kind, f"sqlite:///{database}", tmp_path)
    clusters.append(cluster)
    server = cluster.start_server(wrap=disk.command())
    _run_through_a_full_disk(cluster, Disk(disk, server))
    checked = run(disk.inside(server.pid, sys.executable, "-c", _CHECK, database), folder=tmp_path)
    assert (checked.stdout, checked.stderr) == ("[('ok',)] []\n", "")


@pytest.mark.parametrize("full", ["tables", "log"])
def test_postgresql_on_a_full_disk(worker_kind, clusters, tmp_path, full):
    disk = SmallDisk(tmp_path / "disk", size_bytes=160 * MEBIBYTE)
    program = disk.command(sys.executable, "-m", "tests.e2e.support.small_disk", disk.folder)
    root = str(Path(__file__).parents[2])
    with Process("postgres", program, folder=tmp_path, environment={"PYTHONPATH": root}) as process:
        url = process.wait_for(r"url (\S+)", seconds=60).group(1)
        cluster = Cluster(worker_kind, url, tmp_path)
        clusters.append(cluster)
        cluster.processes.append(process)
        cluster.start_server()
        steps = [partial(break_log, url)] if full == "log" else []
        _run_through_a_full_disk(cluster, Disk(disk, process), and_then=steps)
        if full == "log":
            process.wait_for("PANIC")
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            for (table,) in connection.execute(
                "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall():
                connection.execute(f"SELECT count(*) FROM {table}")


def break_log(url: str) -> None:
    """Make PostgreSQL go on to a new file of its write-ahead log, for which there is no room: it ends in a panic."""
    with contextlib.suppress(psycopg.OperationalError):
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            for _ in range(100):
                connection.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000))")
        raise AssertionError("The log did not fill.")


def _run_through_a_full_disk(cluster: Cluster, disk: Disk, *, and_then: Sequence[Callable[[], None]] = ()) -> None:
    control = cluster.control
    cluster.write(chain())
    worker = cluster.start_worker()
    dag_run = control.trigger("chain")
    puppet = cluster.stage.enter("first")
    disk.fill()
    for step in and_then:
        step()
    code, reason, sentence = write_until_refused(control)
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    assert re.search(r"full|space|cannot be reached|cannot be used now", sentence), sentence
    cluster.server.wait_for(r"(?i)full|no space|cannot be (reached|used now)")
    assert "Traceback" not in cluster.server.log
    # The task ends while nothing can be written, and leases would have run out.
    since = worker.mark()
    puppet.succeed(4)
    worker.wait_for(r"(?i)DATABASE_UNAVAILABLE|unavailable|full|cannot", since=since)
    cluster.let_leases_run_out()
    assert cluster.server.alive
    assert worker.alive
    disk.free()
    second = cluster.stage.enter("second")
    assert second.value == [4]
    second.succeed(5)
    assert control.wait_run("chain", dag_run) == "SUCCEEDED"
    assert control.attempt_states("chain", dag_run, "first") == ["SUCCEEDED"]
    assert cluster.stage.arrivals == [("first", 1), ("second", 1)]


def write_until_refused(control: Control) -> tuple[grpc.StatusCode, str, str]:
    """Write variables until there is no room for one; returns how it was refused."""
    for number in range(2000):
        request = variables_pb2.SetVariableRequest(
            key=f"filler-{number}", value=uuid.uuid4().hex * 1024, request_id=str(uuid.uuid4())
        )
        with contextlib.suppress(AssertionError):
            return control.refused(control.variables.SetVariable, request)
    raise AssertionError("The disk did not fill.")
