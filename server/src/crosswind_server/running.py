"""A server as a process: signals, the wait for them, and in `dev` the worker beside it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import structlog

from crosswind_server import server_log
from crosswind_server.app import Server
from crosswind_server.home import Home, HomeUnusable
from crosswind_server.listening import dialable
from crosswind_server.settings import ServerSettings

_WORKER_STOP_S = 30.0
_COLLECT_AFTER = 10_000
_SAME_SIGNAL_S = 0.5
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_log = structlog.stdlib.get_logger("crosswind.server")


async def run_server(settings: ServerSettings) -> None:
    """Run a server until the first SIGTERM or SIGINT; a second one ends the process at once.

    Raises:
        What `Server.start` raises.
    """
    server_log.configure(form=settings.log_format, level=settings.log_level)
    stop = _watch_signals()
    async with _serving(Server(settings, home=Home(settings.home))):
        await stop.wait()
        _log.info("stopping")
    _log.info("stopped")


async def run_dev(settings: ServerSettings, dags: Path, *, slots: int | None) -> int:
    """Run a server and a worker until a signal, or until the worker ends by itself; returns 1 in that case.

    Raises:
        HomeUnusable: the worker's command is not installed; and what `Server.start` raises.
    """
    server_log.configure(form=settings.log_format, level=settings.log_level)
    command = _worker_command()
    stop = _watch_signals()
    server = Server(settings, home=Home(settings.home))
    async with _serving(server):
        home = Home(settings.home)
        flags = ["--server", dialable(server.address), "--token-file", str(home.enrolment_token_file)]
        flags += ["--dags", str(dags), "--state-dir", str(home.folder / "worker")]
        if slots is not None:
            flags += ["--slots", str(slots)]
        # In a session of its own, so that Ctrl-C reaches it once and through us; and it never outlives us.
        worker = await asyncio.create_subprocess_exec(
            *command, *flags, start_new_session=True, preexec_fn=_end_with_parent
        )
        sys.stdout.write(_next_commands(server.address, dags))
        sys.stdout.flush()
        stopping = asyncio.create_task(stop.wait())
        ending = asyncio.create_task(worker.wait())
        await asyncio.wait({stopping, ending}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not stop.is_set():
            _log.error("the worker ended by itself; its last words are above", exit_code=worker.returncode)
            return 1
        # The server stops after the worker, so that it takes the outcomes of what still runs.
        worker.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_WORKER_STOP_S):
                await ending
        except TimeoutError:
            _log.warning("the worker did not stop in time and is killed")
            worker.kill()
            await worker.wait()
    return 0


@contextlib.asynccontextmanager
async def _serving(server: Server) -> AsyncIterator[None]:
    await server.start()
    _spare_collections()
    try:
        yield
    finally:
        await server.stop()


def _spare_collections() -> None:
    """Keep the garbage collector from walking over what stays for ever, which stopped all calls for 50 ms each time.

    What calls leave behind is nearly all freed by reference counts, so it also need not look so often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def _watch_signals() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; a second one ends the process as it does by default.

    Some supervisors send a signal to the process and to its group, so one that follows at once is the same.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def restore() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    def take() -> None:
        if not stop.is_set():
            stop.set()
            loop.call_later(_SAME_SIGNAL_S, restore)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, take)
    return stop


def _end_with_parent() -> None:
    """Runs in the worker's process before its program: SIGTERM, thus a drain, when this process is gone."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _worker_command() -> Sequence[str]:
    beside = Path(sys.executable).with_name("crosswind-worker")
    if beside.exists() and os.access(beside, os.X_OK):
        return [str(beside)]
    found = shutil.which("crosswind-worker")
    if found is None:
        raise HomeUnusable("The command crosswind-worker is not installed; install crosswind-sdk beside the server.")
    return [found]


def _next_commands(address: str, dags: Path) -> str:
    return (
        f"\nThe server listens on {address}, and a worker runs what is in {dags}.\n"
        "In another terminal, in this folder:\n"
        "  crosswind dags list\n"
        "  crosswind dags trigger DAG --wait\n"
        "  crosswind tasks logs RUN TASK --follow\n"
        "Ctrl-C stops both.\n\n"
    )
