"""What a forked child does: take one task over its socket, run it, answer with the outcome, end.

How a task's function is called belongs to `execution.py`; how the child came to be, to `zygote.py`.
"""

from __future__ import annotations

import atexit
import io
import os
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from crosswind.author.bundle import LoadedBundle
from crosswind.author.errors import TaskCancelled
from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.client.errors import INVALID_ARGUMENT, CallError
from crosswind.client.frames import FrameChannel, FrameError
from crosswind.client.task_client import TaskClient
from crosswind.execution.v1 import outcome_pb2
from crosswind.runtime import execution, task_logging
from crosswind.runtime.cancellation import Interruption


@dataclass(frozen=True)
class Prepared:
    """What children share: made once by `prepare` in the process that they are forked from."""

    loaded: LoadedBundle
    log_handler: task_logging.TaskLogHandler


def prepare(loaded: LoadedBundle) -> Prepared:
    """Does for all children what need not be done in each: every page that a child writes to is copied for it."""
    execution.prepare(loaded)
    for stream in (sys.stdout, sys.stderr):
        # A line is in the log when it was printed, not when a buffer is full or the process ends; and not in
        # pieces, as PYTHONUNBUFFERED has it.
        if isinstance(stream, io.TextIOWrapper):  # a DAG file may have replaced it
            stream.reconfigure(line_buffering=True, write_through=False)
    return Prepared(loaded, task_logging.install())


def run_child(prepared: Prepared, frames: int, out: int, error: int) -> NoReturn:
    """Runs one task and ends the process.

    Args:
        prepared: with the bundle's code.
        frames: descriptor of the socket to the worker.
        out: descriptor of what is to be standard output.
        error: descriptor of what is to be standard error.
    """
    interruption = Interruption()
    interruption.install()
    _redirect(out, error)
    atexit._clear()  # what the zygote registered is the zygote's
    channel = FrameChannel(socket.socket(fileno=frames), shield=interruption)
    code = 70
    try:
        request = channel.receive_request()
        if request is not None:
            response = _run(prepared, channel, request.payload)
            interruption.stop()
            try:
                channel.respond(request.stream_id, response.SerializeToString())
            except FrameError as problem:
                channel.refuse(request.stream_id, CallError(INVALID_ARGUMENT, "VALUE_TOO_LARGE", str(problem)))
            code = 0
    except CallError:
        code = 0  # the worker is gone, and with it whoever would read the code
    except TaskCancelled:
        code = 0  # before the task began, or when it had just ended: the worker knows why it sent the signal
    finally:
        _end(code)


def _run(prepared: Prepared, channel: FrameChannel, payload: bytes) -> bundle_service_pb2.RunTaskResponse:
    request = bundle_service_pb2.RunTaskRequest.FromString(payload)
    prepared.log_handler.connect(channel)
    _reseed()
    try:
        return execution.run_attempt(prepared.loaded, request, TaskClient(channel, request), channel)
    except TaskCancelled:
        return bundle_service_pb2.RunTaskResponse(
            outcome=outcome_pb2.Outcome(cancelled=outcome_pb2.Cancelled(how="exited"))
        )


def _redirect(out: int, error: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (error, 2)):
        os.dup2(source, target)
        os.close(source)


def _reseed() -> None:
    # Python reseeds its own generator after a fork; NumPy's global one would repeat itself in every task.
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _end(code: int) -> NoReturn:
    """Ends the process as Python ends one, without what the zygote would do at its own end."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
    finally:
        os._exit(code)
