"""Branches, scopes, mapped groups and the past from hand-written manifests, with real processes and both databases."""

import uuid
from datetime import UTC, datetime

from crosswind.control.v1 import dag_runs_pb2
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.workers import NO_WORKER

FLOW = """
dag flow {
  make kind=setup
  choose kind=branch after=make
  left after=choose
  right after=choose
  join after=left,right rule=none_failed
  check kind=short_circuit after=join
  never after=check
  latest kind=latest_only
  newest after=latest
  clean kind=teardown setups=make after=check
}
on choose branch=left
on check skip_all=yes
on clean failed
"""

GROUP = """
dag grouped {
  group g map=item:list
  list
  double group=g item=x:item
  check group=g kind=branch reads=y:double
  good group=g after=check
  odd group=g after=check
  between after=double
  last group=g after=between,double rule=all_done
  sum reads=z:double after=last
}
on list result=[1,2,3]
on double[0] result=10
on double[1] result=20
on double[2] result=30
on check[0] branch=good
on check[1] branch=odd
on check[2] branch=good
"""


@NO_WORKER
def test_a_run_takes_the_way_that_its_tasks_choose(each_cluster: Cluster):
    cluster = each_cluster
    cluster.start_scripted_worker(FLOW)
    run = cluster.control.trigger("flow")
    assert cluster.control.wait_run("flow", run) == "SUCCEEDED"
    assert cluster.control.task_states("flow", run) == {
        "make": "SUCCEEDED",
        "choose": "SUCCEEDED",
        "left": "SUCCEEDED",
        "right": "SKIPPED",
        "join": "SUCCEEDED",
        "check": "SUCCEEDED",
        "never": "SKIPPED",
        "latest": "SUCCEEDED",
        "newest": "SUCCEEDED",
        "clean": "FAILED",
    }


@NO_WORKER
def test_a_branch_that_cannot_be_followed_is_delivered_and_fails_its_task(cluster: Cluster):
    cluster.start_scripted_worker("dag d { a kind=branch retries=3; b after=a }\non a branch=nobody")
    run = cluster.control.trigger("d")
    assert cluster.control.wait_run("d", run) == "FAILED"
    failure = cluster.control.task("d", run, "a").failure
    assert (failure.type, "'nobody'" in failure.message) == ("crosswind.BranchInvalid", True)
    assert cluster.control.attempt_states("d", run, "a") == ["FAILED"]


@NO_WORKER
def test_each_index_of_a_mapped_group_goes_its_own_way(each_cluster: Cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(GROUP)
    run = cluster.control.trigger("grouped")
    assert cluster.control.wait_run("grouped", run) == "SUCCEEDED"
    states = {
        (task_id, index): cluster.control.attempt_states("grouped", run, task_id, index)
        for task_id in ("good", "odd", "last")
        for index in range(3)
    }
    ran = ["SUCCEEDED"]
    assert [states["good", index] for index in range(3)] == [ran, [], ran]
    assert [states["odd", index] for index in range(3)] == [[], ran, []]
    assert [states["last", index] for index in range(3)] == [ran, ran, ran]
    assert worker.arguments_of("sum") == {"z": [10, 20, 30]}


@NO_WORKER
def test_a_run_waits_for_the_run_before_though_the_server_is_killed(each_cluster: Cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker("dag d { a past=self; b after=a }\non a wait=go times=1")
    first, second = (trigger_at(cluster, day) for day in (1, 2))
    worker.wait_for("^waits a")
    sentence = f"Waits for task 'a' of the run '{first}' before it to succeed."
    cluster.control.wait_run("d", second, lambda _: cluster.control.task("d", second, "a").waiting_detail == sentence)
    cluster.server.kill9()
    cluster.server.start()
    worker.go("go")
    assert cluster.control.wait_run("d", first) == "SUCCEEDED"
    assert cluster.control.wait_run("d", second) == "SUCCEEDED"


def trigger_at(cluster: Cluster, day: int) -> str:
    """A run for a day; answers its id."""
    request = dag_runs_pb2.TriggerDagRunRequest(dag_id="d", run_id=f"day-{day}", request_id=str(uuid.uuid4()))
    request.logical_time.FromDatetime(datetime(2026, 3, day, tzinfo=UTC))
    answer = cluster.control.call(cluster.control.runs.TriggerDagRun, request)
    return str(answer.dag_run.run_id)
