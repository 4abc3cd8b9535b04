"""Trigger rules from a hand-written manifest, with real processes: any language can say and do this."""

from tests.e2e.support.workers import NO_WORKER

RULES = """
dag rules {
  good; bad; idle
  cleanup after=good,bad rule=one_failed
  summary after=good,bad,idle rule=all_done reads=good
  report after=good,idle rule=none_failed_min_one_success
  never after=good,bad
}
on good result=[1,2] wait=good
on bad failed
on idle skipped
"""


@NO_WORKER
def test_each_task_runs_by_its_rule(each_cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(RULES)
    run = cluster.control.trigger("rules")
    worker.wait_for("^ended cleanup succeeded")  # one_failed waits for no other
    cluster.control.wait_task("rules", run, "summary", "WAITING")
    worker.go("good")
    assert cluster.control.wait_run("rules", run) == "FAILED"
    assert cluster.control.task_states("rules", run) == {
        "good": "SUCCEEDED",
        "bad": "FAILED",
        "idle": "SKIPPED",
        "cleanup": "SUCCEEDED",
        "summary": "SUCCEEDED",
        "report": "SUCCEEDED",
        "never": "UPSTREAM_FAILED",
    }
    assert worker.arguments_of("summary") == {"arg0": [1, 2]}


@NO_WORKER
def test_a_killed_worker_gives_its_work_to_the_next(each_cluster):
    cluster = each_cluster
    first = cluster.start_scripted_worker("dag d { a; b after=a }\non a wait=never", name="first")
    run = cluster.control.trigger("d")
    first.wait_for("^waits a")
    first.kill9()
    second = cluster.start_scripted_worker("dag d { a; b after=a }", name="second")
    assert cluster.control.wait_run("d", run) == "SUCCEEDED"
    second.wait_for("^ended b succeeded")
    assert cluster.control.attempt_states("d", run, "a") == ["LOST", "SUCCEEDED"]


@NO_WORKER
def test_a_cancelled_task_is_told(cluster):
    worker = cluster.start_scripted_worker("dag d { a; b after=a }\non a wait=never")
    run = cluster.control.trigger("d")
    worker.wait_for("^waits a")
    cluster.control.cancel("d", run)
    worker.wait_for("^ended a cancelled")
    assert cluster.control.wait_run("d", run) == "CANCELLED"
