"""`crosswind dags`: what bundles have published, and starting it; `check` reads a DAG file without any server."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from crosswind.cli.bundles import note_problems
from crosswind.cli.failures import ExitCode, usage_error
from crosswind.cli.moments import read_moment
from crosswind.cli.output import (
    DIGEST_SHOWN,
    Output,
    make_table,
    note,
    print_json,
    print_line,
    print_object,
    print_rows,
    print_table,
)
from crosswind.cli.references import run_name
from crosswind.cli.rows import enum_word, to_object
from crosswind.cli.runs import follow_run
from crosswind.cli.session import Session, command
from crosswind.cli.versions import find_dag_version
from crosswind.client.control_client import new_request_id
from crosswind.control.v1.bundles_pb2 import Bundle, ListBundlesRequest
from crosswind.control.v1.dag_runs_pb2 import TriggerDagRunRequest
from crosswind.control.v1.dags_pb2 import (
    Dag,
    GetDagRequest,
    GetDagVersionRequest,
    ListDagsRequest,
    ListDagVersionsRequest,
    UpdateDagRequest,
)
from crosswind.control.v1.states_pb2 import RunState
from crosswind.manifest.v1 import dag_pb2
from crosswind.value.v1.value_pb2 import Payload

app = typer.Typer(help="DAGs, and starting runs of them.", no_args_is_help=True)

DagArgument = Annotated[str, typer.Argument(metavar="DAG", help="The DAG's id.")]
ConfOption = Annotated[
    str, typer.Option("--conf", metavar="JSON", help="Parameters of the run: a JSON object, or @FILE with one.")
]
COLUMNS = (
    "dag_id",
    "bundle",
    "paused",
    "offered",
    "schedule",
    "next_run_time",
    "task_count",
    "latest_run_id",
    "latest_run_state",
)
VERSION_COLUMNS = (
    "version_number",
    "dag_version_id",
    "current",
    "offered",
    "task_count",
    "bundle",
    "bundle_versions",
    "create_time",
)
SPARE = ("next_run_time", "schedule", "bundle", "task_count", "offered", "paused")


@command(app, "list")
def list_dags(
    session: Session,
    containing: Annotated[str, typer.Argument(metavar="[TEXT]", help="Only DAGs whose id contains this.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="Only DAGs with this tag. May be repeated.")] = None,
    bundle: Annotated[str, typer.Option(help="Only DAGs of this bundle.")] = "",
    removed: Annotated[bool, typer.Option("--removed", help="Also DAGs that their bundle no longer has.")] = False,
) -> None:
    """Lists the DAGs, and says which sources of their bundles could not be read."""
    client = session.client
    request = ListDagsRequest(dag_id_contains=containing, tags=tag or [], bundle=bundle, include_removed=removed)
    dags = list(client.list_rows(client.dags.ListDags, request, "dags"))
    print_rows(
        map(to_object, dags),
        COLUMNS,
        output=session.output,
        spare=SPARE,
        empty="There are no such DAGs: a worker publishes them, `crosswind-worker --dags DIR`.",
    )
    if session.output is Output.TABLE:
        bundles = client.list_rows(client.bundles.ListBundles, ListBundlesRequest(), "bundles")
        _note_broken([each for each in bundles if bundle in ("", each.bundle)], dags)


@command(app, "show")
def show_dag(
    session: Session,
    dag: DagArgument,
    version: Annotated[
        str, typer.Option(metavar="VERSION", help="A version of it, or how it begins. Default: the current one.")
    ] = "",
) -> None:
    """Shows a DAG and its tasks."""
    client = session.client
    if version:
        wanted = GetDagVersionRequest(dag_id=dag, dag_version_id=find_dag_version(client, dag, version))
        found = client.call(client.dags.GetDagVersion, wanted)
        _print_dag(session, to_object(found.dag_version), found.manifest)
        return
    answer = client.call(client.dags.GetDag, GetDagRequest(dag_id=dag, include_manifest=True))
    _print_dag(session, to_object(answer.dag), answer.manifest)


def _print_dag(session: Session, shown: dict[str, Any], manifest: dag_pb2.Dag) -> None:
    tasks = [to_object(task) for task in manifest.tasks]
    if session.output is Output.JSON:
        print_json({**shown, "manifest": to_object(manifest)})
        return
    print_object(shown, output=session.output)
    print_line("")
    rows = [{**task, "depends_on": [_edge_text(edge) for edge in task["upstream"]]} for task in tasks]
    print_table(make_table(rows, ("task_id", "entry_point", "language", "depends_on", "queue")))


def _edge_text(edge: Mapping[str, Any]) -> str:
    return f"{edge['task_id']} ({edge['label']})" if edge["label"] else str(edge["task_id"])


@command(app, "versions")
def list_versions(session: Session, dag: DagArgument) -> None:
    """Lists the versions of a DAG, the newest first."""
    client = session.client
    found = client.list_rows(client.dags.ListDagVersions, ListDagVersionsRequest(dag_id=dag), "dag_versions")
    print_rows(map(to_object, found), VERSION_COLUMNS, output=session.output, spare=("bundle_versions", "bundle"))


@command(app, "check")
def check_dags(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A DAG file, or a folder of them.")],
) -> int:
    """Reads DAG files as a worker would and reports what is wrong, by file and line. Needs no server."""
    from crosswind.author.checking import check_path  # here, because only this command reads DAG code

    try:
        report = check_path(path)
    except FileNotFoundError:
        raise usage_error(f"There is nothing at {path}: name a DAG file, or a folder of them.") from None
    if session.output is Output.JSON:
        print_json({"dag_ids": list(report.dag_ids), "findings": [asdict(finding) for finding in report.findings]})
    else:
        for finding in report.findings:
            print_line(str(finding))
        if report.ok:
            print_line(f"{path} is in order: {', '.join(report.dag_ids) or 'no DAGs'}.")
    return ExitCode.DONE if report.ok else ExitCode.FAILED


@command(app, "trigger")
def trigger_dag(
    session: Session,
    dag: DagArgument,
    conf: ConfOption = "",
    run_id: Annotated[str, typer.Option("--run-id", help="Name of the run. Otherwise the server makes one.")] = "",
    logical_time: Annotated[
        str, typer.Option("--logical-time", metavar="TIME", help="The moment that the run is about, ISO 8601.")
    ] = "",
    remark: Annotated[str, typer.Option("--note", help="A note for people.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until the run has ended.")] = False,
) -> int:
    """Starts a run of a DAG. With --wait the exit code says how it ended: 0 succeeded, 1 not."""
    request = TriggerDagRunRequest(dag_id=dag, run_id=run_id, note=remark, request_id=new_request_id())
    if conf:
        request.conf.CopyFrom(encode_conf(conf))
    if logical_time:
        request.logical_time.CopyFrom(read_moment(logical_time, "--logical-time"))
    client = session.client
    run = client.call(client.dag_runs.TriggerDagRun, request).dag_run
    if wait:
        return follow_run(client, run, output=session.output)
    if session.output is Output.JSON:
        print_json(to_object(run))
    else:
        print_line(
            f"{run_name(run)} is {enum_word(RunState.DESCRIPTOR, run.state)}: "
            f"`crosswind runs show {run_name(run)} --watch` follows it."
        )
    return ExitCode.DONE


@command(app, "pause")
def pause_dag(session: Session, dag: DagArgument) -> None:
    """Pauses a DAG: nothing of it is scheduled or assigned; what runs goes on."""
    _set_paused(session, dag, paused=True)


@command(app, "unpause")
def unpause_dag(session: Session, dag: DagArgument) -> None:
    """Lets a paused DAG go on."""
    _set_paused(session, dag, paused=False)


def encode_conf(text: str) -> Payload:
    """The parameters of a run as the server takes them.

    Args:
        text: a JSON object, or `@` and the path of a file that holds one.

    Raises:
        CommandError: the file cannot be read, or it is no JSON object.
    """
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise usage_error(f"The file {text[1:]} of --conf cannot be read: {error}.") from None
    return Payload(encoding="json/utf-8", data=json.dumps(parse_object(text, "--conf"), ensure_ascii=False).encode())


def parse_object(text: str, option: str) -> dict[str, Any]:
    """A JSON object that somebody typed behind an option."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise usage_error(f'{option} is not JSON ({error}): give an object such as \'{{"name": "value"}}\'.') from None
    if not isinstance(value, dict):
        raise usage_error(f'{option} must be a JSON object such as \'{{"name": "value"}}\'.')
    return value


def _note_broken(bundles: Sequence[Bundle], dags: Iterable[Dag]) -> None:
    """Says what is wrong with bundles, and which of the DAGs stay as they were last because of it."""
    note_problems(bundles)
    versions = {bundle.bundle: bundle.current_version.bundle_version for bundle in bundles}
    for dag in dags:
        if dag.bundle_version != versions.get(dag.bundle, dag.bundle_version):
            note(f"{dag.bundle}: {dag.dag_id} stays as it was last, in version {dag.bundle_version[:DIGEST_SHOWN]}.")


def _set_paused(session: Session, dag: str, *, paused: bool) -> None:
    client = session.client
    request = UpdateDagRequest(dag_id=dag, paused=paused, request_id=new_request_id())
    changed = client.call(client.dags.UpdateDag, request).dag
    if session.output is Output.JSON:
        print_json(to_object(changed))
    else:
        print_line(f"{changed.dag_id} is {'paused' if changed.paused else 'not paused'}.")
