"""The worker's side of a frame socket, on asyncio: hands over what arrives and writes without waiting.

The codec and the child's side are in `frames.py`. What a frame's call means belongs to `runtime/task_process.py`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from crosswind.bundle.v1 import frame_pb2
from crosswind.client.frames import READ_BYTES, FrameDecoder, FrameError, encode_frame


class FramePeer:
    """One end of a frame socket.

    Args:
        connection: the socket; it is the peer's from now on.
        on_frame: called for every frame, in order.
        on_end: called once when nothing more can arrive: with None at the end of file, with the reason where the other
            side broke the rules.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        on_frame: Callable[[frame_pb2.Frame], None],
        on_end: Callable[[FrameError | None], None],
    ) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._on_frame = on_frame
        self._on_end = on_end
        self._decoder = FrameDecoder()
        self._outgoing = bytearray()
        self._reading = True
        self._loop.add_reader(connection.fileno(), self._read)

    def send(self, frame: frame_pb2.Frame) -> None:
        """Writes a frame, now or as soon as the other side reads. It is dropped where the other side is gone.

        Raises:
            FrameError: the frame is larger than a frame may be.
        """
        data = encode_frame(frame)
        if self._socket.fileno() < 0:
            return
        if not self._outgoing:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._socket.fileno(), self._write)
        self._outgoing += data

    def drain(self) -> None:
        """Takes what has already arrived, without waiting; for a child that has ended."""
        while self._reading and self._read():
            pass

    def close(self) -> None:
        """Closes the socket; nothing is called any more."""
        if self._socket.fileno() >= 0:
            self._reading = False
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()

    def _read(self) -> bool:
        """Returns whether there may be more to read at once."""
        try:
            data = self._socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._end(None)
            return False
        try:
            for frame in self._decoder.feed(data):
                self._on_frame(frame)
        except FrameError as error:
            self._end(error)
            return False
        return True

    def _end(self, error: FrameError | None) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket.fileno())
            if error is not None:
                self.close()
            self._on_end(error)

    def _write(self) -> None:
        try:
            sent = self._socket.send(self._outgoing)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            sent = len(self._outgoing)  # gone: the end of file tells it
        del self._outgoing[:sent]
        if not self._outgoing:
            self._loop.remove_writer(self._socket.fileno())
