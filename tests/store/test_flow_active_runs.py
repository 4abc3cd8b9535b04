"""How many runs of a DAG go on at once, which is next, and what follows when they end. On both databases."""

from sqlalchemy import select

from crosswind_server.store.schema import task_instance
from tests.store.dags import dag_of, task
from tests.store.flow import Flow
from tests.store.interventions import clear, mark, mark_run


def published(flow: Flow, **fields):
    worker = flow.register(slots=100)
    flow.publish(dag_of("d", task("a"), **fields), to=worker)
    return worker


def states(flow: Flow, keys: list[str]) -> list[str]:
    return [flow.run_state(key) for key in keys]


def test_the_oldest_runs_go_on_and_the_others_are_queued(flow: Flow):
    worker = published(flow, max_active_runs=2)
    keys = [flow.trigger("d") for _ in range(4)]
    assert states(flow, keys) == ["running", "running", "queued", "queued"]
    assert flow.states(keys[2]) == {"a": "waiting"}
    leases = flow.take(worker)
    assert len(leases) == 2
    flow.run(leases[1], worker)
    flow.continue_all()
    assert sorted(states(flow, keys)) == ["queued", "running", "running", "succeeded"]
    assert states(flow, keys)[2:] == ["running", "queued"]
    flow.work_off(worker)
    assert set(states(flow, keys)) == {"succeeded"}


def test_a_dag_that_does_not_say_lets_sixteen_go_on(flow: Flow):
    published(flow)
    keys = [flow.trigger("d") for _ in range(17)]
    assert states(flow, keys) == ["running"] * 16 + ["queued"]


def test_runs_of_a_paused_dag_wait_and_no_more_than_may_go_on_afterwards(flow: Flow):
    worker = published(flow, max_active_runs=2)
    flow.pause("d", True)
    keys = [flow.trigger("d") for _ in range(3)]
    assert states(flow, keys) == ["queued"] * 3
    flow.pause("d", False)
    assert states(flow, keys) == ["running", "running", "queued"]
    flow.work_off(worker)
    assert set(states(flow, keys)) == {"succeeded"}


def test_a_queued_run_that_is_cancelled_is_over_and_never_begins(flow: Flow):
    worker = published(flow, max_active_runs=1)
    keys = [flow.trigger("d") for _ in range(3)]
    flow.cancel(keys[1])
    flow.continue_all()
    assert states(flow, keys) == ["running", "cancelled", "queued"]
    assert flow.states(keys[1]) == {"a": "cancelled"}
    flow.work_off(worker)
    assert states(flow, keys) == ["succeeded", "cancelled", "succeeded"]


def test_a_run_that_is_being_cancelled_keeps_its_place_until_it_has_ended(flow: Flow):
    worker = published(flow, max_active_runs=1)
    keys = [flow.trigger("d") for _ in range(2)]
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    flow.cancel(keys[0])
    flow.continue_all()
    assert states(flow, keys) == ["cancelling", "queued"]
    flow.finish(lease, "cancelled")
    flow.continue_all()
    assert states(flow, keys) == ["cancelled", "running"]


def test_a_greater_bound_counts_from_the_next_look_on(flow: Flow):
    worker = published(flow, max_active_runs=1)
    keys = [flow.trigger("d") for _ in range(3)]
    flow.publish(dag_of("d", task("a"), max_active_runs=3), to=worker)
    flow.continue_all()
    assert states(flow, keys) == ["running"] * 3


def test_the_runs_of_one_dag_leave_others_alone(flow: Flow):
    worker = published(flow, max_active_runs=1)
    flow.publish(dag_of("e", task("a")), to=worker, bundle="other")
    first, second, other = flow.trigger("d"), flow.trigger("d"), flow.trigger("e")
    assert states(flow, [first, second, other]) == ["running", "queued", "running"]


def test_a_large_run_begins_when_the_instances_of_all_its_tasks_are_made(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", *(task(f"t{n}") for n in range(1_100)), max_active_runs=1), to=worker)
    first, second = flow.trigger("d"), flow.trigger("d")
    assert states(flow, [first, second]) == ["queued", "queued"]
    flow.continue_all()
    assert states(flow, [first, second]) == ["running", "queued"]
    assert set(flow.states(first).values()) == {"queued"}
    assert set(flow.states(second).values()) == {"waiting"}


def test_a_run_that_ended_and_is_cleared_takes_a_place_like_any_other(flow: Flow):
    worker = published(flow, max_active_runs=1)
    cleared = flow.trigger("d")
    flow.work_off(worker)
    going, behind = flow.trigger("d"), flow.trigger("d")
    assert clear(flow, cleared).count == 1
    assert states(flow, [cleared, going, behind]) == ["queued", "running", "queued"]
    assert flow.row_of_run(cleared).start_time is None
    (lease,) = flow.take(worker)
    assert lease.run_id == flow.row_of_run(going).run_id
    flow.run(lease, worker)
    flow.continue_all()
    # It is the oldest that is queued.
    assert states(flow, [cleared, going, behind]) == ["running", "succeeded", "queued"]
    flow.work_off(worker)
    assert states(flow, [cleared, going, behind]) == ["succeeded"] * 3
    # With a place left it goes on at once.
    clear(flow, cleared)
    assert states(flow, [cleared]) == ["running"]
    assert len(flow.take(worker)) == 1


def test_a_place_that_comes_free_while_a_large_run_is_cleared_is_taken_afterwards(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register(slots=2_000)
    flow.publish(dag_of("d", *(task(f"t{n}") for n in range(700)), max_active_runs=1), to=worker)
    cleared = flow.trigger("d")
    flow.continue_all()
    flow.work_off(worker)
    going = flow.trigger("d")
    flow.continue_all()
    clear(flow, cleared)
    assert (flow.run_state(cleared), flow.row_of_run(cleared).holds) == ("queued", 1)
    flow.cancel(going)
    flow.ring()
    assert flow.run_state(cleared) == "queued"
    flow.continue_all()
    assert states(flow, [cleared, going]) == ["running", "cancelled"]
    # What became ready before it began is released, in pieces.
    t = task_instance.c
    query = select(t.held).where(t.run_key == cleared, t.state == "queued")
    assert flow.store.read_blocking(lambda uow: uow.execute(query).scalars().all()) == [False] * 700


def test_bounds_within_a_run_admit_nothing_before_it_begins(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b"), max_active_runs=1, max_active_tasks=1), to=worker)
    cleared = flow.trigger("d")
    flow.work_off(worker)
    going = flow.trigger("d")
    clear(flow, cleared)
    run_id = flow.row_of_run(cleared).run_id
    assert run_id not in {lease.run_id for lease in flow.take(worker)}
    flow.cancel(going)
    flow.continue_all()
    assert flow.run_state(cleared) == "running"
    assert [lease.run_id for lease in flow.take(worker)] == [run_id]


def test_a_mark_takes_no_place(flow: Flow):
    """A run that had ended is decided anew, and nothing of it runs."""
    worker = published(flow, max_active_runs=1)
    ended = flow.trigger("d")
    flow.work_off(worker)
    going, behind = flow.trigger("d"), flow.trigger("d")
    mark(flow, ended, "a", "failed")
    flow.continue_all()
    assert states(flow, [ended, going, behind]) == ["failed", "running", "queued"]
    mark_run(flow, ended, "succeeded")
    flow.continue_all()
    assert states(flow, [ended, going, behind]) == ["succeeded", "running", "queued"]
