"""The laboratory behind a real socket: a server's own parts, with the laboratory's handlers and history."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from crosswind_server.app import Server
from crosswind_server.domain.version import METADATA_KEY
from crosswind_server.rpc.server import RpcServer
from crosswind_server.settings import PlainSettings
from crosswind_server.versions.gates import Gates
from crosswind_server.versions.history import History
from tests.compat.lab.service import RULES, registers


@dataclass(frozen=True)
class RunningLab:
    """A laboratory that listens.

    Attributes:
        address: HOST:PORT.
        metadata: that opens it to a call.
    """

    address: str
    metadata: dict[str, str]


@contextlib.contextmanager
def serve_lab(history: History) -> Iterator[RunningLab]:
    """Serve the laboratory in a thread. Tokens are those of a server in memory that runs beside it."""
    started: Future[tuple[RunningLab, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        settings = PlainSettings(db="sqlite://", address="127.0.0.1:0", stop_grace=1.0)
        server = Server(settings, home=None)
        await server.start()
        assert server.services is not None
        rpc = RpcServer(
            server.services,
            versions=Gates(history),
            version_key=METADATA_KEY,
            registers=registers(),
            rules=RULES,
        )
        address = await rpc.start(settings.listening())
        leave = asyncio.Event()
        lab = RunningLab(address, {"authorization": f"Bearer {server.access_token}"})
        started.set_result((lab, asyncio.get_running_loop(), leave))
        await leave.wait()
        await rpc.report_stopping()
        await rpc.stop(1.0)
        await server.stop()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, name="laboratory", daemon=True)
    thread.start()
    lab, loop, leave = started.result(60)
    try:
        yield lab
    finally:
        loop.call_soon_threadsafe(leave.set)
        thread.join(20)
        assert not thread.is_alive()
