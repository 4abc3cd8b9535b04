"""`crosswind workers`: who runs tasks."""

from typing import Annotated, Any

import typer

from crosswind.cli.output import print_rows
from crosswind.cli.rows import to_object
from crosswind.cli.session import Session, command
from crosswind.control.v1.states_pb2 import WorkerState
from crosswind.control.v1.workers_pb2 import ListWorkersRequest, Worker

app = typer.Typer(help="Workers.", no_args_is_help=True)

COLUMNS = (
    "name",
    "state",
    "slots",
    "language",
    "api_version",
    "queues",
    "offers",
    "bundle_api_versions",
    "memory_bytes",
    "host",
    "last_heartbeat_time",
)
SPARE = ("host", "memory_bytes", "language", "bundle_api_versions", "last_heartbeat_time")


@command(app, "list")
def list_workers(
    session: Session,
    everyone: Annotated[bool, typer.Option("--all", help="Also those that have left or were superseded.")] = False,
    bundle: Annotated[str, typer.Option(help="Only workers that offer this bundle.")] = "",
    queue: Annotated[str, typer.Option(help="Only workers that serve this queue.")] = "",
) -> None:
    """Lists workers."""
    client = session.client
    states = [name for name, number in WorkerState.items() if number] if everyone else []
    request = ListWorkersRequest(states=states, bundle=bundle, queue=queue)
    workers = client.list_rows(client.workers.ListWorkers, request, "workers")
    print_rows(
        map(worker_row, workers),
        COLUMNS,
        output=session.output,
        spare=SPARE,
        empty="There are no such workers: start one with `crosswind-worker --dags DIR`.",
    )


def worker_row(worker: Worker) -> dict[str, Any]:
    """A worker as an object; for the table, `offers` names its bundles, and `bundle_api_versions` what these speak."""
    return {
        **to_object(worker),
        "offers": sorted({offered.bundle for offered in worker.bundles}),
        "bundle_api_versions": sorted({offered.api_version for offered in worker.bundles}),
    }
