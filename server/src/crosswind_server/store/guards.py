"""The sets of states that guard statements.

They are written out as SQL literals, in the order of the schema's partial indexes, for otherwise neither database would
use those. What the sets mean is said in `domain.lifecycle`, from whose table a test derives the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Boolean, ColumnElement, Text, bindparam, case, literal_column
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

ASSIGNED: Final = ("assigned",)
"""Attempts that may be started, sent again or returned."""
RUNNING: Final = ("running",)
"""Attempts that a heartbeat tells to go on."""
LEASED: Final = ("running", "cancelling")
"""Attempts whose lease a heartbeat extends, and which expire without."""
LIVE: Final = ("assigned", "running", "cancelling")
"""Attempts whose lease is valid."""
QUEUED: Final = ("queued",)
"""Task instances that workers may be given."""
ASKING: Final = ("queued", "assigned", "running", "cancelling")
"""Task instances that take slots, or wait for some."""
GOING_RUNS: Final = ("running", "cancelling")
"""Runs that have begun and not ended."""
IDLE: Final = (
    "waiting",
    "queued",
    "up_for_retry",
    "up_for_reschedule",
    "deferred",
    "awaiting_input",
    "expanded",
)
"""Task instances that have neither ended nor a live attempt."""
UNEXPANDED: Final = tuple(state for state in IDLE if state != "expanded")
"""The same, but for mapped tasks that their instances have replaced."""
TIMETABLE: Final[ColumnElement[str]] = literal_column("'timetable'")
"""The type of runs that hold what timetables were asked, and that are no runs to anybody else."""
LIVE_WORKERS: Final = ("active", "draining")
"""Workers that may hold leases."""


def is_one_of(column: ColumnElement[Any], states: tuple[str, ...]) -> ColumnElement[bool]:
    """A guard: the column is one of the states."""
    if len(states) == 1:
        return column == literal_column(f"'{states[0]}'")
    return column.in_([literal_column(f"'{state}'") for state in states])


def checked(guard: ColumnElement[bool]) -> ColumnElement[bool]:
    """The same guard for rows that are found by their key: no index is searched by it.

    Where an index holds only the rows that the guard lets through, PostgreSQL thinks it small and would walk through
    all of it for each key.
    """
    return case((guard, literal_column("1")), else_=literal_column("0")) == literal_column("1")


def is_among(column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """A guard: the column is one of the values in a parameter, which takes a list of texts or numbers.

    The statement's text does not depend on how many they are, so that it is prepared once.
    """
    return _IsAmong(column, bindparam(parameter, type_=_Values(column.type)))


class _Values(TypeDecorator[Collection[Any]]):
    """A list of values as one parameter: an array for PostgreSQL, JSON for SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type that carries them."""
        return dialect.type_descriptor(postgresql.ARRAY(self.item) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        """The values as that type has them."""
        values = list(value or ())
        return values if dialect.name == "postgresql" else json.dumps(values)


class _IsAmong(FunctionElement[bool]):
    type = Boolean()
    name = "is_among"
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        """As it is: it needs no `= 1` to be true, and with it no index would be used."""
        return self


@compiles(_IsAmong, "sqlite")
def _among_json(element: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"


@compiles(_IsAmong, "postgresql")
def _among_array(element: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY ({values})"
