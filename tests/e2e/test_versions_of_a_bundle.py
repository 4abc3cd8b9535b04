"""A DAG's source changes while its worker runs: new runs get the new version, running ones keep theirs."""

from dataclasses import replace

from tests.e2e.support.cluster import chain, one_task


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
