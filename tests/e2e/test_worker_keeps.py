"""What a worker keeps and what it gives up: outcomes on disk, logs that come too fast. [FIN-1] [BYTES-1]"""

import json
import shutil

import pytest

from tests.e2e.support.cluster import one_task


def test_logs_that_come_too_fast_are_dropped_counted_and_shown(cluster):
    cluster.write(one_task())
    proxy = cluster.proxy()
    cluster.start_worker(through=proxy)
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    puppet.order("print", text="the first line")
    cluster.control.read_log("one", run, "work", until="the first line")
    held = proxy.hold_request("AppendLogs")
    puppet.order("print", text="held")
    held.wait_reached()
    puppet.order("flood", lines=1200, length=16_000)  # 19 MB, of which at most 4 are kept
    held.release()
    puppet.order("print", text="the last line")
    puppet.succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    lines = cluster.control.read_log("one", run, "work")
    assert lines[:2] == ["the first line", "held"]
    (attempt,) = cluster.control.attempts("one", run, "work")
    kept = sum(len(line) == 16_000 for line in lines)
    assert 0 < kept < 1200
    assert attempt.log_record_count == len(lines)
    # Nothing is missing that was not counted.
    assert attempt.log_dropped_count == 1200 + 3 - len(lines)
    shown = cluster.command("tasks", "logs", run, "work")
    assert shown.returncode == 0
    assert f"{attempt.log_dropped_count} records of this log were dropped" in shown.stderr
    assert "records were dropped here ..." in shown.stdout or "the last line" not in lines


def test_worker_that_cannot_write_its_state_folder_says_so_and_works(cluster):
    cluster.write(one_task())
    blocker = cluster.folder / "file"
    blocker.write_text("not a folder")
    worker = cluster.start_worker(state=blocker / "state")
    worker.wait_for(r"WARNING The state folder .*/file/state cannot be written \(Not a directory\): .*--state-dir")
    run = cluster.control.trigger("one")
    cluster.stage.enter("work").succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    worker.terminate()
    assert worker.wait() == 0


def test_worker_whose_state_folder_vanishes_says_so_and_works(cluster):
    cluster.write(one_task())
    worker = cluster.start_worker()
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    since = worker.mark()
    shutil.rmtree(worker.state)
    puppet.succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    worker.wait_for("WARNING .*outcome", since=since)
    worker.terminate()
    assert worker.wait() == 0


@pytest.mark.parametrize("name", ["worker", "renamed"])
def test_outcome_found_by_the_next_worker_is_taken(cluster, name):
    cluster.write(one_task())
    proxy = cluster.proxy()
    worker = cluster.start_worker(through=proxy)
    run = cluster.control.trigger("one")
    finish = proxy.hold_request("FinishAttempt", drop=True)
    cluster.stage.enter("work").succeed(6)
    finish.wait_reached()
    old = json.loads((worker.state / "instance.json").read_text())["instance_id"]
    worker.kill9()
    finish.release()
    assert cluster.control.attempt_states("one", run, "work") == ["RUNNING"]
    successor = cluster.worker(name, state=worker.state, folder=cluster.folder / "successor")
    successor.start()
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    (attempt,) = cluster.control.attempts("one", run, "work")
    assert cluster.control.xcom("one", run, "work") == b"6"
    # The attempt is the successor's since it registered with the old one's token.
    assert cluster.control.instance_id(name) == attempt.worker_instance_id != old
    assert cluster.stage.arrivals == [("work", 1)]
    successor.wait_on_offer()
    assert not list((worker.state / "outcomes").glob("*"))
