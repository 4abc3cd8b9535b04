"""Queries of a clear: what of a locked run is concerned, and what its tasks left behind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Row, and_, delete, func, select

from crosswind_server.store import guards
from crosswind_server.store.schema import state_value, task_instance, xcom
from crosswind_server.store.task_instances import COLUMNS
from crosswind_server.store.unit_of_work import UnitOfWork

NOT_ENDED: Final = (*guards.IDLE, *guards.LIVE)
"""Task instances that have not ended."""

_t = task_instance.c
_x = xcom.c


def count_states(uow: UnitOfWork, run_key: str) -> Sequence[Row[Any]]:
    """How many instances of each task of a run are in which state: `task_index`, `mapped` (instances of a mapped task,
    apart from its summary), `state`, `number`."""
    mapped = (_t.map_index >= 0).label("mapped")
    query = select(_t.task_index, mapped, _t.state, func.count().label("number")).where(
        _t.run_key == run_key, _t.task_index >= 0
    )
    return uow.execute(query.group_by(_t.task_index, mapped, _t.state)).all()


def existing_map_indexes(uow: UnitOfWork, run_key: str, task_index: int, map_indexes: Collection[int]) -> set[int]:
    """Which instances of a mapped task there are, of those named, and were not removed."""
    return {row.map_index for row in states_of(uow, run_key, task_index, map_indexes) if row.state != "removed"}


def states_of(
    uow: UnitOfWork, run_key: str, task_index: int, map_indexes: Collection[int] | None
) -> Sequence[Row[Any]]:
    """The states of instances of a mapped task, of all where none are named: `task_index`, `map_index`, `state`."""
    query = select(_t.task_index, _t.map_index, _t.state).where(
        _t.run_key == run_key, _t.task_index == task_index, _t.map_index >= 0
    )
    if map_indexes is None:
        return uow.execute(query).all()
    among = guards.is_among(_t.map_index, "map_indexes")
    return uow.execute(query.where(among), {"map_indexes": list(map_indexes)}).all()


def lock_tasks(uow: UnitOfWork, run_key: str, task_indexes: Collection[int]) -> Sequence[Row[Any]]:
    """Lock tasks of a locked run, of mapped ones their summaries.

    An assignment that is under way at the same time has locked its instance: this waits for it, as do the others here.
    """
    query = select(*COLUMNS).where(
        _t.run_key == run_key, _t.map_index == -1, guards.is_among(_t.task_index, "task_indexes")
    )
    return uow.execute(uow.dialect.lock_rows(query, task_instance), {"task_indexes": list(task_indexes)}).all()


def lock_instance(uow: UnitOfWork, run_key: str, task_index: int, map_index: int) -> Sequence[Row[Any]]:
    """Lock one instance of a task of a locked run, where there is one."""
    query = select(*COLUMNS).where(_t.run_key == run_key, _t.task_index == task_index, _t.map_index == map_index)
    return uow.execute(uow.dialect.lock_rows(query, task_instance)).all()


def has_live(uow: UnitOfWork, parent_id: str) -> bool:
    """Whether an instance of a mapped task has a live attempt."""
    query = select(_t.id).where(_t.parent_id == parent_id, _t.task_index >= 0, guards.is_one_of(_t.state, guards.LIVE))
    return uow.execute(query.limit(1)).first() is not None


def made_until(uow: UnitOfWork, parent_id: str) -> int:
    """The index up to which the instances of a mapped task are made, itself not included."""
    query = select(func.max(_t.map_index)).where(_t.parent_id == parent_id, _t.task_index >= 0)
    last: int | None = uow.execute(query).scalar_one()
    return 0 if last is None else last + 1


def waiting_among(uow: UnitOfWork, run_key: str, task_indexes: Collection[int]) -> set[int]:
    """Which of the tasks wait for their upstream tasks, or are expanded and count what ends outside their group."""
    if not task_indexes:
        return set()
    query = select(_t.task_index).where(
        _t.run_key == run_key,
        _t.map_index == -1,
        _t.state.in_(["waiting", "expanded"]),
        guards.is_among(_t.task_index, "task_indexes"),
    )
    return set(uow.execute(query, {"task_indexes": list(task_indexes)}).scalars())


def lock_mapped(
    uow: UnitOfWork,
    parent_id: str,
    *,
    first: int,
    limit: int,
    states: Collection[str] | None = None,
    map_indexes: Collection[int] | None = None,
) -> Sequence[Row[Any]]:
    """Lock so many instances of a mapped task from an index on that were not removed, in their order.

    Args:
        states: only those in one of these.
        map_indexes: only these.
    """
    query = select(*COLUMNS).where(
        _t.parent_id == parent_id, _t.task_index >= 0, _t.map_index >= first, _t.state != "removed"
    )
    if states is not None:
        query = query.where(_t.state.in_(sorted(states)))
    parameters: dict[str, Any] = {}
    if map_indexes is not None:
        query = query.where(guards.is_among(_t.map_index, "map_indexes"))
        parameters["map_indexes"] = list(map_indexes)
    ordered = query.order_by(_t.map_index).limit(limit).with_for_update(of=task_instance)
    return uow.execute(ordered, parameters).all()


def forget(
    uow: UnitOfWork, run_key: str, *, instance_ids: Collection[str], written: Collection[tuple[str, int | None]]
) -> None:
    """Delete the state of instances, and the XComs of tasks: of those of one map index, or of all their instances."""
    if instance_ids:
        uow.execute(delete(state_value).where(state_value.c.owner_id.in_(list(instance_ids))))
    whole = [task_id for task_id, map_index in written if map_index is None]
    if whole:
        uow.execute(delete(xcom).where(_x.run_key == run_key, _x.task_id.in_(whole)))
    some: dict[str, list[int]] = {}
    for task_id, map_index in written:
        if map_index is not None:
            some.setdefault(task_id, []).append(map_index)
    for task_id, indexes in some.items():
        named = and_(_x.run_key == run_key, _x.task_id == task_id, _x.map_index.in_(indexes))
        uow.execute(delete(xcom).where(named))
