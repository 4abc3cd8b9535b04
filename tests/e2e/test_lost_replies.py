"""Replies that never arrive: the server has done it, the worker cannot know. Nothing is doubled, nothing is lost."""

import pytest

from crosswind.control.v1.dag_runs_pb2 import ListDagRunsRequest
from crosswind.execution.v1 import worker_service_pb2
from tests.e2e.support.cluster import chain, one_task
from tests.e2e.support.control import attempt_state


def has_leases(reply: bytes) -> bool:
    """Whether a poll's reply brings work."""
    return bool(worker_service_pb2.PollWorkResponse.FromString(reply).leases)


def test_lost_poll_reply_is_sent_again(each_cluster):
    cluster = each_cluster
    cluster.write(one_task())
    proxy = cluster.proxy()
    cluster.start_worker(through=proxy)
    lost = proxy.drop_reply("PollWork", which=has_leases)
    run = cluster.control.trigger("one")
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert lost.reached
    (attempt,) = cluster.control.attempts("one", run, "work")
    assert (attempt_state(attempt), attempt.delivery_count) == ("SUCCEEDED", 2)
    assert cluster.stage.arrivals == [("work", 1)]


@pytest.mark.parametrize("method", ["StartAttempt", "FinishAttempt"])
def test_lost_reply_of_a_start_or_finish_changes_nothing(each_cluster, method):
    cluster = each_cluster
    cluster.write(chain())
    proxy = cluster.proxy()
    cluster.start_worker(through=proxy)
    lost = proxy.drop_reply(method)
    run = cluster.control.trigger("chain")
    cluster.stage.enter("first").succeed(1)
    cluster.stage.enter("second").succeed(2)
    assert cluster.control.wait_run("chain", run) == "SUCCEEDED"
    assert lost.reached
    # The repetition may come behind everything that the run waited for.
    proxy.wait_count(method, 3)
    assert proxy.count(method) == 3
    assert cluster.stage.arrivals == [("first", 1), ("second", 1)]
    for task in ("first", "second"):
        assert cluster.control.attempt_states("chain", run, task) == ["SUCCEEDED"]


def test_lost_heartbeat_replies_lose_no_attempt(cluster):
    cluster.write(one_task())
    proxy = cluster.proxy()
    cluster.start_worker(through=proxy)
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    for nth in (1, 2, 3):
        proxy.drop_reply("Heartbeat", nth=nth)
    # When this one comes, three replies were lost, and by then a lease has been extended more than once.
    fourth = proxy.hold_request("Heartbeat", nth=5)
    fourth.wait_reached()
    fourth.release()
    puppet.succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["SUCCEEDED"]


def test_lost_registration_reply_is_asked_for_again(cluster):
    cluster.write(one_task())
    proxy = cluster.proxy()
    lost = proxy.drop_reply("RegisterWorker")
    cluster.start_worker(through=proxy)
    assert lost.reached
    run = cluster.control.trigger("one")
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert list(cluster.control.worker_states().values()) == ["ACTIVE"]


def test_lost_log_replies_double_no_line(cluster):
    cluster.write(one_task())
    proxy = cluster.proxy()
    cluster.start_worker(through=proxy)
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    lost = proxy.drop_reply("AppendLogs")
    puppet.order("print", text="line 0")
    lost.wait_reached()
    for number in range(1, 20):
        puppet.order("print", text=f"line {number}")
    puppet.succeed(1)
    lines = cluster.control.read_log("one", run, "work")
    assert [line for line in lines if line.startswith("line ")] == [f"line {number}" for number in range(20)]


def test_lost_reply_to_a_command_starts_one_run(cluster):
    cluster.write(one_task())
    cluster.start_worker()
    proxy = cluster.proxy()
    lost = proxy.drop_reply("TriggerDagRun")
    where = ["--server", proxy.address, "--token-file", cluster.server.access_token_file]
    done = cluster.command("dags", "trigger", "one", *where)
    assert done.returncode == 0, done.stderr
    assert lost.reached
    assert proxy.count("TriggerDagRun") == 2
    cluster.stage.enter("work").succeed(1)
    runs = cluster.control.call(cluster.control.runs.ListDagRuns, ListDagRunsRequest(dag_id="one")).dag_runs
    assert len(runs) == 1


def test_a_short_cut_of_the_network_goes_unnoticed_by_the_task(cluster):
    cluster.write(one_task())
    proxy = cluster.proxy()
    worker = cluster.start_worker(through=proxy)
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    since = worker.mark()
    proxy.cut()
    puppet.succeed(1)
    worker.wait_for(r"(?i)cannot reach|unreachable|unavailable|lost", since=since)
    proxy.mend()
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["SUCCEEDED"]
