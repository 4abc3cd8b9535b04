"""The timekeeper: what happens because time has passed, or because a transaction left work behind. [LEASE-3] [SCHED-2]

It sleeps until the earliest due time, found by one statement that probes an index for each kind, or until it is
hinted, and works in bounded pieces. Several servers may do so on one database: each takes what no other has locked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from crosswind_server.domain.leases import may_expire
from crosswind_server.domain.lifecycle import Event
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.fleet.workers import Workers
from crosswind_server.services.flow import progress, waits
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.continuing import Continuer
from crosswind_server.services.flow.rows import instance_of
from crosswind_server.services.flow.sweeps import apply_to_all
from crosswind_server.store import attempts, task_instances, timers
from crosswind_server.store.due import Due, probe
from crosswind_server.store.engine import Store
from crosswind_server.store.errors import StoreUnavailable
from crosswind_server.store.group_commit import Handler, each
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import SECOND_US, Timing

LARGEST_SWEEP: Final = 200
LARGEST_RING: Final = 50
"""So many timers are done in one transaction; each may create a run."""
_SHORTEST_SLEEP: Final = 0.02
"""Where another server has locked what is due, it is about to do it."""
_AFTER_A_FAILURE: Final = 1.0
_POSTPONED_US: Final = 60 * SECOND_US
"""So long waits a timer that failed."""
_HOUR: Final = 3600.0

_log = logging.getLogger(__name__)


TimerHandler = Callable[[UnitOfWork, Sequence[str]], None]
"""Does what is due for the subjects of a kind of timer. It sets the next timer itself, where there is one."""


class Timekeeper:
    """One task on the event loop of a server."""

    def __init__(
        self,
        store: Store,
        plans: PlanCache,
        all_workers: Workers,
        *,
        timing: Timing,
        continuer: Continuer,
        timers: Mapping[str, TimerHandler],
        clean: Handler[None, int] | None = None,
    ) -> None:
        """Args: timers: what each kind of timer does."""
        self._store = store
        self._plans = plans
        self._workers = all_workers
        self._timing = timing
        self._clean = clean
        self._continuer = continuer
        self._timers = timers
        self._cleaned_at = 0.0
        # So many timers are done one by one, because one failed.
        self._careful = 0
        self._look_at: int | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to keep time."""
        self._task = asyncio.create_task(self._run(), name="crosswind-timekeeper")

    async def stop(self) -> None:
        """End, after what is under way."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _run(self) -> None:
        async with self._store.hints.subscribe("timers", "continuations") as subscription:
            while True:
                try:
                    pause = await self.tick()
                except StoreUnavailable:
                    pause = _AFTER_A_FAILURE
                except Exception:
                    _log.exception("The timekeeper failed, and goes on")
                    pause = _AFTER_A_FAILURE
                await subscription.wait(pause)

    async def tick(self) -> float:
        """Do what is due, a piece of each kind; answers for how many seconds nothing else can be."""
        due = await self._store.read(probe)
        self._notice_absence(due.now)
        expiring = may_expire(self._store.clock.monotonic(), self._store.available_since, self._timing.lease_duration)
        duties: list[Handler[Any, int]] = []
        if due.continuation:
            duties.append(each(self.continue_left))
        if due.waiting is not None and due.waiting <= due.now:
            duties.append(each(self.wake))
        if expiring and due.start is not None and due.start < due.now:
            duties.append(each(self.return_unstarted))
        if expiring and due.expiry is not None and due.expiry < due.now:
            duties.append(each(self.expire))
        if expiring and due.timeout is not None and due.timeout < due.now:
            duties.append(each(self.time_out))
        if expiring and due.quietest is not None and due.quietest + self._timing.lease_us < due.now:
            duties.append(each(self.lose_silent))
        if self._clean is not None and self._store.clock.monotonic() - self._cleaned_at > _HOUR:
            self._cleaned_at = self._store.clock.monotonic()
            duties.append(self._clean)
        failed = more = False
        if due.timer is not None and due.timer <= due.now:
            more = await self._ring_due()
            failed = not more
        for duty in duties:
            try:
                done = await self._store.write(duty, due.now)
                if duty is self._clean and done >= PIECE:
                    self._cleaned_at = float("-inf")
            except StoreUnavailable:
                raise
            except Exception:
                # What one of them cannot do must not keep the others from theirs.
                _log.exception("The timekeeper failed, and goes on")
                failed = True
        pause = 0.0 if more else self._pause(due, expiring=expiring)
        if failed:
            pause = max(_AFTER_A_FAILURE, pause)
        self._look_at = due.now + round(pause * SECOND_US)
        return pause

    async def _ring_due(self) -> bool:
        """Do what is due for timers; whether it went well, and there may be more.

        Where it fails the next ones are done one by one, and the one whose fault it is waits, so that it keeps the
        others from nothing.
        """
        try:
            rung = await self._store.write(each(self.ring), None)
        except StoreUnavailable:
            raise
        except Exception:
            _log.exception("A timer failed, and is tried again")
            if self._careful:
                await self._store.write(each(self.postpone), None)
            self._careful = LARGEST_RING
            return False
        self._careful = max(0, self._careful - max(1, rung))
        return True

    def _notice_absence(self, now: int) -> None:
        """Notice that the server did not run, or its clock jumped: heartbeats come first then. [LEASE-3]"""
        if self._look_at is not None and now - self._look_at > self._timing.absence_us:
            self._store.note_absence()
            late = (now - self._look_at) / SECOND_US
            _log.warning("This server did not run for %.1f s; it waits for a lease duration before one expires", late)

    def _pause(self, due: Due, *, expiring: bool) -> float:
        if due.continuation:
            return 0.0
        timing = self._timing
        pause = timing.look_interval
        moments = [due.waiting, due.timer]
        if expiring:
            silence = None if due.quietest is None else due.quietest + timing.lease_us
            moments += [due.start, due.expiry, due.timeout, silence]
        elif self._store.available_since is not None:
            pause = min(pause, self._store.available_since + timing.lease_duration - self._store.clock.monotonic())
        for moment in moments:
            if moment is not None:
                pause = min(pause, (moment + 1 - due.now) / SECOND_US)
        return max(_SHORTEST_SLEEP, pause)

    # In a transaction

    def ring(self, uow: UnitOfWork, _: object) -> int:
        """Do what is due for timers of one kind whose time has come; answers how many those were."""
        due = timers.take_due(uow, 1 if self._careful else LARGEST_RING)
        if due:
            self._timers[due[0].kind](uow, [row.subject_id for row in due])
        return len(due)

    def postpone(self, uow: UnitOfWork, _: object) -> int:
        """Let the timer that is due first wait, since it failed; answers how many those were."""
        due = timers.take_due(uow, 1)
        for row in due:
            timers.put(uow, row.kind, {row.subject_id: uow.now + _POSTPONED_US})
        return len(due)

    def wake(self, uow: UnitOfWork, _: object) -> int:
        """Queue the instances whose retry delay, deferral or reschedule is over."""
        board = Board(uow, self._plans)
        run_keys = task_instances.lock_runs_with_due(uow, LARGEST_SWEEP)
        if not run_keys:
            return 0
        board.lock_runs(run_keys)
        due = [instance_of(row) for row in task_instances.due_of_runs(uow, list(board.runs), LARGEST_SWEEP)]
        waits.wake(board, [board.put(instance) for instance in due])
        progress.advance(board, causes=len(due))
        return len(due)

    def return_unstarted(self, uow: UnitOfWork, seen: int | None) -> int:
        """Give attempts that were not started by their deadline back to the queue. [LEASE-2]

        Args:
            seen: when that was found, by the database's clock, as for the next two. Where this comes much later, what
                workers sent meanwhile may wait behind it, and nothing is done. None: it is.
        """
        return self._sweep(uow, Event.START_DEADLINE, attempts.claim_unstarted, seen)

    def expire(self, uow: UnitOfWork, seen: int | None) -> int:
        """End attempts whose leases are overdue. [LEASE-3]"""
        return self._sweep(uow, Event.EXPIRE, attempts.claim_expired, seen)

    def time_out(self, uow: UnitOfWork, seen: int | None) -> int:
        """End attempts that outlasted their execution timeouts, where their workers did not."""
        return self._sweep(uow, Event.EXECUTION_TIMEOUT, attempts.claim_timed_out, seen)

    def lose_silent(self, uow: UnitOfWork, seen: int | None) -> int:
        """Say that silent workers are lost."""
        return 0 if self._is_late(uow, seen) else self._workers.lose_silent(uow, limit=LARGEST_SWEEP)

    def _is_late(self, uow: UnitOfWork, seen: int | None) -> bool:
        return seen is not None and uow.now - seen > self._timing.absence_us

    def _sweep(
        self, uow: UnitOfWork, event: Event, claim: Callable[[UnitOfWork, int], Sequence[str]], seen: int | None
    ) -> int:
        ids = [] if self._is_late(uow, seen) else claim(uow, LARGEST_SWEEP)
        return len(apply_to_all(uow, self._plans, event, ids)) if ids else 0

    def continue_left(self, uow: UnitOfWork, _: object) -> int:
        """Work off one piece that an earlier transaction left. [SCHED-1]"""
        return self._continuer.take(uow, None)
