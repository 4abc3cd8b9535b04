"""Pools: weighted slots that tasks share over DAGs, workers and servers."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from crosswind_server.domain.errors import Refused
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.fleet import pools, worker_listing
from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import task_instance
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import TEAM, Flow, Worker, counted, refused


def take(flow: Flow, worker: Worker, **fields: int) -> list[str]:
    """Take and start what there is; answers the tasks."""
    leases = flow.take(worker, **fields)
    for lease in leases:
        flow.start(lease, worker)
    return [lease.task_id for lease in leases]


def shown(flow: Flow, name: str) -> tuple[int, int, int]:
    """Slots, those that are taken, and how many wait, as people see it."""
    pool = flow.store.read_blocking(lambda uow: pools.get_pool(uow, TEAM, name))
    return pool.row.slots, pool.used_slots, pool.waiting_count


def test_a_pool_is_shared_by_dags_and_workers(flow: Flow):
    flow.set_pool("db", 3)
    left, right = flow.register("l"), flow.register("r")
    made = [dag_of(name, mapped(task("m", pool="db"), [1, 2])) for name in ("d", "e")]
    for worker in (left, right):
        flow.publish(*made, to=worker, version="v1")
    flow.trigger("d")
    flow.trigger("e")
    assert shown(flow, "db") == (3, 0, 4)
    assert take(flow, left, max_leases=2) == ["m", "m"]
    (third,) = flow.take(right)
    assert {shown(flow, "db"), third.dag_id} == {(3, 3, 1), "e"}
    flow.run(third, right)
    assert take(flow, left) == ["m"]
    assert shown(flow, "db") == (3, 3, 0)


def test_weights_are_summed_and_slots_come_back_with_every_end(flow: Flow):
    flow.set_pool("db", 5)
    worker = flow.register(slots=100)
    flow.publish(
        dag_of("d", mapped(task("m", pool="db", pool_slots=2, retries=1, delay=60), list(range(6)))), to=worker
    )
    flow.trigger("d")
    for outcome in ("succeeded", "failed", "skipped"):
        leases = flow.take(worker)
        assert len(leases) == 2
        assert shown(flow, "db")[1] == 4
        for lease in leases:
            flow.run(lease, worker, outcome)
        assert shown(flow, "db")[1] == 0


def test_fewer_slots_end_nothing_and_more_are_given_at_once(flow: Flow):
    flow.set_pool("db", 4)
    worker = flow.register(slots=100)
    flow.publish(dag_of("d", mapped(task("m", pool="db"), list(range(9)))), to=worker)
    flow.trigger("d")
    leases = flow.take(worker)
    for lease in leases:
        flow.start(lease, worker)
    flow.set_pool("db", 2)
    assert shown(flow, "db") == (2, 4, 5)
    for lease in leases[:2]:
        flow.finish(lease)
        assert take(flow, worker) == []
    flow.finish(leases[2])
    assert take(flow, worker) == ["m"]
    flow.set_pool("db", 4)
    assert take(flow, worker) == ["m", "m"]


def test_what_has_no_pool_or_one_too_small_holds_nothing_back(flow: Flow):
    flow.set_pool("small", 2)
    flow.set_pool("none", 0)
    worker = flow.register(slots=100)
    flow.publish(
        dag_of(
            "d",
            mapped(task("unknown", pool="later", priority=9), list(range(3))),
            mapped(task("large", pool="small", pool_slots=3, priority=9), list(range(3))),
            task("closed", pool="none", priority=9),
            mapped(task("fits", pool="small"), list(range(3))),
            task("free"),
        ),
        to=worker,
    )
    flow.trigger("d")
    flow.age(3600)
    assert take(flow, worker) == ["fits", "fits", "free"]
    flow.set_pool("later", 1)
    assert take(flow, worker) == ["unknown"]
    flow.set_pool("none", 1)
    assert take(flow, worker) == ["closed"]
    flow.set_pool("small", 5)
    assert take(flow, worker) == ["large"]


def test_a_large_weight_that_has_waited_long_gets_the_next_slots(flow: Flow):
    flow.set_pool("db", 4)
    worker = flow.register(slots=100)
    small, large = mapped(task("small", pool="db"), list(range(20))), task("large", pool="db", pool_slots=4)
    flow.publish(dag_of("d", small), dag_of("e", large), dag_of("f", task("free")), to=worker)
    flow.trigger("d")
    running = flow.take(worker)
    assert len(running) == 4
    for lease in running:
        flow.start(lease, worker)
    flow.trigger("e")
    flow.age(20, task_id="large")
    flow.finish(running.pop())
    # The best of all does not fit, and has not waited for long.
    (last,) = flow.take(worker)
    assert last.task_id == "small"
    flow.start(last, worker)
    flow.age(20, task_id="large")
    flow.trigger("f")
    for lease in running:
        flow.finish(lease)
        assert "small" not in take(flow, worker)
    flow.finish(last)
    assert take(flow, worker) == ["large"]


def test_a_large_weight_of_another_queue_is_not_starved(flow: Flow):
    """The worker that takes the small ones never sees it, and yet leaves it what comes free."""
    flow.set_pool("db", 4)
    lights, heavies = flow.register("l", slots=100, queues=["light"]), flow.register("h", queues=["heavy"])
    small = mapped(task("small", pool="db", queue="light"), list(range(20)))
    large = task("large", pool="db", pool_slots=3, queue="heavy")
    made = [dag_of("d", small), dag_of("e", large), dag_of("f", task("free", queue="light"))]
    for worker in (lights, heavies):
        flow.publish(*made, to=worker, version="v1")
    flow.trigger("d")
    running = flow.take(lights)
    for lease in running:
        flow.start(lease, lights)
    flow.trigger("e")
    flow.age(20, task_id="large")
    flow.finish(running.pop())
    assert flow.take(heavies) == []
    (fourth,) = flow.take(lights)
    flow.start(fourth, lights)
    flow.age(20, task_id="large")
    flow.trigger("f")
    flow.finish(fourth)
    assert take(flow, lights) == ["free"], "what needs no pool goes on"
    flow.finish(running.pop())
    assert take(flow, lights) == []
    # Now it fits, and is not given away before its worker comes for it.
    flow.finish(running.pop())
    work = flow.poll(lights)
    assert (work.leases, work.look_again_us is not None) == ((), True)
    assert take(flow, heavies) == ["large"]
    assert shown(flow, "db") == (4, 4, 15)


def test_only_what_comes_behind_leaves_something_to_what_has_waited_long(flow: Flow):
    flow.set_pool("db", 4)
    lights, heavies = flow.register("l", slots=100, queues=["light"]), flow.register("h", queues=["heavy"])
    low, high = (mapped(task(name, pool="db", queue="light"), list(range(9))) for name in ("low", "high"))
    high.priority = 2
    made = [dag_of("d", low), dag_of("u", high), dag_of("e", task("large", pool="db", pool_slots=4, queue="heavy"))]
    for worker in (lights, heavies):
        flow.publish(*made, to=worker, version="v1")
    flow.trigger("d")
    running = flow.take(lights)
    for lease in running:
        flow.start(lease, lights)
    flow.trigger("e")
    flow.age(60, task_id="large")
    flow.trigger("u")
    flow.finish(running.pop())
    # Two points of priority are worth as much as two minutes, and it has waited for one.
    assert take(flow, lights) == ["high"]
    flow.age(120, task_id="large")
    flow.finish(running.pop())
    assert take(flow, lights) == []


@pytest.mark.parametrize(
    "cause", ["paused dag", "no worker", "paused worker", "labels", "slots", "small pool", "limit"]
)
def test_what_nobody_could_take_keeps_nothing(flow: Flow, cause: str):
    flow.set_pool("db", 4)
    lights = flow.register("l", slots=100, queues=["light"])
    heavies = flow.register("h", slots=2, queues=["heavy"])
    large = task("large", pool="db", pool_slots=3, queue="heavy", slots=3 if cause == "slots" else 1)
    if cause == "labels":
        large.worker_labels.add(key="gpu", value="a100", required=True)
    if cause == "small pool":
        large.pool_slots = 5
    if cause == "limit":
        large.max_active_instances = 1
    small = mapped(task("small", pool="db", queue="light"), list(range(20)))
    made = dag_of("d", small), dag_of("e", large)
    for worker in (lights, heavies):
        flow.publish(*made, to=worker, version="v1")
    if cause == "limit":
        flow.set_pool("db", 7)
        flow.trigger("e")
        assert take(flow, heavies) == ["large"]
    flow.trigger("d")
    running = flow.take(lights)
    assert len(running) == 4
    for lease in running:
        flow.start(lease, lights)
    flow.trigger("e")
    flow.age(100, task_id="large")
    match cause:
        case "paused dag":
            flow.pause("e", True)
        case "no worker":
            flow.deregister(heavies)
        case "paused worker":
            flow.act(lambda uow: worker_listing.pause_worker(uow, TEAM, "h", paused=True))
    flow.finish(running.pop())
    assert take(flow, lights) == ["small"]


def test_many_slots_of_a_worker_are_waited_for_likewise(flow: Flow):
    worker = flow.register(slots=4)
    small, large = mapped(task("small"), list(range(20))), task("large", slots=4)
    huge = task("huge", slots=5, priority=99)
    flow.publish(dag_of("d", small), dag_of("e", large), dag_of("f", huge), to=worker)
    flow.trigger("f")
    flow.trigger("d")
    running = flow.take(worker)
    assert [lease.task_id for lease in running] == ["small"] * 4, "what no worker has the slots for holds nothing back"
    flow.trigger("e")
    flow.age(100, task_id="large")
    for lease in running:
        flow.start(lease, worker)
    for lease in running[:3]:
        flow.finish(lease)
        assert take(flow, worker) == []
    flow.finish(running[3])
    assert take(flow, worker) == ["large"]


def test_a_pool_is_made_changed_and_deleted(flow: Flow):
    def change(**fields: Any) -> tuple[pools.Pool, bool]:
        return flow.store.write_blocking(each(lambda uow, _: pools.set_pool(uow, TEAM, "p", **fields)), None)

    assert refused(lambda: change(description="new")) == "POOL_NOT_FOUND"
    assert refused(lambda: change(slots=1_000_001)) == "INVALID_ARGUMENT"
    assert refused(lambda: change(slots=-1)) == "INVALID_ARGUMENT"
    assert change(slots=2, description="what for")[1]
    pool, created = change(slots=5)
    assert (created, pool.row.slots, pool.row.description) == (False, 5, "what for")
    flow.store.write_blocking(each(lambda uow, _: pools.delete_pool(uow, TEAM, "p")), None)
    assert refused(lambda: shown(flow, "p")) == "POOL_NOT_FOUND"
    gone = each(lambda uow, _: pools.delete_pool(uow, TEAM, "p"))
    assert refused(lambda: flow.store.write_blocking(gone, None)) == "POOL_NOT_FOUND"


def test_a_claim_costs_as_much_among_10000_that_wait_for_a_pool_as_among_ten(flow: Flow):
    costs = []
    for count in (10, 10_000):
        name = f"d{count}"
        flow.set_pool(name, 2)
        worker = flow.register(f"w{count}", slots=8)
        made = dag_of(name, mapped(task("m", pool=name, priority=9), list(range(count))), task("free"))
        flow.publish(made, to=worker, bundle=name)
        flow.trigger(name)
        flow.continue_all()
        for _ in range(3):
            for lease in flow.take(worker):
                flow.run(lease, worker)
        with counted(flow.store) as executed:
            assert len(flow.take(worker)) == 2
        costs.append(len(executed))
    assert costs[0] == costs[1] <= 14


# --- two servers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(migrated_postgres_url: str) -> Iterator[tuple[Flow, Flow]]:
    """Two servers on one PostgreSQL."""
    with (
        Store.open(migrated_postgres_url, readers=1, refusals=(Refused,)) as first,
        Store.open(migrated_postgres_url, readers=1, refusals=(Refused,)) as second,
    ):
        yield Flow(first), Flow(second)


async def test_two_servers_never_exceed_a_pool_nor_a_bound_together(two: tuple[Flow, Flow]):
    left, right = two
    left.set_pool("p", 5)
    left.set_pool("q", 4)
    tasks = (
        mapped(task("heavy", pool="p", pool_slots=2), list(range(25))),
        mapped(task("light", pool="p"), list(range(40))),
        mapped(task("other", pool="q", max_active_instances=3), list(range(40))),
    )
    workers = [(left, left.register("l", slots=50)), (right, right.register("r", slots=50))]
    for flow, worker in workers:
        flow.publish(dag_of("d", *tasks), to=worker, version="v1")
    run = left.trigger("d")
    over = threading.Event()
    most = {"p": 0, "q": 0}

    def watch() -> None:
        t = task_instance.c
        live = t.state.in_(("assigned", "running", "cancelling"))
        query = select(t.pool, func.sum(t.pool_slots).label("taken")).where(live).group_by(t.pool)
        while not over.is_set():
            for row in left.store.read_blocking(lambda uow: uow.execute(query).all()):
                most[row.pool] = max(most[row.pool], int(row.taken))

    def work(flow: Flow, worker: Worker) -> int:
        done, misses, held = 0, 0, list[Lease]()
        while misses < 200 and flow.run_state(run) != "succeeded":
            found = flow.poll(worker, held=[lease.attempt_id for lease in held])
            for lease in found.leases:
                flow.start(lease, worker)
            held += found.leases
            misses = 0 if found.leases or held else misses + 1
            for lease in held[: 1 + len(held) // 2]:
                flow.finish(lease)
                done += 1
            held = held[1 + len(held) // 2 :]
        return done

    watching = asyncio.create_task(asyncio.to_thread(watch))
    mine, theirs = await asyncio.gather(*(asyncio.to_thread(work, flow, worker) for flow, worker in workers))
    over.set()
    await watching
    assert mine + theirs == 105
    assert left.run_state(run) == "succeeded"
    assert mine > 0
    assert theirs > 0
    assert 1 < most["p"] <= 5
    assert 1 < most["q"] <= 3
