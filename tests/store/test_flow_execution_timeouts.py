"""Execution timeouts that the server enforces, where the worker is gone or does not."""

from typing import Any

from google.protobuf.duration_pb2 import Duration
from sqlalchemy import update

from crosswind.execution.v1.failure_pb2 import Failure
from crosswind_server.services.fleet.workers import Verdict
from crosswind_server.store.due import probe
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import attempt
from tests.store.dags import dag_of, task
from tests.store.flow import Flow, Worker, refused

SECOND_US = 1_000_000


def begin(flow: Flow, **fields: Any) -> tuple[Worker, str]:
    """A run of a task that may last 60 s, and 10 s more when it is cancelled."""
    worker = flow.register()
    flow.publish(dag_of("d", task("a", execution_timeout=Duration(seconds=60), **fields)), to=worker)
    return worker, flow.trigger("d")


def time_out(flow: Flow) -> int:
    """Let the execution timeouts pass, of those that have one."""
    flow._change(update(attempt).values(timeout_due=1).where(attempt.c.timeout_due.is_not(None)))
    return flow.store.write_blocking(each(flow.heart.timekeeper.time_out), None)


def test_an_attempt_that_its_worker_does_not_end_fails_and_is_tried_again(flow: Flow):
    worker, run = begin(flow, retries=1, delay=0)
    (lease,) = flow.take(worker)
    assert flow.attempt(lease).timeout_due is None
    flow.start(lease, worker)
    row = flow.attempt(lease)
    assert row.timeout_due == row.start_time + (60 + 10) * SECOND_US + flow.heart.timing.heartbeat_us
    assert flow.store.read_blocking(probe).timeout == row.timeout_due
    assert time_out(flow) == 1
    row = flow.attempt(lease)
    assert (row.state, row.outcome_id) == ("failed", None)
    failure = Failure.FromString(row.failure_message)
    assert failure.type == "crosswind.ExecutionTimeout"
    assert "'w1'" in failure.message
    assert flow.heartbeat(worker, lease).verdicts == (Verdict.LOST,)
    assert refused(lambda: flow.finish(lease)) == "STALE_LEASE"
    assert flow.states(run) == {"a": "up_for_retry"}
    flow.wake()
    (lease,) = flow.take(worker)
    assert lease.try_number == 2
    flow.start(lease, worker)
    assert time_out(flow) == 1
    assert flow.run_state(run) == "failed"
    assert flow.store.read_blocking(probe).timeout is None


def test_the_timekeeper_hears_of_a_timeout_that_comes_before_it_looks_again(flow: Flow):
    worker = flow.register()
    short, long = Duration(seconds=1), Duration(seconds=60)
    flow.publish(
        dag_of("d", task("a", execution_timeout=short, cancel_grace=short), task("b", execution_timeout=long)),
        to=worker,
    )
    flow.trigger("d")
    soon, later = flow.take(worker)
    published: list[str] = []
    publish = flow.store.hints.publish
    flow.store.hints.publish = lambda topics: published.extend(topics)  # type: ignore[method-assign]  # a spy
    flow.start(later, worker)
    assert "timers" not in published
    flow.start(soon, worker)
    assert "timers" in published
    flow.store.hints.publish = publish  # type: ignore[method-assign]  # as it was


def test_an_attempt_that_is_being_cancelled_is_left_to_its_lease(flow: Flow):
    worker, run = begin(flow)
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    flow.cancel(run)
    assert time_out(flow) == 0
    assert flow.attempt(lease).state == "cancelling"
    flow.finish(lease, "cancelled")
    assert flow.run_state(run) == "cancelled"


def test_nothing_is_due_for_a_task_without_a_timeout_or_one_that_ended_in_time(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", execution_timeout=Duration(seconds=1))), to=worker)
    flow.trigger("d")
    first, second = flow.take(worker)
    flow.start(first, worker)
    flow.run(second, worker)
    assert time_out(flow) == 0
    assert flow.attempt(first).state == "running"
