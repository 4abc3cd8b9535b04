"""Messages as plain objects, the same for tables and for `--output json`.

Times are ISO 8601 in UTC, durations are seconds, states are lower-case words without their prefix, and what is absent,
unspecified or an empty text is None.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, cast

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.value.v1.value_pb2 import Payload


def to_object(message: Message) -> dict[str, Any]:
    """Turns a message into an object with all its fields, in the order of the proto."""
    return {field.name: _field_value(message, field) for field in message.DESCRIPTOR.fields}


def pick(row: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The named fields of an object, in this order."""
    return {field: row[field] for field in fields}


def enum_word(enum: EnumDescriptor, number: int) -> str | None:
    """The lower-case word of an enum's value: `TASK_STATE_UP_FOR_RETRY` is `up_for_retry`. None for unspecified."""
    if number == 0:
        return None
    value = enum.values_by_number.get(number)
    if value is None:
        return f"unknown_{number}"  # a newer server's: see the API version
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    return value.name.removeprefix(prefix).lower()


def enum_name(enum: EnumDescriptor, word: str) -> str | None:
    """The name of the enum's value that `enum_word` calls so. None: there is none."""
    for value in enum.values:
        if value.number and enum_word(enum, value.number) == word.lower():
            return value.name
    return None


def enum_words(enum: EnumDescriptor) -> list[str]:
    """Every word of an enum, for help and for errors."""
    return [cast(str, enum_word(enum, value.number)) for value in enum.values if value.number]


def iso_time(time: Timestamp) -> str:
    """ISO 8601 in UTC with microseconds, such as `2026-12-01T06:00:00.000000Z`."""
    return time.ToDatetime(tzinfo=UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def decode_payload(payload: Payload) -> Any:
    """The value of a `json/utf-8` payload; of any other one what is known of it."""
    if payload.encoding == "json/utf-8":
        content = payload.WhichOneof("content")
        if content == "data":
            return json.loads(payload.data)
        if content == "items" and all(item.WhichOneof("content") == "data" for item in payload.items.items):
            return [json.loads(item.data) for item in payload.items.items]
    return {"encoding": payload.encoding, "size_bytes": payload.ByteSize()}


def _field_value(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if isinstance(value, Mapping):
        return {key: value[key] for key in sorted(value)}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(field, item) for item in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _plain(field, value)


def _plain(field: Any, value: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        if isinstance(value, Timestamp):
            return iso_time(value)
        if isinstance(value, Duration):
            return value.ToTimedelta().total_seconds()
        if isinstance(value, Payload):
            return decode_payload(value)
        return to_object(value)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return enum_word(field.enum_type, value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode()
    if field.type == FieldDescriptor.TYPE_STRING and not field.has_presence:
        return value or None
    return value
