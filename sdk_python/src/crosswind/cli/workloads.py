"""`crosswind workloads`: what workers run beside tasks, and their logs."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration

from crosswind.cli.failures import usage_error
from crosswind.cli.log_records import print_log, read_pages
from crosswind.cli.output import Output, print_json, print_object, print_rows
from crosswind.cli.progress import FINAL_TASK_WORDS, PATIENCE_SECONDS, WAIT_SECONDS
from crosswind.cli.references import RUN_HELP, find_run
from crosswind.cli.rows import enum_name, enum_word, enum_words, to_object
from crosswind.cli.session import Session, command
from crosswind.cli.tasks import await_change
from crosswind.client.control_client import ControlClient, ControlError
from crosswind.control.v1.dag_runs_pb2 import GetDagRunRequest
from crosswind.control.v1.logs_pb2 import ReadLogsRequest, ReadLogsResponse
from crosswind.control.v1.states_pb2 import TaskState
from crosswind.control.v1.workloads_pb2 import (
    GetWorkloadRequest,
    ListWorkloadAttemptsRequest,
    ListWorkloadsRequest,
    WorkloadKind,
)

app = typer.Typer(help="Triggers, callbacks and timetables, and their logs.", no_args_is_help=True)

WorkloadArgument = Annotated[str, typer.Argument(metavar="ID", help="The workload, as `workloads list` shows it.")]
COLUMNS = (
    "workload_id",
    "kind",
    "callback_event",
    "entry_point",
    "state",
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "try_number",
    "waiting_detail",
    "queued_time",
    "worker",
)
SPARE = ("worker", "map_index", "waiting_detail", "callback_event", "queued_time", "try_number", "run_id", "dag_id")
ATTEMPT_COLUMNS = ("try_number", "state", "worker", "start_time", "duration", "attempt_id")


@command(app, "list")
def list_workloads(
    session: Session,
    dag_id: Annotated[str, typer.Argument(metavar="[DAG]", help="Only those of this DAG.")] = "",
    run: Annotated[str, typer.Option(metavar="RUN", help=f"Only those of this run: {RUN_HELP}")] = "",
    task: Annotated[str, typer.Option(help="Only those for this task of --run.")] = "",
    kind: Annotated[
        list[str] | None, typer.Option(help="Only triggers, callbacks or timetables: that word, in the singular.")
    ] = None,
    state: Annotated[list[str] | None, typer.Option(help="Only those in this state. May be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, the newest.")] = 50,
) -> None:
    """Lists triggers, callbacks and timetables, those made last first."""
    if task and not run:
        raise usage_error("--task names a task of a run: say which with --run.")
    if run and dag_id:
        raise usage_error("--run names its DAG: leave the argument out.")
    request = ListWorkloadsRequest(
        dag_id=dag_id,
        task_id=task,
        kinds=[_name(WorkloadKind.DESCRIPTOR, word, "kind of a workload") for word in kind or []],
        states=[_name(TaskState.DESCRIPTOR, word, "state") for word in state or []],
    )
    client = session.client
    if run:
        found = find_run(client, run)
        request.dag_id, request.run_id = found.dag_id, found.run_id
    rows = client.list_rows(client.workloads.ListWorkloads, request, "workloads", limit=limit)
    print_rows(map(to_object, rows), COLUMNS, output=session.output, spare=SPARE, empty="There are no such workloads.")


@command(app, "show")
def show_workload(session: Session, workload_id: WorkloadArgument) -> None:
    """Shows a trigger, callback or timetable: why it waits or failed, and its attempts, the newest first."""
    client = session.client
    shown = client.call(client.workloads.GetWorkload, GetWorkloadRequest(workload_id=workload_id)).workload
    listing = ListWorkloadAttemptsRequest(workload_id=workload_id)
    attempts = [*map(to_object, client.list_rows(client.workloads.ListWorkloadAttempts, listing, "attempts"))]
    row: dict[str, Any] = to_object(shown)
    if session.output is Output.JSON:
        print_json({**row, "attempts": attempts})
        return
    failure = shown.failure
    row["failure"] = f"{failure.type}: {failure.message}" if shown.HasField("failure") else None
    print_object(row, output=session.output)
    if attempts:
        print_rows(attempts, ATTEMPT_COLUMNS, output=session.output)


@command(app, "logs")
def read_logs(
    session: Session,
    workload_id: WorkloadArgument,
    try_number: Annotated[
        int | None, typer.Option("--try", min=1, help="Which try, from 1. Default: the last.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for what this try still writes, until it has ended.")
    ] = False,
) -> None:
    """Prints the log of a trigger, callback or timetable; as JSON one object a line."""
    request = ReadLogsRequest(workload_id=workload_id, try_number=try_number)
    pages = _follow_pages(session.client, request) if follow else read_pages(session.client, request)
    print_log(pages, output=session.output)


def _follow_pages(client: ControlClient, request: ReadLogsRequest) -> Iterator[ReadLogsResponse]:
    """The log of one attempt to its end. Waits for the workload to be assigned first."""
    request.wait.CopyFrom(Duration(seconds=int(WAIT_SECONDS)))
    while True:
        try:
            page = client.call(client.logs.ReadLogs, request, wait=WAIT_SECONDS, patience=PATIENCE_SECONDS)
        except ControlError as error:
            if error.reason != "LOG_NOT_FOUND" or request.attempt_id or request.HasField("try_number"):
                raise
            if not _await_assignment(client, request.workload_id):
                raise
            continue
        yield page
        if page.complete:
            return
        request.attempt_id, request.from_sequence = page.attempt_id, page.next_sequence


def _await_assignment(client: ControlClient, workload_id: str) -> bool:
    """Waits until a workload has an attempt; whether it has one. That of no run is not waited for."""
    named = GetWorkloadRequest(workload_id=workload_id)
    found = client.call(client.workloads.GetWorkload, named, patience=PATIENCE_SECONDS).workload
    if not found.run_id:
        return False
    one_run = GetDagRunRequest(dag_id=found.dag_id, run_id=found.run_id)
    # Its revision is older than what is read of the workload below, so that no change falls between.
    run = client.call(client.dag_runs.GetDagRun, one_run, patience=PATIENCE_SECONDS).dag_run
    listing = ListWorkloadAttemptsRequest(workload_id=workload_id, page_size=1)
    while True:
        found = client.call(client.workloads.GetWorkload, named, patience=PATIENCE_SECONDS).workload
        attempts = client.call(client.workloads.ListWorkloadAttempts, listing, patience=PATIENCE_SECONDS).attempts
        if attempts or enum_word(TaskState.DESCRIPTOR, found.state) in FINAL_TASK_WORDS:
            return bool(attempts)
        run = await_change(client, run)


def _name(enum: EnumDescriptor, word: str, what: str) -> Any:
    name = enum_name(enum, word)
    if name is None:
        raise usage_error(f"`{word}` is no {what}: use one of {', '.join(enum_words(enum))}.")
    return name
