"""`crosswind tasks`: the task instances of a run, and their logs."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from google.protobuf.duration_pb2 import Duration

from crosswind.cli.failures import CommandError, usage_error
from crosswind.cli.log_records import print_log, read_pages
from crosswind.cli.output import Output, note, print_json, print_line, print_rows
from crosswind.cli.progress import (
    FINAL_RUN_STATES,
    FINAL_TASK_WORDS,
    PATIENCE_SECONDS,
    WAIT_SECONDS,
    instance_name,
    state_word,
)
from crosswind.cli.references import RUN_HELP, find_run, run_name
from crosswind.cli.rows import enum_name, pick, to_object
from crosswind.cli.runs import cleared_text
from crosswind.cli.session import Session, command
from crosswind.client.control_client import ControlClient, ControlError, new_request_id
from crosswind.control.v1.dag_runs_pb2 import DagRun, GetDagRunRequest
from crosswind.control.v1.logs_pb2 import ReadLogsRequest, ReadLogsResponse
from crosswind.control.v1.states_pb2 import TaskState
from crosswind.control.v1.task_instances_pb2 import (
    Attempt,
    CancelTaskInstanceRequest,
    ClearTaskInstancesRequest,
    GetTaskInstanceRequest,
    ListAttemptsRequest,
    ListTaskInstancesRequest,
    SetTaskInstanceStateRequest,
    TaskInstance,
)

app = typer.Typer(help="Tasks of a run, and their logs.", no_args_is_help=True)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)]
TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="The task's id.")]
MapIndexOption = Annotated[
    int | None, typer.Option("--map-index", min=0, help="Which instance of a mapped task, from 0.")
]
# The first ten are what scripts may rely on; they stand first and in this order.
JSON_FIELDS = (
    "task_id",
    "map_index",
    "try_number",
    "state",
    "waiting_reason",
    "queued_time",
    "start_time",
    "end_time",
    "worker",
    "language",
)
COLUMNS = (
    "task_id",
    "map_index",
    "map_label",
    "try_number",
    "state",
    "waiting_detail",
    "start_time",
    "duration",
    "worker",
)
SPARE = ("worker", "map_label", "map_index", "waiting_detail")
ATTEMPT_COLUMNS = ("try_number", "state", "start_time", "duration", "worker", "log_record_count", "why")


@command(app, "list")
def list_tasks(
    session: Session,
    run: RunArgument,
    summaries: Annotated[
        bool, typer.Option("--summaries", help="Also show a mapped task as a whole, beside its instances.")
    ] = False,
) -> None:
    """Lists the tasks of a run, a mapped one by its instances."""
    client = session.client
    found = find_run(client, run)
    request = ListTaskInstancesRequest(dag_id=found.dag_id, run_id=found.run_id)
    tasks = client.list_rows(client.task_instances.ListTaskInstances, request, "task_instances")
    listed = (task for task in tasks if summaries or not is_summary(task))
    print_rows(map(task_row, listed), COLUMNS, output=session.output, spare=SPARE, empty="The run has no tasks.")


@command(app, "logs")
def read_logs(
    session: Session,
    run: RunArgument,
    task: TaskArgument,
    map_index: MapIndexOption = None,
    try_number: Annotated[
        int | None, typer.Option("--try", min=1, help="Which try, from 1. Default: the last.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Wait for what the task still writes, in further tries too, until it has ended."
        ),
    ] = False,
) -> None:
    """Prints the log of a task; as JSON one object a line."""
    client = session.client
    found = find_run(client, run)
    request = ReadLogsRequest(
        dag_id=found.dag_id, run_id=found.run_id, task_id=task, map_index=map_index, try_number=try_number
    )
    pages = _follow_pages(client, found, request) if follow else _read_pages(client, found, request)
    print_log(pages, output=session.output)


@command(app, "clear")
def clear_tasks(
    session: Session,
    run: RunArgument,
    tasks: Annotated[list[str], typer.Argument(metavar="TASK...", help="Ids of tasks.")],
    map_index: MapIndexOption = None,
    downstream: Annotated[bool, typer.Option("--downstream", help="And all that depends on them.")] = False,
    upstream: Annotated[bool, typer.Option("--upstream", help="And all that they depend on.")] = False,
    only_failed: Annotated[
        bool, typer.Option("--only-failed", help="Of all these only what failed or was cancelled.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, only count.")] = False,
) -> None:
    """Runs tasks again. What their earlier tries logged is kept."""
    client = session.client
    found = find_run(client, run)
    selection = ClearTaskInstancesRequest.TaskSelection
    request = ClearTaskInstancesRequest(
        dag_id=found.dag_id,
        run_id=found.run_id,
        selections=[selection(task_id=task, map_index=map_index) for task in tasks],
        include_upstream=upstream,
        include_downstream=downstream,
        only_failed=only_failed,
        dry_run=dry_run,
        request_id=new_request_id(),
    )
    cleared = client.call(client.task_instances.ClearTaskInstances, request)
    if session.output is Output.JSON:
        print_json(to_object(cleared))
        return
    names = f": {', '.join(cleared.task_ids)}" if cleared.task_ids else ""
    print_line(f"{cleared_text(cleared.cleared_count, dry_run=dry_run)} of {run_name(found)}{names}.")


@command(app, "mark")
def mark_task(
    session: Session,
    run: RunArgument,
    task: TaskArgument,
    state: Annotated[str, typer.Argument(metavar="STATE", help="`succeeded`, `failed` or `skipped`.")],
    map_index: MapIndexOption = None,
) -> None:
    """Says how a task ended, though it did not run so. What depends on it goes on."""
    word = enum_name(TaskState.DESCRIPTOR, state)
    if word is None:
        raise usage_error(f"`{state}` is no state of a task: use succeeded, failed or skipped.")
    client = session.client
    found = find_run(client, run)
    request = SetTaskInstanceStateRequest(
        dag_id=found.dag_id,
        run_id=found.run_id,
        task_id=task,
        map_index=map_index,
        state=word,
        request_id=new_request_id(),
    )
    _print_changed(session, found, client.call(client.task_instances.SetTaskInstanceState, request).task_instance)


@command(app, "cancel")
def cancel_task(session: Session, run: RunArgument, task: TaskArgument, map_index: MapIndexOption = None) -> None:
    """Cancels a task; the rest of the run goes on."""
    client = session.client
    found = find_run(client, run)
    request = CancelTaskInstanceRequest(
        dag_id=found.dag_id, run_id=found.run_id, task_id=task, map_index=map_index, request_id=new_request_id()
    )
    _print_changed(session, found, client.call(client.task_instances.CancelTaskInstance, request).task_instance)


@command(app, "attempts")
def list_attempts(session: Session, run: RunArgument, task: TaskArgument, map_index: MapIndexOption = None) -> None:
    """Lists the attempts of a task, the newest first, also those from before it was cleared."""
    client = session.client
    found = find_run(client, run)
    request = ListAttemptsRequest(dag_id=found.dag_id, run_id=found.run_id, task_id=task, map_index=map_index)
    attempts = client.list_rows(client.task_instances.ListAttempts, request, "attempts")
    rows = ({**to_object(each), "why": each.failure.message or None} for each in attempts)
    print_rows(
        rows,
        ATTEMPT_COLUMNS,
        output=session.output,
        spare=("worker", "log_record_count", "why"),
        empty="The task has no attempt yet.",
    )


def _print_changed(session: Session, run: DagRun, task: TaskInstance) -> None:
    if session.output is Output.JSON:
        print_json(task_row(task))
    else:
        print_line(f"{instance_name(task)} of {run_name(run)} is {state_word(task)}.")


def is_summary(task: TaskInstance) -> bool:
    """Whether this is a mapped task as a whole whose instances are listed too."""
    return task.mapped and not task.HasField("map_index") and task.mapped_total > 0


def task_row(task: TaskInstance) -> dict[str, Any]:
    """A task instance as an object; the fields that scripts rely on come first."""
    row = to_object(task)
    return {**pick(row, JSON_FIELDS), **{name: value for name, value in row.items() if name not in JSON_FIELDS}}


def _read_pages(client: ControlClient, run: DagRun, request: ReadLogsRequest) -> Iterator[ReadLogsResponse]:
    """What is there now."""
    try:
        yield from read_pages(client, request)
    except ControlError as error:
        raise _explain(client, run, request, error) from None


def _follow_pages(client: ControlClient, run: DagRun, request: ReadLogsRequest) -> Iterator[ReadLogsResponse]:
    """What is there, and what comes, until no more can come: of one try where one was named, else of all from now on.

    Waits for the task to be assigned first.
    """
    every_try = not request.HasField("try_number")
    while True:
        yield from _follow_attempt(client, run, request)
        following = _await_next_attempt(client, run, request) if every_try else None
        if following is None:
            return
        note(f"... try {following.try_number} ...")
        request.attempt_id, request.from_sequence = following.attempt_id, 0


def _follow_attempt(client: ControlClient, run: DagRun, request: ReadLogsRequest) -> Iterator[ReadLogsResponse]:
    """The log of one attempt to its end; afterwards the request names the attempt."""
    request.wait.CopyFrom(Duration(seconds=int(WAIT_SECONDS)))
    while True:
        try:
            page = client.call(client.logs.ReadLogs, request, wait=WAIT_SECONDS, patience=PATIENCE_SECONDS)
        except ControlError as error:
            if error.reason != "LOG_NOT_FOUND" or request.attempt_id or run.state in FINAL_RUN_STATES:
                raise _explain(client, run, request, error) from None
            run = await_change(client, run)
            continue
        yield page
        request.attempt_id, request.from_sequence = page.attempt_id, page.next_sequence
        if page.complete:
            return


def _await_next_attempt(client: ControlClient, run: DagRun, request: ReadLogsRequest) -> Attempt | None:
    """The attempt after the one of the request, as soon as there is one; None when the task has ended without."""
    index = request.map_index if request.HasField("map_index") else None
    named = GetTaskInstanceRequest(dag_id=run.dag_id, run_id=run.run_id, task_id=request.task_id, map_index=index)
    listing = ListAttemptsRequest(dag_id=run.dag_id, run_id=run.run_id, task_id=request.task_id, map_index=index)
    one_run = GetDagRunRequest(dag_id=run.dag_id, run_id=run.run_id)
    # Its revision is older than what is read of the task below, so that no change falls between.
    run = client.call(client.dag_runs.GetDagRun, one_run, patience=PATIENCE_SECONDS).dag_run
    while True:
        found = client.call(client.task_instances.GetTaskInstance, named, patience=PATIENCE_SECONDS).task_instance
        newer: Attempt | None = None
        listing.page_token = ""
        attempts = client.list_rows(client.task_instances.ListAttempts, listing, "attempts", patience=PATIENCE_SECONDS)
        for attempt in attempts:  # the newest first
            if attempt.attempt_id == request.attempt_id:
                break
            newer = attempt
        if newer is not None or state_word(found) in FINAL_TASK_WORDS:
            return newer
        run = await_change(client, run)


def await_change(client: ControlClient, run: DagRun) -> DagRun:
    """The run as soon as anything of it is other than in `run`, or after a while."""
    request = GetDagRunRequest(
        dag_id=run.dag_id,
        run_id=run.run_id,
        wait=Duration(seconds=int(WAIT_SECONDS)),
        known_revision=run.revision,
    )
    return client.call(client.dag_runs.GetDagRun, request, wait=WAIT_SECONDS, patience=PATIENCE_SECONDS).dag_run


def _explain(
    client: ControlClient, run: DagRun, request: ReadLogsRequest, error: ControlError
) -> CommandError | ControlError:
    """Says what to type instead, where the task is mapped and no instance was named."""
    if error.reason not in ("LOG_NOT_FOUND", "INVALID_ARGUMENT") or request.HasField("map_index"):
        return error
    named = GetTaskInstanceRequest(dag_id=run.dag_id, run_id=run.run_id, task_id=request.task_id)
    task = client.call(client.task_instances.GetTaskInstance, named).task_instance
    if task.mapped and task.mapped_total:
        return CommandError(
            f"{request.task_id} of {run_name(run)} is mapped: name one of its instances with --map-index, "
            f"0 to {task.mapped_total - 1}."
        )
    return error
