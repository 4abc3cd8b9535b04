"""How requests share transactions, and what each is told when something goes wrong."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from crosswind_server.store import group_commit
from crosswind_server.store.engine import Store
from crosswind_server.store.errors import StoreError, StoreUnavailable
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.store.counters import Gate, Refused, add, bump, counter, open_counters, read_n, values


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with open_counters(database_url) as store:
        yield store


@pytest.fixture
def pg_store(postgres_url: str) -> Iterator[Store]:
    with open_counters(postgres_url) as store:
        yield store


@asynccontextmanager
async def queued(store: Store) -> AsyncIterator[Callable[..., asyncio.Task[Any]]]:
    """Hold the writer up inside the block, so that what is submitted there is one batch."""
    gate = Gate()
    holding = asyncio.create_task(store.write(gate, None))
    await asyncio.to_thread(gate.entered.wait)

    def submit(handler: Any, request: Any) -> asyncio.Task[Any]:
        return asyncio.create_task(store.write(handler, request))

    yield submit
    await asyncio.sleep(0)  # the tasks' first step is what queues their requests
    gate.opened.set()
    await holding


async def test_requests_that_wait_share_a_transaction_grouped_by_handler(store: Store) -> None:
    calls: list[tuple[str, list[int]]] = []

    def first(_uow: UnitOfWork, requests: Sequence[int]) -> Sequence[int]:
        calls.append(("first", list(requests)))
        return [request * 10 for request in requests]

    def second(_uow: UnitOfWork, requests: Sequence[int]) -> Sequence[int]:
        calls.append(("second", list(requests)))
        return [request * 100 for request in requests]

    async with queued(store) as submit:
        tasks = [submit(handler, number) for number in range(3) for handler in (first, second)]
        before = store.transactions
    assert await asyncio.gather(*tasks) == [0, 0, 10, 100, 20, 200]
    assert calls == [("first", [0, 1, 2]), ("second", [0, 1, 2])]
    assert store.transactions == before + 2  # the gate's and theirs


async def test_handlers_made_of_one_function_are_one_group(store: Store) -> None:
    assert each(bump) == each(bump)
    async with queued(store) as submit:
        tasks = [submit(each(bump), 1) for _ in range(20)]
        before = store.transactions
    assert sorted(await asyncio.gather(*tasks)) == list(range(1, 21))
    assert store.transactions == before + 2


async def test_a_batch_has_a_limit(store: Store) -> None:
    async with queued(store) as submit:
        tasks = [submit(each(bump), 1) for _ in range(group_commit.LARGEST_BATCH + 1)]
        before = store.transactions
    await asyncio.gather(*tasks)
    assert store.transactions == before + 3
    assert values(store)[1] == group_commit.LARGEST_BATCH + 1


async def test_patient_requests_wait_for_company_until_an_impatient_one_comes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "LINGER_S", 600.0)
    before = store.transactions
    patient = [asyncio.create_task(store.write(each(bump), id_, patient=True)) for id_ in (1, 2)]
    await asyncio.sleep(0)  # the tasks' first step is what queues their requests
    assert await store.write(each(bump), 3) == 1
    assert await asyncio.gather(*patient) == [1, 1]
    assert store.transactions == before + 1


async def test_a_patient_request_waits_no_longer_than_its_time(store: Store) -> None:
    assert await store.write(each(bump), 1, patient=True) == 1


async def test_closing_does_not_wait_for_company(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "LINGER_S", 600.0)
    with open_counters(database_url) as store:
        patient = asyncio.create_task(store.write(each(bump), 1, patient=True))
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        assert await patient == 1


async def test_one_bad_request_does_not_harm_its_neighbours(store: Store) -> None:
    def bump_unless_poisoned(uow: UnitOfWork, id_: int) -> int:
        result = bump(uow, id_)
        if id_ == 3:
            raise ValueError("poison")
        return result

    async with queued(store) as submit:
        tasks = [submit(each(bump_unless_poisoned), id_) for id_ in range(6)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results if result == 1] == [1] * 5
    assert isinstance(results[3], ValueError)
    assert values(store) == {id_: int(id_ < 6 and id_ != 3) for id_ in range(10)}


async def test_a_constraint_is_the_error_of_its_own_request(store: Store) -> None:
    async with queued(store) as submit:
        tasks = [submit(each(add), id_) for id_ in (20, 5, 21)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == 20
    assert isinstance(results[1], IntegrityError)
    assert results[2] == 21
    assert {20, 21} <= set(values(store))


async def test_a_handler_with_too_few_answers_is_asked_one_by_one(store: Store) -> None:
    sizes: list[int] = []

    def answer_at_most_one(_uow: UnitOfWork, requests: Sequence[int]) -> Sequence[int]:
        sizes.append(len(requests))
        return list(requests)[:1]

    async with queued(store) as submit:
        tasks = [submit(answer_at_most_one, number) for number in range(3)]
    assert await asyncio.gather(*tasks) == [0, 1, 2]
    assert sizes == [3, 1, 1, 1]

    with pytest.raises(RuntimeError, match="gave 0 answers to 1 requests"):
        await store.write(lambda _uow, _requests: [], None)


async def test_a_refusal_before_any_write_costs_no_replay(store: Store) -> None:
    def bump_if_there(uow: UnitOfWork, id_: int) -> int:
        # As guarded updates do: no row, then read again and say why.
        if uow.execute(update(counter).where(counter.c.id == id_).values(n=counter.c.n + 1)).rowcount == 0:
            raise Refused(f"There is no counter {id_}.")
        return read_n(uow, id_)

    async with queued(store) as submit:
        tasks = [submit(each(bump_if_there), id_) for id_ in (1, 99, 2)]
        before = store.transactions
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == results[2] == 1
    assert isinstance(results[1], Refused)
    assert store.transactions == before + 2


async def test_a_refusal_after_a_write_takes_only_that_write_back(store: Store) -> None:
    def bump_then_refuse_two(uow: UnitOfWork, id_: int) -> int:
        result = bump(uow, id_)
        if id_ == 2:
            raise Refused("not this one")
        return result

    async with queued(store) as submit:
        tasks = [submit(each(bump_then_refuse_two), id_) for id_ in (1, 2, 3)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == results[2] == 1
    assert isinstance(results[1], Refused)
    assert values(store)[2] == 0


async def test_a_refusal_returned_by_a_handler_is_its_requests_error(store: Store) -> None:
    def refuse_odd(_uow: UnitOfWork, requests: Sequence[int]) -> Sequence[int | Exception]:
        return [Refused(str(request)) if request % 2 else request for request in requests]

    async with queued(store) as submit:
        tasks = [submit(refuse_odd, number) for number in range(4)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["0", "1", "2", "3"]
    assert [isinstance(result, Refused) for result in results] == [False, True, False, True]


async def test_a_cancelled_caller_does_not_break_the_others(store: Store) -> None:
    async with queued(store) as submit:
        tasks = [submit(each(bump), id_) for id_ in (1, 2, 3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == results[2] == 1
    assert isinstance(results[1], asyncio.CancelledError)


async def test_a_caller_cancelled_during_its_transaction_does_not_break_the_others(store: Store) -> None:
    gate = Gate()
    tasks = [asyncio.create_task(store.write(gate, None)) for _ in range(3)]
    await asyncio.to_thread(gate.entered.wait)
    for task in tasks[:2]:
        task.cancel()
    gate.opened.set()
    await tasks[2]
    assert await store.write(each(bump), 1) == 1


async def test_one_commit_wakes_a_loop_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async with queued(store) as submit:
        tasks = [submit(each(bump), 1) for _ in range(50)]
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        wakeups: list[object] = []
        wake = loop.call_soon_threadsafe

        def count(callback: Any, *arguments: Any, **options: Any) -> asyncio.Handle:
            if getattr(callback, "__module__", "") == group_commit.__name__:
                wakeups.append(callback)
            return wake(callback, *arguments, **options)

        monkeypatch.setattr(loop, "call_soon_threadsafe", count)
    await asyncio.gather(*tasks)
    assert len(wakeups) == 2  # the gate's and theirs


async def test_callers_in_other_threads_and_loops_get_their_answers(store: Store) -> None:
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda id_=id_: results.append(asyncio.run(store.write(each(bump), id_))))
        for id_ in range(5)
    ]
    for thread in threads:
        thread.start()
    own = await store.write(each(bump), 9)
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert [own, *results] == [1] * 6


async def test_closing_finishes_what_is_queued_and_refuses_what_comes_later(database_url: str) -> None:
    store = open_counters(database_url)
    async with queued(store) as submit:
        tasks = [submit(each(bump), 1) for _ in range(5)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(store.close))
    assert sorted(await asyncio.gather(*tasks)) == [1, 2, 3, 4, 5]
    await closing
    with pytest.raises(StoreUnavailable, match="stopping"):
        await store.write(each(bump), 1)
    with pytest.raises(StoreUnavailable, match="stopping"):
        await store.read(lambda uow: read_n(uow, 1))


async def test_an_answer_comes_after_its_commit(store: Store) -> None:
    for expected in range(1, 20):
        await store.write(each(bump), 4)
        assert await store.read(lambda uow: read_n(uow, 4)) == expected


async def test_a_transaction_that_takes_too_long_counts_as_an_absence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovered = threading.Event()
    store.on_recovered.append(recovered.set)
    since = store.available_since
    assert since is not None
    await store.write(each(bump), 1)
    assert store.available_since == since
    monkeypatch.setattr(group_commit, "STALL_S", 0.0)
    await store.write(each(bump), 1)
    assert recovered.is_set()
    assert store.available_since is not None
    assert store.available_since > since


async def test_an_error_that_a_handler_swallowed_is_no_success(pg_store: Store) -> None:
    def add_and_look_away(uow: UnitOfWork, id_: int) -> str:
        try:
            add(uow, id_)
        except IntegrityError:
            return "nothing happened"
        return "added"

    async with queued(pg_store) as submit:
        tasks = [submit(each(add_and_look_away), id_) for id_ in (30, 1)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == "added"
    assert isinstance(results[1], StoreError)
    assert 30 in values(pg_store)


async def test_a_connection_lost_before_the_commit_costs_nobody_anything(pg_store: Store) -> None:
    calls: list[int] = []
    recovered = threading.Event()
    pg_store.on_recovered.append(recovered.set)

    def bump_and_cut(uow: UnitOfWork, id_: int) -> int:
        calls.append(id_)
        if len(calls) == 1:
            bump(uow, id_)
            uow.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return bump(uow, id_)

    assert await pg_store.write(each(bump_and_cut), 1) == 1
    assert calls == [1, 1]
    assert recovered.is_set()


async def test_a_commit_of_unknown_outcome_is_not_repeated(pg_store: Store) -> None:
    def cut_at_commit(uow: UnitOfWork, _: None) -> None:
        uow.execute(
            text(
                "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
            )
        )
        uow.execute(
            text(
                "CREATE CONSTRAINT TRIGGER cut AFTER UPDATE ON counter DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW WHEN (NEW.id = 3) EXECUTE FUNCTION cut()"
            )
        )

    await pg_store.write(each(cut_at_commit), None)
    calls: list[int] = []

    def bump_counting(uow: UnitOfWork, id_: int) -> int:
        calls.append(id_)
        return bump(uow, id_)

    recovered = threading.Event()
    pg_store.on_recovered.append(recovered.set)
    async with queued(pg_store) as submit:
        tasks = [submit(each(bump_counting), id_) for id_ in (1, 3, 2)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 3
    assert all("not known" in str(result) for result in results)
    assert len({id(result) for result in results}) == 3
    assert calls == [1, 3, 2]
    # It recovers by itself, with nobody asking.
    assert await asyncio.to_thread(recovered.wait, 30)
    assert await pg_store.write(each(bump), 5) == 1


async def test_waiters_look_again_after_a_commit_of_unknown_outcome(
    pg_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = pg_store._driver.commit

    def commit_without_answer(connection: Any, payloads: Any = ()) -> None:
        monkeypatch.setattr(pg_store._driver, "commit", commit)
        commit(connection, payloads)
        connection.connection.driver_connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    def bump_and_hint(uow: UnitOfWork, id_: int) -> int:
        uow.hint("bumped")
        return bump(uow, id_)

    # Its listener would wake everyone too, when it begins to listen.
    assert await asyncio.to_thread(pg_store._listener.wait_listening, 30)  # type: ignore[union-attr]  # PostgreSQL has one
    async with pg_store.hints.subscribe("bumped") as subscription:
        monkeypatch.setattr(pg_store._driver, "commit", commit_without_answer)
        with pytest.raises(StoreUnavailable, match="not known"):
            await pg_store.write(each(bump_and_hint), 1)
        assert await subscription.wait(10)
        assert await pg_store.read(lambda uow: read_n(uow, 1)) == 1


async def test_a_deadlock_between_two_servers_is_resolved(pg_store: Store, postgres_url: str) -> None:
    meeting = threading.Barrier(2, timeout=30)
    attempts: list[tuple[int, int]] = []

    def bump_both(uow: UnitOfWork, order: tuple[int, int]) -> None:
        first = order not in attempts
        attempts.append(order)
        bump(uow, order[0])
        if first:
            meeting.wait()
        bump(uow, order[1])

    with open_counters(postgres_url) as other:
        await asyncio.gather(pg_store.write(each(bump_both), (1, 2)), other.write(each(bump_both), (2, 1)))
        assert len(attempts) > 2
        assert {values(pg_store)[1], values(pg_store)[2]} == {2}


async def test_many_writes_need_no_more_connections(postgres_url: str) -> None:
    readers = 3
    with open_counters(postgres_url, readers=readers) as store:
        counts: list[int] = []

        def bump_and_count(uow: UnitOfWork, requests: Sequence[int]) -> Sequence[int]:
            query = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crosswind-server'")
            counts.append(uow.execute(query.bindparams()).scalar_one())
            return [bump(uow, request) for request in requests]

        # The listener connects in a thread of its own: wait for it, so that it is counted from the beginning.
        assert await asyncio.to_thread(store._listener.wait_listening, 30)  # type: ignore[union-attr]  # PostgreSQL has one
        reads = [store.read(lambda uow: read_n(uow, 1)) for _ in range(100)]
        await asyncio.gather(*(store.write(bump_and_count, number % 10) for number in range(1000)), *reads)
        assert sum(values(store).values()) == 1000
        assert set(counts) == {1 + readers + 1}


def test_a_write_in_a_set_based_statement_counts_as_written(store: Store) -> None:
    seen: list[bool] = []

    def look(uow: UnitOfWork, _: None) -> None:
        uow.execute(select(counter))
        seen.append(uow.wrote)
        uow.dialect.update_values(counter, ["id"], ["n"], [{"id": 99, "n": 1}], returning=["id"])
        seen.append(uow.wrote)
        uow.dialect.update_values(counter, ["id"], ["n"], [{"id": 1, "n": 1}], returning=["id"])
        seen.append(uow.wrote)
        uow.mark()
        seen.append(uow.wrote)
        uow.execute(insert(counter).values(id=50))
        seen.append(uow.wrote)
        assert uow.statements == 4

    store.write_blocking(each(look), None)
    assert seen == [False, False, True, False, True]
