"""Worker instances: registering, hearing from and losing them. [WORKER-1]"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, case, func, or_, select, update

from crosswind_server.store import guards
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import worker
from crosswind_server.store.unit_of_work import UnitOfWork

_w = worker.c
_IS_LIVE = guards.is_one_of(_w.state, guards.LIVE_WORKERS)
_BY_ID = select(worker).where(guards.is_among(_w.instance_id, "ids"))


def get(uow: UnitOfWork, instance_ids: Collection[str]) -> dict[str, Row[Any]]:
    """Instances by id."""
    if not instance_ids:
        return {}
    return {row.instance_id: row for row in uow.execute(_BY_ID, {"ids": list(instance_ids)})}


def lock_name(uow: UnitOfWork, team: str, name: str) -> Sequence[Row[Any]]:
    """The instances that ever had a name and have not left for good, locked, the newest first."""
    gone = _w.state.in_(("superseded", "gone"))
    query = select(worker).where(_w.team == team, _w.name == name, ~gone)
    rows = uow.execute(uow.dialect.lock_rows(query, worker)).all()
    return sorted(rows, key=lambda row: (row.registered_time, row.instance_id), reverse=True)


def was_paused(uow: UnitOfWork, team: str, name: str) -> bool:
    """Whether an operator has paused the name: it holds for the next instance too."""
    query = (
        select(_w.paused)
        .where(_w.team == team, _w.name == name)
        .order_by(_w.registered_time.desc(), _w.instance_id.desc())
        .limit(1)
    )
    return bool(uow.execute(query).scalar_one_or_none())


def put(uow: UnitOfWork, row: RowValues) -> None:
    """Add an instance, or refresh what it says of itself."""
    kept = {"instance_id", "registered_time", "paused", "moving", "team", "name"}
    uow.dialect.upsert(worker, [row], ["instance_id"], set_columns=[name for name in row if name not in kept])


def set_state(uow: UnitOfWork, instance_id: str, state: str, *, ended: bool) -> None:
    """Move an instance to another state."""
    uow.execute(
        update(worker).values(state=state, end_time=uow.now if ended else None).where(_w.instance_id == instance_id)
    )


_MAY_GO_ON = or_(_IS_LIVE, _w.state == "lost")
_REVIVED = case((_w.state == "lost", "active"), else_=_w.state)
_ALL = tuple(column.name for column in _w)

USAGE: Final = ("used_slots", "memory_bytes", "load_percent", "pending_outcomes")
"""What an instance uses, as it says with each sign of life."""


def hear(uow: UnitOfWork, rows: Sequence[RowValues]) -> Sequence[Row[Any]]:
    """Take signs of life of instances: rows with `instance_id` and `USAGE`; a lost one is active again.

    Answers the rows of those that may go on, in one statement.
    """
    return uow.dialect.update_values(
        worker,
        ["instance_id"],
        USAGE,
        rows,
        where=_MAY_GO_ON,
        set_all={"last_heartbeat_time": uow.now, "state": _REVIVED, "end_time": None},
        returning=_ALL,
    )


_POLLED = (
    update(worker)
    .where(_w.instance_id == bindparam("polling"), _MAY_GO_ON)
    .values(
        last_heartbeat_time=bindparam("heard"),
        state=_REVIVED,
        end_time=None,
        poll_number=case((_w.poll_number < bindparam("number"), bindparam("number")), else_=_w.poll_number),
    )
    .returning(*worker.c)
)


def hear_poll(uow: UnitOfWork, instance_id: str, poll_number: int) -> Row[Any] | None:
    """Take the number of a new poll, unless there was a newer one; it is a sign of life. [LEASE-2]

    Answers the instance afterwards, or None where it may not go on.
    """
    given = {"polling": instance_id, "heard": uow.now, "number": poll_number}
    return uow.execute(_POLLED, given).one_or_none()


_MOVED = update(worker).where(_w.instance_id == bindparam("moved")).values(moving=False)


def note_moved(uow: UnitOfWork, instance_id: str) -> None:
    """An instance has obeyed: it knows that it was to connect anew. [LEASE-4]"""
    uow.execute(_MOVED, {"moved": instance_id})


_SILENT = select(worker).where(_IS_LIVE, _w.last_heartbeat_time < bindparam("before")).limit(bindparam("most"))


def lock_silent(uow: UnitOfWork, *, before: int, limit: int) -> Sequence[Row[Any]]:
    """Lock live instances that were not heard of since a moment; skips those that are locked."""
    return uow.execute(uow.dialect.claim_rows(_SILENT, worker), {"before": before, "most": limit}).all()


_QUIETEST = select(func.min(_w.last_heartbeat_time)).where(_IS_LIVE)
