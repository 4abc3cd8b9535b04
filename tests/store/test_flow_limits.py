"""Bounds on how many instances are active at once: of a DAG's run, of a task in a run, of a task over all runs."""

import uuid

import pytest
from sqlalchemy import func, select

from crosswind_server.domain.lifecycle import Event
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.execution.attempts import FinishAttempt, Wake
from crosswind_server.services.flow.admission import ADMIT
from crosswind_server.services.flow.board import PIECE
from crosswind_server.store.schema import continuation, task_instance
from tests.store.dags import dag_of, mapped, task
from tests.store.efforts import effort_of
from tests.store.flow import Flow, Worker


def held(flow: Flow, run_key: str) -> int:
    """How many instances of a run are held."""
    t = task_instance.c
    query = select(func.count()).select_from(task_instance).where(t.run_key == run_key, t.held, t.state == "queued")
    return flow.store.read_blocking(lambda uow: uow.execute(query).scalar_one())


def claimable(flow: Flow, run_key: str) -> int:
    """How many instances of a run may be claimed."""
    t = task_instance.c
    query = select(func.count()).select_from(task_instance).where(t.run_key == run_key, ~t.held, t.state == "queued")
    return flow.store.read_blocking(lambda uow: uow.execute(query).scalar_one())


def take(flow: Flow, worker: Worker) -> list[Lease]:
    """Take and start what there is."""
    leases = flow.take(worker)
    for lease in leases:
        flow.start(lease, worker)
    return leases


def finish_all(flow: Flow, leases: list[Lease]) -> None:
    for lease in leases:
        flow.finish(lease)


def test_a_dag_bounds_what_is_active_in_each_of_its_runs(flow: Flow):
    worker = flow.register(slots=100)
    flow.publish(dag_of("d", *(task(f"t{n}") for n in range(7)), max_active_tasks=3), to=worker)
    first, second = flow.trigger("d"), flow.trigger("d")
    leases = take(flow, worker)
    assert len(leases) == 6
    assert [held(flow, run) for run in (first, second)] == [4, 4]
    assert take(flow, worker) == []
    flow.finish(leases[0])
    again = take(flow, worker)
    assert [lease.run_id for lease in again] == [leases[0].run_id]
    assert take(flow, worker) == []
    finish_all(flow, [*leases[1:], *again])
    flow.work_off(worker)
    assert {flow.run_state(run) for run in (first, second)} == {"succeeded"}


@pytest.mark.parametrize("outcome", ["failed", "skipped", "deferred", "rescheduled", "lost"])
def test_room_is_made_by_any_end_and_by_leaving_the_slot(flow: Flow, outcome: str):
    worker = flow.register(slots=100)
    tasks = [task(name, retries=1, delay=60) for name in ("a", "b")]
    flow.publish(dag_of("d", *tasks, max_active_tasks=1), to=worker)
    flow.trigger("d")
    (lease,) = take(flow, worker)
    assert take(flow, worker) == []
    if outcome == "lost":
        flow.pass_lease()
        assert [again.task_id for again in take(flow, worker)] == [lease.task_id], "it was queued before the other"
        return
    flow.finish(lease, outcome, wake=Wake(delay_us=60_000_000) if outcome in ("deferred", "rescheduled") else None)
    (other,) = take(flow, worker)
    assert other.task_id != lease.task_id
    if outcome != "skipped":
        # It comes back while the other one is active, and waits for it.
        flow.wake()
        assert take(flow, worker) == []
        flow.finish(other)
        assert [again.task_id for again in take(flow, worker)] == [lease.task_id]


def test_a_task_is_bounded_within_a_run_beside_others_that_are_not(flow: Flow):
    worker = flow.register(slots=100)
    flow.publish(
        dag_of(
            "d",
            mapped(task("m", max_active_instances_per_run=2), list(range(6))),
            mapped(task("n", max_active_instances_per_run=1), list(range(3))),
            mapped(task("free"), list(range(4))),
            task("one", max_active_instances_per_run=1),
        ),
        to=worker,
    )
    run = flow.trigger("d")
    assert flow.instance(run, "one").limit_group is None, "one instance needs no bound"
    leases = take(flow, worker)
    assert [lease.task_id for lease in leases] == ["free"] * 4 + ["m"] * 2 + ["n", "one"]
    other = flow.trigger("d")
    assert len(take(flow, worker)) == 8, "another run has its own"
    for lease in leases:
        if lease.task_id == "m":
            flow.finish(lease)
    assert [(lease.task_id, lease.map_index) for lease in take(flow, worker)] == [("m", 2), ("m", 3)]
    assert (held(flow, run), held(flow, other)) == (2 + 2, 4 + 2)


def test_a_dag_and_its_tasks_bound_together_and_the_best_rank_comes_first(flow: Flow):
    worker = flow.register(slots=100)
    flow.publish(
        dag_of(
            "d",
            mapped(task("low", priority=1), list(range(5))),
            mapped(task("high", priority=5, max_active_instances_per_run=2), list(range(5))),
            mapped(task("mid", priority=3), list(range(5))),
            max_active_tasks=4,
        ),
        to=worker,
    )
    flow.trigger("d")
    order: list[str] = []
    while leases := take(flow, worker):
        order += [lease.task_id for lease in sorted(leases, key=lambda lease: lease.task_id)]
        finish_all(flow, leases)
    assert order == [
        *("high", "high", "mid", "mid"),
        *("high", "high", "mid", "mid"),
        *("high", "low", "low", "mid"),
        *("low", "low", "low"),
    ]


def test_a_task_is_bounded_over_all_runs(flow: Flow):
    worker = flow.register(slots=100)
    dag = dag_of("d", mapped(task("m", max_active_instances=3), list(range(4))), task("free"))
    flow.publish(dag, to=worker)
    runs = [flow.trigger("d") for _ in range(2)]
    leases = take(flow, worker)
    assert [lease.task_id for lease in leases] == ["free"] * 2 + ["m"] * 3
    assert take(flow, worker) == []
    finish_all(flow, leases)
    assert len(take(flow, worker)) == 3
    # The current version says how many, also for what began before.
    flow.publish(dag_of("d", mapped(task("m", max_active_instances=5), list(range(4))), task("free")), to=worker)
    assert len(take(flow, worker)) == 2
    flow.publish(dag_of("d", mapped(task("m"), list(range(4))), task("free")), to=worker)
    assert claimable(flow, runs[0]) + claimable(flow, runs[1]) == 0
    third = flow.trigger("d")
    assert len(take(flow, worker)) == 5
    assert flow.run_state(third) == "running"


def test_what_is_held_is_admitted_in_bounded_pieces(flow: Flow):
    worker = flow.register(slots=10_000)
    many = PIECE + 100
    flow.publish(dag_of("d", mapped(task("m", max_active_instances_per_run=5_000), list(range(many)))), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    assert claimable(flow, run) == many
    assert held(flow, run) == 0
    kinds = select(continuation.c.kind)
    assert ADMIT not in flow.store.read_blocking(lambda uow: uow.execute(kinds).scalars().all())


@pytest.mark.parametrize("bounded_by", ["task", "dag"])
def test_a_finish_costs_the_bound_and_not_what_is_held(flow: Flow, bounded_by: str):
    efforts = []
    for count in (40, 10_000):
        worker = flow.register(f"w{count}", slots=16)
        name = f"d{count}"
        made = mapped(task("m", max_active_instances_per_run=4 if bounded_by == "task" else None), list(range(count)))
        flow.publish(dag_of(name, made, max_active_tasks=4 if bounded_by == "dag" else None), to=worker, bundle=name)
        flow.trigger(name)
        flow.continue_all()
        for _ in range(4):
            # So that statements are prepared and caches warm.
            finish_all(flow, take(flow, worker))
        (lease, *_) = take(flow, worker)
        command = FinishAttempt(
            attempt_id=lease.attempt_id,
            lease=lease.lease,
            outcome_id=str(uuid.uuid4()),
            event=Event.FINISH_SUCCEEDED,
        )
        efforts.append(effort_of(flow.store, flow.heart.attempts.finish, command))
        assert len(take(flow, worker)) == 1
    assert efforts[0][0] == efforts[1][0] <= 12
    assert efforts[1][1] <= efforts[0][1] + 25 <= 150, efforts
