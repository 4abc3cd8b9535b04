"""Named events: their names, those that were delivered, who waits for one, and who was given a kept one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, and_, delete, func, literal_column, select, update

from crosswind_server.store.schema import dag_run, event, event_name, event_receipt, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork

PREFIX: Final = "event:"
"""Before a name, in what an instance waits for."""
_t = task_instance.c


def lock_names(uow: UnitOfWork, team: str, names: Mapping[str, str]) -> dict[str, Row[Any]]:
    """Lock names, new ones too, in an order that is the same for all: `id`, `name` and `last_number` by name.

    Who delivers an event, and who begins to wait for one, has locked its name after the runs that it changes.

    Args:
        names: the id of each, where it is a new one.
    """
    rows = [{"id": names[name], "team": team, "name": name} for name in sorted(names)]
    uow.dialect.insert_ignore(event_name, rows, ["team", "name"])
    query = select(event_name).where(event_name.c.team == team, event_name.c.name.in_(sorted(names)))
    return {row.name: row for row in uow.execute(uow.dialect.lock_rows(query, event_name)).all()}


def add(uow: UnitOfWork, name_id: str, values: dict[str, Any]) -> None:
    """Add an event under a name that is locked; `values` has its number, which becomes the newest."""
    uow.execute(update(event_name).where(event_name.c.id == name_id).values(last_number=values["number"]))
    uow.dialect.insert_many(event, [{"name_id": name_id, **values}])


def get(uow: UnitOfWork, event_id: str) -> Row[Any] | None:
    """An event with the team and name that it was delivered under."""
    query = select(event, event_name.c.team, event_name.c.name).join(event_name, event_name.c.id == event.c.name_id)
    return uow.execute(query.where(event.c.id == event_id)).one_or_none()


def newest_kept(uow: UnitOfWork, name_id: str, *, dag_id: str, run_id: str) -> Row[Any] | None:
    """The newest event of a name that is kept for tasks of a run which begin to wait."""
    query = (
        select(event.c.id, event.c.payload_message)
        .where(event.c.name_id == name_id, event.c.expire_time > uow.now)
        .where(event.c.dag_id.in_(["", dag_id]), event.c.run_id.in_(["", run_id]))
        .order_by(event.c.number.desc())
        .limit(1)
    )
    return uow.execute(query).one_or_none()


def note_receipts(uow: UnitOfWork, event_id: str, given: Sequence[tuple[str, int]]) -> frozenset[str]:
    """Note who is given a kept event: ids and try numbers. Answers the ids of those that had not been given it."""
    rows = [
        {"event_id": event_id, "task_instance_id": instance_id, "try_number": number} for instance_id, number in given
    ]
    keys = ["event_id", "task_instance_id", "try_number"]
    noted = uow.dialect.insert_ignore(event_receipt, rows, keys, returning=["task_instance_id"])
    return frozenset(row.task_instance_id for row in noted)


def _waiters(team: str, name: str, *, dag_id: str, run_id: str, before: int | None, columns: Any) -> Select[Any]:
    query = (
        select(*columns)
        .join(dag_run, dag_run.c.id == _t.run_key)
        .where(_t.waits_for.is_not(None), _t.team == team, _t.waits_for == f"{PREFIX}{name}")
        .where(_t.state == literal_column("'deferred'"))
    )
    if dag_id:
        query = query.where(dag_run.c.dag_id == dag_id)
    if run_id:
        query = query.where(dag_run.c.run_id == run_id)
    if before is not None:
        query = query.where(_t.event_number < before)
    return query


def find_waiters(
    uow: UnitOfWork, team: str, name: str, *, dag_id: str, run_id: str, before: int | None = None, limit: int
) -> Sequence[Row[Any]]:
    """Who waits for a name: `id` and `run_key`, some of them.

    Args:
        dag_id, run_id: only those; empty: all.
        before: only who began to wait before the event of this number.
    """
    query = _waiters(team, name, dag_id=dag_id, run_id=run_id, before=before, columns=[_t.id, _t.run_key])
    return uow.execute(query.order_by(_t.id).limit(limit)).all()


def count_waiters(uow: UnitOfWork, team: str, name: str, *, dag_id: str, run_id: str) -> int:
    """How many wait for a name."""
    count = [func.count().label("number")]
    query = _waiters(team, name, dag_id=dag_id, run_id=run_id, before=None, columns=count)
    number: int = uow.execute(query.select_from(task_instance)).scalar_one()
    return number


def forget(uow: UnitOfWork, name_id: str, limit: int) -> int | None:
    """Delete events of a name that nobody is given any more, and the name with the last, unless somebody waits.

    Answers when to look again, in microseconds since the epoch; None: the name is gone.
    """
    locked = uow.execute(
        uow.dialect.lock_rows(select(event_name).where(event_name.c.id == name_id), event_name)
    ).one_or_none()
    if locked is None:
        return None
    over = select(event.c.id).where(event.c.name_id == name_id, event.c.expire_time < uow.now - KEPT_BEYOND_US)
    ids = [row.id for row in uow.execute(over.limit(limit)).all()]
    if ids:
        uow.execute(delete(event_receipt).where(event_receipt.c.event_id.in_(ids)))
        uow.execute(delete(event).where(event.c.id.in_(ids)))
    if len(ids) == limit:
        return uow.now
    left = uow.execute(select(event.c.id).where(event.c.name_id == name_id).limit(1)).first()
    waits = and_(_t.waits_for.is_not(None), _t.team == locked.team, _t.waits_for == f"{PREFIX}{locked.name}")
    if left is not None or uow.execute(select(_t.id).where(waits).limit(1)).first() is not None:
        return uow.now + KEPT_BEYOND_US
    uow.execute(delete(event_name).where(event_name.c.id == name_id))
    return None


KEPT_BEYOND_US: Final = 86_400 * 1_000_000
"""Events stay a day longer than they are given, for what is still to be worked off; names as long without events."""
