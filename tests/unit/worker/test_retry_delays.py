"""How long a worker waits before it repeats a call, by what the server did."""

from __future__ import annotations

import asyncio
import random

import pytest

from crosswind.client.errors import DEADLINE_EXCEEDED, CallError
from crosswind.runtime.bundles import WatchedBundles
from crosswind.runtime.registration import WorkerIdentity
from crosswind.runtime.server_calls import ServerCalls
from crosswind.runtime.server_connection import ServerConnection
from crosswind.runtime.worker import Worker


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest delays are drawn, and waited for at once; answers with the list of them."""
    seen: list[float] = []

    async def sleep(delay: float) -> None:
        seen.append(delay)

    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return seen


async def test_a_server_that_answers_with_errors_is_asked_less_and_less(waits: list[float]) -> None:
    connection = ServerConnection("127.0.0.1:1")
    connection._note_up()
    for failures in range(1, 12):
        await connection.wait_for_retry(failures)
    assert waits == [0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0, 15.0, 15.0, 15.0]
    await connection.close()


async def test_a_call_that_cannot_wait_so_long_says_so(waits: list[float]) -> None:
    connection = ServerConnection("127.0.0.1:1")
    connection._note_up()
    calls = ServerCalls(connection, registration=None)  # type: ignore[arg-type]  # no error here asks for one
    for failures in range(1, 7):
        await calls.recover(CallError(DEADLINE_EXCEEDED, "", "late"), token="", failures=failures, most=3.0)
    assert waits == [0.4, 0.8, 1.6, 3.0, 3.0, 3.0]
    await connection.close()


class Enough(Exception):
    """Ends a loop of the worker."""


async def test_heartbeats_that_fail_come_as_often_as_those_that_do_not(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = ServerConnection("127.0.0.1:1")
    connection._note_up()
    worker = Worker(connection, WorkerIdentity(name="w", slots=1), WatchedBundles([], import_timeout=1.0))
    errors = [Enough(), *[CallError(DEADLINE_EXCEEDED, "", "late")] * 8]

    async def fail(*_: object, **__: object) -> None:
        raise errors.pop()

    monkeypatch.setattr(connection, "send", fail)
    with pytest.raises(Enough):
        await worker._beat()
    interval = float(connection.timing.heartbeat_interval.seconds)
    assert waits == [0.4, 0.8, 1.6, 3.2, interval, interval, interval, interval]
    await connection.close()


async def test_a_server_that_comes_back_is_asked_soon(waits: list[float]) -> None:
    connection = ServerConnection("127.0.0.1:1")
    connection._note_down(CallError(14, "", "refused"))
    waiting = asyncio.create_task(connection.wait_for_retry(30))
    asyncio.get_running_loop().call_soon(connection._note_up)
    async with asyncio.timeout(5):
        await waiting
    assert waits == [0.2]
    await connection.close()
