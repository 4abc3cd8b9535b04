"""Two workers of one name, and one that comes back. [WORKER-1]"""

from tests.e2e.support.cluster import one_task


def test_second_worker_of_a_live_name_is_refused_in_one_sentence(cluster):
    cluster.write(one_task())
    first = cluster.start_worker("twin")
    run = cluster.control.trigger("one")
    puppet = cluster.stage.enter("work")
    second = cluster.worker("twin", folder=cluster.folder / "elsewhere")
    second.start()
    assert second.wait() != 0
    assert "Traceback" not in second.log
    assert "named twin already" in second.log
    assert "--name" in second.log
    assert first.alive
    puppet.succeed(1)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["SUCCEEDED"]


def test_second_worker_over_a_locked_state_folder_is_refused(cluster):
    cluster.write(one_task())
    first = cluster.start_worker("first")
    second = cluster.worker("second", state=first.state)
    second.start()
    assert second.wait() != 0
    assert "Traceback" not in second.log
    assert str(first.state) in second.log
    assert "--state-dir" in second.log
    assert first.alive


def test_name_of_a_silent_worker_can_be_taken(cluster):
    cluster.write(one_task())
    first = cluster.start_worker("heir")
    run = cluster.control.trigger("one")
    cluster.stage.enter("work")
    first.kill9()
    cluster.control.wait_run("one", run, lambda _: cluster.control.attempt_states("one", run, "work") == ["LOST"])
    cluster.start_worker("heir", folder=cluster.folder / "elsewhere")
    cluster.stage.enter("work").succeed(2)
    assert cluster.control.wait_run("one", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("one", run, "work") == ["LOST", "SUCCEEDED"]
