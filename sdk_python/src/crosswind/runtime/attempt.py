"""One attempt, from its lease to its acknowledged outcome. A `TaskHost` for its task. [LEASE-1] [FIN-1] [BYTES-1]

Which attempts there are belongs to `worker.py`; what an ended process means to `verdicts.py`.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.client.errors import DEADLINE_EXCEEDED, CallError
from crosswind.execution.v1 import lease_pb2, logs_pb2, outcome_pb2, task_service_pb2
from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.manifest.v1 import task_pb2
from crosswind.runtime.attempt_log import AttemptLog, LogMemory
from crosswind.runtime.delivery import Delivery, value_too_large
from crosswind.runtime.executor import Executor, ExecutorGone, RunningTask
from crosswind.runtime.log_shipping import LogShipper
from crosswind.runtime.masking import Masker
from crosswind.runtime.negotiation import VERSION_REASONS
from crosswind.runtime.server_calls import START, ServerCalls
from crosswind.runtime.server_connection import seconds
from crosswind.runtime.verdicts import Ending, bundle_broken, cancelled, judge

_TASK_SERVICE: Final = "/crosswind.execution.v1.TaskService/"
# A forwarded call that is not answered in this time is made again; every method of TaskService may be repeated.
_FORWARD_SECONDS: Final = 30.0
_CANCEL_GRACE_SECONDS: Final = 10.0
# Of the lease, before which a task is ended that must not run beside its successor.
_PARTITION_MARGIN: Final = 0.1
_ENVELOPE_BYTES: Final = 64 * 1024
_log = logging.getLogger("crosswind.worker")


@dataclass(frozen=True, kw_only=True)
class AttemptServices:
    """What attempts need of their worker.

    Args:
        calls: to the server.
        delivery: takes outcomes.
        shipper: takes logs.
        memory: bounds all logs together.
        instance_id: of the worker.
        find_executor: finds what runs tasks of a version of a bundle; raises ExecutorGone.
        note_delivering: called when an attempt has only its outcome left to deliver.
    """

    calls: ServerCalls
    delivery: Delivery
    shipper: LogShipper
    memory: LogMemory
    instance_id: str
    find_executor: Callable[[str, str], Awaitable[Executor]]
    note_delivering: Callable[[], None]


class Attempt:
    """An attempt that this worker holds."""

    def __init__(self, lease: lease_pb2.Lease, services: AttemptServices) -> None:
        self.lease = lease
        self.ref = lease.attempt
        self._services = services
        self._masker = Masker()
        self._attempt_log = AttemptLog(self._masker, services.memory)
        self._ending = Ending.NONE
        self._task: RunningTask | None = None
        self._context = lease_pb2.TaskContext()
        self._executor: Executor | None = None
        self.is_delivering = False
        """Whether the task has ended and only its outcome is on its way."""
        self._usage: service.ResourceUsage | None = None
        self._valid_until = 0.0
        self._killed = False
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def label(self) -> str:
        """The attempt for people: DAG, run, task and try."""
        key = self.lease.task_instance
        index = f"[{key.map_index}]" if key.HasField("map_index") else ""
        return f"{key.dag_id} {key.run_id} {key.task_id}{index} (try {self.lease.try_number})"

    @property
    def ending(self) -> Ending:
        """Why the worker ends it before its time, if it does."""
        return self._ending

    async def run(self) -> None:
        """Runs the attempt to its end.

        Raises:
            WorkerRefused: the server will not have this worker any more.
        """
        try:
            if not await self._begin():
                return
            outcome = await self._run_task()
            if outcome is None:
                _log.info("%s is dropped: %s.", self.label, self._ending.sentence)
                self._services.shipper.drop(self.ref.attempt_id)
                return
            await self._finish(outcome)
        finally:
            for timer in self._timers.values():
                timer.cancel()

    def end(self, ending: Ending, reason: str = "") -> None:
        """Ends the attempt before its time. The first ending counts, but a lost lease takes the place of any other.

        Args:
            ending: why.
            reason: more of it, for the task's log.
        """
        if self._ending is not Ending.NONE and (ending is not Ending.LOST or self._ending is Ending.LOST):
            return
        self._ending = ending
        if ending is Ending.LOST:
            self._services.delivery.drop(self.ref.attempt_id)
        if self._task is None:
            return  # before it began, or when it had just ended: seen where that is waited for
        if ending.is_immediate:
            self.kill()
            return
        why = (reason or ending.sentence).rstrip(".")  # a reason is a sentence
        self._attempt_log.write_worker(f"The worker ends the task: {why}.", logs_pb2.LogRecord.LEVEL_WARNING)
        self._task.terminate()
        grace = seconds(self._context.cancel_grace) if self._context.HasField("cancel_grace") else _CANCEL_GRACE_SECONDS
        self._set_timer("kill", grace, self.kill)

    def kill(self) -> None:
        """Kills the task's process, whatever it does."""
        if self._task is not None:
            self._killed = True
            self._task.kill()

    def note_lease(self, valid_until: float) -> None:
        """Takes note how long the lease is certainly valid.

        Args:
            valid_until: by the loop's clock.
        """
        if self._context.on_partition == task_pb2.PARTITION_POLICY_KILL and self._task is not None:
            lease = seconds(self._services.calls.connection.timing.lease_duration)
            delay = valid_until - asyncio.get_running_loop().time() - lease * _PARTITION_MARGIN
            self._set_timer("partition", max(0.0, delay), lambda: self.end(Ending.PARTITION))

    async def forward(self, method: str, request: bytes, timeout: float | None) -> bytes:
        """See `TaskHost.forward`. Repeats the call while the server cannot be reached, within `timeout`."""
        name = method.removeprefix(_TASK_SERVICE)
        if name == "SetVariable":
            self._register_written(request)
        assert self._executor is not None
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        connection = self._services.calls.connection
        failures = 0
        while True:
            remaining = _FORWARD_SECONDS if deadline is None else deadline - loop.time()
            if remaining <= 0:
                raise CallError(DEADLINE_EXCEEDED, "", "The server could not be reached in time.")
            token = connection.token
            metadata = (
                *connection.metadata(self._executor.api_versions),
                ("crosswind-attempt", self.ref.attempt_id),
                ("crosswind-lease-bin", self.ref.lease),
            )
            try:
                answer = await connection.send_bytes(
                    method, request, timeout=min(remaining, _FORWARD_SECONDS), metadata=metadata
                )
            except CallError as error:
                if error.reason in VERSION_REASONS:
                    raise  # the bundle's version, not the worker's
                failures += 1
                try:
                    async with asyncio.timeout_at(deadline):
                        await self._services.calls.recover(error, token=token, failures=failures)
                except TimeoutError:
                    raise error from None
                continue
            # Before the task sees it [BYTES-1].
            if name == "GetVariable":
                self._masker.add_variable(task_service_pb2.GetVariableResponse.FromString(answer).variable)
            elif name == "GetConnection":
                self._masker.add_connection(task_service_pb2.GetConnectionResponse.FromString(answer).connection)
            return answer

    def share_secrets(self, masker: Masker) -> None:
        """See `TaskHost.share_secrets`."""
        self._masker.share_with(masker)

    def write_logs(self, request: bytes) -> None:
        """See `TaskHost.write_logs`."""
        self._attempt_log.write_records(request)

    def write_output(self, source: logs_pb2.LogRecord.Source, data: bytes) -> None:
        """See `TaskHost.write_output`."""
        self._attempt_log.write_output(source, data)

    async def _begin(self) -> bool:
        """Starts the attempt at the server. False: there is nothing to run."""
        services = self._services
        asked = asyncio.get_running_loop().time()
        request = service.StartAttemptRequest(attempt=self.ref, instance_id=services.instance_id)
        try:
            answer = await services.calls.repeat(START, request)
        except CallError as error:
            if error.reason == "ATTEMPT_CANCELLING":
                await self._finish(cancelled("exited"))
            elif error.reason in ("STALE_LEASE", "UNKNOWN_ATTEMPT"):
                _log.info("%s is dropped, its lease is not valid any more.", self.label)
            else:
                _log.error("%s is dropped, the server refuses to start it: %s", self.label, error)
            return False
        self._context = answer.context
        for variable in answer.context.variables:
            self._masker.add_variable(variable)
        for connection in answer.context.connections:
            self._masker.add_connection(connection)
        self._valid_until = asked + (seconds(answer.lease_duration) or 0.0)
        return True

    async def _run_task(self) -> outcome_pb2.Outcome | None:
        """Runs the task's code. None: its lease is lost, so that there is nothing to tell."""
        services, lease = self._services, self.lease
        limits = services.calls.connection.limits
        request = bundle_service_pb2.RunTaskRequest(
            context=self._context, max_inline_value_bytes=limits.max_inline_value_bytes
        )
        try:
            self._executor = await services.find_executor(lease.bundle, lease.bundle_version)
            if self._ending is not Ending.NONE:
                return cancelled("exited") if self._ending is Ending.CANCEL else None
            self._task = self._executor.start(request, self)
        except ExecutorGone as error:
            return bundle_broken(str(error))
        services.shipper.add(self.ref, self._attempt_log)
        if self._context.HasField("execution_timeout"):
            self._set_timer("timeout", seconds(self._context.execution_timeout), lambda: self.end(Ending.TIMEOUT))
        self.note_lease(self._valid_until)
        end = await self._task.wait()
        self._task = None
        self._usage = service.ResourceUsage(max_memory_bytes=end.max_memory_bytes)
        self._usage.cpu_time.FromNanoseconds(int(end.cpu_seconds * 1e9))
        self._attempt_log.end_lines()
        if end.stderr_tail:
            self._attempt_log.write_worker(
                f"The last lines of standard error of the bundle's process:\n{end.stderr_tail}",
                logs_pb2.LogRecord.LEVEL_ERROR,
            )
        return judge(
            end,
            self._ending,
            context=self._context,
            killed=self._killed,
            stderr_tail=end.stderr_tail or self._attempt_log.stderr_tail(),
        )

    async def _finish(self, outcome: outcome_pb2.Outcome) -> None:
        services = self._services
        if outcome.HasField("failed"):
            self._masker.mask_failure(outcome.failed.failure)
            failure = outcome.failed.failure
            if failure.type.startswith("crosswind."):
                self._attempt_log.write_worker(failure.message, logs_pb2.LogRecord.LEVEL_ERROR)
        elif outcome.HasField("skipped"):
            outcome.skipped.reason = self._masker.mask(outcome.skipped.reason)
        self._attempt_log.end()
        request = service.FinishAttemptRequest(
            attempt=self.ref, outcome_id=str(uuid.uuid4()), outcome=outcome, usage=self._usage
        )
        request.end_time.FromNanoseconds(time.time_ns())
        limit = services.calls.connection.limits.max_message_bytes
        if (size := request.ByteSize()) > limit - _ENVELOPE_BYTES:
            request.outcome.CopyFrom(value_too_large(size, limit))
        room = limit - _ENVELOPE_BYTES - request.ByteSize()
        for chunk in self._attempt_log.chunks():
            room -= len(chunk.data) + 64
            if room < 0:
                break
            request.log_chunks.append(chunk)
        self.is_delivering = True
        services.note_delivering()
        answer = await services.delivery.deliver(request)
        if answer is None:
            services.shipper.drop(self.ref.attempt_id)
            return
        self._attempt_log.acknowledge(answer.next_log_sequence)
        services.shipper.discharge(self.ref.attempt_id)

    def _register_written(self, request: bytes) -> None:
        message = task_service_pb2.SetVariableRequest()
        try:
            message.ParseFromString(request)
        except DecodeError:
            return  # the server will say so
        if not message.public:
            self._masker.add_variable(lease_pb2.Variable(value=message.value))

    def _set_timer(self, name: str, delay: float, action: Callable[[], None]) -> None:
        old = self._timers.pop(name, None)
        if old is not None:
            old.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(delay, action)
