"""The worker: one loop that polls, one that heartbeats, and the attempts in between. [WORKER-1] [LEASE-2] [LEASE-4]

What an attempt does belongs to `attempt.py`; how a process becomes a worker to `worker_command.py`. A worker runs in
any asyncio program: it makes no process of its own but by its offerings, and installs no signal handlers.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from crosswind.client.errors import CallError
from crosswind.execution.v1 import lease_pb2
from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.runtime import processes
from crosswind.runtime.attempt import Attempt, AttemptServices
from crosswind.runtime.attempt_log import LogMemory
from crosswind.runtime.delivery import Delivery
from crosswind.runtime.log_shipping import LogShipper
from crosswind.runtime.offerings import Offerings
from crosswind.runtime.outcomes import OutcomeStore
from crosswind.runtime.publishing import Publisher
from crosswind.runtime.registration import Registration, WorkerIdentity, WorkerRefused
from crosswind.runtime.server_calls import DEREGISTER, HEARTBEAT, POLL, ServerCalls
from crosswind.runtime.server_connection import ServerConnection, seconds
from crosswind.runtime.state_folder import StateFolder
from crosswind.runtime.verdicts import Ending

# Beyond the server's wait, before a poll whose answer was lost is made again.
_POLL_MARGIN_SECONDS: Final = 5.0
_FAREWELL_SECONDS: Final = 5.0
_MAX_HEARTBEAT_ATTEMPTS: Final = 10_000
_log = logging.getLogger("crosswind.worker")


class Worker:
    """A worker. `run` is its life; `drain` and `stop` may be called at any time from its event loop.

    Args:
        connection: to the server.
        identity: of the worker.
        offerings: what it can run.
        folder: keeps its token and outcomes. None: memory does.
        sync: force outcomes onto the disk, see `outcomes.py`.
        drain_timeout: how long running tasks may take once it drains, in seconds. None: as long as they take.
    """

    def __init__(
        self,
        connection: ServerConnection,
        identity: WorkerIdentity,
        offerings: Offerings,
        *,
        folder: StateFolder | None = None,
        sync: bool = False,
        drain_timeout: float | None = None,
    ) -> None:
        self._connection = connection
        self._identity = identity
        self._offerings = offerings
        self._drain_timeout = drain_timeout
        self._state_path: Path | None = None if folder is None else folder.path
        self._registration = Registration(
            connection,
            identity,
            folder=folder,
            offers=self._offers,
            held=lambda: list(self._delivery.pending),
            on_registered=lambda answer: self.publisher.take_registration(answer),
        )
        self._calls = ServerCalls(connection, self._registration)
        store = OutcomeStore(self._state_path, sync=sync, warn=_log.warning)
        self._delivery = Delivery(self._calls, store, identity.instance_id)
        self.publisher = Publisher(
            self._calls, offerings, identity.instance_id, register_again=self._registration.register
        )
        self._shipper = LogShipper(self._calls)
        self._services = AttemptServices(
            calls=self._calls,
            delivery=self._delivery,
            shipper=self._shipper,
            memory=LogMemory(),
            instance_id=identity.instance_id,
            find_executor=offerings.find_executor,
            note_delivering=self._note_quiet,
        )
        connection.on_return = self._note_return
        self._attempts: dict[str, Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()  # no attempt is held
        self._idle.set()
        self._quiet = asyncio.Event()  # no task runs; outcomes may be on their way
        self._quiet.set()
        self._hurry = asyncio.Event()  # stop() was called
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._poll: asyncio.Task[service.PollWorkResponse] | None = None
        self._poll_number = 0
        self._directives = ""
        self._draining = False
        self._stopping = False
        self._paused = False
        self.registered = asyncio.Event()
        """Set once the server has taken this worker."""

    async def run(self) -> None:
        """Works until it has drained.

        Raises:
            WorkerRefused: the server will not have this worker, at once or any more.
        """
        try:
            self._spawn(self._live())
            await self._ended
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._offerings.close()
            await self._connection.close()

    def drain(self) -> None:
        """Takes no new work, lets tasks end, delivers their outcomes, leaves. Calling it again changes nothing."""
        if self._draining:
            return
        self._draining = True
        running = len(self._attempts)
        _log.info("Draining: no new tasks are taken; %s.", f"{running} running" if running else "none are running")
        if self._poll is not None:
            self._poll.cancel()  # the next one asks for no leases
        self._spawn(self._leave())

    def stop(self) -> None:
        """Ends the running tasks too: they are given to other workers. Called again, without time to clean up."""
        self.drain()
        self._hurry.set()
        running = sum(not attempt.is_delivering for attempt in self._attempts.values())
        if running:
            _log.warning("Ending %d running tasks; they are given to other workers.", running)
        for attempt in list(self._attempts.values()):
            if self._stopping:
                attempt.kill()
            attempt.end(Ending.STOP)
        self._stopping = True

    async def _live(self) -> None:
        self._spawn(self._offerings.run())
        await self._registration.negotiate()
        await self._registration.register()
        _log.info(
            "Registered as %s with %d slots, queues: %s.",
            self._identity.name,
            self._identity.slots,
            ", ".join(self._identity.queues) or "default",
        )
        self.registered.set()
        self._spawn(self._beat())
        self._spawn(self._watch_offerings())
        self._spawn(self.publisher.run())
        self._spawn(self._shipper.run())
        # Before the first poll, as nothing else frees what successors wait for.
        await self._delivery.deliver_restored()
        await self._poll_for_ever()

    def _note_return(self) -> None:
        """What answers again may be another server, of another version."""
        if self.registered.is_set():
            self._spawn(self._registration.negotiate_again())

    async def _poll_for_ever(self) -> None:
        failures = 0
        while True:
            self._poll_number += 1
            request = service.PollWorkRequest(
                instance_id=self._identity.instance_id,
                poll_number=self._poll_number,
                held_attempt_ids=self._held(),
                known_directives=self._directives,
            )
            if self._draining or self._paused:
                request.max_leases = 0
            token = self._connection.token
            timeout = seconds(self._connection.timing.poll_wait) + _POLL_MARGIN_SECONDS
            self._poll = asyncio.create_task(self._connection.send(POLL, request, timeout=timeout))
            try:
                answer = await self._poll
            except CallError as error:
                failures += 1
                if error.reason != "POLL_SUPERSEDED":
                    await self._calls.recover(error, token=token, failures=failures)
                continue
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    self._poll.cancel()
                    raise
                continue  # drain() wants another poll
            failures = 0
            for lease in answer.leases:
                self._begin(lease)
            self._obey(answer.directives)
            self._paused = any(directive.HasField("pause") for directive in answer.directives)
            self._directives = answer.directives_digest

    def _begin(self, lease: lease_pb2.Lease) -> None:
        attempt_id = lease.attempt.attempt_id
        if attempt_id in self._attempts:
            return  # sent again because the poll did not list it yet
        attempt = Attempt(lease, self._services)
        self._attempts[attempt_id] = attempt
        self._idle.clear()
        self._quiet.clear()
        if self._stopping:
            attempt.end(Ending.STOP)
        self._spawn(self._run_attempt(attempt))

    async def _run_attempt(self, attempt: Attempt) -> None:
        try:
            await attempt.run()
        except (WorkerRefused, asyncio.CancelledError):
            raise
        except Exception:
            _log.exception("%s is dropped after a defect of the worker.", attempt.label)
            attempt.kill()
        finally:
            self._attempts.pop(attempt.ref.attempt_id, None)
            if not self._attempts:
                self._idle.set()
            self._note_quiet()
            self._offerings.sweep()

    def _note_quiet(self) -> None:
        if all(attempt.is_delivering for attempt in self._attempts.values()):
            self._quiet.set()

    def _obey(self, directives: Sequence[service.Directive]) -> None:
        for directive in directives:
            match directive.WhichOneof("kind"):
                case "cancel":
                    self._end(directive.cancel.attempt_id, Ending.CANCEL, directive.cancel.reason)
                case "lost":
                    self._end(directive.lost.attempt_id, Ending.LOST)
                case "drain":
                    self.drain()
                case "move_away":
                    _log.info("The server at %s sends this worker away; connecting again.", self._connection.address)
                    self._connection.reopen(grace=seconds(directive.move_away.grace))
                case "retire_bundle":
                    self._offerings.retire(directive.retire_bundle.bundle, directive.retire_bundle.bundle_version)
                case _:
                    continue  # pause is read from the whole set; an unknown kind is for newer workers

    def _end(self, attempt_id: str, ending: Ending, reason: str = "") -> None:
        attempt = self._attempts.get(attempt_id)
        if attempt is not None:
            attempt.end(ending, f"it was cancelled: {reason}" if reason else "")
        elif ending is Ending.LOST:
            self._delivery.drop(attempt_id)

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            attempts = self._refs()
            usage = await asyncio.to_thread(_usage, len(self._attempts), len(self._delivery.pending))
            token, sent = self._connection.token, loop.time()
            timing = self._connection.timing
            interval = seconds(timing.heartbeat_interval)
            request = service.HeartbeatRequest(instance_id=self._identity.instance_id, attempts=attempts, usage=usage)
            try:
                answer = await self._connection.send(HEARTBEAT, request, timeout=max(1.0, interval))
            except CallError as error:
                failures += 1
                # Leases run out meanwhile; and no more often than when all is well.
                await self._calls.recover(error, token=token, failures=failures, most=interval)
                continue
            failures = 0
            valid_until = sent + seconds(timing.lease_duration)
            for ref, verdict in zip(attempts, answer.verdicts, strict=False):
                self._judge(ref.attempt_id, verdict, valid_until)
            self._obey(answer.directives)
            if answer.HasField("worker_token"):
                self._registration.note_token(answer.worker_token)
            await asyncio.sleep(max(0.0, sent + interval - loop.time()))

    def _judge(self, attempt_id: str, verdict: service.HeartbeatResponse.Verdict, valid_until: float) -> None:
        if verdict == service.HeartbeatResponse.VERDICT_CANCEL:
            self._end(attempt_id, Ending.CANCEL)
        elif verdict == service.HeartbeatResponse.VERDICT_LOST:
            self._end(attempt_id, Ending.LOST)
        elif verdict == service.HeartbeatResponse.VERDICT_CONTINUE and attempt_id in self._attempts:
            self._attempts[attempt_id].note_lease(valid_until)

    async def _watch_offerings(self) -> None:
        while True:
            await self._offerings.wait_for_change()
            self.publisher.want()

    async def _leave(self) -> None:
        """Waits until nothing runs and everything is delivered, then says goodbye."""
        try:
            async with asyncio.timeout(self._drain_timeout):
                await self._quiet.wait()
        except TimeoutError:
            _log.warning("Tasks still run after %g s of draining (--drain-timeout).", self._drain_timeout)
            self.stop()
            await self._quiet.wait()
        if not self._idle.is_set():
            _log.info("Waiting until the server has taken %d outcomes.", len(self._attempts))
            # What is on disk need not be waited for as long as what only memory holds.
            lease = seconds(self._connection.timing.lease_duration)
            await self._wait_idle(None if self._state_path is None else lease)
        pending = len(self._delivery.pending)
        if pending:
            where = (
                f"in {self._state_path} for the next start"
                if self._state_path is not None
                else "nowhere, they are lost"
            )
            _log.warning("%d outcomes could not be delivered; they are kept %s.", pending, where)
        elif self.registered.is_set():
            try:
                await self._shipper.flush_within(_FAREWELL_SECONDS)
                await self._connection.send(
                    DEREGISTER,
                    service.DeregisterWorkerRequest(instance_id=self._identity.instance_id),
                    timeout=_FAREWELL_SECONDS,
                )
            except CallError as error:
                _log.warning("The server could not be told that this worker leaves: %s", error)
        _log.info("Stopped.")
        if not self._ended.done():
            self._ended.set_result(None)

    async def _wait_idle(self, limit: float | None) -> None:
        waits = {asyncio.create_task(self._idle.wait()), asyncio.create_task(self._hurry.wait())}
        await asyncio.wait(waits, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _held(self) -> list[str]:
        return list(self._attempts.keys() | self._delivery.pending.keys())

    def _refs(self) -> list[lease_pb2.AttemptRef]:
        refs = self._delivery.pending
        for attempt_id, attempt in self._attempts.items():
            # One that was given up is to be lost: nobody extends its lease.
            if not attempt.ending.is_immediate:
                refs[attempt_id] = attempt.ref
        return list(refs.values())[:_MAX_HEARTBEAT_ATTEMPTS]

    def _offers(self) -> list[service.BundleOffer]:
        return [
            service.BundleOffer(bundle=manifest.bundle, bundle_version=manifest.bundle_version)
            for manifest in self._offerings.manifests()
        ]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._ended.done():
            self._ended.set_exception(error)


def _usage(used_slots: int, pending_outcomes: int) -> service.WorkerUsage:
    return service.WorkerUsage(
        used_slots=used_slots,
        memory_bytes=processes.resident_bytes(os.getpid()),
        load=os.getloadavg()[0],
        pending_outcomes=pending_outcomes,
    )
