"""Wake-ups: none is lost, in one server and across servers."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import each
from crosswind_server.store.hints import PAYLOAD_BYTES, Hints
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.store.counters import Gate, Refused, bump, open_counters, read_n


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with open_counters(database_url) as store:
        await_listening(store)
        yield store


def await_listening(store: Store) -> None:
    """Until a store on PostgreSQL listens: when it begins to, it wakes everybody."""
    assert store._listener is None or store._listener.wait_listening(30)


@pytest.fixture
def two_servers(postgres_url: str) -> Iterator[tuple[Store, Store]]:
    with open_counters(postgres_url) as one, open_counters(postgres_url) as other:
        for each_store in (one, other):
            await_listening(each_store)
        yield one, other


def hint(uow: UnitOfWork, topic: str) -> None:
    uow.hint(topic)


def hint_many(uow: UnitOfWork, topics: list[str]) -> None:
    for topic in topics:
        uow.hint(topic)


async def test_a_hint_wakes_who_waits_for_its_topic(store: Store) -> None:
    async with store.hints.subscribe("a", "b") as ours, store.hints.subscribe("c") as theirs:
        waiting = asyncio.create_task(ours.wait(30))
        await asyncio.sleep(0)
        await store.write(each(hint), "b")
        assert await waiting
        assert not await theirs.wait(0)


async def test_a_hint_between_subscribing_and_waiting_is_kept_once(store: Store) -> None:
    async with store.hints.subscribe("a") as subscription:
        await store.write(each(hint), "a")
        await store.write(each(hint), "a")
        assert await subscription.wait(30)
        assert not await subscription.wait(0)


async def test_a_hint_before_subscribing_is_none(store: Store) -> None:
    subscription = store.hints.subscribe("a")
    await store.write(each(hint), "a")
    async with subscription:
        assert not await subscription.wait(0)


async def test_what_is_rolled_back_hints_nobody(store: Store) -> None:
    def hint_and_fail(uow: UnitOfWork, topics: Sequence[str]) -> Sequence[None]:
        uow.hint(topics[0])
        raise Refused("no")

    async with store.hints.subscribe("a") as subscription:
        with pytest.raises(Refused):
            await store.write(hint_and_fail, "a")
        assert not await subscription.wait(0)


async def test_a_waiter_always_sees_the_last_write(store: Store) -> None:
    async def wait_until(expected: int) -> None:
        async with store.hints.subscribe("counter") as subscription:
            while await store.read(lambda uow: read_n(uow, 1)) < expected:
                # Without a lost wake-up this never takes its time.
                assert await subscription.wait(30)

    def bump_and_hint(uow: UnitOfWork, id_: int) -> None:
        bump(uow, id_)
        uow.hint("counter")

    waiters = [asyncio.create_task(wait_until(50)) for _ in range(20)]
    for _ in range(50):
        await store.write(each(bump_and_hint), 1)
    await asyncio.wait_for(asyncio.gather(*waiters), 60)


async def test_waiters_in_another_loop_are_woken(store: Store) -> None:
    subscribed = threading.Event()

    async def wait() -> bool:
        async with store.hints.subscribe("a") as subscription:
            subscribed.set()
            return await subscription.wait(30)

    waiting = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(wait())))
    await asyncio.to_thread(subscribed.wait)
    await store.write(each(hint), "a")
    assert await waiting


async def test_nothing_is_left_of_a_subscription(store: Store) -> None:
    async with store.hints.subscribe("a", "b"):
        assert set(store.hints._by_topic) == {"a", "b"}
    assert store.hints._by_topic == {}


async def test_a_subscription_must_be_entered() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await Hints().subscribe("a").wait(0)


async def test_a_hint_reaches_the_other_server(two_servers: tuple[Store, Store]) -> None:
    one, other = two_servers
    async with other.hints.subscribe('it\'s "quoted" \\ ünïcode') as subscription:
        await one.write(each(hint), 'it\'s "quoted" \\ ünïcode')
        assert await subscription.wait(30)


async def test_more_topics_than_one_notification_holds_all_arrive(two_servers: tuple[Store, Store]) -> None:
    one, other = two_servers
    topics = [f"task-instance-{number:05}-{'x' * 80}" for number in range(1000)]
    async with other.hints.subscribe(topics[0]) as first, other.hints.subscribe(topics[-1]) as last:
        await one.write(each(hint_many), topics)
        assert await first.wait(30)
        assert await last.wait(30)


async def test_a_commit_sends_one_notification_however_many_requests(two_servers: tuple[Store, Store]) -> None:
    one, other = two_servers
    received: list[str] = []
    receive = other.hints.receive

    def count(payload: str) -> None:
        received.append(payload)
        receive(payload)

    other.hints.receive = count  # type: ignore[method-assign]  # counts what arrives
    gate = Gate()
    holding = asyncio.create_task(one.write(gate, None))
    await asyncio.to_thread(gate.entered.wait)
    async with other.hints.subscribe("19") as subscription:
        tasks = [asyncio.create_task(one.write(each(hint), str(number))) for number in range(20)]
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(holding, *tasks)
        assert await subscription.wait(30)
    assert received == ["\n".join([one.hints.sender, *map(str, range(20))])]


async def test_ones_own_notification_is_ignored() -> None:
    hints = Hints()
    async with hints.subscribe("a") as subscription:
        (payload,) = hints.payloads(["a"])
        hints.receive(payload)
        assert not await subscription.wait(0)
        (payload,) = Hints().payloads(["a"])
        hints.receive(payload)
        assert await subscription.wait(30)


def test_payloads_fit_and_carry_every_topic() -> None:
    hints = Hints()
    topics = [f"ü{number}" * 20 for number in range(700)]
    payloads = list(hints.payloads(topics))
    assert len(payloads) > 1
    assert all(len(payload.encode()) <= PAYLOAD_BYTES for payload in payloads)
    assert [topic for payload in payloads for topic in payload.split("\n")[1:]] == topics
    with pytest.raises(ValueError, match="a hint has room for"):
        list(hints.payloads(["x" * 8000]))


def test_a_topic_is_one_line(store: Store) -> None:
    with pytest.raises(ValueError, match="one line"):
        store.write_blocking(each(hint), "a\nb")
