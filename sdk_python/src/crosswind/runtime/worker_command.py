"""The command `crosswind-worker`: settings, log, signals, exit codes.

What a worker does belongs to `worker.py`; its settings to `settings.py`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final

from crosswind import __version__
from crosswind.client.tls import Tls, read_tls
from crosswind.runtime.bundles import WatchedBundles
from crosswind.runtime.registration import WorkerIdentity, WorkerRefused
from crosswind.runtime.server_connection import ServerConnection
from crosswind.runtime.settings import SettingsError, WorkerSettings, default_name_prefix, read_settings
from crosswind.runtime.state_folder import InstanceNote, StateFolder, StateFolderInUse
from crosswind.runtime.worker import Worker

EXIT_SETTINGS: Final = 2
EXIT_REFUSED: Final = 3
_COLLECT_AFTER: Final = 10_000
_COLOURS: Final = {
    "DEBUG": "\x1b[2m",
    "INFO": "\x1b[32m",
    "WARNING": "\x1b[33m",
    "ERROR": "\x1b[31m",
    "CRITICAL": "\x1b[31m",
}
_LOOPBACK: Final = ("127.", "localhost:", "[::1]:", "unix:")
_log = logging.getLogger("crosswind.worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a worker until it is told to stop.

    Returns:
        The exit code: 0 drained, 2 wrong settings, 3 refused by the server.
    """
    try:
        settings = read_settings(sys.argv[1:] if arguments is None else arguments)
        if not settings.bundles:
            raise SettingsError(
                "There is nothing to run: name a folder of DAG files with --dags, or a file with --bundle."
            )
        tls = _read_tls(settings)
    except SettingsError as error:
        print(f"crosswind-worker: {error}", file=sys.stderr)
        return EXIT_SETTINGS
    configure_log(settings.log_format, settings.log_level)
    try:
        folder = open_state_folder(settings)
    except StateFolderInUse as error:
        print(f"crosswind-worker: {error}", file=sys.stderr)
        return EXIT_REFUSED
    try:
        asyncio.run(_run(settings, folder, tls))
    except WorkerRefused as error:
        print(f"crosswind-worker: {error}", file=sys.stderr)
        return EXIT_REFUSED
    finally:
        if folder is not None:
            folder.close()
    return 0


async def _run(settings: WorkerSettings, folder: StateFolder | None, tls: Tls | None) -> None:
    name = settings.name or (folder.path.name if folder is not None else f"{default_name_prefix()}-{os.getpid()}")
    if settings.name == "" and settings.state_dir is not None and folder is not None:
        # A given folder may be named anything; the name in it is made up once.
        name = folder.previous.name if folder.previous is not None else f"{default_name_prefix()}-{os.urandom(2).hex()}"
    if folder is not None and folder.previous is None:
        folder.note(InstanceNote(name=name, server=settings.server.address))
    address = settings.server.address
    _log.info("crosswind-worker %s, %s, server %s (from %s).", __version__, name, address, settings.server.source)
    if tls is None and not address.startswith(_LOOPBACK):
        _log.warning("The connection to %s is not encrypted: whoever listens sees the token (--tls-ca).", address)
    worker = Worker(
        ServerConnection(address, tls=tls),
        WorkerIdentity(
            name=name,
            slots=settings.slots,
            queues=settings.queues,
            roles=settings.roles,
            labels=settings.labels,
            enrolment_token_file=settings.token_file,
        ),
        WatchedBundles(
            settings.bundles,
            import_timeout=settings.import_timeout,
            copies=None if folder is None else folder.path / "bundles",
        ),
        folder=folder,
        sync=settings.fsync,
        drain_timeout=settings.drain_timeout,
    )
    loop = asyncio.get_running_loop()
    signals = 0

    def take_signal() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            worker.drain()
        else:
            worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, take_signal)
    # The modules stay for ever: the garbage collector need not walk over them, nor look so often at what attempts
    # leave behind, which reference counts free.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    await worker.run()


def open_state_folder(settings: WorkerSettings) -> StateFolder | None:
    """Opens the state folder. None, with a warning: it cannot be written.

    Raises:
        StateFolderInUse: another worker holds it.
    """
    base = settings.workers_dir
    try:
        if settings.state_dir is not None:
            return StateFolder.open(settings.state_dir)
        if settings.name:
            return StateFolder.open(base / settings.name)
        return StateFolder.find(base, prefix=default_name_prefix(), server=settings.server.address)
    except OSError as error:
        _log.warning(
            "The state folder %s cannot be written (%s): outcomes that the server has not taken yet are lost if this "
            "worker is killed. Name another with --state-dir.",
            settings.state_dir or base,
            error.strerror,
        )
        return None


def configure_log(log_format: str, level: str) -> None:
    """Sends the worker's own log to standard error.

    Args:
        log_format: "console" or "json".
        level: the least severe to be shown, such as "info".
    """
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(_TextFormatter(colours=sys.stderr.isatty() and "NO_COLOR" not in os.environ))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for library in ("grpc", "asyncio"):
        # At debug they tell of themselves, not of the worker.
        logging.getLogger(library).setLevel(max(root.level, logging.WARNING))


class _TextFormatter(logging.Formatter):
    """`2026-12-01 12:00:00.123 INFO  sentence`, in local time."""

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        level = f"{record.levelname:7}"
        if self._colours:
            level = f"{_COLOURS.get(record.levelname, '')}{level}\x1b[0m"
        text = f"{moment}.{int(record.msecs):03d} {level} {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class _JsonFormatter(logging.Formatter):
    """One JSON object a line, in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _read_tls(settings: WorkerSettings) -> Tls | None:
    if not settings.tls:
        return None
    try:
        return read_tls(settings.tls_ca, server_name=settings.tls_server_name)
    except OSError as error:
        raise SettingsError(f"--tls-ca {settings.tls_ca} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SettingsError(f"--tls-ca {settings.tls_ca} {error}: name another file.") from error


if __name__ == "__main__":
    sys.exit(main())
