"""A DAG's source changes while its worker runs: new runs get the new version, running ones keep theirs."""

from dataclasses import replace

from tests.e2e.support.cluster import chain


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


def test_source_that_breaks_leaves_the_dags_as_they_were(cluster):
    cluster.write(chain())
    worker = cluster.start_worker()
    file = cluster.dags / f"{chain().dag_id}.py"
    since = worker.mark()
    (cluster.dags / ".half").write_text("def broken(:\n")
    (cluster.dags / ".half").replace(file)
    worker.wait_for(r"chain\.py", since=since)
    cluster.rewrite(worker, replace(chain(), version=3))
    run = cluster.control.trigger("chain")
    cluster.stage.enter("first").succeed(1)
    cluster.stage.enter("second").succeed(2)
    assert cluster.control.wait_run("chain", run) == "SUCCEEDED"
