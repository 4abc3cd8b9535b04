"""Frames: unary calls over a socket between a worker and the child that it forked. Codec, and the child's side.

A frame on the wire is four bytes of length, big-endian, and a serialized `crosswind.bundle.v1.Frame`. The worker's
asyncio side is `frame_peer.py`. What is asked in the calls does not belong here, and gRPC is never imported.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from google.protobuf.message import DecodeError

from crosswind.bundle.v1 import frame_pb2
from crosswind.client.errors import DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE, CallError

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
READ_BYTES: Final = 256 * 1024
_LENGTH: Final = struct.Struct(">I")
_KINDS: Final = frozenset(
    (
        frame_pb2.Frame.KIND_REQUEST,
        frame_pb2.Frame.KIND_RESPONSE,
        frame_pb2.Frame.KIND_STATUS,
        frame_pb2.Frame.KIND_NOTICE,
    )
)


class FrameError(Exception):
    """What came over the socket is not a frame. The socket is of no use any more."""


def encode_frame(frame: frame_pb2.Frame) -> bytes:
    """The frame as it stands on the wire.

    Raises:
        FrameError: it is larger than 8 MiB.
    """
    content = frame.SerializeToString()
    if len(content) > MAX_FRAME_BYTES:
        raise FrameError(
            f"A frame of {len(content)} bytes is larger than the {MAX_FRAME_BYTES} bytes that a frame may have."
        )
    return _LENGTH.pack(len(content)) + content


class FrameDecoder:
    """Turns the bytes of one direction into frames, however they were cut on the way."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[frame_pb2.Frame]:
        """Takes bytes and yields the frames that they complete.

        Raises:
            FrameError: a frame is too large, does not parse, or has an unknown kind.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(buffer, start)
                if length > MAX_FRAME_BYTES:
                    raise FrameError(f"A frame of {length} bytes was announced; {MAX_FRAME_BYTES} are allowed.")
                end = start + _LENGTH.size + length
                if end > len(buffer):
                    break
                content = bytes(buffer[start + _LENGTH.size : end])
                start = end
                frame = frame_pb2.Frame()
                try:
                    frame.ParseFromString(content)
                except DecodeError as error:
                    raise FrameError("A frame could not be parsed.") from error
                if frame.kind not in _KINDS:
                    raise FrameError(f"A frame has the unknown kind {frame.kind}.")
                yield frame
        finally:
            del buffer[:start]

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return len(self._buffer)


class FrameChannel:
    """The child's side: blocking calls, from any of its threads. A `Channel`.

    No thread of its own reads: of the callers that wait, one reads for all. A process forked from the child shares the
    socket without sharing the stream ids, so its calls are refused.

    Args:
        connection: the socket, blocking; it is the channel's from now on.
        shield: entered around every step that would leave half a frame behind if an exception broke into it, such as
            one raised by a signal handler.
    """

    def __init__(self, connection: socket.socket, shield: AbstractContextManager[object] | None = None) -> None:
        self._socket = connection
        self._shield: AbstractContextManager[object] = nullcontext() if shield is None else shield
        self._process_id = os.getpid()
        self._readable = select.poll()
        self._readable.register(connection.fileno(), select.POLLIN)
        self._decoder = FrameDecoder()
        self._sending = threading.Lock()
        self._state = threading.Condition()
        # Everything below is guarded by _state.
        self._next_stream = 1
        self._replies: dict[int, frame_pb2.Frame | None] = {}
        self._requests: list[frame_pb2.Frame] = []
        self._reading = False
        self._broken = ""

    def call(self, method: str, request: bytes, timeout: float | None) -> bytes:
        """Sends one request and waits for its answer; see `Channel.call`."""
        if os.getpid() != self._process_id:
            raise CallError(
                UNAVAILABLE,
                "",
                "This process was forked from the task's process and cannot ask the server. Ask in the task's own "
                "process, and hand the value over.",
            )
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._state:
            stream = self._next_stream
            self._next_stream += 2
            self._replies[stream] = None
        try:
            frame = frame_pb2.Frame(stream_id=stream, kind=frame_pb2.Frame.KIND_REQUEST, method=method, payload=request)
            if timeout is not None:
                frame.timeout.FromNanoseconds(max(0, int(timeout * 1e9)))
            try:
                self._send(frame)
            except FrameError as error:
                raise CallError(RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", str(error)) from None
            reply = self._wait(stream, deadline)
        finally:
            with self._state:
                self._replies.pop(stream, None)
        if reply.kind == frame_pb2.Frame.KIND_STATUS:
            raise CallError.from_status(reply.payload)
        return reply.payload

    def notify(self, method: str, notice: bytes) -> None:
        """Sends a message that is not answered; see `Channel.notify`."""
        if os.getpid() != self._process_id:
            return
        try:
            self._send(frame_pb2.Frame(kind=frame_pb2.Frame.KIND_NOTICE, method=method, payload=notice))
        except (CallError, FrameError):
            return  # nobody is there to read a log record; the task learns it from its next call

    def receive_request(self) -> frame_pb2.Frame | None:
        """Waits for the other side's next request. None: the other side is gone."""
        while True:
            with self._state:
                if self._requests:
                    return self._requests.pop(0)
                if self._broken:
                    return None
            self._read(None)

    def respond(self, stream: int, payload: bytes) -> None:
        """Ends the other side's stream well.

        Raises:
            FrameError: the response is larger than a frame may be.
            CallError: the other side is gone.
        """
        self._send(frame_pb2.Frame(stream_id=stream, kind=frame_pb2.Frame.KIND_RESPONSE, payload=payload))

    def refuse(self, stream: int, error: CallError) -> None:
        """Ends the other side's stream with an error.

        Raises:
            CallError: the other side is gone.
        """
        self._send(frame_pb2.Frame(stream_id=stream, kind=frame_pb2.Frame.KIND_STATUS, payload=error.to_status()))

    def close(self) -> None:
        """Closes the socket. The other side reads an end of file."""
        self._socket.close()

    def _send(self, frame: frame_pb2.Frame) -> None:
        data = encode_frame(frame)
        with self._shield, self._sending:
            try:
                self._socket.sendall(data)
            except OSError as error:
                raise CallError(UNAVAILABLE, "", f"The worker is gone: {error.strerror}.") from None

    def _wait(self, stream: int, deadline: float | None) -> frame_pb2.Frame:
        while True:
            with self._state:
                reply = self._replies[stream]
                if reply is not None:
                    return reply
                if self._broken:
                    raise CallError(UNAVAILABLE, "", self._broken)
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    raise CallError(DEADLINE_EXCEEDED, "", "The server did not answer in time.")
                if self._reading:
                    self._state.wait(remaining)
                    continue
                self._reading = True
            try:
                self._read(remaining)
            finally:
                with self._state:
                    self._reading = False
                    self._state.notify_all()

    def _read(self, timeout: float | None) -> None:
        # Waiting may be broken off by an exception from a signal handler; taking the bytes may not.
        if not self._readable.poll(None if timeout is None else max(1, int(timeout * 1000))):
            return
        with self._shield:
            broken = ""
            frames: list[frame_pb2.Frame] = []
            try:
                data = self._socket.recv(READ_BYTES)
                if not data:
                    broken = "The worker is gone."
                frames.extend(self._decoder.feed(data))
            except FrameError as error:
                broken = f"The worker sent something that is not a frame: {error}"
                self._socket.close()
            except OSError as error:
                broken = f"The worker is gone: {error.strerror}."
            with self._state:
                self._broken = self._broken or broken
                for frame in frames:
                    if frame.kind == frame_pb2.Frame.KIND_REQUEST:
                        self._requests.append(frame)
                    elif frame.stream_id in self._replies:
                        self._replies[frame.stream_id] = frame
