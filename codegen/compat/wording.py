"""How one change, or one difference that an option covers, is said to authors of SDKs.

Here belong words only. What is listed where belongs to `changelog`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Final

from codegen.compat.carried import find
from codegen.compat.correspondence import Neighbours
from codegen.compat.differences import limits_of, limits_text
from codegen.compat.facts import Difference, Kind
from crosswind_server.versions import changes
from crosswind_server.versions.annotations import annotation

REMOVALS: Final = (changes.FieldRemoved, changes.MethodRetired)
"""The kinds of change that are listed under "Removed"."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the page.

    Attributes:
        title: what is different, without a full stop.
        why: a sentence.
        older: sentences on what clients of older versions see.
    """

    title: str
    why: str = ""
    older: tuple[str, ...] = ()


def change_entry(change: changes.Change, pair: Neighbours) -> Entry:
    """The line of a change."""
    title, *older = _say(change, pair)
    lossy = getattr(change, "lossy", None) or getattr(getattr(change, "by", None), "lossy", None)
    if isinstance(lossy, changes.Lossy):
        older.append(lossy.sentence)
    return Entry(title, change.why, tuple(older))


@singledispatch
def _say(change: changes.Change, pair: Neighbours) -> tuple[str, ...]:
    """What is different, and what older clients see of it apart from what is lost."""
    raise TypeError(type(change).__name__)


@_say.register
def _(change: changes.FieldRenamed, pair: Neighbours) -> tuple[str, ...]:
    return (f"`{change.message}.{change.old}` is named `{change.new}`{_renumbered(change, pair)}",)


def _renumbered(change: changes.FieldRenamed, pair: Neighbours) -> str:
    numbers = (
        find(pair.old, pair.pair.old_message(change.message), change.old).field.number,
        find(pair.new, pair.pair.new_message(change.message), change.new).field.number,
    )
    return "" if numbers[0] == numbers[1] else f" and has the number {numbers[1]} instead of {numbers[0]}"


@_say.register
def _(change: changes.FieldConverted, pair: Neighbours) -> tuple[str, ...]:
    old, new = _types(change.message, change.old, change.new, pair)
    return (f"`{change.message}.{change.old}` ({old}) became `{change.new}` ({new})",)


@_say.register
def _(change: changes.FieldWidened, pair: Neighbours) -> tuple[str, ...]:
    old, new = _types(change.message, change.name, change.name, pair)
    title = f"`{change.message}.{change.name}` holds more: {new} instead of {old}"
    return title, f"A value beyond {old} is the nearest end of it."


def _types(message: str, old: str, new: str, pair: Neighbours) -> tuple[str, str]:
    was = find(pair.old, pair.pair.old_message(message), old)
    now = find(pair.new, pair.pair.new_message(message), new)
    return pair.type_text(pair.old, was.message, was.field), pair.type_text(pair.new, now.message, now.field)


@_say.register
def _(change: changes.FieldSplit, pair: Neighbours) -> tuple[str, ...]:
    return (f"`{change.message}.{change.old}` became {_names(change.new)}",)


@_say.register
def _(change: changes.FieldsMerged, pair: Neighbours) -> tuple[str, ...]:
    return (f"{_names(change.old)} of `{change.message}` became `{change.new}`",)


@_say.register
def _(change: changes.FieldRequired, pair: Neighbours) -> tuple[str, ...]:
    title = f"`{change.message}.{change.name}` is required"
    return title, f"Without it their messages mean {_value(change.default)}."


@_say.register
def _(change: changes.FieldRemoved, pair: Neighbours) -> tuple[str, ...]:
    answer = "nothing" if change.answer is None else _value(change.answer)
    return f"`{change.message}.{change.name}`", f"What they send in it is dropped, and they read {answer}."


@_say.register
def _(change: changes.FieldMoved, pair: Neighbours) -> tuple[str, ...]:
    return (f"`{change.message}.{change.old}` is `{change.new}`",)


@_say.register
def _(change: changes.DefaultChanged, pair: Neighbours) -> tuple[str, ...]:
    was = annotation(find(pair.old, pair.pair.old_message(change.message), change.name).field, "default_value")
    now = annotation(find(pair.new, pair.pair.new_message(change.message), change.name).field, "default_value")
    title = f"Where `{change.message}.{change.name}` is absent it means `{now}`, not `{was}`"
    return title, f"To them it means `{was}` still; what they receive is written out where the two differ."


@_say.register
def _(change: changes.EnumValueMapped, pair: Neighbours) -> tuple[str, ...]:
    title = f"`{change.message}.{change.name}` may be `{change.value}`"
    return title, "They receive a value that they know, chosen by the rest of the message."


@_say.register
def _(change: changes.ArmAdded, pair: Neighbours) -> tuple[str, ...]:
    title = f"`{change.message}.{change.arm}` is a new arm of its oneof"
    if change.instead is None:
        return title, "The message is left out of the list or field that it is in; an answer keeps its other fields."
    return title, f"They receive `{change.instead}` in its place."


@_say.register
def _(change: changes.MethodMoved, pair: Neighbours) -> tuple[str, ...]:
    title = f"The RPC `{_path(change.old)}` is `{_path(change.new)}`"
    return title, "They call it under its former name."


@_say.register
def _(change: changes.MessageRenamed, pair: Neighbours) -> tuple[str, ...]:
    return (f"The message `{change.old}` is `{change.new}`",)


@_say.register
def _(change: changes.MethodRetired, pair: Neighbours) -> tuple[str, ...]:
    return f"The RPC `{_path(change.old)}`", f"It is still answered, through `{_path(change.through)}`."


@_say.register
def _(change: changes.ReasonChanged, pair: Neighbours) -> tuple[str, ...]:
    where = "Calls are" if change.method is None else f"`{_path(change.method)}` is"
    if change.new == change.old:
        title = f"{where} refused for `{change.new}` with another status code or other metadata"
    else:
        title = f"{where} refused for `{change.new}`, not `{change.old}`"
    older = f"They receive `{change.old}` under {change.code}"
    if change.metadata:
        keys = _names(tuple(change.metadata.values()))
        older += f", with {keys} in `metadata` as before"
    return title, f"{older}."


@_say.register
def _(change: changes.ValidationChanged, pair: Neighbours) -> tuple[str, ...]:
    methods = _names(tuple(_path(path) for path in change.methods))
    what = ", ".join(f"`{name}` ({_limits(name, pair)})" for name in change.fields)
    title = f"{methods} accept{'s' if len(change.methods) == 1 else ''} less" + (f": {what}" if what else "")
    return title, f"Their requests are checked as before (`{change.leniency}`)."


def _limits(name: str, pair: Neighbours) -> str:
    scope, _, field = name.rpartition(".")
    proto = find(pair.new, pair.pair.new_message(scope), field).field
    text = limits_text(limits_of(proto))
    return "required" if text == "any" else text


@_say.register
def _(change: changes.FreeChange, pair: Neighbours) -> tuple[str, ...]:
    return (f"{_names(change.covers)} changed together",)


# --- what options say -------------------------------------------------------------------------------------------------


def difference_entry(difference: Difference, pair: Neighbours) -> Entry:
    """The line of a difference that options cover."""
    name = f"`{_path(difference.element).split(' ')[0]}`"
    match difference.kind:
        case Kind.MESSAGE_ADDED | Kind.ENUM_ADDED:
            return Entry(f"The {difference.kind.value[0]} {name}")
        case Kind.FIELD_ADDED:
            return Entry(f"The field {name}")
        case Kind.METHOD_ADDED:
            return Entry(f"The RPC {name}")
        case Kind.VALUE_ADDED:
            fallback = annotation(_value_of(difference, pair), "fallback")
            return Entry(f"The value {name}", older=(f"They receive `{fallback}` in its place.",))
        case Kind.FIELD_DEPRECATED:
            return Entry(f"{name}: clients should no longer set or read it")
        case Kind.MESSAGE_REMOVED | Kind.ENUM_REMOVED:
            return Entry(f"The {difference.kind.value[0]} {name}, with what held it")
        case Kind.REASON_ADDED:
            fallback = _reason_fallback(difference.now, pair)
            older = (f"They receive `{fallback}` in its place.",) if fallback else ()
            return Entry(f"{name} may be refused for `{difference.now}`", older=older)
        case Kind.REASON_REMOVED:
            return Entry(f"{name} is refused for `{difference.was}` no more")
        case Kind.RANGE_WIDENED | Kind.RANGE_NARROWED:
            return Entry(f"{name} {difference.kind}: {difference.now} instead of {difference.was}")
    return Entry(f"{name} {difference.kind}")


def _value_of(difference: Difference, pair: Neighbours) -> Any:
    return next(each for each in pair.new.enums[difference.scope].value if each.number == difference.number)


def _reason_fallback(reason: str, pair: Neighbours) -> str | None:
    enum = pair.new.enums.get(pair.reasons)
    found = next((each for each in enum.value if each.name.endswith(f"_{reason}")), None) if enum is not None else None
    fallback = None if found is None else annotation(found, "fallback")
    if enum is None or found is None or not fallback:
        return None
    prefix = found.name.removesuffix(reason)
    return str(fallback).removeprefix(prefix)


def _names(names: tuple[str, ...]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _path(path: str) -> str:
    return path.lstrip("/")


def _value(value: Any) -> str:
    if isinstance(value, str):
        return f'`"{value}"`' if value == "" or not value.isupper() else f"`{value}`"
    return f"`{value}`"
