"""What comes first: priority, with age, over classes and DAGs; and what a claim costs among many that wait."""

import pytest
from sqlalchemy import select

from crosswind_server.services.execution.polling import PollWork
from crosswind_server.store.schema import dag_run, task_instance
from tests.store.dags import dag_of, mapped, task
from tests.store.efforts import effort_of
from tests.store.flow import TEAM, Flow, Worker


def order(flow: Flow, worker: Worker) -> list[str]:
    """The tasks in the order in which they are given, one at a time."""
    found = []
    while leases := flow.take(worker, max_leases=1):
        flow.run(leases[0], worker)
        found.append(leases[0].task_id)
    return found


def test_a_point_of_priority_weighs_as_much_as_a_minute_of_waiting(flow: Flow):
    worker = flow.register()
    tasks = [task("low"), task("mid", priority=2), task("high", priority=5), task("behind", priority=-1)]
    flow.publish(dag_of("d", *tasks), to=worker)
    flow.trigger("d")
    flow.age(150, task_id="low")
    assert order(flow, worker) == ["high", "low", "mid", "behind"]
    flow.trigger("d")
    flow.age(301, task_id="low")
    flow.age(361, task_id="behind")
    assert order(flow, worker) == ["low", "behind", "high", "mid"]


def test_what_waits_keeps_its_place_when_it_comes_back_unstarted_and_takes_a_new_one_for_a_new_try(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", retries=1, delay=1), task("b")), to=worker)
    run = flow.trigger("d")
    flow.age(60)
    before = flow.instance(run, "a").rank
    flow.take(worker)
    flow.pass_start_deadline()
    assert flow.instance(run, "a").rank == before
    for lease in flow.take(worker):
        flow.run(lease, worker, "failed" if lease.task_id == "a" else "succeeded")
    flow.wake()
    again = flow.instance(run, "a")
    assert again.rank == again.queued_time > before


def test_the_best_over_all_classes_come_first(flow: Flow):
    worker = flow.register(slots=40, queues=["default", "other"])
    tasks = [
        task(f"t{number}", priority=number, slots=1 + number % 3, queue=("default", "other")[number % 2])
        for number in range(12)
    ]
    flow.publish(dag_of("d", *tasks[:6]), dag_of("e", *tasks[6:]), to=worker)
    flow.trigger("d")
    flow.trigger("e")
    assert order(flow, worker) == [f"t{number}" for number in reversed(range(12))]


def test_what_does_not_fit_a_worker_never_stands_in_the_way(flow: Flow):
    small, large = flow.register("small", slots=2), flow.register("large", slots=8)
    made = dag_of("d", mapped(task("heavy", slots=8, priority=9), list(range(300))), task("light"))
    for worker in (small, large):
        flow.publish(made, to=worker, version="v1")
    flow.trigger("d")
    assert [lease.task_id for lease in flow.take(small)] == ["light"]
    assert [lease.task_id for lease in flow.take(large)] == ["heavy"]


def assigned(flow: Flow, dag_id: str) -> list[str]:
    """The tasks of which instances are assigned."""
    t = task_instance.c
    query = select(t.task_id).join(dag_run, dag_run.c.id == t.run_key)
    query = query.where(dag_run.c.dag_id == dag_id, t.state == "assigned")
    return list(flow.store.read_blocking(lambda uow: uow.execute(query).scalars().all()))


@pytest.mark.parametrize("waiting", ["own", "others", "references"])
def test_a_claim_costs_no_more_among_10000_that_wait_than_among_forty(flow: Flow, waiting: str):
    """Whether they wait for this worker, for slots that it does not have, or for what nobody offers by reference."""
    efforts = []
    for count in (40, 10_000):
        worker = flow.register(f"w{count}", slots=4)
        name = f"d{count}"
        many = mapped(task("many", priority=9, slots=16 if waiting == "others" else 1), list(range(count)))
        if waiting == "references":
            many.reference.bundle, many.reference.entry_point = "nowhere", "Load"
        few = mapped(task("few"), list(range(40)))
        flow.publish(dag_of(name, many, few), to=worker, bundle=name, offers=[f"Task{n}" for n in range(count // 5)])
        flow.trigger(name)
        flow.continue_all()
        for _ in range(4):
            for lease in flow.take(worker):
                flow.run(lease, worker)
        command = PollWork(caller=worker.caller, instance_id=worker.instance_id, poll_number=next(worker.polls))
        efforts.append(effort_of(flow.store, flow.heart.polling.claim, command))
        assert assigned(flow, name) == ["many" if waiting == "own" else "few"] * 4
    (statements, _), (same_statements, _) = efforts
    assert statements == same_statements <= 12
    # A few rows more are read where an index has grown by a level.
    assert efforts[1][1] <= efforts[0][1] + 50 <= 350, efforts


def test_ten_thousand_wait_in_one_class(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", mapped(task("m"), list(range(700))), task("a")), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    t = task_instance.c
    query = select(t.claim_class).where(t.run_key == run, t.state == "queued", t.team == TEAM).distinct()
    assert len(flow.store.read_blocking(lambda uow: uow.execute(query).all())) == 1
