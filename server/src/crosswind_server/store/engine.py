"""The store: the one door to the database, for services and commands.

Here belong opening, closing and the way of a request to the writer or to a reader. What a transaction is belongs to
`unit_of_work`, how requests share one to `group_commit`.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Literal, Self, TypeVar

from sqlalchemy import Connection, select

from crosswind_server.store.clock import REAL_CLOCK, Clock
from crosswind_server.store.driver import Driver, Fault, PostgresDriver, SQLiteDriver, driver_for
from crosswind_server.store.errors import StoreUnavailable
from crosswind_server.store.group_commit import GroupCommit, Handler
from crosswind_server.store.hints import Hints, Listener
from crosswind_server.store.lock_file import LockFile
from crosswind_server.store.migration import connect, prepare
from crosswind_server.store.unit_of_work import UnitOfWork

Q = TypeVar("Q")
R = TypeVar("R")
Query = Callable[[UnitOfWork], R]

_READ_TRIES = 3


class Store:
    """A database that is open.

    All methods may be called from any thread. Connections are as many as at the beginning, whatever the load: one
    writer, `readers` readers, and on PostgreSQL one listener.

    Attributes:
        clock: what it goes by.
        hints: where waiters subscribe to what transactions hint.
        revision: the revision of the database's schema.
        place: where the database is, for messages; without its password.
    """

    def __init__(
        self,
        *,
        driver: Driver,
        committer: GroupCommit,
        readers: _Readers | None,
        hints: Hints,
        listener: Listener | None,
        lock: LockFile | None,
        revision: str | None,
        stack: ExitStack,
        clock: Clock,
    ) -> None:
        """Use `Store.open`."""
        self._committer = committer
        self._driver = driver
        self._readers = readers
        self._listener = listener
        self._lock = lock
        self._stack = stack
        self._absent_until = 0.0
        self.clock = clock
        self.hints = hints
        self.revision = revision
        self.place = driver.place

    @classmethod
    def open(
        cls,
        url: str,
        *,
        readers: int = 4,
        create: bool = True,
        exclusive: bool = True,
        migrated: bool = True,
        refusals: tuple[type[Exception], ...] = (),
        clock: Clock = REAL_CLOCK,
    ) -> Self:
        """Open a database and check that its schema is this server's.

        Args:
            url: sqlite:///FILE, sqlite:// (in memory) or postgresql://USER:PASSWORD@HOST:PORT/DATABASE.
            readers: how many threads, each with a connection, answer reads.
            create: create a missing schema and migrate an older one; else they are refused.
            exclusive: take the lock of a SQLite file, as a server does. A short command may work beside a server.
            migrated: False leaves the schema alone, whatever it is.
            refusals: exceptions that are an answer to one request and no fault of the transaction.
            clock: what tells `UnitOfWork.now`; by default the database's own clock.

        Raises:
            DatabaseUrlInvalid: the address cannot be used.
            DatabaseInUse: another server has the SQLite file.
            DatabaseNotMigrated: the schema is missing or older, and `create` is False.
            DatabaseTooNew: the schema is newer and does not admit this server.
            StoreUnavailable: the database cannot be reached.
        """
        with ExitStack() as stack:
            driver = driver_for(url, create=create)
            lock = None
            if exclusive and isinstance(driver, SQLiteDriver) and driver.file is not None:
                lock = LockFile(driver.file)
                stack.callback(lock.close)
            connection = stack.enter_context(connect(driver))
            revision = prepare(connection, driver, create=create, locked=exclusive) if migrated else None
            hints = Hints()
            reading = None
            if not driver.shares_connection:
                reading = _Readers(driver, readers, clock)
                stack.callback(reading.close)
            listener = None
            if isinstance(driver, PostgresDriver):
                listener = Listener(hints, driver.connect_listener)
                listener.start()
                stack.callback(listener.close)
            committer = GroupCommit(driver, connection, hints=hints, refusals=refusals, clock=clock)
            stack.callback(committer.close)
            return cls(
                driver=driver,
                committer=committer,
                readers=reading,
                hints=hints,
                listener=listener,
                lock=lock,
                revision=revision,
                stack=stack.pop_all(),
                clock=clock,
            )

    def close(self) -> None:
        """Finish the writes that are queued, refuse later ones with `StoreUnavailable`, and let go of the database.

        Blocks meanwhile; call it from a thread if a loop must go on.
        """
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Requests

    async def write(self, handler: Handler[Q, R], request: Q, *, patient: bool = False) -> R:
        """Answer a request in a transaction that it may share with others, after that is committed.

        A patient request waits up to 10 ms for others to share it with, unless an impatient one comes.

        Raises the refusal or error that is this request's own, or `StoreUnavailable`. A caller that is cancelled
        does not learn whether its request was carried out.
        """
        return await self._committer.submit(handler, request, patient=patient)

    def write_blocking(self, handler: Handler[Q, R], request: Q) -> R:
        """Do the same for a thread without an event loop."""
        return self._committer.submit_blocking(handler, request)

    async def read(self, query: Query[R]) -> R:
        """Run a query in a read-only transaction that sees one moment of the database.

        It may run more than once. Raises what the query raises, or `StoreUnavailable`.
        """
        if self._readers is None:
            return await self._committer.submit(_ReadingHandler(self._driver), query)
        self._refuse_while_disconnected()
        return await asyncio.wrap_future(self._readers.submit(query))

    def read_blocking(self, query: Query[R]) -> R:
        """Do the same for a thread without an event loop."""
        if self._readers is None:
            return self._committer.submit_blocking(_ReadingHandler(self._driver), query)
        self._refuse_while_disconnected()
        return self._readers.submit(query).result()

    # Health

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]:
        """Which database this is, for listings and figures; SQL that differs belongs to `Dialect`."""
        return self._driver.name

    @property
    def available_since(self) -> float | None:
        """Monotonic seconds since when writes are taken without a break, None while the database is away. [LEASE-3]"""
        since = self._committer.available_since
        return None if since is None else max(since, self._absent_until)

    def note_absence(self) -> None:
        """Take note that this process did not run for a while, until now: nobody's heartbeat was accepted meanwhile."""
        self._absent_until = self.clock.monotonic()

    @property
    def on_recovered(self) -> list[Callable[[], None]]:
        """Callbacks for when the database has come back; they run in the writer's thread and must not block."""
        return self._committer.on_recovered

    @property
    def transactions(self) -> int:
        """How many write transactions were committed since the store was opened."""
        return self._committer.transactions

    @property
    def statements(self) -> int:
        """How many statements those consisted of."""
        return self._committer.statements

    @property
    def rows(self) -> int:
        """How many rows they wrote."""
        return self._committer.rows

    async def probe(self, timeout: float = 2.0) -> None:
        """Check that the database answers within `timeout` seconds; raises `StoreUnavailable` if not."""
        if self.available_since is None:
            raise StoreUnavailable(self._committer.unavailable_because)
        try:
            async with asyncio.timeout(timeout):
                await self.read(_ping)
        except TimeoutError as error:
            raise StoreUnavailable(f"The database {self.place} did not answer within {timeout:g} s.") from error

    def announce(self, address: str) -> None:
        """Tell whoever finds a SQLite file locked under which address this server answers."""
        if self._lock is not None:
            self._lock.announce(address)

    def _refuse_while_disconnected(self) -> None:
        # Otherwise every read of an unreachable host would hold a reader until its time is up.
        if not self._committer.connected:
            raise StoreUnavailable(self._committer.unavailable_because)


def _ping(uow: UnitOfWork) -> None:
    uow.execute(select(1))


class _ReadingHandler:
    """Reads in the writer's thread, for a database in memory, which only the writer's connection sees."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ReadingHandler) and other._driver is self._driver

    def __hash__(self) -> int:
        return hash((_ReadingHandler, id(self._driver)))

    def __call__(self, uow: UnitOfWork, queries: Sequence[Query[R]]) -> Sequence[R | Exception]:
        results: list[R | Exception] = []
        self._driver.allow_writes(uow._connection, False)
        try:
            for query in queries:
                try:
                    results.append(query(uow))
                except Exception as error:
                    # Nothing was written, so it is nobody else's matter.
                    results.append(error)
        finally:
            self._driver.allow_writes(uow._connection, True)
        return results


class _Readers:
    """A fixed number of threads, each using one of as many connections for read-only transactions."""

    def __init__(self, driver: Driver, count: int, clock: Clock) -> None:
        self._driver = driver
        self._clock = clock
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="crosswind-reader")
        self._idle: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        try:
            for _ in range(count):
                self._idle.put(driver.connect(writing=False))
        except Exception as error:
            self.close()
            raise StoreUnavailable(driver.explain(error)) from error

    def submit(self, query: Query[R]) -> Future[R]:
        """Queue a query."""
        try:
            return self._threads.submit(self._run, query)
        except RuntimeError as error:
            raise StoreUnavailable(
                "The server is stopping and its database is closed; repeat the call later."
            ) from error

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        while not self._idle.empty():
            connection = self._idle.get()
            if connection is not None:
                connection.close()

    def _run(self, query: Query[R]) -> R:
        connection = self._idle.get()
        try:
            for attempt in range(1, _READ_TRIES + 1):
                try:
                    if connection is None:
                        connection = self._driver.connect(writing=False)
                    return self._read(connection, query)
                except Exception as error:
                    fault = self._driver.fault(error, connection)
                    if fault is Fault.REQUEST:
                        raise
                    if fault is Fault.LOST and connection is not None:
                        connection.invalidate()
                        connection.close()
                        connection = None
                    if fault is Fault.UNAVAILABLE or attempt == _READ_TRIES:
                        raise StoreUnavailable(self._driver.explain(error)) from error
            raise AssertionError("unreachable")
        finally:
            self._idle.put(connection)

    def _read(self, connection: Connection, query: Query[R]) -> R:
        now = self._clock.of_transaction(self._driver.begin(connection, writing=False))
        try:
            return query(UnitOfWork(connection, now=now))
        finally:
            self._driver.rollback(connection)
