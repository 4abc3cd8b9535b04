"""What is done to a message between two neighbouring versions.

Here belongs the meaning of each kind of message change: what it does to one message of its type, upwards and downwards.
Which steps a call's message goes through belongs to `plans`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from crosswind_server.versions import changes
from crosswind_server.versions.accessors import Accessor, accessor, integer_range
from crosswind_server.versions.annotations import annotation
from crosswind_server.versions.history import HistoryBroken, Message, Release

Operation = Callable[[Any], object]
"""Changes a union message in place; `LEAVE_OUT` where it has no place in the old version."""

LEAVE_OUT: Final = object()


class Pair:
    """Two neighbouring versions.

    Args:
        old: the older one.
        new: the newer one, whose changes lie between both.
        names: of messages in `old` to those in `new`.
    """

    def __init__(self, old: Release, new: Release, names: Mapping[str, str]) -> None:
        self.old = old
        self.new = new
        self._names = names
        self._former = {now: name for name, now in names.items()}

    def old_message(self, name: str) -> Message:
        """A message as the old version has it, by its name in either.

        Raises:
            HistoryBroken: it has none.
        """
        return self.old.message(self._former.get(name, name))

    def new_message(self, name: str) -> Message:
        """A message as the new version has it, by its name in either.

        Raises:
            HistoryBroken: it has none.
        """
        return self.new.message(self._names.get(name, name))

    def new_name(self, old: str) -> str:
        """The name that a message of the old version has in the new one."""
        return self._names.get(old, old)

    def former_enum(self, name: str) -> str:
        """The name that an enum of the new version had in the old one: it goes with the message that it is in."""
        holder, dot, local = name.rpartition(".")
        return self._former.get(holder, holder) + dot + local

    def before(self, message: str, name: str) -> Accessor:
        """A field as the old version has it."""
        return accessor(self.old, self.old_message(message), name)

    def after(self, message: str, name: str) -> Accessor:
        """A field as the new version has it."""
        return accessor(self.new, self.new_message(message), name)


@singledispatch
def operations(change: changes.Change, pair: Pair) -> tuple[str, Operation | None, Operation | None] | None:
    """The message that a change is about, by its new name, and what to do to one, upwards and downwards.

    None: it does nothing to messages.

    Raises:
        HistoryBroken: the change names what is not there.
    """
    return None


@operations.register
def _(change: changes.FieldRenamed, pair: Pair) -> tuple[str, Operation | None, Operation | None]:
    old, new = pair.before(change.message, change.old), pair.after(change.message, change.new)
    if old.attribute == new.attribute:
        return change.message, None, None
    return change.message, old.mover(new), new.mover(old)


@operations.register
def _(change: changes.FieldConverted, pair: Pair) -> tuple[str, Operation, Operation]:
    old, new = pair.before(change.message, change.old), pair.after(change.message, change.new)
    if old.attribute == new.attribute:
        raise HistoryBroken(f"{change.message}.{change.new} is converted and keeps its number; give it another")
    up, down = change.by.up, change.by.down

    def upgrade(message: Any) -> None:
        value = old.read(message)
        if value is not None:
            new.put(message, up(value))
        old.put(message, None)

    def downgrade(message: Any) -> None:
        value = new.read(message)
        if value is not None:
            old.put(message, down(value))
        new.put(message, None)

    return change.message, upgrade, downgrade


@operations.register
def _(change: changes.FieldWidened, pair: Pair) -> tuple[str, None, Operation]:
    new = pair.after(change.message, change.name)
    low, high = integer_range(pair.old_message(change.message).fields[change.name])

    def downgrade(message: Any) -> None:
        value = new.get(message)
        if new.repeated:
            new.put(message, [max(low, min(high, each)) for each in value])
        elif value is not None and not low <= value <= high:
            new.put(message, max(low, min(high, value)))

    return change.message, None, downgrade


@operations.register
def _(change: changes.FieldSplit, pair: Pair) -> tuple[str, Operation, Operation]:
    one = pair.before(change.message, change.old)
    many = [pair.after(change.message, name) for name in change.new]
    return change.message, _scatter(one, many, change.split), _gather(many, one, change.join)


@operations.register
def _(change: changes.FieldsMerged, pair: Pair) -> tuple[str, Operation, Operation]:
    many = [pair.before(change.message, name) for name in change.old]
    one = pair.after(change.message, change.new)
    return change.message, _gather(many, one, change.merge), _scatter(one, many, change.split)


def _scatter(one: Accessor, many: list[Accessor], split: Callable[[Any], changes.Values]) -> Operation:
    def scatter(message: Any) -> None:
        value = one.read(message)
        one.put(message, None)
        if value is not None:
            for part, each in zip(many, split(value), strict=True):
                part.put(message, each)

    return scatter


def _gather(many: list[Accessor], one: Accessor, join: Callable[..., Any]) -> Operation:
    def gather(message: Any) -> None:
        values = [part.get(message) for part in many]
        present = any(part.read(message) is not None for part in many)
        for part in many:
            part.put(message, None)
        if present:
            one.put(message, join(*values))

    return gather


@operations.register
def _(change: changes.FieldRequired, pair: Pair) -> tuple[str, Operation, None]:
    field = pair.after(change.message, change.name)

    def upgrade(message: Any) -> None:
        if field.read(message) is None:
            field.put(message, change.default)

    return change.message, upgrade, None


@operations.register
def _(change: changes.FieldRemoved, pair: Pair) -> tuple[str, Operation, Operation | None]:
    field = pair.before(change.message, change.name)

    def downgrade(message: Any) -> None:
        field.put(message, change.answer)

    return change.message, lambda message: field.put(message, None), None if change.answer is None else downgrade


@operations.register
def _(change: changes.FieldMoved, pair: Pair) -> tuple[str, Operation, Operation]:
    old = _Place(pair.old, pair.old_message(change.message), change.old)
    new = _Place(pair.new, pair.new_message(change.message), change.new)
    return change.message, lambda message: old.move(message, new), lambda message: new.move(message, old)


class _Place:
    """A field in a message, or in one that it holds."""

    def __init__(self, release: Release, message: Message, path: str) -> None:
        *names, last = path.split(".")
        self._way: list[str] = []
        for name in names:
            held = message.fields.get(name)
            if held is None or held.label == FieldDescriptorProto.LABEL_REPEATED or not held.type_name:
                raise HistoryBroken(f"{message.full_name} holds no message {name} in API version {release.version}")
            self._way.append(f"f{held.number}")
            message = release.message(held.type_name.lstrip("."))
        self._field = accessor(release, message, last)

    def move(self, message: Any, other: _Place) -> None:
        holders = [message]
        for attribute in self._way:
            if not holders[-1].HasField(attribute):
                return
            holders.append(getattr(holders[-1], attribute))
        value = self._field.read(holders[-1])
        if value is None:
            return
        self._field.put(holders[-1], None)
        target = message
        for attribute in other._way:
            target = getattr(target, attribute)
        other._field.put(target, value)
        for holder, attribute in reversed(list(zip(holders, self._way, strict=False))):
            if getattr(holder, attribute).ByteSize() == 0:
                holder.ClearField(attribute)


@operations.register
def _(change: changes.DefaultChanged, pair: Pair) -> tuple[str, Operation, Operation]:
    old, new = pair.before(change.message, change.name), pair.after(change.message, change.name)
    if not (old.present and new.present):
        raise HistoryBroken(
            f"{change.message}.{change.name} changes its default and cannot be absent; make it optional"
        )
    was = default_of(pair.old_message(change.message).fields[change.name])
    now = default_of(pair.new_message(change.message).fields[change.name])

    def upgrade(message: Any) -> None:
        if not message.HasField(old.attribute):
            old.put(message, was)

    def downgrade(message: Any) -> None:
        if not message.HasField(new.attribute):
            new.put(message, now)

    return change.message, upgrade, downgrade


def default_of(proto: FieldDescriptorProto) -> Any:
    """What an absent field means, as its option `default_value` says; an enum's is a name, a Duration's nanoseconds.

    Raises:
        HistoryBroken: it says nothing, or not what the field can hold.
    """
    text = annotation(proto, "default_value")
    if text is None:
        raise HistoryBroken(f"{proto.name} has no option default_value")
    if proto.type == FieldDescriptorProto.TYPE_ENUM:
        return text
    try:
        if proto.type == FieldDescriptorProto.TYPE_MESSAGE:
            number, unit = float(text[:-1]), text[-1:]
            if unit != "s":
                raise ValueError(text)
            return round(number * 10**9)
        if proto.type in (FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_BYTES):
            return text if proto.type == FieldDescriptorProto.TYPE_STRING else text.encode()
        if proto.type == FieldDescriptorProto.TYPE_BOOL:
            return {"true": True, "false": False}[text]
        if proto.type in (FieldDescriptorProto.TYPE_DOUBLE, FieldDescriptorProto.TYPE_FLOAT):
            return float(text)
        return int(text)
    except (ValueError, KeyError):
        raise HistoryBroken(f"the default_value {text!r} of {proto.name} is none of its type") from None


@operations.register
def _(change: changes.EnumValueMapped, pair: Pair) -> tuple[str, None, Operation]:
    message_type = pair.new_message(change.message)
    new, old = pair.after(change.message, change.name), pair.before(change.message, change.name)
    if old.attribute != new.attribute:
        raise HistoryBroken(f"{change.message}.{change.name} maps a value and is renumbered; list the rename apart")
    enum = pair.new.enums.get(message_type.fields[change.name].type_name.lstrip("."))
    if enum is None or all(value.name != change.value for value in enum.value):
        raise HistoryBroken(
            f"{change.message}.{change.name} has no value {change.value} in API version {pair.new.version}"
        )
    fields = {name: accessor(pair.new, message_type, name) for name in message_type.fields}

    def choose(message: Any) -> str:
        return change.choose({name: each.get(message) for name, each in fields.items()})

    def downgrade(message: Any) -> None:
        value = new.get(message)
        if new.repeated:
            if change.value in value:
                chosen = choose(message)
                old.put(message, [chosen if each == change.value else each for each in value])
        elif value == change.value:
            old.put(message, choose(message))

    return change.message, None, downgrade


@operations.register
def _(change: changes.ArmAdded, pair: Pair) -> tuple[str, None, Operation]:
    arm = pair.after(change.message, change.arm)
    instead = None if change.instead is None else pair.before(change.message, change.instead)

    def downgrade(message: Any) -> object:
        if not message.HasField(arm.attribute):
            return None
        value = arm.get(message)
        arm.put(message, None)
        if instead is None:
            return LEAVE_OUT
        instead.put(message, value if change.by is None else change.by(value))
        return None

    return change.message, None, downgrade


@operations.register
def _(change: changes.FreeChange, pair: Pair) -> tuple[str, Operation, Operation]:
    old, new = pair.old_message(change.message), pair.new_message(change.message)
    before = {name: accessor(pair.old, old, name) for name in old.fields}
    after = {name: accessor(pair.new, new, name) for name in new.fields}

    def upgrade(message: Any) -> None:
        _apply(change.upgrade, before, after, message)

    def downgrade(message: Any) -> None:
        _apply(change.downgrade, after, before, message)

    return change.message, upgrade, downgrade


def _apply(
    free: Callable[[changes.Fields], changes.Fields],
    source: Mapping[str, Accessor],
    target: Mapping[str, Accessor],
    message: Any,
) -> None:
    for name, value in free({name: each.get(message) for name, each in source.items()}).items():
        target[name].put(message, value)
