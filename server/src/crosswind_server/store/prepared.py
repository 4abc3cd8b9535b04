"""Statements that are executed often, without the work that SQLAlchemy repeats at each execution.

SQLAlchemy finds a compiled statement again by walking over all of its parts, and wraps each execution in a context and
each result in a cursor of its own. For the statements of the scheduler that is several times the work of the database.
Here a statement that is seen again as the same object is compiled once, by SQLAlchemy itself, and then goes to the
driver as it is: the same text, the same conversion of values both ways, the same rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import BindParameter, Delete, Insert, Select, Update
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql import visitors
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.selectable import SelectBase

from crosswind_server.store.libpq import Statement, can_write

Convert = Callable[[Any], Any]

_LIBPQ_STYLE: Final = "numeric_dollar"
_OFTEN: Final = 3
"""An object executed so many times is worth compiling; one that was built for a single call never gets there."""


class PreparedResult(IteratorResult[Any]):
    """The rows of a prepared statement, all of them read, and how many it changed."""

    def __init__(self, metadata: SimpleResultMetaData, rows: Sequence[tuple[Any, ...]], *, rowcount: int) -> None:
        super().__init__(metadata, iter(rows))
        self.rowcount = rowcount


_NO_COLUMNS: Final = SimpleResultMetaData([])


class _Bind:
    """A parameter: its name in the text, how its values become the driver's, and its value where none is given."""

    __slots__ = ("_convert", "_default", "_required", "name")

    def __init__(self, name: str, convert: Convert | None, parameter: BindParameter[Any], value: Any) -> None:
        self.name = name
        self._convert = convert
        self._required = parameter.required
        self._default = value if convert is None or parameter.required else convert(value)

    def value_in(self, parameters: Mapping[str, Any]) -> Any:
        if not self._required and self.name not in parameters:
            return self._default
        value = parameters[self.name]
        return value if self._convert is None else self._convert(value)


class Prepared:
    """A compiled statement for one database.

    Raises from its methods what the driver raises, unwrapped.
    """

    __slots__ = ("_binds", "_metadata", "_positional", "_readers", "_statement", "_text", "only_reads")

    def __init__(self, compiled: SQLCompiler, *, only_reads: bool) -> None:
        dialect = compiled.dialect
        self.only_reads = only_reads
        self._text = compiled.string
        self._positional = compiled.positional
        named = {name: bind for bind, name in compiled.bind_names.items()}
        values = compiled.construct_params(_check=False)
        # With question marks a name stands once for each of its places.
        names = (compiled.positiontup if compiled.positional else list(named)) or []
        kinds = [named[name].type.dialect_impl(dialect) for name in names]
        self._binds = [
            _Bind(name, kind.bind_processor(dialect), named[name], values[name])
            for name, kind in zip(names, kinds, strict=True)
        ]
        # What goes through libpq is written for PostgreSQL, see `_prepare`; all else goes through the driver's cursors.
        self._statement = Statement(self._text, kinds) if _is_for_libpq(dialect) else None
        columns = compiled._result_columns  # what SQLAlchemy itself reads results by; there is no public name for it
        self._metadata = SimpleResultMetaData([column.keyname for column in columns]) if columns else _NO_COLUMNS
        readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._readers = [(index, reader) for index, reader in enumerate(readers) if reader is not None]

    def execute(self, connection: Any, parameters: Mapping[str, Any]) -> PreparedResult:
        """Execute it once on a driver's connection."""
        rows: Sequence[tuple[Any, ...]] = ()
        if self._statement is not None:
            rows, count = self._statement.execute(connection, [bind.value_in(parameters) for bind in self._binds])
        else:
            cursor = connection.execute(self._text, self._bound(parameters))
            if self._metadata is not _NO_COLUMNS:
                rows = cursor.fetchall()
            count = cursor.rowcount
        if self._readers:
            rows = [self._read(row) for row in rows]
        return PreparedResult(self._metadata, rows, rowcount=count)

    def execute_many(self, connection: Any, rows: Sequence[Mapping[str, Any]]) -> PreparedResult:
        """Execute it once for each element; without results."""
        if self._statement is not None:
            count = sum(
                self._statement.execute(connection, [bind.value_in(row) for bind in self._binds])[1] for row in rows
            )
            return PreparedResult(_NO_COLUMNS, (), rowcount=count)
        cursor = connection.cursor()
        cursor.executemany(self._text, [self._bound(row) for row in rows])
        return PreparedResult(_NO_COLUMNS, (), rowcount=cursor.rowcount)

    def _bound(self, parameters: Mapping[str, Any]) -> Any:
        if self._positional:
            return [bind.value_in(parameters) for bind in self._binds]
        return {bind.name: bind.value_in(parameters) for bind in self._binds}

    def _read(self, row: Sequence[Any]) -> tuple[Any, ...]:
        values = list(row)
        for index, reader in self._readers:
            values[index] = reader(values[index])
        return tuple(values)


class _Seen:
    """How often a statement was executed, and what it was compiled to, by dialect and names of parameters."""

    __slots__ = ("count", "prepared")

    def __init__(self) -> None:
        self.count = 0
        self.prepared: dict[tuple[SQLAlchemyDialect, tuple[str, ...]], Prepared | None] = {}


_seen: WeakKeyDictionary[Executable, _Seen] = WeakKeyDictionary()


def find_prepared(statement: Executable, dialect: SQLAlchemyDialect, names: tuple[str, ...]) -> Prepared | None:
    """The statement compiled for parameters of these names, or None where SQLAlchemy is to execute it."""
    seen = _seen.get(statement)
    if seen is None:
        if not isinstance(statement, Select | Insert | Update | Delete):
            return None
        seen = _seen[statement] = _Seen()
    seen.count += 1
    if seen.count < _OFTEN:
        return None
    key = (dialect, names)
    if key not in seen.prepared:
        seen.prepared[key] = _prepare(statement, dialect, names)
    return seen.prepared[key]


def _prepare(statement: Any, dialect: SQLAlchemyDialect, names: tuple[str, ...]) -> Prepared | None:
    reads = isinstance(statement, Select)
    target = _dialect_of_libpq(dialect) if dialect.name == "postgresql" else dialect
    compiled = statement.compile(dialect=target, column_keys=None if reads else list(names))
    # Values that SQLAlchemy makes at execution, and texts that depend on the number of values, are left to it.
    left = compiled.literal_execute_params | compiled.post_compile_params
    if left or compiled.prefetch or compiled.escaped_bind_names:
        return None
    if target is not dialect and not all(can_write(bind.type.dialect_impl(target)) for bind in compiled.bind_names):
        return None
    return Prepared(compiled, only_reads=only_reads(statement))


@functools.cache
def _dialect_of_libpq(dialect: Any) -> SQLAlchemyDialect:
    """The same dialect, but it writes parameters as PostgreSQL itself does: `$1`."""
    written: SQLAlchemyDialect = type(dialect)(paramstyle=_LIBPQ_STYLE)
    written.server_version_info = dialect.server_version_info
    return written


def _is_for_libpq(dialect: SQLAlchemyDialect) -> bool:
    return dialect.paramstyle == _LIBPQ_STYLE


def only_reads(statement: Executable) -> bool:
    """Whether a statement changes no row; for what cannot be told, False."""
    if isinstance(statement, TextClause):
        return statement.text.lstrip()[:6].upper() == "SELECT"
    return isinstance(statement, SelectBase) and not any(cte.element.is_dml for cte in _ctes(statement))


def _ctes(statement: SelectBase) -> list[Any]:
    return [element for element in visitors.iterate(statement) if element.__visit_name__ == "cte"]
