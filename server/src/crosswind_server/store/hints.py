"""Wake-ups: who waits for which topic, inside this process and, through NOTIFY, across servers.

A hint says "look again", never what changed: it may come too often, and waiters re-query whenever they cannot know
(after every (re)LISTEN). What a topic means belongs to its publisher. SQL does not belong here, except LISTEN.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import selectors
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

CHANNEL = "crosswind_hints"
PAYLOAD_BYTES = 7_900
"""PostgreSQL refuses a NOTIFY payload of 8,000 bytes or more."""

_RELISTEN_FIRST_S = 0.1
_RELISTEN_LONGEST_S = 2.0


class Subscription:
    """One waiter's interest in some topics. Enter it, then query, then wait: so no hint can fall between.

    Belongs to the event loop in which it was entered.
    """

    def __init__(self, hints: Hints, topics: tuple[str, ...]) -> None:
        self._hints = hints
        self._topics = topics
        self._event: asyncio.Event | None = None

    async def __aenter__(self) -> Subscription:
        self._event = asyncio.Event()
        self._hints._add(self, self._topics, asyncio.get_running_loop())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hints._remove(self, self._topics)

    async def wait(self, timeout: float | None) -> bool:
        """Wait until a topic is hinted, at most `timeout` seconds (None: for ever).

        Returns True at once if there was a hint since the subscription was entered or since the last wait ended, and
        False when the time is up.
        """
        if self._event is None:
            raise RuntimeError("Enter the subscription with `async with` before waiting on it.")
        if not self._event.is_set():
            try:
                async with asyncio.timeout(timeout):
                    await self._event.wait()
            except TimeoutError:
                # A hint that came together with the time-out counts: it would otherwise be lost by the clear below.
                if not self._event.is_set():
                    return False
        self._event.clear()
        return True

    def _wake(self) -> None:
        if self._event is not None:
            self._event.set()


class Hints:
    """The subscriptions of one store. Publishing is thread-safe; waiting belongs to event loops."""

    def __init__(self) -> None:
        self.sender = secrets.token_hex(4)
        """Says which store sent a notification, so that it can ignore its own."""
        self._lock = threading.Lock()
        self._by_topic: dict[str, dict[Subscription, asyncio.AbstractEventLoop]] = {}

    def subscribe(self, *topics: str) -> Subscription:
        """Make a subscription to any of the topics; it counts from `async with` on."""
        return Subscription(self, topics)

    def publish(self, topics: Iterable[str]) -> None:
        """Wake everyone who waits for one of the topics. Any thread."""
        with self._lock:
            waiters = {sub: loop for topic in topics for sub, loop in self._by_topic.get(topic, {}).items()}
        self._wake(waiters)

    def wake_all(self) -> None:
        """Wake everyone, because hints may have been missed. Any thread."""
        with self._lock:
            waiters = {sub: loop for subs in self._by_topic.values() for sub, loop in subs.items()}
        self._wake(waiters)

    def receive(self, payload: str) -> None:
        """Take a notification's payload, as `payloads` made it in this or another server."""
        sender, *topics = payload.split("\n")
        if sender != self.sender:
            self.publish(topics)

    def payloads(self, topics: Iterable[str]) -> Iterator[str]:
        """Pack topics into as few notification payloads as possible, each short enough for PostgreSQL."""
        room = PAYLOAD_BYTES - len(self.sender)
        chunk: list[str] = []
        used = 0
        for topic in topics:
            size = len(topic.encode()) + 1
            if size > room:
                raise ValueError(f"The topic {topic[:40]!r}... is {size} bytes long; a hint has room for {room}.")
            if used + size > room:
                yield "\n".join([self.sender, *chunk])
                chunk, used = [], 0
            chunk.append(topic)
            used += size
        if chunk:
            yield "\n".join([self.sender, *chunk])

    def _add(self, subscription: Subscription, topics: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            for topic in topics:
                self._by_topic.setdefault(topic, {})[subscription] = loop

    def _remove(self, subscription: Subscription, topics: tuple[str, ...]) -> None:
        with self._lock:
            for topic in topics:
                waiters = self._by_topic.get(topic, {})
                waiters.pop(subscription, None)
                if not waiters:
                    self._by_topic.pop(topic, None)

    @staticmethod
    def _wake(waiters: dict[Subscription, asyncio.AbstractEventLoop]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[Subscription]] = {}
        for subscription, loop in waiters.items():
            by_loop.setdefault(loop, []).append(subscription)
        for loop, subscriptions in by_loop.items():
            try:
                loop.call_soon_threadsafe(_wake_each, subscriptions)
            except RuntimeError:
                # The loop has closed, and nobody waits there any more.
                continue


def _wake_each(subscriptions: list[Subscription]) -> None:
    for subscription in subscriptions:
        subscription._wake()


class Listener:
    """The thread that holds the one LISTEN connection of a PostgreSQL store and feeds what it hears to `Hints`."""

    def __init__(self, hints: Hints, connect: Callable[[], psycopg.Connection]) -> None:
        self._hints = hints
        self._connect = connect
        self._ours, self._theirs = socket.socketpair()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crosswind-listener", daemon=True)

    def start(self) -> None:
        """Start listening; returns at once."""
        self._thread.start()

    def wait_listening(self, timeout: float) -> bool:
        """Wait until LISTEN is in force, at most `timeout` seconds; False if it is not."""
        return self._listening.wait(timeout)

    def close(self) -> None:
        """Stop listening and end the thread."""
        self._ours.close()
        self._thread.join()
        self._theirs.close()

    def _run(self) -> None:
        import psycopg

        pause = _RELISTEN_FIRST_S
        while True:
            try:
                with self._connect() as connection:
                    pause = _RELISTEN_FIRST_S
                    if self._listen(connection):
                        return
            except (psycopg.Error, OSError):
                # The database is away; the writer reports that. Here it is only tried again.
                pass
            finally:
                self._listening.clear()
            if self._stopped(pause * random.uniform(0.5, 1.0)):
                return
            pause = min(pause * 2, _RELISTEN_LONGEST_S)

    def _listen(self, connection: psycopg.Connection) -> bool:
        """Hand on notifications until told to stop (True); raises when the connection is lost."""
        connection.execute(f"LISTEN {CHANNEL}", prepare=False)
        # Hints sent while nobody listened are lost, so everyone must look again.
        self._hints.wake_all()
        self._listening.set()
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._theirs, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._theirs in ready:
                    return True
                connection.pgconn.consume_input()
                while (notification := connection.pgconn.notifies()) is not None:
                    self._hints.receive(notification.extra.decode())

    def _stopped(self, seconds: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._theirs, selectors.EVENT_READ)
            return bool(selector.select(seconds))
