"""What fields that a declared change makes out of others differ in: defaults, ranges, requirements and secrecy.

A change carries values across. What an absent field means, and what is refused, it does not carry: the options of the
new fields have to follow from those of the old ones, or another change says that they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from codegen.compat.correspondence import Neighbours, files_of
from codegen.compat.differences import NO_LIMITS, compare, limits_of, limits_text, narrows
from codegen.compat.facts import Difference, Key, Kind
from crosswind_server.versions.annotations import annotation
from crosswind_server.versions.changes import (
    Change,
    FieldConverted,
    FieldMoved,
    FieldsMerged,
    FieldSplit,
    Values,
)
from crosswind_server.versions.history import HistoryBroken, Message, Release, has_presence
from crosswind_server.versions.steps import default_of

_DURATION = ".google.protobuf.Duration"
_P = FieldDescriptorProto


@dataclass(frozen=True)
class Place:
    """A field in a message, or in one that it holds.

    Attributes:
        message: the one that has the field.
        field: the field.
        way: the full names of the fields that lead there.
    """

    message: Message
    field: FieldDescriptorProto
    way: tuple[str, ...] = ()

    @property
    def element(self) -> str:
        """Its full name."""
        return f"{self.message.full_name}.{self.field.name}"


def find(release: Release, message: Message, path: str) -> Place:
    """The place of `limits.timeout`.

    Raises:
        HistoryBroken: there is none.
    """
    *names, last = path.split(".")
    way = []
    for name in names:
        held = _find_field(release, message, name)
        way.append(f"{message.full_name}.{name}")
        message = release.message(held.type_name.lstrip("."))
    return Place(message, _find_field(release, message, last), tuple(way))


def _find_field(release: Release, message: Message, name: str) -> FieldDescriptorProto:
    try:
        return message.fields[name]
    except KeyError:
        raise HistoryBroken(f"{message.full_name} has no field {name} in API version {release.version}") from None


def carried(pair: Neighbours, change: Change) -> tuple[list[Difference], set[Key]]:
    """What a change's new fields differ in from its old ones, and requirements that are none because these had them.

    Raises:
        HistoryBroken: the change names what is not there.
    """
    match change:
        case FieldMoved():
            old = find(pair.old, pair.pair.old_message(change.message), change.old)
            new = find(pair.new, pair.pair.new_message(change.message), change.new)
            found = compare(pair, (old.message, old.field), (new.message, new.field), _file(pair, new))
            return list(found), _relieved([old], [new])
        case FieldConverted():
            up = change.by.up
            return _made(pair, change.message, (change.old,), (change.new,), lambda value: (up(value),), up)
        case FieldSplit():
            return _made(pair, change.message, (change.old,), change.new, change.split, None)
        case FieldsMerged():
            merge = change.merge
            return _made(pair, change.message, change.old, (change.new,), lambda *values: (merge(*values),), None)
    return [], set()


def _made(
    pair: Neighbours,
    message: str,
    old_names: tuple[str, ...],
    new_names: tuple[str, ...],
    make: Callable[..., Values],
    bound: Callable[[Any], Any] | None,
) -> tuple[list[Difference], set[Key]]:
    old = [find(pair.old, pair.pair.old_message(message), name) for name in old_names]
    new = [find(pair.new, pair.pair.new_message(message), name) for name in new_names]
    found: list[Difference] = []
    for place, expected in zip(new, _expected_defaults(old, new, make), strict=True):
        was = limits_of(old[0].field) if bound is not None else NO_LIMITS
        limits = NO_LIMITS if bound is None else _carried_limits(was, old[0].field, place.field, bound)
        found += _differ(pair, old, place, expected, limits)
    return found, _relieved(old, new)


def _differ(
    pair: Neighbours, old: list[Place], new: Place, default: Any, limits: tuple[Any, ...]
) -> Iterator[Difference]:
    def differ(kind: Kind, was: object, now: object) -> Difference:
        return Difference(
            kind, new.element, _file(pair, new), str(was), str(now), old[0].element, number=new.field.number
        )

    now = _default(new.field)
    if default != now:
        yield differ(Kind.DEFAULT_CHANGED, "none" if default is None else default, "none" if now is None else now)
    if narrows(limits, limits_of(new.field)):
        yield differ(Kind.RANGE_NARROWED, limits_text(limits), limits_text(limits_of(new.field)))
    if any(annotation(each.field, "sensitive") for each in old) and not annotation(new.field, "sensitive"):
        yield differ(Kind.SENSITIVE_CHANGED, True, False)


def _relieved(old: list[Place], new: list[Place]) -> set[Key]:
    if any(annotation(each.field, "required") for each in old):
        return {(Kind.FIELD_REQUIRED, each.element) for each in new}
    return set()


def _expected_defaults(old: list[Place], new: list[Place], make: Callable[..., Values]) -> Values:
    """What the new fields mean where they are absent, if it is what the old ones meant."""
    values = [_default(each.field) for each in old]
    if all(value is None for value in values):
        return (None,) * len(new)
    return make(*(_zero(each.field) if value is None else value for each, value in zip(old, values, strict=True)))


def _default(field: FieldDescriptorProto) -> Any:
    return None if annotation(field, "default_value") is None else default_of(field)


def _zero(field: FieldDescriptorProto) -> Any:
    if has_presence(field):
        return None
    if field.label == _P.LABEL_REPEATED:
        return ()
    texts = {_P.TYPE_STRING: "", _P.TYPE_BYTES: b"", _P.TYPE_BOOL: False}
    return texts.get(field.type, 0)


def _carried_limits(
    limits: tuple[Any, ...], old: FieldDescriptorProto, new: FieldDescriptorProto, up: Callable[[Any], Any]
) -> tuple[Any, ...]:
    """The range of a converted field that refuses nothing that the old one accepted."""

    def convert(end: Any) -> Any:
        if end is None:
            return None
        value = up(round(end * 10**9) if old.type_name == _DURATION else end)
        return value / 10**9 if new.type_name == _DURATION else value

    try:
        return convert(limits[0]), convert(limits[1]), *limits[2:]
    except (TypeError, ValueError):  # the ends of such a range are no numbers any more
        return NO_LIMITS


def _file(pair: Neighbours, place: Place) -> str:
    return files_of(pair.new).get(place.message.full_name, "")
