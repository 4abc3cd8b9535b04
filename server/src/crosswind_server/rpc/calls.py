"""The way of every call: version, token, right, message, handler, answer or refusal.

Here belongs the one wrapper around all handlers. It never sees what a method means.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.rpc import authentication
from crosswind_server.rpc.authorisation import RULES, Rule, authorise
from crosswind_server.rpc.errors import Problem, abort, defect, refusal_of
from crosswind_server.rpc.leniency import set_leniencies
from crosswind_server.services.access.sealing import CannotOpen
from crosswind_server.services.dependencies import Services
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
class Crossing:
    """How a client of one API version calls a method, and what the newest version makes of it.

    Args:
        method: the method that answers, in the newest version.
        version: the client's.
        upgrade: a request's bytes, the client's to the newest; None where they are the same.
        downgrade: a response's bytes, the newest to the client's; None where they are the same.
        explain: a refusal as the client knows it; None where that is the same.
        leniencies: what is not checked as strictly for this client; see `crosswind_server.rpc.leniency`.
    """

    method: str
    version: str
    upgrade: Callable[[bytes], bytes] | None = None
    downgrade: Callable[[bytes], bytes] | None = None
    explain: Callable[[Problem], Problem] | None = None
    leniencies: frozenset[str] = frozenset()


class Versions(Protocol):
    """The room around this one: it knows older API versions, so that handlers need not. [VER-1]"""

    @property
    def former_methods(self) -> Iterable[str]:
        """Methods that only older versions have. They are served to those."""

    def choose(self, method: str, named: str | None) -> Crossing:
        """The way of a call.

        Args:
            method: the full name of the method that is called.
            named: the API version in the call's metadata, if any.

        Raises:
            Refused: API_VERSION_MISSING, API_VERSION_MALFORMED, API_VERSION_UNKNOWN, CLIENT_TOO_OLD, CLIENT_TOO_NEW, or
                NOT_SUPPORTED where that version has no such method.
        """


def guard(
    method: str,
    endpoints: Mapping[str, Endpoint],
    services: Services,
    versions: Versions,
    *,
    version_key: str,
    rules: Mapping[str, Rule] = RULES,
) -> RawAnswer:
    """A method with everything around it, from bytes to bytes.

    Args:
        method: its full name in some version.
        endpoints: those of the newest version.
        services: what handlers work with.
        versions: the room that knows older API versions.
        version_key: the metadata key that names a call's API version.
        rules: which token opens which method of the newest version.
    """
    verifier = services.verifier
    count = services.calls.count
    ungated = RULES.get(method) is Rule.ANYONE

    async def reply(
        crossing: Crossing, request: bytes, metadata: authentication.Metadata, context: ServicerContext
    ) -> bytes:
        endpoint = endpoints[crossing.method]
        rule = rules.get(endpoint.method)
        if rule is not Rule.ANYONE:
            who = authentication.authenticate(metadata, verifier)
            authorise(who, endpoint.method, rules)
            authentication.set_caller(who)
            if rule is Rule.TASK:
                authentication.set_attempt(authentication.read_attempt(metadata, who))
        _check_size(len(request), "request")
        try:
            message = endpoint.decode(request if crossing.upgrade is None else crossing.upgrade(request))
        except DecodeError:
            raise Refused(
                Reason.INVALID_ARGUMENT,
                "The message is not what its API version says; generate the client from the protos of that version.",
                metadata={"method": method.lstrip("/")},
            ) from None
        authentication.set_api_version(crossing.version)
        set_leniencies(crossing.leniencies)
        response = endpoint.encode(await endpoint.answer(message, context))
        if crossing.downgrade is not None:
            response = crossing.downgrade(response)
        _check_size(len(response), "answer")
        return response

    async def call(request: bytes, context: ServicerContext) -> bytes:
        began = time.perf_counter()
        crossing: Crossing | None = None

        def note(outcome: str) -> None:
            # Before the answer is on its way: whoever has it finds it counted.
            count("" if crossing is None or ungated else crossing.version, outcome)
            if _access.isEnabledFor(logging.DEBUG):
                _log.debug("call", method=method, outcome=outcome, ms=round((time.perf_counter() - began) * 1000, 2))

        try:
            metadata: authentication.Metadata = dict(context.invocation_metadata() or ())
            crossing = versions.choose(method, _text(metadata.get(version_key)))
            response = await reply(crossing, request, metadata, context)
        except asyncio.CancelledError:
            note("CANCELLED")
            raise
        except grpc.aio.AbortError:
            note("ABORTED")
            raise
        except Exception as error:
            refused = refusal_of(error)
            if refused is None:
                incident_id = secrets.token_hex(8)
                # The traceback names places, not values: an exception's own text may hold what a caller sent.
                _log.error("defect", method=method, incident_id=incident_id, **_describe(error))
                refused = defect(incident_id)
            note(f"{refused.code}/{refused.reason}")
            problem = Problem.of(refused)
            if crossing is not None and crossing.explain is not None:
                problem = crossing.explain(problem)
            await abort(context, problem)
        note("OK")
        return response

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
