"""Which differences each kind of change explains.

Here belongs what a change says of two snapshots. What it does to a message at a call belongs to
`crosswind_server.versions.steps`; whether all is explained to `coverage`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch
from typing import Final

from codegen.compat.carried import Place, find
from codegen.compat.correspondence import Neighbours
from codegen.compat.facts import Difference, Key, Kind, scope_of
from crosswind_server.versions import changes
from crosswind_server.versions.annotations import annotation
from crosswind_server.versions.gates import reason_prefix
from crosswind_server.versions.history import HistoryBroken

WIDER: Final = {
    ("int32", "int64"),
    ("sint32", "sint64"),
    ("sfixed32", "sfixed64"),
    ("uint32", "uint64"),
    ("fixed32", "fixed64"),
}
"""Types that `FieldWidened` is for: old, new."""

UNEXPLAINABLE: Final = frozenset({Kind.FIELD_NOT_RESERVED, Kind.VALUE_NOT_RESERVED, Kind.ORIGIN_CHANGED})
"""What is to be mended in the proto; no change makes it right."""


@dataclass(frozen=True)
class Scene:
    """What a change is held against.

    Args:
        pair: the two versions.
        differences: all that they differ in.
    """

    pair: Neighbours
    differences: tuple[Difference, ...]

    def old_place(self, message: str, path: str) -> Place:
        """A field of the older version.

        Raises:
            HistoryBroken: it has none.
        """
        return find(self.pair.old, self.pair.pair.old_message(message), path)

    def new_place(self, message: str, path: str) -> Place:
        """A field of the newer version.

        Raises:
            HistoryBroken: it has none.
        """
        return find(self.pair.new, self.pair.pair.new_message(message), path)

    def carry(self, message: str, old: Iterable[str], new: Iterable[str]) -> set[Key]:
        """Old fields that are gone, and new ones that hold their values."""
        gone = {(Kind.FIELD_REMOVED, self.old_place(message, name).element) for name in old}
        return gone | {(Kind.FIELD_ADDED, self.new_place(message, name).element) for name in new}


@singledispatch
def explained(change: changes.Change, scene: Scene) -> set[Key]:
    """The differences that a change explains, whether or not they are there.

    Raises:
        HistoryBroken: it names what is not there.
    """
    return set()


@explained.register
def _(change: changes.FieldRenamed, scene: Scene) -> set[Key]:
    new = scene.new_place(change.message, change.new).element
    return {(Kind.FIELD_RENAMED, new)} | scene.carry(change.message, [change.old], [change.new])


@explained.register
def _(change: changes.FieldConverted, scene: Scene) -> set[Key]:
    return scene.carry(change.message, [change.old], [change.new])


@explained.register
def _(change: changes.FieldWidened, scene: Scene) -> set[Key]:
    new = scene.new_place(change.message, change.name)
    old = scene.old_place(change.message, change.name)
    types = (
        scene.pair.type_text(scene.pair.old, old.message, old.field),
        scene.pair.type_text(scene.pair.new, new.message, new.field),
    )
    return {(Kind.FIELD_RETYPED, new.element)} if types in WIDER else set()


@explained.register
def _(change: changes.FieldSplit, scene: Scene) -> set[Key]:
    return scene.carry(change.message, [change.old], change.new)


@explained.register
def _(change: changes.FieldsMerged, scene: Scene) -> set[Key]:
    return scene.carry(change.message, change.old, [change.new])


@explained.register
def _(change: changes.FieldRequired, scene: Scene) -> set[Key]:
    element = scene.new_place(change.message, change.name).element
    return {(Kind.FIELD_REQUIRED, element), (Kind.FIELD_ADDED, element)}


@explained.register
def _(change: changes.FieldRemoved, scene: Scene) -> set[Key]:
    return {(Kind.FIELD_REMOVED, scene.old_place(change.message, change.name).element)}


@explained.register
def _(change: changes.FieldMoved, scene: Scene) -> set[Key]:
    old, new = scene.old_place(change.message, change.old), scene.new_place(change.message, change.new)
    found = {(Kind.FIELD_REMOVED, old.element), (Kind.FIELD_ADDED, new.element)}
    found |= {(Kind.FIELD_ADDED, holder) for holder in new.way}
    return found | {(Kind.FIELD_REMOVED, holder) for holder in _emptied(change, scene)}


def _emptied(change: changes.FieldMoved, scene: Scene) -> Iterable[str]:
    """Fields that held the moved one and nothing that does not move too."""
    moves = [each for each in scene.pair.new.changes if isinstance(each, changes.FieldMoved)]
    parts = change.old.split(".")
    for depth in range(1, len(parts)):
        holder = ".".join(parts[:depth])
        place = scene.old_place(change.message, holder)
        held = scene.pair.old.message(place.field.type_name.lstrip("."))
        moved = {each.old for each in moves if each.message == change.message}
        if all(any(f"{each}.".startswith(f"{holder}.{name}.") for each in moved) for name in held.fields):
            yield place.element


@explained.register
def _(change: changes.DefaultChanged, scene: Scene) -> set[Key]:
    return {(Kind.DEFAULT_CHANGED, scene.new_place(change.message, change.name).element)}


@explained.register
def _(change: changes.EnumValueMapped, scene: Scene) -> set[Key]:
    field = scene.new_place(change.message, change.name).field
    return {(Kind.VALUE_ADDED, f"{field.type_name.lstrip('.')}.{change.value}")}


@explained.register
def _(change: changes.ArmAdded, scene: Scene) -> set[Key]:
    return {(Kind.FIELD_ADDED, scene.new_place(change.message, change.arm).element)}


@explained.register
def _(change: changes.MethodMoved, scene: Scene) -> set[Key]:
    return {(Kind.METHOD_MOVED, change.new)}


@explained.register
def _(change: changes.MessageRenamed, scene: Scene) -> set[Key]:
    renamed = (each.element for each in scene.differences if each.kind is Kind.MESSAGE_RENAMED)
    return {(Kind.MESSAGE_RENAMED, name) for name in renamed if f"{name}.".startswith(f"{change.new}.")}


@explained.register
def _(change: changes.MethodRetired, scene: Scene) -> set[Key]:
    if change.through not in scene.pair.new.methods:
        raise HistoryBroken(f"{change.old} is retired through {change.through}, which is not there")
    return {(Kind.METHOD_REMOVED, change.old)}


@explained.register
def _(change: changes.ReasonChanged, scene: Scene) -> set[Key]:
    enum = scene.pair.reasons
    prefix = reason_prefix(enum.rpartition(".")[2])
    sent = _status_code(scene, f"{prefix}{change.old}")
    if sent is not None and sent != change.code:
        raise HistoryBroken(f"{change.old} travelled under {sent}, and the change says {change.code}")
    found: set[Key] = {
        (Kind.VALUE_ADDED, f"{enum}.{prefix}{change.new}"),
        (Kind.VALUE_REMOVED, f"{enum}.{prefix}{change.old}"),
        (Kind.VALUE_RENAMED, f"{enum}.{prefix}{change.new}"),
    }
    if change.method is None:
        found.add((Kind.STATUS_CODE_CHANGED, f"{enum}.{prefix}{change.new}"))
    for path in scene.pair.new.methods if change.method is None else [change.method]:
        found |= {(Kind.REASON_ADDED, f"{path} {change.new}"), (Kind.REASON_REMOVED, f"{path} {change.old}")}
    return found


def _status_code(scene: Scene, value: str) -> str | None:
    enum = scene.pair.old.enums.get(scene.pair.reasons)
    found = next((each for each in enum.value if each.name == value), None) if enum is not None else None
    return None if found is None else annotation(found, "status_code")


@explained.register
def _(change: changes.ValidationChanged, scene: Scene) -> set[Key]:
    for path in change.methods:
        if path not in scene.pair.new.methods:
            raise HistoryBroken(f"{path} is not there in API version {scene.pair.new.version}")
    found: set[Key] = set()
    for name in change.fields:
        element = scene.new_place(scope_of(name), name.rpartition(".")[2]).element
        found |= {(Kind.RANGE_NARROWED, element), (Kind.FIELD_REQUIRED, element)}
    added = (each for each in scene.differences if each.kind is Kind.REASON_ADDED)
    return found | {each.key for each in added if each.element.split(" ")[0] in change.methods}


@explained.register
def _(change: changes.FreeChange, scene: Scene) -> set[Key]:
    return {key for name in change.covers for key in free_keys(name, scene)}


def free_keys(name: str, scene: Scene) -> set[Key]:
    """The differences of what a `FreeChange` names in `covers`."""
    return {
        each.key
        for each in scene.differences
        if name in (each.element, each.former, each.element.split(" ")[0]) and each.kind not in UNEXPLAINABLE
    }


def shows_nothing(change: changes.Change) -> bool:
    """Whether a change may be about what no descriptor shows: keys of `metadata`, or a rule that is no range."""
    match change:
        case changes.ReasonChanged():
            return change.new == change.old and bool(change.metadata)
        case changes.ValidationChanged():
            return not change.fields
    return False
