"""The options that every command has, and the connection that it makes from them.

A command is a function whose first parameter is a `Session`; `command` adds `--server`, `--output` and the other
options that every command has to its own parameters.
"""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from crosswind.cli.location import ServerOptions, connect
from crosswind.cli.output import Output
from crosswind.client.control_client import ControlClient

P = ParamSpec("P")

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="HOST:PORT",
        help="Address of the server. Also CROSSWIND_SERVER or `server` in crosswind.toml; "
        "otherwise the server that runs in this folder or for this user.",
        rich_help_panel="Every command",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File with an access token. Also CROSSWIND_ACCESS_TOKEN_FILE or `token_file` in crosswind.toml; "
        "otherwise the one that a server on this machine wrote.",
        rich_help_panel="Every command",
    ),
]
TlsOption = Annotated[
    bool,
    typer.Option(
        "--tls",
        help="Speak TLS, trusting the system's authorities. Also CROSSWIND_TLS or `tls` in crosswind.toml.",
        rich_help_panel="Every command",
    ),
]
TlsCaOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        help="Speak TLS, trusting the authorities in this PEM file. Also CROSSWIND_TLS_CA or `tls_ca` in "
        "crosswind.toml.",
        rich_help_panel="Every command",
    ),
]
OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="How to print the answer.", rich_help_panel="Every command")
]


class Session:
    """One run of a command: how it prints, and its connection, which is made when it is first used.

    Args:
        output: how the answer is printed.
        stated: what the options say about the server.
    """

    def __init__(self, *, output: Output, stated: ServerOptions) -> None:
        self.output = output
        self._stated = stated

    @functools.cached_property
    def client(self) -> ControlClient:
        """The connection to the server.

        Raises:
            CommandError: there is no server to be found, or its token file cannot be read.
        """
        return connect(self._stated)

    def close(self) -> None:
        """Closes the connection, if there is one."""
        client = self.__dict__.pop("client", None)
        if client is not None:
            client.close()


def command(
    app: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Session, P], int | None]], Callable[Concatenate[Session, P], int | None]]:
    """Adds a function to an app as a command.

    Args:
        app: the app.
        name: what people type.

    Returns:
        A decorator, which leaves the function as it is. What the function returns is the exit code; None is 0.
    """

    def add(
        function: Callable[Concatenate[Session, P], int | None],
    ) -> Callable[Concatenate[Session, P], int | None]:
        def invoke(**values: Any) -> None:
            names = ("server", "token_file", "tls", "tls_ca")
            stated = ServerOptions(**{name: values.pop(name) for name in names})
            session = Session(output=values.pop("output"), stated=stated)
            call: Callable[..., int | None] = function  # typer read the parameters off the signature
            try:
                code = call(session, **values)
            finally:
                session.close()
            if code:
                raise typer.Exit(code)

        parameters = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, default, annotation in (
                ("server", None, ServerOption),
                ("token_file", None, TokenFileOption),
                ("tls", False, TlsOption),
                ("tls_ca", None, TlsCaOption),
                ("output", Output.TABLE, OutputOption),
            )
        ]
        keyword_only = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
        # typer asks for a callback's signature; this is how a function has one that its code does not spell out.
        invoke.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]  # mypy does not know it
        invoke.__annotations__ = {one.name: one.annotation for one in keyword_only}
        app.command(name, help=inspect.getdoc(function))(invoke)
        return function

    return add
