"""A made-up history of API versions, as long as those of many years: every one changes the same message once.

Here belongs the history. What it costs to cross it is measured by `versions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf import duration_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.changes import (
    SECONDS_TO_DURATION,
    Change,
    FieldConverted,
    FieldRenamed,
    FieldRequired,
    FieldSplit,
)
from crosswind_server.versions.history import History, Release

GATES: Final = 20
METHOD: Final = "/bench.v1.Bench/Do"
ASK: Final = "bench.v1.Ask"
_ITEM: Final = "bench.v1.Item"
_KINDS: Final = 5
_STRING: Final = FieldDescriptorProto.TYPE_STRING


def version(number: int) -> str:
    """The date of a version."""
    return f"{2000 + number}-01-01"


def long_history() -> History:
    """The versions: the kinds of change take turns, every fifth one is in the elements of a list."""
    releases = []
    for number in range(GATES + 1):
        changes = (_change(number - 1),) if number else ()
        releases.append(Release(ApiVersion.parse(version(number)), _snapshot(number), changes))
    return History(tuple(releases), "bench.v1.Reason")


def _change(number: int) -> Change:
    """What the change of some number is; the field is named for it."""
    old, new, why = f"old{number}", f"new{number}", "For a measurement."
    match number % _KINDS:
        case 0:
            return FieldRenamed(ASK, old, new, why=why)
        case 1:
            return FieldConverted(ASK, old, new, SECONDS_TO_DURATION, why=why)
        case 2:
            return FieldSplit(ASK, old, (new, f"{new}b"), split=_split, join=_join, why=why)
        case 3:
            return FieldRequired(ASK, new, "default", why=why)
        case _:
            return FieldRenamed(_ITEM, old, new, why=why)


def _split(text: Any) -> tuple[str, str]:
    first, _, rest = text.partition(" ")
    return first, rest


def _join(first: Any, rest: Any) -> str:
    return f"{first} {rest}"


def _snapshot(number: int) -> Callable[[], FileDescriptorSet]:
    def load() -> FileDescriptorSet:
        ask, item = DescriptorProto(name="Ask"), DescriptorProto(name="Item")
        _add(ask, "task_id", 1, _STRING)
        items = ask.field.add(name="items", number=2, type=FieldDescriptorProto.TYPE_MESSAGE, type_name=f".{_ITEM}")
        items.label = FieldDescriptorProto.LABEL_REPEATED
        for change in range(GATES):
            _add_changed(ask, item, change, done=change < number)
        file = FileDescriptorProto(name="bench/v1/bench.proto", package="bench.v1", syntax="proto3")
        file.dependency.append("google/protobuf/duration.proto")
        file.message_type.extend((ask, item))
        file.service.add(name="Bench").method.add(name="Do", input_type=f".{ASK}", output_type=f".{ASK}")
        duration = FileDescriptorProto.FromString(duration_pb2.DESCRIPTOR.serialized_pb)
        return FileDescriptorSet(file=(duration, file))

    return load


def _add_changed(ask: DescriptorProto, item: DescriptorProto, change: int, *, done: bool) -> None:
    """The field of a change before it, or after it."""
    number, kind = 10 + 3 * change, change % _KINDS
    holder = item if kind == _KINDS - 1 else ask
    if not done:
        if kind != 3:
            _add(holder, f"old{change}", number, FieldDescriptorProto.TYPE_INT32 if kind == 1 else _STRING)
        return
    _add(holder, f"new{change}", number + 1, FieldDescriptorProto.TYPE_MESSAGE if kind == 1 else _STRING)
    if kind == 2:
        _add(holder, f"new{change}b", number + 2, _STRING)


def _add(message: DescriptorProto, name: str, number: int, type: FieldDescriptorProto.Type.ValueType) -> None:
    field = message.field.add(name=name, number=number, type=type, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if type == FieldDescriptorProto.TYPE_MESSAGE:
        field.type_name = ".google.protobuf.Duration"
