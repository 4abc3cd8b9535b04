"""Tasks that depend on the run before: when they may go on, whoever comes first. On both databases. [SCHED-3]"""

import pytest
from sqlalchemy import select

from crosswind.manifest.v1 import task_pb2
from crosswind_server.domain.states import WaitingReason
from crosswind_server.services.listing.waiting import Waiting, explain_waiting
from crosswind_server.store.schema import dag_run, past_wait, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import Flow, counted
from tests.store.interventions import clear
from tests.store.test_flow_groups import group, inside

SELF = task_pb2.DEPENDS_ON_PAST_SELF
DOWNSTREAM = task_pb2.DEPENDS_ON_PAST_DOWNSTREAM
DAY = 86_400_000_000


def day(flow: Flow, number: int) -> str:
    """The run of a day."""
    run = flow.trigger("d", logical_time=number * DAY)
    flow.continue_all()
    return run


def waits(flow: Flow) -> int:
    """How many rows say that an instance waits for an earlier run."""
    return len(flow.store.read_blocking(lambda uow: uow.execute(select(past_wait)).all()))


def test_a_task_waits_until_it_succeeded_in_the_run_before(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", depends_on_past=SELF), task("b", "a")), to=worker)
    first, second, third = day(flow, 1), day(flow, 2), day(flow, 3)
    assert flow.states(first)["a"] == "queued"
    assert (flow.states(second)["a"], flow.states(third)["a"]) == ("waiting", "waiting")
    (lease,) = flow.take(worker)
    flow.run(lease, worker)
    assert flow.continue_all() == 1
    assert (flow.states(second)["a"], flow.states(third)["a"]) == ("queued", "waiting")
    flow.work_off(worker)
    assert [flow.run_state(run) for run in (first, second, third)] == ["succeeded"] * 3
    assert waits(flow) == 0


def test_a_skipped_task_is_as_good_and_a_failed_one_holds_all_that_follow(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", depends_on_past=SELF)), to=worker)
    day(flow, 1)
    second, third = day(flow, 2), day(flow, 3)
    flow.run(flow.take(worker)[0], worker, "skipped")
    flow.continue_all()
    flow.run(flow.take(worker)[0], worker, "failed")
    assert flow.continue_all() <= 1
    assert (flow.run_state(second), flow.states(third)["a"]) == ("failed", "waiting")
    assert flow.take(worker) == []


def test_a_failed_task_that_is_cleared_and_succeeds_lets_the_next_run_go_on(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", depends_on_past=SELF)), to=worker)
    first, second = day(flow, 1), day(flow, 2)
    flow.run(flow.take(worker)[0], worker, "failed")
    clear(flow, first, "a")
    flow.continue_all()
    flow.work_off(worker)
    assert (flow.run_state(first), flow.run_state(second)) == ("succeeded", "succeeded")


def test_the_run_before_is_that_with_the_greatest_earlier_logical_time(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", depends_on_past=SELF)), to=worker)
    first, third = day(flow, 1), day(flow, 3)
    assert flow.states(third)["a"] == "waiting"
    second = day(flow, 2)
    flow.run(flow.take(worker)[0], worker)
    flow.continue_all()
    # The run of the third day waited for the first; now the second came between.
    assert [flow.states(run)["a"] for run in (first, second, third)] == ["succeeded", "queued", "waiting"]
    flow.work_off(worker)
    assert flow.run_state(third) == "succeeded"


def test_a_run_without_logical_time_and_the_first_wait_for_nothing(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", depends_on_past=SELF)), to=worker)
    day(flow, 5)
    earlier, manual = day(flow, 1), flow.trigger("d")
    assert (flow.states(earlier)["a"], flow.states(manual)["a"]) == ("queued", "queued")


def test_a_run_whose_past_is_over_waits_for_no_continuation_twice(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", depends_on_past=SELF)), to=worker)
    day(flow, 1)
    flow.work_off(worker)
    run = flow.trigger("d", logical_time=2 * DAY)
    assert (flow.states(run)["a"], flow.left_behind()) == ("waiting", 1)
    assert flow.continue_all() == 1
    assert flow.states(run)["a"] == "queued"


def test_waiting_for_downstream_waits_for_the_tasks_after_it_too(flow: Flow):
    worker = flow.register()
    made = dag_of("d", task("a", depends_on_past=DOWNSTREAM), task("b", "a"), task("c", "b"))
    flow.publish(made, to=worker)
    day(flow, 1)
    second = day(flow, 2)
    for expected in ("a", "b"):
        assert flow.states(second)["a"] == "waiting"
        (lease,) = flow.take(worker)
        assert lease.task_id == expected
        flow.run(lease, worker)
        flow.continue_all()
    # Not for what comes after those.
    assert flow.states(second)["a"] == "queued"


def test_a_task_that_the_run_before_did_not_have_waits_for_nothing(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("old")), to=worker, version="v1")
    day(flow, 1)
    flow.publish(dag_of("d", task("a", depends_on_past=SELF)), to=worker, version="v2", observed_change=True)
    assert flow.states(day(flow, 2))["a"] == "queued"


def test_the_rule_of_the_later_run_counts_where_the_versions_differ(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker, version="v1")
    first = day(flow, 1)
    flow.publish(dag_of("d", task("a", depends_on_past=SELF)), to=worker, version="v2", observed_change=True)
    second = day(flow, 2)
    assert flow.states(second)["a"] == "waiting"
    (lease,) = flow.take(worker)
    assert flow.states(first)["a"] == "assigned"
    flow.run(lease, worker)
    flow.continue_all()
    assert flow.states(second)["a"] == "queued"


@pytest.mark.parametrize("in_group", [False, True])
def test_a_mapped_task_waits_as_a_whole(flow: Flow, in_group: bool):
    worker = flow.register()
    made = (
        dag_of("d", inside("g.a", depends_on_past=SELF), groups=[group([1, 2])])
        if in_group
        else dag_of("d", mapped(task("g.a", depends_on_past=SELF), [1, 2]))
    )
    flow.publish(made, to=worker)
    day(flow, 1)
    second = day(flow, 2)
    for lease in flow.take(worker):
        assert flow.states(second) == {"g.a": "waiting"}
        flow.run(lease, worker)
        flow.continue_all()
    assert flow.states(second) == {"g.a": "expanded", ("g.a", 0): "queued", ("g.a", 1): "queued"}


def test_a_run_that_is_cancelled_while_it_waits_stays_so(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", depends_on_past=SELF)), to=worker)
    day(flow, 1)
    second = day(flow, 2)
    flow.cancel(second)
    flow.work_off(worker)
    flow.continue_all()
    assert flow.states(second) == {"a": "cancelled"}


def test_it_says_for_which_task_of_which_run_it_waits(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", depends_on_past=DOWNSTREAM), task("b", "a")), to=worker)
    first, second = day(flow, 1), day(flow, 2)
    name = flow.row(dag_run, first).run_id
    waiting = reason_of(flow, second, "a")
    assert waiting.reason is WaitingReason.PAST
    assert waiting.detail == f"Waits for tasks 'a', 'b' of the run '{name}' before it to succeed."


def reason_of(flow: Flow, run_key: str, task_id: str) -> Waiting:
    run = flow.row(dag_run, run_key)

    def explain(uow: UnitOfWork) -> Waiting:
        plan = flow.heart.plans.get(uow, run.dag_version_id)
        rows = uow.execute(select(task_instance).where(task_instance.c.run_key == run_key)).all()
        found = explain_waiting(uow, plan, run, rows)
        return next(found[row.id] for row in rows if row.task_id == task_id)

    found: Waiting = flow.store.read_blocking(explain)
    return found


def test_an_end_that_nobody_waits_for_asks_nothing(flow: Flow):
    """[SCHED-2]"""
    worker = flow.register()
    flow.publish(dag_of("d", task("a", depends_on_past=SELF)), dag_of("plain", task("a")), to=worker)
    day(flow, 1)
    flow.trigger("plain")
    costs = {}
    for lease in flow.take(worker):
        flow.start(lease, worker)
        with counted(flow.store) as statements:
            flow.finish(lease)
        costs[lease.dag_id] = len(statements)
    assert costs["d"] == costs["plain"]
