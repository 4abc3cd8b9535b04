"""The seam between an attempt and what runs its task: a forked process, a bundle's process, or the caller's own thread.

Here belong the protocols of both sides. Implementations are `zygote_process.py`, `plugin_executor.py` and `inline.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.client.errors import CallError
from crosswind.execution.v1 import logs_pb2
from crosswind.runtime.masking import Masker


class ExecutorGone(Exception):
    """The executor cannot start tasks any more; the message says why, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class TaskEnd:
    """How a task's code ended, once its process is gone.

    Args:
        response: a serialized `RunTaskResponse`. None: the process ended without one.
        refusal: why the process could not run the task at all.
        exit_code: of the process. None: a signal ended it, or it is not known.
        signal_name: the signal that ended it, such as `SIGKILL`; empty otherwise.
        detail: what else is known of an end without a response, in a sentence.
        broken: why there was no process that could run the task, in a sentence; empty otherwise.
        stderr_tail: the last lines of a standard error that is not the task's alone, masked.
        cpu_seconds: user and system time.
        max_memory_bytes: the most resident memory; 0 where not known.
    """

    response: bytes | None = None
    refusal: CallError | None = None
    exit_code: int | None = None
    signal_name: str = ""
    detail: str = ""
    broken: str = ""
    stderr_tail: str = ""
    cpu_seconds: float = 0.0
    max_memory_bytes: int = 0


class TaskHost(Protocol):
    """What a running task reaches: its attempt."""

    async def forward(self, method: str, request: bytes, timeout: float | None) -> bytes:
        """Calls `TaskService` of the server for the task.

        Raises:
            CallError: the call was refused.
        """

    def share_secrets(self, masker: Masker) -> None:
        """Registers the task's secrets with another masker too, each before the task sees it. [BYTES-1]"""

    def write_logs(self, request: bytes) -> None:
        """Takes a serialized `WriteLogsRequest`."""

    def write_output(self, source: logs_pb2.LogRecord.Source, data: bytes) -> None:
        """Takes raw output, cut anywhere."""


class RunningTask(Protocol):
    """A task that has been started."""

    async def wait(self) -> TaskEnd:
        """Waits until the task's process has ended and all that it wrote has been handed over."""

    def terminate(self) -> None:
        """Asks the task to end."""

    def kill(self) -> None:
        """Ends the task, its process group included."""


class Executor(Protocol):
    """Runs tasks of one version of a bundle."""

    @property
    def api_versions(self) -> Sequence[str]:
        """The API versions in which the bundle's tasks can speak, their own first; see `negotiation.spoken_by`."""

    def start(self, request: bundle_service_pb2.RunTaskRequest, host: TaskHost) -> RunningTask:
        """Starts a task.

        Raises:
            ExecutorGone: it cannot be started.
        """
