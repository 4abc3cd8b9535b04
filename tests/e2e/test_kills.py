"""SIGKILL of a task, of its worker and of the server while tasks run."""

import os
import signal

import pytest

from tests.e2e.support.cluster import chain, one_task
from tests.e2e.support.control import attempt_state
from tests.e2e.support.processes import wait_until_gone
from tests.e2e.support.protocol_worker import Refused, independent_tasks, manifest_of
from tests.e2e.support.workers import NO_WORKER


def test_killed_task_has_failed_and_is_tried_again(cluster):
    cluster.write(one_task(retries=1))
    cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    puppet.order("print", text="the last words", error=True)
    puppet.kill9()
    second = cluster.stage.enter("work")
    assert second.try_number == 2
    second.succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    died, succeeded = cluster.control.attempts("one", run, "work")
    assert (attempt_state(died), attempt_state(succeeded)) == ("FAILED", "SUCCEEDED")
    assert died.failure.type == "crosswind.ProcessDied"
    assert died.failure.exit.signal == "SIGKILL"
    assert "SIGKILL" in died.failure.message
    assert "the last words" in died.failure.exit.stderr_tail


def test_killed_task_without_retries_fails_its_run_and_no_other(cluster):
    cluster.write(one_task(), chain())
    cluster.start_worker()
    doomed, other = cluster.control.trigger("one"), cluster.control.trigger("chain")
    cluster.stage.enter("work").kill9()
    assert cluster.control.wait_run("one", doomed) == "FAILED"
    cluster.stage.enter("first").succeed(1)
    cluster.stage.enter("second").succeed(2)
    assert cluster.control.wait_run("chain", other) == "SUCCEEDED"


def test_process_that_exits_without_outcome_tells_its_code(cluster):
    cluster.write(one_task())
    cluster.start_worker()
    run = cluster.control.trigger("one")
    cluster.stage.enter("work").exit(3)
    assert cluster.control.wait_run("one", run) == "FAILED"
    (attempt,) = cluster.control.attempts("one", run, "work")
    assert (attempt.failure.type, attempt.failure.exit.code) == ("crosswind.ProcessDied", 3)


def test_grandchildren_of_a_killed_task_end_with_it(cluster):
    cluster.write(one_task())
    cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    grandchild = puppet.order("spawn")
    puppet.kill9()
    wait_until_gone(grandchild)
    assert cluster.control.wait_run("one", run) == "FAILED"


def test_killed_bundle_process_fails_its_tasks_and_is_started_again(cluster):
    cluster.write(one_task(retries=1))
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    os.kill(puppet.order("bundle_process"), signal.SIGKILL)
    puppet.wait_gone()
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    died, succeeded = cluster.control.attempts("one", run, "work")
    assert (attempt_state(died), died.failure.type) == ("FAILED", "crosswind.ProcessDied")
    assert attempt_state(succeeded) == "SUCCEEDED"
    assert worker.alive


def test_task_of_a_killed_worker_runs_again_elsewhere(each_cluster):
    cluster = each_cluster
    cluster.write(one_task())
    first_worker = cluster.start_worker("worker-1")
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    grandchild = puppet.order("spawn")
    cluster.start_worker("worker-2")
    first_worker.kill9()
    puppet.wait_gone()
    wait_until_gone(grandchild)
    cluster.stage.enter("work").succeed(2)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    lost, succeeded = cluster.control.attempts("one", run, "work")
    assert (attempt_state(lost), lost.worker) == ("LOST", "worker-1")
    assert (attempt_state(succeeded), succeeded.worker) == ("SUCCEEDED", "worker-2")


def test_killed_worker_that_comes_back_runs_its_task_again_at_once(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    cluster.stage.enter("work")
    worker.kill9()
    worker.start()
    cluster.stage.enter("work").succeed(2)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["LOST", "SUCCEEDED"]


def test_late_outcome_of_a_stopped_worker_is_refused(each_cluster):
    cluster = each_cluster
    cluster.write(one_task())
    sleeper = cluster.start_worker("sleeper")
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    cluster.start_worker("awake")
    sleeper.send(signal.SIGSTOP)
    puppet.succeed("late")
    second = cluster.stage.enter("work")
    since = sleeper.mark()
    sleeper.send(signal.SIGCONT)
    sleeper.wait_for(r"STALE_LEASE|(?i:lost)|(?i:lease)", since=since)
    second.succeed("right")
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["LOST", "SUCCEEDED"]
    assert cluster.control.xcom("one", run, "work") == b'"right"'
    # It is not worse for it: alone, it takes the next run.
    cluster.processes[-1].kill9()
    again = cluster.control.trigger("one")
    cluster.stage.enter("work").succeed(3)
    assert cluster.control.wait_run("one", again) == "SUCCEEDED"


@NO_WORKER
def test_every_call_under_an_expired_lease_is_refused(each_cluster):
    cluster = each_cluster
    cluster.server  # noqa: B018 - starts it
    cluster.control.set_variable("v", "1", public=True)
    bare = cluster.protocol_worker()
    bare.register(manifests=[manifest_of("b", "1", independent_tasks("bare", 1))])
    run = cluster.control.trigger("bare")
    (lease,) = bare.poll().leases
    bare.start(lease.attempt)
    assert bare.get_variable(lease.attempt, "v") == "1"
    cluster.control.wait_run("bare", run, lambda _: cluster.control.attempt_states("bare", run, "t0") == ["LOST"])
    calls = {
        "start": lambda: bare.start(lease.attempt),
        "finish": lambda: bare.finish(lease.attempt),
        "variable": lambda: bare.get_variable(lease.attempt, "v"),
    }
    reasons = {}
    for name, call in calls.items():
        with pytest.raises(Refused) as refused:
            call()
        reasons[name] = refused.value.reason
    assert reasons == dict.fromkeys(calls, "STALE_LEASE")


@pytest.mark.parametrize("moment", ["while-down", "after-restart"])
def test_tasks_outlive_a_killed_server(each_cluster, moment):
    cluster = each_cluster
    cluster.write(chain())
    cluster.start_worker()
    run = cluster.control.trigger("chain")
    puppet = cluster.stage.enter("first")
    cluster.server.kill9()
    if moment == "while-down":
        puppet.succeed(4)
    cluster.server.start()
    if moment == "after-restart":
        puppet.succeed(4)
    second = cluster.stage.enter("second")
    assert second.value == [4]
    second.succeed(5)
    assert cluster.control.wait_run("chain", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("chain", run, "first") == ["SUCCEEDED"]
    assert cluster.control.attempt_states("chain", run, "second") == ["SUCCEEDED"]


def test_no_attempt_is_lost_while_the_server_is_down_longer_than_a_lease(each_cluster):
    cluster = each_cluster
    cluster.write(one_task())
    cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    cluster.server.kill9()
    cluster.let_leases_run_out()
    cluster.server.start()
    puppet.order("print", text="I am still here")
    puppet.succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["SUCCEEDED"]
    assert cluster.stage.arrivals == [("work", 1)]


def test_no_attempt_is_lost_while_the_server_is_frozen_longer_than_a_lease(each_cluster):
    cluster = each_cluster
    cluster.write(one_task())
    cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    # As on a machine that sleeps: its clocks go on, and it hears nobody.
    cluster.server.send(signal.SIGSTOP)
    cluster.let_leases_run_out()
    cluster.server.send(signal.SIGCONT)
    cluster.let_leases_run_out()
    puppet.order("print", text="I am still here")
    puppet.succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["SUCCEEDED"]
    assert cluster.stage.arrivals == [("work", 1)]


def test_outcome_kept_on_disk_arrives_after_worker_and_server_were_killed(each_cluster):
    cluster = each_cluster
    cluster.write(one_task())
    proxy = cluster.proxy()
    worker = cluster.start_worker(through=proxy)
    run = cluster.control.trigger("one")
    finish = proxy.hold_request("FinishAttempt", drop=True)
    cluster.stage.enter("work").succeed(6)
    # It is on disk before the call is made.
    finish.wait_reached()
    worker.kill9()
    cluster.server.kill9()
    finish.release()
    cluster.server.start()
    worker.start()
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["SUCCEEDED"]
    assert cluster.stage.arrivals == [("work", 1)]
    assert cluster.control.xcom("one", run, "work") == b"6"
