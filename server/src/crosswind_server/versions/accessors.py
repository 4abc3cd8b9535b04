"""How a field of one version is read and set on the union message.

Here belongs the form that values have for the functions of `changes`; see there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor_pb2 import EnumDescriptorProto, FieldDescriptorProto

from crosswind_server.versions.changes import MOST_NANOSECONDS
from crosswind_server.versions.history import HistoryBroken, Message, Release, has_presence
from crosswind_server.versions.union import DURATION, TIMESTAMP

Get = Callable[[Any], Any]
Put = Callable[[Any, Any], None]

_P: Final = FieldDescriptorProto
_FIRST_MOMENT: Final = -62_135_596_800 * 10**9
_LAST_MOMENT: Final = 253_402_300_800 * 10**9 - 1
"""Of a Timestamp: the years 1 to 9999, in nanoseconds."""
_UNSET: Final = (None, 0, "", b"", False, 0.0, ())
_INTEGERS: Final[Mapping[int, tuple[int, int]]] = {
    **dict.fromkeys((_P.TYPE_INT32, _P.TYPE_SINT32, _P.TYPE_SFIXED32), (-(2**31), 2**31 - 1)),
    **dict.fromkeys((_P.TYPE_INT64, _P.TYPE_SINT64, _P.TYPE_SFIXED64), (-(2**63), 2**63 - 1)),
    **dict.fromkeys((_P.TYPE_UINT32, _P.TYPE_FIXED32), (0, 2**32 - 1)),
    **dict.fromkeys((_P.TYPE_UINT64, _P.TYPE_FIXED64), (0, 2**64 - 1)),
}


@dataclass(frozen=True, slots=True)
class Accessor:
    """One field.

    Attributes:
        attribute: its name in the union message.
        present: whether it has presence.
        repeated: whether it is repeated or a map.
        get: its value, None where it is absent.
        put: set it; None clears it.
        plain: whether a value is what protobuf holds, as a string is.
    """

    attribute: str
    present: bool
    repeated: bool
    get: Get
    put: Put
    plain: bool = False

    def read(self, message: Any) -> Any:
        """Its value, None where it is absent or zero."""
        value = self.get(message)
        return None if not self.present and value in _UNSET else value

    def mover(self, other: Accessor) -> Callable[[Any], None]:
        """What gives its value to a field of the same type, and clears it."""
        here, there, get, put = self.attribute, other.attribute, self.get, other.put

        def move_repeated(message: Any) -> None:
            getattr(message, there).MergeFrom(getattr(message, here))
            message.ClearField(here)

        def move_present(message: Any) -> None:
            if message.HasField(here):
                put(message, get(message))
                message.ClearField(here)

        def move_plain(message: Any) -> None:  # the most frequent one, with the fewest calls
            value = getattr(message, here)
            if value:
                setattr(message, there, value)
                message.ClearField(here)

        def move(message: Any) -> None:
            put(message, get(message))
            message.ClearField(here)

        if self.repeated:
            return move_repeated
        if self.present:
            return move_present
        return move_plain if self.plain and other.plain else move


def integer_range(proto: FieldDescriptorProto) -> tuple[int, int]:
    """The least and the greatest value of an integer field.

    Raises:
        HistoryBroken: it is none.
    """
    try:
        return _INTEGERS[proto.type]
    except KeyError:
        raise HistoryBroken(f"{proto.name} is no integer") from None


def accessor(release: Release, message: Message, name: str) -> Accessor:
    """The accessor of a field by its name in a version.

    Raises:
        HistoryBroken: there is no such field.
    """
    proto = message.fields.get(name)
    if proto is None:
        raise HistoryBroken(f"{message.full_name} has no field {name} in API version {release.version}")
    attribute = f"f{proto.number}"
    present = has_presence(proto)
    repeated = proto.label == _P.LABEL_REPEATED
    plain = False
    if proto.type_name.lstrip(".") in message.map_entries:
        inward, outward, merge = _forms(release, message.map_entries[proto.type_name.lstrip(".")].field[1])
        get, put = _map(attribute, outward, inward, merge)
    else:
        inward, outward, merge = _forms(release, proto)
        if repeated:
            get, put = _many(attribute, outward, inward, merge)
        elif present:
            get, put = _optional(attribute, outward, inward, merge)
        else:
            get, put = _single(attribute, outward, inward)
            plain = outward is None and inward is None
    return Accessor(attribute=attribute, present=present, repeated=repeated, get=get, put=put, plain=plain)


def _forms(release: Release, proto: FieldDescriptorProto) -> tuple[Get | None, Get | None, bool]:
    """From a change's value to protobuf's, back, and whether it is a message, which is merged and not assigned.

    None: they are the same.
    """
    if proto.type == _P.TYPE_ENUM:
        enum = release.enums.get(proto.type_name.lstrip("."))
        return (*_enum_forms(enum or EnumDescriptorProto()), False)
    if proto.type != _P.TYPE_MESSAGE:
        low, high = _INTEGERS.get(proto.type, (None, None))
        if low is None or high is None:
            return None, None, False
        return lambda value: max(low, min(high, value)), None, False
    if proto.type_name in (DURATION, TIMESTAMP):
        return None, lambda held: held.seconds * 10**9 + held.nanos, True
    return None, lambda held: held.SerializeToString(), True


def _enum_forms(enum: EnumDescriptorProto) -> tuple[Get, Get]:
    names = {value.number: value.name for value in reversed(enum.value)}  # the first of those with one number
    numbers = {value.name: value.number for value in enum.value}
    return (
        lambda value: value if isinstance(value, int) else numbers.get(value, 0),
        lambda number: names.get(number, number),
    )


def _fill(held: Any, value: Any) -> None:
    if isinstance(value, int):
        held.Clear()
        # Both parts of a negative Duration are negative; of a Timestamp only the seconds.
        if held.DESCRIPTOR.name == "Duration":
            value = max(-MOST_NANOSECONDS, min(MOST_NANOSECONDS, value))
            sign = -1 if value < 0 else 1
            held.seconds, held.nanos = sign * (abs(value) // 10**9), sign * (abs(value) % 10**9)
        else:
            held.seconds, held.nanos = divmod(max(_FIRST_MOMENT, min(_LAST_MOMENT, value)), 10**9)
    else:
        held.Clear()
        held.MergeFromString(value)
    held.SetInParent()


def _single(attribute: str, outward: Get | None, inward: Get | None) -> tuple[Get, Put]:
    def get(message: Any) -> Any:
        value = getattr(message, attribute)
        return value if outward is None else outward(value)

    def put(message: Any, value: Any) -> None:
        if value is None:
            message.ClearField(attribute)
        else:
            setattr(message, attribute, value if inward is None else inward(value))

    return get, put


def _optional(attribute: str, outward: Get | None, inward: Get | None, merge: bool) -> tuple[Get, Put]:
    def get(message: Any) -> Any:
        if not message.HasField(attribute):
            return None
        value = getattr(message, attribute)
        return value if outward is None else outward(value)

    def put(message: Any, value: Any) -> None:
        if value is None:
            message.ClearField(attribute)
        elif merge:
            _fill(getattr(message, attribute), value)
        else:
            setattr(message, attribute, value if inward is None else inward(value))

    return get, put


def _many(attribute: str, outward: Get | None, inward: Get | None, merge: bool) -> tuple[Get, Put]:
    def get(message: Any) -> Any:
        values = getattr(message, attribute)
        return tuple(values) if outward is None else tuple(map(outward, values))

    def put(message: Any, value: Any) -> None:
        message.ClearField(attribute)
        held = getattr(message, attribute)
        for each in value or ():
            if merge:
                _fill(held.add(), each)
            else:
                held.append(each if inward is None else inward(each))

    return get, put


def _map(attribute: str, outward: Get | None, inward: Get | None, merge: bool) -> tuple[Get, Put]:
    def get(message: Any) -> Any:
        held = getattr(message, attribute)
        return {key: value if outward is None else outward(value) for key, value in held.items()}

    def put(message: Any, value: Any) -> None:
        message.ClearField(attribute)
        held = getattr(message, attribute)
        for key, each in (value or {}).items():
            if merge:
                _fill(held[key], each)
            else:
                held[key] = each if inward is None else inward(each)

    return get, put
