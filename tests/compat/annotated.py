"""What the options `required`, `range` and `default_value` promise of a message: the message, changed so that it shows.

Here belong the changes to an example; who receives it and has to refuse it belongs to the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from codegen.compat.differences import limits_of
from crosswind_server.versions.annotations import annotation


@dataclass(frozen=True)
class Variant:
    """An example with one field changed.

    Attributes:
        name: the field's full name, and what was done to it.
        message: the whole message.
        refused: whether its receiver has to refuse it for that field.
    """

    name: str
    message: Message
    refused: bool


def variants(example: Message) -> Iterator[Variant]:
    """Each annotated field of an example, and of the messages in it, left out, beyond its range and at its ends."""
    for path in _paths(example):
        for field in _walk(example, path).DESCRIPTOR.fields:
            proto = proto_of(field)
            if annotation(proto, "required"):
                yield _changed(example, path, field, "left out", partial(_clear, field))
            for what, refused, change in _range_changes(field, limits_of(proto)):
                yield _changed(example, path, field, what, change, refused=refused)


def defaults(example: Message) -> Iterator[tuple[str, Message, Message]]:
    """Each field of an example that has a default: its name, the example without it, and with it said."""
    for path in _paths(example):
        for field in _walk(example, path).DESCRIPTOR.fields:
            proto = proto_of(field)
            text = annotation(proto, "default_value")
            if text is not None:
                absent, said = _copy(example), _copy(example)
                _walk(absent, path).ClearField(field.name)
                _say(_walk(said, path), field, text)
                yield field.full_name, absent, said


def proto_of(field: Any) -> FieldDescriptorProto:
    """A field as its proto has it, with its options."""
    message = DescriptorProto()
    field.containing_type.CopyToProto(message)
    return next(each for each in message.field if each.name == field.name)


def is_list(field: FieldDescriptor) -> bool:
    """Whether a field is repeated, a map or not."""
    return proto_of(field).label == FieldDescriptorProto.LABEL_REPEATED


def _say(held: Any, field: FieldDescriptor, text: str) -> None:
    if field.enum_type is not None:
        setattr(held, field.name, field.enum_type.values_by_name[text].number)
    elif field.message_type is not None:
        getattr(held, field.name).FromJsonString(text)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        setattr(held, field.name, text == "true")
    elif field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        setattr(held, field.name, float(text))
    else:
        setattr(held, field.name, text if field.cpp_type == FieldDescriptor.CPPTYPE_STRING else int(text))


def _paths(message: Message, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to the messages in a message, as names and indexes; only the first of several."""
    yield path
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.full_name.startswith("google."):
            continue
        if field.message_type.GetOptions().map_entry:
            continue
        if is_list(field):
            yield from _paths(value[0], (*path, field.name, 0))
        else:
            yield from _paths(value, (*path, field.name))


def _walk(message: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        message = message[step] if isinstance(step, int) else getattr(message, step)
    return message


def _copy(example: Message) -> Message:
    copy = type(example)()
    copy.CopyFrom(example)
    return copy


def _changed(
    example: Message,
    path: tuple[Any, ...],
    field: FieldDescriptor,
    what: str,
    change: Callable[[Any], object],
    *,
    refused: bool = True,
) -> Variant:
    message = _copy(example)
    change(_walk(message, path))
    return Variant(f"{field.full_name} {what}", message, refused)


def _range_changes(
    field: FieldDescriptor, limits: tuple[Any, ...]
) -> Iterator[tuple[str, bool, Callable[[Any], object]]]:
    low, high, shortest, longest = limits
    step = 0.5 if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE else 1
    numbers = [(low, -step), (high, step)]
    lengths = [(shortest, -1), (longest, 1)]
    for end, beyond in numbers:
        if end is not None:
            yield f"= {end:g}", False, partial(_put, field, end)
            yield f"= {end + beyond:g}", True, partial(_put, field, end + beyond)
    for end, beyond in lengths:
        if end is not None:
            if not (is_list(field) and field.message_type and not field.message_type.GetOptions().map_entry):
                yield f"of length {end}", False, partial(_fill, field, end)
            yield f"of length {end + beyond}", True, partial(_fill, field, end + beyond)


def _clear(field: FieldDescriptor, held: Any) -> None:
    held.ClearField(field.name)


def _put(field: FieldDescriptor, value: float, held: Any) -> None:
    if field.message_type is not None:
        getattr(held, field.name).CopyFrom(Duration(seconds=round(value)))
    else:
        setattr(held, field.name, value if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE else round(value))


def _fill(field: FieldDescriptor, length: int, held: Any) -> None:
    if not is_list(field):
        setattr(held, field.name, b"x" * length if field.type == FieldDescriptor.TYPE_BYTES else "x" * length)
        return
    held_list = getattr(held, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        held_list.clear()
        held_list.update({f"k{number}": "v" for number in range(length)})
        return
    first = held_list[0] if held_list else None
    elements = [first if first is not None else "x"] * length
    if field.message_type is not None and first is None:
        elements = [held_list.add() for _ in range(length)]
    kept = [type(each).FromString(each.SerializeToString()) if isinstance(each, Message) else each for each in elements]
    held.ClearField(field.name)
    getattr(held, field.name).extend(kept)
