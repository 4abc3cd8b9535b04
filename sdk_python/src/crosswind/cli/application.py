"""The whole command: its groups, and how every error becomes one sentence and an exit code."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from crosswind import api_versions
from crosswind.cli import (
    assets,
    backfills,
    bundles,
    connections,
    dags,
    events,
    inputs,
    pools,
    runs,
    server,
    tasks,
    tokens,
    variables,
    workers,
    workloads,
)
from crosswind.cli.failures import CommandError, ExitCode, exit_code_of
from crosswind.cli.output import Output, note, print_json, print_line
from crosswind.cli.presets import read_connections, read_variables
from crosswind.client.control_client import ControlError

app = typer.Typer(
    name="crosswind",
    help="Runs and watches DAGs on a Crosswind server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(dags.app, name="dags")
app.add_typer(runs.app, name="runs")
app.add_typer(tasks.app, name="tasks")
app.add_typer(workloads.app, name="workloads")
app.add_typer(backfills.app, name="backfills")
app.add_typer(variables.app, name="variables")
app.add_typer(connections.app, name="connections")
app.add_typer(pools.app, name="pools")
app.add_typer(workers.app, name="workers")
app.add_typer(assets.app, name="assets")
app.add_typer(events.app, name="events")
app.add_typer(inputs.app, name="inputs")
app.add_typer(bundles.app, name="bundles")
app.add_typer(server.app, name="server")
app.add_typer(tokens.app, name="tokens")


@app.command("run")
def run_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The DAG file.")],
    dag: Annotated[str, typer.Argument(metavar="[DAG]", help="Which DAG, where the file has several.")] = "",
    conf: dags.ConfOption = "",
    debug: Annotated[bool, typer.Option("--pdb", help="Open the debugger where a task fails.")] = False,
    variable: Annotated[
        list[str] | None,
        typer.Option("--variable", metavar="KEY=VALUE", help="What Variable.get(KEY) finds; may be repeated."),
    ] = None,
    variables_file: Annotated[
        Path | None,
        typer.Option("--variables-file", help="Variables as a JSON object, also secret ones; - is standard input."),
    ] = None,
    connection: Annotated[
        list[str] | None,
        typer.Option(
            "--connection",
            metavar="ID=URI",
            help="What Connection.get(ID) finds: KIND://LOGIN@HOST:PORT/SCHEMA without a password; may be repeated.",
        ),
    ] = None,
    connections_file: Annotated[
        Path | None,
        typer.Option(
            "--connections-file", help="URIs by id as a JSON object, also with passwords; - is standard input."
        ),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print the answer.")] = Output.TABLE,
) -> None:
    """Runs a DAG file here and now, its tasks in this process, so that breakpoint() works. Exits 0 if it succeeds."""
    from crosswind.cli.inline import run_inline  # here: the other commands need neither the worker nor authors' code

    code = run_inline(
        file,
        dag,
        conf=conf,
        debug=debug,
        output=output,
        variables=read_variables(variable or (), variables_file),
        connections=read_connections(connection or (), connections_file),
    )
    raise typer.Exit(code)


@app.command("version")
def show_version(
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print the answer.")] = Output.TABLE,
) -> None:
    """Shows the versions of what is installed here."""
    installed = {name: _installed_version(name) for name in ("crosswind-sdk", "crosswind-server")}
    if output is Output.JSON:
        shown = {name.replace("-", "_"): value for name, value in installed.items()}
        print_json({**shown, "api_version": api_versions.newest(), "api_versions": api_versions.API_VERSIONS})
        return
    for name, value in installed.items():
        print_line(f"{name} {value or 'not installed'}")
    print_line(f"api {', '.join(api_versions.API_VERSIONS)}")


def run(arguments: Sequence[str]) -> int:
    """Runs the command.

    Args:
        arguments: what was typed after `crosswind`.

    Returns:
        0 done; 1 refused, or what was waited for failed; 2 the command line is wrong; 3 the server cannot be reached or
        refuses the token; 130 after Ctrl-C.
    """
    try:
        code = app(args=list(arguments), prog_name="crosswind", standalone_mode=False)
    except CommandError as error:
        note(str(error))
        return error.exit_code
    except ControlError as error:
        note(str(error))
        return exit_code_of(error)
    except TyperException as error:
        if error.format_message():  # empty: the help was shown in its place
            note(f"{_sentence(error.format_message())} See {_help_command(error)}.")
        return ExitCode.USAGE
    except (typer.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Who reads the pipe has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:
        if os.environ.get("CROSSWIND_TRACEBACK"):
            raise
        what = f"{type(error).__name__}: {_sentence(str(error) or 'no message')}"
        note(f"A defect of this command: {what} CROSSWIND_TRACEBACK=1 shows where; please report it.")
        return ExitCode.FAILED
    return code if isinstance(code, int) else ExitCode.DONE


def _sentence(message: str) -> str:
    text = " ".join(message.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _help_command(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"`{context.command_path if context is not None else 'crosswind'} --help`"


def _installed_version(distribution: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # here: it takes longer than most commands

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
