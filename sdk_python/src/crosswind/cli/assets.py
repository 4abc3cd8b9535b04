"""`crosswind assets`: assets that DAGs read, write and wait for, and their events."""

import json
from typing import Annotated, Any

import typer

from crosswind.cli.failures import usage_error
from crosswind.cli.output import Output, print_json, print_line, print_rows
from crosswind.cli.rows import to_object
from crosswind.cli.session import Session, command
from crosswind.client.control_client import new_request_id
from crosswind.control.v1.assets_pb2 import (
    Asset,
    AssetEvent,
    CreateAssetEventRequest,
    ListAssetEventsRequest,
    ListAssetsRequest,
)
from crosswind.value.v1.value_pb2 import Payload

app = typer.Typer(help="Assets, and what happened to them.", no_args_is_help=True)

COLUMNS = ("name", "alias", "event_count", "last_event_time", "scheduled_dag_ids", "uri")
SPARE = ("uri", "scheduled_dag_ids")
EVENT_COLUMNS = ("event_time", "asset_name", "partition_key", "source", "created")
EVENT_SPARE = ("source", "created")


@command(app, "list")
def list_assets(
    session: Session,
    prefix: Annotated[str, typer.Argument(metavar="[PREFIX]", help="Only assets whose names begin so.")] = "",
) -> None:
    """Lists assets by name."""
    client = session.client
    assets = client.list_rows(client.assets.ListAssets, ListAssetsRequest(name_prefix=prefix), "assets")
    rows = map(to_object if session.output is Output.JSON else asset_row, assets)
    print_rows(rows, COLUMNS, output=session.output, spare=SPARE, empty="There are no such assets.")


@command(app, "events")
def list_events(
    session: Session,
    asset: Annotated[str, typer.Argument(metavar="[ASSET]", help="Only events of this asset.")] = "",
    partition: Annotated[str | None, typer.Option(help="Only events of this partition.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, the newest.")] = 50,
) -> None:
    """Lists events of assets, the newest first, with the runs that each one created."""
    client = session.client
    request = ListAssetEventsRequest(asset_name=asset, partition_key=partition)
    events = client.list_rows(client.assets.ListAssetEvents, request, "asset_events", limit=limit)
    rows = map(to_object if session.output is Output.JSON else event_row, events)
    print_rows(rows, EVENT_COLUMNS, output=session.output, spare=EVENT_SPARE, empty="There are no events.")


@command(app, "emit")
def emit_event(
    session: Session,
    asset: Annotated[str, typer.Argument(metavar="ASSET", help="The asset's name.")],
    partition: Annotated[str, typer.Option(help="Its partition.")] = "",
    extra: Annotated[str, typer.Option(help="What comes with it: a JSON object.")] = "",
) -> None:
    """Says that an asset changed, as if a task had done it: DAGs that wait for it run."""
    payload = None
    if extra:
        try:
            if not isinstance(json.loads(extra), dict):
                raise ValueError
        except ValueError:
            raise usage_error("--extra is a JSON object, such as '{\"rows\": 3}'.") from None
        payload = Payload(encoding="json/utf-8", data=extra.encode())
    client = session.client
    request = CreateAssetEventRequest(
        asset_name=asset, partition_key=partition, extra=payload, request_id=new_request_id()
    )
    event = client.call(client.assets.CreateAssetEvent, request).asset_event
    if session.output is Output.JSON:
        print_json(to_object(event))
        return
    runs = runs_text(event)
    print_line(f"Recorded an event of {asset}" + (f"; it created {runs}." if runs else "."))


def asset_row(asset: Asset) -> dict[str, Any]:
    """An asset as a row of a table."""
    return {**to_object(asset), "scheduled_dag_ids": ", ".join(asset.scheduled_dag_ids)}


def event_row(event: AssetEvent) -> dict[str, Any]:
    """An event as a row of a table."""
    task = event.task
    source = event.subject or f"{task.dag_id}/{task.run_id} {task.task_id}"
    return {**to_object(event), "source": source, "created": runs_text(event)}


def runs_text(event: AssetEvent) -> str:
    """The runs that an event created, as people name them."""
    return ", ".join(f"{run.dag_id}/{run.run_id}" for run in event.triggered_runs)
