"""How a worker ends tasks, its work and itself: partitions, draining, signals, timeouts. [LEASE-1] [STOP-1]"""

import re
import threading
import time
import uuid

import pytest

from crosswind.control.v1 import states_pb2, workers_pb2
from crosswind.execution.v1 import worker_service_pb2
from tests.e2e.support.cluster import Cluster, one_task
from tests.e2e.support.control import attempt_state
from tests.e2e.support.servers import Pace
from tests.e2e.support.workers import NO_WORKER, PYTHON_SOURCE
from tests.postgres import PostgresServer


def pause(cluster: Cluster, worker: str, paused: bool) -> None:
    request = workers_pb2.PauseWorkerRequest(name=worker, paused=paused, request_id=str(uuid.uuid4()))
    cluster.control.call(cluster.control.workers.PauseWorker, request)


def test_task_that_must_not_run_beside_itself_is_killed_before_its_lease_expires(cluster):
    cluster.start_server(pace=Pace(lease_duration=5.0))
    cluster.write(one_task(on_partition="kill"))
    proxy = cluster.proxy()
    cluster.start_worker(through=proxy)
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    proxy.cut()
    puppet.wait_gone()
    gone = time.time()
    # Its successor could begin only after the server had given it up, which was later.
    cluster.control.wait_run("one", run, lambda _: cluster.control.attempt_states("one", run, "work")[0] == "LOST")
    (lost,) = cluster.control.attempts("one", run, "work")
    assert lost.end_time.ToNanoseconds() / 1e9 > gone
    proxy.mend()
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["LOST", "SUCCEEDED"]


def test_task_runs_on_through_a_partition_and_its_outcome_is_taken(cluster):
    cluster.start_server(pace=Pace(lease_duration=10.0))
    cluster.write(one_task())
    proxy = cluster.proxy()
    worker = cluster.start_worker(through=proxy)
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    since = worker.mark()
    proxy.cut()
    worker.wait_for("cannot be reached|UNAVAILABLE|lost", since=since)
    puppet.order("print", text="still at work")
    puppet.succeed(7)
    proxy.mend()
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["SUCCEEDED"]
    assert cluster.control.xcom("one", run, "work") == b"7"
    assert "still at work" in cluster.control.read_log("one", run, "work")


def test_worker_says_that_only_the_database_is_away(worker_kind, clusters, tmp_path):
    with PostgresServer() as postgres:
        cluster = Cluster(worker_kind, postgres.create_database(), tmp_path)
        clusters.append(cluster)
        cluster.write(one_task())
        worker = cluster.start_worker()
        run = cluster.control.trigger("one")
        puppet = cluster.stage.enter("work")
        since = worker.mark()
        postgres.stop(immediate=True)
        address = re.escape(cluster.server.address)
        worker.wait_for(rf"{address} answers, but cannot use its database now \(DATABASE_UNAVAILABLE\): ", since=since)
        puppet.succeed(7)
        postgres.start()
        worker.wait_for(rf"{address} can use its database again, after ", since=since)
        assert cluster.control.wait_run("one", run) == "SUCCEEDED"
        assert cluster.control.attempt_states("one", run, "work") == ["SUCCEEDED"]
        assert "cannot be reached" not in worker.log


def test_drain_that_takes_too_long_gives_its_tasks_to_others(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker(options=["--drain-timeout", "0.5"])
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    cluster.start_worker("other")
    since = worker.mark()
    worker.terminate()
    worker.wait_for(r"Tasks still run after 0\.5 s of draining \(--drain-timeout\)", since=since)
    puppet.wait_gone()
    assert worker.wait() == 0
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    lost, succeeded = cluster.control.attempts("one", run, "work")
    assert states_pb2.AttemptState.Name(lost.state) == "ATTEMPT_STATE_LOST"
    assert succeeded.worker == "other"


@pytest.mark.parametrize("obeys", [True, False], ids=["obeys-term", "ignores-term"])
def test_second_signal_ends_running_tasks_and_a_third_kills_them(cluster, obeys):
    cluster.write(one_task(cancel_grace=60.0))
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    if not obeys:
        puppet.order("ignore_term")
    worker.terminate()
    worker.wait_for("Draining: no new tasks are taken; 1 running")
    puppet.order("print", text="one signal leaves it alone")
    worker.terminate()
    worker.wait_for("Ending 1 running tasks; they are given to other workers")
    if not obeys:
        puppet.order("print", text="the second one asks")
        worker.terminate()
    puppet.wait_gone()
    assert worker.wait() == 0
    cluster.start_worker("other")
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["LOST", "SUCCEEDED"]


def test_worker_that_is_told_to_move_away_finds_the_restarted_server(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker()
    before = cluster.connections_of(worker)
    since = worker.mark()
    cluster.server.terminate()
    worker.wait_for(r"The server at 127\.0\.0\.1:\d+ sends this worker away; connecting again", since=since)
    assert cluster.server.wait() == 0
    cluster.server.start()
    run = cluster.control.trigger("one")
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert not before & cluster.connections_of(worker)
    assert worker.log.count("Registered as worker") == 1


def test_paused_worker_takes_nothing_and_keeps_what_runs(cluster):
    cluster.write(one_task())
    cluster.start_worker()
    busy = cluster.control.trigger("one")
    first = cluster.stage.enter("work")
    pause(cluster, "worker", True)
    elsewhere = cluster.control.trigger("one")
    other = cluster.start_worker("other")
    second = cluster.stage.enter("work")
    assert [each.worker for each in cluster.control.attempts("one", elsewhere, "work")] == ["other"]
    second.succeed(2)
    assert cluster.control.wait_run("one", elsewhere) == "SUCCEEDED"
    other.terminate()
    assert other.wait() == 0
    waiting = cluster.control.trigger("one")
    first.order("print", text="still at work")
    first.succeed(1)
    assert cluster.control.wait_run("one", busy) == "SUCCEEDED"
    assert cluster.control.task_states("one", waiting) == {"work": "QUEUED"}
    pause(cluster, "worker", False)
    cluster.stage.enter("work").succeed(3)
    assert cluster.control.wait_run("one", waiting) == "SUCCEEDED"
    assert [each.worker for each in cluster.control.attempts("one", waiting, "work")] == ["worker"]


def test_drain_by_an_operator_lets_tasks_end_and_gives_new_ones_to_others(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker()
    busy = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    cluster.control.drain("worker")
    worker.wait_for("Draining: no new tasks are taken; 1 running")
    waiting = cluster.control.trigger("one")
    puppet.succeed(1)
    assert worker.wait() == 0
    assert cluster.control.wait_run("one", busy) == "SUCCEEDED"
    assert cluster.control.task_states("one", waiting) == {"work": "QUEUED"}
    cluster.start_worker("other")
    cluster.stage.enter("work").succeed(2)
    assert cluster.control.wait_run("one", waiting) == "SUCCEEDED"


@pytest.mark.parametrize("obeys", [True, False], ids=["obeys-term", "ignores-term"])
def test_task_that_runs_too_long_is_ended_and_tried_again(cluster, obeys):
    # The server would end the attempt a heartbeat after its worker should have; here the worker is to.
    cluster.start_server(pace=Pace(heartbeat_interval=10.0, lease_duration=30.0))
    cluster.write(one_task(retries=1, cancel_grace=0.5, timeout=1.5))
    cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    if not obeys:
        puppet.order("ignore_term")
    puppet.wait_gone()
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    failed, _ = cluster.control.attempts("one", run, "work")
    assert failed.failure.type == "crosswind.ExecutionTimeout"
    assert "longer than its execution timeout of 1.5 s" in failed.failure.message
    assert ("had to be killed" in failed.failure.message) is not obeys


@NO_WORKER
def test_task_that_its_worker_does_not_end_in_time_is_ended_by_the_server(cluster):
    """The worker goes on sending heartbeats, and is told that the attempt is lost."""
    worker = cluster.start_scripted_worker(
        "dag d { a timeout=500ms grace=100ms retries=1 delay=0s }\non a wait=never times=1"
    )
    run = cluster.control.trigger("d")
    worker.wait_for("^told cancel a")
    worker.wait_for("^dropped a STALE_LEASE")
    assert cluster.control.wait_run("d", run) == "SUCCEEDED"
    failed, _ = cluster.control.attempts("d", run, "a")
    assert failed.failure.type == "crosswind.ExecutionTimeout"
    assert cluster.control.attempt_states("d", run, "a") == ["FAILED", "SUCCEEDED"]


@PYTHON_SOURCE
def test_task_of_a_dead_worker_that_runs_too_long_is_ended_by_the_server(cluster):
    """Its lease would last longer: the timeout, its grace and a heartbeat end the attempt, as its author said."""
    pace = Pace(lease_duration=8.0)
    cluster.start_server(pace=pace)
    began = time.monotonic()
    cluster.write(one_task(cancel_grace=0.2, timeout=2.0))
    worker = cluster.start_worker()
    # A server ends nothing before it has been there for a lease duration; that time is the event. [LEASE-3]
    threading.Event().wait(began + pace.lease_duration - time.monotonic())
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    worker.kill9()
    puppet.wait_gone()
    assert cluster.control.attempt_states("one", run, "work") == ["RUNNING"]
    assert cluster.control.wait_run("one", run) == "FAILED"
    (failed,) = cluster.control.attempts("one", run, "work")
    assert (attempt_state(failed), failed.failure.type) == ("FAILED", "crosswind.ExecutionTimeout")


def test_memory_and_processor_time_of_a_task_are_reported_and_shown(cluster):
    cluster.write(one_task())
    proxy = cluster.proxy()
    cluster.start_worker(through=proxy)
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    assert puppet.order("burn", megabytes=80, seconds=0.3) == 80 << 20
    told: list[worker_service_pb2.FinishAttemptRequest] = []

    def read(message: bytes) -> bool:
        told.append(worker_service_pb2.FinishAttemptRequest.FromString(message))
        return True

    proxy.hold_request("FinishAttempt", which=read).release()
    puppet.succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    usage = told[0].usage
    assert 80 << 20 < usage.max_memory_bytes < 400 << 20
    assert 0.3 <= usage.cpu_time.ToNanoseconds() / 1e9 < 10
    (attempt,) = cluster.control.attempts("one", run, "work")
    assert attempt.max_memory_bytes == usage.max_memory_bytes
    assert attempt.cpu_time.ToMicroseconds() == usage.cpu_time.ToMicroseconds()
