"""`crosswind-server`: start, dev, migrate, token, version, versions.

Here belong the commands, their flags and what people read. How a command ends is in `exits`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import signal
import sys
from collections.abc import Mapping
from importlib.metadata import version as distribution_version
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Final, Literal

import typer
from rich.console import Console
from rich.table import Table

from crosswind_server.exits import FAILED, exit_code_of, sentence_of
from crosswind_server.options import describe_environment, with_settings
from crosswind_server.settings import CONFIG_NAME, CONFIG_VARIABLE, ServerSettings

_SETTINGS_HELP = (
    f"Settings come from flags, then CROSSWIND_... variables, then the table [server] of {CONFIG_NAME} in this folder"
    f" or one above it (or of the file that {CONFIG_VARIABLE} names)."
)

app = typer.Typer(
    name="crosswind-server",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="The Crosswind server: schedules DAG runs, hands tasks to workers, and alone talks to the database.",
)
token_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make, list and revoke tokens.")
app.add_typer(token_app, name="token")


def _running() -> ModuleType:
    """All that a running server needs. Nothing of it becomes garbage, so nothing is collected while it is imported.

    That takes a tenth off the time to the first call; what was imported is later frozen, see `running`.
    """
    gc.disable()
    try:
        from crosswind_server import running
    finally:
        gc.enable()
    return running


_EPILOG = f"By the environment only: {describe_environment(['encryption_key'])}"


@app.command(help=f"Start the server. {_SETTINGS_HELP}", epilog=_EPILOG)
@with_settings()
def start(flags: Mapping[str, Any]) -> None:
    """Start the server and run until SIGTERM or SIGINT; a second one ends it at once."""
    settings = _settings(flags)
    asyncio.run(_running().run_server(settings))


@app.command(
    help=f"Run a server and a Python worker together, for one person in one folder. {_SETTINGS_HELP}", epilog=_EPILOG
)
@with_settings()
def dev(
    flags: Mapping[str, Any],
    dags: Annotated[Path, typer.Argument(help="Folder or file with DAGs.")] = Path("dags"),
    slots: Annotated[int | None, typer.Option("--slots", min=1, help="Tasks at the same time.")] = None,
) -> None:
    """Start the server, then a worker as a process of its own; they stop together."""
    if not dags.exists():
        raise typer.BadParameter(f"There is no {dags}; make it, or name the folder that holds your DAGs.")
    code = asyncio.run(_running().run_dev(_settings(flags), dags, slots=slots))
    if code:
        raise typer.Exit(FAILED)


@app.command(help=f"Bring a database to this server's schema, creating it if need be. {_SETTINGS_HELP}")
@with_settings("db")
def migrate(flags: Mapping[str, Any]) -> None:
    """Migrate the database."""
    from crosswind_server.store.migration import migrate as migrate_database

    settings = _settings(flags)
    typer.echo(f"The database has schema revision {migrate_database(settings.db)}.")


@app.command()
def version() -> None:
    """Print the version of the server and the API versions that it serves."""
    from crosswind_server.domain.version import ServedVersions
    from crosswind_server.versions.releases import server_history

    served = ServedVersions(server_history().versions)
    typer.echo(f"crosswind-server {distribution_version('crosswind-server')}, API {served}")


@app.command(
    help="Show the API versions that this server serves, until when, and which workers and bundles still speak them."
)
@with_settings("db", "version_window_months")
def versions(
    flags: Mapping[str, Any],
    output: Annotated[
        Literal["table", "json"], typer.Option("--output", "-o", help="How to print the answer.")
    ] = "table",
) -> None:
    """Show who needs which API version."""
    from crosswind_server import version_report
    from crosswind_server.domain.version import ServedVersions
    from crosswind_server.versions.releases import server_history

    report = version_report.read_report(_settings(flags), ServedVersions(server_history().versions))
    if output == "json":
        typer.echo(json.dumps(version_report.to_object(report), indent=2, ensure_ascii=False))
        return
    _print_table(version_report.to_table(report))
    typer.echo("")
    for sentence in version_report.sentences(report):
        typer.echo(sentence)


_ACCESS_SETTINGS = ("db", "home", "encryption_key_file")


@token_app.command("create", help="Make a token and print it: the only moment in which it is shown.", epilog=_EPILOG)
@with_settings(*_ACCESS_SETTINGS)
def create_token(
    flags: Mapping[str, Any],
    kind: Annotated[
        Literal["access", "enrolment"], typer.Option(help="access: for a person or program; enrolment: for workers.")
    ] = "access",
    subject: Annotated[str, typer.Option(help="Who holds it; the owner of the bundles of its workers.")] = "local",
    role: Annotated[
        Literal["viewer", "operator", "admin"], typer.Option(help="What the holder of an access token may do.")
    ] = "operator",
    bundle: Annotated[
        list[str] | None, typer.Option(help="A bundle that workers may publish; may be repeated. [default: any]")
    ] = None,
    queue: Annotated[
        list[str] | None, typer.Option(help="A queue that workers may serve; may be repeated. [default: any]")
    ] = None,
    team: Annotated[str, typer.Option(help="The team that it belongs to.")] = "default",
    ttl: Annotated[str, typer.Option(help="How long it lasts, such as 30d, 12h, 90m or 45s.")] = "30d",
) -> None:
    """Make a token."""
    from crosswind_server.services.access.callers import CallerKind, Role
    from crosswind_server.token_access import WantedToken, open_access

    wanted = WantedToken(
        kind=CallerKind(kind),
        subject=subject,
        team=team,
        life_us=_parse_span(ttl),
        role=Role(role),
        bundles=tuple(bundle or ["*"]),
        queues=tuple(queue or ()),
    )
    typer.echo(open_access(_settings(flags), team).create(wanted))


@token_app.command("list", help="List tokens, made last first; never the tokens themselves.", epilog=_EPILOG)
@with_settings(*_ACCESS_SETTINGS)
def list_tokens(
    flags: Mapping[str, Any],
    team: Annotated[str, typer.Option(help="The team.")] = "default",
    all: Annotated[bool, typer.Option("--all", help="Also those that are expired or revoked.")] = False,
) -> None:
    """List tokens."""
    from crosswind_server.token_access import open_access, time_text

    table = Table(box=None, pad_edge=False)
    for name in ("id", "kind", "subject", "role", "bundles", "made", "expires", "revoked"):
        table.add_column(name, no_wrap=True)
    for info in open_access(_settings(flags), team).list(team, include_ended=all):
        table.add_row(
            info.token_id,
            info.kind,
            info.subject,
            info.role or "",
            ",".join(info.bundles),
            time_text(info.issued_us),
            time_text(info.expires_us),
            time_text(info.revoked_us),
        )
    _print_table(table)


@token_app.command(
    "revoke", help="Revoke a token, and with an enrolment token its workers' tokens. For good.", epilog=_EPILOG
)
@with_settings(*_ACCESS_SETTINGS)
def revoke_token(
    flags: Mapping[str, Any],
    token_id: Annotated[str, typer.Argument(help="Its id, as `token list` shows it.")],
    team: Annotated[str, typer.Option(help="The team.")] = "default",
) -> None:
    """Revoke a token."""
    from crosswind_server.token_access import open_access

    open_access(_settings(flags), team).revoke(team, token_id)
    typer.echo(f"The token {token_id} is revoked.")


def main() -> None:
    """Run the command line. Every expected failure is one sentence on standard error."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        app()
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        sys.stderr.write(f"crosswind-server: {sentence_of(error)}\n")
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(130)


def _print_table(table: Table) -> None:
    # In a pipe nothing is cut, however wide it is.
    Console(width=None if sys.stdout.isatty() else 1_000).print(table)


def _settings(flags: Mapping[str, Any]) -> ServerSettings:
    return ServerSettings.load(**flags)


_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def _parse_span(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9})([dhms])", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a span of time; give one such as 30d, 12h, 90m or 45s.")
    return int(match[1]) * _UNITS[match[2]] * 1_000_000
