"""Callbacks: made with what they are for, run beside the graph, and never in its way."""

from typing import Any

import pytest

from crosswind.execution.v1.failure_pb2 import Failure
from crosswind.execution.v1.lease_pb2 import CallbackContext
from crosswind.manifest.v1 import dag_pb2, retry_pb2, task_pb2
from crosswind_server.domain.states import Workload
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.flow.board import PIECE
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import Flow

RUN, TASK = dag_pb2.Callback, task_pb2.TaskCallback


def calling(made: task_pb2.Task, **entry_points: str) -> task_pb2.Task:
    """The task with callbacks, by their events."""
    for event, entry_point in entry_points.items():
        made.callbacks.add(trigger=TASK.Trigger.Value(f"TRIGGER_{event.upper()}"), entry_point=entry_point)
    return made


def run_callback(event: str, entry_point: str, **retry: Any) -> dag_pb2.Callback:
    """A callback of a DAG's runs."""
    return RUN(event=f"EVENT_{event.upper()}", entry_point=entry_point, retry=retry_pb2.RetryPolicy(**retry))


def only(leases: list[Lease]) -> Lease:
    """The one lease."""
    (lease,) = leases
    return lease


def contexts(flow: Flow, run: str) -> list[CallbackContext]:
    """What the callbacks of a run are told, in the order of their making."""
    return [CallbackContext.FromString(row.workload_message) for row in flow.workloads(run)]


def test_callbacks_of_a_task_and_its_run_are_told_what_happened(flow: Flow):
    worker = flow.register()
    dag = dag_of(
        "d",
        calling(task("a", retries=1, delay=0), retry="mod:again", failure="mod:alarm", success="mod:fine"),
        calling(task("b", "a"), skipped="mod:skipped", failure="mod:alarm"),
        callbacks=[run_callback("failure", "mod:run_failed"), run_callback("success", "mod:run_fine")],
    )
    flow.publish(dag, to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.run(lease, worker, "failed")
    (lease,) = flow.take(worker)
    assert (lease.workload, lease.entry_point, lease.task_id) == ("callback", "mod:again", "a")
    context = flow.start(lease, worker)
    assert (context.workload, context.inputs) == (Workload.CALLBACK, ())
    assert context.workload_message is not None
    told = CallbackContext.FromString(context.workload_message)
    assert (told.event, told.try_number, told.state) == (RUN.EVENT_RETRY, 1, "up_for_retry")
    assert (told.task_instance.task_id, told.failure.type) == ("a", "ValueError")
    flow.finish(lease)
    flow.wake()
    (lease,) = flow.take(worker)
    flow.run(lease, worker, "failed")
    assert flow.run_state(run) == "failed"
    _, alarm, run_failed = contexts(flow, run)
    assert (alarm.event, alarm.try_number, alarm.state) == (RUN.EVENT_FAILURE, 2, "failed")
    assert (run_failed.event, run_failed.HasField("task_instance"), run_failed.state) == (
        RUN.EVENT_FAILURE,
        False,
        "failed",
    )
    # The run has ended, and its callbacks still run.
    leases = flow.take(worker)
    assert sorted(lease.entry_point for lease in leases) == ["mod:alarm", "mod:run_failed"]
    for lease in leases:
        flow.run(lease, worker)
    assert {row.state for row in flow.workloads(run)} == {"succeeded"}
    assert flow.row_of_run(run).unfinished == 0


def test_success_and_skip_call_back_and_what_never_ran_does_not(flow: Flow):
    worker = flow.register()
    dag = dag_of(
        "d",
        calling(task("a"), success="mod:fine", failure="mod:alarm"),
        calling(task("b"), skipped="mod:skipped"),
        calling(task("c", "b"), failure="mod:alarm", success="mod:fine", skipped="mod:skipped"),
        calling(task("e"), failure="mod:alarm"),
        calling(task("f", "e"), failure="mod:never"),
    )
    flow.publish(dag, to=worker)
    run = flow.trigger("d")
    for lease in flow.take(worker):
        outcome = {"a": "succeeded", "b": "skipped", "e": "failed"}[lease.task_id]
        flow.run(lease, worker, outcome)
    assert flow.states(run)["f"] == "upstream_failed"
    called = {(row.task_id, row.workload_entry_point) for row in flow.workloads(run)}
    assert called == {("a", "mod:fine"), ("b", "mod:skipped"), ("c", "mod:skipped"), ("e", "mod:alarm")}


def test_a_cancelled_task_calls_nobody_back_and_callbacks_go_on_when_the_run_is_cancelled(flow: Flow):
    worker = flow.register()
    dag = dag_of("d", calling(task("a"), success="mod:fine"), calling(task("b", "a"), failure="mod:alarm"))
    flow.publish(dag, to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.run(lease, worker)
    flow.cancel(run)
    assert flow.run_state(run) == "cancelled"
    (lease,) = flow.take(worker)
    assert lease.entry_point == "mod:fine"
    flow.run(lease, worker)
    assert [row.state for row in flow.workloads(run)] == ["succeeded"]


def test_the_retry_policy_of_a_callback_is_its_own(flow: Flow):
    worker = flow.register()
    retry = {"retries": 1, "delay": {"seconds": 0}}
    dag = dag_of("d", task("a"), callbacks=[run_callback("success", "mod:fine", **retry)])
    flow.publish(dag, to=worker)
    run = flow.trigger("d")
    flow.run(only(flow.take(worker)), worker)
    assert flow.run_state(run) == "succeeded"
    for state in ("up_for_retry", "failed"):
        (lease,) = flow.take(worker)
        flow.run(lease, worker, "failed")
        (row,) = flow.workloads(run)
        assert row.state == state
        flow.wake()
    assert Failure.FromString(row.failure_message).type == "ValueError"
    assert flow.run_state(run) == "succeeded"


def test_a_lost_callback_is_run_again(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", calling(task("a"), success="mod:fine")), to=worker)
    run = flow.trigger("d")
    flow.run(only(flow.take(worker)), worker)
    flow.start(only(flow.take(worker)), worker)
    flow.pass_lease()
    flow.run(only(flow.take(worker)), worker)
    assert [row.state for row in flow.workloads(run)] == ["succeeded"]


def test_each_instance_of_a_mapped_task_calls_back(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", calling(mapped(task("a"), [1, 2]), success="mod:fine")), to=worker)
    run = flow.trigger("d")
    for lease in flow.take(worker):
        flow.run(lease, worker)
    assert sorted(row.workload_map_index for row in flow.workloads(run)) == [0, 1]
    assert sorted(told.task_instance.map_index for told in contexts(flow, run)) == [0, 1]
    assert flow.run_state(run) == "succeeded"


def test_a_callback_that_defers_has_failed(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", calling(task("a"), success="mod:fine")), to=worker)
    run = flow.trigger("d")
    flow.run(only(flow.take(worker)), worker)
    flow.run(only(flow.take(worker)), worker, "deferred")
    (row,) = flow.workloads(run)
    assert (row.state, Failure.FromString(row.failure_message).type) == ("failed", "crosswind.OutcomeNotAllowed")


def test_many_callbacks_are_made_in_pieces(flow: Flow):
    worker = flow.register(slots=10_000)
    many = PIECE // 2 + 10
    skipped = [calling(task(f"t{number}", "a"), skipped="mod:one") for number in range(many)]
    for made in skipped:
        made.callbacks.add(trigger=TASK.TRIGGER_SKIPPED, entry_point="mod:two")
    flow.publish(dag_of("d", task("a"), *skipped), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    (lease,) = flow.take(worker)
    flow.run(lease, worker, "skipped")
    assert len(flow.workloads(run)) <= PIECE + 1
    flow.continue_all()
    rows = flow.workloads(run)
    assert len(rows) == 2 * many
    assert len({row.map_index for row in rows}) == 2 * many
    assert flow.run_state(run) == "skipped" or flow.run_state(run) == "succeeded"


def test_a_version_stays_while_a_callback_waits_for_it(flow: Flow):
    worker = flow.register(queues=["default"])
    late = flow.register("late")
    flow.publish(dag_of("d", calling(task("a", queue="default"), success="mod:fine")), to=worker, version="v1")
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.run(lease, worker)
    flow.publish(dag_of("d", task("a")), to=worker, version="v2")
    told = [each.bundle_version for each in flow.poll(worker, max_leases=0).directives]
    assert told == []
    flow.run(only(flow.take(worker)), worker)
    assert [each.bundle_version for each in flow.poll(worker).directives] == ["v1"]
    assert flow.run_state(run) == "succeeded"
    assert late.name == "late"


@pytest.mark.parametrize(
    "dag",
    [
        dag_of("d", task("a"), callbacks=[run_callback("retry", "mod:again")]),
        dag_of("d", task("a"), callbacks=[run_callback("success", "")]),
        dag_of("d", task("a", callbacks=[TASK(entry_point="mod:fine")])),
        dag_of("d", calling(task("a"), success="x" * 501)),
        dag_of("d", task("a", callbacks=[TASK(trigger=TASK.TRIGGER_SUCCESS, entry_point="m")] * 21)),
    ],
    ids=["no such event", "no code", "no event", "long name", "too many"],
)
def test_callbacks_that_cannot_run_are_refused_with_their_dag(sqlite_flow: Flow, dag: dag_pb2.Dag):
    result = sqlite_flow.publish(dag, to=sqlite_flow.register())
    (refusal,) = result.refused
    assert refusal.reason.name == "DAG_INVALID"
