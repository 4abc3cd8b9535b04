"""Queries of variables. Values are sealed before they come here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from crosswind_server.store.guards import is_among
from crosswind_server.store.records import read_record
from crosswind_server.store.schema import variable
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableRow:
    """A variable; times are microseconds since the epoch."""

    key: str
    value_sealed: bytes
    public: bool
    description: str
    created_time: int
    updated_time: int


_COLUMNS = (
    variable.c.key,
    variable.c.value_sealed,
    variable.c.public,
    variable.c.description,
    variable.c.created_time,
    variable.c.updated_time,
)


_BY_KEY = select(*_COLUMNS).where(variable.c.team == bindparam("team"), is_among(variable.c.key, "keys"))


def get_variables(uow: UnitOfWork, team: str, keys: Collection[str]) -> Sequence[VariableRow]:
    """Read variables by their keys; those that do not exist are left out."""
    if not keys:
        return ()
    return [
        read_record(VariableRow, row) for row in uow.execute(_BY_KEY, {"team": team, "keys": list(keys)}).mappings()
    ]


def list_variables(
    uow: UnitOfWork, team: str, *, prefix: str, after_key: str | None, limit: int
) -> Sequence[VariableRow]:
    """List a team's variables by key, from the one after `after_key` on."""
    query = select(*_COLUMNS).where(variable.c.team == team)
    if prefix:
        query = query.where(variable.c.key.startswith(prefix, autoescape=True))
    if after_key is not None:
        query = query.where(variable.c.key > after_key)
    return [
        read_record(VariableRow, row) for row in uow.execute(query.order_by(variable.c.key).limit(limit)).mappings()
    ]


def put_variable(uow: UnitOfWork, team: str, row: VariableRow) -> None:
    """Create a variable or replace it."""
    values = {
        "team": team,
        "key": row.key,
        "value_sealed": row.value_sealed,
        "public": row.public,
        "description": row.description,
        "created_time": row.created_time,
        "updated_time": row.updated_time,
    }
    uow.dialect.upsert(variable, [values], ["team", "key"])


def delete_variable(uow: UnitOfWork, team: str, key: str) -> bool:
    """Delete a variable; returns whether it was there."""
    return uow.execute(delete(variable).where(variable.c.team == team, variable.c.key == key)).rowcount > 0
