"""Task instances: reading, adding and changing them in sets.

Whoever changes one has locked its run, but for the assignment, which locks the instance itself and skips those that
somebody else has locked; see `claims`.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    update,
)

from crosswind_server.store import guards
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import dag_run, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork

_t = task_instance.c

COLUMNS: Final = (
    _t.id,
    _t.run_key,
    _t.team,
    _t.task_index,
    _t.task_id,
    _t.map_index,
    _t.parent_id,
    _t.state,
    _t.upstream_succeeded,
    _t.upstream_failed,
    _t.upstream_skipped,
    _t.instances_total,
    _t.instances_succeeded,
    _t.instances_failed,
    _t.instances_upstream_failed,
    _t.instances_skipped,
    _t.instances_cancelled,
    _t.sources_ended,
    _t.skips,
    _t.offer_key,
    _t.queue,
    _t.priority,
    _t.slots,
    _t.not_before,
    _t.queued_time,
    _t.first_start_time,
    _t.start_time,
    _t.end_time,
    _t.try_number,
    _t.failures,
    _t.losses,
    _t.max_tries,
    _t.attempt_id,
    _t.worker_name,
    _t.language,
    _t.bundle_version,
    _t.failure_message,
    _t.resumption_message,
    _t.waits_for,
    _t.event_number,
    _t.workload,
    _t.workload_entry_point,
    _t.workload_map_index,
    _t.workload_message,
    _t.claim_class,
    _t.pool,
    _t.pool_slots,
    _t.task_limit,
    _t.rank,
    _t.limit_group,
    _t.held,
)
"""All of a task instance, in the order of `services.flow.rows.Instance`."""

SUBJECT_MAP_INDEX: Final = case((_t.task_index >= 0, _t.map_index), else_=_t.workload_map_index)
"""The map index of the task that an instance runs, or for which it is a workload beside tasks."""

PROGRESS: Final = (
    "state",
    "upstream_succeeded",
    "upstream_failed",
    "upstream_skipped",
    "instances_total",
    "instances_succeeded",
    "instances_failed",
    "instances_upstream_failed",
    "instances_skipped",
    "instances_cancelled",
    "sources_ended",
    "skips",
    "offer_key",
    "claim_class",
    "rank",
    "held",
    "not_before",
    "queued_time",
    "end_time",
    "try_number",
    "failures",
    "losses",
    "failure_message",
    "resumption_message",
    "waits_for",
    "event_number",
)
"""What changes as a run goes on; assignment and start write the rest."""

RESET: Final = ("try_number", "max_tries", "first_start_time")
"""What a clear changes beside it."""

OF_VERSION: Final = ("queue", "priority", "slots", "pool", "pool_slots", "task_limit", "limit_group")
"""What an instance has from its task, which a clear into another version changes."""

_BY_ID = select(*COLUMNS).where(guards.is_among(_t.id, "ids"))
_TRIGGERS_OF = select(*COLUMNS).where(
    guards.is_among(_t.parent_id, "ids"), _t.workload == literal_column("'trigger'"), _t.end_time.is_(None)
)
_TASKS_OF_ONE_RUN = select(*COLUMNS).where(
    _t.run_key == bindparam("run_key"), guards.is_among(_t.task_index, "indexes"), _t.map_index == -1
)


def get(uow: UnitOfWork, ids: Collection[str]) -> Sequence[Row[Any]]:
    """Instances by id."""
    return uow.execute(_BY_ID, {"ids": list(ids)}).all() if ids else []


def get_tasks(uow: UnitOfWork, keys: Collection[tuple[str, int]]) -> Sequence[Row[Any]]:
    """The instances without map index of tasks, by run and position: one statement, whatever their number."""
    if not keys:
        return []
    runs = {run_key for run_key, _ in keys}
    if len(runs) == 1:
        return uow.execute(_TASKS_OF_ONE_RUN, {"run_key": runs.pop(), "indexes": [index for _, index in keys]}).all()
    source, parameters = uow.dialect.rows_source(
        {"run_key": _t.run_key, "task_index": _t.task_index},
        [{"run_key": run_key, "task_index": index} for run_key, index in keys],
    )
    return uow.execute(_tasks_in(source), parameters).all()


@functools.lru_cache(maxsize=16)
def _tasks_in(source: FromClause) -> Select[Any]:
    return select(*COLUMNS).join(
        source,
        and_(_t.run_key == source.c.run_key, _t.task_index == source.c.task_index, _t.map_index == -1),
    )


def get_mapped(uow: UnitOfWork, keys: Collection[tuple[str, int, int]]) -> Sequence[Row[Any]]:
    """Instances by run, position and map index: one statement, whatever their number."""
    if not keys:
        return []
    source, parameters = uow.dialect.rows_source(
        {"run_key": _t.run_key, "task_index": _t.task_index, "map_index": _t.map_index},
        [{"run_key": key[0], "task_index": key[1], "map_index": key[2]} for key in keys],
    )
    return uow.execute(_mapped_in(source), parameters).all()


@functools.lru_cache(maxsize=16)
def _mapped_in(source: FromClause) -> Select[Any]:
    return select(*COLUMNS).join(
        source,
        and_(
            _t.run_key == source.c.run_key,
            _t.task_index == source.c.task_index,
            _t.map_index == source.c.map_index,
        ),
    )


_WAITING_OF = select(*COLUMNS).where(
    _t.parent_id == bindparam("parent_id"),
    _t.map_index >= bindparam("first"),
    _t.map_index < bindparam("end"),
    _t.state == literal_column("'waiting'"),
)


def waiting_of(uow: UnitOfWork, parent_id: str, first: int, end: int) -> Sequence[Row[Any]]:
    """The instances of an expanded task that wait, from one map index to another, that one not included."""
    return uow.execute(_WAITING_OF, {"parent_id": parent_id, "first": first, "end": end}).all()


_WHOLES = (_t.run_key == bindparam("run_key"), guards.is_among(_t.task_index, "indexes"), _t.map_index == -1)


def any_waits(uow: UnitOfWork, run_key: str, indexes: Collection[int]) -> bool:
    """Whether one of some tasks of a run waits."""
    query = select(_t.id).where(*_WHOLES, _t.state == literal_column("'waiting'")).limit(1)
    return bool(indexes) and uow.execute(query, {"run_key": run_key, "indexes": list(indexes)}).first() is not None


def total_of_expanded(uow: UnitOfWork, run_key: str, indexes: Collection[int]) -> int:
    """How many instances those of some tasks of a run have that are expanded, which is the same for all; 0: none is."""
    query = select(_t.instances_total).where(*_WHOLES, _t.state == literal_column("'expanded'")).limit(1)
    parameters = {"run_key": run_key, "indexes": list(indexes)}
    return (uow.execute(query, parameters).scalar_one_or_none() or 0) if indexes else 0


def unsettled(uow: UnitOfWork, run_key: str, states: tuple[str, ...], *, after: str, limit: int) -> Sequence[Row[Any]]:
    """So many instances of a locked run's tasks in some states, by their ids, from the one after an id on."""
    query = select(*COLUMNS).where(
        _t.run_key == run_key, _t.task_index >= 0, _t.id > after, guards.checked(guards.is_one_of(_t.state, states))
    )
    return uow.execute(query.order_by(_t.id).limit(limit)).all()


def add(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Add instances; all rows have the same keys."""
    uow.dialect.insert_many(task_instance, rows)


_LAST_WORKLOADS = (
    select(_t.run_key, func.max(_t.map_index).label("number"))
    .where(guards.is_among(_t.run_key, "ids"), _t.task_index == -1)
    .group_by(_t.run_key)
)


def last_workloads(uow: UnitOfWork, run_keys: Collection[str]) -> dict[str, int]:
    """The greatest number of a workload beside tasks, of each locked run that has one."""
    return {row.run_key: row.number for row in uow.execute(_LAST_WORKLOADS, {"ids": list(run_keys)})}


def lock_triggers_of(uow: UnitOfWork, instance_ids: Collection[str]) -> Sequence[Row[Any]]:
    """Lock the triggers of task instances of locked runs that have not ended.

    An assignment that is under way at the same time has locked its instance: this waits for it, and then sees it.
    """
    if not instance_ids:
        return []
    return uow.execute(uow.dialect.lock_rows(_TRIGGERS_OF, task_instance), {"ids": list(instance_ids)}).all()


def change(uow: UnitOfWork, rows: Sequence[RowValues], columns: Sequence[str] = PROGRESS) -> None:
    """Change instances of locked runs: each to its own values, in one statement."""
    uow.dialect.update_values(task_instance, ["id"], columns, rows)


def lock_idle(uow: UnitOfWork, run_key: str, limit: int) -> tuple[Sequence[Row[Any]], bool]:
    """Lock so many tasks' instances of a locked run that have neither ended nor a live attempt.

    An assignment that is under way at the same time has locked its instance: this waits for it, and then leaves it.
    Answers the instances, and whether there may be more.
    """
    idle = guards.is_one_of(_t.state, guards.IDLE)
    return _lock_some(uow, select(_t.id).where(_t.run_key == run_key, _t.task_index >= 0, idle), idle, limit)


def lock_idle_elsewhere(uow: UnitOfWork, run_key: str, offer_key: str, limit: int) -> tuple[Sequence[Row[Any]], bool]:
    """The same of instances that want another version of their DAG than a key says, but for those that are expanded."""
    idle = guards.is_one_of(_t.state, guards.UNEXPANDED)
    elsewhere = (_t.offer_key.like("dag:%"), _t.offer_key != offer_key)
    return _lock_some(uow, select(_t.id).where(_t.run_key == run_key, idle, *elsewhere), idle, limit)


def _lock_some(
    uow: UnitOfWork, ids: Select[Any], guard: ColumnElement[bool], limit: int
) -> tuple[Sequence[Row[Any]], bool]:
    # How many were found says whether there may be more, not how many could be locked: some may be assigned meanwhile.
    found = uow.execute(ids.limit(limit)).scalars().all()
    if not found:
        return [], False
    query = select(*COLUMNS).where(guards.is_among(_t.id, "ids"), guard)
    rows = uow.execute(uow.dialect.lock_rows(query, task_instance), {"ids": list(found)}).all()
    return rows, len(found) == limit


def lock_runs_with_due(uow: UnitOfWork, limit: int) -> Sequence[str]:
    """Lock the runs of instances whose time has come, but for runs that another server has locked."""
    query = (
        select(dag_run.c.id)
        .join(task_instance, _t.run_key == dag_run.c.id)
        .where(_t.not_before <= uow.now, _t.not_before.is_not(None))
        .order_by(_t.not_before)
        .limit(limit)
    )
    return [row.id for row in uow.execute(uow.dialect.claim_rows(query, dag_run)).all()]


def due_of_runs(uow: UnitOfWork, run_keys: Collection[str], limit: int) -> Sequence[Row[Any]]:
    """The instances of locked runs whose time has come."""
    query = select(*COLUMNS).where(_t.not_before.is_not(None), _t.not_before <= uow.now, _t.run_key.in_(list(run_keys)))
    return uow.execute(query.limit(limit)).all()


def instance_counts(uow: UnitOfWork, keys: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """How many instances mapped tasks were expanded into, by run and position."""
    return {(row.run_key, row.task_index): row.instances_total for row in get_tasks(uow, keys)}


_REMOVED = case((_t.state == "removed", 0), else_=1)
_MAPPED_BEFORE = (
    select(_t.parent_id, func.max(_REMOVED).label("remaining"))
    .where(guards.is_among(_t.parent_id, "ids"), _t.task_index >= 0)
    .group_by(_t.parent_id)
)


def mapped_before(uow: UnitOfWork, ids: Collection[str]) -> dict[str, bool]:
    """Which mapped tasks have instances of an earlier expansion, and whether some of them were not removed yet."""
    return {row.parent_id: bool(row.remaining) for row in uow.execute(_MAPPED_BEFORE, {"ids": list(ids)})}


def get_removed(uow: UnitOfWork, parent_ids: Collection[str], *, first: int, end: int) -> Sequence[Row[Any]]:
    """The removed instances of mapped tasks of a locked run, from one map index to another, that one not included."""
    query = select(*COLUMNS).where(
        guards.is_among(_t.parent_id, "ids"),
        _t.task_index >= 0,
        _t.map_index >= first,
        _t.map_index < end,
        _t.state == "removed",
    )
    return uow.execute(query, {"ids": list(parent_ids)}).all()


def wanting(uow: UnitOfWork, run_key: str, offer_key: str, *, limit: int) -> Sequence[Row[Any]]:
    """So many of a run's instances that have not ended and want an offer: `id` and `claim_class`."""
    query = select(_t.id, _t.claim_class).where(_t.run_key == run_key, _t.offer_key == offer_key, _t.end_time.is_(None))
    return uow.execute(query.limit(limit)).all()


def release(uow: UnitOfWork, run_keys: Collection[str], *, limit: int) -> bool:
    """Let so many instances of locked runs that begin be claimed, but for those that something bounds within their run.

    Answers whether there may be more.
    """
    held = (guards.is_one_of(_t.state, guards.QUEUED), _t.held, _t.limit_group.is_(None))
    query = select(_t.id).where(guards.is_among(_t.run_key, "run_keys"), *held).limit(limit)
    ids = uow.execute(query, {"run_keys": list(run_keys)}).scalars().all()
    if ids:
        uow.execute(update(task_instance).values(held=False).where(_t.id.in_(ids)))
    return len(ids) == limit
