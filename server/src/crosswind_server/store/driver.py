"""How each database is reached: its address, connections, BEGIN, COMMIT and the meaning of its failures.

What differs in SQL is in `dialect`; when transactions happen is in `group_commit`.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import Enum, auto
from pathlib import Path
from typing import Any, Literal

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from crosswind_server.store.dialect import FROM_HEX
from crosswind_server.store.errors import DatabaseUrlInvalid
from crosswind_server.store.hints import CHANNEL
from crosswind_server.store.libpq import execute_text

_BUSY_TIMEOUT_MS = 5_000
_CONNECT_TIMEOUT_S = 5
_SESSION_ENDED = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})


_BY_KEY = ["enable_seqscan=off", "enable_hashjoin=off", "enable_mergejoin=off", "plan_cache_mode=force_generic_plan"]
"""The writer looks up a few rows by their keys. Left alone, PostgreSQL scans whole tables for that: it thinks them
small until it has analysed them, and it prefers one walk over all live rows to a lookup of each."""


class Fault(Enum):
    """What a failure of the database means for the transaction that met it."""

    REQUEST = auto()
    """The statement's own: a constraint, a type, a missing table."""
    CONFLICT = auto()
    """Another transaction was in the way; the same work may succeed when it is repeated."""
    UNAVAILABLE = auto()
    """The database could not do it now; the connection is still good, and nothing was committed."""
    LOST = auto()
    """The connection is gone. What was not committed never will be."""


class CommitUndone(Exception):
    """COMMIT was answered by a rollback: a statement failed before, and the handler went on as if it had not."""


class Driver(ABC):
    """One database address and how to work with it. Transactions are begun and ended here, never by SQLAlchemy."""

    name: Literal["sqlite", "postgresql"]
    place: str
    """Where the database is, for messages; never with a password."""
    shares_connection = False
    """Whether reads must use the writer's connection, since no other one sees the data."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def connect(self, *, writing: bool) -> Connection:
        """Open one more connection, with no transaction begun; raises the driver's own errors."""
        connection = self.engine.connect()
        self.allow_writes(connection, writing)
        return connection

    @abstractmethod
    def begin(self, connection: Connection, *, writing: bool) -> int:
        """Begin a transaction and read the clock: microseconds since 1970 UTC."""

    @abstractmethod
    def allow_writes(self, connection: Connection, allowed: bool) -> None:
        """Make the connection refuse writes, or take them again, where that is not said with BEGIN."""

    @abstractmethod
    def commit(self, connection: Connection, payloads: Iterable[str] = ()) -> None:
        """Commit, and send the notifications with it. Raises `CommitUndone` where nothing was left to commit."""

    def rollback(self, connection: Connection) -> None:
        """Roll back whatever is open; a failure to do so is the connection's loss, and shows at the next BEGIN."""
        try:
            connection.rollback()
            if not connection.invalidated:
                self._raw(connection).rollback()
        except (DBAPIError, sqlite3.Error, psycopg.Error):
            if not connection.invalidated:
                connection.invalidate()

    @abstractmethod
    def fault(self, error: BaseException, connection: Connection | None) -> Fault:
        """Classify a failure; errors that are not the database's are `Fault.REQUEST`."""

    @abstractmethod
    def explain(self, error: BaseException) -> str:
        """Say in one sentence what is wrong with the database and what to do."""

    @abstractmethod
    def probe(self, connection: Connection) -> None:
        """Find out whether the database takes writes again; raises the driver's own errors if not."""

    def count_changes(self, connection: Connection) -> int | None:
        """Rows changed so far through this connection, or None where the database does not say."""
        return None

    def execute_raw(self, connection: Connection, sql: str) -> None:
        """Execute a statement as it is, outside SQLAlchemy's bookkeeping of transactions."""
        self._raw(connection).execute(sql)

    @staticmethod
    def _raw(connection: Connection) -> Any:
        return connection.connection.driver_connection


def driver_for(url: str, *, create: bool) -> Driver:
    """Choose the driver for a database address. Raises `DatabaseUrlInvalid`."""
    try:
        # Heroku and others hand out the short scheme.
        parsed = make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url))
    except (ArgumentError, ValueError) as error:
        raise DatabaseUrlInvalid(
            f"The database address {_without_password(url)!r} is not a URL; "
            "give sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
        ) from error
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return SQLiteDriver(parsed, create=create)
    if parsed.drivername == "postgresql+psycopg":
        return PostgresDriver(parsed)
    raise DatabaseUrlInvalid(
        f"The server cannot use a database of kind {parsed.drivername!r}; give a sqlite:/// or postgresql:// address."
    )


class SQLiteDriver(Driver):
    """SQLite in a file with a write-ahead log, or in memory. The process is the only server that writes to it."""

    name = "sqlite"

    def __init__(self, url: URL, *, create: bool) -> None:
        path = url.database
        self.file = None if path in (None, "", ":memory:") else Path(str(path)).absolute()
        self.place = str(self.file or "in memory")
        self.shares_connection = self.file is None
        self._clock = _SteadyClock()
        if self.file is not None:
            if not self.file.parent.is_dir():
                raise DatabaseUrlInvalid(
                    f"The folder {self.file.parent} of the database does not exist; create it first."
                )
            if self.file.is_dir():
                raise DatabaseUrlInvalid(f"{self.file} is a folder, not a SQLite database; name a file in it.")
            if not create and not self.file.exists():
                raise DatabaseUrlInvalid(
                    f"There is no database {self.file}; run `crosswind-server migrate` to create it."
                )
            self._create_private(self.file)
        engine = create_engine(
            url if self.file is None else url.set(database=str(self.file)),
            poolclass=NullPool,
            # An error's text must not hold what a caller sent.
            hide_parameters=True,
            # BEGIN and COMMIT are ours: without this, Python's sqlite3 begins transactions where it sees fit.
            connect_args={"isolation_level": None, "check_same_thread": False, "cached_statements": 512},
        )
        event.listen(engine, "connect", self._prepare)
        super().__init__(engine)

    @staticmethod
    def _create_private(file: Path) -> None:
        """Make a missing file readable for its owner alone; what SQLite puts beside it follows that."""
        try:
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise DatabaseUrlInvalid(
                f"The database {file} cannot be written ({error.strerror}); "
                "give this user the right to write to it and its folder, or name another one."
            ) from error

    def _prepare(self, raw: sqlite3.Connection, _record: object) -> None:
        raw.create_function(FROM_HEX, 1, _bytes_from_hex, deterministic=True)
        raw.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        if self.file is not None:
            raw.execute("PRAGMA journal_mode=WAL")
        # An acknowledged outcome exists nowhere else, so it must survive a power cut.
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute("PRAGMA cache_size=-32000")
        raw.execute("PRAGMA temp_store=MEMORY")

    def begin(self, connection: Connection, *, writing: bool) -> int:
        self._raw(connection).execute("BEGIN IMMEDIATE" if writing else "BEGIN")
        # Read after BEGIN IMMEDIATE, so that the order of commits is the order of times.
        return self._clock.read()

    def commit(self, connection: Connection, payloads: Iterable[str] = ()) -> None:
        raw = self._raw(connection)
        if not raw.in_transaction:
            raise CommitUndone("SQLite rolled the transaction back when a statement failed.")
        raw.execute("COMMIT")
        connection.commit()

    def allow_writes(self, connection: Connection, allowed: bool) -> None:
        self._raw(connection).execute(f"PRAGMA query_only={'OFF' if allowed else 'ON'}")

    def count_changes(self, connection: Connection) -> int | None:
        changes: int = self._raw(connection).total_changes
        return changes

    def fault(self, error: BaseException, connection: Connection | None) -> Fault:
        cause = _cause(error)
        if not isinstance(cause, sqlite3.Error):
            return Fault.REQUEST
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_IOERR and not self.shares_connection:
            # Whether a commit that met it is on the disk nobody knows; the file is opened anew.
            return Fault.LOST
        unavailable = (
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CORRUPT,
        )
        # A reader writing by mistake is also SQLITE_READONLY, but of a kind of its own: the programmer's.
        if code == sqlite3.SQLITE_READONLY and self._query_only(connection):
            return Fault.REQUEST
        return Fault.UNAVAILABLE if code in unavailable else Fault.REQUEST

    def explain(self, error: BaseException) -> str:
        cause = _cause(error)
        where = self.place
        match getattr(cause, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_FULL:
                return (
                    f"The disk of the database {where} is full; free some space there. Nothing of this call was stored."
                )
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return (
                    f"Another process has kept the database {where} locked for {_BUSY_TIMEOUT_MS // 1000} s; "
                    "end what else writes to it, for example an open sqlite3 shell."
                )
            case sqlite3.SQLITE_READONLY:
                return f"The database {where} is read-only; give this user the right to write to it and its folder."
            case sqlite3.SQLITE_CANTOPEN:
                return f"The database {where} cannot be opened; check that this user may write to it and its folder."
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return f"The file {where} is not a sound SQLite database ({cause}); restore it from a backup."
            case _:
                return f"The database {where} failed: {cause}. Check its disk."

    def probe(self, connection: Connection) -> None:
        raw = self._raw(connection)
        self.rollback(connection)
        # Writes one page, the header with the version it already has, so that a disk without space shows.
        version = raw.execute("PRAGMA user_version").fetchone()[0]
        raw.execute("BEGIN IMMEDIATE")
        try:
            raw.execute(f"PRAGMA user_version={version}")
            raw.execute("COMMIT")
        except sqlite3.Error:
            self.rollback(connection)
            raise

    def _query_only(self, connection: Connection | None) -> bool:
        if connection is None or connection.invalidated:
            return False
        return bool(self._raw(connection).execute("PRAGMA query_only").fetchone()[0])


class PostgresDriver(Driver):
    """PostgreSQL through psycopg, shared with other servers.

    BEGIN and the clock are one round trip, and so are NOTIFY and COMMIT.
    """

    name = "postgresql"

    def __init__(self, url: URL) -> None:
        self.place = f"{url.host or 'the local socket'}:{url.port or 5432}/{url.database or ''}"
        defaults: dict[str, Any] = {
            "application_name": "crosswind-server",
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        }
        # What the address says wins.
        self._options = {"autocommit": True} | {key: value for key, value in defaults.items() if key not in url.query}
        engine = create_engine(
            url,
            poolclass=NullPool,
            # An error's text must not hold what a caller sent.
            hide_parameters=True,
            # In autocommit mode psycopg sends no BEGIN of its own, which would be one more round trip. The rest
            # finds out within seconds that a machine has vanished without closing its connections.
            connect_args=self._options,
        )
        super().__init__(engine)

    def connect(self, *, writing: bool) -> Connection:
        connection = super().connect(writing=writing)
        # A server that hangs in mid-transaction must not keep rows locked from the others for ever.
        settings = ["idle_in_transaction_session_timeout='60s'", "lock_timeout='30s'", "jit=off"]
        if writing:
            settings += _BY_KEY
        self._raw(connection).execute("; ".join(f"SET {setting}" for setting in settings), prepare=False)
        connection.rollback()
        return connection

    def allow_writes(self, connection: Connection, allowed: bool) -> None:
        """Do nothing: BEGIN READ ONLY says it for each transaction."""

    def connect_listener(self) -> psycopg.Connection:
        """Open the connection on which notifications are awaited; SQLAlchemy has no part in it."""
        arguments, options = self.engine.dialect.create_connect_args(self.engine.url)
        return psycopg.connect(*arguments, **{**options, **self._options})

    def begin(self, connection: Connection, *, writing: bool) -> int:
        mode = b"" if writing else b" ISOLATION LEVEL REPEATABLE READ READ ONLY"
        result = execute_text(
            self._raw(connection),
            b"BEGIN" + mode + b"; SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        )
        return int(result.get_value(0, 0) or 0)

    def commit(self, connection: Connection, payloads: Iterable[str] = ()) -> None:
        notify = "".join(f"NOTIFY {CHANNEL}, {_quoted(payload)}; " for payload in payloads)
        result = execute_text(self._raw(connection), f"{notify}COMMIT".encode())
        if result.command_status != b"COMMIT":
            raise CommitUndone("PostgreSQL answered COMMIT with ROLLBACK, because a statement had failed before.")
        connection.commit()

    def fault(self, error: BaseException, connection: Connection | None) -> Fault:
        cause = _cause(error)
        if not isinstance(cause, psycopg.Error):
            return Fault.REQUEST
        if cause.sqlstate in ("40001", "40P01", "55P03"):
            return Fault.CONFLICT
        if connection is None or connection.invalidated or self._raw(connection).closed:
            return Fault.LOST
        # The server ends the session with these; the socket may not have closed yet.
        if cause.sqlstate is not None and (cause.sqlstate[:2] == "08" or cause.sqlstate in _SESSION_ENDED):
            return Fault.LOST
        # Out of disk, memory or connections; trouble of its machine; a standby, which is read-only.
        if cause.sqlstate is not None and (cause.sqlstate[:2] in ("53", "58") or cause.sqlstate == "25006"):
            return Fault.UNAVAILABLE
        return Fault.REQUEST

    def explain(self, error: BaseException) -> str:
        cause = _cause(error)
        detail = " ".join(str(cause).split())
        sqlstate = getattr(cause, "sqlstate", None)
        if sqlstate == "53100":
            return f"The disk of the PostgreSQL server {self.place} is full; free some space there. ({detail})"
        if sqlstate == "25006":
            return f"The PostgreSQL server {self.place} is a read-only standby; give the address of the primary."
        return f"PostgreSQL at {self.place} cannot be used now; check that it runs and takes connections. ({detail})"

    def probe(self, connection: Connection) -> None:
        self.rollback(connection)
        cursor = self._raw(connection).execute("SHOW transaction_read_only", prepare=False)
        if cursor.fetchone()[0] == "on":
            raise psycopg.errors.ReadOnlySqlTransaction("the server is in recovery")


class _SteadyClock:
    """The process's clock in microseconds, which never goes back and never stands still.

    When the machine's clock is set back, time goes on from where it was: were it to stop, no lease would ever end.
    """

    def __init__(self) -> None:
        self._last = 0
        self._last_monotonic = 0
        self._lock = threading.Lock()

    def read(self) -> int:
        with self._lock:
            wall, monotonic = time.time_ns() // 1_000, time.monotonic_ns() // 1_000
            if wall < self._last:
                wall = self._last + (monotonic - self._last_monotonic)
            self._last, self._last_monotonic = wall, monotonic
            return wall


def _cause(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _bytes_from_hex(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)
