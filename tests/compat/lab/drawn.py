"""Messages of any version, drawn by Hypothesis from the version's own descriptors."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from tests.compat.lab.history import VERSIONS
from tests.compat.lab.messages import message_type, pool_of

_INTEGERS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_AWKWARD: Final = ["a", "Ada Lovelace", " Ada  L. ", "h:80", "::1", ":", "a:99999999999", "k=v", "=", "k=v=w", "\x00é"]
_TEXTS: Final = st.one_of(st.sampled_from(_AWKWARD), st.sampled_from(_AWKWARD), st.text(max_size=6))
_BOOLEANS: Final = st.booleans()
_DEPTH: Final = 2
LATER_NUMBERS: Final = (99, -1, 2**31 - 1)
"""Numbers of enums that no version knows."""


@st.composite
def messages(draw: st.DrawFn, version: str, full_name: str, *, wild: bool = False) -> Message:
    """A message of a version.

    Args:
        draw: Hypothesis's.
        version: whose message.
        full_name: of the message.
        wild: whether anything may be in it that the wire can carry: Durations that are none, and values of enums that
            other versions know.
    """
    message = message_type(version, full_name)()
    _fill(draw, message, wild, _DEPTH)
    return message


def names_of(version: str) -> list[str]:
    """The full names of the messages of a version."""
    pool = pool_of(version)
    files = [pool.FindFileByName(f"lab/v1/{name}.proto") for name in ("tasks", "service")]
    return sorted(each.full_name for file in files for each in file.message_types_by_name.values())


def _fill(draw: st.DrawFn, message: Message, wild: bool, depth: int) -> None:
    descriptor = message.DESCRIPTOR
    if descriptor.full_name == "google.protobuf.Duration":
        _fill_duration(draw, message, wild)
        return
    fields: list[Any] = [field for field in descriptor.fields if draw(_BOOLEANS)]
    for field in fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _fill_map(draw, getattr(message, field.name), field.message_type, wild, depth)
        elif field.message_type is not None and depth == 0:
            continue
        elif field.is_repeated:
            _fill_list(draw, getattr(message, field.name), field, wild, depth)
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            _fill(draw, getattr(message, field.name), wild, depth - 1)
        else:
            setattr(message, field.name, draw(_scalars(field, wild)))


def _fill_duration(draw: st.DrawFn, message: Any, wild: bool) -> None:
    if wild:
        message.seconds = draw(st.integers(-(2**63), 2**63 - 1))
        message.nanos = draw(st.integers(-(2**31), 2**31 - 1))
        return
    sign = draw(st.sampled_from((1, -1)))
    message.seconds = sign * draw(st.integers(0, 315_576_000_000))
    message.nanos = sign * draw(st.integers(0, 10**9 - 1))


def _fill_list(draw: st.DrawFn, held: Any, field: FieldDescriptor, wild: bool, depth: int) -> None:
    for _ in range(draw(st.integers(0, 2))):
        if field.message_type is not None:
            _fill(draw, held.add(), wild, depth - 1)
        else:
            held.append(draw(_scalars(field, wild)))


def _fill_map(draw: st.DrawFn, held: Any, entry: Descriptor, wild: bool, depth: int) -> None:
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    for name in draw(st.lists(_scalars(key, wild), max_size=2, unique=True)):
        if value.message_type is None:
            held[name] = draw(_scalars(value, wild))
        elif depth > 0:
            held[name].SetInParent()
            _fill(draw, held[name], wild, depth - 1)


def _scalars(field: FieldDescriptor, wild: bool) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        known = [value.number for value in field.enum_type.values]
        newest = pool_of(VERSIONS[-1]).FindEnumTypeByName(field.enum_type.full_name)
        others = [value.number for value in newest.values] if wild else []
        return st.sampled_from([*known, *others, *LATER_NUMBERS])
    if field.cpp_type in _INTEGERS:
        low, high = _INTEGERS[field.cpp_type]
        return st.one_of(st.sampled_from((0, 1, low, high)), st.integers(low, high))
    assert field.cpp_type == FieldDescriptor.CPPTYPE_STRING, field.full_name
    return _TEXTS
