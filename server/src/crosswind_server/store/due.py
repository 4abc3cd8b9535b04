"""When the next thing is due: one statement, one probe of an index for each kind of due time. [SCHED-2]"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, select

from crosswind_server.store import guards
from crosswind_server.store.schema import attempt, continuation, task_instance, timer, worker
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """When something is due, in microseconds since the epoch; None: nothing is.

    Args:
        now: the database's clock.
        continuation: whether there is work that was left behind.
        timer: a timer.
        waiting: a task instance that waits for a moment.
        start: an attempt that was not started.
        expiry: a lease that was not renewed.
        timeout: an attempt that its worker should have ended.
        quietest: when the live worker that has been silent longest was heard of last.
    """

    now: int
    continuation: bool
    timer: int | None
    waiting: int | None
    start: int | None
    expiry: int | None
    timeout: int | None
    quietest: int | None


def _earliest(column: ColumnElement[Any], *where: ColumnElement[bool]) -> Any:
    return select(func.min(column)).where(*where).scalar_subquery()


_PROBE: Final[Select[Any]] = select(
    # The oldest: whatever was worked off before it, the index leads there.
    select(continuation.c.id).order_by(continuation.c.id).limit(1).scalar_subquery().label("continuation"),
    _earliest(timer.c.due_time).label("timer"),
    _earliest(task_instance.c.not_before, task_instance.c.not_before.is_not(None)).label("waiting"),
    _earliest(attempt.c.start_deadline, guards.is_one_of(attempt.c.state, guards.ASSIGNED)).label("start"),
    _earliest(attempt.c.lease_expires, guards.is_one_of(attempt.c.state, guards.LEASED)).label("expiry"),
    _earliest(
        attempt.c.timeout_due, guards.is_one_of(attempt.c.state, guards.RUNNING), attempt.c.timeout_due.is_not(None)
    ).label("timeout"),
    _earliest(worker.c.last_heartbeat_time, guards.is_one_of(worker.c.state, guards.LIVE_WORKERS)).label("quietest"),
)


def probe(uow: UnitOfWork) -> Due:
    """When the next thing is due."""
    row = uow.execute(_PROBE).one()
    return Due(
        now=uow.now,
        continuation=row.continuation is not None,
        timer=row.timer,
        waiting=row.waiting,
        start=row.start,
        expiry=row.expiry,
        timeout=row.timeout,
        quietest=row.quietest,
    )
