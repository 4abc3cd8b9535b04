"""What workers run beside tasks, and what was, with real processes, as the people's command shows it."""

import json
from typing import Any

from tests.e2e.support.callbacks import write_calls
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.workers import NO_WORKER, PYTHON_SOURCE

WATCHED = """
dag watcher { look }
dag sums assets=orders { sum }
on look deferred trigger=mod:look args={"path":"/orders"} times=1
on look emit=orders
on mod:look result={"size":3}
"""


def ask(cluster: Cluster, *arguments: str) -> Any:
    """What a command answers as JSON; it must succeed."""
    done = cluster.command(*arguments, "--output", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@PYTHON_SOURCE
def test_a_callback_in_python_that_fails_is_listed_with_its_reason_and_its_log(cluster):
    write_calls(cluster.dags)
    cluster.start_worker()
    run_id = cluster.control.trigger("calls")
    assert cluster.control.wait_run("calls", run_id) == "FAILED"
    # It runs when the run has ended, and its log is followed from its assignment on.
    (listed,) = ask(cluster, "workloads", "list", "--run", f"calls/{run_id}")
    assert (listed["kind"], listed["callback_event"], listed["entry_point"]) == ("callback", "failure", "calls:alarm")
    assert (listed["dag_id"], listed["run_id"], listed["task_id"]) == ("calls", run_id, "work")
    workload_id = listed["workload_id"]
    followed = cluster.command("workloads", "logs", workload_id, "--follow")
    assert "alarm on failure: ValueError: no such flight" in followed.stdout, followed
    assert "the pager is off" in followed.stdout
    (failed,) = ask(cluster, "workloads", "list", "calls", "--kind", "callback", "--state", "failed")
    assert failed["workload_id"] == workload_id
    assert (failed["failure"]["type"], failed["failure"]["message"]) == ("RuntimeError", "the pager is off")
    shown = cluster.command("workloads", "show", workload_id).stdout
    assert "RuntimeError: the pager is off" in shown
    (attempt,) = ask(cluster, "workloads", "show", workload_id)["attempts"]
    assert (attempt["state"], attempt["worker"], attempt["language"]) == ("failed", "worker", "python")
    assert ask(cluster, "workloads", "list", "--state", "queued") == []


@NO_WORKER
def test_a_watcher_waits_for_a_worker_in_the_triggerer_role_and_says_so(each_cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(WATCHED, name="tasks")
    run_id = cluster.control.trigger("watcher")
    worker.wait_for("^ended look deferred")
    (waiting,) = ask(cluster, "workloads", "list", "watcher")
    assert (waiting["kind"], waiting["state"], waiting["waiting_reason"]) == ("trigger", "queued", "labels")
    assert "runs triggers; start one with the role." in waiting["waiting_detail"]
    cluster.start_scripted_worker(WATCHED, name="triggers", roles=("triggers",))
    assert cluster.control.wait_run("watcher", run_id) == "SUCCEEDED"
    (done,) = ask(cluster, "workloads", "list", "--run", f"watcher/{run_id}", "--task", "look")
    assert (done["state"], done["worker"]) == ("succeeded", "triggers")
    worker.wait_for("^ended sum succeeded")
    wrong = cluster.command("workloads", "list", "--kind", "callbacks")
    assert (wrong.returncode, "use one of trigger, callback, timetable" in wrong.stderr) == (2, True)


LABELLED = """
dag d { a; b after="a:if late" }
on a result={"n":1}
"""


@NO_WORKER
def test_what_was_is_read_when_its_worker_is_gone_with_labels_and_notes(each_cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(LABELLED)
    run_id = cluster.control.trigger("d")
    assert cluster.control.wait_run("d", run_id) == "SUCCEEDED"
    run = f"d/{run_id}"
    assert cluster.command("runs", "note", run, "as it should be").stdout == f"The note of {run} is changed.\n"
    before = [ask(cluster, "runs", "show", run), ask(cluster, "tasks", "list", run)]
    worker.say("leave")
    worker.wait_for("^left")
    cluster.server.terminate()
    assert cluster.server.wait() == 0
    cluster.server.start()
    assert [ask(cluster, "runs", "show", run), ask(cluster, "tasks", "list", run)] == before
    (listed,) = ask(cluster, "runs", "list", "d")
    assert listed["note"] == "as it should be"
    assert json.loads(cluster.control.xcom("d", run_id, "a")) == {"n": 1}
    assert "a (if late)" in cluster.command("dags", "show", "d").stdout
    assert ask(cluster, "dags", "show", "d")["offered"] is False
