"""Pools, labels, priority, bounds, and the steering of workers, from hand-written manifests and with real processes."""

import re

from tests.e2e.support.workers import NO_WORKER

BOUNDED = """
dag d max_active_tasks=3 {
  heavy pool=db pool_slots=2 priority=9
  light map=[1,2,3] pool=db max_active_per_run=1
  europe label=zone:eu
  end after=heavy,light,europe
}
on heavy wait=heavy
on light wait=light
"""
ONE_BY_ONE = """
dag d { first; low after=first; mid after=first priority=1; high after=first priority=2 }
on first wait=go
"""


@NO_WORKER
def test_pools_labels_and_bounds_hold_and_say_so(each_cluster):
    cluster = each_cluster
    cluster.command("pools", "set", "db", "2")
    worker = cluster.start_scripted_worker(BOUNDED)
    run = cluster.control.trigger("d")
    worker.wait_for("^waits heavy")
    waiting = cluster.command("tasks", "list", f"d/{run}", "--output", "json").stdout
    assert re.search(r"Waits for a free slot of the pool 'db'; 2 of 2 are taken", waiting)
    assert re.search(r"as many instances of the task 'light' are active in the run as may be \(1\)", waiting)
    assert re.search(r"has the labels zone=eu", waiting)
    worker.go("heavy")
    worker.wait_for(r"^waits light\[0\]")
    worker.go("light")
    worker.wait_for(r"^ended light\[2\] succeeded")
    assert '"used_slots": 0' in cluster.command("pools", "get", "db", "--output", "json").stdout
    europe = cluster.start_scripted_worker(BOUNDED, name="europe", labels={"zone": "eu"})
    europe.wait_for("^ended europe succeeded")
    assert cluster.control.wait_run("d", run) == "SUCCEEDED"


@NO_WORKER
def test_what_has_more_priority_comes_first(each_cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(ONE_BY_ONE, slots=1)
    run = cluster.control.trigger("d")
    worker.wait_for("^waits first")
    worker.go()
    assert cluster.control.wait_run("d", run) == "SUCCEEDED"
    assert re.findall(r"^started (\w+)", worker.log, re.MULTILINE) == ["first", "high", "mid", "low"]


@NO_WORKER
def test_a_worker_is_paused_drained_and_followed_by_another(each_cluster):
    cluster = each_cluster
    script = "dag d { a; b after=a }\non a wait=go"
    worker = cluster.start_scripted_worker(script, name="one")
    run = cluster.control.trigger("d")
    worker.wait_for("^waits a")
    cluster.command("workers", "pause", "one")
    worker.wait_for("^told pause")
    worker.go()
    worker.wait_for("^ended a succeeded")
    cluster.control.wait_task("d", run, "b", "QUEUED")
    assert "let one go on" in cluster.command("tasks", "list", f"d/{run}", "--output", "json").stdout
    cluster.command("workers", "drain", "one")
    worker.wait_for("^told drain")
    cluster.start_scripted_worker(script, name="two")
    assert cluster.control.wait_run("d", run) == "SUCCEEDED"
