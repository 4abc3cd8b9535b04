"""The arguments of a task's call, bound to its parameters.

Here belongs what Python's signatures say, when a DAG is written and when a task runs. What becomes of the inputs in a
manifest is `manifest.py`'s.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

from crosswind.author.codec import Encoded, encode, encode_json
from crosswind.author.json_values import has_only_text_keys
from crosswind.author.params import ParamArg
from crosswind.author.results import XComArg, find_results
from crosswind.author.templates import INPUT_KEY, LITERAL_KEY, make_template

CONTEXT_NAME = "context"


@dataclass(frozen=True)
class CompositeArg:
    """A structure with results inside.

    Args:
        template_json: its shape, see `templates.py`.
        parts: the results.
    """

    template_json: str
    parts: tuple[XComArg, ...]


Source = Encoded | XComArg | ParamArg | CompositeArg


@dataclass(frozen=True)
class BoundInput:
    """An argument.

    Args:
        name: the parameter's; empty where it has none.
        position: the parameter's, from 0. None: bound by name only.
        source: where its value comes from.
    """

    name: str
    position: int | None
    source: Source


@dataclass(frozen=True)
class Argument:
    """A value in its place among the parameters; see `BoundInput`."""

    name: str
    position: int | None
    value: object


def read_signature(function: Callable[..., Any]) -> tuple[Signature, str | None]:
    """The parameters that an author's call gives, and the name of the one that the runtime gives: the context.

    That one is named `context` or annotated with `Context`, and stands among the signature's parameters no more.
    """
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        if _takes_context(parameter):
            rest = [other for other in signature.parameters.values() if other is not parameter]
            return signature.replace(parameters=rest), parameter.name
    return signature, None


def _takes_context(parameter: Parameter) -> bool:
    if parameter.kind not in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY):
        return False
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    first = text.split("|")[0].strip().rpartition(".")[2]
    if annotation is Parameter.empty or not text:
        return parameter.name == CONTEXT_NAME
    return first == "Context"


def named_signature(names: Iterable[str]) -> Signature:
    """The signature of a task of another bundle, of which only the parameters' names are known."""
    return Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names])


def bind_arguments(
    signature: Signature | None,
    args: Sequence[object],
    kwargs: Mapping[str, object],
    *,
    task_id: str,
    complete: bool = True,
) -> list[Argument]:
    """The arguments of a call, in the order of the parameters.

    Args:
        signature: None: nothing is known of the parameters.
        complete: False: parameters may be missing.

    Raises:
        TypeError: the call does not fit the signature; the sentence names the task.
    """
    if signature is None:
        positional = [Argument("", position, value) for position, value in enumerate(args)]
        return positional + [Argument(name, None, value) for name, value in kwargs.items()]
    try:
        bound = (signature.bind if complete else signature.bind_partial)(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"Task '{task_id}': {error}; its parameters are {_describe(signature)}") from None
    arguments: list[Argument] = []
    for position, parameter in enumerate(signature.parameters.values()):
        if parameter.name not in bound.arguments:
            continue
        value = bound.arguments[parameter.name]
        if parameter.kind is Parameter.VAR_POSITIONAL:
            arguments += [Argument("", position + offset, item) for offset, item in enumerate(value)]
        elif parameter.kind is Parameter.VAR_KEYWORD:
            arguments += [Argument(name, None, item) for name, item in value.items()]
        elif parameter.kind is Parameter.KEYWORD_ONLY:
            arguments.append(Argument(parameter.name, None, value))
        else:
            arguments.append(Argument(parameter.name, position, value))
    return arguments


def bind_input(argument: Argument, *, task_id: str) -> BoundInput:
    """An argument as an input.

    Raises:
        UnsupportedValue: a value written in the DAG cannot be encoded.
        TypeError: a structure holds what cannot be in one.
    """
    return BoundInput(argument.name, argument.position, _source(argument, task_id))


def describe_argument(argument: Argument, *, task_id: str) -> str:
    """Names an argument in a sentence."""
    return f"argument {argument.name or argument.position!r} of task '{task_id}'"


def call_arguments(
    signature: Signature, given: Iterable[Argument], *, context_name: str | None, context: object
) -> tuple[list[object], dict[str, object]]:
    """The values for calling a function, from inputs that may be bound by name or by position.

    Args:
        signature: of the whole function, the context's parameter included.
        given: the inputs; positions do not count the context's parameter.
        context_name: that parameter, if there is one.
        context: its value.

    Raises:
        TypeError: an input fits no parameter, or two fit one.
    """
    parameters = [parameter for parameter in signature.parameters.values() if parameter.name != context_name]
    named = {
        parameter.name
        for parameter in parameters
        if parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_ONLY)
    }
    values: dict[str, object] = {} if context_name is None else {context_name: context}
    rest: dict[int, object] = {}
    extra: dict[str, object] = {}
    places = [
        parameter.name
        for parameter in parameters
        if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    ]
    for argument in given:
        if argument.name in named:
            name: str | None = argument.name
        elif argument.position is not None and argument.position < len(places):
            name = places[argument.position]
        else:
            name = None
        if name is not None:
            if name in values:
                raise TypeError(f"parameter {name!r} was given two values")
            values[name] = argument.value
        elif argument.position is not None:
            rest[argument.position] = argument.value
        else:
            extra[argument.name] = argument.value
    return _assemble(signature, values, rest=rest, extra=extra)


def _assemble(
    signature: Signature, values: dict[str, object], *, rest: dict[int, object], extra: dict[str, object]
) -> tuple[list[object], dict[str, object]]:
    args: list[object] = []
    kwargs: dict[str, object] = {}
    by_keyword = False
    takes_rest = takes_extra = False
    for parameter in signature.parameters.values():
        if parameter.kind is Parameter.VAR_POSITIONAL:
            takes_rest = True
            if rest and by_keyword:
                raise TypeError("a parameter before the further positional ones was given no value")
            args += [rest[position] for position in sorted(rest)]
        elif parameter.kind is Parameter.VAR_KEYWORD:
            takes_extra = True
        elif parameter.name not in values:
            # What follows a gap can only be given by name.
            by_keyword = by_keyword or parameter.kind is not Parameter.KEYWORD_ONLY
        elif parameter.kind is Parameter.KEYWORD_ONLY or by_keyword:
            kwargs[parameter.name] = values[parameter.name]
        else:
            args.append(values[parameter.name])
    if rest and not takes_rest:
        raise TypeError(f"it takes no argument at position {min(rest)}; its parameters are {_describe(signature)}")
    if extra and not takes_extra:
        raise TypeError(f"it has no parameter {next(iter(extra))!r}; its parameters are {_describe(signature)}")
    return args, kwargs | extra


def _source(argument: Argument, task_id: str) -> Source:
    value = argument.value
    if isinstance(value, XComArg | ParamArg):
        return value
    what = describe_argument(argument, task_id=task_id)
    parts: list[XComArg] = []
    if not any(True for _ in find_results(value)):
        return encode(value, what=what)

    def take(item: Any) -> int | None:
        if isinstance(item, XComArg):
            parts.append(item)
            return len(parts) - 1
        if isinstance(item, dict):
            if INPUT_KEY in item or LITERAL_KEY in item:
                if any(True for _ in find_results(item)):
                    raise TypeError(f"{what} has a dict with the key '$input' or '$literal' around a result; rename it")
                encode_json(item, what=what)
            if not has_only_text_keys(dict.fromkeys(item)):
                raise TypeError(
                    f"{what} has a dict with keys that are not text around a result; use {{str(key): value}}"
                )
        elif not isinstance(item, list | tuple):
            encode_json(item, what=what)
        return None

    return CompositeArg(make_template(value, take), tuple(parts))


def _describe(signature: Signature) -> str:
    return f"({', '.join(str(parameter) for parameter in signature.parameters.values())})"
