"""One message type for all versions of a message: every field number that it ever had.

A number is never given to another field, so bytes of any version parse into this type, and what gates do happens on one
parsed message however many versions it crosses. Here belongs the type; what is done to it belongs to `steps`.

Fields are named by their numbers (`f12`), because names come and go, and enums are numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf import descriptor_pool, duration_pb2, message_factory, timestamp_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import Message as ProtobufMessage

from crosswind_server.versions.history import GOOGLE, History, Message, has_presence

_FILE: Final = "crosswind_union.proto"
_PACKAGE: Final = "union"
_LABEL_REPEATED: Final = FieldDescriptorProto.LABEL_REPEATED
DURATION: Final = ".google.protobuf.Duration"
TIMESTAMP: Final = ".google.protobuf.Timestamp"


class Union:
    """The types of all messages of a history.

    Args:
        history: its snapshots.
    """

    def __init__(self, history: History) -> None:
        self._types: dict[str, DescriptorProto] = {}
        self._oneofs: dict[str, dict[int, str]] = {}
        dependencies = {"google/protobuf/duration.proto", "google/protobuf/timestamp.proto"}
        for release, lineage in zip(reversed(history.releases), reversed(history.lineages), strict=True):
            for message in release.messages.values():
                self._merge(message, lineage)
            dependencies.update(file.name for file in release.descriptors.file if file.name.startswith(GOOGLE))
        pool = descriptor_pool.DescriptorPool()
        _add_google(pool, history, dependencies)
        file = FileDescriptorProto(name=_FILE, package=_PACKAGE, syntax="proto3", dependency=sorted(dependencies))
        for name, proto in self._types.items():
            _declare_oneofs(proto, self._oneofs[name])
            file.message_type.append(proto)
        pool.Add(file)
        self._pool = pool

    def type_of(self, name: str) -> type[ProtobufMessage]:
        """The type of a message, by the last full name that it had."""
        found: type[ProtobufMessage] = message_factory.GetMessageClass(
            self._pool.FindMessageTypeByName(f"{_PACKAGE}.{_local(name)}")
        )
        return found

    def fields_of(self, name: str) -> Iterator[tuple[FieldDescriptorProto, str]]:
        """Each field of a message that holds messages of a history, with the last full name of those."""
        proto = self._types[name]
        entries = {f".{_PACKAGE}.{proto.name}.{entry.name}": entry for entry in proto.nested_type}
        for field in proto.field:
            held = entries[field.type_name].field[1] if field.type_name in entries else field
            if held.type == FieldDescriptorProto.TYPE_MESSAGE and held.type_name.startswith(f".{_PACKAGE}."):
                yield field, _full(held.type_name)

    def holders_of(self, names: Iterable[str]) -> set[str]:
        """Messages that hold one of those named, at any depth, and these themselves."""
        holders: dict[str, list[str]] = {}
        for name in self._types:
            for _, held in self.fields_of(name):
                holders.setdefault(held, []).append(name)
        found: set[str] = set()
        open_ends = list(names)
        while open_ends:
            name = open_ends.pop()
            if name not in found:
                found.add(name)
                open_ends += holders.get(name, ())
        return found

    def is_map(self, name: str, number: int) -> bool:
        """Whether a field is a map."""
        proto = self._types[name]
        local = f"F{number}Entry"
        return any(entry.name == local for entry in proto.nested_type)

    def _merge(self, message: Message, lineage: Any) -> None:
        """Add what a message has that newer ones of it have not."""
        name = lineage[message.full_name]
        merged = self._types.setdefault(name, DescriptorProto(name=_local(name)))
        oneofs = self._oneofs.setdefault(name, {})
        known = {field.number: field for field in merged.field}
        for field in message.proto.field:
            real = field.HasField("oneof_index") and not field.proto3_optional
            if field.number in known:
                newer = known[field.number]
                # Presence that one version has is kept: the others cannot see it.
                if has_presence(field) and not has_presence(newer) and newer.label != _LABEL_REPEATED:
                    newer.proto3_optional = True
                continue
            added = merged.field.add()
            added.CopyFrom(field)
            added.name = f"f{field.number}"
            for unwanted in ("options", "json_name", "oneof_index", "default_value"):
                added.ClearField(unwanted)
            if real:
                added.proto3_optional = False
                oneofs[field.number] = message.proto.oneof_decl[field.oneof_index].name
            entry = message.map_entries.get(field.type_name.lstrip("."))
            if entry is not None:
                nested = merged.nested_type.add()
                nested.CopyFrom(entry)
                nested.name = f"F{field.number}Entry"
                added.type_name = f".{_PACKAGE}.{merged.name}.{nested.name}"
                _resolve(nested.field[1], lineage)
            else:
                _resolve(added, lineage)


def _resolve(field: FieldDescriptorProto, lineage: Any) -> None:
    """Make a field's type one of the union's."""
    if field.type == FieldDescriptorProto.TYPE_ENUM:
        field.type = FieldDescriptorProto.TYPE_INT32  # the same on the wire, and open
        field.ClearField("type_name")
    elif field.type == FieldDescriptorProto.TYPE_MESSAGE and field.type_name.lstrip(".") in lineage:
        field.type_name = f".{_PACKAGE}.{_local(lineage[field.type_name.lstrip('.')])}"


def _declare_oneofs(proto: DescriptorProto, members: dict[int, str]) -> None:
    numbers: dict[str, int] = {}
    for field in proto.field:
        if field.number in members:
            name = f"o_{members[field.number]}"
            if name not in numbers:
                numbers[name] = len(proto.oneof_decl)
                proto.oneof_decl.add(name=name)
            field.oneof_index = numbers[name]
    for field in proto.field:  # those of a single optional field come last
        if field.proto3_optional and field.number not in members:
            field.oneof_index = len(proto.oneof_decl)
            proto.oneof_decl.add(name=f"_{field.name}")
        elif field.proto3_optional:
            field.proto3_optional = False


def _add_google(pool: descriptor_pool.DescriptorPool, history: History, names: set[str]) -> None:
    """The files of `google.protobuf`, as the newest snapshot that has each has it."""
    files = {}
    for release in history.releases:
        files.update({file.name: file for file in release.descriptors.file if file.name.startswith(GOOGLE)})
    for module in (duration_pb2, timestamp_pb2):
        files.setdefault(module.DESCRIPTOR.name, FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb))
    added: set[str] = set()

    def add(name: str) -> None:
        if name not in added and name in files:
            added.add(name)
            for dependency in files[name].dependency:
                add(dependency)
            pool.Add(files[name])

    for name in sorted(names):
        add(name)


def _local(full_name: str) -> str:
    return full_name.replace("_", "_u").replace(".", "_d")


def _full(type_name: str) -> str:
    return type_name.removeprefix(f".{_PACKAGE}.").replace("_d", ".").replace("_u", "_")
