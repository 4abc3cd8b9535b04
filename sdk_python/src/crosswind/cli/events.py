"""`crosswind events`: named events from outside, for tasks that wait for them."""

import json
from datetime import timedelta
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration

from crosswind.cli.failures import usage_error
from crosswind.cli.output import Output, print_json, print_line
from crosswind.cli.session import Session, command
from crosswind.client.control_client import new_request_id
from crosswind.control.v1.events_pb2 import DeliverEventRequest
from crosswind.value.v1.value_pb2 import Payload

app = typer.Typer(help="Named events that tasks wait for.", no_args_is_help=True)


@command(app, "deliver")
def deliver_event(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The event's name.")],
    payload: Annotated[str, typer.Option(help="What it brings: JSON.")] = "",
    dag: Annotated[str, typer.Option(help="Only to tasks of this DAG.")] = "",
    run: Annotated[str, typer.Option(help="Only to tasks of this run of --dag.")] = "",
    keep: Annotated[
        float, typer.Option(min=0, help="Seconds for which it is kept for tasks that begin to wait later.")
    ] = 0,
) -> None:
    """Delivers an event to all tasks that wait for it; they go on."""
    brought = None
    if payload:
        try:
            json.loads(payload)
        except ValueError:
            raise usage_error('--payload is JSON, such as \'{"path": "/data/1"}\'.') from None
        brought = Payload(encoding="json/utf-8", data=payload.encode())
    span = Duration()
    span.FromTimedelta(timedelta(seconds=keep))
    client = session.client
    request = DeliverEventRequest(
        name=name, payload=brought, dag_id=dag, run_id=run, keep=span, request_id=new_request_id()
    )
    count = client.call(client.events.DeliverEvent, request).delivered_count
    if session.output is Output.JSON:
        print_json({"delivered_count": count})
        return
    print_line(f"Delivered '{name}' to {count} task{'' if count == 1 else 's'}.")
