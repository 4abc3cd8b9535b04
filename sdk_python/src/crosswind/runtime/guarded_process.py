"""A command below a guard, as the worker sees it: starting it, its output, its end.

What the guard does belongs to `guard.py`; what is said to the command to `plugin_process.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crosswind.runtime import guard
from crosswind.runtime.environments import python_environment
from crosswind.runtime.processes import signal_name

_READ_BYTES: Final = 64 * 1024


class NotStarted(Exception):
    """No process could be started; the message says why, in a sentence without a full stop."""


@dataclass(frozen=True, kw_only=True)
class ProcessEnd:
    """How a command ended, once everything below its guard is gone.

    Args:
        not_executed: the errno where it could not be executed; 0 otherwise.
        exit_code: of the process. None: a signal ended it, or it is not known.
        signal_name: the signal that ended it, such as `SIGKILL`; empty otherwise.
        cpu_seconds: user and system time.
        max_memory_bytes: the most resident memory.
    """

    not_executed: int = 0
    exit_code: int | None = None
    signal_name: str = ""
    cpu_seconds: float = 0.0
    max_memory_bytes: int = 0

    @property
    def sentence(self) -> str:
        """How, in a few words: `exited with code 2`."""
        if self.signal_name:
            return f"was ended by {self.signal_name}"
        return "ended" if self.exit_code is None else f"exited with code {self.exit_code}"


class GuardedProcess:
    """A command that no child of it outlives, and that does not outlive the worker. Made by `start`.

    Attributes:
        ended: done when the process, and everything below it, is gone and all output has been handed over.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        control: socket.socket,
        take_output: Callable[[bytes], None],
        take_errors: Callable[[bytes], None],
    ) -> None:
        self._process = process
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._told = ProcessEnd()
        self._hung_up = self._loop.create_future()
        self._loop.add_reader(control.fileno(), self._receive)
        self.ended = asyncio.create_task(self._wait(take_output, take_errors))

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        take_output: Callable[[bytes], None],
        take_errors: Callable[[bytes], None],
    ) -> GuardedProcess:
        """Starts a command; returns before it runs.

        Args:
            command: absolute path of the program, its own name, and its arguments.
            environment: all of it.
            folder: of the command's sockets: removed when it has ended, also after the end of the worker.
            take_output: takes what it writes to standard output, cut anywhere.
            take_errors: the same for standard error.

        Raises:
            NotStarted: there is no process.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "crosswind.runtime.guard",
                    str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    pass_fds=(theirs.fileno(),),
                    env=python_environment(),
                    start_new_session=True,  # Ctrl-C in the worker's terminal is the worker's to handle
                )
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise NotStarted(f"no process could be started for it: {error.strerror}") from error
            raise
        ours.setblocking(False)
        order = {"command": list(command), "environment": dict(environment), "folder": str(folder)}
        started = cls(process, ours, take_output, take_errors)
        try:
            ours.send(json.dumps(order).encode())
        except OSError as error:
            started.kill()
            await started.ended
            raise NotStarted(f"no process could be started for it: {error.strerror}") from error
        return started

    @property
    def process_id(self) -> int:
        """Of the guard, for people."""
        return self._process.pid

    def kill(self) -> None:
        """Kills the process and everything below it."""
        if self._control.fileno() >= 0:
            with suppress(OSError):
                # The guard waits for it; the reading half stays open here to hear how it ended.
                self._control.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        try:
            packet = self._control.recv(256)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            packet = b""
        if packet[:1] == b"N":
            self._told = ProcessEnd(not_executed=guard.NOT_EXECUTED.unpack(packet)[1])
        elif packet[:1] == b"E" and not self._told.not_executed:
            _, status, cpu_seconds, kibibytes = guard.ENDED.unpack(packet)
            code = os.waitstatus_to_exitcode(status)
            self._told = ProcessEnd(
                exit_code=code if code >= 0 else None,
                signal_name="" if code >= 0 else signal_name(-code),
                cpu_seconds=cpu_seconds,
                max_memory_bytes=kibibytes * 1024,
            )
        elif not packet:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
            if not self._hung_up.done():
                self._hung_up.set_result(None)

    async def _wait(self, take_output: Callable[[bytes], None], take_errors: Callable[[bytes], None]) -> ProcessEnd:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        # The guard holds its ends until everything below it is gone.
        await asyncio.gather(_copy(self._process.stdout, take_output), _copy(self._process.stderr, take_errors))
        await self._process.wait()
        await self._hung_up
        return self._told


async def _copy(stream: asyncio.StreamReader, take: Callable[[bytes], None]) -> None:
    while data := await stream.read(_READ_BYTES):
        take(data)
