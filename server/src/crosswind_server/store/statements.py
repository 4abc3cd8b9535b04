"""The set-based statements of `dialect`, each built once and kept: building one costs more than executing it.

Here belongs what depends only on the shape of a statement: its table, columns, guard and dialect. Values, and when what
is sent, belong to `dialect`. What is kept is found again by identity, so guards and expressions that are often used
should be constants of their modules.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Insert,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    case,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.types import LargeBinary, TypeEngine

from crosswind_server.store.guards import checked

RowValues = Mapping[str, Any]
Encode = Callable[[Any], Any]
Encoder = tuple[str, Encode | None]

FROM_HEX: Final = "crosswind_from_hex"
"""The SQL function that a SQLite connection must offer: hexadecimal text to bytes."""

_KEPT: Final = 1024


S = TypeVar("S", bound=tuple[Any, ...])


@functools.lru_cache(maxsize=_KEPT)
def locking_in_order(query: Select[S], table: Table) -> Select[S]:
    """The query, which locks its rows of the table in the order of their primary key."""
    return query.order_by(None).order_by(*table.primary_key).with_for_update(of=table)


@functools.lru_cache(maxsize=_KEPT)
def claiming(query: Select[S], table: Table) -> Select[S]:
    """The query, which locks its rows of the table and skips those that somebody else has locked."""
    return query.with_for_update(of=table, skip_locked=True)


@dataclass(frozen=True, slots=True)
class RowsSource:
    """A table made of rows that travel as parameters: a FROM element, and how rows become its parameters."""

    clause: FromClause
    encode: Callable[[Sequence[RowValues]], dict[str, Any]]


@functools.lru_cache(maxsize=_KEPT)
def rows_source(
    dialect: SQLAlchemyDialect, columns: tuple[tuple[str, Column[Any]], ...], name: str = "v"
) -> RowsSource:
    """The source of rows with these names, each with the type of its column."""
    if dialect.name == "postgresql":
        return _record_source(dialect, columns, name)
    return _json_source(dialect, columns, name)


def _record_source(dialect: SQLAlchemyDialect, columns: tuple[tuple[str, Column[Any]], ...], name: str) -> RowsSource:
    # One JSON text, for an array of each column takes the driver several times as long to write.
    rows_parameter = cast(bindparam(f"{name}_rows", type_=Text()), postgresql.JSON)
    typed: list[ColumnElement[Any]] = [column(key, col.type) for key, col in columns]
    records = func.json_to_recordset(rows_parameter).table_valued(*typed, name=f"{name}_each")
    every = records.render_derived(name=f"{name}_each", with_types=True)
    # Always true, and what PostgreSQL takes for a condition that hardly any row meets. For it counts on a hundred rows,
    # and while a table is small it would rather walk through all of that and look each of its rows up in these.
    first = every.c[columns[0][0]]
    few = case((first.is_(None), literal_column("1")), else_=literal_column("1")) == literal_column("1")
    encoders = [(key, _encoder(dialect, col.type, prefix="\\x")) for key, col in columns]

    def encode(rows: Sequence[RowValues]) -> dict[str, Any]:
        values = [
            {key: value if (value := row[key]) is None or bind is None else bind(value) for key, bind in encoders}
            for row in rows
        ]
        return {f"{name}_rows": _TO_JSON(values)}

    return RowsSource(select(*every.c).where(few).subquery(name), encode)


def _json_source(dialect: SQLAlchemyDialect, columns: tuple[tuple[str, Column[Any]], ...], name: str) -> RowsSource:
    each = func.json_each(bindparam(f"{name}_rows", type_=Text())).table_valued("value", name=f"{name}_each")
    items: list[ColumnElement[Any]] = []
    encoders: list[Encoder] = []
    for index, (key, col) in enumerate(columns):
        path: ColumnElement[str] = literal_column(f"'$[{index}]'")
        item: Any = func.json_extract(each.c.value, path, type_=col.type)
        if _is_bytes(dialect, col.type):
            item = getattr(func, FROM_HEX)(item, type_=col.type)
        items.append(item.label(key))
        encoders.append((key, _encoder(dialect, col.type)))

    def encode(rows: Sequence[RowValues]) -> dict[str, Any]:
        values = [
            [value if (value := row[key]) is None or bind is None else bind(value) for key, bind in encoders]
            for row in rows
        ]
        return {f"{name}_rows": _TO_JSON(values)}

    return RowsSource(select(*items).subquery(name), encode)


@functools.lru_cache(maxsize=_KEPT)
def update_rows(
    dialect: SQLAlchemyDialect,
    table: Table,
    key_columns: tuple[str, ...],
    set_columns: tuple[str, ...],
    set_all: tuple[tuple[str, ColumnElement[Any] | None], ...],
    where: ColumnElement[bool] | None,
    returning: tuple[str, ...],
) -> tuple[Update, RowsSource]:
    """UPDATE of many rows, each to its own values.

    Args:
        key_columns: the first is unique, or nearly: rows are found by it.
        set_all: columns that all rows get alike, by an expression or, where it is None, the parameter `all_NAME`.
    """
    source = rows_source(dialect, tuple((name, table.c[name]) for name in (*key_columns, *set_columns)))
    values: dict[str, Any] = {name: source.clause.c[name] for name in set_columns}
    for name, expression in set_all:
        values[name] = bindparam(f"all_{name}", type_=table.c[name].type) if expression is None else expression
    first, *others = key_columns
    statement = update(table).values(values).where(table.c[first] == source.clause.c[first])
    # Found by the first column, checked by all others.
    for name in others:
        statement = statement.where(checked(table.c[name] == source.clause.c[name]))
    if where is not None:
        statement = statement.where(checked(where))
    if returning:
        statement = statement.returning(*(table.c[name] for name in returning))
    return statement, source


@functools.lru_cache(maxsize=_KEPT)
def insert_rows(
    dialect: SQLAlchemyDialect,
    table: Table,
    columns: tuple[str, ...] | None,
    conflict_columns: tuple[str, ...],
    set_columns: tuple[str, ...],
    returning: tuple[str, ...],
) -> tuple[Insert, RowsSource | None]:
    """INSERT, of one row where `columns` is None, else of rows with these columns.

    Args:
        conflict_columns: an existing row with the same is left alone, or takes over `set_columns`. Empty: an error.
    """
    statement: Any = (sqlite.insert if dialect.name == "sqlite" else postgresql.insert)(table)
    source = None
    if columns is not None:
        source = rows_source(dialect, tuple((name, table.c[name]) for name in columns))
        # SQLite would read the ON of ON CONFLICT as a join's without a WHERE before it.
        query = select(*source.clause.c).where(true())
        statement = statement.from_select(list(columns), query, include_defaults=False)
    if set_columns:
        taken = {name: statement.excluded[name] for name in set_columns}
        statement = statement.on_conflict_do_update(index_elements=list(conflict_columns), set_=taken)
    elif conflict_columns:
        statement = statement.on_conflict_do_nothing(index_elements=list(conflict_columns))
    if returning:
        statement = statement.returning(*(table.c[name] for name in returning))
    return statement, source


plain_insert = functools.cache(insert)


@functools.lru_cache(maxsize=_KEPT)
def missing_defaults(table: Table, columns: tuple[str, ...]) -> Mapping[str, Any]:
    """The columns that have a Python-side scalar default and are not among `columns`, with that default."""
    return {
        column.name: column.default.arg  # type: ignore[attr-defined]  # a scalar default has `arg`
        for column in table.c
        if column.name not in columns and column.default is not None and column.default.is_scalar
    }


def _encoder(dialect: SQLAlchemyDialect, type_: TypeEngine[Any], *, prefix: str = "") -> Encode | None:
    """How a value of the type becomes one of JSON, which has no bytes: they become hexadecimal text after a prefix."""
    if _is_bytes(dialect, type_):
        return lambda value: prefix + value.hex()
    return type_.dialect_impl(dialect).bind_processor(dialect)


def _is_bytes(dialect: SQLAlchemyDialect, type_: TypeEngine[Any]) -> bool:
    return isinstance(type_.dialect_impl(dialect), LargeBinary)


_TO_JSON: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
