"""Runs that last too long, and runs that miss their deadlines. On both databases."""

from typing import Any

from google.protobuf.duration_pb2 import Duration
from sqlalchemy import select

from crosswind.execution.v1.lease_pb2 import CallbackContext
from crosswind.manifest.v1 import dag_pb2
from crosswind_server.store.schema import dag_run, task_instance, timer
from tests.store.clocks import SECOND, TimedFlow
from tests.store.dags import dag_of, task

MINUTE = 60 * SECOND


def left(flow: TimedFlow) -> list[str]:
    return [row.kind for row in flow.store.read_blocking(lambda uow: uow.execute(select(timer)).all())]


def called(flow: TimedFlow, run: str) -> list[str]:
    query = select(task_instance.c.workload_entry_point).where(
        task_instance.c.run_key == run, task_instance.c.task_index < 0
    )
    return list(flow.store.read_blocking(lambda uow: uow.execute(query).scalars().all()))


def deadline(reference: str, seconds: int) -> dag_pb2.Deadline:
    value = getattr(dag_pb2.Deadline, f"REFERENCE_{reference}")
    return dag_pb2.Deadline(reference=value, interval=Duration(seconds=seconds))


def publish(flow: TimedFlow, **fields: Any):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", retries=3), task("b", "a"), **fields), to=worker)
    return worker


def test_a_run_that_lasts_too_long_fails_and_what_runs_is_cancelled(timed: TimedFlow):
    worker = publish(timed, run_timeout=Duration(seconds=60))
    run = timed.trigger("d")
    (lease,) = timed.take(worker)
    timed.start(lease, worker)
    timed.pass_time(59 * SECOND)
    assert timed.run_state(run) == "running"
    timed.pass_time(SECOND)
    assert timed.run_state(run) == "cancelling"
    assert timed.states(run) == {"a": "cancelling", "b": "cancelled"}
    assert timed.attempt(lease).cancel_reason == "The run lasted longer than its DAG allows."
    timed.finish(lease, "cancelled")
    assert timed.run_state(run) == "failed"
    assert timed.states(run) == {"a": "cancelled", "b": "cancelled"}


def test_a_run_that_nothing_of_is_running_fails_at_once(timed: TimedFlow):
    publish(timed, run_timeout=Duration(seconds=60))
    run = timed.trigger("d")
    timed.pass_time(MINUTE)
    assert timed.run_state(run) == "failed"
    assert set(timed.states(run).values()) == {"cancelled"}


def test_time_in_the_queue_does_not_count(timed: TimedFlow):
    publish(timed, run_timeout=Duration(seconds=60), max_active_runs=1)
    first, second = timed.trigger("d"), timed.trigger("d")
    timed.pass_time(MINUTE)
    assert [timed.run_state(run) for run in (first, second)] == ["failed", "running"]
    timed.pass_time(MINUTE)
    assert timed.run_state(second) == "failed"


def test_a_run_that_ends_in_time_leaves_no_timer(timed: TimedFlow):
    worker = publish(timed, run_timeout=Duration(seconds=60), deadline=deadline("QUEUED", 30))
    run = timed.trigger("d")
    assert sorted(left(timed)) == ["deadline", "run_timeout"]
    timed.work_off(worker)
    assert (timed.run_state(run), left(timed)) == ("succeeded", [])
    timed.pass_time(2 * MINUTE)
    assert (timed.run_state(run), timed.row(dag_run, run).deadline_missed) == ("succeeded", False)


def test_a_run_that_is_cancelled_meanwhile_stays_cancelled(timed: TimedFlow):
    worker = publish(timed, run_timeout=Duration(seconds=60))
    run = timed.trigger("d")
    (lease,) = timed.take(worker)
    timed.start(lease, worker)
    timed.cancel(run)
    timed.pass_time(MINUTE)
    timed.finish(lease, "cancelled")
    assert timed.run_state(run) == "cancelled"


def test_a_missed_deadline_is_noted_once_and_the_run_goes_on(timed: TimedFlow):
    callback = dag_pb2.Callback(event=dag_pb2.Callback.EVENT_DEADLINE, entry_point="mod:late")
    worker = publish(timed, deadline=deadline("QUEUED", 60), callbacks=[callback])
    run = timed.trigger("d")
    began, revision = timed.now, timed.row(dag_run, run).revision
    assert timed.row(dag_run, run).deadline_time == began + MINUTE
    timed.pass_time(2 * MINUTE)
    row = timed.row(dag_run, run)
    assert (row.state, row.deadline_missed) == ("running", True)
    assert called(timed, run) == ["mod:late"]
    assert row.revision > revision
    late, _ = timed.take(worker)
    assert (late.workload, late.entry_point) == ("callback", "mod:late")
    told = CallbackContext.FromString(timed.start(late, worker).workload_message or b"")
    assert (told.event, told.state) == (dag_pb2.Callback.EVENT_DEADLINE, "running")
    assert not told.HasField("task_instance")
    timed.finish(late, "failed")
    assert timed.row(dag_run, run).state == "running"
    timed.work_off(worker)
    row = timed.row(dag_run, run)
    assert (row.state, row.deadline_missed, called(timed, run)) == ("succeeded", True, ["mod:late"])


def test_deadlines_count_from_the_moment_that_the_dag_says(timed: TimedFlow):
    publish(timed, deadline=deadline("LOGICAL_TIME", 60), max_active_runs=1)
    logical = timed.now + 10 * MINUTE
    about = timed.trigger("d", logical_time=logical)
    assert timed.row(dag_run, about).deadline_time == logical + MINUTE
    assert timed.row(dag_run, timed.trigger("d")).deadline_time is None

    worker = timed.register("w2")
    started = dag_of("e", task("a"), deadline=deadline("STARTED", 60), max_active_runs=1)
    timed.publish(started, to=worker, bundle="other")
    first, second = timed.trigger("e"), timed.trigger("e")
    assert timed.row(dag_run, first).deadline_time == timed.now + MINUTE
    assert timed.row(dag_run, second).deadline_time is None
    timed.pass_time(5 * SECOND)
    (lease,) = timed.take(worker)
    timed.run(lease, worker)
    timed.continue_all()
    assert timed.row(dag_run, second).deadline_time == timed.now + MINUTE
