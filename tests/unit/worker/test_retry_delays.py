"""How long a worker waits before it repeats a call, by what the server did."""

from __future__ import annotations

import asyncio
import random

import pytest

from crosswind.client.errors import CallError
from crosswind.runtime.server_connection import ServerConnection


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


async def test_a_server_that_comes_back_is_asked_soon(waits: list[float]) -> None:
    connection = ServerConnection("127.0.0.1:1")
    connection._note_down(CallError(14, "", "refused"))
    waiting = asyncio.create_task(connection.wait_for_retry(30))
    asyncio.get_running_loop().call_soon(connection._note_up)
    async with asyncio.timeout(5):
        await waiting
    assert waits == [0.2]
    await connection.close()
