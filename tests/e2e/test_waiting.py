"""Waiting without a slot, and code beside tasks, from hand-written manifests and with real processes."""

import json
import re

from tests.e2e.support.workers import NO_WORKER

WAITING = """
dag d callback=success:mod:notify {
  event; trigger; person
  end after=event,trigger,person
}
on event deferred event=file-came times=1
on trigger deferred trigger=mod:watch args={"path":"/a"} times=1
on person awaiting_input subject="Really?" options=yes,no times=1
on mod:watch result={"size":3}
"""


@NO_WORKER
def test_events_triggers_people_and_callbacks_with_real_processes(each_cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker(WAITING, name="tasks", slots=1)
    run = cluster.control.trigger("d")
    worker.wait_for("^ended person awaiting_input")
    triggerer = cluster.start_scripted_worker(WAITING, name="triggers", roles=("triggers",))
    triggerer.wait_for("^ended .* succeeded")
    assert "Delivered 'file-came' to 1 task." in cluster.command("events", "deliver", "file-came").stdout
    (asked,) = json.loads(cluster.command("inputs", "list", "--output", "json").stdout)
    answered = cluster.command("inputs", "answer", asked["input_request_id"], "--option", "yes").stdout
    assert "Answered 'Really?'" in answered
    assert cluster.control.wait_run("d", run) == "SUCCEEDED"
    # Its callback runs when the run has ended.
    worker.wait_for("^started .*mod:notify|^started callback|^ended callback")
    assert not re.search("mod:watch", worker.log)
