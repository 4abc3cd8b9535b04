"""Values as protobuf payloads.

Here belongs what the messages of `value.v1` say. Encodings are `codec.py`'s, structures `templates.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crosswind.author.codec import Encoded, decode
from crosswind.author.errors import UnreadableValue
from crosswind.manifest.v1.task_pb2 import Output
from crosswind.value.v1.value_pb2 import Item, Items, Payload


def to_payload(value: Encoded) -> Payload:
    """The message for an encoded value."""
    if isinstance(value.data, bytes):
        return Payload(encoding=value.encoding, metadata=value.metadata, data=value.data)
    items = Items(items=[Item(data=data) for data in value.data])
    return Payload(encoding=value.encoding, metadata=value.metadata, items=items)


def from_payload(payload: Payload) -> Any:
    """The value in a payload. One without content is None: whoever should have written it wrote nothing.

    Raises:
        UnreadableValue: it cannot be decoded, or it is a blob, which this version does not read.
    """
    kind = payload.WhichOneof("content")
    if kind is None:
        return None
    if kind == "data":
        return decode(payload.encoding, payload.data, payload.metadata)
    if kind == "items":
        return [_from_item(payload, item) for item in payload.items.items]
    raise _blob_refused()


def take_path(value: Any, path: Iterable[Output.PathStep]) -> Any:
    """One element of a value, by steps.

    Raises:
        UnreadableValue: there is no such element.
    """
    for step in path:
        place: int | str = step.index if step.WhichOneof("step") == "index" else step.name
        fits = isinstance(value, list) if isinstance(place, int) else isinstance(value, dict)
        try:
            if not fits:
                raise TypeError
            value = value[place]
        except (TypeError, LookupError):
            raise UnreadableValue(
                f"The upstream task returned {_describe(value)}, in which there is no [{place!r}]"
            ) from None
    return value


def _from_item(payload: Payload, item: Item) -> Any:
    if item.WhichOneof("content") == "blob":
        raise _blob_refused()
    return decode(payload.encoding, item.data, payload.metadata)


def _blob_refused() -> UnreadableValue:
    return UnreadableValue("The value is a blob, which this version of the SDK cannot read; upgrade crosswind-sdk")


def _describe(value: object) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)} items"
    if isinstance(value, dict):
        return f"an object with the keys {', '.join(map(repr, list(value)[:10]))}" if value else "an empty object"
    return "nothing" if value is None else f"a value of type {type(value).__name__}"
