"""`crosswind bundles`: what workers have published, and what was wrong with it."""

from collections.abc import Iterable
from typing import Any

import typer

from crosswind.cli.output import Output, note, print_rows
from crosswind.cli.rows import to_object
from crosswind.cli.session import Session, command
from crosswind.control.v1.bundles_pb2 import Bundle, ListBundlesRequest

app = typer.Typer(help="Bundles of DAGs.", no_args_is_help=True)

COLUMNS = ("bundle", "owner", "version", "dags", "workers", "problems", "update_time")
SPARE = ("owner", "workers")


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
