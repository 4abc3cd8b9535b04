"""The statements that differ between SQLite and PostgreSQL do the same on both."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Row, event, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from crosswind_server.store.dialect import Dialect
from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.store.counters import counter, open_counters, values

ROWS: list[dict[str, Any]] = [
    {"id": 1, "n": -(2**63), "name": None, "data": b"\x00\xff" * 8, "flag": True},
    {"id": 2, "n": 2**63 - 1, "name": 'it\'s "ü" \\ \n 日本 {[,]}', "data": None, "flag": False},
    {"id": 3, "n": 0, "name": "", "data": b"", "flag": None},
]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with open_counters(database_url, ids=[]) as store:
        yield store


def run(store: Store, work: Any) -> Any:
    return store.write_blocking(each(lambda uow, _: work(uow)), None)


def everything(store: Store) -> list[Any]:
    rows: Sequence[Row[Any]] = store.read_blocking(
        lambda uow: uow.execute(select(counter).order_by(counter.c.id)).all()
    )
    return [dict(row._mapping) for row in rows]


@pytest.mark.parametrize("way", ["insert_many", "insert_ignore", "upsert"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_values_arrive_as_they_were(store: Store, way: str, count: int) -> None:
    conflict = [] if way == "insert_many" else [["id"]]
    run(store, lambda uow: getattr(uow.dialect, way)(counter, ROWS[:count], *conflict))
    assert everything(store) == ROWS[:count]


def test_values_arrive_as_they_were_in_an_update(store: Store) -> None:
    run(store, lambda uow: uow.dialect.insert_many(counter, [{"id": row["id"], "n": 5} for row in ROWS]))
    run(store, lambda uow: uow.dialect.update_values(counter, ["id"], ["n", "name", "data", "flag"], ROWS))
    assert everything(store) == ROWS


def test_columns_left_out_take_their_defaults(store: Store) -> None:
    run(store, lambda uow: uow.dialect.insert_many(counter, [{"id": 1}, {"id": 2}]))
    run(store, lambda uow: uow.dialect.insert_ignore(counter, [{"id": 3}, {"id": 4}], ["id"]))
    run(store, lambda uow: uow.dialect.upsert(counter, [{"id": 5}], ["id"], set_columns=["n"]))
    assert values(store) == dict.fromkeys(range(1, 6), 7)


def test_no_rows_are_no_statement(store: Store) -> None:
    def nothing(uow: UnitOfWork) -> int:
        assert uow.dialect.insert_many(counter, []) == 0
        assert uow.dialect.insert_ignore(counter, [], ["id"]) == ()
        assert uow.dialect.upsert(counter, [], ["id"]) == ()
        assert uow.dialect.update_values(counter, ["id"], ["n"], []) == ()
        return uow.statements

    assert run(store, nothing) == 0


def test_insert_ignore_says_which_rows_were_new(store: Store) -> None:
    def insert_twice(uow: UnitOfWork) -> list[set[int]]:
        return [
            {
                row.id
                for row in uow.dialect.insert_ignore(
                    counter, [{"id": i, "n": n} for i in ids], ["id"], returning=["id"]
                )
            }
            for n, ids in enumerate([[1, 2], [2, 3], [3]])
        ]

    assert run(store, insert_twice) == [{1, 2}, {3}, set()]
    assert values(store) == {1: 0, 2: 0, 3: 1}


def test_upsert_changes_only_what_it_is_told(store: Store) -> None:
    run(store, lambda uow: uow.dialect.insert_many(counter, [{"id": 1, "n": 1, "name": "old"}]))
    new = [{"id": 1, "n": 2, "name": "new"}, {"id": 2, "n": 2, "name": "new"}]
    rows = run(store, lambda uow: uow.dialect.upsert(counter, new, ["id"], set_columns=["n"], returning=["id", "name"]))
    assert sorted((row.id, row.name) for row in rows) == [(1, "old"), (2, "new")]
    run(store, lambda uow: uow.dialect.upsert(counter, new[:1], ["id"]))
    assert [(row["n"], row["name"]) for row in everything(store)] == [(2, "new"), (2, "new")]


def test_update_values_is_guarded_by_all_keys_and_a_condition(store: Store) -> None:
    leases = [bytes([number]) * 16 for number in range(6)]
    run(
        store,
        lambda uow: uow.dialect.insert_many(
            counter, [{"id": i, "n": 0, "data": leases[i], "flag": i != 4} for i in range(6)]
        ),
    )
    wanted = [{"id": i, "data": b"stale" if i in (2, 99) else leases[i], "n": 100 + i} for i in (1, 2, 3, 4, 99)]

    def heartbeat(uow: UnitOfWork) -> set[int]:
        rows = uow.dialect.update_values(
            counter,
            ["id", "data"],
            ["n"],
            wanted,
            where=counter.c.flag.is_(True),
            set_all={"name": "held"},
            returning=["id"],
        )
        return {row.id for row in rows}

    assert run(store, heartbeat) == {1, 3}
    assert values(store) == {0: 0, 1: 101, 2: 0, 3: 103, 4: 0, 5: 0}
    assert [row["id"] for row in everything(store) if row["name"] == "held"] == [1, 3]


def test_one_statement_takes_any_number_of_rows_with_one_text(store: Store) -> None:
    texts: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        texts.append(statement)

    rows = [{"id": number, "n": 0} for number in range(20_000)]
    run(store, lambda uow: uow.dialect.insert_ignore(counter, rows, ["id"]))
    event.listen(store._driver.engine, "before_cursor_execute", note)
    for count in (2, 20_000):  # from the third time on SQLAlchemy is not asked, see `prepared`
        changed = [{"id": number, "n": count} for number in range(count)]
        run(store, lambda uow, changed=changed: uow.dialect.update_values(counter, ["id"], ["n"], changed))
    assert len(texts) == 2
    assert len(set(texts)) == 1
    assert set(values(store).values()) == {20_000}


def test_rows_can_be_joined_with_any_query(store: Store) -> None:
    run(store, lambda uow: uow.dialect.insert_many(counter, [{"id": i, "n": i * i} for i in range(10)]))

    def join(uow: UnitOfWork) -> list[tuple[int, int]]:
        columns = {"wanted": counter.c.id, "bonus": counter.c.n}
        source, parameters = uow.dialect.rows_source(
            columns, [{"wanted": 3, "bonus": 100}, {"wanted": 5, "bonus": 200}]
        )
        query = select(counter.c.id, counter.c.n + source.c.bonus).where(counter.c.id == source.c.wanted)
        return sorted(tuple(row) for row in uow.execute(query, parameters))

    assert store.read_blocking(join) == [(3, 109), (5, 225)]


def test_locks_are_taken_in_the_order_of_the_key_and_only_where_they_exist() -> None:
    def dialect_of(sqlalchemy_dialect: Any) -> Dialect:
        return Dialect(sqlalchemy_dialect, lambda *_: pytest.fail("nothing is executed"))

    query = select(counter.c.id).order_by(counter.c.n)
    for sqlalchemy_dialect, lock, claim in (
        (postgresql.dialect(), "counter.id FOR UPDATE OF counter", "counter.n FOR UPDATE OF counter SKIP LOCKED"),
        (sqlite.dialect(), "counter.id", "counter.n"),
    ):
        dialect = dialect_of(sqlalchemy_dialect)
        texts = [
            " ".join(str(statement.compile(dialect=sqlalchemy_dialect)).split())
            for statement in (dialect.lock_rows(query, counter), dialect.claim_rows(query, counter))
        ]
        assert [text.partition(" ORDER BY ")[2] for text in texts] == [lock, claim]


async def test_two_servers_claim_different_rows_without_waiting(postgres_url: str) -> None:
    both_have_claimed = threading.Barrier(2, timeout=30)

    def claim(uow: UnitOfWork, count: int) -> list[int]:
        query = uow.dialect.claim_rows(
            select(counter.c.id).where(counter.c.n == 0).order_by(counter.c.id.desc()).limit(count), counter
        )
        ids = list(uow.execute(query).scalars())
        uow.execute(update(counter).where(counter.c.id.in_(ids)).values(n=1))
        both_have_claimed.wait()
        return ids

    with open_counters(postgres_url, ids=range(6)) as one, open_counters(postgres_url, ids=[]) as other:
        claimed = await asyncio.gather(one.write(each(claim), 3), other.write(each(claim), 3))
    # They may take turns row by row.
    assert [sorted(ids, reverse=True) for ids in claimed] == list(claimed)
    assert [len(ids) for ids in claimed] == [3, 3]
    assert sorted(claimed[0] + claimed[1]) == list(range(6))


def test_a_large_value_passes(store: Store) -> None:
    data = bytes(range(256)) * 8192
    run(store, lambda uow: uow.execute(insert(counter).values(id=1, n=0, data=data)))
    run(store, lambda uow: uow.dialect.upsert(counter, [{"id": i, "n": 0, "data": data} for i in (1, 2)], ["id"]))
    assert [row["data"] == data for row in everything(store)] == [True, True]
