"""The writer: one thread, one connection, one transaction for all requests that wait at the same time.

Here belong the order of requests, what is replayed when a transaction fails, and whether the database can be reached.
What is written belongs to handlers; how the database is spoken to belongs to `driver`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import math
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from crosswind_server.store.clock import REAL_CLOCK, Clock
from crosswind_server.store.driver import CommitUndone, Driver, Fault
from crosswind_server.store.errors import StoreError, StoreUnavailable
from crosswind_server.store.hints import Hints
from crosswind_server.store.unit_of_work import UnitOfWork

Q = TypeVar("Q")
R = TypeVar("R")
Handler = Callable[[UnitOfWork, Sequence[Q]], Sequence[R | Exception]]
"""Answers requests in one transaction: a result for each, in their order; an exception is that one's error."""

LARGEST_BATCH = 256
LINGER_S = 0.01
"""As long as only patient requests wait, the oldest of them waits so long for company."""
STALL_S = 5.0
"""A transaction that took longer counts as an absence of the database: nobody's heartbeat was accepted meanwhile."""

_TRIES = 4
_RECONNECT_FIRST_S = 0.1
_RECONNECT_LONGEST_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Each(Generic[Q, R]):
    answer: Callable[[UnitOfWork, Q], R]

    def __call__(self, uow: UnitOfWork, requests: Sequence[Q]) -> Sequence[R | Exception]:
        results: list[R | Exception] = []
        for request in requests:
            uow.mark()
            try:
                results.append(self.answer(uow, request))
            except uow.refusals as refusal:
                if uow.wrote:
                    # Half of a request must not be committed with its neighbours: roll back, and replay one by one.
                    raise
                results.append(refusal)
        return results


def each(answer: Callable[[UnitOfWork, Q], R]) -> Handler[Q, R]:
    """Make a handler of a function that answers one request.

    A refusal that it raises before it wrote anything is that request's answer. Handlers made of the same function are
    equal, so their requests are grouped.
    """
    return _Each(answer)


class _Waiting:
    """A request, and the future of whoever waits for its answer."""

    __slots__ = ("error", "future", "handler", "loop", "request", "result", "since")

    def __init__(
        self,
        handler: Handler[Any, Any],
        request: Any,
        future: asyncio.Future[Any] | concurrent.futures.Future[Any],
        loop: asyncio.AbstractEventLoop | None,
        *,
        since: float | None = None,
    ) -> None:
        self.handler = handler
        self.request = request
        self.future = future
        self.loop = loop
        self.since = since
        """Monotonic seconds when a patient request came; None for one that is to be answered at once."""
        self.result: Any = None
        self.error: BaseException | None = None

    def resolve(self) -> None:
        """Hand over the answer; in the future's own loop, if it has one."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        elif isinstance(self.error, Exception) and not isinstance(self.error, StopIteration):
            self.future.set_exception(self.error)
        else:
            # A future takes no StopIteration, and nothing that would end the loop of whoever waits.
            self.future.set_exception(RuntimeError(f"A handler raised {self.error!r}."))


class _Replay(Exception):
    """The transaction failed for a reason that may lie in one of its requests: each goes on alone."""


class GroupCommit:
    """Runs the requests of one store, in the order of their arrival, each exactly as if it were alone.

    Attributes:
        available_since: monotonic seconds when the database last became reachable, None while it is away.
        unavailable_because: the sentence that says why it is away.
        transactions, statements, rows: what was committed, and how many statements and written rows were in that.
        on_recovered: called in the writer's thread, without arguments, whenever the database has come back.
    """

    def __init__(
        self,
        driver: Driver,
        connection: Connection,
        *,
        hints: Hints,
        refusals: tuple[type[Exception], ...],
        clock: Clock = REAL_CLOCK,
    ) -> None:
        self._clock = clock
        self._driver = driver
        self._connection: Connection | None = connection
        self._hints = hints
        self._refusals = refusals
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._accepting = threading.Lock()
        self._closed = False
        self._retry_at = 0.0
        self._pause = _RECONNECT_FIRST_S
        self.available_since: float | None = clock.monotonic()
        self.unavailable_because = ""
        self.on_recovered: list[Callable[[], None]] = []
        self.transactions = 0
        self.statements = 0
        self.rows = 0
        self._thread = threading.Thread(target=self._run, name="crosswind-writer", daemon=True)
        self._thread.start()

    # Callers, in any thread

    async def submit(self, handler: Handler[Q, R], request: Q, *, patient: bool = False) -> R:
        """Queue a request and wait for its answer, which comes after its transaction is committed.

        A patient request gives others a moment to join its transaction: for callers that have enough to do meanwhile.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._put(_Waiting(handler, request, future, loop, since=time.monotonic() if patient else None))
        return await future

    def submit_blocking(self, handler: Handler[Q, R], request: Q) -> R:
        """The same for a thread without an event loop."""
        future: concurrent.futures.Future[R] = concurrent.futures.Future()
        self._put(_Waiting(handler, request, future, None))
        return future.result()

    def close(self) -> None:
        """Finish what is queued, refuse what comes later, end the thread and close the connection."""
        with self._accepting:
            already, self._closed = self._closed, True
            if not already:
                self._queue.put(None)
        self._thread.join()

    @property
    def connected(self) -> bool:
        """Whether there is a connection; a full disk is away, but still connected."""
        return self._connection is not None

    def _put(self, waiting: _Waiting) -> None:
        with self._accepting:
            if self._closed:
                raise StoreUnavailable("The server is stopping and its database is closed; repeat the call later.")
            self._queue.put(waiting)

    # The writer's thread

    def _run(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._take()
            if batch:
                self._answer(batch)
            elif self.available_since is None and not closing:
                self._try_to_recover()
        if self._connection is not None:
            self._connection.close()

    def _take(self) -> tuple[list[_Waiting], bool]:
        """Wait for a request and take what else is waiting; the flag says it is the end.

        Nothing more is waited for, unless all that is there is patient.
        """
        batch: list[_Waiting] = []
        patient_until: float | None = math.inf
        try:
            item = self._queue.get(timeout=self._pause if self.available_since is None else None)
            while item is not None:
                if not item.future.cancelled():
                    batch.append(item)
                    if patient_until is not None:
                        patient_until = None if item.since is None else min(patient_until, item.since + LINGER_S)
                if len(batch) == LARGEST_BATCH:
                    return batch, False
                item = self._next(patient_until if batch else None)
        except queue.Empty:
            return batch, False
        return batch, True

    def _next(self, patient_until: float | None) -> _Waiting | None:
        """The next request that waits, or that comes until then. Raises `queue.Empty`."""
        linger = 0.0 if patient_until is None else patient_until - time.monotonic()
        return self._queue.get(timeout=linger) if linger > 0 else self._queue.get_nowait()

    def _answer(self, batch: list[_Waiting]) -> None:
        try:
            try:
                self._transact(batch)
            except _Replay:
                for waiting in batch:
                    self._transact([waiting])
                    _deliver([waiting])
                return
        except BaseException as error:
            # Nothing may end this thread: whoever waits now or later would wait for ever.
            _log.exception("The database writer failed in an unforeseen way")
            if self._connection is not None:
                self._driver.rollback(self._connection)
            for waiting in batch:
                waiting.error = waiting.error or StoreError(f"The database writer failed: {error!r}.")
        _deliver(batch)

    def _transact(self, batch: list[_Waiting]) -> None:
        """Run requests in one transaction and leave each its answer. Raises `_Replay` if they must go on one by one."""
        for attempt in range(1, _TRIES + 1):
            stage = _Stage()
            began = time.monotonic()
            try:
                connection = self._connected()
                topics = self._handle(batch, connection, stage)
            except StoreUnavailable as unavailable:
                _fail(batch, str(unavailable))
                return
            except BaseException as error:
                if self._fail_transaction(batch, error, stage=stage, last=attempt == _TRIES):
                    return
            else:
                self.transactions += 1
                if topics:
                    self._hints.publish(topics)
                if time.monotonic() - began > STALL_S:
                    self._mark_away(f"A transaction took {time.monotonic() - began:.0f} s.")
                self._mark_back()
                return

    def _handle(self, batch: list[_Waiting], connection: Connection, stage: _Stage) -> Sequence[str]:
        """Do one transaction from BEGIN to COMMIT and leave the answers; returns the topics to hint."""
        driver = self._driver
        now = self._clock.of_transaction(driver.begin(connection, writing=True))
        stage.begun = True
        counts = driver.count_changes(connection) is not None
        uow = UnitOfWork(
            connection,
            now=now,
            refusals=self._refusals,
            count_changes=(lambda: driver.count_changes(connection) or 0) if counts else None,
        )
        groups: dict[Handler[Any, Any], list[_Waiting]] = {}
        for waiting in batch:
            groups.setdefault(waiting.handler, []).append(waiting)
        for handler, members in groups.items():
            results = handler(uow, [waiting.request for waiting in members])
            if len(results) != len(members):
                raise RuntimeError(f"{handler!r} gave {len(results)} answers to {len(members)} requests.")
            for waiting, result in zip(members, results, strict=True):
                waiting.result, waiting.error = (None, result) if isinstance(result, Exception) else (result, None)
        payloads = list(self._hints.payloads(uow.topics)) if driver.name == "postgresql" else []
        stage.committing = True
        driver.commit(connection, payloads)
        uow.committed()
        self.statements += uow.statements
        self.rows += uow.rows
        return uow.topics

    def _fail_transaction(self, batch: list[_Waiting], error: BaseException, *, stage: _Stage, last: bool) -> bool:
        """Clean up after a failure. True: all have their answers; False: try again. Raises `_Replay`."""
        driver, connection = self._driver, self._connection
        assert connection is not None
        fault = driver.fault(error, connection)
        if fault is Fault.LOST:
            self._disconnect()
            if stage.committing:
                self._mark_away(driver.explain(error))
                _fail(
                    batch,
                    "The connection to the database was lost during a commit, so whether this call was stored is not "
                    f"known; repeat it. {driver.explain(error)}",
                )
                return True
            if not last:
                return False
        else:
            driver.rollback(connection)
            if connection.invalidated:
                self._disconnect()
        if fault is Fault.CONFLICT and not last:
            time.sleep(random.uniform(0.001, 0.01) * 2)
            return False
        if fault is Fault.UNAVAILABLE:
            self._mark_away(driver.explain(error))
            if not stage.begun:
                _fail(batch, driver.explain(error))
                return True
        if len(batch) > 1:
            raise _Replay
        if fault is Fault.CONFLICT:
            _fail(batch, f"Other transactions were in the way {_TRIES} times; repeat the call. ({error})")
        elif fault in (Fault.UNAVAILABLE, Fault.LOST):
            _fail(batch, driver.explain(error))
        elif isinstance(error, CommitUndone):
            batch[0].error = StoreError(f"Nothing was stored: {error}")
        else:
            batch[0].error = error
        return True

    # Away and back

    def _connected(self) -> Connection:
        if self._connection is None:
            if time.monotonic() < self._retry_at:
                raise StoreUnavailable(self.unavailable_because)
            connection: Connection | None = None
            try:
                connection = self._driver.connect(writing=True)
                self._driver.probe(connection)
            except Exception as error:
                if connection is not None:
                    connection.invalidate()
                    connection.close()
                self._retry_at = time.monotonic() + self._pause
                self._pause = min(self._pause * 1.5, _RECONNECT_LONGEST_S)
                self._mark_away(self._driver.explain(error))
                raise StoreUnavailable(self.unavailable_because) from error
            self._connection = connection
            self.available_since = None
            self._mark_back()
        return self._connection

    def _try_to_recover(self) -> None:
        """Ask a database that is away whether it is back, since there may be no request that finds out."""
        try:
            had = self._connection
            connection = self._connected()
            if connection is had:
                self._driver.probe(connection)
        except StoreUnavailable:
            return
        except Exception as error:
            self._pause = min(self._pause * 1.5, _RECONNECT_LONGEST_S)
            if self._connection is not None and self._driver.fault(error, self._connection) is Fault.LOST:
                self._disconnect()
            self._mark_away(self._driver.explain(error))
        else:
            self._mark_back()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._retry_at = 0.0
        if connection is not None:
            if not connection.invalidated:
                connection.invalidate()
            connection.close()

    def _mark_away(self, why: str) -> None:
        if self.available_since is not None:
            _log.warning("The database is away: %s", why)
        self.available_since = None
        self.unavailable_because = why

    def _mark_back(self) -> None:
        if self.available_since is not None:
            return
        self.available_since = self._clock.monotonic()
        self._pause = _RECONNECT_FIRST_S
        _log.warning("The database is back")
        # What a commit of unknown outcome stored was hinted to nobody, so everyone must look again.
        self._hints.wake_all()
        for callback in self.on_recovered:
            try:
                callback()
            except Exception:
                _log.exception("A callback for the database's recovery failed")


class _Stage:
    """How far a transaction came, which decides what a failure means."""

    __slots__ = ("begun", "committing")

    def __init__(self) -> None:
        self.begun = False
        self.committing = False


def _fail(batch: Iterable[_Waiting], why: str) -> None:
    for waiting in batch:
        waiting.error = StoreUnavailable(why)


def _deliver(batch: Iterable[_Waiting]) -> None:
    """Hand out the answers of one commit: one wake-up for each event loop, however many wait in it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
    for waiting in batch:
        if waiting.loop is None:
            waiting.resolve()
        else:
            by_loop.setdefault(waiting.loop, []).append(waiting)
    for loop, members in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve_each, members)
        except RuntimeError:
            # The loop has closed; its futures have nobody left to tell.
            continue


def _resolve_each(members: Sequence[_Waiting]) -> None:
    for waiting in members:
        waiting.resolve()
