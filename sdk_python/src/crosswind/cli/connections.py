"""`crosswind connections`: where outside systems are and how tasks log in to them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import typer

from crosswind.cli.failures import usage_error
from crosswind.cli.output import Output, print_json, print_line, print_object, print_rows
from crosswind.cli.rows import to_object
from crosswind.cli.secrets import read_secret, read_secret_file
from crosswind.cli.session import Session, command
from crosswind.client.control_client import new_request_id
from crosswind.control.v1.connections_pb2 import (
    Connection,
    DeleteConnectionRequest,
    GetConnectionRequest,
    ListConnectionsRequest,
    SetConnectionRequest,
)

app = typer.Typer(help="Connections to outside systems.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The connection's name.")]
COLUMNS = ("connection_id", "conn_type", "host", "port", "schema", "login", "has_password", "has_extra", "description")
SPARE = ("has_extra", "description", "has_password", "schema")
SECRETS = ("password", "extra_json")
HIDDEN = "***"


@command(app, "list")
def list_connections(
    session: Session,
    conn_type: Annotated[str, typer.Option("--type", help="Only connections of this kind.")] = "",
) -> None:
    """Lists connections without their secrets."""
    client = session.client
    request = ListConnectionsRequest(conn_type=conn_type)
    connections = client.list_rows(client.connections.ListConnections, request, "connections")
    nothing = "There are no such connections."
    print_rows(map(to_object, connections), COLUMNS, output=session.output, spare=SPARE, empty=nothing)


@command(app, "get")
def get_connection(
    session: Session,
    connection_id: IdArgument,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Also show the password and the further settings.")
    ] = False,
) -> None:
    """Shows a connection, without its secrets unless they are asked for."""
    client = session.client
    answer = client.call(client.connections.GetConnection, GetConnectionRequest(connection_id=connection_id))
    row = to_object(answer.connection)
    if not show_secrets:
        row = hide_secrets(row)
    print_object(row, output=session.output)


@command(app, "set")
def set_connection(
    session: Session,
    connection_id: IdArgument,
    uri: Annotated[
        str | None,
        typer.Argument(
            metavar="[URI]",
            help="KIND://LOGIN@HOST:PORT/SCHEMA without a password; - reads a URI, then also with one, "
            "from standard input.",
        ),
    ] = None,
    conn_type: Annotated[str | None, typer.Option("--type", help="Its kind, such as postgres or http.")] = None,
    host: Annotated[str | None, typer.Option(help="Host name or address.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port.")] = None,
    schema: Annotated[str | None, typer.Option(help="Database, bucket or path.")] = None,
    login: Annotated[str | None, typer.Option(help="User name.")] = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for the password, or read it from standard input.")
    ] = False,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="Read the password from this file; - is standard input.")
    ] = None,
    extra_file: Annotated[
        Path | None,
        typer.Option("--extra-file", help="Read further settings, a JSON object, from this file; - is standard input."),
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
) -> None:
    """Creates a connection or replaces it. Secrets that are not given stay as they are; they are never options."""
    from_stdin = [uri == "-", password, str(password_file) == "-", str(extra_file) == "-"]
    if sum(from_stdin) > 1:
        raise usage_error("Only one of URI, --password, --password-file and --extra-file can read standard input.")
    given = UriParts()
    if uri is not None:
        given = parse_uri(read_secret("URI") if uri == "-" else uri)
        if given.password is not None and uri != "-":
            raise usage_error(
                "A password in a URI on the command line can be seen by others on this machine: "
                "leave it out and add --password or --password-file, or give the URI on standard input with -."
            )
    kind = conn_type or given.conn_type
    if not kind:
        raise usage_error(f"What kind of connection is {connection_id}? Add --type, or give a URI.")
    connection = Connection(
        connection_id=connection_id,
        conn_type=kind,
        host=given.host if host is None else host,
        port=given.port if port is None else port,
        schema=given.schema if schema is None else schema,
        login=given.login if login is None else login,
        password=given.password,
        extra_json=given.extra_json,
        description=description or "",
    )
    if password:
        connection.password = read_secret(f"Password of {connection_id}")
    elif password_file is not None:
        connection.password = read_secret_file(password_file)
    if extra_file is not None:
        connection.extra_json = _checked_object(read_secret_file(extra_file), extra_file)
    client = session.client
    request = SetConnectionRequest(connection=connection, request_id=new_request_id())
    answer = client.call(client.connections.SetConnection, request)
    if session.output is Output.JSON:
        print_json(to_object(answer.connection))
    else:
        print_line(f"{connection_id} is {'created' if answer.created else 'changed'}.")


@command(app, "delete")
def delete_connection(session: Session, connection_id: IdArgument) -> None:
    """Deletes a connection."""
    client = session.client
    request = DeleteConnectionRequest(connection_id=connection_id, request_id=new_request_id())
    client.call(client.connections.DeleteConnection, request)
    if session.output is Output.JSON:
        print_json({"connection_id": connection_id, "deleted": True})
    else:
        print_line(f"{connection_id} is deleted.")


@dataclass(frozen=True, slots=True)
class UriParts:
    """What a connection's URI says."""

    conn_type: str = ""
    host: str = ""
    port: int | None = None
    schema: str = ""
    login: str = ""
    password: str | None = None
    extra_json: str | None = None


def parse_uri(uri: str) -> UriParts:
    """Takes `kind://login:password@host:port/schema?key=value` apart; parts that need it are percent-encoded.

    Raises:
        CommandError: it is not such a URI.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise usage_error("The URI has no valid host and port: give KIND://LOGIN@HOST:PORT/SCHEMA.") from None
    if not parts.scheme or "://" not in uri:
        raise usage_error("The URI names no kind: give KIND://LOGIN@HOST:PORT/SCHEMA.")
    settings = dict(parse_qsl(parts.query, keep_blank_values=True))
    return UriParts(
        conn_type=parts.scheme,
        host=unquote(parts.hostname or ""),
        port=port,
        schema=unquote(parts.path.removeprefix("/")),
        login=unquote(parts.username or ""),
        password=None if parts.password is None else unquote(parts.password),
        extra_json=json.dumps(settings) if settings else None,
    )


def hide_secrets(row: dict[str, Any]) -> dict[str, Any]:
    """The connection with its secrets crossed out."""
    return {name: HIDDEN if name in SECRETS and value is not None else value for name, value in row.items()}


def _checked_object(text: str, path: Path) -> str:
    if text.strip():
        try:
            value = json.loads(text)
        except ValueError as error:
            raise usage_error(f"{path} is not JSON ({error}): --extra-file needs a JSON object.") from None
        if not isinstance(value, dict):
            raise usage_error(f"{path} holds no JSON object: --extra-file needs one.")
    return text.strip()
