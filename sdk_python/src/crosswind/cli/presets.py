"""Variables and connections that `crosswind run` gives its tasks: from options and files, for one run in memory.

What a server keeps is set by `crosswind variables` and `crosswind connections`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crosswind.cli.connections import parse_uri
from crosswind.cli.failures import usage_error
from crosswind.cli.secrets import read_secret_file
from crosswind.client.control_client import ControlClient, new_request_id
from crosswind.control.v1.connections_pb2 import Connection, SetConnectionRequest
from crosswind.control.v1.variables_pb2 import SetVariableRequest


def read_variables(pairs: Sequence[str], file: Path | None) -> dict[str, str]:
    """The variables by key; an option replaces what the file says.

    Args:
        pairs: KEY=VALUE each.
        file: a JSON object; a value that is not text is kept as JSON. `-` is standard input.

    Raises:
        CommandError: they cannot be read.
    """
    given = {} if file is None else _read_object(file, "--variables-file")
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    return texts | dict(_split(pair, "--variable", "KEY=VALUE") for pair in pairs)


def read_connections(pairs: Sequence[str], file: Path | None) -> list[Connection]:
    """The connections; an option replaces what the file says.

    Args:
        pairs: ID=URI each; without passwords, since others on this machine can see a command line.
        file: a JSON object of URIs by id, which may hold passwords. `-` is standard input.

    Raises:
        CommandError: they cannot be read.
    """
    given = {} if file is None else _read_object(file, "--connections-file")
    for connection_id, uri in given.items():
        if not isinstance(uri, str):
            raise usage_error(
                f"The connection {connection_id} in {file} is no text: give KIND://LOGIN@HOST:PORT/SCHEMA."
            )
    found = {connection_id: _connection(connection_id, uri) for connection_id, uri in given.items()}
    for pair in pairs:
        connection_id, uri = _split(pair, "--connection", "ID=URI")
        connection = _connection(connection_id, uri)
        if connection.HasField("password"):
            raise usage_error(
                f"The password of {connection_id} on the command line can be seen by others on this machine: "
                f'put {{"{connection_id}": "URI"}} into a file and name it with --connections-file.'
            )
        found[connection_id] = connection
    return list(found.values())


def set_presets(client: ControlClient, variables: Mapping[str, str], connections: Iterable[Connection]) -> None:
    """Sets them, all secret.

    Raises:
        ControlError: the server refuses one.
    """
    for key, value in variables.items():
        client.call(client.variables.SetVariable, SetVariableRequest(key=key, value=value, request_id=new_request_id()))
    for connection in connections:
        client.call(
            client.connections.SetConnection,
            SetConnectionRequest(connection=connection, request_id=new_request_id()),
        )


def _connection(connection_id: str, uri: str) -> Connection:
    parts = parse_uri(uri)
    return Connection(
        connection_id=connection_id,
        conn_type=parts.conn_type,
        host=parts.host,
        port=parts.port,
        schema=parts.schema,
        login=parts.login,
        password=parts.password,
        extra_json=parts.extra_json,
    )


def _split(pair: str, option: str, form: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not name or not equals:
        raise usage_error(f"{option} {pair} has no name and value: give {option} {form}.")
    return name, value


def _read_object(file: Path, option: str) -> dict[str, Any]:
    text = read_secret_file(file)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise usage_error(f"{file} is not JSON ({error}): {option} needs a JSON object.") from None
    if not isinstance(value, dict):
        raise usage_error(f"{file} holds no JSON object: {option} needs one.")
    return value
