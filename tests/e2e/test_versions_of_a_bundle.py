"""A DAG's source changes while its worker runs: new runs get the new version, running ones keep theirs."""

import json
from dataclasses import replace

from tests.e2e.support.cluster import chain, one_task
from tests.e2e.support.processes import BIN, run


def test_changed_source_is_a_new_version_and_running_tasks_keep_theirs(cluster):
    cluster.write(chain())
    worker = cluster.start_worker()
    old = cluster.control.trigger("chain")
    first = cluster.stage.enter("first")
    cluster.rewrite(worker, replace(chain(), version=2))
    new = cluster.control.trigger("chain")
    newer = cluster.stage.enter("first")
    assert (first.order("version"), newer.order("version")) == (1, 2)
    first.succeed(1)
    second = cluster.stage.enter("second")
    assert (second.value, second.order("version")) == ([1], 1)
    second.succeed(None)
    newer.succeed(2)
    second = cluster.stage.enter("second")
    assert (second.value, second.order("version")) == ([2], 2)
    second.succeed(None)
    assert cluster.control.wait_run("chain", old) == "SUCCEEDED"
    assert cluster.control.wait_run("chain", new) == "SUCCEEDED"


def test_source_that_breaks_harms_neither_its_running_tasks_nor_other_dags(cluster):
    cluster.write(chain(), one_task())
    worker = cluster.start_worker()
    old = cluster.control.trigger("chain")
    first = cluster.stage.enter("first")
    since = worker.mark()
    worker.wait_for(cluster.kind.spoil("chain", cluster.dags), since=since)
    first.succeed(1)
    cluster.stage.enter("second").succeed(2)
    assert cluster.control.wait_run("chain", old) == "SUCCEEDED"
    other = cluster.control.trigger("one")
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", other) == "SUCCEEDED"
    cluster.rewrite(worker, replace(chain(), version=3))
    repaired = cluster.control.trigger("chain")
    first = cluster.stage.enter("first")
    assert first.order("version") == 3
    first.succeed(1)
    cluster.stage.enter("second").succeed(2)
    assert cluster.control.wait_run("chain", repaired) == "SUCCEEDED"


def test_a_run_that_failed_is_cleared_into_the_version_in_which_it_is_mended(cluster):
    cluster.write(chain(names=("first", "second", "last")))
    worker = cluster.start_worker()
    name = cluster.control.trigger("chain")
    cluster.stage.enter("first").succeed(1)
    cluster.stage.enter("second").fail()
    assert cluster.control.wait_run("chain", name) == "FAILED"
    before = cluster.control.run("chain", name).dag_version_id
    cluster.rewrite(worker, replace(chain(names=("first", "between", "second")), version=2))
    access = ["--server", cluster.server.address, "--token-file", str(cluster.server.access_token_file)]
    words = ["runs", "clear", f"chain/{name}", "--only-failed", "--newest", "--output", "json"]
    cleared = json.loads(run([BIN / "crosswind", *words, *access], folder=cluster.folder).stdout)
    assert cleared["cleared_count"] == 1
    assert cleared["dag_run"]["dag_version_id"] not in ("", before)
    between = cluster.stage.enter("between")
    assert (between.value, between.order("version")) == ([1], 2)
    between.succeed(7)
    second = cluster.stage.enter("second")
    assert (second.value, second.order("version")) == ([7], 2)
    second.succeed(None)
    assert cluster.control.wait_run("chain", name) == "SUCCEEDED"
    states = {"first": "SUCCEEDED", "between": "SUCCEEDED", "second": "SUCCEEDED", "last": "REMOVED"}
    assert cluster.control.task_states("chain", name) == states
    assert cluster.control.attempt_states("chain", name, "second") == ["FAILED", "SUCCEEDED"]
    assert cluster.control.attempt_states("chain", name, "first") == ["SUCCEEDED"]
