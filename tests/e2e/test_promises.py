"""The two promises: database connections do not grow with tasks, and a worker needs one port and nothing else."""

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.e2e.support.cluster import Cluster
from tests.e2e.support.dags import DagSpec, Does, TaskSpec
from tests.e2e.support.networks import OnePort
from tests.e2e.support.protocol_worker import independent_tasks, manifest_of
from tests.e2e.support.servers import Pace
from tests.e2e.support.workers import NO_WORKER, PythonKind

MANY = 1000
FLIGHTS = Path(__file__).parents[2] / "examples" / "flights" / "dags"


def connections_to(url: str) -> int:
    """How many connections a database has, beside the one that asks."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return int(row[0])


@NO_WORKER
def test_connections_are_as_many_with_a_thousand_running_tasks_as_with_one(each_cluster):
    cluster = each_cluster
    cluster.start_server(pace=Pace(heartbeat_interval=5, lease_duration=60, start_deadline=60))
    control = cluster.control
    bare = cluster.protocol_worker()
    manifests = [manifest_of("few", "1", independent_tasks("one", 1))]
    manifests += [manifest_of("many", "1", independent_tasks("thousand", MANY))]
    bare.register(slots=MANY + 1, manifests=manifests)
    sockets = {}
    connections = {}

    def count(moment: str) -> None:
        sockets[moment] = len(os.listdir(f"/proc/{cluster.server.pid}/fd"))
        if cluster.database_url.startswith("postgresql"):
            connections[moment] = connections_to(cluster.database_url)

    held = []
    control.trigger("one")
    (lease,) = bare.poll().leases
    bare.start(lease.attempt)
    held.append(lease.attempt)
    # Calls side by side, so that everything which is opened on demand is open.
    run_side_by_side([lambda: bare.heartbeat(held), lambda: bare.get_variable_or_none(lease.attempt, "none")] * 64)
    count("one")
    run = control.trigger("thousand")
    while len(held) < MANY + 1:
        leases = bare.poll(held=[attempt.attempt_id for attempt in held]).leases
        run_side_by_side([lambda attempt=lease.attempt: bare.start(attempt) for lease in leases])
        held += [lease.attempt for lease in leases]
    assert control.run("thousand", run).task_counts[0].count == MANY
    run_side_by_side([lambda: bare.heartbeat(held)] * 16)
    run_side_by_side([lambda a=attempt: bare.get_variable_or_none(a, "none") for attempt in held])
    count("thousand")
    if connections:
        assert connections["thousand"] == connections["one"]
        assert connections["one"] <= 10
    # Neither does a task cost the server a socket or a file of any kind.
    assert sockets["thousand"] == sockets["one"]
    run_side_by_side([lambda a=attempt: bare.finish(a) for attempt in held])
    assert control.wait_run("thousand", run) == "SUCCEEDED"


def run_side_by_side(calls) -> None:
    """Make calls in 32 threads."""
    with ThreadPoolExecutor(32) as threads:
        for answer in [threads.submit(call) for call in calls]:
            answer.result()


def test_worker_that_reaches_one_port_and_nothing_else_runs_a_pipeline(each_cluster):
    cluster = each_cluster
    quick = Does(perform=False, value=[1, 2, 3])
    cluster.write(
        DagSpec(
            "pipeline",
            (
                TaskSpec("extract", does=quick),
                TaskSpec("each", does=Does(perform=False, value=5), over="extract"),
                TaskSpec("report", after=("each",)),
            ),
        )
    )
    with socket.socket() as elsewhere, OnePort(cluster.server.address) as network:
        elsewhere.bind(("127.0.0.1", 0))
        elsewhere.listen()
        worker = cluster.worker(address=network.address, wrap=network.command(), pass_fds=network.pass_fds)
        worker.start()
        network.connect()
        worker.wait_on_offer()
        run = cluster.control.trigger("pipeline")
        puppet = cluster.stage.enter("report")
        assert puppet.value == [[5, 5, 5]]
        # It is true that it reaches nothing: neither a port that is open here, nor the database, nor the world.
        ours = elsewhere.getsockname()[1]
        socket.create_connection(("127.0.0.1", ours)).close()
        assert "ConnectionRefused" in puppet.order("reach", host="127.0.0.1", port=ours)
        if cluster.database_url.startswith("postgresql"):
            assert "ConnectionRefused" in puppet.order("reach", host="127.0.0.1", port=port_of(cluster.database_url))
        assert "unreachable" in puppet.order("reach", host="192.0.2.1", port=80)
        routes = puppet.order("read_file", path="/proc/net/route").splitlines()
        assert len(routes) == 1
        interfaces = puppet.order("read_file", path="/proc/net/dev").splitlines()[2:]
        assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
        assert puppet.order("reach", host="127.0.0.1", port=port_of(cluster.server.address)) == "connected"
        puppet.succeed("done")
        assert cluster.control.wait_run("pipeline", run) == "SUCCEEDED"
        worker.terminate()
        assert worker.wait() == 0


@pytest.mark.timeout(600)  # where nothing of Go has been built yet
def test_flights_pipeline_runs_where_only_the_server_can_be_reached(
    clusters, migrated_sqlite_url, tmp_path, go_bundles
):
    work = tmp_path / "work"
    cluster = Cluster(PythonKind(), migrated_sqlite_url, tmp_path)
    clusters.append(cluster)
    with OnePort(cluster.server.address) as network:
        worker = cluster.worker(
            address=network.address,
            wrap=network.command(),
            pass_fds=network.pass_fds,
            dags=FLIGHTS,
            options=["--bundle", go_bundles.flights()],
        )
        worker.start()
        network.connect()
        worker.wait_for(r"On offer: dags \w+, flights_go \w+")
        run = cluster.control.trigger("flights", conf=json.dumps({"workdir": str(work)}).encode())
        assert cluster.control.wait_run("flights", run, seconds=60) == "SUCCEEDED"
        assert (work / run / "report.md").is_file()


def port_of(address: str) -> int:
    """The port of an address or URL."""
    return int(address.rsplit(":", 1)[1].split("/")[0])
