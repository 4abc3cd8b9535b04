"""Command line options made from the settings, so that a setting is described once.

Here belongs the making of a typer command's signature. What a setting means belongs to `settings`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import PydanticUndefined

from crosswind_server.settings import ENV_PREFIX, ServerSettings

_NOT_FLAGS = frozenset({"encryption_key"})
"""Settings that a command line would show to every user of the machine."""


def with_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option for each of the settings, all of them without names.

    The command takes them as its first argument, a mapping from setting to value, None for those not given.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        chosen = names or tuple(name for name in ServerSettings.model_fields if name not in _NOT_FLAGS)
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

        def run(**given: Any) -> None:
            command({name: given.pop(name) for name in chosen}, **given)

        options = [_option(name) for name in chosen]
        arguments = [p for p in own if not _is_option(p)]
        own_options = [p for p in own if _is_option(p)]
        parameters = [*arguments, *own_options, *options]
        keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        run.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]  # typer reads it
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in keyword}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def describe_environment(names: Sequence[str]) -> str:
    """The variables of the environment that set what no flag does."""
    lines = [f"{ENV_PREFIX}{name.upper()}: {ServerSettings.model_fields[name].description}" for name in names]
    return "\n\n".join(lines)


def _option(name: str) -> inspect.Parameter:
    field = ServerSettings.model_fields[name]
    default = "" if field.default in (None, PydanticUndefined) else f" [default: {_shown(field.default)}]"
    text = f"{field.description} [env: {ENV_PREFIX}{name.upper()}]{default}"
    flag = "--" + name.replace("_", "-")
    kind: Any = field.annotation
    if kind is bool:
        option = typer.Option(f"{flag}/--no-{flag[2:]}", help=text, show_default=False)
    else:
        option = typer.Option(flag, help=text, show_default=False, metavar=_metavar(name, kind))
        kind = str
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _is_option(parameter: inspect.Parameter) -> bool:
    metadata = getattr(parameter.annotation, "__metadata__", ())
    return any(isinstance(each, typer.models.OptionInfo) for each in metadata)


def _metavar(name: str, kind: Any) -> str:
    if kind is float:
        return "SECONDS"
    if kind is int:
        return "NUMBER"
    if kind in (Path, Path | None):
        return "DIR" if name == "home" else "FILE"
    choices = getattr(kind, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        return "|".join(choices)
    return {"db": "URL", "address": "HOST:PORT", "metrics_address": "HOST:PORT"}.get(name, "TEXT")


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
