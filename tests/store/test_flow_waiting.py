"""Long polls and the timekeeper on a real event loop, and two servers on one PostgreSQL."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from crosswind_server.domain.errors import Refused
from crosswind_server.services.execution.directives import DirectiveKind
from crosswind_server.services.execution.polling import PollWork, Work
from crosswind_server.store import task_instances
from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import each
from crosswind_server.store.hints import Subscription
from crosswind_server.store.schema import attempt, continuation, dag_run, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import Timing
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import TEAM, Flow, Worker


def poll_of(worker: Worker, number: int, **fields: object) -> PollWork:
    return PollWork(caller=worker.caller, instance_id=worker.instance_id, poll_number=number, **fields)  # type: ignore[arg-type]  # as given


async def until_waiting(flow: Flow, topic: str) -> None:
    """Until somebody waits for a topic."""
    hints, waiting = flow.store.hints, asyncio.Event()
    add = hints._add

    def tell(subscription: Subscription, topics: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> None:
        add(subscription, topics, loop)
        if topic in topics:
            waiting.set()

    hints._add = tell  # type: ignore[method-assign]  # a spy, for as long as it waits
    try:
        if topic not in hints._by_topic:
            await waiting.wait()
    finally:
        hints._add = add  # type: ignore[method-assign]  # as it was


async def test_a_poll_is_answered_by_the_commit_that_makes_work(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a")), to=worker)
    poll = asyncio.create_task(flow.heart.polling.poll(poll_of(worker, 1)))
    await until_waiting(flow, "work:default")
    await asyncio.to_thread(flow.trigger, "d")
    work = await asyncio.wait_for(poll, 10)
    assert [lease.task_id for lease in work.leases] == ["a"]


async def test_a_poll_without_work_is_answered_when_its_wait_is_over(flow: Flow):
    worker = flow.register()
    work = await flow.heart.polling.poll(poll_of(worker, 1), wait=0)
    assert (work.leases, work.directives, work.digest) == ((), (), "")
    before = flow.store.transactions
    assert (await flow.heart.polling.poll(poll_of(worker, 2), wait=0.3)).leases == ()
    assert flow.store.transactions - before == 1


async def test_a_cancel_reaches_a_full_worker_at_once(flow: Flow):
    worker = flow.register(slots=1)
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    poll = asyncio.create_task(flow.heart.polling.poll(poll_of(worker, 10, held_attempt_ids=(lease.attempt_id,))))
    await until_waiting(flow, f"worker:{worker.instance_id}")
    await asyncio.to_thread(flow.cancel, run)
    work = await asyncio.wait_for(poll, 10)
    assert [directive.kind for directive in work.directives] == [DirectiveKind.CANCEL]
    known = poll_of(worker, 11, held_attempt_ids=(lease.attempt_id,), known_directives=work.digest)
    again = asyncio.create_task(flow.heart.polling.poll(known, wait=0.2))
    assert (await again).digest == work.digest


async def test_a_newer_poll_takes_the_place_of_an_older_one(flow: Flow):
    worker = flow.register()
    older = asyncio.create_task(flow.heart.polling.poll(poll_of(worker, 1)))
    await until_waiting(flow, f"poll:{worker.instance_id}")
    newer = asyncio.create_task(flow.heart.polling.poll(poll_of(worker, 2), wait=1.0))
    with pytest.raises(Refused, match="newer poll"):
        await asyncio.wait_for(older, 10)
    assert (await newer).leases == ()


async def test_a_stopping_server_sends_all_polls_away(flow: Flow):
    workers = [flow.register(f"w{number}") for number in range(3)]
    polls = [asyncio.create_task(flow.heart.polling.poll(poll_of(worker, 1))) for worker in workers]
    for worker in workers:
        await until_waiting(flow, f"worker:{worker.instance_id}")
    flow.heart.polling.begin_stop()
    for work in await asyncio.wait_for(asyncio.gather(*polls), 10):
        assert [directive.kind for directive in work.directives] == [DirectiveKind.MOVE_AWAY]
    late = await flow.heart.polling.poll(poll_of(workers[0], 2))
    assert [directive.kind for directive in late.directives] == [DirectiveKind.MOVE_AWAY]


async def until(flow: Flow, run: str, done: str) -> None:
    """Until a run's task is in a state, looking again whenever the run is hinted."""
    async with asyncio.timeout(20), flow.store.hints.subscribe(f"run:{run}") as subscription:
        while done not in (await asyncio.to_thread(flow.states, run)).values():
            await subscription.wait(None)


async def test_the_timekeeper_wakes_a_retry_when_it_is_due(flow: Flow):
    worker = flow.register()
    made = task("a", retries=1, delay=1.0)
    made.retry.delay.FromMilliseconds(50)
    flow.publish(dag_of("d", made), to=worker)
    run = flow.trigger("d")
    await flow.heart.timekeeper.start()
    try:
        (lease,) = flow.take(worker)
        await asyncio.to_thread(flow.run, lease, worker, "failed")
        await until(flow, run, "queued")
    finally:
        await flow.heart.timekeeper.stop()
    (lease,) = flow.take(worker)
    assert lease.try_number == 2


async def test_the_timekeeper_works_off_what_is_left_as_soon_as_it_is_hinted(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("list"), mapped(task("m"), "list")), to=worker)
    run = flow.trigger("d")
    await flow.heart.timekeeper.start()
    try:
        (lease,) = flow.take(worker)
        async with asyncio.timeout(20), flow.store.hints.subscribe(f"run:{run}") as subscription:
            await asyncio.to_thread(lambda: flow.run(lease, worker, result=list(range(1_300))))
            while len(await asyncio.to_thread(flow.states, run)) < 1_302:
                await subscription.wait(None)
    finally:
        await flow.heart.timekeeper.stop()
    assert flow.left_behind() == 0


async def test_nothing_expires_before_the_server_has_listened_for_a_lease_duration(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    flow._change(update(attempt).values(lease_expires=1))
    pause = await flow.heart.timekeeper.tick()
    assert 0 < pause <= flow.heart.timing.lease_duration
    assert flow.attempt(lease).state == "running"
    flow.store._committer.available_since = time.monotonic() - flow.heart.timing.lease_duration
    await flow.heart.timekeeper.tick()
    assert flow.attempt(lease).state == "lost"


async def test_nothing_expires_at_once_when_the_server_did_not_run_for_a_while(
    flow: Flow, caplog: pytest.LogCaptureFixture
):
    keeper, lease_us = flow.heart.timekeeper, flow.heart.timing.lease_us
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    flow.store._committer.available_since = time.monotonic() - 1_000
    await keeper.tick()
    assert keeper._look_at is not None
    # It was to look again a lease duration ago, by which time the lease has run out.
    keeper._look_at -= lease_us + flow.heart.timing.start_deadline_us
    flow._change(update(attempt).values(lease_expires=1))
    assert 0 < await keeper.tick() <= flow.heart.timing.lease_duration
    assert flow.attempt(lease).state == "running"
    assert "did not run" in caplog.text
    assert flow.store.available_since is not None
    assert time.monotonic() - flow.store.available_since < 10
    flow.store._absent_until -= flow.heart.timing.lease_duration
    await keeper.tick()
    assert flow.attempt(lease).state == "lost"


def test_a_sweep_that_had_to_wait_lets_heartbeats_go_first(flow: Flow):
    keeper, timing = flow.heart.timekeeper, flow.heart.timing
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b")), to=worker)
    run = flow.trigger("d")
    lease, _unstarted = flow.take(worker)
    flow.start(lease, worker)
    flow._change(update(attempt).values(lease_expires=1, start_deadline=1))
    flow.fall_silent(worker)
    late = flow.store.read_blocking(lambda uow: uow.now) - timing.absence_us - 1
    for duty in (keeper.expire, keeper.return_unstarted, keeper.lose_silent):
        assert flow.store.write_blocking(each(duty), late) == 0
    assert flow.states(run) == {"a": "running", "b": "assigned"}
    for duty in (keeper.expire, keeper.return_unstarted, keeper.lose_silent):
        assert flow.store.write_blocking(each(duty), late + timing.absence_us) == 1
    assert flow.states(run) == {"a": "queued", "b": "queued"}


async def test_the_timekeeper_sleeps_until_the_earliest_due_time(flow: Flow):
    """[SCHED-2]"""
    flow.store._committer.available_since = time.monotonic() - 1_000
    assert await flow.heart.timekeeper.tick() == flow.heart.timing.longest_sleep
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    flow.trigger("d")
    flow.take(worker)
    assert 0 < await flow.heart.timekeeper.tick() <= flow.heart.timing.start_deadline


async def test_what_the_timekeeper_cannot_do_keeps_nothing_else_waiting(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(uow: UnitOfWork, _: None) -> int:
        raise RuntimeError("a defect")

    worker = flow.register()
    flow.publish(dag_of("d", task("a", retries=1), task("list"), mapped(task("m"), "list")), to=worker)
    run = flow.trigger("d")
    for lease in flow.take(worker):
        flow.run(lease, worker, "failed" if lease.task_id == "a" else "succeeded", result=list(range(600)))
    assert flow.left_behind() == 1
    assert flow.instance(run, "a").state == "up_for_retry"
    flow._change(update(task_instance).values(not_before=1).where(task_instance.c.not_before.is_not(None)))
    monkeypatch.setattr(flow.heart.timekeeper, "continue_left", fail)
    # It tries again, but not in a busy loop.
    assert await flow.heart.timekeeper.tick() >= 1.0
    assert flow.instance(run, "a").state == "queued"
    assert "a defect" in caplog.text


# --- two servers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(migrated_postgres_url: str) -> Iterator[tuple[Flow, Flow]]:
    """Two servers on one PostgreSQL."""
    with (
        Store.open(migrated_postgres_url, readers=1, refusals=(Refused,)) as first,
        Store.open(migrated_postgres_url, readers=1, refusals=(Refused,)) as second,
    ):
        yield Flow(first), Flow(second, Timing())


async def test_two_servers_never_give_one_task_to_two_workers(two: tuple[Flow, Flow]):
    left, right = two
    workers = [(left, left.register("l", slots=400)), (right, right.register("r", slots=400))]
    made = dag_of("d", *(task(f"t{number}") for number in range(200)))
    for flow, worker in workers:
        flow.publish(made, to=worker, version="v1")
    run = left.trigger("d")

    def work(flow: Flow, worker: Worker) -> list[str]:
        done: list[str] = []
        misses = 0
        while misses < 3:
            found = flow.poll(worker, max_leases=7)
            # While the other one has locked what comes first, there is more behind.
            misses = 0 if found.leases or found.contended else misses + 1
            for lease in found.leases:
                flow.run(lease, worker)
                done.append(lease.task_id)
        return done

    mine, theirs = await asyncio.gather(*(asyncio.to_thread(work, flow, worker) for flow, worker in workers))
    assert len(mine) + len(theirs) == 200
    assert not set(mine) & set(theirs)
    assert mine
    assert theirs
    assert left.run_state(run) == "succeeded"
    count = select(func.count()).select_from(attempt)
    assert left.store.read_blocking(lambda uow: uow.execute(count).scalar_one()) == 200


async def test_two_servers_count_the_ends_of_one_run_together(two: tuple[Flow, Flow]):
    left, right = two
    worker = left.register("w", slots=100)
    made = dag_of("d", *(task(f"t{n}") for n in range(40)), task("end", *(f"t{n}" for n in range(40))))
    left.publish(made, to=worker)
    run = left.trigger("d")
    leases = left.take(worker)

    def finish(flow: Flow, mine: list) -> None:
        for lease in mine:
            flow.run(lease, worker)

    await asyncio.gather(asyncio.to_thread(finish, left, leases[::2]), asyncio.to_thread(finish, right, leases[1::2]))
    assert left.instance(run, "end").upstream_succeeded == 40
    assert right.states(run)["end"] == "queued"
    assert left.row(dag_run, run).unfinished == 1


async def test_two_timekeepers_share_the_work(two: tuple[Flow, Flow]):
    left, right = two
    worker = left.register("w", slots=500)
    made = [mapped(task(f"m{number}"), list(range(600))) for number in range(3)]
    left.publish(dag_of("d", *made), *(dag_of(f"r{n}", task("a")) for n in range(20)), to=worker)
    run = left.trigger("d")
    runs = [left.trigger(f"r{number}") for number in range(20)]
    for lease in left.take(worker, max_leases=500):
        if lease.task_id == "a":
            left.start(lease, worker)
    left._change(update(attempt).values(lease_expires=1, start_deadline=1))

    def sweep(flow: Flow) -> int:
        keeper = flow.heart.timekeeper
        done = 0
        for handler in (keeper.continue_left, keeper.expire, keeper.return_unstarted):
            while found := flow.store.write_blocking(each(handler), None):
                done += found
        return done

    await asyncio.gather(asyncio.to_thread(sweep, left), asyncio.to_thread(sweep, right))
    # What one had locked when the other looked is found at the next look.
    sweep(left)
    count = select(func.count()).select_from(task_instance).where(task_instance.c.run_key == run)
    assert left.store.read_blocking(lambda uow: uow.execute(count).scalar_one()) == 3 + 3 * 600
    assert left.store.read_blocking(lambda uow: uow.execute(select(continuation)).all()) == []
    live = select(func.count()).select_from(attempt).where(attempt.c.end_time.is_(None))
    assert left.store.read_blocking(lambda uow: uow.execute(live).scalar_one()) == 0
    assert {left.instance(each_run, "a").losses for each_run in runs} <= {0, 1}


@contextmanager
def locking(flow: Flow, lock: Callable[[UnitOfWork], object]) -> Iterator[None]:
    """Inside the block a transaction of a server has locked something; it is committed at the end of the block."""
    locked, over = threading.Event(), threading.Event()

    def hold(uow: UnitOfWork, _: None) -> None:
        lock(uow)
        locked.set()
        assert over.wait(30)

    with ThreadPoolExecutor(1) as threads:
        holding = threads.submit(flow.store.write_blocking, each(hold), None)
        try:
            assert locked.wait(30)
            yield
        finally:
            over.set()
            holding.result()


async def test_what_another_server_had_locked_and_left_is_found_without_a_hint(two: tuple[Flow, Flow]):
    left, right = two
    worker = right.register("r")
    right.publish(dag_of("d", task("a")), to=worker)
    right.trigger("d")
    looked = asyncio.Event()
    loop, claim = asyncio.get_running_loop(), right.heart.polling.claim

    def look(uow: UnitOfWork, commands: Sequence[PollWork]) -> Sequence[Work | Exception]:
        found = claim(uow, commands)
        loop.call_soon_threadsafe(looked.set)
        return found

    right.heart.polling.claim = look  # type: ignore[method-assign]  # a spy
    queued = select(task_instance).where(task_instance.c.state == "queued").with_for_update()
    with locking(left, lambda uow: uow.execute(queued).all()):
        poll = asyncio.create_task(right.heart.polling.poll(poll_of(worker, 1)))
        await asyncio.wait_for(looked.wait(), 30)
    work = await asyncio.wait_for(poll, right.heart.timing.poll_wait / 4)
    assert [lease.task_id for lease in work.leases] == ["a"]


_BLOCKED = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


async def test_a_run_that_changes_its_version_leaves_what_is_being_assigned(
    two: tuple[Flow, Flow], monkeypatch: pytest.MonkeyPatch
):
    left, right = two
    old, new = left.register("old"), right.register("new")
    left.publish(dag_of("d", task("a")), to=old, version="v1")
    run = left.trigger("d")
    right.publish(dag_of("d", task("a"), task("b", "a")), to=new, version="v2")
    run_locked, assigned = threading.Event(), threading.Event()
    lock_idle = task_instances.lock_idle_elsewhere

    def lock_after_assignment(uow: UnitOfWork, *names: Any) -> tuple[Sequence[Any], bool]:
        run_locked.set()
        assert assigned.wait(30)
        return lock_idle(uow, *names)

    monkeypatch.setattr(task_instances, "lock_idle_elsewhere", lock_after_assignment)
    # Nobody offers the old version any more, so the run goes on with the new one.
    leave = partial(right.store.write_blocking, right.heart.deregister, (TEAM, old.instance_id))
    leaving = asyncio.create_task(asyncio.to_thread(leave))
    assert await asyncio.to_thread(run_locked.wait, 30)
    with locking(left, lambda uow: left.heart.polling.claim(uow, [poll_of(old, 0, first=False)])):
        assigned.set()
        while not await right.store.read(lambda uow: uow.execute(_BLOCKED).scalar_one()):
            assert not leaving.done()
    await leaving
    assert right.states(run)["a"] == "assigned"
    assert right.pass_start_deadline() == 1
    assert [lease.bundle_version for lease in right.take(new)] == ["v2"]
