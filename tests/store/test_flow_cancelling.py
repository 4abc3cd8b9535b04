"""Cancelling: a task and the rest goes on, or a run in bounded pieces. On both databases."""

import pytest
from sqlalchemy import select

from crosswind_server.services.execution.attempts import Wake
from crosswind_server.store.schema import attempt, dag_run
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import Flow, refused
from tests.store.interventions import cancel_task, check_counts, clear


def test_a_task_that_runs_is_asked_to_end_and_the_rest_goes_on(flow: Flow):
    """[LEASE-4]"""
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a"), task("z")), to=worker)
    run = flow.trigger("d")
    a, z = flow.take(worker)
    flow.start(a, worker)
    flow.start(z, worker)
    published: list[str] = []
    flow.store.hints.publish = lambda topics: published.extend(topics)  # type: ignore[method-assign]  # a spy
    cancel_task(flow, run, "a")
    # The worker's open poll is woken by the commit, so it answers at once.
    assert f"worker:{worker.instance_id}" in published
    told = flow.poll(worker, held=[a.attempt_id, z.attempt_id]).directives
    assert [(each.kind.name, each.attempt_id) for each in told] == [("CANCEL", a.attempt_id)]
    assert flow.states(run)["a"] == "cancelling"
    cancel_task(flow, run, "a")
    assert flow.finish(a, result=1).recorded_as_cancelled
    assert flow.states(run) == {"a": "cancelled", "b": "upstream_failed", "z": "running"}
    flow.finish(z)
    assert flow.run_state(run) == "failed"
    row = flow.store.read_blocking(lambda uow: uow.execute(select(attempt).where(attempt.c.id == a.attempt_id)).one())
    assert row.cancel_reason == "Its task was cancelled by ann."
    check_counts(flow, run)


@pytest.mark.parametrize("how", ["waiting", "queued", "assigned", "up_for_retry", "deferred", "up_for_reschedule"])
def test_a_task_without_a_running_attempt_is_cancelled_at_once(flow: Flow, how: str):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a", retries=1)), to=worker)
    run = flow.trigger("d")
    if how != "waiting":
        flow.run(flow.take(worker)[0], worker)
    if how not in ("waiting", "queued"):
        (lease,) = flow.take(worker)
        if how != "assigned":
            flow.start(lease, worker)
            outcome = {"up_for_retry": "failed", "up_for_reschedule": "rescheduled"}.get(how, "deferred")
            flow.finish(lease, outcome, wake=None if outcome == "failed" else Wake(delay_us=60_000_000))
    assert flow.states(run)["b"] == how
    cancel_task(flow, run, "b")
    assert flow.states(run)["b"] == "cancelled"
    assert refused(lambda: cancel_task(flow, run, "b")) == "TASK_FINISHED"
    flow.work_off(worker)
    assert flow.run_state(run) == "failed"
    assert flow.wake() == 0
    check_counts(flow, run)


def test_of_a_mapped_task_all_that_has_not_ended_is_cancelled(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", mapped(task("m"), [1, 2, 3, 4]), task("end", "m")), to=worker)
    run = flow.trigger("d")
    first, second, third = flow.take(worker, max_leases=3)
    flow.run(first, worker)
    flow.start(second, worker)
    cancel_task(flow, run, "m")
    states = flow.states(run)
    assert [states["m", index] for index in range(4)] == ["succeeded", "cancelling", "cancelled", "cancelled"]
    assert states["m"] == "expanded"
    assert refused(lambda: flow.start(third, worker)) == "STALE_LEASE"
    flow.finish(second, "cancelled")
    assert flow.states(run)["m"] == "cancelled"
    assert flow.states(run)["end"] == "upstream_failed"
    assert refused(lambda: cancel_task(flow, run, "m")) == "TASK_FINISHED"
    check_counts(flow, run)


def test_one_mapped_instance_is_cancelled(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", mapped(task("m"), [1, 2])), to=worker)
    run = flow.trigger("d")
    cancel_task(flow, run, "m", 1)
    assert flow.states(run) == {"m": "expanded", ("m", 0): "queued", ("m", 1): "cancelled"}
    flow.work_off(worker)
    assert flow.states(run)["m"] == "cancelled"


def test_a_large_mapped_task_is_cancelled_in_pieces_though_it_is_still_being_expanded(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register()
    flow.publish(dag_of("d", mapped(task("m"), list(range(1_100)))), to=worker)
    run = flow.trigger("d")
    cancel_task(flow, run, "m")
    flow.continue_all()
    assert set(flow.states(run).values()) == {"cancelled"}
    assert flow.run_state(run) == "failed"
    check_counts(flow, run)


def test_the_later_of_clear_and_cancel_decides(flow: Flow):
    """[LEASE-4]"""
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b")), to=worker)
    run = flow.trigger("d")
    a, b = flow.take(worker)
    for lease in (a, b):
        flow.start(lease, worker)
    clear(flow, run, "a")
    cancel_task(flow, run, "a")
    cancel_task(flow, run, "b")
    clear(flow, run, "b")
    for lease in (a, b):
        flow.finish(lease, "cancelled")
    assert flow.states(run) == {"a": "cancelled", "b": "queued"}


def test_a_large_run_is_cancelled_in_pieces_and_ends_with_the_last(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register(slots=1_000)
    flow.publish(dag_of("d", *(task(f"t{n}") for n in range(1_200))), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    (running,) = flow.take(worker, max_leases=1)
    flow.start(running, worker)
    flow.cancel(run)
    row = flow.row(dag_run, run)
    assert (row.state, row.holds) == ("cancelling", 1)
    assert flow.take(worker, held=[running.attempt_id]) == []
    flow.finish(running, "cancelled")
    assert flow.run_state(run) == "cancelling"
    assert flow.continue_all() >= 2
    assert flow.run_state(run) == "cancelled"
    assert set(flow.states(run).values()) == {"cancelled"}
    check_counts(flow, run)
