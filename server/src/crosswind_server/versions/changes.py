"""The kinds of change that gates carry messages across, as data: one file an API version lists its own.

Here belongs what an author of a change writes down. What is done with it at a call belongs to `steps`; whether every
difference between two snapshots is written down belongs to `codegen.compat`. What is merely added (a field, a value of
an enum with `value_since` and `fallback`, an RPC) needs no change here: its options in the proto say everything.

Messages, enums and methods are written by their full names (`crosswind.execution.v1.Lease`,
`/crosswind.execution.v1.WorkerService/PollWork`); fields by the name that they have in the version that the sentence
speaks of, `old` in the version before the change and `new` in the version with it. A field of a nested message is
`limits.timeout`. Numbers are never written: the snapshots of both versions say them.

Every function that a change holds MUST be total: it gets whatever a client sent, before anything was validated, and
may not raise. It sees the values of Python's protobuf, except that a Duration or a Timestamp is its nanoseconds as
int, another message is its serialized bytes, a repeated field is a tuple and a map a dict, and a value of an enum is
its name, or its number where the version does not know it. None is an absent field that has presence. What it returns
is set as the nearest value that the field can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

NANOSECONDS: Final = 10**9
MOST_NANOSECONDS: Final = 315_576_000_001 * NANOSECONDS - 1
"""The most that a Duration holds, some 10,000 years; a longer one becomes this one."""

Values = tuple[Any, ...]
Fields = Mapping[str, Any]
"""The fields of a message by their names in one version; see the module's first page for what values are."""


@dataclass(frozen=True, slots=True)
class Lossy:
    """What an old client reads back where a message of its own went to the newest version and came back.

    Args:
        sentence: what is lost, for `docs/versions.md`.
        result: the values of the change's old fields, in their order, to what they have become.
    """

    sentence: str
    result: Callable[[Values], Values]


@dataclass(frozen=True, slots=True)
class Conversion:
    """From a value of the old field to one of the new field, and back.

    Args:
        up: old to new.
        down: new to old. A value that the old field cannot hold becomes the nearest one that it can.
        lossy: where `down(up(x))` is not always `x`.
    """

    up: Callable[[Any], Any]
    down: Callable[[Any], Any]
    lossy: Lossy | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Something that two neighbouring versions differ in.

    Attributes:
        why: a sentence for SDK authors, in `docs/versions.md`.
    """

    why: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class FieldRenamed(Change):
    """A field has another name, and perhaps another number. Without a new number the wire needs nothing."""

    message: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class FieldConverted(Change):
    """A field became one of another type or unit, with a number of its own."""

    message: str
    old: str
    new: str
    by: Conversion


@dataclass(frozen=True, slots=True)
class FieldWidened(Change):
    """An integer field keeps name and number, and holds more: int32 became int64, uint32 became uint64.

    To an old client a value beyond its range becomes the nearest end of it.
    """

    message: str
    name: str


@dataclass(frozen=True, slots=True)
class FieldSplit(Change):
    """One field became several.

    Args:
        split: the old value to one new value for each of `new`.
        join: the new values, in the order of `new`, to the old value.
    """

    message: str
    old: str
    new: tuple[str, ...]
    split: Callable[[Any], Values]
    join: Callable[..., Any]
    lossy: Lossy | None = None


@dataclass(frozen=True, slots=True)
class FieldsMerged(Change):
    """Several fields became one; the mirror of `FieldSplit`."""

    message: str
    old: tuple[str, ...]
    new: str
    merge: Callable[..., Any]
    split: Callable[[Any], Values]
    lossy: Lossy | None = None


@dataclass(frozen=True, slots=True)
class FieldRequired(Change):
    """A field is required from now on, and who does not know it means `default`. It may be a new one."""

    message: str
    name: str
    default: Any


@dataclass(frozen=True, slots=True)
class FieldRemoved(Change):
    """A field is gone. What old clients send in it is dropped, and they always read `answer`: None, the zero value."""

    message: str
    name: str
    answer: Any = None


@dataclass(frozen=True, slots=True)
class FieldMoved(Change):
    """A field lives elsewhere below the same message: `timeout` became `limits.timeout`, or the reverse.

    A message that is made to hold the value is taken away again when nothing else is left in it.
    """

    message: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class DefaultChanged(Change):
    """An absent field means something else. Both defaults are the field's `default_value` in the two snapshots."""

    message: str
    name: str


@dataclass(frozen=True, slots=True)
class EnumValueMapped(Change):
    """An old client receives for a new value of an enum field one that depends on the message. Goes before `fallback`.

    Args:
        choose: the message's fields in the new version to the name of a value that the old version has.
    """

    message: str
    name: str
    value: str
    choose: Callable[[Fields], str]


@dataclass(frozen=True, slots=True)
class ArmAdded(Change):
    """A oneof has a new arm. An old client receives another in its place, or the message is left out.

    Args:
        arm: the new field.
        instead: a field of the oneof that the old version has, with what it becomes. None: the message is left out of
            the list or field that it is in, or, where it is what the call answers, keeps its other fields.
        by: the value of the new arm to that of `instead`.
    """

    message: str
    arm: str
    instead: str | None = None
    by: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class MethodMoved(Change):
    """An RPC has another full name. Where its messages have too, they are listed as `MessageRenamed`."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class MessageRenamed(Change):
    """A message has another full name, as when it moves to another package or is named for another RPC."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class MethodRetired(Change):
    """An RPC is gone, and still served to those who had it, through another one.

    Args:
        old: the RPC that is gone.
        through: the RPC of the new version that answers instead.
        request: the fields of the old request to those of the new one. What is left out is absent.
        response: the fields of the new response to those of the old one.
    """

    old: str
    through: str
    request: Callable[[Fields], Fields]
    response: Callable[[Fields], Fields]


@dataclass(frozen=True, slots=True)
class ReasonChanged(Change):
    """A refusal has another reason. Old clients receive the old one, with its status code.

    Args:
        method: where; None, everywhere.
        new: the reason now, without the enum's prefix, such as `QUOTA_EXCEEDED`.
        old: the reason before.
        code: the status code before, such as `RESOURCE_EXHAUSTED`.
        metadata: keys of `ErrorInfo.metadata` now, to what they were before.
    """

    method: str | None
    new: str
    old: str
    code: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ValidationChanged(Change):
    """Requests are checked more strictly. For old clients a named leniency holds, which the rule asks for.

    Args:
        methods: the RPCs for which it holds.
        leniency: its name, such as `empty_titles`; see `crosswind_server.rpc.leniency`.
        fields: the fields whose ranges or requirements are stricter, as `package.Message.field`.
    """

    methods: tuple[str, ...]
    leniency: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FreeChange(Change):
    """What no other kind can say. The last resort.

    Args:
        covers: the fields, enum values and methods whose differences this explains, by their full names.
        upgrade: the message's fields in the old version to those to set in the new one.
        downgrade: the reverse.
        lossy: as elsewhere, over `reads`.
        reads: the old fields that it changes.
    """

    message: str
    covers: tuple[str, ...]
    upgrade: Callable[[Fields], Fields]
    downgrade: Callable[[Fields], Fields]
    reads: tuple[str, ...] = ()
    lossy: Lossy | None = None


def _down_to(unit: int, bits: int) -> Callable[[Any], int]:
    """Whole units of a Duration, cut off towards zero, as the nearest int of so many bits."""
    most = 2 ** (bits - 1)

    def down(nanoseconds: Any) -> int:
        value = int(nanoseconds or 0)
        whole = value // unit if value >= 0 else -(-value // unit)
        return int(max(-most, min(most - 1, whole)))

    return down


def _up_from(unit: int) -> Callable[[Any], int]:
    return lambda value: int(value or 0) * unit


SECONDS_TO_DURATION: Final = Conversion(up=_up_from(NANOSECONDS), down=_down_to(NANOSECONDS, 32))
"""An int32 of seconds that became a Duration."""


def _nearest_milliseconds(values: Values) -> Values:
    most = MOST_NANOSECONDS // 10**6
    return tuple(value if value is None else max(-most, min(most, value)) for value in values)


MILLISECONDS_TO_DURATION: Final = Conversion(
    up=_up_from(10**6),
    down=_down_to(10**6, 64),
    lossy=Lossy("More than 10,000 years become 10,000 years.", _nearest_milliseconds),
)
"""An int64 of milliseconds that became a Duration."""
