"""A packed bundle's process, as the worker sees it: launching it, the tasks in it, its end.

It is launched as hashicorp/go-plugin's client would; docs/protocol.md, "Bundles as plugins", says what holds. Which
task goes into which process belongs to `plugin_executor.py`, the file to `packed_bundle.py`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.client.errors import (
    CANCELLED,
    INTERNAL,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    UNKNOWN,
    CallError,
)
from crosswind.runtime.bundle_output import BundleOutput, OutputLines
from crosswind.runtime.executor import TaskEnd, TaskHost
from crosswind.runtime.guarded_process import GuardedProcess, NotStarted, ProcessEnd
from crosswind.runtime.packed_bundle import PackedBundle, PackedBundleDamaged, explain_platform
from crosswind.runtime.plugin_callbacks import MESSAGE_BYTES, CallbackServer
from crosswind.runtime.plugin_handshake import (
    LINE_BYTES,
    HandshakeFailed,
    make_environment,
    make_socket_folder,
    read_handshake,
)
from crosswind.runtime.plugin_stdio import StreamedOutput
from crosswind.runtime.server_connection import to_call_error
from crosswind.runtime.task_process import RUN_TASK

_CANCEL_TASK: Final = "/crosswind.bundle.v1.BundleService/CancelTask"
_SHUT_DOWN: Final = "/plugin.GRPCController/Shutdown"
_CANCEL_SECONDS: Final = 5.0
# Before a task that was not found is asked again to end.
_FIRST_DELAY_SECONDS: Final = 0.01
_LONGEST_DELAY_SECONDS: Final = 1.0
# How long a process may take to end by itself, once it is asked or its connection is gone.
_END_SECONDS: Final = 2.0
# What a call may end with when the process does.
_CONNECTION_CODES: Final = (UNAVAILABLE, UNKNOWN, INTERNAL, CANCELLED)
_LAST_WORDS: Final = re.compile(r"^(?:panic|fatal error): .*$", re.MULTILINE)
_LAST_WORDS_CHARACTERS: Final = 500
_log = logging.getLogger("crosswind.worker")


class PluginBroken(Exception):
    """A process could not be launched.

    Args:
        sentence: why, without a full stop.
        end: how it ended. None: there was none.
        stderr_tail: the last lines of its standard error.
    """

    def __init__(self, sentence: str, end: ProcessEnd | None = None, stderr_tail: str = "") -> None:
        super().__init__(sentence)
        self.end = end
        self.stderr_tail = stderr_tail


class ProcessClosed(Exception):
    """The process takes no new tasks."""


@dataclass
class _Running:
    """A task in the process."""

    doomed: bool = False
    """Whether it is to be killed."""


class PluginProcess:
    """A bundle's process that has shaken hands. Made by `launch`.

    Args:
        bundle: its file.
        process: below its guard.
        output: what it writes.
        callbacks: for its tasks.
        socket_path: where it serves.
    """

    def __init__(
        self,
        bundle: PackedBundle,
        process: GuardedProcess,
        output: BundleOutput,
        callbacks: CallbackServer,
        socket_path: str,
    ) -> None:
        self._bundle = bundle
        self._process = process
        self._output = output
        self._callbacks = callbacks
        self._channel = grpc.aio.insecure_channel(
            f"unix://{socket_path}",
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                ("grpc.max_send_message_length", MESSAGE_BYTES),
                ("grpc.enable_retries", 0),
                ("grpc.enable_http_proxy", 0),
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )
        self._metadata = (("crosswind-api-version", bundle.manifest.api_version),)
        self._tasks: dict[str, _Running] = {}
        self._closing = False
        self._background: set[asyncio.Task[None]] = set()
        self._stdio = StreamedOutput(self._channel, output)
        self.ended = asyncio.create_task(self._wait())
        """Done when the process, and everything below it, is gone."""

    @classmethod
    async def launch(cls, bundle: PackedBundle, *, timeout: float, only_host: TaskHost | None = None) -> PluginProcess:
        """Starts a process and shakes hands.

        Args:
            bundle: a private copy; its checksum is verified before it runs.
            timeout: how long it may take to its handshake, in seconds.
            only_host: of the only task that is to run in it, which then has all of its output. None: there are many.

        Raises:
            PluginBroken: it did not come to that.
        """
        try:
            await asyncio.to_thread(bundle.check)
            folder = make_socket_folder()
        except PackedBundleDamaged as error:
            raise PluginBroken(str(error)) from error
        except OSError as error:
            raise PluginBroken(f"no folder could be made for its sockets: {error.strerror}") from error
        output = BundleOutput(bundle.manifest.bundle, only_host)
        first = _FirstLine(output.stream(is_error=False))
        callbacks = CallbackServer()
        try:
            await callbacks.start(folder)
            process = await GuardedProcess.start(
                [str(bundle.path)],
                environment=make_environment(folder),
                folder=folder,
                take_output=first.write,
                take_errors=output.stream(is_error=True).write,
            )
        except BaseException as error:
            await callbacks.stop()
            shutil.rmtree(folder, ignore_errors=True)  # nobody was started whose end would remove it
            if isinstance(error, NotStarted | RuntimeError):
                raise PluginBroken(str(error)) from error
            raise
        try:
            socket_path = await _shake_hands(first, process, folder, timeout)
        except BaseException as error:
            own_end = process.ended.done()
            process.kill()
            end = await process.ended
            await callbacks.stop()
            first.end()
            output.end()
            if isinstance(error, HandshakeFailed):
                sentence = _explain(error, end, bundle.path)
                raise PluginBroken(sentence, end if own_end else None, output.tail()) from error
            raise
        return cls(bundle, process, output, callbacks, socket_path)

    @property
    def accepts(self) -> bool:
        """Whether it takes new tasks."""
        return not self._closing and not self._process.ended.done()

    @property
    def process_id(self) -> int:
        """Of its guard, for people."""
        return self._process.process_id

    async def run(self, request: bundle_service_pb2.RunTaskRequest, host: TaskHost) -> TaskEnd:
        """Runs a task to its end.

        Raises:
            ProcessClosed: the process takes no new tasks.
        """
        if not self.accepts:
            raise ProcessClosed
        attempt_id = request.context.attempt_id
        host.share_secrets(self._output.masker)
        self._tasks[attempt_id] = _Running()
        key = self._callbacks.admit(host)
        message = bundle_service_pb2.RunTaskRequest()
        message.CopyFrom(request)
        message.callback_address = self._callbacks.address
        message.callback_key = key
        try:
            return TaskEnd(response=await self._call(RUN_TASK, message.SerializeToString()))
        except CallError as error:
            return await self._explain_end(error)
        finally:
            self._callbacks.dismiss(key)
            del self._tasks[attempt_id]
            self._kill_if_doomed()

    def cancel(self, request: bundle_service_pb2.RunTaskRequest, *, grace: float | None) -> None:
        """Asks a task to end.

        Args:
            request: with which it was started.
            grace: until it is killed, in seconds. None: as the request says.
        """
        message = bundle_service_pb2.CancelTaskRequest(attempt_id=request.context.attempt_id)
        if grace is not None:
            message.grace.FromNanoseconds(int(grace * 1e9))
        else:
            message.grace.CopyFrom(request.context.cancel_grace)
        task = asyncio.create_task(self._ask_to_end(message.attempt_id, message.SerializeToString()))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def doom(self, attempt_id: str) -> None:
        """Closes the process to new tasks because of one that is to be killed. It ends when only such are left."""
        running = self._tasks.get(attempt_id)
        if running is not None:
            running.doomed = True
            self._closing = True
            self._kill_if_doomed()

    async def close(self) -> None:
        """Ends the process: asks first, and kills it soon."""
        self._closing = True
        if not self._process.ended.done():
            await self._stdio.wait_for_pause()
            try:
                await self._call(_SHUT_DOWN, b"", timeout=_END_SECONDS)
                patience = _END_SECONDS
            except CallError as error:
                # It may end before it has answered; one that does not know the call will not end.
                patience = 0.0 if error.code == UNIMPLEMENTED else _END_SECONDS
            await asyncio.wait([self._process.ended], timeout=patience)
            self._process.kill()
        await asyncio.shield(self.ended)

    def kill(self) -> None:
        """Ends the process at once, with all that runs in it."""
        self._closing = True
        self._process.kill()

    def _kill_if_doomed(self) -> None:
        if self._closing and all(running.doomed for running in self._tasks.values()):
            self._process.kill()

    async def _explain_end(self, error: CallError) -> TaskEnd:
        """What an error of `RunTask` says of the task.

        Raises:
            ProcessClosed: that it can begin in another process.
        """
        if not error.reason and error.code in _CONNECTION_CODES:
            # The connection is gone a moment before the process is.
            await asyncio.wait([self._process.ended], timeout=_END_SECONDS)
            if error.code == UNAVAILABLE:
                self.kill()
                await asyncio.shield(self.ended)
        if self._process.ended.done():
            end = await asyncio.shield(self.ended)
            words = _LAST_WORDS.findall(tail := self._output.tail())
            return TaskEnd(
                exit_code=end.exit_code,
                signal_name=end.signal_name,
                detail=f"Its last words: {words[-1][:_LAST_WORDS_CHARACTERS]}." if words else "",
                stderr_tail=tail,
            )
        if error.reason == "SERVER_STOPPING":
            self._closing = True
            raise ProcessClosed
        if error.reason:
            return TaskEnd(refusal=error)
        if error.code == RESOURCE_EXHAUSTED:
            return TaskEnd(refusal=CallError(error.code, "VALUE_TOO_LARGE", f"The outcome is too large: {error}."))
        return TaskEnd(refusal=CallError(error.code, "", f"The bundle's process could not run the task: {error}."))

    async def _wait(self) -> ProcessEnd:
        end = await asyncio.shield(self._process.ended)
        if not self._closing:
            manifest = self._bundle.manifest
            _log.error(
                "Bundle %s, version %s: its process %s.", manifest.bundle, manifest.bundle_version[:8], end.sentence
            )
        await self._stdio.end(timeout=_END_SECONDS)
        self._output.end()
        await self._callbacks.stop()
        await self._channel.close()
        for task in list(self._background):
            task.cancel()
        return end

    async def _ask_to_end(self, attempt_id: str, message: bytes) -> None:
        """Asks until the task was found: its request may arrive after the first of these calls."""
        delay = _FIRST_DELAY_SECONDS
        while attempt_id in self._tasks and not self._process.ended.done():
            try:
                answer = await self._call(_CANCEL_TASK, message, timeout=_CANCEL_SECONDS)
                if bundle_service_pb2.CancelTaskResponse.FromString(answer).running:
                    return
            except (CallError, DecodeError) as error:
                _log.debug("A task of the bundle %s could not be asked to end: %s", self._bundle.manifest.bundle, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY_SECONDS)

    async def _call(self, method: str, message: bytes, *, timeout: float | None = None) -> bytes:
        """Calls the process.

        Raises:
            CallError: the call failed.
        """
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(method)
        try:
            return await call(message, metadata=self._metadata, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise to_call_error(error) from None
        except grpc.aio.UsageError as error:
            raise CallError(UNAVAILABLE, "", f"the process has ended: {error}") from None


class _FirstLine:
    """Standard output, whose first line is the handshake."""

    def __init__(self, rest: OutputLines) -> None:
        self.line: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._data = bytearray()
        self._rest = rest

    def write(self, data: bytes) -> None:
        """Takes the next bytes."""
        if self.line.done():
            self._rest.write(data)
            return
        self._data += data
        end = self._data.find(b"\n")
        if end >= 0 or len(self._data) > LINE_BYTES:
            end = end if end >= 0 else LINE_BYTES
            self.line.set_result(bytes(self._data[:end]))
            self._rest.write(bytes(self._data[end + 1 :]))

    def end(self) -> None:
        """Takes note that nobody waits for the line any more."""
        if not self.line.done():
            self._rest.write(bytes(self._data))


async def _shake_hands(first: _FirstLine, process: GuardedProcess, folder: Path, timeout: float) -> str:
    waited: list[asyncio.Future[Any]] = [first.line, process.ended]
    await asyncio.wait(waited, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    if first.line.done():
        return read_handshake(first.line.result(), folder)
    if process.ended.done():
        raise HandshakeFailed("")
    raise HandshakeFailed(f"it did not shake hands within {timeout:g} s (--import-timeout)")


def _explain(error: HandshakeFailed, end: ProcessEnd, path: Path) -> str:
    if end.not_executed:
        cause = explain_platform(path) or os.strerror(end.not_executed)
        return f"its program could not be executed: {cause}"
    return str(error) or f"its process {end.sentence} before its handshake"
