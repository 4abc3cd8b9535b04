"""Enum values that an old version does not know, mapped down as their options `fallback` say.

What depends on the message besides is a change, `EnumValueMapped`; see `steps`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from crosswind_server.versions.history import HistoryBroken, Message, Release, fallback_of
from crosswind_server.versions.steps import Operation, Pair


def fallbacks(pair: Pair) -> Iterator[tuple[str, Operation]]:
    """For each message with fields of an enum that has new values: its new name, and what maps those down.

    Raises:
        HistoryBroken: a new value leads to none that the old version has.
    """
    known: dict[str, Mapping[int, int]] = {}
    for name in pair.new.enums:
        former = pair.former_enum(name)
        old = pair.old.enums.get(former)
        if old is not None:
            table = fallback_table(pair.new, name, {value.number for value in old.value})
            if table:
                known[f".{former}"] = table
    for message in pair.old.messages.values():
        mapped = [
            (f"f{field.number}", field.label == FieldDescriptorProto.LABEL_REPEATED, _is_map(message, field), table)
            for field in message.proto.field
            if (table := known.get(_enum_type(message, field), {}))
        ]
        if mapped:
            yield pair.new_name(message.full_name), _map_down(mapped)


def fallback_table(release: Release, name: str, before: set[int]) -> Mapping[int, int]:
    """The values of an enum that came with a release, each with what the release before it has instead.

    Args:
        release: the newer one.
        name: the enum's full name in it.
        before: the numbers of the values that the older one has.

    Raises:
        HistoryBroken: a new value leads to none of those.
    """
    enum = release.enums[name]
    table = {}
    for value in enum.value:
        if value.number in before:
            continue
        number: int | None = value.number
        seen: set[int] = set()
        while number is not None and number not in before and number not in seen:
            seen.add(number)
            number = fallback_of(enum, number)
        if number is None or number not in before:
            raise HistoryBroken(
                f"{name}.{value.name} is new in API version {release.version} and has no fallback to a value before"
            )
        table[value.number] = number
    return table


def _enum_type(message: Message, field: FieldDescriptorProto) -> str:
    entry = message.map_entries.get(field.type_name.lstrip("."))
    return (entry.field[1] if entry is not None else field).type_name


def _is_map(message: Message, field: FieldDescriptorProto) -> bool:
    return field.type_name.lstrip(".") in message.map_entries


def _map_down(fields: list[tuple[str, bool, bool, Mapping[int, int]]]) -> Operation:
    def downgrade(message: Any) -> None:
        for attribute, repeated, is_map, table in fields:
            held = getattr(message, attribute)
            if is_map:
                for key, number in list(held.items()):
                    held[key] = table.get(number, number)
            elif repeated:
                for place, number in enumerate(held):
                    if number in table:
                        held[place] = table[number]
            elif held in table:
                setattr(message, attribute, table[held])

    return downgrade
