"""Connections on which nothing is said live through many pings, at shortened intervals; `tests/soak` has the hour."""

from google.protobuf import duration_pb2

from crosswind.control.v1 import dag_runs_pb2
from tests.e2e.support.cluster import one_task
from tests.e2e.support.servers import Pace


def test_idle_worker_keeps_its_connection_through_many_pings(cluster):
    # Pings ten times as often as calls, in both directions; gRPC's own defaults would end the connection at the third.
    pings = {"CROSSWIND_MIN_PING_INTERVAL": "0.2", "CROSSWIND_SERVER_KEEPALIVE": "0.5"}
    pace = Pace(keepalive_interval=0.5, heartbeat_interval=5, lease_duration=15, poll_wait=10)
    cluster.start_server(pace=pace, environment=pings)
    cluster.write(one_task())
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    before = cluster.connections_of(worker)
    assert len(before) == 1
    control = cluster.control
    known = control.run("one", run).revision
    # The server answers this when eight seconds have passed and nothing has happened.
    request = dag_runs_pb2.GetDagRunRequest(
        dag_id="one", run_id=run, known_revision=known, wait=duration_pb2.Duration(seconds=8)
    )
    assert control.call(control.runs.GetDagRun, request).dag_run.revision == known
    assert cluster.connections_of(worker) == before
    puppet.succeed(1)
    assert control.wait_run("one", run) == "SUCCEEDED"
    assert control.attempt_states("one", run, "work") == ["SUCCEEDED"]
