"""`crosswind server`: the server that the commands talk to."""

import typer

from crosswind.cli.output import Output, print_object
from crosswind.cli.rows import to_object
from crosswind.cli.session import Session, command
from crosswind.control.v1.server_pb2 import GetServerInfoRequest

app = typer.Typer(help="The server.", no_args_is_help=True)


@command(app, "info")
def show_server(session: Session) -> None:
    """Shows the server: its versions, its database, and how busy your team keeps it."""
    client = session.client
    info = to_object(client.call(client.server.GetServerInfo, GetServerInfoRequest()))
    row = {"address": client.address, **info}
    if session.output is Output.TABLE:
        row |= row.pop("counts") or {}
    print_object(row, output=session.output)
