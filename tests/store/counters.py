"""One small table, and handlers over it, for tests of the store's engine that need no schema."""

import threading
from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    select,
    update,
)
from sqlalchemy.schema import CreateTable

from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork

metadata = MetaData()
counter = Table(
    "counter",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False, default=7),
    Column("name", String(100)),
    Column("data", LargeBinary),
    Column("flag", Boolean),
)


class Refused(Exception):
    """Stands for the domain's refusals, which the store does not know."""


def open_counters(url: str, *, readers: int = 2, ids: Sequence[int] = range(10)) -> Store:
    """Open a store on the counter table, and make it if it is not there."""
    store = Store.open(url, readers=readers, migrated=False, refusals=(Refused,))
    store.write_blocking(each(create), ids)
    return store


def create(uow: UnitOfWork, ids: Sequence[int]) -> None:
    uow.execute(CreateTable(counter, if_not_exists=True))
    uow.dialect.insert_ignore(counter, [{"id": id_, "n": 0} for id_ in ids], ["id"])


def bump(uow: UnitOfWork, id_: int) -> int:
    """Count one up and answer the new value."""
    uow.execute(update(counter).where(counter.c.id == id_).values(n=counter.c.n + 1))
    return read_n(uow, id_)


def add(uow: UnitOfWork, id_: int) -> int:
    uow.execute(insert(counter).values(id=id_, n=0))
    return id_


def read_n(uow: UnitOfWork, id_: int) -> int:
    value: int = uow.execute(select(counter.c.n).where(counter.c.id == id_)).scalar_one()
    return value


def values(store: Store) -> dict[int, int]:
    """Read all counters."""
    rows = store.read_blocking(lambda uow: uow.execute(select(counter.c.id, counter.c.n)).all())
    return {row.id: row.n for row in rows}


class Gate:
    """A handler that holds the writer up, so that what is submitted meanwhile waits together."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, _uow: UnitOfWork, requests: Sequence[None]) -> Sequence[None]:
        self.entered.set()
        assert self.opened.wait(30)
        return list(requests)
