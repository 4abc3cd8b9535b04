"""Clearing, marking and cancelling tasks, and runs on assets, with real processes and the commands that people type."""

import json
from typing import Any

from tests.e2e.support.cluster import Cluster
from tests.e2e.support.processes import BIN, run
from tests.e2e.support.workers import NO_WORKER


def crosswind(cluster: Cluster, *words: str) -> Any:
    """What a command answers as JSON."""
    server = cluster.server
    options = ["--server", server.address, "--token-file", str(server.access_token_file), "--output", "json"]
    return json.loads(run([BIN / "crosswind", *words, *options], folder=cluster.folder).stdout)


@NO_WORKER
def test_a_failed_task_runs_again_with_what_depends_on_it(each_cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker("dag d { a; b after=a; c after=b }\non b failed times=1")
    name = cluster.control.trigger("d")
    assert cluster.control.wait_run("d", name) == "FAILED"
    cleared = crosswind(cluster, "tasks", "clear", f"d/{name}", "b", "--downstream")
    assert cleared == {"cleared_count": 2, "task_ids": ["b", "c"]}
    worker.wait_for("^ended c succeeded")
    assert cluster.control.wait_run("d", name) == "SUCCEEDED"
    assert cluster.control.attempt_states("d", name, "b") == ["FAILED", "SUCCEEDED"]
    assert cluster.control.attempt_states("d", name, "a") == ["SUCCEEDED"]


@NO_WORKER
def test_what_is_cleared_reaches_upstream_and_may_be_only_what_failed(each_cluster):
    cluster = each_cluster
    cluster.start_scripted_worker("dag d { a; b after=a; side; c after=b,side; last after=c }\non b failed times=1")
    name = cluster.control.trigger("d")

    def clear(*words: str) -> list[str]:
        answer = crosswind(cluster, "tasks", "clear", f"d/{name}", *words)
        assert answer["cleared_count"] == len(answer["task_ids"])
        return list(answer["task_ids"])

    def tries() -> dict[str, int]:
        return {task: len(cluster.control.attempts("d", name, task)) for task in ("a", "b", "side", "c", "last")}

    assert cluster.control.wait_run("d", name) == "FAILED"
    assert clear("c", "--upstream", "--only-failed", "--dry-run") == ["b", "c"]
    assert tries() == {"a": 1, "b": 1, "side": 1, "c": 0, "last": 0}
    assert clear("c", "--upstream", "--only-failed") == ["b", "c"]
    # What came after it was not cleared, and keeps the run failed.
    assert cluster.control.wait_run("d", name) == "FAILED"
    assert tries() == {"a": 1, "b": 2, "side": 1, "c": 1, "last": 0}
    assert clear("last", "--upstream", "--only-failed") == ["last"]
    assert cluster.control.wait_run("d", name) == "SUCCEEDED"
    assert clear("last", "--upstream", "--only-failed") == []
    assert clear("c", "--upstream") == ["a", "b", "side", "c"]
    assert cluster.control.wait_run("d", name) == "SUCCEEDED"
    assert tries() == {"a": 2, "b": 3, "side": 2, "c": 2, "last": 1}


@NO_WORKER
def test_a_running_task_is_cleared_marked_and_cancelled(cluster):
    worker = cluster.start_scripted_worker(
        "dag d { a; b after=a; c after=b }\non a wait=never times=1\non b wait=never"
    )
    name = cluster.control.trigger("d")
    worker.wait_for("^waits a")
    assert crosswind(cluster, "runs", "clear", f"d/{name}")["cleared_count"] == 1
    worker.wait_for("^ended a cancelled")
    worker.wait_for("^ended a succeeded")
    worker.wait_for("^waits b")
    assert crosswind(cluster, "tasks", "cancel", f"d/{name}", "b")["state"] == "cancelling"
    worker.wait_for("^ended b cancelled")
    assert cluster.control.wait_run("d", name) == "FAILED"
    assert crosswind(cluster, "tasks", "mark", f"d/{name}", "c", "succeeded")["state"] == "succeeded"
    assert cluster.control.wait_run("d", name) == "SUCCEEDED"
    assert crosswind(cluster, "runs", "mark", f"d/{name}", "failed")["state"] == "failed"


@NO_WORKER
def test_an_event_of_an_asset_runs_who_waits_for_it(each_cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(
        "dag etl { load outlets=orders }\ndag report assets=orders { sum }\ndag watch { look outlets=orders }\n"
        'on load emit=orders extra.orders={"rows":3}\n'
        "on look deferred event=file-came times=1\non look emit=orders@tuesday"
    )
    cluster.control.trigger("etl")
    worker.wait_for("^ended sum succeeded")
    (event,) = crosswind(cluster, "assets", "events", "orders")
    assert (event["extra"], event["task"]["task_id"]) == ({"rows": 3}, "load")
    (created,) = event["triggered_runs"]
    assert cluster.control.wait_run("report", created["run_id"]) == "SUCCEEDED"
    emitted = crosswind(cluster, "assets", "emit", "orders", "--partition", "monday")
    (by_hand,) = emitted["triggered_runs"]
    assert cluster.control.wait_run("report", by_hand["run_id"]) == "SUCCEEDED"
    # A watcher waits without a slot, and emits when it goes on.
    watching = cluster.control.trigger("watch")
    worker.wait_for("^ended look deferred")
    mark = worker.mark()
    assert crosswind(cluster, "events", "deliver", "file-came")["delivered_count"] == 1
    worker.wait_for("^ended sum succeeded", since=mark)
    assert cluster.control.wait_run("watch", watching) == "SUCCEEDED"
    seen, *_ = crosswind(cluster, "assets", "events", "orders")
    assert (seen["partition_key"], seen["task"]["task_id"]) == ("tuesday", "look")
    (asset,) = crosswind(cluster, "assets", "list")
    assert (asset["event_count"], asset["scheduled_dag_ids"]) == (3, ["report"])
