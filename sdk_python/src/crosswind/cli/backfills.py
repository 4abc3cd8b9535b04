"""`crosswind backfills`: runs of a scheduled DAG for a span of the past."""

from typing import Annotated

import typer

from crosswind.cli.dags import ConfOption, DagArgument, encode_conf
from crosswind.cli.failures import usage_error
from crosswind.cli.moments import read_moment
from crosswind.cli.output import Output, note, print_json, print_line, print_object, print_rows
from crosswind.cli.rows import enum_name, enum_word, enum_words, to_object
from crosswind.cli.session import Session, command
from crosswind.client.control_client import new_request_id
from crosswind.control.v1.backfills_pb2 import (
    BackfillState,
    CancelBackfillRequest,
    CreateBackfillRequest,
    GetBackfillRequest,
    ListBackfillsRequest,
    ReprocessPolicy,
)

app = typer.Typer(help="Runs of a scheduled DAG for a span of the past.", no_args_is_help=True)

BackfillArgument = Annotated[str, typer.Argument(metavar="BACKFILL", help="The backfill's id.")]
COLUMNS = (
    "backfill_id",
    "dag_id",
    "state",
    "start_time",
    "end_time",
    "total_count",
    "created_count",
    "ended_count",
    "skipped_count",
    "create_time",
)
SPARE = ("create_time", "skipped_count", "end_time", "start_time")
PLANNED_COLUMNS = ("logical_time", "data_interval_start_time", "data_interval_end_time", "existing_run_id")


@command(app, "create")
def create_backfill(
    session: Session,
    dag: DagArgument,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="Begin of the span of logical times.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="End of the span, itself no part of it.")],
    reprocess: Annotated[
        str, typer.Option(help="Runs that are there already and are cleared: none, failed or ended.")
    ] = "none",
    reverse: Annotated[bool, typer.Option("--reverse", help="The latest run comes first.")] = False,
    max_active_runs: Annotated[
        int | None, typer.Option(min=1, max=1_000, help="So many at once. Otherwise as many as the DAG allows.")
    ] = None,
    conf: ConfOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which runs it would create.")] = False,
) -> None:
    """Creates the runs of a span that a DAG's schedule lacks. Times are ISO 8601, UTC where they have no zone."""
    policy = enum_name(ReprocessPolicy.DESCRIPTOR, reprocess)
    if policy is None:
        words = ", ".join(enum_words(ReprocessPolicy.DESCRIPTOR))
        raise usage_error(f"`{reprocess}` is no choice of --reprocess: use one of {words}.")
    request = CreateBackfillRequest(
        dag_id=dag,
        start_time=read_moment(start, "--from"),
        end_time=read_moment(end, "--to"),
        reverse=reverse,
        reprocess_policy=policy,
        max_active_runs=max_active_runs,
        dry_run=dry_run,
        request_id=new_request_id(),
    )
    if conf:
        request.conf.CopyFrom(encode_conf(conf))
    client = session.client
    answer = client.call(client.backfills.CreateBackfill, request)
    if session.output is Output.JSON:
        print_json(to_object(answer))
        return
    made = answer.backfill
    if not dry_run:
        print_line(
            f"{made.backfill_id} looks at {made.total_count} points in time of {dag}: "
            f"`crosswind backfills show {made.backfill_id}` tells how far it is."
        )
        return
    rows = map(to_object, answer.planned_runs)
    print_rows(rows, PLANNED_COLUMNS, output=session.output, spare=(), empty="There is nothing to create.")
    note(f"{made.created_count} of {made.total_count} runs would be created or cleared; nothing was changed.")


@command(app, "list")
def list_backfills(
    session: Session,
    dag_id: Annotated[str, typer.Argument(metavar="[DAG]", help="Only backfills of this DAG.")] = "",
    state: Annotated[list[str] | None, typer.Option(help="Only backfills in this state. May be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, the newest.")] = 50,
) -> None:
    """Lists backfills, those created last first."""
    client = session.client
    request = ListBackfillsRequest(dag_id=dag_id, states=[_state(word) for word in state or []])
    found = client.list_rows(client.backfills.ListBackfills, request, "backfills", limit=limit)
    print_rows(map(to_object, found), COLUMNS, output=session.output, spare=SPARE, empty="There are no such backfills.")


@command(app, "show")
def show_backfill(session: Session, backfill: BackfillArgument) -> None:
    """Shows a backfill. Its runs: `crosswind runs list --backfill BACKFILL`."""
    client = session.client
    found = client.call(client.backfills.GetBackfill, GetBackfillRequest(backfill_id=backfill)).backfill
    print_object(to_object(found), output=session.output)


@command(app, "cancel")
def cancel_backfill(session: Session, backfill: BackfillArgument) -> None:
    """Cancels a backfill: it creates no further run, and those that have not ended are cancelled."""
    client = session.client
    request = CancelBackfillRequest(backfill_id=backfill, request_id=new_request_id())
    cancelled = client.call(client.backfills.CancelBackfill, request).backfill
    if session.output is Output.JSON:
        print_json(to_object(cancelled))
    else:
        print_line(f"{cancelled.backfill_id} is {enum_word(BackfillState.DESCRIPTOR, cancelled.state)}.")


def _state(word: str) -> str:
    name = enum_name(BackfillState.DESCRIPTOR, word)
    if name is None:
        words = ", ".join(enum_words(BackfillState.DESCRIPTOR))
        raise usage_error(f"`{word}` is no state of a backfill: use one of {words}.")
    return name
