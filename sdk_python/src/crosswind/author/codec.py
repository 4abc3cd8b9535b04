"""How values become bytes and back.

Every value is `json/utf-8` unless a codec that an author registered claims its type; protobuf messages have one built
in. Here belong encodings; which message carries the bytes is `payloads.py`'s, and this module needs no protobuf.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from crosswind.author.errors import UnreadableValue, UnsupportedValue
from crosswind.author.json_values import find_fault, has_only_text_keys

JSON: Final = "json/utf-8"
PROTOBUF: Final = "binary/protobuf"
_TYPE_URL_PREFIX: Final = "type.googleapis.com/"

NULL: Final = b"null"


@dataclass(frozen=True)
class Encoded:
    """A value as bytes.

    Args:
        encoding: of every byte string in it.
        data: one value, or the items of a list.
        metadata: facts that a decoder needs.
    """

    encoding: str
    data: bytes | tuple[bytes, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Length of the value in bytes."""
        return len(self.data) if isinstance(self.data, bytes) else sum(map(len, self.data))


@dataclass(frozen=True)
class _Codec:
    encoding: str
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], object]
    types: tuple[type, ...]


_codecs: dict[str, _Codec] = {}


def register_codec(
    encoding: str, *, encode: Callable[[Any], bytes], decode: Callable[[bytes], object], types: tuple[type, ...]
) -> None:
    """Makes values of some types travel in an encoding of the author's own.

    It has to be registered where values are written and where they are read: do it in a module that the DAG files
    import. Registering an encoding again replaces it.

    Args:
        encoding: `major/minor`, at most 100 characters, such as "arrow/ipc".
        encode: turns a value into bytes.
        decode: turns the bytes back.
        types: the types that it is for; derived ones included.

    Raises:
        ValueError: the name is not `major/minor`, or is one of the built-in encodings.
    """
    if encoding in (JSON, PROTOBUF):
        raise ValueError(f"{encoding} is built in; give your codec a name of its own")
    major, slash, minor = encoding.partition("/")
    if not (major and slash and minor) or len(encoding) > 100:
        raise ValueError(f"{encoding!r} cannot name an encoding; use major/minor, at most 100 characters")
    _codecs[encoding] = _Codec(encoding, encode, decode, types)


def encode(value: object, *, what: str) -> Encoded:
    """Encodes a value whole, a list too.

    Args:
        what: names the value in the sentence of an error, such as "the result of task 'load'".

    Raises:
        UnsupportedValue: its type cannot be written.
    """
    codec = _find_codec(value)
    if codec is not None:
        return Encoded(codec.encoding, codec.encode(value), _metadata_of(value))
    return Encoded(JSON, encode_json(value, what=what))


def encode_items(values: list[Any] | tuple[Any, ...], *, what: str) -> Encoded:
    """Encodes a list as its items, so that the server can count, index and map over them.

    Raises:
        UnsupportedValue: the type of an item cannot be written.
    """
    codec = _find_codec(values[0]) if values else None
    if codec is None:
        return Encoded(JSON, _encode_json_items(values, what=what))
    metadata = _metadata_of(values[0])
    for index, value in enumerate(values):
        if _find_codec(value) is not codec or _metadata_of(value) != metadata:
            raise UnsupportedValue(
                f"Item {index} of {what} is of type {type(value).__qualname__}, item 0 of "
                f"{type(values[0]).__qualname__}; a list outside JSON must hold one type only"
            )
    return Encoded(codec.encoding, tuple(codec.encode(value) for value in values), metadata)


def encode_result(value: object, *, what: str) -> Encoded:
    """Encodes what passes between tasks: a list as its items, anything else whole.

    Raises:
        UnsupportedValue: its type cannot be written.
    """
    if isinstance(value, list | tuple) and _find_codec(value) is None:
        return encode_items(value, what=what)
    return encode(value, what=what)


def decode(encoding: str, data: bytes, metadata: Mapping[str, str]) -> object:
    """The value in bytes.

    Raises:
        UnreadableValue: the encoding is not known here, or the bytes are not what it says.
    """
    if encoding == JSON:
        return decode_json(data)
    if encoding == PROTOBUF:
        return _decode_protobuf(data, metadata)
    codec = _codecs.get(encoding)
    if codec is None:
        raise UnreadableValue(
            f"The value has the encoding {encoding!r}, for which no codec is registered; "
            "call crosswind.register_codec in a module that the DAG file imports"
        )
    try:
        return codec.decode(data)
    except Exception as error:
        raise UnreadableValue(f"The codec of {encoding!r} cannot read the value: {error}") from error


def encode_json(value: object, *, what: str) -> bytes:
    """A value as JSON in UTF-8, without spaces.

    Raises:
        UnsupportedValue: JSON cannot say it.
    """
    try:
        text = _dumps(value)
        if has_only_text_keys(value):
            return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        reason: Exception | None = error
    else:
        reason = None
    raise UnsupportedValue(find_fault(value, what=what, reason=reason)) from None


def decode_json(data: bytes) -> object:
    """The value in JSON.

    Raises:
        UnreadableValue: it is not JSON.
    """
    try:
        return json.loads(data.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnreadableValue(f"The value is said to be JSON, but is not: {error}") from error


_dumps: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _encode_json_items(values: list[Any] | tuple[Any, ...], *, what: str) -> tuple[bytes, ...]:
    try:
        if has_only_text_keys(values):
            return tuple(_dumps(value).encode() for value in values)
    except (TypeError, ValueError, RecursionError):
        pass
    # Something is wrong with one of them: encoding the whole says which.
    encode_json(values, what=what)
    return tuple(encode_json(value, what=f"item {index} of {what}") for index, value in enumerate(values))


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _find_codec(value: object) -> _Codec | None:
    if value is None or isinstance(value, bool | int | float | str):
        return None
    for codec in _codecs.values():
        if isinstance(value, codec.types):
            return codec
    # A message can only exist where its module has been imported; nobody else pays for protobuf.
    module = sys.modules.get("google.protobuf.message")
    return _PROTOBUF_CODEC if module is not None and isinstance(value, module.Message) else None


def _metadata_of(value: Any) -> Mapping[str, str]:
    descriptor = getattr(type(value), "DESCRIPTOR", None)
    full_name = getattr(descriptor, "full_name", None)
    return {"type_url": _TYPE_URL_PREFIX + full_name} if isinstance(full_name, str) else {}


def _encode_protobuf(value: Any) -> bytes:
    data: bytes = value.SerializeToString(deterministic=True)
    return data


def _decode_protobuf(data: bytes, metadata: Mapping[str, str]) -> object:
    from google.protobuf import descriptor_pool, message_factory
    from google.protobuf.message import DecodeError

    name = metadata.get("type_url", "").rpartition("/")[2]
    if not name:
        raise UnreadableValue("The value is a protobuf message without a type_url; its sender must name the type")
    try:
        message_type = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
    except KeyError:
        raise UnreadableValue(
            f"The value is a protobuf message of type {name}, which is not known here; import its generated module "
            "in the DAG file"
        ) from None
    try:
        return message_type.FromString(data)
    except DecodeError as error:
        raise UnreadableValue(f"The value is said to be a {name}, but is not: {error}") from error


_PROTOBUF_CODEC: Final = _Codec(PROTOBUF, _encode_protobuf, lambda data: data, ())
