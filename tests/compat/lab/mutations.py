"""The laboratory's history with one thing less in it, for every thing in turn: what is dropped has to be missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from google.protobuf.descriptor_pb2 import EnumDescriptorProto, EnumValueDescriptorProto, FileDescriptorSet

from crosswind.options.v1 import options_pb2
from crosswind_server.versions.annotations import annotation
from crosswind_server.versions.changes import Change
from crosswind_server.versions.history import History, Release

# As Any to the type checker, see `crosswind_server.versions.annotations`.
_FALLBACK: Final = options_pb2.fallback


@dataclass(frozen=True)
class Dropped:
    """A history without one of its changes.

    Attributes:
        name: what is dropped.
        change: the change.
        history: what is left.
    """

    name: str
    change: Change
    history: History


def without_each_change(history: History) -> Iterator[Dropped]:
    """One history for each change of each version."""
    for number, release in enumerate(history.releases):
        for place, change in enumerate(release.changes):
            left = release.changes[:place] + release.changes[place + 1 :]
            releases = list(history.releases)
            releases[number] = replace(release, changes=left)
            yield Dropped(f"{release.version} {_name(change)}", change, replace(history, releases=tuple(releases)))


def _name(change: Change) -> str:
    words = [getattr(change, name, None) for name in ("message", "method", "methods", "old", "name", "new", "arm")]
    shown = [", ".join(word) if isinstance(word, tuple) else word for word in words if word]
    return " ".join([type(change).__name__, *shown]).replace("lab.v1.", "")


def values_with_fallback(history: History) -> Iterator[tuple[str, str]]:
    """Each enum and value of it that has a fallback, by their names."""
    newest = history.releases[-1]
    for name, enum in newest.enums.items():
        for value in enum.value:
            if annotation(value, "fallback") is not None:
                yield name, value.name


def with_fallback(history: History, enum: str, value: str, fallback: str | None) -> History:
    """A history in which a value has another fallback, in every version that has the value.

    Args:
        history: the true one.
        enum: its full name.
        value: whose fallback.
        fallback: the name of another value; None, there is none.
    """

    def edit(proto: EnumValueDescriptorProto) -> None:
        proto.options.ClearExtension(_FALLBACK)  # type: ignore[arg-type]
        if fallback is not None:
            proto.options.Extensions[_FALLBACK] = fallback  # type: ignore[index]

    releases = (Release(each.version, _edited(each, enum, value, edit), each.changes) for each in history.releases)
    return replace(history, releases=tuple(releases))


def _edited(
    release: Release, enum: str, value: str, edit: Callable[[EnumValueDescriptorProto], None]
) -> Callable[[], FileDescriptorSet]:
    def load() -> FileDescriptorSet:
        copy = FileDescriptorSet()
        copy.CopyFrom(release.descriptors)
        for found in _enums(copy, enum):
            for each in found.value:
                if each.name == value:
                    edit(each)
        return copy

    return load


def _enums(files: FileDescriptorSet, name: str) -> Iterator[EnumDescriptorProto]:
    for file in files.file:
        for enum in file.enum_type:
            if f"{file.package}.{enum.name}" == name:
                yield enum
