"""Between payloads and stored values, the conf of a run, and the failures that the server itself finds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn

from crosswind.execution.v1.failure_pb2 import Failure
from crosswind.value.v1.value_pb2 import Item, Items, Payload
from crosswind_server.domain.arguments import StoredValue
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.plan import ParamPlan
from crosswind_server.timing import LIMITS


def value_of(payload: Payload, *, limit: int = LIMITS.max_inline_value_bytes, what: str = "The value") -> StoredValue:
    """The value in a payload.

    Args:
        limit: bytes of the value, or of each of its items.
        what: names the value in a refusal.

    Raises:
        Refused: INVALID_ARGUMENT, it is empty or breaks a rule of `Payload`; VALUE_TOO_LARGE; NOT_SUPPORTED, a blob.
    """
    if not 1 <= len(payload.encoding) <= 100:
        _refuse(Reason.INVALID_ARGUMENT, "A payload names its encoding in 1 to 100 characters, such as 'json/utf-8'.")
    if len(payload.metadata) > 16 or any(len(k) + len(v) > 1024 for k, v in payload.metadata.items()):
        _refuse(Reason.INVALID_ARGUMENT, "The metadata of a payload have at most 16 entries of 1 KiB each.")
    content = payload.WhichOneof("content")
    metadata = dict(payload.metadata)
    if content == "data":
        _check_size(len(payload.data), limit, what)
        return StoredValue(encoding=payload.encoding, metadata=metadata, data=payload.data)
    if content == "items":
        items = []
        for number, item in enumerate(payload.items.items):
            if item.WhichOneof("content") != "data":
                _refuse_content(item.WhichOneof("content"), f"Item {number} of a payload")
            _check_size(len(item.data), limit, f"Item {number} of the value")
            items.append(item.data)
        return StoredValue(encoding=payload.encoding, metadata=metadata, items=tuple(items))
    _refuse_content(content, "A payload")


def payload_of(value: StoredValue) -> Payload:
    """The payload that carries a value."""
    if value.items is not None:
        content = Items(items=[Item(data=item) for item in value.items])
        return Payload(encoding=value.encoding, metadata=value.metadata, items=content)
    return Payload(encoding=value.encoding, metadata=value.metadata, data=value.data or b"")


def read_conf(message: bytes) -> Mapping[str, object]:
    """The parameters of a run: a serialized payload that holds a JSON object.

    Raises:
        Refused: INVALID_ARGUMENT or VALUE_TOO_LARGE.
    """
    return read_object(message, what="The conf of a run", example='{"month": 1}', field="conf")


def read_object(message: bytes, *, what: str, example: str, field: str) -> Mapping[str, object]:
    """A JSON object in a serialized payload.

    Args:
        what: names it in a refusal, with an example.
        field: of the request.

    Raises:
        Refused: INVALID_ARGUMENT or VALUE_TOO_LARGE.
    """
    value = value_of(Payload.FromString(message), what=what)
    try:
        if value.encoding != "json/utf-8" or value.data is None:
            raise ValueError
        found = json.loads(value.data)
        if not isinstance(found, dict):
            raise ValueError
        return found
    except ValueError:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            f"{what} is a JSON object in the encoding 'json/utf-8', such as {example}.",
            metadata={"field": field},
        ) from None


def param_value(param: ParamPlan, conf: Mapping[str, object]) -> StoredValue | None:
    """The value of a run's parameter: what the run was given, else its default."""
    if param.name not in conf:
        return param.default
    data = json.dumps(conf[param.name], ensure_ascii=False, separators=(",", ":")).encode()
    return StoredValue(encoding="json/utf-8", data=data)


def failure_message(failure_type: str, message: str, *, retryable: bool = True) -> bytes:
    """A failure that the server itself found, serialized."""
    failure = Failure(type=failure_type, message=message)
    if not retryable:
        failure.retryable = False
    return failure.SerializeToString()


def _check_size(size: int, limit: int, what: str) -> None:
    if size > limit:
        raise Refused(
            Reason.VALUE_TOO_LARGE,
            f"{what} has {size:,} bytes, and at most {limit:,} travel inline; pass a path or a key to it instead.",
            metadata={"size_bytes": str(size), "limit_bytes": str(limit)},
        )


def _refuse_content(content: str | None, what: str) -> NoReturn:
    if content == "blob":
        _refuse(
            Reason.NOT_SUPPORTED,
            f"{what} is a blob, which this server does not store; keep the data elsewhere and pass its name.",
        )
    _refuse(Reason.INVALID_ARGUMENT, f"{what} has no content; set `data` or `items`.")


def _refuse(reason: Reason, message: str) -> NoReturn:
    raise Refused(reason, message)
