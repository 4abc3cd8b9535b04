"""The way of every call: version, token, right, message, handler, answer or refusal.

Here belongs the one wrapper around all handlers. It never sees what a method means.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.rpc import authentication
from crosswind_server.rpc.authorisation import RULES, Rule, authorise
from crosswind_server.rpc.errors import abort, defect, refusal_of
from crosswind_server.services.dependencies import Services
from crosswind_server.services.sealing import CannotOpen
from crosswind_server.timing import LIMITS

ServicerContext = grpc.aio.ServicerContext[Any, Any]
Answer = Callable[[Any, ServicerContext], Awaitable[Message]]
RawAnswer = Callable[[bytes, ServicerContext], Awaitable[bytes]]

_log: Final = structlog.stdlib.get_logger("crosswind.calls")
_access: Final = logging.getLogger("crosswind.calls")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method as its servicer offers it, in the newest API version.

    Args:
        method: full name, such as `/crosswind.control.v1.DagService/ListDags`.
        answer: the servicer's method.
        decode: bytes to the newest request message.
        encode: the newest response message to bytes.
    """

    method: str
    answer: Answer
    decode: Callable[[bytes], Message]
    encode: Callable[[Message], bytes]


@dataclass(frozen=True, slots=True)
class Codec:
    """How a client of one API version reads and writes the messages of one method."""

    decode: Callable[[bytes], Message]
    encode: Callable[[Message], bytes]


class Versions(Protocol):
    """The room around this one: it knows older API versions, so that handlers need not. [VER-1]"""

    def choose(self, endpoint: Endpoint, named: str | None) -> Codec:
        """The codec for a call.

        Args:
            endpoint: the method that is called.
            named: the API version in the call's metadata, if any.

        Raises:
            Refused: API_VERSION_MISSING, API_VERSION_MALFORMED, CLIENT_TOO_OLD or CLIENT_TOO_NEW.
        """


def guard(endpoint: Endpoint, services: Services, versions: Versions, *, version_key: str) -> RawAnswer:
    """The endpoint with everything around it, from bytes to bytes."""
    method, answer = endpoint.method, endpoint.answer
    rule = RULES.get(method)
    verifier = services.verifier

    async def reply(request: bytes, context: ServicerContext) -> bytes:
        metadata: authentication.Metadata = dict(context.invocation_metadata() or ())
        codec = versions.choose(endpoint, _text(metadata.get(version_key)))
        if rule is not Rule.ANYONE:
            who = authentication.authenticate(metadata, verifier)
            authorise(who, method)
            authentication.set_caller(who)
            if rule is Rule.TASK:
                authentication.set_attempt(authentication.read_attempt(metadata, who))
        _check_size(len(request), "request")
        try:
            message = codec.decode(request)
        except DecodeError:
            raise Refused(
                Reason.INVALID_ARGUMENT,
                "The message is not what its API version says; generate the client from the protos of that version.",
                metadata={"method": method.lstrip("/")},
            ) from None
        response = codec.encode(await answer(message, context))
        _check_size(len(response), "answer")
        return response

    async def call(request: bytes, context: ServicerContext) -> bytes:
        began = time.perf_counter()
        outcome = "OK"
        try:
            return await reply(request, context)
        except asyncio.CancelledError:
            outcome = "CANCELLED"
            raise
        except grpc.aio.AbortError:
            outcome = "ABORTED"
            raise
        except Exception as error:
            refused = refusal_of(error)
            if refused is None:
                incident_id = secrets.token_hex(8)
                # The traceback names places, not values: an exception's own text may hold what a caller sent.
                _log.error("defect", method=method, incident_id=incident_id, **_describe(error))
                refused = defect(incident_id)
            outcome = f"{refused.code}/{refused.reason}"
            await abort(context, refused)
        finally:
            if _access.isEnabledFor(logging.DEBUG):
                _log.debug("call", method=method, outcome=outcome, ms=round((time.perf_counter() - began) * 1000, 2))

    return call


def _text(value: str | bytes | None) -> str | None:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


def _check_size(size: int, what: str) -> None:
    if size > LIMITS.max_message_bytes:
        raise Refused(
            Reason.MESSAGE_TOO_LARGE,
            f"The {what} has {size} bytes, and a message has at most {LIMITS.max_message_bytes}; send or ask for less"
            " at a time.",
            metadata={"limit_bytes": str(LIMITS.max_message_bytes)},
        )


def _describe(error: BaseException) -> dict[str, Any]:
    frames = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('crosswind_server/')[2]}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    # Of a database's error only the first line, which names the constraint; the others hold values.
    text = str(getattr(error, "orig", "") or (error if isinstance(error, _OURS) else "")).partition("\n")[0]
    return {"error": type(error).__name__, "text": text, "trace": " < ".join(reversed(frames[-12:]))}


_OURS: Final = (AssertionError, AttributeError, CannotOpen, ImportError, NameError, NotImplementedError, TypeError)
"""Errors whose text names code, not what a caller sent."""
