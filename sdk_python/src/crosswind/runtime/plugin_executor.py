"""Runs tasks of one version of a packed bundle: which process each runs in, and when there is one. An `Executor`.

Tasks share a process, but for those that are isolated. What happens in a process belongs to `plugin_process.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.execution.v1 import lease_pb2
from crosswind.manifest.v1 import task_pb2
from crosswind.runtime.executor import ExecutorGone, TaskEnd, TaskHost
from crosswind.runtime.negotiation import spoken_by
from crosswind.runtime.packed_bundle import PackedBundle
from crosswind.runtime.plugin_process import PluginBroken, PluginProcess, ProcessClosed

# How many a task is offered to before it is given up: one may close just when the task comes.
_PROCESSES: Final = 3
_NOT_BEGUN: Final = TaskEnd(detail="The task had not begun.")


class PluginExecutor:
    """The processes of one version.

    Args:
        bundle: a private copy of the file, which is removed with this.
        start_timeout: how long a process may take until it serves, in seconds.

    Attributes:
        manifest: what the bundle offers.
        ended: done when this is closed. Its processes may end before: the next task has a new one.
    """

    def __init__(self, bundle: PackedBundle, *, start_timeout: float) -> None:
        self.manifest = bundle.manifest
        self.api_versions = spoken_by(bundle.manifest)
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._bundle = bundle
        self._start_timeout = start_timeout
        self._shared: asyncio.Task[PluginProcess] | None = None
        self._launches: set[asyncio.Task[PluginProcess]] = set()
        self._processes: set[PluginProcess] = set()
        self._tasks: set[PluginTask] = set()
        self._resting: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def child_count(self) -> int:
        """Tasks that have not ended."""
        return len(self._tasks)

    @property
    def label(self) -> str:
        """Bundle and version, for people."""
        return f"Bundle {self.manifest.bundle}, version {self.manifest.bundle_version[:8]}"

    def start(self, request: bundle_service_pb2.RunTaskRequest, host: TaskHost) -> PluginTask:
        """See `Executor.start`."""
        if self._closing:
            raise ExecutorGone(f"{self.label} is not on offer here any more.")
        task = PluginTask(self, request, host)
        self._tasks.add(task)
        return task

    def forget(self, task: PluginTask) -> None:
        """Takes note that a task has ended."""
        self._tasks.discard(task)

    def rest(self) -> None:
        """Ends the shared process while no task needs it."""
        shared = self._shared
        if not self._tasks and shared is not None and shared.done() and _is_usable(shared):
            self._shared = None
            closing = asyncio.create_task(shared.result().close())
            self._resting.add(closing)
            closing.add_done_callback(self._resting.discard)

    async def close(self) -> None:
        """Ends all processes; returns when they are gone."""
        self._closing = True
        for launch in self._launches:
            launch.cancel()
        if self._launches:
            await asyncio.wait(self._launches)
        await asyncio.gather(*(process.close() for process in self._processes), *self._resting)
        self._bundle.path.unlink(missing_ok=True)
        if not self.ended.done():
            self.ended.set_result(f"{self.label} was closed.")

    def launch(self, only_host: TaskHost | None) -> asyncio.Task[PluginProcess]:
        """A process that takes tasks, on its way or there already.

        Args:
            only_host: of a task that is to be alone in it. None: it is shared, and not the caller's to cancel.
        """
        if only_host is not None:
            return self._begin_launch(only_host)
        if self._shared is None or (self._shared.done() and not _is_usable(self._shared)):
            self._shared = self._begin_launch(None)
        return self._shared

    def _begin_launch(self, only_host: TaskHost | None) -> asyncio.Task[PluginProcess]:
        launch = asyncio.create_task(
            PluginProcess.launch(self._bundle, timeout=self._start_timeout, only_host=only_host)
        )
        self._launches.add(launch)
        launch.add_done_callback(self._take_launch)
        return launch

    def _take_launch(self, launch: asyncio.Task[PluginProcess]) -> None:
        self._launches.discard(launch)
        if not launch.cancelled() and launch.exception() is None:
            process = launch.result()
            self._processes.add(process)
            process.ended.add_done_callback(lambda _: self._processes.discard(process))


class PluginTask:
    """A task of a packed bundle. A `RunningTask`. Made by `PluginExecutor.start`."""

    def __init__(self, executor: PluginExecutor, request: bundle_service_pb2.RunTaskRequest, host: TaskHost) -> None:
        self._executor = executor
        self._request = request
        self._host = host
        self._isolated = is_isolated(request.context)
        self._process: PluginProcess | None = None
        self._given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._work = asyncio.create_task(self._run())

    async def wait(self) -> TaskEnd:
        """See `RunningTask.wait`."""
        return await asyncio.shield(self._work)

    def terminate(self) -> None:
        """See `RunningTask.terminate`. Cancels the task's context; one that has not begun does not begin."""
        self._give_up()
        if self._process is not None:
            self._process.cancel(self._request, grace=None)

    def kill(self) -> None:
        """See `RunningTask.kill`. A process that others share ends when they have ended."""
        self._give_up()
        if self._process is None:
            return
        if self._isolated:
            self._process.kill()
        else:
            self._process.cancel(self._request, grace=0.0)
            self._process.doom(self._request.context.attempt_id)

    def _give_up(self) -> None:
        if not self._given_up.done():
            self._given_up.set_result(None)

    async def _run(self) -> TaskEnd:
        try:
            for _ in range(_PROCESSES):
                self._process = await self._acquire()
                if self._process is None:
                    return _NOT_BEGUN
                with suppress(ProcessClosed):
                    return await self._run_in(self._process)
            return TaskEnd(broken=f"{self._executor.label} was started {_PROCESSES} times and took no task.")
        except PluginBroken as error:
            return self._explain(error)
        finally:
            self._executor.forget(self)

    async def _acquire(self) -> PluginProcess | None:
        """The process to run in. None: the task is not to begin any more.

        Raises:
            PluginBroken: there is none.
        """
        launch = self._executor.launch(self._host if self._isolated else None)
        waited: list[asyncio.Future[Any]] = [launch, self._given_up]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if self._given_up.done():
            if self._isolated:
                await _abandon(launch)
            return None
        if launch.cancelled():
            raise PluginBroken("it is not on offer here any more")
        return launch.result()

    async def _run_in(self, process: PluginProcess) -> TaskEnd:
        if not self._isolated:
            return await process.run(self._request, self._host)
        try:
            end = await process.run(self._request, self._host)
        finally:
            await process.close()
        usage = process.ended.result()
        # What it wrote to standard error is in the task's own log already.
        return replace(end, stderr_tail="", cpu_seconds=usage.cpu_seconds, max_memory_bytes=usage.max_memory_bytes)

    def _explain(self, error: PluginBroken) -> TaskEnd:
        sentence = f"{self._executor.label} could not be started: {error}."
        tail = "" if self._isolated else error.stderr_tail
        if error.end is None:
            return TaskEnd(broken=sentence, stderr_tail=tail)
        return TaskEnd(
            broken=sentence, exit_code=error.end.exit_code, signal_name=error.end.signal_name, stderr_tail=tail
        )


def is_isolated(context: lease_pb2.TaskContext) -> bool:
    """Whether a task has a process of its own: if it asks for one, or must be ended without regard for others."""
    return context.isolation == task_pb2.ISOLATION_PROCESS or context.on_partition == task_pb2.PARTITION_POLICY_KILL


def _is_usable(launch: asyncio.Task[PluginProcess]) -> bool:
    return not launch.cancelled() and launch.exception() is None and launch.result().accepts


async def _abandon(launch: asyncio.Task[PluginProcess]) -> None:
    launch.cancel()
    await asyncio.wait([launch])
    if not launch.cancelled() and launch.exception() is None:
        await launch.result().close()
