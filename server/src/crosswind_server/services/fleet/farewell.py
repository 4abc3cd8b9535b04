"""How a server takes leave of its workers: it sends them away, and still serves those that hold attempts. [STOP-1]

Here belong the polls while a server stops, and how long it goes on. What a poll finds otherwise is in `polling`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.services.execution import directives
from crosswind_server.services.execution.polling import Polling, PollWork, Work
from crosswind_server.store import attempts
from crosswind_server.store.engine import Store
from crosswind_server.store.errors import StoreUnavailable
from crosswind_server.timing import Timing

_AWAY: Final = Work(directives=(directives.MOVE_AWAY,), digest=directives.digest([directives.MOVE_AWAY]))


class Farewell:
    """The polls of one server, and their end. Its methods belong to the server's event loop."""

    def __init__(self, store: Store, polling: Polling, *, timing: Timing) -> None:
        self._store = store
        self._polling = polling
        self._timing = timing
        self._open: Counter[str] = Counter()
        self._know: set[str] = set()
        self._attempt_ended = asyncio.Event()
        self._over = asyncio.Event()

    async def poll(self, command: PollWork, *, wait: float | None = None) -> Work:
        """As `Polling.poll`. While the server stops, a worker that knows so waits, or it would ask without a pause.

        Raises:
            Refused: what `Polling.poll` raises, or SERVER_STOPPING.
        """
        if self._polling.stopping and command.known_directives == _AWAY.digest:
            return await self._hold(command, wait)
        self._open[command.instance_id] += 1
        try:
            return await self._polling.poll(command, wait=wait)
        finally:
            self._open[command.instance_id] -= 1
            if not self._open[command.instance_id]:
                del self._open[command.instance_id]

    def is_news_for(self, instance_id: str) -> bool:
        """Whether a worker is to be told that the server stops: it does, and the worker does not know it."""
        return self._polling.stopping and instance_id not in self._know

    def note_end(self) -> None:
        """Take note that an attempt has ended."""
        self._attempt_ended.set()

    async def take(self) -> None:
        """Answer open polls with "move away", and return when none of these workers holds an attempt any more.

        Until then, at most `Timing.move_away_grace`, workers may go on with what they hold; they get nothing new.
        """
        workers = list(self._open)
        self._polling.begin_stop()
        try:
            async with asyncio.timeout(self._timing.move_away_grace):
                while workers:
                    self._attempt_ended.clear()
                    if not await self._store.read(lambda uow: attempts.held_by(uow, workers)):
                        break
                    await self._attempt_ended.wait()
        except (TimeoutError, StoreUnavailable):
            pass  # outcomes that come later are kept by the workers [FIN-1]
        finally:
            self._over.set()

    async def _hold(self, command: PollWork, wait: float | None) -> Work:
        self._know.add(command.instance_id)
        longest = self._timing.poll_wait
        try:
            async with asyncio.timeout(longest if wait is None else max(0.0, min(wait, longest))):
                await self._over.wait()
        except TimeoutError:
            return _AWAY
        raise Refused(Reason.SERVER_STOPPING, "The server stops now; connect elsewhere, or again in a moment.")
