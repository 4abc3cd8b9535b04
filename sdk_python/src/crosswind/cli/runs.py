"""`crosswind runs`: DAG runs, and waiting for one to end."""

from typing import Annotated

import typer

from crosswind.cli.failures import ExitCode, usage_error
from crosswind.cli.output import (
    Output,
    note,
    print_json,
    print_line,
    print_object,
    print_rows,
)
from crosswind.cli.progress import (
    elapsed_text,
    failure_text,
    instance_name,
    list_failures,
    list_task_summaries,
    open_view,
    watch_run,
)
from crosswind.cli.references import RUN_HELP, find_run, run_name
from crosswind.cli.rows import enum_name, enum_word, enum_words, to_object
from crosswind.cli.session import Session, command
from crosswind.client.control_client import ControlClient, new_request_id
from crosswind.control.v1.dag_runs_pb2 import (
    CancelDagRunRequest,
    ClearDagRunRequest,
    DagRun,
    ListDagRunsRequest,
    SetDagRunStateRequest,
    UpdateDagRunRequest,
)
from crosswind.control.v1.states_pb2 import RUN_STATE_SUCCEEDED, RunState

app = typer.Typer(help="Runs of DAGs.", no_args_is_help=True)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)]
COLUMNS = ("dag_id", "run_id", "state", "type", "queued_time", "start_time", "duration", "triggered_by")
SPARE = ("type", "queued_time", "triggered_by", "start_time")
TASK_COLUMNS = ("task_id", "state", "try_number", "waiting_detail", "start_time", "duration", "worker")
TASK_SPARE = ("worker", "start_time", "waiting_detail")


@command(app, "list")
def list_runs(
    session: Session,
    dag_id: Annotated[str, typer.Argument(metavar="[DAG]", help="Only runs of this DAG.")] = "",
    state: Annotated[list[str] | None, typer.Option(help="Only runs in this state. May be repeated.")] = None,
    backfill: Annotated[str, typer.Option(help="Only runs of this backfill.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most this many, the newest.")] = 50,
) -> None:
    """Lists runs, those created last first."""
    client = session.client
    states = [parse_state(word) for word in state or []]
    request = ListDagRunsRequest(dag_id=dag_id, states=states, backfill_id=backfill)
    runs = client.list_rows(client.dag_runs.ListDagRuns, request, "dag_runs", limit=limit)
    print_rows(map(to_object, runs), COLUMNS, output=session.output, spare=SPARE, empty="There are no such runs.")


@command(app, "show")
def show_run(
    session: Session,
    run: RunArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Show progress until the run has ended.")] = False,
) -> int:
    """Shows a run and its tasks. With --watch the exit code says how it ended: 0 succeeded, 1 not."""
    found = find_run(session.client, run)
    if watch:
        return follow_run(session.client, found, output=session.output)
    print_run(session.client, found, output=session.output)
    return ExitCode.DONE


@command(app, "note")
def note_run(
    session: Session,
    run: RunArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The note, at most 4 KiB; empty removes it.")],
) -> None:
    """Writes a note about a run, in place of the one that it has."""
    client = session.client
    found = find_run(client, run)
    request = UpdateDagRunRequest(dag_id=found.dag_id, run_id=found.run_id, note=text, request_id=new_request_id())
    noted = client.call(client.dag_runs.UpdateDagRun, request).dag_run
    if session.output is Output.JSON:
        print_json(to_object(noted))
    else:
        print_line(f"The note of {run_name(noted)} is {'changed' if noted.note else 'removed'}.")


@command(app, "cancel")
def cancel_run(session: Session, run: RunArgument) -> None:
    """Cancels a run: nothing more of it starts, and what runs is told to stop."""
    client = session.client
    found = find_run(client, run)
    request = CancelDagRunRequest(dag_id=found.dag_id, run_id=found.run_id, request_id=new_request_id())
    cancelled = client.call(client.dag_runs.CancelDagRun, request).dag_run
    if session.output is Output.JSON:
        print_json(to_object(cancelled))
    else:
        print_line(f"{run_name(cancelled)} is {enum_word(RunState.DESCRIPTOR, cancelled.state)}.")


@command(app, "clear")
def clear_run(
    session: Session,
    run: RunArgument,
    only_failed: Annotated[
        bool, typer.Option("--only-failed", help="Only what failed or was cancelled, and all that depends on it.")
    ] = False,
    newest: Annotated[bool, typer.Option("--newest", help="Go on with the current version of the DAG.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, only count.")] = False,
) -> None:
    """Runs the tasks of a run again. What their earlier tries logged is kept."""
    client = session.client
    found = find_run(client, run)
    request = ClearDagRunRequest(
        dag_id=found.dag_id,
        run_id=found.run_id,
        only_failed=only_failed,
        use_current_version=newest,
        dry_run=dry_run,
        request_id=new_request_id(),
    )
    cleared = client.call(client.dag_runs.ClearDagRun, request)
    if session.output is Output.JSON:
        print_json(to_object(cleared))
    else:
        print_line(f"{cleared_text(cleared.cleared_count, dry_run=dry_run)} of {run_name(found)}.")


@command(app, "mark")
def mark_run(
    session: Session,
    run: RunArgument,
    state: Annotated[str, typer.Argument(metavar="STATE", help="`succeeded` or `failed`.")],
) -> None:
    """Ends a run by your word: what runs is told to stop, and nothing more of it starts."""
    client = session.client
    found = find_run(client, run)
    request = SetDagRunStateRequest(
        dag_id=found.dag_id, run_id=found.run_id, state=parse_state(state), request_id=new_request_id()
    )
    marked = client.call(client.dag_runs.SetDagRunState, request).dag_run
    if session.output is Output.JSON:
        print_json(to_object(marked))
    else:
        print_line(f"{run_name(marked)} is {enum_word(RunState.DESCRIPTOR, marked.state)}.")


def cleared_text(count: int, *, dry_run: bool) -> str:
    """How many task instances were cleared, as the beginning of a sentence."""
    verb = "would run again" if dry_run else "run again" if count != 1 else "runs again"
    return f"{count} task {'instance' if count == 1 else 'instances'} {verb}"


def parse_state(word: str) -> str:
    """The name of the run state that people call so."""
    name = enum_name(RunState.DESCRIPTOR, word)
    if name is None:
        raise usage_error(f"`{word}` is no state of a run: use one of {', '.join(enum_words(RunState.DESCRIPTOR))}.")
    return name


def print_run(client: ControlClient, run: DagRun, *, output: Output) -> None:
    """Prints a run, for people with its tasks."""
    row = to_object(run)
    if output is Output.JSON:
        print_json(row)
        return
    # The revision is for programs that wait for the next one.
    shown = {name: value for name, value in row.items() if name != "revision"}
    print_object({**shown, "duration": row["start_time"]}, output=output)
    print_line("")
    tasks = map(to_object, list_task_summaries(client, run))
    print_rows(tasks, TASK_COLUMNS, output=output, spare=TASK_SPARE, empty="The run has no tasks.")


def follow_run(client: ControlClient, run: DagRun, *, output: Output) -> int:
    """Shows a run until it has ended, then says how.

    Returns:
        0 when it succeeded, 1 when it did not, 130 after Ctrl-C.
    """
    name = run_name(run)
    try:
        ended = watch_run(client, run, open_view())
    except KeyboardInterrupt:
        note(f"\nNo longer watching; {name} goes on. Cancel it with `crosswind runs cancel {name}`.")
        return ExitCode.INTERRUPTED
    if output is Output.JSON:
        print_json(to_object(ended))
    else:
        took = elapsed_text(ended.queued_time, ended.end_time)
        print_line(f"{name} {enum_word(RunState.DESCRIPTOR, ended.state)} after {took}.")
    if ended.state == RUN_STATE_SUCCEEDED:
        return ExitCode.DONE
    report_failures(client, ended)
    return ExitCode.FAILED


def report_failures(client: ControlClient, run: DagRun) -> None:
    """Says on stderr which tasks failed, why, and where to read more."""
    for task in list_failures(client, run):
        index = f" --map-index {task.map_index}" if task.HasField("map_index") else ""
        note(
            f"{instance_name(task)} failed: {failure_text(task) if task.HasField('failure') else 'no reason was given'}"
        )
        note(f"  its log: crosswind tasks logs {run_name(run)} {task.task_id}{index}")
