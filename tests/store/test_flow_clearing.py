"""Clearing: tasks run again, with what they depend on, whatever they were doing. On both databases."""

import pytest
from sqlalchemy import select

from crosswind.manifest.v1 import task_pb2
from crosswind_server.services.execution.attempts import Wake
from crosswind_server.store.schema import attempt, dag_run, task_instance, xcom
from tests.store.dags import dag_of, mapped, reading, task
from tests.store.flow import Flow, arguments, refused
from tests.store.interventions import check_counts, clear


def test_a_task_runs_again_with_all_that_depends_on_it(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), reading(task("b"), "a"), reading(task("c"), "b"), task("z")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, results={"a": 1, "b": 2, "c": 3})
    assert flow.run_state(run) == "succeeded"

    assert clear(flow, run, "b", include_downstream=True).task_ids == ("b", "c")
    assert flow.states(run) == {"a": "succeeded", "b": "queued", "c": "waiting", "z": "succeeded"}
    row = flow.row(dag_run, run)
    assert (row.state, row.end_time, row.unfinished) == ("running", None, 2)
    left = flow.store.read_blocking(lambda uow: uow.execute(select(xcom.c.task_id)).scalars().all())
    assert left == ["a"]

    seen = flow.work_off(worker, results={"b": lambda arg0: arg0 + 10, "c": lambda arg0: arg0})
    assert arguments(seen["c", -1]) == {"arg0": 11}
    assert seen["b", -1].record.try_number == 2
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_what_was_not_cleared_keeps_its_state(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker)
    assert clear(flow, run, "a").count == 1
    assert flow.states(run) == {"a": "queued", "b": "succeeded"}
    assert list(flow.work_off(worker)) == [("a", -1)]
    assert flow.run_state(run) == "succeeded"


def test_a_task_that_waits_forgets_an_end_that_is_undone(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b"), task("join", "a", "b")), to=worker)
    run = flow.trigger("d")
    first, second = flow.take(worker)
    flow.run(first, worker)
    assert flow.instance(run, "join").upstream_succeeded == 1
    clear(flow, run, first.task_id)
    assert flow.instance(run, "join").upstream_succeeded == 0
    flow.run(second, worker)
    assert flow.states(run) == {"a": "queued", "b": "succeeded", "join": "waiting"}
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"


def test_with_upstream_all_that_a_task_depends_on_runs_again(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a"), task("c", "b"), task("z")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker)
    assert clear(flow, run, "c", include_upstream=True).task_ids == ("a", "b", "c")
    assert flow.states(run) == {"a": "queued", "b": "waiting", "c": "waiting", "z": "succeeded"}
    flow.work_off(worker)
    check_counts(flow, run)


def test_only_what_failed_runs_again(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a"), task("ok"), task("after", "ok", "b")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"a": "failed"})
    assert flow.run_state(run) == "failed"
    cleared = clear(flow, run, only_failed=True)
    assert (cleared.count, cleared.task_ids) == (3, ("a", "b", "after"))
    assert flow.states(run) == {"a": "queued", "b": "waiting", "ok": "succeeded", "after": "waiting"}
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    assert flow.instance(run, "a").failure_message is None


def test_of_chosen_tasks_only_those_that_failed_run_again(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a"), task("c")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"a": "failed"})
    assert clear(flow, run, "a", "c", only_failed=True).task_ids == ("a",)
    assert flow.states(run) == {"a": "queued", "b": "upstream_failed", "c": "succeeded"}
    flow.work_off(worker)
    assert flow.run_state(run) == "failed"


def test_a_dry_run_only_counts(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker)
    cleared = clear(flow, run, dry_run=True)
    assert (cleared.count, cleared.task_ids) == (2, ("a", "b"))
    assert flow.run_state(run) == "succeeded"
    assert clear(flow, run).count == 2


def test_budgets_are_fresh_and_try_numbers_go_on(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", retries=1)), to=worker)
    run = flow.trigger("d")
    flow.run(flow.take(worker)[0], worker, "failed")
    flow.wake()
    flow.run(flow.take(worker)[0], worker, "failed")
    assert flow.states(run) == {"a": "failed"}
    clear(flow, run, "a")
    (lease,) = flow.take(worker)
    assert lease.try_number == 3
    assert flow.run(lease, worker, "failed").max_tries == 4
    assert flow.states(run) == {"a": "up_for_retry"}
    rows = flow.store.read_blocking(lambda uow: uow.execute(select(attempt.c.try_number)).scalars().all())
    assert sorted(rows) == [1, 2, 3]


def test_a_live_attempt_ends_before_its_task_is_queued_anew(flow: Flow):
    """[LEASE-4]"""
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    clear(flow, run, "a")
    assert flow.states(run)["a"] == "cancelling"
    assert [each.kind.name for each in flow.poll(worker, held=[lease.attempt_id]).directives] == ["CANCEL"]
    assert flow.finish(lease, result=1).recorded_as_cancelled
    assert flow.states(run) == {"a": "queued", "b": "waiting"}
    (again,) = flow.take(worker)
    assert again.try_number == 2
    flow.run(again, worker)
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"


def test_a_cleared_attempt_that_ends_waits_for_its_upstream(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a")), to=worker)
    run = flow.trigger("d")
    flow.run(flow.take(worker)[0], worker)
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    clear(flow, run, "a", "b")
    assert flow.states(run) == {"a": "queued", "b": "cancelling"}
    flow.finish(lease, "cancelled")
    assert flow.states(run) == {"a": "queued", "b": "waiting"}
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_what_was_assigned_and_not_started_is_revoked_at_once(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    clear(flow, run, "a")
    assert flow.states(run) == {"a": "queued"}
    assert refused(lambda: flow.start(lease, worker)) == "STALE_LEASE"
    (again,) = flow.take(worker)
    assert again.try_number == 1


@pytest.mark.parametrize("outcome", ["deferred", "rescheduled"])
def test_a_task_that_was_suspended_begins_a_new_try(flow: Flow, outcome: str):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    flow.finish(lease, outcome, wake=Wake(delay_us=60_000_000, resumption=b"\x0a\x04next"))
    clear(flow, run, "a")
    assert flow.wake() == 0
    (again,) = flow.take(worker)
    assert again.try_number == 2
    assert flow.start(again, worker).resumption is None


def test_a_cancelled_run_goes_on(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a")), to=worker)
    run = flow.trigger("d")
    flow.cancel(run)
    assert flow.run_state(run) == "cancelled"
    assert clear(flow, run).count == 2
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_a_run_of_a_paused_dag_is_queued_again(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker)
    flow.pause("d", True)
    clear(flow, run)
    assert flow.run_state(run) == "queued"
    assert flow.take(worker) == []


def test_a_task_whose_upstream_had_failed_is_judged_at_once(flow: Flow):
    worker = flow.register()
    rule = task_pb2.TRIGGER_RULE_ONE_SUCCESS
    flow.publish(dag_of("d", task("a"), task("b"), task("c", "a", "b", trigger_rule=rule), task("e", "a")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"a": "failed"})
    clear(flow, run, "c", "e")
    assert flow.states(run) == {"a": "failed", "b": "succeeded", "c": "queued", "e": "upstream_failed"}


def test_a_mapped_task_is_expanded_anew_into_fewer(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("l"), mapped(task("m"), "l"), reading(task("sum"), "m")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, results={"l": [1, 2, 3], "m": lambda item0: item0, "sum": lambda arg0: sum(arg0)})
    assert clear(flow, run).count == 6
    assert flow.states(run) == {
        "l": "queued",
        "m": "waiting",
        ("m", 0): "removed",
        ("m", 1): "removed",
        ("m", 2): "removed",
        "sum": "waiting",
    }
    check_counts(flow, run)
    seen = flow.work_off(worker, results={"l": [5, 6], "m": lambda item0: item0, "sum": lambda arg0: sum(arg0)})
    assert arguments(seen["sum", -1]) == {"arg0": [5, 6]}
    assert seen["m", 1].record.try_number == 2
    assert flow.states(run)[("m", 2)] == "removed"
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_a_mapped_task_waits_for_the_live_attempts_of_its_instances(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", mapped(task("m"), [1, 2])), to=worker)
    run = flow.trigger("d")
    first, second = flow.take(worker)
    flow.start(first, worker)
    flow.run(second, worker)
    clear(flow, run, "m")
    assert flow.states(run) == {"m": "waiting", ("m", 0): "cancelling", ("m", 1): "removed"}
    flow.finish(first, "cancelled")
    assert flow.states(run) == {"m": "expanded", ("m", 0): "queued", ("m", 1): "queued"}
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_one_mapped_instance_runs_again(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", mapped(task("m"), [1, 2, 3]), task("end", "m")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker)
    assert clear(flow, run, ("m", 1), include_downstream=True).task_ids == ("m", "end")
    assert flow.states(run) == {
        "m": "expanded",
        ("m", 0): "succeeded",
        ("m", 1): "queued",
        ("m", 2): "succeeded",
        "end": "waiting",
    }
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    row = flow.instance(run, "m")
    assert (row.instances_total, row.instances_succeeded) == (3, 3)
    check_counts(flow, run)


def test_of_a_mapped_task_only_the_failed_instances_run_again(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", mapped(task("m"), [1, 2, 3]), task("end", "m")), to=worker)
    run = flow.trigger("d")
    for lease in flow.take(worker):
        flow.run(lease, worker, "failed" if lease.map_index == 1 else "succeeded")
    assert flow.run_state(run) == "failed"
    assert clear(flow, run, only_failed=True).count == 2
    assert [(lease.task_id, lease.map_index) for lease in flow.take(worker)] == [("m", 1)]
    assert flow.states(run)["end"] == "waiting"


def test_an_instance_whose_upstream_is_cleared_too_is_cleared_with_all_others(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("l"), mapped(task("m"), "l")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, results={"l": [1, 2]})
    clear(flow, run, ("m", 0), include_upstream=True)
    assert flow.states(run) == {"l": "queued", "m": "waiting", ("m", 0): "removed", ("m", 1): "removed"}


def test_a_clear_of_many_tasks_goes_in_pieces_upstream_first(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register(slots=2_000)
    chain = [task("t0"), *(task(f"t{n}", f"t{n - 1}") for n in range(1, 30))]
    wide = [task(f"w{n}", "t29") for n in range(1_100)]
    flow.publish(dag_of("d", *chain, *wide), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    assert clear(flow, run).count == 1_130
    row = flow.row(dag_run, run)
    assert (row.state, row.holds) == ("running", 1)
    # What is runnable runs between two pieces, and the run does not end before the last.
    for _ in range(30):
        (lease,) = flow.take(worker)
        flow.run(lease, worker)
    assert flow.run_state(run) == "running"
    while flow.continue_all():
        check_counts(flow, run)
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    query = select(task_instance.c.try_number).where(task_instance.c.run_key == run)
    assert set(flow.store.read_blocking(lambda uow: uow.execute(query).scalars().all())) == {2}
    check_counts(flow, run)


def test_a_large_mapped_task_is_cleared_in_pieces(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register(slots=2_000)
    flow.publish(dag_of("d", mapped(task("m"), list(range(1_100))), task("end", "m")), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    clear(flow, run)
    assert flow.states(run)["m"] == "waiting"
    assert flow.continue_all() >= 3
    check_counts(flow, run)
    assert len(flow.work_off(worker)) == 1_101
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_a_clear_is_refused_for_what_is_not_there_and_while_a_run_is_cancelled(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), mapped(task("m"), [1])), to=worker)
    run = flow.trigger("d")
    assert refused(lambda: clear(flow, run, "a", "z")) == "TASK_NOT_FOUND"
    assert refused(lambda: clear(flow, run, "a", ("m", 7))) == "TASK_NOT_FOUND"
    assert refused(lambda: clear(flow, run, "a", ("a", 0))) == "TASK_NOT_FOUND"
    assert flow.states(run)["a"] == "queued"
    flow.start(flow.take(worker, max_leases=1)[0], worker)
    flow.cancel(run)
    assert refused(lambda: clear(flow, run)) == "RUN_CANCELLING"
