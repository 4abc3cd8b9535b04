"""Opening, reading, and what the store says and does when its database is full, locked, taken or away."""

import asyncio
import json
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from sqlalchemy import insert, select, text

from crosswind_server.store import driver
from crosswind_server.store.engine import Store
from crosswind_server.store.errors import DatabaseInUse, DatabaseUrlInvalid, StoreUnavailable
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.postgres import PostgresServer
from tests.store.counters import Gate, add, bump, counter, open_counters, read_n, values

SQLITE_MEMORY = "sqlite://"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "crosswind.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    with open_counters(f"sqlite:///{file}") as store:
        yield store


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


def execute(*statements: str) -> Callable[[UnitOfWork, None], None]:
    def run(uow: UnitOfWork, _: None) -> None:
        for statement in statements:
            uow.execute(text(statement))

    return run


def is_away(store: Store) -> bool:
    return store.available_since is None


def note_recovery(store: Store) -> threading.Event:
    recovered = threading.Event()
    store.on_recovered.append(recovered.set)
    return recovered


# Addresses


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_goes_by_three_names(postgres_url: str, scheme: str) -> None:
    with open_counters(f"{scheme}://{postgres_url.partition('://')[2]}") as store:
        assert store.kind == "postgresql"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("crosswind.db", "is not a URL; give sqlite:///FILE"),
        ("mysql://localhost/x", "cannot use a database of kind 'mysql'"),
        ("postgresql+asyncpg://localhost/x", "cannot use a database of kind 'postgresql\\+asyncpg'"),
        ("postgresql://me:secret@host:port/x", "is not a URL"),
        ("sqlite:////no/such/folder/crosswind.db", "The folder /no/such/folder of the database does not exist"),
        ("sqlite:////tmp", "is a folder"),
    ],
)
def test_a_wrong_address_is_named_without_its_password(url: str, sentence: str) -> None:
    with pytest.raises(DatabaseUrlInvalid, match=sentence) as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(file: Path) -> None:
    file.write_text("These are my notes. " * 500)
    with pytest.raises(DatabaseUrlInvalid, match="is not a sound SQLite database"):
        Store.open(f"sqlite:///{file}")
    assert file.read_text().startswith("These are my notes.")


def test_a_postgresql_that_is_not_there_is_named() -> None:
    with pytest.raises(
        StoreUnavailable, match=r"PostgreSQL at 127.0.0.1:1/x cannot be used now; check that it runs"
    ) as caught:
        Store.open("postgresql://me:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)


# SQLite


def test_only_its_owner_may_read_the_file(store: Store, file: Path) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in file.parent.glob("crosswind.db*")} == {0o600}
    assert values(store)[0] == 0


def test_sqlite_is_set_up_to_lose_nothing(store: Store) -> None:
    def pragmas(uow: UnitOfWork, names: list[str]) -> list[object]:
        return [uow.execute(text(f"PRAGMA {name}")).scalar_one() for name in names]

    names = ["journal_mode", "synchronous", "foreign_keys"]
    assert store.write_blocking(each(pragmas), names) == ["wal", 2, 1]


def test_a_second_server_is_told_who_has_the_file_and_what_to_do(store: Store, file: Path) -> None:
    store.announce("127.0.0.1:8443")
    assert json.loads(Path(f"{file}.lock").read_text()) == {"pid": os.getpid(), "address": "127.0.0.1:8443"}
    with pytest.raises(DatabaseInUse, match=rf"pid {os.getpid()} at 127.0.0.1:8443; stop that server first"):
        open_counters(f"sqlite:///{file}")
    store.close()
    open_counters(f"sqlite:///{file}").close()


def test_a_short_command_works_beside_a_server(store: Store, file: Path) -> None:
    with Store.open(f"sqlite:///{file}", migrated=False, exclusive=False) as command:
        assert command.write_blocking(each(bump), 1) == 1
    assert store.write_blocking(each(bump), 1) == 2


def test_a_database_in_memory_reads_and_writes_on_one_connection() -> None:
    with open_counters(SQLITE_MEMORY) as store:
        assert store.write_blocking(each(bump), 1) == 1
        assert store.read_blocking(lambda uow: read_n(uow, 1)) == 1

        async def many() -> list[int]:
            return await asyncio.gather(*(store.read(partial(read_n, id_=id_)) for id_ in range(10)))

        assert asyncio.run(many()) == [0, 1] + [0] * 8


@pytest.mark.parametrize("place", ["memory", "file", "postgresql"])
def test_a_read_cannot_write(place: str, file: Path, request: pytest.FixtureRequest) -> None:
    url = {"memory": lambda: SQLITE_MEMORY, "file": lambda: f"sqlite:///{file}"}.get(
        place, lambda: request.getfixturevalue("postgres_url")
    )()
    with open_counters(url) as store:
        with pytest.raises(Exception, match=r"readonly|read-only"):
            store.read_blocking(lambda uow: bump(uow, 1))
        assert store.write_blocking(each(bump), 1) == 1


def test_a_read_sees_one_moment(database_url: str) -> None:
    with open_counters(database_url) as store:
        between = (threading.Event(), threading.Event())

        def read_twice(uow: UnitOfWork) -> tuple[int, int]:
            first = read_n(uow, 1)
            between[0].set()
            assert between[1].wait(30)
            return first, read_n(uow, 1)

        async def race() -> tuple[int, int]:
            reading = asyncio.create_task(store.read(read_twice))
            await asyncio.to_thread(between[0].wait)
            await store.write(each(bump), 1)
            between[1].set()
            return await reading

        assert asyncio.run(race()) == (0, 0)


def test_a_full_disk_is_named_harms_nothing_and_is_got_over(store: Store, file: Path) -> None:
    recovered = note_recovery(store)

    def fill(uow: UnitOfWork, size: int) -> None:
        uow.execute(insert(counter).values(id=1000, n=0, data=b"x" * size))

    limit = execute("PRAGMA max_page_count=1")  # at once: as many as there are
    store.write_blocking(each(limit), None)

    async def together() -> list[object]:
        gate = Gate()
        holding = asyncio.create_task(store.write(gate, None))
        await asyncio.to_thread(gate.entered.wait)
        tasks = [
            asyncio.create_task(store.write(each(bump), 1)),
            asyncio.create_task(store.write(each(fill), 1_000_000)),
        ]
        await asyncio.sleep(0)
        gate.opened.set()
        await holding
        return await asyncio.gather(*tasks, return_exceptions=True)

    small, large = asyncio.run(together())
    assert small == 1
    assert isinstance(large, StoreUnavailable)
    assert f"The disk of the database {file} is full; free some space there." in str(large)
    # The page that tells whether it can be written again needs no new space, so it is back by itself.
    assert recovered.wait(30)
    assert 1000 not in values(store)

    store.write_blocking(each(execute("PRAGMA max_page_count=100000")), None)
    store.write_blocking(each(fill), 1_000_000)
    assert 1000 in values(store)
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_foreign_lock_is_named_and_got_over(store: Store, file: Path) -> None:
    store.write_blocking(each(execute("PRAGMA busy_timeout=20")), None)
    recovered = note_recovery(store)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"Another process has kept the database .* locked"):
        store.write_blocking(each(bump), 1)
    assert is_away(store)
    with pytest.raises(StoreUnavailable, match="locked"):
        asyncio.run(store.probe())
    other.execute("ROLLBACK")
    other.close()
    assert recovered.wait(30)
    assert store.write_blocking(each(bump), 1) == 1
    asyncio.run(store.probe())


def test_sqlite_opens_no_more_files_under_load(store: Store, file: Path) -> None:
    def open_files() -> list[str]:
        return sorted(found.path for found in psutil.Process().open_files() if found.path.startswith(str(file)))

    async def load() -> None:
        reads = [store.read(lambda uow: read_n(uow, 1)) for _ in range(200)]
        await asyncio.gather(*(store.write(each(bump), number % 10) for number in range(1000)), *reads)

    asyncio.run(load())
    before = open_files()
    asyncio.run(load())
    assert open_files() == before
    assert sum(values(store).values()) == 2000


# The clock


def read_clock(uow: UnitOfWork, _: None) -> int:
    return uow.now


def test_a_transaction_reads_the_clock_once_and_time_does_not_go_back(database_url: str) -> None:
    with open_counters(database_url) as store:
        earliest = time.time_ns() // 1000 - 1_000_000
        times = [store.write_blocking(each(read_clock), None) for _ in range(50)]
        assert times == sorted(times)
        assert earliest < times[0] <= times[-1] < time.time_ns() // 1000 + 1_000_000


def test_a_clock_that_is_set_back_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, monotonic = [1_000_000_000], [0]
    monkeypatch.setattr(time, "time_ns", lambda: wall[0])
    monkeypatch.setattr(time, "monotonic_ns", lambda: monotonic[0])
    clock = driver._SteadyClock()
    assert clock.read() == 1_000_000
    wall[0], monotonic[0] = 500_000_000, 5_000_000
    assert clock.read() == 1_005_000
    monotonic[0] = 7_000_000
    assert clock.read() == 1_007_000
    wall[0] = 2_000_000_000
    assert clock.read() == 2_000_000


# PostgreSQL


async def test_a_restart_of_postgresql_is_got_over(own_postgres: PostgresServer) -> None:
    store = await asyncio.to_thread(open_counters, own_postgres.url)
    try:
        assert await store.write(each(bump), 1) == 1
        assert await store.read(lambda uow: read_n(uow, 1)) == 1
        await store.probe()
        listener = store._listener
        assert listener is not None
        assert await asyncio.to_thread(listener.wait_listening, 30)
        since = store.available_since
        assert since is not None
        recovered = note_recovery(store)
        async with store.hints.subscribe("anything") as subscription:
            await asyncio.to_thread(own_postgres.stop, immediate=True)
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match=f"PostgreSQL at 127.0.0.1:{own_postgres.port}"):
                    await store.write(each(bump), 1)
            assert is_away(store)
            with pytest.raises(StoreUnavailable, match="check that it runs"):
                await store.read(lambda uow: read_n(uow, 1))
            with pytest.raises(StoreUnavailable, match="check that it runs"):
                await store.probe()
            await asyncio.to_thread(own_postgres.start)
            # Nobody asks, and still it comes back; waiters look again, since a hint may have been lost meanwhile.
            assert await asyncio.to_thread(recovered.wait, 30)
            assert await subscription.wait(30)
        assert (store.available_since or 0) > since
        assert await store.write(each(bump), 1) == 2
        assert await store.read(lambda uow: read_n(uow, 1)) == 2
        await store.probe()
    finally:
        await asyncio.to_thread(store.close)


async def test_a_restart_that_nobody_noticed_costs_one_reconnection(own_postgres: PostgresServer) -> None:
    store = await asyncio.to_thread(open_counters, own_postgres.url)
    try:
        recovered = note_recovery(store)
        await asyncio.to_thread(own_postgres.restart)
        assert await store.read(lambda uow: read_n(uow, 1)) == 0
        assert await store.write(each(bump), 1) == 1
        assert recovered.is_set()
    finally:
        await asyncio.to_thread(store.close)


async def test_health_does_not_wait_for_busy_readers(database_url: str) -> None:
    store = await asyncio.to_thread(open_counters, database_url, readers=1)
    release = threading.Event()

    def hold(_uow: UnitOfWork) -> bool:
        return release.wait(30)

    try:
        holding = asyncio.create_task(store.read(hold))
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match=r"did not answer within 0.1 s"):
            await store.probe(0.1)
        release.set()
        assert await holding
        await store.probe()
    finally:
        release.set()
        await asyncio.to_thread(store.close)


def test_an_error_of_a_query_is_its_callers(database_url: str) -> None:
    with open_counters(database_url) as store:
        with pytest.raises(ZeroDivisionError):
            store.read_blocking(lambda _uow: 1 // 0)
        with pytest.raises(Exception, match="no_such_table"):
            store.read_blocking(lambda uow: uow.execute(text("SELECT 1 FROM no_such_table")))
        assert store.read_blocking(lambda uow: uow.execute(select(counter.c.id)).scalars().first()) == 0
        assert store.write_blocking(each(add), 77) == 77
