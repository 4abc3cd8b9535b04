"""The one place where SQLite and PostgreSQL differ in SQL. Queries say what they mean, and nowhere ask which it is.

How connections are opened, begun and committed differs too; that is in `driver`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy import Column, ColumnElement, CursorResult, FromClause, Row, Select, Table
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.sql.base import Executable

from crosswind_server.store import statements
from crosswind_server.store.prepared import PreparedResult
from crosswind_server.store.statements import FROM_HEX, RowValues

__all__ = ["FROM_HEX", "Dialect", "RowValues"]

S = TypeVar("S", bound=tuple[Any, ...])
Execute = Callable[..., CursorResult[Any] | PreparedResult]


class Dialect:
    """What the two databases do differently, bound to one transaction.

    The set-based methods send one statement whose text does not depend on the number of rows, so it is built, compiled
    and prepared once: the rows are one JSON text, which PostgreSQL reads by `json_to_recordset` and SQLite by
    `json_each`. That keeps clear of SQLite's limit on variables, and needs neither `UPDATE ... FROM (VALUES ...)` nor
    one text per row count.
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
        return statements.locking_in_order(query, table)

    def claim_rows(self, query: Select[S], table: Table) -> Select[S]:
        """Lock the rows of `table` that `query` finds and that nobody else has locked; skip the others.

        The query's own order and limit stay. On SQLite nobody else can have locked any.
        """
        return statements.claiming(query, table)

    # Many rows in one statement

    def rows_source(
        self, columns: Mapping[str, Column[Any]], rows: Sequence[RowValues], *, name: str = "v"
    ) -> tuple[FromClause, dict[str, Any]]:
        """Make a table of `rows` to join with: a FROM element and the parameters to execute its statement with.

        `columns` maps the name of each column of the new table to a column whose type it has; each row has those
        names. The order of the rows is not kept.
        """
        source = statements.rows_source(self._sqlalchemy, tuple(columns.items()), name)
        return source.clause, source.encode(rows)

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
        Rows are found by the first of `key_columns`, so that is to be the primary key; the others are only checked.
        Answers the `returning` columns of the rows that were updated, in no particular order, else nothing.
        No two elements may have the same key.
        """
        if not rows:
            return ()
        result = self._update(table, key_columns, set_columns, rows, where=where, set_all=set_all, returning=returning)
        return result.all() if returning else ()

    def update_and_count(
        self,
        table: Table,
        key_columns: Sequence[str],
        set_columns: Sequence[str],
        rows: Sequence[RowValues],
        *,
        where: ColumnElement[bool] | None = None,
        set_all: Mapping[str, Any] | None = None,
    ) -> int:
        """The same, answering how many rows were updated, which costs less than to name them."""
        if not rows:
            return 0
        return self._update(table, key_columns, set_columns, rows, where=where, set_all=set_all, returning=()).rowcount

    def _update(
        self,
        table: Table,
        key_columns: Sequence[str],
        set_columns: Sequence[str],
        rows: Sequence[RowValues],
        *,
        where: ColumnElement[bool] | None,
        set_all: Mapping[str, Any] | None,
        returning: Sequence[str],
    ) -> CursorResult[Any] | PreparedResult:
        fixed = set_all or {}
        expressions = {name: value for name, value in fixed.items() if isinstance(value, ColumnElement)}
        statement, source = statements.update_rows(
            self._sqlalchemy,
            table,
            tuple(key_columns),
            tuple(set_columns),
            tuple((name, expressions.get(name)) for name in fixed),
            where,
            tuple(returning),
        )
        parameters = source.encode(rows)
        parameters.update((f"all_{name}", value) for name, value in fixed.items() if name not in expressions)
        return self._execute(statement, parameters)

    def insert_many(self, table: Table, rows: Sequence[RowValues]) -> int:
        """Insert rows and say how many. All have the same keys; columns that they leave out take their defaults."""
        if not rows:
            return 0
        if self.name == "sqlite":
            # In process there are no round trips to save, and this is the only way without a detour for large values.
            self._execute(statements.plain_insert(table), list(rows))
            return len(rows)
        self._insert_rows(table, rows)
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
        return self._insert_rows(table, rows, conflict_columns, returning=returning)

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
        return self._insert_rows(table, rows, conflict_columns, taken, returning=returning)

    # Inside

    def _insert_rows(
        self,
        table: Table,
        rows: Sequence[RowValues],
        conflict_columns: Sequence[str] = (),
        taken: Sequence[str] = (),
        *,
        returning: Sequence[str] = (),
    ) -> Sequence[Row[Any]]:
        conflict = tuple(conflict_columns), tuple(taken), tuple(returning)
        if len(rows) == 1:
            # The usual case needs no source of rows, and spares a large value the detour.
            statement, _ = statements.insert_rows(self._sqlalchemy, table, None, *conflict)
            return self._fetch(statement, dict(rows[0]), returning)
        # INSERT ... SELECT takes no Python-side defaults of its own.
        if missing := statements.missing_defaults(table, tuple(rows[0])):
            rows = [{**missing, **row} for row in rows]
        statement, source = statements.insert_rows(self._sqlalchemy, table, tuple(rows[0]), *conflict)
        assert source is not None
        return self._fetch(statement, source.encode(rows), returning)

    def _fetch(self, statement: Executable, parameters: dict[str, Any], returning: Sequence[str]) -> Sequence[Row[Any]]:
        result = self._execute(statement, parameters)
        return result.all() if returning else ()
