"""The worker's one connection to its server: single calls, whether it is up, and back-off. [AUTH-1] [VER-1]

What is called, and what an answer means, belongs to the callers; here a call is bytes and an error is a `CallError`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from crosswind.client.dialling import dialling_options
from crosswind.client.errors import (
    CANCELLED,
    DEADLINE_EXCEEDED,
    INTERNAL,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNKNOWN,
    CallError,
)
from crosswind.client.tls import Tls, explain_handshake
from crosswind.execution.v1 import worker_service_pb2
from crosswind.runtime.negotiation import Agreement, unasked

_STATUS_DETAILS: Final = "grpc-status-details-bin"
# Beyond what any server advertises today; what it advertises is what the worker keeps to when it sends.
_RECEIVE_BYTES: Final = 16 * 1024 * 1024
_REPLACED_SECONDS: Final = 30.0
_log = logging.getLogger("crosswind.worker")

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True)
class Rpc(Generic[RequestT, ResponseT]):
    """A method and its messages.

    Args:
        name: of the method in `WorkerService`.
        response: the message's class.
    """

    name: str
    response: type[ResponseT]

    @property
    def path(self) -> str:
        """The full name of the method."""
        return f"/crosswind.execution.v1.WorkerService/{self.name}"


class ServerConnection:
    """A connection to one server, and what is known of it.

    Args:
        address: `host:port`.
        tls: whom to trust. None: no TLS.

    Attributes:
        on_return: called when the server answers again after it could not be reached or moved away. None: nothing is.
    """

    def __init__(self, address: str, *, tls: Tls | None = None) -> None:
        self.address = address
        self.on_return: Callable[[], None] | None = None
        self.limits = worker_service_pb2.Limits(
            max_message_bytes=4 * 1024 * 1024, max_inline_value_bytes=1024 * 1024, max_log_chunk_bytes=256 * 1024
        )
        self.timing = worker_service_pb2.Timing(
            heartbeat_interval=Duration(seconds=5),
            lease_duration=Duration(seconds=30),
            poll_wait=Duration(seconds=20),
            backoff_initial=Duration(nanos=200_000_000),
            backoff_max=Duration(seconds=15),
            log_flush_interval=Duration(nanos=500_000_000),
        )
        self._tls = tls
        self._keepalive = 0.0
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}
        self._channel = self._open()
        self._unheard: grpc.aio.Channel | None = None
        """Opened since the server moved away; no call was answered on it yet."""
        self._closing: set[asyncio.Task[None]] = set()
        self._token = ""
        self.agreement = unasked()
        self._is_up: bool | None = None
        self._lacks_database = False
        self._recovered = asyncio.Event()

    @property
    def token(self) -> str:
        """The token that calls carry."""
        return self._token

    @token.setter
    def token(self, token: str) -> None:
        self._token = token
        self._metadata = self._metadata_of(token)

    @property
    def agreement(self) -> Agreement:
        """The API versions that were agreed on with the server."""
        return self._agreement

    @agreement.setter
    def agreement(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self._metadata = self._metadata_of(self._token)

    def metadata(self, spoken: Sequence[str]) -> tuple[tuple[str, str | bytes], ...]:
        """What every call carries, for a message of a bundle that speaks other API versions, its own first."""
        return _metadata(self._token, self._agreement.version_of(spoken))

    def adopt(self, timing: worker_service_pb2.Timing, limits: worker_service_pb2.Limits) -> None:
        """Keeps to what the server chose."""
        self.timing = timing
        self.limits = limits
        keepalive = seconds(timing.keepalive_interval)
        if keepalive != self._keepalive:
            # An option of a channel is for its life, so this takes another one.
            self._keepalive = keepalive
            self._replace(_REPLACED_SECONDS)

    def reopen(self, *, grace: float) -> None:
        """Makes further calls through a new connection, since the server moves away; those under way have `grace`
        seconds to end on the old one. The first that is answered on the new one counts as the server's return.
        """
        self._replace(grace)
        self._unheard = self._channel

    def _replace(self, grace: float) -> None:
        closing = asyncio.create_task(self._channel.close(grace))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._methods.clear()
        self._channel = self._open()

    async def send(
        self, rpc: Rpc[RequestT, ResponseT], request: RequestT, *, timeout: float, token: str | None = None
    ) -> ResponseT:
        """Makes one call once.

        Args:
            rpc: the method.
            request: the message.
            timeout: how long to wait, in seconds.
            token: to be sent instead of the connection's. Empty: none.

        Raises:
            CallError: it was refused, or did not get through.
        """
        metadata = self._metadata if token is None else self._metadata_of(token)
        answer = await self.send_bytes(rpc.path, request.SerializeToString(), timeout=timeout, metadata=metadata)
        return rpc.response.FromString(answer)

    async def send_bytes(
        self,
        path: str,
        request: bytes,
        *,
        timeout: float | None,
        metadata: Sequence[tuple[str, str | bytes]],
    ) -> bytes:
        """As `send`, for a message that the worker does not open."""
        method = self._methods.get(path)
        if method is None:
            method = self._methods[path] = self._channel.unary_unary(path)
        channel = self._channel
        try:
            answer: bytes = await method(request, timeout=timeout, metadata=tuple(metadata))
        except grpc.aio.AioRpcError as error:
            problem = to_call_error(error)
            if is_unreachable(problem):
                # Whether both sides speak TLS shows at the first call; later ones have other causes.
                self._note_down(problem, await self._explain_handshake(problem) if self._is_up is None else None)
            raise problem from None
        except grpc.aio.UsageError as error:
            raise CallError(UNAVAILABLE, "", f"the connection was closed: {error}") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Not the caller was cancelled, but the call: its connection was replaced.
            raise CallError(CANCELLED, "", "the connection was replaced") from None
        moved = channel is self._unheard
        if moved:
            self._unheard = None
        if not self._is_up:
            self._note_up()
        elif moved and self.on_return is not None:
            self.on_return()
        return answer

    async def wait_for_retry(self, failures: int, *, most: float = math.inf) -> None:
        """Waits before a call is repeated: full jitter between the server's bounds; while the server is down, at the
        longest until another call got through.

        Args:
            failures: how often it failed in a row, from 1.
            most: seconds, where the call cannot wait for as long as the server allows.
        """
        first = seconds(self.timing.backoff_initial)
        longest = min(seconds(self.timing.backoff_max), most)
        # No less than a little, or a refusing server would be called in a busy loop.
        delay = max(0.02, random.uniform(0, min(longest, first * 2 ** min(failures, 30))))
        recovered = self._recovered
        if recovered.is_set():
            # The server answers, and did not like this call: that others get through says nothing about it.
            await asyncio.sleep(delay)
            return
        try:
            async with asyncio.timeout(delay):
                await recovered.wait()
        except TimeoutError:
            return
        # Together, but not in one instant.
        await asyncio.sleep(random.uniform(0, min(first, delay)))

    async def close(self) -> None:
        """Ends the connection."""
        await asyncio.gather(self._channel.close(grace=None), *self._closing)

    def _metadata_of(self, token: str) -> tuple[tuple[str, str | bytes], ...]:
        return _metadata(token, self._agreement.api_version)

    def _open(self) -> grpc.aio.Channel:
        options: list[tuple[str, str | int]] = [
            ("grpc.max_receive_message_length", _RECEIVE_BYTES),
            ("grpc.max_send_message_length", -1),
            # When to try again is decided here, not in the library; it is to be ready by then.
            *dialling_options(first=0.1, longest=1.0),
            ("grpc.enable_retries", 0),
            # Else a channel that takes the place of one with calls under way would go on with the connection of that.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if self._keepalive > 0:
            options += [
                ("grpc.keepalive_time_ms", int(self._keepalive * 1000)),
                ("grpc.keepalive_timeout_ms", int(max(5.0, self._keepalive) * 1000)),
            ]
        if self._tls is None:
            return grpc.aio.insecure_channel(self.address, options=options)
        credentials = grpc.ssl_channel_credentials(self._tls.root_certificates or None)
        return grpc.aio.secure_channel(self.address, credentials, options=[*options, *self._tls.options])

    async def _explain_handshake(self, error: CallError) -> str | None:
        if error.reason:
            return None
        explain = partial(explain_handshake, self.address, error.message, tls=self._tls is not None)
        return await asyncio.to_thread(explain)

    def _note_down(self, error: CallError, explanation: str | None = None) -> None:
        lacks_database = error.reason == "DATABASE_UNAVAILABLE"
        if self._is_up is False and lacks_database is self._lacks_database:
            return
        self._lacks_database = lacks_database
        if self._is_up is not False:
            self._is_up = False
            self._recovered = asyncio.Event()
            self._down_since = time.monotonic()
        if lacks_database:
            _log.warning(
                "The server at %s answers, but cannot use its database now (%s): %s Trying again until it can.",
                self.address,
                error.reason,
                error.message,
            )
            return
        # gRPC names every attempt and address; the last part is what happened.
        cause = error.message.rsplit(": ", 1)[-1].lower() if not error.reason else error.message
        what = explanation or ("is stopping" if error.reason == "SERVER_STOPPING" else f"cannot be reached: {cause}")
        _log.warning("The server at %s %s; trying again until it answers.", self.address, what.rstrip("."))

    def _note_up(self) -> None:
        if self._is_up is None:
            _log.info("Connected to the server at %s.", self.address)
        else:
            what = "The server at %s can use its database" if self._lacks_database else "Connected to the server at %s"
            _log.info(what + " again, after %.1f s.", self.address, time.monotonic() - self._down_since)
        returned = self._is_up is False
        self._is_up = True
        self._recovered.set()
        if returned and self.on_return is not None:
            self.on_return()


def _metadata(token: str, api_version: str) -> tuple[tuple[str, str | bytes], ...]:
    version = ("crosswind-api-version", api_version)
    return (("authorization", f"Bearer {token}"), version) if token else (version,)


def is_unreachable(error: CallError) -> bool:
    """Whether the call may not have reached the server, or the server its database."""
    return error.code == UNAVAILABLE


def is_repeatable(error: CallError) -> bool:
    """Whether the same call is to be made again after a while."""
    return error.code in (UNAVAILABLE, INTERNAL, DEADLINE_EXCEEDED, CANCELLED) or (
        error.code == UNKNOWN and not error.reason
    )


def needs_registration(error: CallError) -> bool:
    """Whether the worker has to register again before the call is repeated."""
    return error.code == UNAUTHENTICATED or error.reason == "WORKER_UNKNOWN"


def seconds(duration: Duration) -> float:
    """A duration in seconds."""
    return duration.seconds + duration.nanos / 1e9


def to_call_error(error: grpc.aio.AioRpcError) -> CallError:
    """The error of a call in terms that need no gRPC."""
    code: int = error.code().value[0]
    for key, value in error.trailing_metadata() or ():
        if key == _STATUS_DETAILS and isinstance(value, bytes):
            found = CallError.from_status(value)
            if found.reason:
                return found
    return CallError(code, "", error.details() or "")
