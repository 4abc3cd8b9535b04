"""Connections: how to reach outside systems, kept on the server and read by tasks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from crosswind.author.context import require_current
from crosswind.author.errors import ConnectionNotFound, UnreadableValue


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to reach an outside system. Only running tasks can read one: `Connection.get("warehouse")`.

    Args:
        conn_id: its name.
        conn_type: its kind, such as "postgres" or "http".
        host: host name or address.
        port: None: the default of its kind.
        schema: database, bucket or path.
        login: user name.
        password: a secret.
        extra: further settings, a JSON object as text; a secret.
        description: for people.
    """

    conn_id: str
    conn_type: str = ""
    host: str = ""
    port: int | None = None
    schema: str = ""
    login: str = ""
    password: str = field(default="", repr=False)
    extra: str = field(default="", repr=False)
    description: str = ""

    @classmethod
    def get(cls, conn_id: str) -> Connection:
        """Reads a connection.

        Raises:
            ConnectionNotFound: there is none of that name.
            NoTaskError: no task runs.
        """
        task = require_current(f"Connection.get({conn_id!r})")
        found = task.connections.get(conn_id)
        if found is None:
            found = task.runtime.get_connection(conn_id)
        if found is None:
            raise ConnectionNotFound(
                f"There is no connection '{conn_id}'; make it with `crosswind connections set {conn_id} ...`"
            )
        task.connections[conn_id] = found
        return cls(
            conn_id=found.connection_id,
            conn_type=found.conn_type,
            host=found.host,
            port=found.port if found.HasField("port") else None,
            schema=found.schema,
            login=found.login,
            password=found.password,
            extra=found.extra_json,
            description=found.description,
        )

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """The further settings.

        Raises:
            UnreadableValue: they are not a JSON object.
        """
        try:
            extra = json.loads(self.extra or "{}")
        except ValueError:
            extra = None
        if not isinstance(extra, dict):
            raise UnreadableValue(f"The extra of connection '{self.conn_id}' is not a JSON object")
        return extra

    def get_uri(self) -> str:
        """The connection as one URI, such as `postgres://user:secret@host:5432/db?sslmode=require`."""
        from urllib.parse import quote, urlencode  # few tasks need it

        kind = self.conn_type.lower().replace("_", "-")
        account = quote(self.login, safe="")
        if self.password:
            account += ":" + quote(self.password, safe="")
        host = self.host
        if ":" in host and "//" not in host and not host.startswith("["):
            host = f"[{host}]"  # an IPv6 address
        place = (account + "@" if account else "") + host + ("" if self.port is None else f":{self.port}")
        uri = f"{kind}://{place}"
        if self.schema:
            uri += "/" + quote(self.schema, safe="")
        extra = self.extra_dejson
        if extra:
            plain = all(isinstance(value, str) for value in extra.values())
            separator = "?" if self.schema else "/?"
            uri += separator + urlencode(extra if plain else {"__extra__": self.extra})
        return uri
