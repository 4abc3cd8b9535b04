"""A child of a zygote, as the worker sees it: its frames, its output, its end.

Here belongs what concerns one child. Forking and reaping belong to the zygote; what an outcome means to `attempt.py`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from crosswind.bundle.v1 import frame_pb2
from crosswind.client.errors import INTERNAL, RESOURCE_EXHAUSTED, UNIMPLEMENTED, CallError
from crosswind.client.frame_peer import FramePeer
from crosswind.client.frames import FrameError
from crosswind.execution.v1 import logs_pb2
from crosswind.runtime.executor import TaskEnd, TaskHost
from crosswind.runtime.processes import signal_name
from crosswind.runtime.zygote_protocol import ChildExit

RUN_TASK: Final = "/crosswind.bundle.v1.BundleService/RunTask"
WRITE_LOGS: Final = "/crosswind.bundle.v1.HostService/WriteLogs"
TASK_SERVICE: Final = "/crosswind.execution.v1.TaskService/"
_RUN_STREAM: Final = 2
_log = logging.getLogger("crosswind.worker")
_PIPE_BYTES: Final = 64 * 1024
_NUDGE_SECONDS: Final = 0.25


class _Output:
    """The reading end of a child's stdout or stderr."""

    def __init__(self, descriptor: int, take: Callable[[bytes], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def drain(self) -> None:
        """Takes what is there and closes, also where another process still holds the writing end."""
        while self._read():
            pass
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> bool:
        if self._descriptor < 0:
            return False
        try:
            data = os.read(self._descriptor, _PIPE_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        if not data:
            self.close()
            return False
        self._take(data)
        return True


class TaskProcess:
    """One child. Made by `ZygoteProcess.start`.

    Args:
        run_request: a serialized `RunTaskRequest`.
        host: the attempt.
        send_signal: signals the child's process group.
        nudge: makes the child notice a signal that it may have missed.
    """

    def __init__(
        self, run_request: bytes, host: TaskHost, send_signal: Callable[[int], None], nudge: Callable[[], None]
    ) -> None:
        self._host = host
        self._send_signal = send_signal
        self._nudge = nudge
        self._end = TaskEnd()
        self._ended: asyncio.Future[TaskEnd] = asyncio.get_running_loop().create_future()
        self._calls: set[asyncio.Task[None]] = set()
        ours, theirs = socket.socketpair()
        out_reading, out_writing = os.pipe()
        error_reading, error_writing = os.pipe()
        self._theirs = theirs
        self._writing = (out_writing, error_writing)
        self._peer = FramePeer(ours, on_frame=self._take_frame, on_end=self._take_end)
        self._outputs = (
            _Output(out_reading, lambda data: host.write_output(logs_pb2.LogRecord.SOURCE_STDOUT, data)),
            _Output(error_reading, lambda data: host.write_output(logs_pb2.LogRecord.SOURCE_STDERR, data)),
        )
        self._peer.send(
            frame_pb2.Frame(
                stream_id=_RUN_STREAM, kind=frame_pb2.Frame.KIND_REQUEST, method=RUN_TASK, payload=run_request
            )
        )

    @property
    def descriptors(self) -> list[int]:
        """What the child is to inherit: frames, stdout, stderr."""
        return [self._theirs.fileno(), *self._writing]

    def close_inherited(self) -> None:
        """Closes the child's ends here, once they have been passed on."""
        self._theirs.close()
        for descriptor in self._writing:
            os.close(descriptor)

    async def wait(self) -> TaskEnd:
        """See `RunningTask.wait`."""
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """See `RunningTask.terminate`."""
        self._send_signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(_NUDGE_SECONDS, self._nudge_until_ended)

    def kill(self) -> None:
        """See `RunningTask.kill`."""
        self._send_signal(signal.SIGKILL)

    def finish(self, ended: ChildExit | None, detail: str = "") -> None:
        """Takes note that the process has ended.

        Args:
            ended: how. None: nobody could tell.
            detail: what is known instead, in a sentence.
        """
        if self._ended.done():
            return
        self._peer.drain()
        self._peer.close()
        for output in self._outputs:
            output.drain()
        for call in self._calls:
            call.cancel()
        end = replace(self._end, detail=self._end.detail or detail)
        if ended is not None:
            code = os.waitstatus_to_exitcode(ended.status)
            end = replace(
                end,
                exit_code=code if code >= 0 else None,
                signal_name="" if code >= 0 else signal_name(-code),
                cpu_seconds=ended.cpu_seconds,
                max_memory_bytes=ended.max_memory_bytes,
            )
        self._end = end
        self._ended.set_result(end)

    def _nudge_until_ended(self) -> None:
        if not self._ended.done():
            self._nudge()
            asyncio.get_running_loop().call_later(_NUDGE_SECONDS, self._nudge_until_ended)

    def _take_frame(self, frame: frame_pb2.Frame) -> None:
        kind = frame.kind
        if kind == frame_pb2.Frame.KIND_REQUEST:
            call = asyncio.get_running_loop().create_task(self._answer(frame))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        elif kind == frame_pb2.Frame.KIND_NOTICE:
            if frame.method == WRITE_LOGS:
                self._host.write_logs(frame.payload)
        elif frame.stream_id == _RUN_STREAM and self._end.response is None:
            if kind == frame_pb2.Frame.KIND_RESPONSE:
                self._end = replace(self._end, response=frame.payload)
            else:
                self._end = replace(self._end, refusal=CallError.from_status(frame.payload))

    def _take_end(self, error: FrameError | None) -> None:
        if error is not None:
            self._end = replace(self._end, detail=f"It sent something that is not a frame: {error}")
            self.kill()

    async def _answer(self, request: frame_pb2.Frame) -> None:
        try:
            if not request.method.startswith(TASK_SERVICE):
                raise CallError(UNIMPLEMENTED, "", f"A task cannot call {request.method}.")
            timeout = request.timeout.ToNanoseconds() / 1e9 if request.HasField("timeout") else None
            payload = await self._host.forward(request.method, request.payload, timeout)
            reply = frame_pb2.Frame(stream_id=request.stream_id, kind=frame_pb2.Frame.KIND_RESPONSE, payload=payload)
        except CallError as error:
            reply = _status(request.stream_id, error)
        except Exception as error:
            reply = _status(request.stream_id, note_defect(request.method, error))
        try:
            self._peer.send(reply)
        except FrameError as error:
            self._peer.send(_status(request.stream_id, CallError(RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", str(error))))


def note_defect(method: str, error: Exception) -> CallError:
    """A defect of the worker in a task's call: told in the worker's log, and to the task, which waits for an answer."""
    _log.error("The call of %s by a task met a defect of the worker.", method, exc_info=error)
    return CallError(INTERNAL, "INTERNAL", f"The worker failed: {error!r}")


def _status(stream: int, error: CallError) -> frame_pb2.Frame:
    return frame_pb2.Frame(stream_id=stream, kind=frame_pb2.Frame.KIND_STATUS, payload=error.to_status())
