"""Connections: where an outside system is and how to log in. Password and extras are sealed."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.services.access.sealing import Sealer
from crosswind_server.services.access.variables import check_description, check_value_size
from crosswind_server.store import connections as rows
from crosswind_server.store.connections import ConnectionRow
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection. In a change, None for `password` and `extra_json` leaves them as they are; empty removes them."""

    connection_id: str
    conn_type: str
    host: str = ""
    port: int | None = None
    schema: str = ""
    login: str = ""
    password: str | None = None
    extra_json: str | None = None
    description: str = ""
    has_password: bool = False
    has_extra: bool = False
    created_us: int = 0
    updated_us: int = 0


def read_connections(uow: UnitOfWork, sealer: Sealer, team: str, ids: Collection[str]) -> Sequence[Connection]:
    """Those of the connections that exist, with their secrets, by id."""
    found = rows.get_connections(uow, team, ids)
    return sorted((_open(sealer, team, row, secrets=True) for row in found), key=lambda each: each.connection_id)


def get_connection(uow: UnitOfWork, sealer: Sealer, team: str, connection_id: str) -> Connection:
    """One connection with its secrets. Raises `Refused`: CONNECTION_NOT_FOUND."""
    found = rows.get_connections(uow, team, [connection_id])
    if not found:
        raise _not_found(team, connection_id)
    return _open(sealer, team, found[0], secrets=True)


def list_connections(
    uow: UnitOfWork, sealer: Sealer, team: str, *, conn_type: str, after_id: str | None, limit: int
) -> Sequence[Connection]:
    """A team's connections by id, without their secrets."""
    found = rows.list_connections(uow, team, conn_type=conn_type, after_id=after_id, limit=limit)
    return [_open(sealer, team, row, secrets=False) for row in found]


def set_connection(uow: UnitOfWork, sealer: Sealer, team: str, wanted: Connection) -> tuple[Connection, bool]:
    """Create a connection or replace it. Answers it without secrets, and whether it was created.

    Raises:
        Refused: INVALID_ARGUMENT or VALUE_TOO_LARGE.
    """
    _check(wanted)
    found = rows.get_connections(uow, team, [wanted.connection_id])
    secrets = _read_secrets(sealer, team, found[0]) if found else {}
    for name, value in (("password", wanted.password), ("extra_json", wanted.extra_json)):
        if value == "":
            secrets.pop(name, None)
        elif value is not None:
            secrets[name] = value
    row = ConnectionRow(
        connection_id=wanted.connection_id,
        conn_type=wanted.conn_type,
        host=wanted.host,
        port=wanted.port,
        schema=wanted.schema,
        login=wanted.login,
        secrets_sealed=sealer.seal(json.dumps(secrets).encode(), _place(team, wanted.connection_id)),
        description=wanted.description,
        created_time=found[0].created_time if found else uow.now,
        updated_time=uow.now,
    )
    rows.put_connection(uow, team, row)
    return _open(sealer, team, row, secrets=False), not found


def delete_connection(uow: UnitOfWork, team: str, connection_id: str) -> None:
    """Delete a connection. Raises `Refused`: CONNECTION_NOT_FOUND."""
    if not rows.delete_connection(uow, team, connection_id):
        raise _not_found(team, connection_id)


def _not_found(team: str, connection_id: str) -> Refused:
    return Refused(
        Reason.CONNECTION_NOT_FOUND,
        f"Team '{team}' has no connection '{connection_id}'; set it with `crosswind connections set {connection_id}`.",
        metadata={"connection_id": connection_id},
    )


def _check(wanted: Connection) -> None:
    def invalid(field: str, message: str) -> Refused:
        return Refused(Reason.INVALID_ARGUMENT, message, metadata={"field": f"connection.{field}"})

    if not 1 <= len(wanted.connection_id) <= 250:
        raise invalid("connection_id", "The id of a connection has 1 to 250 characters.")
    if not 1 <= len(wanted.conn_type) <= 100:
        raise invalid("conn_type", "The kind of a connection, such as `postgres`, has 1 to 100 characters.")
    for field in ("host", "schema", "login"):
        if len(getattr(wanted, field)) > 500:
            raise invalid(field, f"`{field}` of a connection has at most 500 characters.")
    if wanted.port is not None and not 1 <= wanted.port <= 65535:
        raise invalid("port", "The port of a connection lies between 1 and 65535.")
    check_description(wanted.description)
    if wanted.password is not None:
        check_value_size(wanted.password, f"The password of connection '{wanted.connection_id}'")
    if wanted.extra_json:
        check_value_size(wanted.extra_json, f"`extra_json` of connection '{wanted.connection_id}'")
        try:
            extra = json.loads(wanted.extra_json)
        except ValueError:
            extra = None
        if not isinstance(extra, dict):
            raise invalid(
                "extra_json", '`extra_json` of a connection is a JSON object, such as {"sslmode": "require"}.'
            )


def _place(team: str, connection_id: str) -> str:
    return f"connection:{team}/{connection_id}"


def _read_secrets(sealer: Sealer, team: str, row: ConnectionRow) -> dict[str, str]:
    secrets: dict[str, str] = json.loads(sealer.open(row.secrets_sealed, _place(team, row.connection_id)))
    return secrets


def _open(sealer: Sealer, team: str, row: ConnectionRow, *, secrets: bool) -> Connection:
    held = _read_secrets(sealer, team, row)
    return Connection(
        connection_id=row.connection_id,
        conn_type=row.conn_type,
        host=row.host,
        port=row.port,
        schema=row.schema,
        login=row.login,
        password=held.get("password") if secrets else None,
        extra_json=held.get("extra_json") if secrets else None,
        description=row.description,
        has_password="password" in held,
        has_extra="extra_json" in held,
        created_us=row.created_time,
        updated_us=row.updated_time,
    )
