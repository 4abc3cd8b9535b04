"""Statements that PostgreSQL prepares once and this process executes often, through libpq as psycopg binds it.

A cursor of psycopg finds out anew, for each execution, what never changes for such a statement: how its text reads in
PostgreSQL's notation, how its parameters are written, whether it is prepared, what its columns are. That takes four
times the work of the call itself. Here it is found out once for each connection. Connections, errors and the conversion
of results are psycopg's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

import psycopg
from psycopg import abc, adapt, pq
from sqlalchemy import ARRAY, Boolean, Integer, LargeBinary, String
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

Write = Callable[[abc.Transformer, Any], abc.Buffer | None]

_BYTEA: Final = 17
_FINE: Final = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


def _write_text(_: abc.Transformer, value: Any) -> bytes:
    written = str(value).encode()
    if b"\0" in written:
        # It goes as a text that ends with the first of them.
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return written


def _write_number(_: abc.Transformer, value: Any) -> bytes:
    return b"%d" % value


def _write_flag(_: abc.Transformer, value: Any) -> bytes:
    return b"t" if value else b"f"


def _write_bytes(_: abc.Transformer, value: Any) -> bytes:
    return bytes(value)


def _write_list(transformer: abc.Transformer, value: Any) -> abc.Buffer | None:
    values = list(value)
    return transformer.get_dumper(values, adapt.PyFormat.TEXT).dump(values) if values else b"{}"


def _write_plain(transformer: abc.Transformer, value: Any) -> abc.Buffer | None:
    """Write what SQLAlchemy knows no type of, such as a LIMIT: PostgreSQL infers it from its place."""
    if isinstance(value, bool):
        return _write_flag(transformer, value)
    if isinstance(value, int):
        return _write_number(transformer, value)
    if isinstance(value, str):
        return _write_text(transformer, value)
    raise psycopg.ProgrammingError(f"A parameter without a type is {type(value).__name__}; give its bindparam() one.")


_WRITERS: Final[tuple[tuple[type[TypeEngine[Any]], Write], ...]] = (
    (ARRAY, _write_list),
    (LargeBinary, _write_bytes),
    (Boolean, _write_flag),
    (Integer, _write_number),
    (String, _write_text),
    (NullType, _write_plain),
)


def can_write(kind: TypeEngine[Any]) -> bool:
    """Whether parameters of a type can be written here; the others are left to psycopg."""
    return any(isinstance(_plain(kind), each) for each, _ in _WRITERS)


def _plain(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type that PostgreSQL sees."""
    return _plain(kind.impl_instance) if isinstance(kind, TypeDecorator) else kind


class Statement:
    """A statement in PostgreSQL's own notation, `$1` for its first parameter.

    Args:
        text: of it.
        kinds: the types of its parameters, each one that `can_write` accepts.
    """

    __slots__ = ("__weakref__", "_formats", "_oids", "_text", "_writers")

    def __init__(self, text: str, kinds: Sequence[TypeEngine[Any]]) -> None:
        self._text = text.encode()
        kinds = [_plain(kind) for kind in kinds]
        self._writers = [next(write for each, write in _WRITERS if isinstance(kind, each)) for kind in kinds]
        # Bytes go as they are; of texts PostgreSQL finds out what they stand for, from the statement's casts.
        binary = [isinstance(kind, LargeBinary) for kind in kinds]
        self._formats = [pq.Format.BINARY if each else pq.Format.TEXT for each in binary]
        self._oids = [_BYTEA if each else 0 for each in binary]

    def execute(self, connection: psycopg.Connection, values: Sequence[Any]) -> tuple[Sequence[tuple[Any, ...]], int]:
        """Execute it in the connection's transaction: all rows, and how many rows it found or changed.

        Raises:
            psycopg.Error: as a cursor would.
        """
        session = _session_of(connection)
        transformer = session.transformer
        written = [
            None if value is None else write(transformer, value)
            for write, value in zip(self._writers, values, strict=True)
        ]
        name = session.name_of(self, self._text, self._oids)
        result = session.connection.exec_prepared(
            name,
            written,  # type: ignore[arg-type]  # that of exec_params says it: None is NULL
            self._formats,
            pq.Format.TEXT,
        )
        _check(result, transformer)
        count = result.command_tuples or 0
        if result.status == pq.ExecStatus.COMMAND_OK:
            return (), count
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple), count


def execute_text(connection: psycopg.Connection, text: bytes) -> pq.abc.PGresult:
    """Execute statements without parameters, separated by semicolons, and answer the last one's result.

    Raises:
        psycopg.Error: as a cursor would.
    """
    session = _session_of(connection)
    result = session.connection.exec_(text)
    _check(result, session.transformer)
    return result


class _Session:
    """What is known of a connection: which statements it has prepared."""

    __slots__ = ("_count", "_given", "_names", "connection", "transformer")

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection.pgconn
        self.transformer: abc.Transformer = adapt.Transformer(connection)
        self._names: WeakKeyDictionary[Statement, bytes] = WeakKeyDictionary()
        self._given: dict[bytes, ref[Statement]] = {}
        self._count = 0

    def name_of(self, statement: Statement, text: bytes, oids: Sequence[int]) -> bytes:
        """The name under which the connection has a statement, which it is given first where it has not."""
        name = self._names.get(statement)
        if name is None:
            self._forget()
            self._count += 1
            name = b"crosswind_%d" % self._count
            _check(self.connection.prepare(name, text, oids), self.transformer)
            self._names[statement] = name
            self._given[name] = ref(statement)
        return name

    def _forget(self) -> None:
        """Take back the statements that nobody has any more."""
        for name in [name for name, statement in self._given.items() if statement() is None]:
            _check(self.connection.exec_(b"DEALLOCATE " + name), self.transformer)
            del self._given[name]


_sessions: WeakKeyDictionary[psycopg.Connection, _Session] = WeakKeyDictionary()


def _session_of(connection: psycopg.Connection) -> _Session:
    session = _sessions.get(connection)
    if session is None:
        if connection.closed:
            raise psycopg.OperationalError("the connection is closed")
        session = _sessions[connection] = _Session(connection)
    return session


def _check(result: pq.abc.PGresult, transformer: abc.Transformer) -> None:
    if result.status in _FINE:
        return
    if result.error_field(pq.DiagnosticField.SQLSTATE) is None:
        # Not the server's words but libpq's: the connection is gone.
        raise psycopg.OperationalError(result.get_error_message(transformer.encoding))
    raise psycopg.errors.error_from_result(result, encoding=transformer.encoding)
