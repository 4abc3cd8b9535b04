"""Which message, field and RPC of one version is which of the next.

Here belongs what changes say of names; what else differs belongs to `differences`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from crosswind_server.versions.changes import FieldRenamed, MethodMoved
from crosswind_server.versions.history import History, HistoryBroken, Message, Release
from crosswind_server.versions.steps import Pair

NEVER_SENT = "crosswind/options/"
"""Files whose messages stand in descriptors only."""


@dataclass(frozen=True)
class Neighbours:
    """Two neighbouring versions, and which name of the older is which of the newer.

    Args:
        old: the older one.
        new: the newer one, whose changes lie between both.
        reasons: the enum of reasons; see `History`.

    Raises:
        HistoryBroken: a renamed message is not there.
    """

    old: Release
    new: Release
    reasons: str

    @cached_property
    def messages(self) -> Mapping[str, str]:
        """The name in `new` that each message of `old` has, or would have."""
        first = Release(self.old.version, lambda: self.old.descriptors)
        return History((first, self.new), self.reasons).lineages[0]

    @cached_property
    def pair(self) -> Pair:
        """Both, as the steps of gates see them."""
        return Pair(self.old, self.new, self.messages)

    @cached_property
    def methods(self) -> Mapping[str, str]:
        """The paths of the RPCs that were moved, old to new."""
        return {change.old: change.new for change in self.new.changes if isinstance(change, MethodMoved)}

    @cached_property
    def renumbered(self) -> Mapping[tuple[str, str], str]:
        """Fields of `old` that are others of `new` by a declared rename: (message, field) to the new field."""
        found = {}
        for change in self.new.changes:
            if isinstance(change, FieldRenamed):
                try:
                    found[self.pair.old_message(change.message).full_name, change.old] = change.new
                except HistoryBroken:
                    continue  # found to explain nothing
        return found

    def enum_name(self, old: str) -> str:
        """The name of an enum of `old` in `new`: what is nested in a renamed message goes with it."""
        scope, _, name = old.rpartition(".")
        return f"{self.messages[scope]}.{name}" if scope in self.messages else old

    def type_text(self, release: Release, message: Message, proto: FieldDescriptorProto) -> str:
        """A field's type, with names of the newer version, such as `map<string, lab.v1.Sub>`."""
        entry = message.map_entries.get(proto.type_name.lstrip("."))
        if entry is not None:
            key, value = entry.field
            return f"map<{self._plain(release, key)}, {self._plain(release, value)}>"
        return self._plain(release, proto)

    def _plain(self, release: Release, proto: FieldDescriptorProto) -> str:
        name = proto.type_name.lstrip(".")
        if not name:
            return FieldDescriptorProto.Type.Name(proto.type).removeprefix("TYPE_").lower()
        if release is not self.old:
            return name
        if proto.type == FieldDescriptorProto.TYPE_ENUM:
            return self.enum_name(name)
        return self.messages.get(name, name)


def files_of(release: Release) -> Mapping[str, str]:
    """The file of each message, enum and service that is ever sent, by full name."""
    found: dict[str, str] = {}
    for file in release.descriptors.file:
        names = [each.name for each in file.message_type] + [each.name for each in file.enum_type]
        for name in names + [each.name for each in file.service]:
            found[f"{file.package}.{name}"] = file.name
    for name in (*release.messages, *release.enums):
        scope = name
        while scope and scope not in found:
            scope = scope.rpartition(".")[0]
        if scope:
            found[name] = found[scope]
    return {name: file for name, file in found.items() if not file.startswith((NEVER_SENT, "google/"))}
