"""SIGTERM of a server and of a worker while they are busy, and the cancel of a task. [STOP-1] [LEASE-4]"""

import contextlib
import re
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import Any

import pytest

from crosswind.execution.v1 import worker_service_pb2
from crosswind.execution.v1.outcome_pb2 import Cancelled, Outcome
from tests.e2e.support.cluster import Cluster, chain, one_task
from tests.e2e.support.control import attempt_state
from tests.e2e.support.processes import PATIENCE, wait_until_gone
from tests.e2e.support.protocol_worker import ProtocolWorker, Refused, independent_tasks, manifest_of
from tests.e2e.support.servers import Pace, ServerProcess
from tests.e2e.support.workers import NO_WORKER


def test_idle_server_and_worker_end_with_success(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker()
    cluster.server.terminate()
    assert cluster.server.wait() == 0
    worker.terminate()
    assert worker.wait() == 0
    cluster.server.start()
    idle = cluster.start_worker("worker-2")
    idle.terminate()
    assert idle.wait() == 0
    assert cluster.control.worker_states()[cluster.control.instance_id("worker-2")] == "GONE"


def test_server_stopped_while_busy_ends_no_attempt(each_cluster):
    cluster = each_cluster
    cluster.write(chain())
    worker = cluster.start_worker()
    run = cluster.control.trigger("chain")
    puppet = cluster.stage.enter("first")
    cluster.server.terminate()
    assert cluster.server.wait() == 0
    assert worker.alive
    puppet.succeed(1)
    cluster.server.start()
    cluster.stage.enter("second").succeed(2)
    assert cluster.control.wait_run("chain", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("chain", run, "first") == ["SUCCEEDED"]


UNHURRIED = Pace(heartbeat_interval=100.0, lease_duration=400.0, start_deadline=100.0, poll_wait=2 * PATIENCE)
"""Of a server that tells its workers nothing before a test gives up, but for what it is woken to tell."""


def open_poll(cluster: Cluster, worker: ProtocolWorker, *held: str) -> Future[Any]:
    """A poll that the server has: it told another one that this one took its place."""
    polls = [cluster.in_background(lambda: worker.poll(held=held, wait=2 * PATIENCE)) for _ in range(2)]
    (superseded,), (opened,) = wait(polls, timeout=PATIENCE, return_when=FIRST_EXCEPTION)
    with pytest.raises(Refused) as refused:
        superseded.result()
    assert refused.value.reason == "POLL_SUPERSEDED"
    return opened


@NO_WORKER
def test_server_that_stops_answers_open_polls_first(cluster):
    bare = cluster.protocol_worker()
    bare.register()
    opened = open_poll(cluster, bare)
    cluster.server.terminate()
    answer = opened.result(timeout=10)
    assert [directive.WhichOneof("kind") for directive in answer.directives] == ["move_away"]
    assert cluster.server.wait() == 0


@NO_WORKER
def test_server_that_stops_takes_what_workers_hold_and_gives_nothing_new(each_cluster):
    cluster = each_cluster
    cluster.start_server(pace=Pace(lease_duration=20.0, move_away_grace=PATIENCE))
    bare, idle = cluster.protocol_worker(), cluster.protocol_worker("idle")
    bare.register(slots=2, manifests=[manifest_of("b", "v1", independent_tasks("d", 1))])
    idle.register()
    run = cluster.control.trigger("d")
    attempt = bare.poll().leases[0].attempt
    bare.start(attempt)
    polls = [open_poll(cluster, bare, attempt.attempt_id), open_poll(cluster, idle)]
    cluster.server.terminate()
    for answer in (poll.result(timeout=10) for poll in polls):
        (directive,) = answer.directives
        assert directive.move_away.grace.seconds == PATIENCE
        digest = answer.directives_digest
    # Whoever knows it is held, so that it does not ask without a pause.
    asking = cluster.in_background(lambda: bare.poll(held=[attempt.attempt_id], known=digest, wait=PATIENCE))
    while (beat := bare.heartbeat([attempt])).directives:
        pass  # the server does not have that poll yet
    assert list(beat.verdicts) == [worker_service_pb2.HeartbeatResponse.VERDICT_CONTINUE]
    assert not asking.done()
    assert cluster.server.alive
    bare.finish(attempt)
    with pytest.raises(Refused) as refused:
        asking.result(timeout=10)
    assert refused.value.reason == "SERVER_STOPPING"
    assert cluster.server.wait() == 0
    cluster.server.start()
    assert cluster.control.wait_run("d", run) == "SUCCEEDED"


def test_worker_stopped_while_busy_drains(cluster):
    cluster.write(chain())
    worker = cluster.start_worker()
    run = cluster.control.trigger("chain")
    puppet = cluster.stage.enter("first")
    since = worker.mark()
    worker.terminate()
    worker.wait_for(r"(?i)drain|stopping|finish", since=since)
    puppet.order("print", text="still at work")
    puppet.succeed(1)
    assert worker.wait() == 0
    assert cluster.control.attempt_states("chain", run, "first") == ["SUCCEEDED"]
    # It took nothing new: the second task waits for another worker.
    assert cluster.control.task_states("chain", run)["second"] == "QUEUED"
    cluster.start_worker("worker-2")
    second = cluster.stage.enter("second")
    assert second.value == [1]
    second.succeed(2)
    assert cluster.control.wait_run("chain", run) == "SUCCEEDED"


def test_drained_worker_leaves_when_its_tasks_have_ended(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    cluster.control.drain("worker")
    puppet.succeed(1)
    assert worker.wait() == 0
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"


@NO_WORKER
def test_cancel_answers_the_poll_that_waits(each_cluster):
    """[LEASE-4] Nothing but the word of the cancel wakes it: of itself it would wait longer than the test does."""
    cluster = each_cluster
    cluster.start_server(pace=UNHURRIED)
    bare = cluster.protocol_worker()
    bare.register(manifests=[manifest_of("b", "v1", independent_tasks("d", 1))])
    run = cluster.control.trigger("d")
    (lease,) = bare.poll().leases
    bare.start(lease.attempt)
    opened = open_poll(cluster, bare, lease.attempt.attempt_id)
    cluster.control.cancel("d", run)
    (directive,) = opened.result(timeout=PATIENCE).directives
    assert directive.cancel.attempt_id == lease.attempt.attempt_id
    bare.finish(lease.attempt, outcome=Outcome(cancelled=Cancelled(how="exited")))
    assert cluster.control.wait_run("d", run) == "CANCELLED"


@NO_WORKER
def test_cancel_at_one_server_answers_the_poll_that_waits_at_another(
    migrated_postgres_url, worker_kind, clusters, tmp_path
):
    """[LEASE-4] The database carries the word from server to server."""
    cluster = Cluster(worker_kind, migrated_postgres_url, tmp_path)
    clusters.append(cluster)
    first = cluster.start_server(pace=UNHURRIED)
    bare = cluster.protocol_worker()
    bare.register(manifests=[manifest_of("b", "v1", independent_tasks("d", 1))])
    key = {"CROSSWIND_ENCRYPTION_KEY_FILE": str(first.home / "encryption-key")}
    with ServerProcess(
        migrated_postgres_url, tmp_path / "second", name="second", pace=UNHURRIED, environment=key
    ) as second:
        cluster.processes.append(second)
        run = cluster.control.trigger("d")
        (lease,) = bare.poll().leases
        bare.start(lease.attempt)
        opened = open_poll(cluster, bare, lease.attempt.attempt_id)
        with contextlib.closing(second.control()) as elsewhere:
            elsewhere.cancel("d", run)
        (directive,) = opened.result(timeout=PATIENCE).directives
        assert directive.cancel.attempt_id == lease.attempt.attempt_id


@pytest.mark.parametrize("obeys", [True, False], ids=["obeys-term", "ignores-term"])
def test_cancelled_task_is_terminated_and_killed_if_it_does_not_obey(each_cluster, obeys):
    """Its worker is told by the poll that waits, and by nothing else: its heartbeats are minutes apart."""
    cluster = each_cluster
    cluster.start_server(pace=UNHURRIED)
    cluster.write(chain(), one_task(cancel_grace=0.5 if not obeys else 20.0))
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    grandchild = puppet.order("spawn")
    if not obeys:
        puppet.order("ignore_term")
    cluster.control.cancel("one", run)
    puppet.wait_gone()
    wait_until_gone(grandchild)
    assert cluster.control.wait_run("one", run) == "CANCELLED"
    (attempt,) = cluster.control.attempts("one", run, "work")
    assert attempt_state(attempt) == "CANCELLED"
    (told,) = [line for line in cluster.control.read_log("one", run, "work") if line.startswith("The worker ends")]
    assert re.fullmatch(r"The worker ends the task: [^.]+\.", told)  # with a reason, where a poll told it first
    assert worker.alive


def test_cancelled_task_of_a_dead_worker_is_cancelled_when_its_lease_expires(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    cluster.stage.enter("work")
    worker.kill9()
    cluster.control.cancel("one", run)
    assert cluster.control.wait_run("one", run) == "CANCELLED"
    assert cluster.control.task_states("one", run) == {"work": "CANCELLED"}
    assert cluster.control.attempt_states("one", run, "work") == ["LOST"]
    assert cluster.stage.arrivals == [("work", 1)]


def test_success_that_comes_after_the_cancel_is_dropped(cluster):
    cluster.write(chain())
    proxy = cluster.proxy()
    cluster.start_worker(through=proxy)
    run = cluster.control.trigger("chain")
    finish = proxy.hold_request("FinishAttempt")
    cluster.stage.enter("first").succeed(1)
    finish.wait_reached()
    cluster.control.cancel("chain", run)
    finish.release()
    assert cluster.control.wait_run("chain", run) == "CANCELLED"
    assert cluster.control.attempt_states("chain", run, "first") == ["CANCELLED"]
    assert cluster.stage.arrivals == [("first", 1)]
