"""`crosswind variables`: named texts that tasks read."""

from pathlib import Path
from typing import Annotated

import typer

from crosswind.cli.output import Output, print_json, print_line, print_rows
from crosswind.cli.rows import to_object
from crosswind.cli.secrets import read_secret, read_secret_file
from crosswind.cli.session import Session, command
from crosswind.client.control_client import new_request_id
from crosswind.control.v1.variables_pb2 import (
    DeleteVariableRequest,
    GetVariableRequest,
    ListVariablesRequest,
    SetVariableRequest,
)

app = typer.Typer(help="Variables that tasks read.", no_args_is_help=True)

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The variable's name.")]
COLUMNS = ("key", "value", "public", "description", "update_time")
SPARE = ("description", "update_time")


@command(app, "list")
def list_variables(
    session: Session,
    prefix: Annotated[str, typer.Argument(metavar="[PREFIX]", help="Only variables whose key begins so.")] = "",
) -> None:
    """Lists variables. Values are shown of public ones only."""
    client = session.client
    request = ListVariablesRequest(key_prefix=prefix)
    variables = client.list_rows(client.variables.ListVariables, request, "variables")
    nothing = "There are no such variables."
    print_rows(map(to_object, variables), COLUMNS, output=session.output, spare=SPARE, empty=nothing)


@command(app, "get")
def get_variable(session: Session, key: KeyArgument) -> None:
    """Prints the value of a variable as it is."""
    client = session.client
    variable = client.call(client.variables.GetVariable, GetVariableRequest(key=key)).variable
    if session.output is Output.JSON:
        print_json(to_object(variable))
    else:
        print_line(variable.value)


@command(app, "set")
def set_variable(
    session: Session,
    key: KeyArgument,
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="[VALUE]",
            help="The value. Others on this machine can see what is typed here: leave a secret out, "
            "and it is asked for, or read from a pipe.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Read the value from this file; - is standard input.")
    ] = None,
    public: Annotated[
        bool | None,
        typer.Option("--public/--secret", help="Whether listings and logs may show the value. Default: secret."),
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
) -> None:
    """Creates or changes a variable."""
    if file is not None:
        value = read_secret_file(file)
    elif value is None or value == "-":
        value = read_secret(f"Value of {key}")
    request = SetVariableRequest(key=key, value=value, description=description, request_id=new_request_id())
    if public is not None:
        request.public = public
    client = session.client
    answer = client.call(client.variables.SetVariable, request)
    if session.output is Output.JSON:
        print_json(to_object(answer.variable))
    else:
        print_line(f"{key} is {'created' if answer.created else 'changed'}.")


@command(app, "delete")
def delete_variable(session: Session, key: KeyArgument) -> None:
    """Deletes a variable."""
    client = session.client
    client.call(client.variables.DeleteVariable, DeleteVariableRequest(key=key, request_id=new_request_id()))
    if session.output is Output.JSON:
        print_json({"key": key, "deleted": True})
    else:
        print_line(f"{key} is deleted.")
