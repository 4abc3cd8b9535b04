"""The one place where SQLite and PostgreSQL differ in SQL. Queries say what they mean, and nowhere ask which it is.

How connections are opened, begun and committed differs too; that is in `driver`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    CursorResult,
    FromClause,
    Row,
    Select,
    Table,
    Text,
    and_,
    bindparam,
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

S = TypeVar("S", bound=tuple[Any, ...])
RowValues = Mapping[str, Any]
Execute = Callable[..., CursorResult[Any]]
BindProcessor = Callable[[Any], Any]

FROM_HEX = "crosswind_from_hex"
"""The SQL function that a SQLite connection must offer: hexadecimal text to bytes."""


class Dialect:
    """What the two databases do differently, bound to one transaction.

    The set-based methods send one statement whose text does not depend on the number of rows, so it is compiled and
    prepared once: PostgreSQL gets one array for each column (`unnest`), SQLite one JSON text (`json_each`). That keeps
    clear of SQLite's limit on variables, and needs neither `UPDATE ... FROM (VALUES ...)` nor one text per row count.
    """

    __slots__ = ("_execute", "_sqlalchemy", "name")

    def __init__(self, sqlalchemy_dialect: SQLAlchemyDialect, execute: Execute) -> None:
        self._sqlalchemy = sqlalchemy_dialect
        self._execute = execute
        self.name: Literal["sqlite", "postgresql"] = "sqlite" if sqlalchemy_dialect.name == "sqlite" else "postgresql"

    # Locks

    def lock_rows(self, query: Select[S], table: Table) -> Select[S]:
        """Lock the rows of `table` that `query` finds, in the order of their primary key.

        Everyone locks in that order, so two transactions cannot wait for each other. On SQLite, where there is one
        writer at a time, only the order remains.
        """
        return query.order_by(None).order_by(*table.primary_key).with_for_update(of=table)

    def claim_rows(self, query: Select[S], table: Table) -> Select[S]:
        """Lock the rows of `table` that `query` finds and that nobody else has locked; skip the others.

        The query's own order and limit stay. On SQLite nobody else can have locked any.
        """
        return query.with_for_update(of=table, skip_locked=True)

    # Many rows in one statement

    def rows_source(
        self, columns: Mapping[str, Column[Any]], rows: Sequence[RowValues], *, name: str = "v"
    ) -> tuple[FromClause, dict[str, Any]]:
        """Make a table of `rows` to join with: a FROM element and the parameters to execute its statement with.

        `columns` maps the name of each column of the new table to a column whose type it has; each row has those
        names. The order of the rows is not kept.
        """
        if self.name == "postgresql":
            parameters = {f"{name}_{key}": [row[key] for row in rows] for key in columns}
            arrays = [bindparam(f"{name}_{key}", type_=postgresql.ARRAY(col.type)) for key, col in columns.items()]
            typed: list[ColumnElement[Any]] = [column(key, col.type) for key, col in columns.items()]
            source = func.unnest(*arrays).table_valued(*typed, name=name).render_derived(name=name)
            return source, parameters
        encode = [(key, *self._json_codec(col.type)) for key, col in columns.items()]
        text = json.dumps(
            [
                [None if (value := row[key]) is None else (bind(value) if bind else value) for key, bind, _ in encode]
                for row in rows
            ],
            separators=(",", ":"),
            ensure_ascii=False,
            default=_hex_of_bytes,
        )
        each = func.json_each(bindparam(f"{name}_rows", type_=Text())).table_valued("value", name=f"{name}_each")
        items: list[ColumnElement[Any]] = []
        for index, (key, _, is_bytes) in enumerate(encode):
            path: ColumnElement[str] = literal_column(f"'$[{index}]'")
            item: Any = func.json_extract(each.c.value, path, type_=columns[key].type)
            if is_bytes:
                item = getattr(func, FROM_HEX)(item, type_=columns[key].type)
            items.append(item.label(key))
        return select(*items).subquery(name), {f"{name}_rows": text}

    def update_values(
        self,
        table: Table,
        key_columns: Sequence[str],
        set_columns: Sequence[str],
        rows: Sequence[RowValues],
        *,
        where: ColumnElement[bool] | None = None,
        set_all: Mapping[str, Any] | None = None,
        returning: Sequence[str] = (),
    ) -> Sequence[Row[Any]]:
        """Update many rows, each to values of its own, in one statement.

        A row of the table is updated when all `key_columns` equal those of an element of `rows` and `where`, if
        given, holds; `set_columns` are taken from that element, and `set_all` is the same value or expression for all.
        Answers the `returning` columns of the rows that were updated, in no particular order, else nothing.
        No two elements may have the same key.
        """
        if not rows:
            return ()
        columns = {name: table.c[name] for name in (*key_columns, *set_columns)}
        source, parameters = self.rows_source(columns, rows)
        statement = (
            update(table)
            .values({**{name: source.c[name] for name in set_columns}, **(set_all or {})})
            .where(and_(*(table.c[name] == source.c[name] for name in key_columns)))
        )
        if where is not None:
            statement = statement.where(where)
        return self._fetch(statement, parameters, table, returning)

    def insert_many(self, table: Table, rows: Sequence[RowValues]) -> int:
        """Insert rows and say how many. All have the same keys; columns that they leave out take their defaults."""
        if not rows:
            return 0
        if self.name == "sqlite":
            # In process there are no round trips to save, and this is the only way without a detour for large values.
            self._execute(insert(table), list(rows))
            return len(rows)
        statement, parameters = self._insert_rows(table, rows)
        self._execute(statement, parameters)
        return len(rows)

    def insert_ignore(
        self,
        table: Table,
        rows: Sequence[RowValues],
        conflict_columns: Sequence[str],
        *,
        returning: Sequence[str] = (),
    ) -> Sequence[Row[Any]]:
        """Insert those rows that do not meet an existing one with the same `conflict_columns`.

        Answers the `returning` columns of the rows that were inserted, so the caller can tell which were.
        """
        if not rows:
            return ()
        statement, parameters = self._insert_rows(table, rows)
        ignoring = statement.on_conflict_do_nothing(index_elements=list(conflict_columns))
        return self._fetch(ignoring, parameters, table, returning)

    def upsert(
        self,
        table: Table,
        rows: Sequence[RowValues],
        conflict_columns: Sequence[str],
        *,
        set_columns: Sequence[str] | None = None,
        returning: Sequence[str] = (),
    ) -> Sequence[Row[Any]]:
        """Insert rows; where one meets an existing row with the same `conflict_columns`, update that one.

        `set_columns` says which columns an existing row takes over; by default all given ones but the conflict
        columns. No two elements of `rows` may have the same conflict columns. Answers `returning` of all of them.
        """
        if not rows:
            return ()
        taken = [name for name in rows[0] if name not in conflict_columns] if set_columns is None else set_columns
        statement, parameters = self._insert_rows(table, rows)
        upserting = statement.on_conflict_do_update(
            index_elements=list(conflict_columns), set_={name: statement.excluded[name] for name in taken}
        )
        return self._fetch(upserting, parameters, table, returning)

    # Inside

    def _insert_rows(self, table: Table, rows: Sequence[RowValues]) -> tuple[Any, dict[str, Any]]:
        """Build INSERT ... SELECT from the rows, including Python-side defaults, as each dialect's own Insert."""
        build = sqlite.insert if self.name == "sqlite" else postgresql.insert
        if len(rows) == 1:
            # The usual case needs no source of rows, and spares a large value the detour.
            return build(table), dict(rows[0])
        rows = _with_defaults(table, rows)
        source, parameters = self.rows_source({name: table.c[name] for name in rows[0]}, rows)
        # SQLite would read the ON of ON CONFLICT as a join's without a WHERE before it.
        query = select(*source.c).where(true())
        return build(table).from_select(list(rows[0]), query, include_defaults=False), parameters

    def _fetch(
        self, statement: Any, parameters: dict[str, Any], table: Table, returning: Iterable[str]
    ) -> Sequence[Row[Any]]:
        columns = [table.c[name] for name in returning]
        if not columns:
            self._execute(statement, parameters)
            return ()
        return self._execute(statement.returning(*columns), parameters).all()

    def _json_codec(self, type_: TypeEngine[Any]) -> tuple[BindProcessor | None, bool]:
        """How a value of the type becomes JSON, and whether it is bytes, which JSON lacks."""
        implementation = type_.dialect_impl(self._sqlalchemy)
        is_bytes = isinstance(implementation, LargeBinary)
        return (None if is_bytes else implementation.bind_processor(self._sqlalchemy)), is_bytes


def _hex_of_bytes(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return value.hex()
    raise TypeError(f"A {type(value).__name__} cannot be sent to SQLite in a list of rows.")


def _with_defaults(table: Table, rows: Sequence[RowValues]) -> Sequence[RowValues]:
    """Add the columns that have a Python-side scalar default and that the rows leave out."""
    missing = {
        column.name: column.default.arg  # type: ignore[attr-defined]  # a scalar default has `arg`
        for column in table.c
        if column.name not in rows[0] and column.default is not None and column.default.is_scalar
    }
    return [{**missing, **row} for row in rows] if missing else rows
