"""`crosswind pools`: slots that tasks share."""

from typing import Annotated

import typer

from crosswind.cli.output import Output, print_json, print_line, print_rows
from crosswind.cli.rows import to_object
from crosswind.cli.session import Session, command
from crosswind.client.control_client import new_request_id
from crosswind.control.v1.pools_pb2 import DeletePoolRequest, GetPoolRequest, ListPoolsRequest, Pool, SetPoolRequest

app = typer.Typer(help="Pools: slots that tasks share.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The pool's name.")]
COLUMNS = ("name", "slots", "used_slots", "waiting_count", "description", "update_time")
SPARE = ("description", "update_time")


@command(app, "list")
def list_pools(session: Session) -> None:
    """Lists pools, with what is taken of them and how many task instances wait for some."""
    client = session.client
    pools = client.list_rows(client.pools.ListPools, ListPoolsRequest(), "pools")
    nothing = "There are no pools: make one with `crosswind pools set NAME SLOTS`."
    print_rows(map(to_object, pools), COLUMNS, output=session.output, spare=SPARE, empty=nothing)


@command(app, "get")
def get_pool(session: Session, name: NameArgument) -> None:
    """Shows a pool."""
    client = session.client
    pool = client.call(client.pools.GetPool, GetPoolRequest(name=name)).pool
    if session.output is Output.JSON:
        print_json(to_object(pool))
    else:
        print_line(_in_words(pool))


@command(app, "set")
def set_pool(
    session: Session,
    name: NameArgument,
    slots: Annotated[
        int | None, typer.Argument(metavar="[SLOTS]", help="How many slots it has; a new one needs them.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
) -> None:
    """Creates or changes a pool."""
    client = session.client
    request = SetPoolRequest(name=name, slots=slots, description=description, request_id=new_request_id())
    answer = client.call(client.pools.SetPool, request)
    if session.output is Output.JSON:
        print_json(to_object(answer.pool))
    else:
        print_line(f"{name} is {'created' if answer.created else 'changed'}: {_in_words(answer.pool)}")


@command(app, "delete")
def delete_pool(session: Session, name: NameArgument) -> None:
    """Deletes a pool. Tasks that name it wait until there is one again."""
    client = session.client
    client.call(client.pools.DeletePool, DeletePoolRequest(name=name, request_id=new_request_id()))
    if session.output is Output.JSON:
        print_json({"name": name, "deleted": True})
    else:
        print_line(f"{name} is deleted.")


def _in_words(pool: Pool) -> str:
    return f"{pool.used_slots} of {pool.slots} slots are taken, and {pool.waiting_count} task instances wait."
