"""What two neighbouring API versions differ in, read off their descriptors and options.

Here belongs what one element and its namesake differ in. Fields that one declared change makes out of others are
compared in `carried`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto

from codegen.compat.correspondence import Neighbours, files_of
from codegen.compat.facts import Difference, Kind
from crosswind_server.versions.annotations import annotation
from crosswind_server.versions.history import Message, Release, has_presence

NO_LIMITS = (None, None, None, None)


def differences(pair: Neighbours) -> list[Difference]:
    """All that differs, in the order of the newer version's protos."""
    before, now = files_of(pair.old), files_of(pair.new)
    return [
        *_message_differences(pair, before, now),
        *_enum_differences(pair, before, now),
        *_service_differences(pair, before, now),
        *_method_differences(pair, before, now),
    ]


def _message_differences(pair: Neighbours, before: Any, now: Any) -> Iterator[Difference]:
    old = {pair.messages[name]: message for name, message in pair.old.messages.items() if name in before}
    new = {name: message for name, message in pair.new.messages.items() if name in now}
    for name, message in old.items():
        if name not in new:
            yield Difference(
                Kind.MESSAGE_REMOVED, message.full_name, before[message.full_name], former=message.full_name
            )
    for name, message in new.items():
        if name not in old:
            yield Difference(Kind.MESSAGE_ADDED, name, now[name])
            continue
        if old[name].full_name != name:
            yield Difference(
                Kind.MESSAGE_RENAMED, name, now[name], was=old[name].full_name, now=name, former=old[name].full_name
            )
        yield from _fields(pair, old[name], message, now[name])
        yield from _oneofs(old[name], message, now[name])


# --- fields -----------------------------------------------------------------------------------------------------------


def _fields(pair: Neighbours, old: Message, new: Message, file: str) -> Iterator[Difference]:
    by_number = {field.number: field for field in new.proto.field}
    known = {field.number for field in old.proto.field}
    for field in old.proto.field:
        former = f"{old.full_name}.{field.name}"
        now = by_number.get(field.number)
        if now is None:
            yield Difference(Kind.FIELD_REMOVED, former, file, former=former, number=field.number)
            missing = _not_reserved(new.proto, field.number, field.name)
            if missing:
                yield Difference(Kind.FIELD_NOT_RESERVED, former, file, now=missing, former=former, number=field.number)
            now = new.fields.get(pair.renumbered.get((old.full_name, field.name), ""))
        elif now.name != field.name:
            yield Difference(
                Kind.FIELD_RENAMED, f"{new.full_name}.{now.name}", file, field.name, now.name, former, field.number
            )
        if now is not None:
            yield from compare(pair, (old, field), (new, now), file)
    made = {name for (message, _), name in pair.renumbered.items() if message == old.full_name}
    for field in new.proto.field:
        if field.number not in known:
            element = f"{new.full_name}.{field.name}"
            yield Difference(Kind.FIELD_ADDED, element, file, number=field.number)
            if annotation(field, "required") and field.name not in made:
                yield Difference(Kind.FIELD_REQUIRED, element, file, number=field.number)


def compare(
    pair: Neighbours, old: tuple[Message, FieldDescriptorProto], new: tuple[Message, FieldDescriptorProto], file: str
) -> Iterator[Difference]:
    """What a field and the one that it has become differ in, apart from name and number."""
    (old_message, was), (new_message, now) = old, new
    former = f"{old_message.full_name}.{was.name}"

    def differ(kind: Kind, before: object = "", after: object = "") -> Difference:
        element = f"{new_message.full_name}.{now.name}"
        return Difference(kind, element, file, _text(before), _text(after), former, now.number)

    types = pair.type_text(pair.old, old_message, was), pair.type_text(pair.new, new_message, now)
    if types[0] != types[1]:
        yield differ(Kind.FIELD_RETYPED, *types)
    oneofs = oneof_of(old_message.proto, was), oneof_of(new_message.proto, now)
    if oneofs[0] != oneofs[1]:
        yield differ(Kind.FIELD_OUT_OF_ONEOF if oneofs[0] else Kind.FIELD_INTO_ONEOF, *oneofs)
    elif label_of(was) != label_of(now):
        yield differ(Kind.FIELD_RELABELLED, label_of(was), label_of(now))
    if annotation(was, "default_value") != annotation(now, "default_value"):
        yield differ(Kind.DEFAULT_CHANGED, annotation(was, "default_value"), annotation(now, "default_value"))
    limits = limits_of(was), limits_of(now)
    if narrows(*limits):
        yield differ(Kind.RANGE_NARROWED, limits_text(limits[0]), limits_text(limits[1]))
    if narrows(*reversed(limits)):
        yield differ(Kind.RANGE_WIDENED, limits_text(limits[0]), limits_text(limits[1]))
    if bool(annotation(was, "required")) != bool(annotation(now, "required")):
        yield differ(Kind.FIELD_REQUIRED if annotation(now, "required") else Kind.FIELD_NOT_REQUIRED)
    if bool(annotation(was, "sensitive")) != bool(annotation(now, "sensitive")):
        yield differ(Kind.SENSITIVE_CHANGED, bool(annotation(was, "sensitive")), bool(annotation(now, "sensitive")))
    deprecated = [(annotation(each, "deprecated_since"), each.options.deprecated) for each in (was, now)]
    if deprecated[0] != deprecated[1]:
        yield differ(Kind.FIELD_DEPRECATED, deprecated[0][0], deprecated[1][0])
    if was.number == now.number and annotation(was, "since") != annotation(now, "since"):
        yield differ(Kind.ORIGIN_CHANGED, annotation(was, "since"), annotation(now, "since"))


def _oneofs(old: Message, new: Message, file: str) -> Iterator[Difference]:
    before, now = set(_arms(old.proto)), set(_arms(new.proto))
    for name in sorted(before - now):
        yield Difference(Kind.ONEOF_REMOVED, f"{old.full_name}.{name}", file, former=f"{old.full_name}.{name}")
    for name in sorted(now - before):
        yield Difference(Kind.ONEOF_ADDED, f"{new.full_name}.{name}", file)


def _arms(proto: DescriptorProto) -> Iterable[str]:
    return (name for field in proto.field if (name := oneof_of(proto, field)))


def oneof_of(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    """The oneof that a field is in; empty: none. That of a single optional field is none."""
    if not field.HasField("oneof_index") or field.proto3_optional:
        return ""
    return message.oneof_decl[field.oneof_index].name


def label_of(field: FieldDescriptorProto) -> str:
    """`repeated`, `optional` where an absent field differs from zero, or `singular`."""
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return "repeated"
    return "optional" if has_presence(field) else "singular"


def limits_of(field: FieldDescriptorProto) -> tuple[Any, ...]:
    """A field's range: minimum, maximum, min_length and max_length, None where there is no end."""
    found = annotation(field, "range")
    if found is None:
        return NO_LIMITS
    names = ("minimum", "maximum", "min_length", "max_length")
    return tuple(getattr(found, name) if found.HasField(name) else None for name in names)


def narrows(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    """Whether one range refuses something that another accepts."""
    for place, (was, now) in enumerate(zip(old, new, strict=True)):
        if now is not None and (was is None or (now > was if place % 2 == 0 else now < was)):
            return True
    return False


def limits_text(limits: tuple[Any, ...]) -> str:
    """A range for people."""
    parts = []
    for low, high, what in ((limits[0], limits[1], ""), (limits[2], limits[3], "length ")):
        if low is not None or high is not None:
            ends = [f"{each:g}" if isinstance(each, float) else str(each) for each in (low, high) if each is not None]
            parts.append(
                what + (" to ".join(ends) if len(ends) == 2 else f"{'from' if high is None else 'to'} {ends[0]}")
            )
    return ", ".join(parts) or "any"


def _not_reserved(proto: DescriptorProto, number: int, name: str) -> str:
    missing = []
    if not any(each.start <= number < each.end for each in proto.reserved_range):
        missing.append(str(number))
    if name not in proto.reserved_name and all(field.name != name for field in proto.field):
        missing.append(f'"{name}"')
    return " and ".join(missing)


def _text(value: object) -> str:
    return "" if value is None else str(value)


# --- enums ------------------------------------------------------------------------------------------------------------


def _enum_differences(pair: Neighbours, before: Any, now: Any) -> Iterator[Difference]:
    old = {pair.enum_name(name): (name, enum) for name, enum in pair.old.enums.items() if name in before}
    new = {name: enum for name, enum in pair.new.enums.items() if name in now}
    for name, (former, _) in old.items():
        if name not in new:
            yield Difference(Kind.ENUM_REMOVED, former, before[former], former=former)
    for name, enum in new.items():
        if name not in old:
            yield Difference(Kind.ENUM_ADDED, name, now[name])
        else:
            yield from _values(*old[name], name, enum, now[name])


def _values(
    former: str, old: EnumDescriptorProto, name: str, new: EnumDescriptorProto, file: str
) -> Iterator[Difference]:
    by_number = {value.number: value for value in reversed(new.value)}
    known = {value.number for value in old.value}
    for value in old.value:
        was, now = f"{former}.{value.name}", by_number.get(value.number)
        if now is None:
            yield Difference(Kind.VALUE_REMOVED, was, file, former=was, number=value.number)
            missing = []
            if not any(each.start <= value.number <= each.end for each in new.reserved_range):
                missing.append(str(value.number))
            if value.name not in new.reserved_name and all(each.name != value.name for each in new.value):
                missing.append(f'"{value.name}"')
            if missing:
                kind = Kind.VALUE_NOT_RESERVED
                yield Difference(kind, was, file, now=" and ".join(missing), former=was, number=value.number)
            continue
        element = f"{name}.{now.name}"
        if now.name != value.name:
            yield Difference(Kind.VALUE_RENAMED, element, file, value.name, now.name, was, value.number)
        for option, kind in (
            ("status_code", Kind.STATUS_CODE_CHANGED),
            ("value_since", Kind.ORIGIN_CHANGED),
            ("fallback", Kind.ORIGIN_CHANGED),
        ):
            texts = annotation(value, option), annotation(now, option)
            if texts[0] != texts[1]:
                yield Difference(kind, element, file, _text(texts[0]), _text(texts[1]), was, value.number)
    for value in new.value:
        if value.number not in known:
            yield Difference(Kind.VALUE_ADDED, f"{name}.{value.name}", file, number=value.number)


# --- services ---------------------------------------------------------------------------------------------------------


def _service_differences(pair: Neighbours, before: Any, now: Any) -> Iterator[Difference]:
    old, new = _services(pair.old, before), _services(pair.new, now)
    for name in old:
        if name not in new:
            yield Difference(Kind.SERVICE_REMOVED, name, before[name], former=name)
    for name in new:
        if name not in old:
            yield Difference(Kind.SERVICE_ADDED, name, now[name])


def _services(release: Release, files: Any) -> list[str]:
    return [name for name in files if name not in release.messages and name not in release.enums]


def _method_differences(pair: Neighbours, before: Any, now: Any) -> Iterator[Difference]:
    old = {pair.methods.get(path, path): path for path in pair.old.methods}
    for name, path in old.items():
        if name not in pair.new.methods:
            yield Difference(Kind.METHOD_REMOVED, path, before.get(_service(path), ""), former=path)
    for path in pair.new.methods:
        file = now.get(_service(path), "")
        if path not in old:
            yield Difference(Kind.METHOD_ADDED, path, file)
            continue
        if old[path] != path:
            yield Difference(Kind.METHOD_MOVED, path, file, old[path], path, old[path])
        yield from _method(pair, old[path], path, file)


def _method(pair: Neighbours, former: str, path: str, file: str) -> Iterator[Difference]:
    was, now = pair.old.methods[former], pair.new.methods[path]
    types = (
        (Kind.REQUEST_CHANGED, was.input_type, now.input_type),
        (Kind.RESPONSE_CHANGED, was.output_type, now.output_type),
    )
    for kind, old_type, new_type in types:
        old_name, new_name = old_type.lstrip("."), new_type.lstrip(".")
        if pair.messages.get(old_name, old_name) != new_name:
            yield Difference(kind, path, file, old_name, new_name, former)
    if (was.client_streaming, was.server_streaming) != (now.client_streaming, now.server_streaming):
        yield Difference(Kind.STREAMING_CHANGED, path, file, former=former)
    if bool(annotation(was, "idempotent")) != bool(annotation(now, "idempotent")):
        kind = Kind.IDEMPOTENT_GAINED if annotation(now, "idempotent") else Kind.IDEMPOTENT_LOST
        yield Difference(kind, path, file, former=former)
    if former == path and annotation(was, "method_since") != annotation(now, "method_since"):
        since = _text(annotation(was, "method_since")), _text(annotation(now, "method_since"))
        yield Difference(Kind.ORIGIN_CHANGED, path, file, *since, former)
    reasons = annotation(was, "reasons"), annotation(now, "reasons")
    for reason in reasons[0]:
        if reason not in reasons[1]:
            yield Difference(Kind.REASON_REMOVED, f"{path} {reason}", file, was=reason, former=f"{former} {reason}")
    for reason in reasons[1]:
        if reason not in reasons[0]:
            yield Difference(Kind.REASON_ADDED, f"{path} {reason}", file, now=reason)


def _service(path: str) -> str:
    return path.lstrip("/").split("/", 1)[0]
