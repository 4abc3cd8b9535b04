"""A zygote, as the worker sees it: spawning it, its manifest, its children.

What happens inside it belongs to `zygote.py`; when there is to be one, to `bundles.py`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime import zygote_protocol as protocol
from crosswind.runtime.environments import python_environment
from crosswind.runtime.executor import ExecutorGone, TaskHost
from crosswind.runtime.negotiation import spoken_by
from crosswind.runtime.task_process import TaskProcess


class ZygoteBroken(Exception):
    """A zygote could not be started; the message says why, in a sentence without a full stop.

    Args:
        message: the sentence.
        by_code: whether the bundle's code said so itself: it would again. Else another try may do better.
    """

    def __init__(self, message: str, *, by_code: bool = False) -> None:
        super().__init__(message)
        self.by_code = by_code


class ZygoteProcess:
    """A running zygote. An `Executor`. Made by `spawn`.

    Attributes:
        manifest: what the bundle holds.
        ended: done when the process, and everything below it, is gone; its result is a sentence.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, control: socket.socket, write_line: Callable[[str], None]
    ) -> None:
        self.manifest = bundle_pb2.Manifest()
        self.api_versions: tuple[str, ...] = ()
        self._process = process
        self._control = control
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._manifest_parts: list[bytes] = []
        self._children: dict[int, TaskProcess] = {}
        self._next_number = 1
        self._outgoing: deque[tuple[bytes, TaskProcess | None]] = deque()
        self._closing = False
        self._lines = asyncio.create_task(self._read_lines(write_line))
        self._loop.add_reader(control.fileno(), self._receive)

    @classmethod
    async def spawn(cls, path: Path, name: str, *, timeout: float, write_line: Callable[[str], None]) -> ZygoteProcess:
        """Starts a zygote and waits until it has imported the bundle.

        Args:
            path: the bundle's folder or file.
            name: the bundle's name.
            timeout: how long the import may take, in seconds.
            write_line: takes what the bundle's code prints while it is imported.

        Raises:
            ZygoteBroken: it ended, or took too long.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "crosswind.runtime.zygote",
                    str(theirs.fileno()),
                    str(path),
                    name,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    pass_fds=(theirs.fileno(),),
                    env=python_environment(),
                    start_new_session=True,  # Ctrl-C in the worker's terminal is the worker's to handle
                )
        except OSError as error:
            ours.close()
            raise ZygoteBroken(f"no process could be started for it: {error.strerror}") from error
        ours.setblocking(False)
        zygote = cls(process, ours, write_line)
        try:
            async with asyncio.timeout(timeout):
                await zygote._ready
        except TimeoutError:
            await zygote.close()
            raise ZygoteBroken(f"importing it took longer than {timeout:g} s (--import-timeout)") from None
        except BaseException:
            await zygote.close()
            raise
        return zygote

    @property
    def process_id(self) -> int:
        """Of the guard, for people."""
        return self._process.pid

    @property
    def child_count(self) -> int:
        """Children that have not ended."""
        return len(self._children)

    def start(self, request: bundle_service_pb2.RunTaskRequest, host: TaskHost) -> TaskProcess:
        """See `Executor.start`."""
        if self._closing or self.ended.done():
            raise ExecutorGone("The process that holds the bundle's code has ended.")
        number = self._next_number
        self._next_number += 1
        try:
            child = TaskProcess(
                request.SerializeToString(),
                host,
                lambda signal_number: self._send(protocol.encode_signal(number, signal_number), None),
                lambda: self._send(protocol.encode_nudge(number), None),
            )
        except OSError as error:
            raise ExecutorGone(f"The worker could not make the task's pipes: {error.strerror}.") from error
        self._children[number] = child
        self._send(protocol.encode_start(number), child)
        return child

    def rest(self) -> None:
        """Keeps what it has: a version that is asked for again is to start as fast as ever."""

    async def close(self) -> None:
        """Ends the zygote, and with it whatever still runs below it; returns when all of it is gone."""
        self._closing = True
        if not self.ended.done():
            # The guard waits for the end of the socket; the reading half stays open here to see its own.
            with suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)
        await asyncio.shield(self.ended)

    def _send(self, packet: bytes, child: TaskProcess | None) -> None:
        if self._control.fileno() < 0:
            return
        self._outgoing.append((packet, child))
        if len(self._outgoing) == 1 and not self._flush():
            self._loop.add_writer(self._control.fileno(), self._flush)

    def _flush(self) -> bool:
        while self._outgoing:
            packet, child = self._outgoing[0]
            try:
                socket.send_fds(self._control, [packet], [] if child is None else child.descriptors)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                if error.errno in (errno.ETOOMANYREFS, errno.ENOBUFS):
                    return False  # descriptors in flight: the zygote takes them in a moment
                # Gone: the end of the socket is read next and ends all children.
            self._outgoing.popleft()
            if child is not None:
                child.close_inherited()
        self._loop.remove_writer(self._control.fileno())
        return True

    def _receive(self) -> None:
        while True:
            try:
                packet = self._control.recv(protocol.PACKET_BYTES + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                packet = b""
            if not packet:
                self._hang_up()
                return
            self._take(packet)

    def _take(self, packet: bytes) -> None:
        kind = packet[:1]
        if kind == protocol.EXIT:
            ended = protocol.decode_exit(packet)
            self._end_child(ended.number, ended)
        elif kind == protocol.REFUSED:
            number, error = protocol.decode_refused(packet)
            self._end_child(number, None, f"The task's process could not be forked: {os.strerror(error)}.")
        elif kind == protocol.MANIFEST:
            self._manifest_parts.append(packet[1:])
        elif kind == protocol.MANIFEST_END:
            self.manifest.ParseFromString(b"".join(self._manifest_parts))
            self._manifest_parts.clear()
            self.api_versions = spoken_by(self.manifest)
            if not self._ready.done():
                self._ready.set_result(None)
        elif kind == protocol.BROKEN and not self._ready.done():
            self._ready.set_exception(ZygoteBroken(packet[1:].decode(errors="replace"), by_code=True))

    def _end_child(self, number: int, ended: protocol.ChildExit | None, detail: str = "") -> None:
        child = self._children.pop(number, None)
        if child is not None:
            child.finish(ended, detail)

    def _hang_up(self) -> None:
        # The guard holds its end until everything below it is gone.
        descriptor = self._control.fileno()
        self._loop.remove_reader(descriptor)
        self._loop.remove_writer(descriptor)
        self._control.close()
        self._farewell = asyncio.create_task(self._say_farewell())

    async def _say_farewell(self) -> None:
        code = await self._process.wait()
        await self._lines
        sentence = f"The process that holds the bundle's code ended with exit code {code}."
        if not self._ready.done():
            self._ready.set_exception(ZygoteBroken(f"importing it ended the process with exit code {code}"))
            self._ready.exception()  # nobody may be waiting any more
        for _, child in self._outgoing:
            if child is not None:
                child.close_inherited()
        self._outgoing.clear()
        for number in list(self._children):
            self._end_child(number, None, sentence)
        if not self.ended.done():
            self.ended.set_result(sentence)

    async def _read_lines(self, write_line: Callable[[str], None]) -> None:
        stream = self._process.stdout
        assert stream is not None
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                continue  # longer than the reader's buffer: it has been thrown away
            if not line:
                return
            write_line(line.decode(errors="replace").rstrip())
