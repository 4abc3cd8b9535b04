"""A worker inside another program: the whole protocol in a background thread, the tasks on the caller's thread.

For `crosswind run` and debuggers: a breakpoint in a task is a breakpoint in the caller's terminal. Tasks run one after
the other and share the process; so they cannot be killed, only interrupted.
"""

from __future__ import annotations

import asyncio
import ctypes
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from crosswind.author.bundle import LoadedBundle
from crosswind.author.errors import TaskCancelled
from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.client.task_client import TaskClient
from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime.execution import run_attempt
from crosswind.runtime.executor import Executor, ExecutorGone, TaskEnd, TaskHost
from crosswind.runtime.negotiation import spoken_by
from crosswind.runtime.registration import WorkerIdentity
from crosswind.runtime.server_connection import ServerConnection
from crosswind.runtime.task_logging import WRITE_LOGS, TaskLogHandler
from crosswind.runtime.worker import Worker

_START_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 10.0


@dataclass
class _Failed:
    """The background thread ended with an error."""

    error: BaseException


class _End:
    """Nobody wants further tasks."""


class _InlineChannel:
    """Carries a task's calls to the background thread. A `Channel`."""

    def __init__(self, host: TaskHost, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop

    def call(self, method: str, request: bytes, timeout: float | None) -> bytes:
        """See `Channel.call`."""
        return asyncio.run_coroutine_threadsafe(self._host.forward(method, request, timeout), self._loop).result()

    def notify(self, method: str, notice: bytes) -> None:
        """See `Channel.notify`."""
        if method == WRITE_LOGS:
            self._loop.call_soon_threadsafe(self._host.write_logs, notice)


class _InlineTask:
    """A task that waits for the caller's thread, or runs on it. A `RunningTask`."""

    def __init__(
        self, request: bundle_service_pb2.RunTaskRequest, host: TaskHost, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.request = request
        self.channel = _InlineChannel(host, loop)
        self._loop = loop
        self._ended: asyncio.Future[TaskEnd] = loop.create_future()
        self._lock = threading.Lock()
        # Guarded by _lock.
        self._thread_id: int | None = None
        self.is_interrupted = False

    async def wait(self) -> TaskEnd:
        """See `RunningTask.wait`."""
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """See `RunningTask.terminate`. Raises `TaskCancelled` in the task as soon as it runs Python code."""
        with self._lock:
            if self.is_interrupted:
                return
            self.is_interrupted = True
            if self._thread_id is not None:
                _raise_in_thread(self._thread_id, TaskCancelled)

    def kill(self) -> None:
        """See `RunningTask.kill`; a thread can only be interrupted."""
        self.terminate()

    def begin(self) -> bool:
        """Called on the thread that is to run it. False: it was cancelled before."""
        with self._lock:
            self._thread_id = threading.get_ident()
            return not self.is_interrupted

    def end(self, response: bytes | None) -> None:
        """Called on the thread that ran it."""
        with self._lock:
            self._thread_id = None
        self._loop.call_soon_threadsafe(self._set_end, TaskEnd(response=response, exit_code=0))

    def _set_end(self, end: TaskEnd) -> None:
        if not self._ended.done():
            self._ended.set_result(end)


class _InlineOfferings:
    """One bundle of the own process. `Offerings` and its `Executor`."""

    def __init__(self, manifest: bundle_pb2.Manifest, submit: Callable[[_InlineTask], None]) -> None:
        self._manifest = manifest
        self._submit = submit
        self._loop = asyncio.get_running_loop()
        self.api_versions = spoken_by(manifest)

    def manifests(self) -> list[bundle_pb2.Manifest]:
        """See `Offerings.manifests`."""
        return [self._manifest]

    def take_observed(self) -> dict[str, str]:
        """See `Offerings.take_observed`. The code stays what it is."""
        return {}

    async def find_executor(self, bundle: str, version: str) -> Executor:
        """See `Offerings.find_executor`."""
        if (bundle, version) != (self._manifest.bundle, self._manifest.bundle_version):
            raise ExecutorGone(f"This process does not have version {version} of the bundle {bundle}.")
        return self

    def start(self, request: bundle_service_pb2.RunTaskRequest, host: TaskHost) -> _InlineTask:
        """See `Executor.start`."""
        task = _InlineTask(request, host, self._loop)
        self._submit(task)
        return task

    def retire(self, bundle: str, version: str) -> None:
        """See `Offerings.retire`. The code stays as long as the process."""

    def sweep(self) -> None:
        """See `Offerings.sweep`. There is nothing to end."""

    async def wait_for_change(self) -> None:
        """See `Offerings.wait_for_change`. There is none."""
        await asyncio.Event().wait()

    async def run(self) -> None:
        """See `Offerings.run`."""

    async def close(self) -> None:
        """See `Offerings.close`."""


class InlineWorker:
    """A worker whose tasks run where `run_tasks` is called. A context manager.

        with InlineWorker(address="127.0.0.1:8090", token=enrolment, loaded=load_bundle(path, "flights")) as worker:
            ...trigger a run, and call worker.end() from another thread when it has ended...
            worker.run_tasks()

    Args:
        address: `host:port` of the server.
        token: an enrolment token.
        loaded: the bundle.
        name: of the worker. Empty: one is made up.
        slots: that it has. Tasks run one after the other all the same; it is for those that take several.
        queues: that it serves. Empty: `default`.
    """

    def __init__(
        self,
        *,
        address: str,
        token: str,
        loaded: LoadedBundle,
        name: str = "",
        slots: int = 1,
        queues: Sequence[str] = (),
    ) -> None:
        self._address = address
        self._identity = WorkerIdentity(
            name=name or f"{socket.gethostname()[:60]}-inline-{threading.get_native_id()}",
            slots=slots,
            queues=queues,
            enrolment_token=token,
        )
        self._loaded = loaded
        self._jobs: queue.SimpleQueue[_InlineTask | _Failed | _End] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="crosswind-worker", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start(self, timeout: float = _START_SECONDS) -> None:
        """Registers and publishes the bundle; returns when runs can begin.

        Raises:
            WorkerRefused: the server will not have this worker.
            TimeoutError: the server did not answer within `timeout` seconds.
        """
        self._thread.start()
        if not self._ready.wait(timeout):
            raise TimeoutError(f"The server at {self._address} did not answer within {timeout:g} s.")
        if self._error is not None:
            raise self._error

    def run_tasks(self) -> None:
        """Runs tasks on the calling thread until `end` is called.

        Raises:
            KeyboardInterrupt: raised in a task, whose attempt is finished as cancelled.
            WorkerRefused: the server will not have this worker any more.
        """
        while True:
            job = self._jobs.get()
            if isinstance(job, _End):
                return
            if isinstance(job, _Failed):
                raise job.error
            self._run(job)

    def end(self) -> None:
        """Lets `run_tasks` return after the task that runs now. From any thread."""
        self._jobs.put(_End())

    def close(self) -> None:
        """Leaves the server. Tasks that have not begun are given to other workers."""
        loop, worker = self._loop, self._worker
        if loop is not None and worker is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(worker.stop)
            while not isinstance(job := self._next_job(), _End):
                if isinstance(job, _InlineTask):
                    job.end(None)
        self._thread.join(_CLOSE_SECONDS)

    def _next_job(self) -> _InlineTask | _Failed | _End:
        try:
            return self._jobs.get(timeout=0.05)
        except queue.Empty:
            return _End()

    def _run(self, task: _InlineTask) -> None:
        response = None
        try:
            if task.begin():
                client = TaskClient(task.channel, task.request)
                response = run_attempt(self._loaded, task.request, client, TaskLogHandler(task.channel))
        except TaskCancelled:
            response = None  # it came between the end of the task's code and the end of its attempt
        finally:
            task.end(None if response is None else response.SerializeToString())
        if response is not None and response.outcome.HasField("cancelled") and not task.is_interrupted:
            # Ctrl-C ended the task; it is meant for the whole program.
            raise KeyboardInterrupt

    def _serve(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            self._error = error
            self._jobs.put(_Failed(error))
        finally:
            self._ready.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._worker = Worker(
            ServerConnection(self._address),
            self._identity,
            _InlineOfferings(self._loaded.manifest(), self._jobs.put),
        )
        announce = asyncio.create_task(self._announce(self._worker))
        try:
            await self._worker.run()
        finally:
            announce.cancel()

    async def _announce(self, worker: Worker) -> None:
        await worker.publisher.published.wait()
        self._ready.set()


def _raise_in_thread(thread_id: int, error: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(error))
