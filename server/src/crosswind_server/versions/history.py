"""The API versions that there are: what each looked like, and what changed from one to the next.

Here belong snapshots and names: which message, field and method of one version is which of another. How a message is
carried across belongs to `steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.annotations import annotation
from crosswind_server.versions.changes import Change, MessageRenamed, MethodMoved, MethodRetired

GOOGLE: Final = "google/protobuf/"


class HistoryBroken(Exception):
    """What is written of the versions contradicts itself or the snapshots; a defect that the build finds."""


@dataclass(frozen=True)
class Release:
    """One API version.

    Args:
        version: its date.
        load: reads its snapshot, every file of it and what they import; called when it is first needed.
        changes: what is not merely added since the version before; none for the first.
    """

    version: ApiVersion
    load: Callable[[], FileDescriptorSet] = field(repr=False)
    changes: tuple[Change, ...] = ()

    @cached_property
    def descriptors(self) -> FileDescriptorSet:
        """Every file of it, and what they import."""
        return self.load()

    @cached_property
    def messages(self) -> Mapping[str, Message]:
        """Every message by its full name, those of `google.protobuf` left out."""
        return {message.full_name: message for message in self._walk()}

    @cached_property
    def enums(self) -> Mapping[str, EnumDescriptorProto]:
        """Every enum by its full name."""
        found = {}
        for file in self._files():
            for enum in file.enum_type:
                found[f"{file.package}.{enum.name}"] = enum
        for message in self.messages.values():
            for enum in message.proto.enum_type:
                found[f"{message.full_name}.{enum.name}"] = enum
        return found

    @cached_property
    def methods(self) -> Mapping[str, MethodDescriptorProto]:
        """Every RPC by its path, `/package.Service/Method`."""
        return {
            f"/{file.package}.{service.name}/{method.name}": method
            for file in self._files()
            for service in file.service
            for method in service.method
        }

    def message(self, name: str) -> Message:
        """A message by its full name.

        Raises:
            HistoryBroken: this version has none.
        """
        try:
            return self.messages[name]
        except KeyError:
            raise HistoryBroken(f"API version {self.version} has no message {name}") from None

    def _files(self) -> Iterator[Any]:
        return (file for file in self.descriptors.file if not file.name.startswith(GOOGLE))

    def _walk(self) -> Iterator[Message]:
        for file in self._files():
            for proto in file.message_type:
                yield from _nested(proto, file.package)


@dataclass(frozen=True)
class Message:
    """A message of one version."""

    full_name: str
    proto: DescriptorProto = field(repr=False)

    @cached_property
    def fields(self) -> Mapping[str, FieldDescriptorProto]:
        """Its fields by name."""
        return {each.name: each for each in self.proto.field}

    @cached_property
    def map_entries(self) -> Mapping[str, DescriptorProto]:
        """The entries of its maps by their full names."""
        return {f"{self.full_name}.{each.name}": each for each in self.proto.nested_type if each.options.map_entry}


def _nested(proto: DescriptorProto, scope: str) -> Iterator[Message]:
    full_name = f"{scope}.{proto.name}"
    yield Message(full_name, proto)
    for nested in proto.nested_type:
        if not nested.options.map_entry:
            yield from _nested(nested, full_name)


def has_presence(proto: FieldDescriptorProto) -> bool:
    """Whether an absent field differs from one that holds the zero value."""
    if proto.label == FieldDescriptorProto.LABEL_REPEATED:
        return False
    return proto.type == FieldDescriptorProto.TYPE_MESSAGE or proto.proto3_optional or proto.HasField("oneof_index")


def fallback_of(enum: EnumDescriptorProto, number: int) -> int | None:
    """The number of the value that clients receive who are older than a value, as its option `fallback` says."""
    for value in enum.value:
        if value.number == number:
            name = annotation(value, "fallback")
            return next((other.number for other in enum.value if other.name == name), None)
    return None


@dataclass(frozen=True)
class History:
    """All versions that a server serves.

    Args:
        releases: oldest first. The last one is what handlers are written in.
        reasons: the full name of the enum whose values, without their prefix, are the reasons of refusals.
    """

    releases: tuple[Release, ...]
    reasons: str

    def __post_init__(self) -> None:
        versions = [release.version for release in self.releases]
        if not versions or versions != sorted(set(versions)):
            raise HistoryBroken(f"API versions are not in order: {', '.join(map(str, versions)) or 'there are none'}")
        if self.releases[0].changes:
            raise HistoryBroken(f"API version {versions[0]} is the first, and has changes: there is nothing before it")

    @property
    def versions(self) -> Sequence[ApiVersion]:
        """Every version, oldest first."""
        return [release.version for release in self.releases]

    def position(self, version: ApiVersion) -> int:
        """Where a version is in `releases`.

        Raises:
            KeyError: it is none of them.
        """
        return self._positions[version]

    @cached_property
    def _positions(self) -> Mapping[ApiVersion, int]:
        return {release.version: number for number, release in enumerate(self.releases)}

    @cached_property
    def lineages(self) -> Sequence[Mapping[str, str]]:
        """For each release, the last name that each of its messages has had.

        Raises:
            HistoryBroken: a renamed message is not there.
        """
        later: Mapping[str, str] = {}
        lineages: list[Mapping[str, str]] = []
        for position in range(len(self.releases) - 1, -1, -1):
            release = self.releases[position]
            renamed = {}
            if position + 1 < len(self.releases):
                for change in self.releases[position + 1].changes:
                    if isinstance(change, MessageRenamed):
                        self.releases[position + 1].message(change.new)
                        release.message(change.old)
                        renamed[change.old] = change.new
            names = {name: _follow(name, renamed) for name in release.messages}
            later = {name: later.get(now, now) for name, now in names.items()}
            lineages.append(later)
        return tuple(reversed(lineages))

    def find_method(self, position: int, path: str) -> Sequence[MethodMoved | MethodRetired] | None:
        """What happened to an RPC of a release since, in order; None where that release has no such RPC."""
        if path not in self.releases[position].methods:
            return None
        events: list[MethodMoved | MethodRetired] = []
        for release in self.releases[position + 1 :]:
            for change in release.changes:
                if isinstance(change, MethodMoved | MethodRetired) and change.old == path:
                    events.append(change)
                    path = change.new if isinstance(change, MethodMoved) else change.through
                    break
        return events


def _follow(name: str, renamed: Mapping[str, str]) -> str:
    """A message's name in the next version; what is nested in a renamed one goes with it."""
    for old, new in renamed.items():
        if name == old or name.startswith(f"{old}."):
            return new + name[len(old) :]
    return name
