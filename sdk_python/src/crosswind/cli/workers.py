"""`crosswind workers`: who runs tasks."""

from typing import Annotated, Any

import typer

from crosswind.cli.output import Output, print_json, print_line, print_rows
from crosswind.cli.rows import to_object
from crosswind.cli.session import Session, command
from crosswind.client.control_client import new_request_id
from crosswind.control.v1.states_pb2 import WorkerState
from crosswind.control.v1.workers_pb2 import (
    DrainWorkerRequest,
    ListWorkersRequest,
    MoveWorkerRequest,
    PauseWorkerRequest,
    Worker,
)

app = typer.Typer(help="Workers.", no_args_is_help=True)

COLUMNS = (
    "name",
    "state",
    "paused",
    "used_slots",
    "slots",
    "language",
    "api_version",
    "queues",
    "roles",
    "offers",
    "bundle_api_versions",
    "memory_bytes",
    "host",
    "last_heartbeat_time",
)
SPARE = ("host", "paused", "roles", "memory_bytes", "language", "bundle_api_versions", "last_heartbeat_time")


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


NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The worker's name.")]


@command(app, "pause")
def pause_worker(session: Session, name: NameArgument) -> None:
    """Gives a worker nothing new until it is unpaused; what it runs goes on."""
    _set_paused(session, name, paused=True)


@command(app, "unpause")
def unpause_worker(session: Session, name: NameArgument) -> None:
    """Lets a paused worker go on."""
    _set_paused(session, name, paused=False)


@command(app, "drain")
def drain_worker(session: Session, name: NameArgument) -> None:
    """Lets a worker finish what it runs, and stop."""
    client = session.client
    request = DrainWorkerRequest(name=name, request_id=new_request_id())
    worker = client.call(client.workers.DrainWorker, request).worker
    _print_worker(
        session, worker, f"{name} takes nothing new, and stops when its {worker.used_slots} used slots are free."
    )


@command(app, "move")
def move_worker(session: Session, name: NameArgument) -> None:
    """Lets a worker connect anew, to another server where there is one; what it runs goes on."""
    client = session.client
    request = MoveWorkerRequest(name=name, request_id=new_request_id())
    worker = client.call(client.workers.MoveWorker, request).worker
    _print_worker(session, worker, f"{name} is told to connect anew.")


def _set_paused(session: Session, name: str, *, paused: bool) -> None:
    client = session.client
    request = PauseWorkerRequest(name=name, paused=paused, request_id=new_request_id())
    worker = client.call(client.workers.PauseWorker, request).worker
    _print_worker(session, worker, f"{name} is {'paused' if paused else 'going on'}.")


def _print_worker(session: Session, worker: Worker, sentence: str) -> None:
    if session.output is Output.JSON:
        print_json(worker_row(worker))
    else:
        print_line(sentence)


def worker_row(worker: Worker) -> dict[str, Any]:
    """A worker as an object; for the table, `offers` names its bundles, and `bundle_api_versions` what these speak."""
    return {
        **to_object(worker),
        "offers": sorted({offered.bundle for offered in worker.bundles}),
        "bundle_api_versions": sorted({offered.api_version for offered in worker.bundles}),
    }
