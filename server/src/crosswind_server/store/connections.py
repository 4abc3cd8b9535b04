"""Queries of connections. Passwords and extras are sealed before they come here."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from crosswind_server.store.guards import is_among
from crosswind_server.store.records import read_record
from crosswind_server.store.schema import connection
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRow:
    """A connection; times are microseconds since the epoch."""

    connection_id: str
    conn_type: str
    host: str
    port: int | None
    schema: str
    login: str
    secrets_sealed: bytes
    description: str
    created_time: int
    updated_time: int


_COLUMNS = tuple(connection.c[field.name] for field in dataclasses.fields(ConnectionRow))


_BY_ID = select(*_COLUMNS).where(connection.c.team == bindparam("team"), is_among(connection.c.connection_id, "ids"))


def get_connections(uow: UnitOfWork, team: str, ids: Collection[str]) -> Sequence[ConnectionRow]:
    """Read connections by their ids; those that do not exist are left out."""
    if not ids:
        return ()
    return [read_record(ConnectionRow, row) for row in uow.execute(_BY_ID, {"team": team, "ids": list(ids)}).mappings()]


def list_connections(
    uow: UnitOfWork, team: str, *, conn_type: str, after_id: str | None, limit: int
) -> Sequence[ConnectionRow]:
    """List a team's connections by id, from the one after `after_id` on."""
    query = select(*_COLUMNS).where(connection.c.team == team)
    if conn_type:
        query = query.where(connection.c.conn_type == conn_type)
    if after_id is not None:
        query = query.where(connection.c.connection_id > after_id)
    return [
        read_record(ConnectionRow, row)
        for row in uow.execute(query.order_by(connection.c.connection_id).limit(limit)).mappings()
    ]


def put_connection(uow: UnitOfWork, team: str, row: ConnectionRow) -> None:
    """Create a connection or replace it."""
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    uow.dialect.upsert(connection, [{"team": team, **values}], ["team", "connection_id"])


def delete_connection(uow: UnitOfWork, team: str, connection_id: str) -> bool:
    """Delete a connection; returns whether it was there."""
    statement = delete(connection).where(connection.c.team == team, connection.c.connection_id == connection_id)
    return uow.execute(statement).rowcount > 0
