"""Triggers: a deferred task's condition is code that workers in the triggerer role run, and its end ends the wait."""

import pytest

from crosswind.execution.v1.failure_pb2 import Failure
from crosswind_server import manifests
from crosswind_server.domain.states import Workload
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.execution.attempts import Wake
from crosswind_server.services.execution.directives import DirectiveKind
from crosswind_server.services.flow.waiting import Wait
from tests.store.dags import dag_of, decode, json_payload, mapped, task
from tests.store.flow import Flow, arguments, brought, refused, resumed

MINUTE_US = 60_000_000
WATCH = Wait(trigger="mod:watch", arguments=json_payload({"path": "/a"}).SerializeToString())


class Watched:
    """A run whose only task waits for its trigger, a worker of each role, and the trigger's lease."""

    def __init__(self, flow: Flow, **fields: object) -> None:
        self.flow = flow
        self.worker = flow.register("tasks")
        self.triggerer = flow.register("triggers", roles=["triggers"])
        dag = dag_of("d", task("a", retries=1, delay=0), task("b", "a"))
        flow.publish(dag, to=self.worker, version="v1")
        flow.publish(dag, to=self.triggerer, version="v1")
        self.run = flow.trigger("d")
        (lease,) = flow.take(self.worker)
        flow.defer(lease, self.worker, WATCH, method="go_on", **fields)

    def take(self) -> Lease:
        """The lease of the trigger."""
        (lease,) = self.flow.take(self.triggerer)
        return lease

    def trigger(self) -> object:
        """The row of the trigger that was made last."""
        return self.flow.workloads(self.run)[-1]


def test_a_trigger_is_run_by_a_worker_in_its_role_and_brings_the_event(flow: Flow):
    watched = Watched(flow)
    assert flow.states(watched.run) == {"a": "deferred", "b": "waiting"}
    assert flow.take(watched.worker) == []
    lease = watched.take()
    assert (lease.workload, lease.entry_point) == ("trigger", "mod:watch")
    assert (lease.task_id, lease.map_index, lease.try_number) == ("a", -1, 1)
    context = flow.start(lease, watched.triggerer)
    assert context.workload is Workload.TRIGGER
    (given,) = context.inputs
    assert (given.name, given.position, decode(given.value)) == ("", None, {"path": "/a"})
    assert flow.states(watched.run)["a"] == "deferred"
    flow.finish(lease, result={"size": 3})
    (lease,) = flow.take(watched.worker)
    context = flow.start(lease, watched.worker)
    assert (lease.task_id, lease.workload, lease.try_number) == ("a", "task", 1)
    assert brought(context) == {"size": 3}
    assert (resumed(context).method, resumed(context).timed_out) == ("go_on", False)
    flow.finish(lease)
    flow.work_off(watched.worker)
    assert flow.run_state(watched.run) == "succeeded"
    # Its result is an event, and no XCom of the task.
    assert arguments(context) == {}


def test_a_worker_of_both_roles_gets_both(flow: Flow):
    worker = flow.register(roles=["tasks", "triggers"])
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.defer(lease, worker, Wait(trigger="mod:watch"))
    (lease,) = flow.take(worker)
    assert lease.workload == "trigger"
    flow.run(lease, worker)
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"


def test_a_trigger_of_a_mapped_instance_names_it(flow: Flow):
    worker = flow.register(roles=["tasks", "triggers"])
    flow.publish(dag_of("d", mapped(task("a"), [1, 2])), to=worker)
    run = flow.trigger("d")
    first, lease = flow.take(worker)
    flow.start(first, worker)
    flow.defer(lease, worker, WATCH)
    (trigger,) = flow.take(worker)
    assert (trigger.task_id, trigger.map_index) == ("a", 1)
    flow.run(trigger, worker)
    assert flow.states(run)["a", 1] == "queued"


def test_a_trigger_that_reschedules_itself_is_asked_again(flow: Flow):
    watched = Watched(flow)
    lease = watched.take()
    flow.run(lease, watched.triggerer, "rescheduled", wake=Wake(delay_us=MINUTE_US))
    assert flow.take(watched.triggerer) == []
    assert flow.states(watched.run)["a"] == "deferred"
    assert flow.wake() == 1
    again = watched.take()
    assert again.attempt_id != lease.attempt_id
    flow.run(again, watched.triggerer, result=1)
    assert flow.states(watched.run)["a"] == "queued"


def test_a_trigger_that_fails_four_times_fails_the_try_of_its_task(flow: Flow):
    watched = Watched(flow)
    for _ in range(3):
        flow.run(watched.take(), watched.triggerer, "failed")
        assert flow.states(watched.run)["a"] == "deferred"
        flow.wake()
    flow.run(watched.take(), watched.triggerer, "failed")
    row = flow.instance(watched.run, "a")
    assert (row.state, row.failures) == ("up_for_retry", 1)
    failure = Failure.FromString(row.failure_message)
    assert (failure.type, failure.cause.type) == ("crosswind.TriggerFailed", "ValueError")
    assert "mod:watch" in failure.message
    flow.wake()
    (lease,) = flow.take(watched.worker)
    assert lease.try_number == 2
    flow.defer(lease, watched.worker, WATCH)
    for _ in range(4):
        flow.run(watched.take(), watched.triggerer, "failed")
        flow.wake()
    assert flow.states(watched.run) == {"a": "failed", "b": "upstream_failed"}
    assert flow.run_state(watched.run) == "failed"


def test_a_lost_trigger_is_run_again(flow: Flow):
    watched = Watched(flow)
    flow.start(watched.take(), watched.triggerer)
    flow.pass_lease()
    flow.run(watched.take(), watched.triggerer, result=1)
    assert flow.states(watched.run)["a"] == "queued"


@pytest.mark.parametrize("outcome", ["skipped", "deferred", "awaiting_input"])
def test_a_trigger_ends_as_no_task_may(flow: Flow, outcome: str):
    watched = Watched(flow)
    lease = watched.take()
    flow.start(lease, watched.triggerer)
    flow.finish(lease, outcome, wake=Wake(delay_us=1))
    row = flow.instance(watched.run, "a")
    failure = Failure.FromString(row.failure_message)
    assert failure.cause.type == "crosswind.OutcomeNotAllowed"
    assert flow.attempt(lease).state == "failed"


def test_the_timeout_ends_the_trigger(flow: Flow):
    watched = Watched(flow, timeout_us=MINUTE_US)
    lease = watched.take()
    flow.start(lease, watched.triggerer)
    assert flow.wake() == 1
    work = flow.poll(watched.triggerer, held=[lease.attempt_id])
    assert [directive.kind for directive in work.directives] == [DirectiveKind.CANCEL]
    flow.finish(lease, result="too late")
    assert flow.attempt(lease).state == "cancelled"
    (lease,) = flow.take(watched.worker)
    context = flow.start(lease, watched.worker)
    assert (resumed(context).timed_out, brought(context)) == (True, None)
    assert flow.take(watched.triggerer) == []


def test_the_result_comes_before_the_timeout_and_drops_it(flow: Flow):
    watched = Watched(flow, timeout_us=MINUTE_US)
    flow.run(watched.take(), watched.triggerer, result=1)
    assert flow.wake() == 0
    (lease,) = flow.take(watched.worker)
    assert resumed(flow.start(lease, watched.worker)).timed_out is False


@pytest.mark.parametrize("stage", ["queued", "assigned", "running"])
def test_a_cancelled_run_ends_its_triggers(flow: Flow, stage: str):
    watched = Watched(flow)
    lease = None if stage == "queued" else watched.take()
    if stage == "running" and lease is not None:
        flow.start(lease, watched.triggerer)
    flow.cancel(watched.run)
    assert flow.states(watched.run)["a"] == "cancelled"
    if stage == "running" and lease is not None:
        assert flow.workloads(watched.run)[0].state == "cancelling"
        assert flow.run_state(watched.run) == "cancelled"
        flow.finish(lease, "cancelled")
    elif lease is not None:
        assert refused(lambda: flow.start(lease, watched.triggerer)) == "STALE_LEASE"
    assert flow.workloads(watched.run)[0].state == "cancelled"
    assert flow.take(watched.triggerer) == []
    assert flow.run_state(watched.run) == "cancelled"


def test_a_trigger_counts_as_no_task(flow: Flow):
    watched = Watched(flow)
    assert flow.row_of_run(watched.run).unfinished == 2
    lease = watched.take()
    flow.start(lease, watched.triggerer)
    assert flow.row_of_run(watched.run).unfinished == 2
    flow.finish(lease, result=1)
    flow.work_off(watched.worker)
    assert flow.row_of_run(watched.run).unfinished == 0


def test_each_deferral_has_a_trigger_of_its_own(flow: Flow):
    watched = Watched(flow)
    flow.run(watched.take(), watched.triggerer, result=1)
    (lease,) = flow.take(watched.worker)
    flow.defer(lease, watched.worker, Wait(trigger="mod:other"))
    assert watched.take().entry_point == "mod:other"
    assert [row.map_index for row in flow.workloads(watched.run)] == [0, 1]


def test_a_lost_trigger_says_that_its_worker_went_away(flow: Flow):
    watched = Watched(flow)
    for _ in range(4):
        flow.start(watched.take(), watched.triggerer)
        flow.pass_lease()
    failure = Failure.FromString(flow.instance(watched.run, "a").failure_message)
    assert (failure.type, failure.cause.type) == ("crosswind.TriggerFailed", "crosswind.Lost")


def test_what_caused_the_end_counts_for_the_retry_rules(flow: Flow):
    worker = flow.register(roles=["tasks", "triggers"])
    made = task("a", retries=5)
    rule = made.retry.rules.add(failure_types=["ValueError"])
    rule.retry = False
    flow.publish(dag_of("d", made), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.defer(lease, worker, WATCH)
    for _ in range(4):
        (lease,) = flow.take(worker)
        flow.run(lease, worker, "failed")
        flow.wake()
    assert flow.states(run) == {"a": "failed"}
    assert manifests.failure_types(flow.instance(run, "a").failure_message) == ("crosswind.TriggerFailed",)
