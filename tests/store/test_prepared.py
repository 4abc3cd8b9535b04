"""Statements that are executed often go to the driver as they are; nobody may notice."""

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, func, insert, select, text, update

from crosswind_server.store import prepared
from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import each
from crosswind_server.store.guards import is_among
from tests.store.counters import counter, open_counters

TIMES = prepared._OFTEN + 2
VALUES: tuple[dict[str, Any], ...] = (
    {"n": 1, "name": "ü'\"\\%s", "data": b"\x00\xff", "flag": True},
    {"n": -5, "name": "", "data": b"", "flag": False},
    {"n": 2**62, "name": None, "data": None, "flag": None},
)

ALL = select(counter).order_by(counter.c.id)
BY_ID = select(counter).where(counter.c.id == bindparam("wanted"), counter.c.n != 77)
AMONG = select(counter.c.id).where(is_among(counter.c.id, "ids")).order_by(counter.c.id)
NAMED = select(counter.c.id).where(is_among(counter.c.name, "names")).order_by(counter.c.id)
CHANGE = update(counter).where(counter.c.id == bindparam("wanted")).values(n=bindparam("changed"))
CHANGE_AND_TELL = CHANGE.returning(counter.c.id, counter.c.data, counter.c.flag)
ADD = insert(counter)
COUNT = select(func.count()).select_from(counter)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with open_counters(database_url, ids=[]) as store:
        yield store


@pytest.fixture
def pg_store(postgres_url: str) -> Iterator[Store]:
    with open_counters(postgres_url, ids=[]) as store:
        yield store


def run(store: Store, work: Any) -> Any:
    return store.write_blocking(each(lambda uow, _: work(uow)), None)


def fill(store: Store) -> list[dict[str, Any]]:
    rows = [{"id": number, **values} for number, values in enumerate(VALUES)]
    run(store, lambda uow: [uow.execute(ADD, row) for row in rows])
    return rows


def test_values_go_both_ways_as_ever(store: Store) -> None:
    rows = fill(store)
    for _ in range(TIMES):
        assert [dict(row._mapping) for row in run(store, lambda uow: uow.execute(ALL).all())] == rows
        found = run(store, lambda uow: uow.execute(BY_ID, {"wanted": 0}).one_or_none())
        assert (found.id, found.name, bytes(found.data), found.flag) == (0, "ü'\"\\%s", b"\x00\xff", True)
        assert found[0] == 0
        assert run(store, lambda uow: uow.execute(BY_ID, {"wanted": 99}).one_or_none()) is None
        assert run(store, lambda uow: uow.execute(COUNT).scalar_one()) == 3
    assert prepared._seen[ALL].prepared


def test_a_change_answers_and_counts_its_rows(store: Store) -> None:
    fill(store)
    for number in range(TIMES):
        given = {"wanted": 0, "changed": number}
        row = run(store, lambda uow, given=given: uow.execute(CHANGE_AND_TELL, given).one())
        assert (row.id, bytes(row.data), row.flag) == (0, b"\x00\xff", True)
        assert run(store, lambda uow: uow.execute(CHANGE, {"wanted": 1, "changed": 3}).rowcount) == 1
        assert run(store, lambda uow: uow.execute(CHANGE, {"wanted": 99, "changed": 3}).rowcount) == 0
        assert run(store, lambda uow: uow.execute(BY_ID, {"wanted": 0}).one()).n == number


def test_a_list_of_values_is_one_parameter(store: Store) -> None:
    fill(store)
    for _ in range(TIMES):
        for ids, expected in (([], []), ([1], [1]), ([2, 0, 99], [0, 2])):
            assert run(store, lambda uow, ids=ids: uow.execute(AMONG, {"ids": ids}).scalars().all()) == expected
        assert run(store, lambda uow: uow.execute(NAMED, {"names": ["", "ü'\"\\%s"]}).scalars().all()) == [0, 1]
    assert all(prepared._seen[AMONG].prepared.values())
    assert all(prepared._seen[NAMED].prepared.values())


def test_columns_left_out_take_their_defaults_however_often(store: Store) -> None:
    for number in range(TIMES):
        run(store, lambda uow, number=number: uow.execute(ADD, {"id": number}))
        run(
            store,
            lambda uow, number=number: uow.execute(ADD, [{"id": 100 + number, "n": 1}, {"id": 200 + number, "n": 2}]),
        )
    rows = run(store, lambda uow: uow.execute(ALL).all())
    assert [row.n for row in rows] == [7] * TIMES + [1] * TIMES + [2] * TIMES


def test_a_missing_parameter_is_an_error_however_often(store: Store) -> None:
    for _ in range(TIMES):
        with pytest.raises(Exception, match="wanted"):
            run(store, lambda uow: uow.execute(BY_ID, {}))


def test_a_statement_that_fails_undoes_its_transaction(store: Store) -> None:
    fill(store)
    for number in range(TIMES):

        def add_twice(uow: Any, number: int = number) -> None:
            uow.execute(ADD, {"id": 100 + number, "n": 1})
            uow.execute(ADD, {"id": 0, "n": 1})

        with pytest.raises(Exception, match=r"(?i)unique"):
            run(store, add_twice)
    assert run(store, lambda uow: uow.execute(COUNT).scalar_one()) == 3


def test_what_nobody_holds_is_forgotten(store: Store) -> None:
    def execute_often() -> weakref.ref[Any]:
        statement = delete(counter).where(counter.c.id == bindparam("wanted"))
        for _ in range(TIMES):
            run(store, lambda uow: uow.execute(statement, {"wanted": 1}))
        assert prepared._seen[statement].prepared
        return weakref.ref(statement)

    forgotten = execute_often()
    run(store, lambda uow: None)  # the writer lets go of its last request when the next one comes
    store._driver.engine.clear_compiled_cache()  # which holds the first executions' object, up to a bound
    gc.collect()
    assert forgotten() is None


def test_postgresql_never_sees_half_of_a_text(pg_store: Store) -> None:
    for _ in range(TIMES):
        with pytest.raises(Exception, match=r"NUL \(0x00\)"):
            run(pg_store, lambda uow: uow.execute(ADD, {"id": 1, "name": "a\0b"}))
    assert run(pg_store, lambda uow: uow.execute(COUNT).scalar_one()) == 0


def test_postgresql_forgets_what_nobody_holds(pg_store: Store) -> None:
    def prepared_statements(uow: Any) -> int:
        count: int = uow.execute(
            text("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'crosswind%'")
        ).scalar_one()
        return count

    counts = []
    for number in range(3):

        def delete_often(uow: Any, number: int = number) -> None:
            statement = delete(counter).where(counter.c.id == bindparam("wanted"), counter.c.n != number)
            for _ in range(TIMES):
                uow.execute(statement, {"wanted": 1})

        run(pg_store, delete_often)
        run(pg_store, lambda uow: None)  # the writer lets go of its last request when the next one comes
        pg_store._driver.engine.clear_compiled_cache()
        gc.collect()
        counts.append(run(pg_store, prepared_statements))
    assert counts[0] == counts[1] == counts[2]


def test_a_failed_statement_leaves_the_prepared_ones_usable(pg_store: Store) -> None:
    fill(pg_store)
    missing = update(counter).where(counter.c.id == bindparam("wanted")).values(n=text("no_such_column"))
    for _ in range(TIMES):
        with pytest.raises(Exception, match="no_such_column"):
            run(pg_store, lambda uow: uow.execute(missing, {"wanted": 1}))
        assert run(pg_store, lambda uow: uow.execute(BY_ID, {"wanted": 0}).one()).n == 1
