"""`crosswind bundles`: what workers have published, and what was wrong with it."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from crosswind.cli.output import DIGEST_SHOWN, Output, note, print_json, print_line, print_rows
from crosswind.cli.rows import to_object
from crosswind.cli.session import Session, command
from crosswind.cli.versions import find_bundle_version
from crosswind.client.control_client import new_request_id
from crosswind.control.v1.bundles_pb2 import (
    Bundle,
    ListBundlesRequest,
    ListBundleVersionsRequest,
    SetCurrentBundleVersionRequest,
)

app = typer.Typer(help="Bundles of DAGs.", no_args_is_help=True)

COLUMNS = ("bundle", "owner", "version", "dags", "workers", "problems", "update_time")
SPARE = ("owner", "workers")
VERSION_COLUMNS = ("bundle_version", "current", "dags", "workers", "published_by", "create_time")

BundleArgument = Annotated[str, typer.Argument(metavar="BUNDLE", help="The bundle's name.")]


@command(app, "list")
def list_bundles(session: Session) -> None:
    """Lists bundles and the problems of their current versions."""
    client = session.client
    bundles = list(client.list_rows(client.bundles.ListBundles, ListBundlesRequest(), "bundles"))
    if session.output is Output.JSON:
        print_rows(map(to_object, bundles), COLUMNS, output=session.output)
        return
    nothing = "No worker has published a bundle yet."
    print_rows(map(bundle_row, bundles), COLUMNS, output=session.output, spare=SPARE, empty=nothing)
    note_problems(bundles)


@command(app, "versions")
def list_versions(session: Session, bundle: BundleArgument) -> None:
    """Lists the versions of a bundle, the one published last first."""
    client = session.client
    request = ListBundleVersionsRequest(bundle=bundle)
    found = client.list_rows(client.bundles.ListBundleVersions, request, "bundle_versions")
    rows = [to_object(each) for each in found]
    if session.output is Output.TABLE:
        rows = [{**row, "dags": [dag["dag_id"] for dag in row["dags"]]} for row in rows]
    print_rows(rows, VERSION_COLUMNS, output=session.output, spare=("published_by", "workers"))


@command(app, "use")
def use_version(
    session: Session,
    bundle: BundleArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version, or how it begins.")],
) -> None:
    """Lets new runs begin with a version that was published before. Runs that exist keep theirs."""
    client = session.client
    request = SetCurrentBundleVersionRequest(
        bundle=bundle, bundle_version=find_bundle_version(client, bundle, version), request_id=new_request_id()
    )
    changed = client.call(client.bundles.SetCurrentBundleVersion, request).bundle
    if session.output is Output.JSON:
        print_json(to_object(changed))
    else:
        print_line(f"New runs of {bundle} begin with version {changed.current_version.bundle_version[:DIGEST_SHOWN]}.")


def note_problems(bundles: Iterable[Bundle]) -> None:
    """Says what is wrong with the current versions of bundles."""
    for bundle in bundles:
        for problem in bundle.current_version.problems:
            place = f"{problem.source}:{problem.line}" if problem.line else problem.source or problem.dag_id
            note(f"{bundle.bundle}: {place}: {problem.message}")


def bundle_row(bundle: Bundle) -> dict[str, Any]:
    """A bundle as a row of the table."""
    current = bundle.current_version
    return {
        **to_object(bundle),
        "version": current.bundle_version[:12],
        "dags": [dag.dag_id for dag in current.dags],
        "workers": list(current.workers),
        "problems": len(current.problems),
    }
