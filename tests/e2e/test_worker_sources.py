"""A source that is edited and edited back while its worker runs; a worker that starts with old source. [WORKER-1]"""

import shutil
from dataclasses import replace

from tests.e2e.support.cluster import Cluster, one_task


def run_version(cluster: Cluster) -> int:
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    version = int(puppet.order("version"))
    puppet.succeed(version)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    return version


def test_source_that_is_changed_back_is_current_again(cluster):
    first, second = replace(one_task(), version=1), replace(one_task(), version=2)
    cluster.write(first)
    worker = cluster.start_worker()
    assert run_version(cluster) == 1
    cluster.rewrite(worker, second)
    assert run_version(cluster) == 2
    # Its process has ended meanwhile, since no run needed it.
    worker.wait_for("no run needs it any more")
    cluster.rewrite(worker, first)
    assert run_version(cluster) == 1


def test_source_that_is_changed_back_while_its_process_lives_is_current_again(cluster):
    first, second = replace(one_task(), version=1), replace(one_task(), version=2)
    cluster.write(first)
    worker = cluster.start_worker()
    old = cluster.control.trigger("one")
    busy = cluster.stage.enter("work")  # keeps version 1's process
    cluster.rewrite(worker, second)
    assert run_version(cluster) == 2
    since = worker.mark()
    cluster.write(first)
    worker.wait_for("new runs begin with version", since=since)
    assert run_version(cluster) == 1
    busy.succeed(0)
    assert cluster.control.wait_run("one", old) == "SUCCEEDED"


def test_worker_that_starts_with_old_source_does_not_make_it_current(cluster):
    # Other than its source the DAG changes too, so that a worker that has only the old one cannot take the task.
    first, second = replace(one_task(), version=1), replace(one_task(retries=1), version=2)
    cluster.write(first)
    worker = cluster.start_worker()
    cluster.rewrite(worker, second)
    worker.terminate()
    assert worker.wait() == 0
    newer = cluster.folder / "newer" / "dags"
    shutil.copytree(cluster.dags, newer)
    cluster.write(first)
    since = worker.mark()
    worker.start()
    worker.wait_on_offer(since=since)
    cluster.start_worker("newer", dags=newer)
    assert run_version(cluster) == 2
