"""Attempts and their leases. [LEASE-1]

A write for an attempt names its lease in the same statement. What moves an attempt from state to state is decided by
the caller; here the guards only keep a decision from being applied to what has changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, literal_column, or_, select, update

from crosswind_server.store import guards, task_instances
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import attempt, dag_run, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork

_a = attempt.c

COLUMNS: Final = (
    _a.id,
    _a.task_instance_id,
    _a.run_key,
    _a.try_number,
    _a.lease,
    _a.instance_id,
    _a.state,
    _a.deliveries,
    _a.slots,
    _a.bundle,
    _a.bundle_version,
    _a.entry_point,
    _a.start_deadline,
    _a.start_time,
    _a.lease_expires,
    _a.end_time,
    _a.outcome_id,
    _a.requeue,
    _a.log_next_sequence,
    _a.log_closed,
)
"""All of an attempt that scheduling needs, in the order of `services.flow.rows.AttemptRecord`."""

_IS_LIVE: Final = guards.is_one_of(_a.state, guards.LIVE)
_IS_LEASED: Final = guards.is_one_of(_a.state, guards.LEASED)
_IS_RUNNING: Final = guards.is_one_of(_a.state, guards.RUNNING)
_IS_ASSIGNED: Final = guards.is_one_of(_a.state, guards.ASSIGNED)

_WITH_INSTANCE: Final = select(*COLUMNS, *task_instances.COLUMNS).join(
    task_instance, task_instance.c.id == _a.task_instance_id
)
_BY_ID = _WITH_INSTANCE.where(guards.is_among(_a.id, "ids"))


def get_with_instances(uow: UnitOfWork, ids: Collection[str]) -> Sequence[Row[Any]]:
    """Attempts and, after their columns, their task instances. The runs are locked before."""
    return uow.execute(_BY_ID, {"ids": list(ids)}).all() if ids else []


_STANDING = select(_a.id, _a.lease, _a.state, _a.instance_id, _a.outcome_id).where(guards.is_among(_a.id, "ids"))


def get_standing(uow: UnitOfWork, ids: Collection[str]) -> Sequence[Row[Any]]:
    """Whether attempts live, and under which lease."""
    return uow.execute(_STANDING, {"ids": list(ids)}).all() if ids else []


def add(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Add attempts. The database refuses a second live one for a task instance."""
    uow.dialect.insert_many(attempt, rows)


def end(uow: UnitOfWork, rows: Sequence[RowValues]) -> int:
    """End attempts or move them to CANCELLING: rows with `id`, `lease`, and what is to be set. Answers how many."""
    columns = [name for name in rows[0] if name not in ("id", "lease")] if rows else []
    changed = uow.dialect.update_values(attempt, ["id", "lease"], columns, rows, where=_IS_LIVE, returning=["id"])
    return len(changed)


def start(uow: UnitOfWork, rows: Sequence[RowValues], *, lease_expires: int) -> int:
    """Start assigned attempts: rows with `id`, `lease` and `timeout_due`. Answers how many."""
    values = {"state": "running", "start_time": uow.now, "lease_expires": lease_expires}
    changed = uow.dialect.update_values(
        attempt, ["id", "lease"], ["timeout_due"], rows, where=_IS_ASSIGNED, set_all=values, returning=["id"]
    )
    return len(changed)


def extend_running(uow: UnitOfWork, rows: Sequence[RowValues], *, lease_expires: int) -> int:
    """Extend the leases of those that run, as `extend`; answers only how many. [LEASE-3]"""
    return uow.dialect.update_and_count(
        attempt,
        ["id", "lease", "instance_id"],
        [],
        rows,
        where=_IS_RUNNING,
        set_all={"lease_expires": lease_expires},
    )


def extend(uow: UnitOfWork, rows: Sequence[RowValues], *, lease_expires: int) -> Sequence[Row[Any]]:
    """Extend the leases that a heartbeat names: rows with `id`, `lease` and `instance_id`, of any number of workers.

    Answers `id` and `state` of those that were extended, in one statement. [LEASE-3]
    """
    return uow.dialect.update_values(
        attempt,
        ["id", "lease", "instance_id"],
        [],
        rows,
        where=_IS_LEASED,
        set_all={"lease_expires": lease_expires},
        returning=["id", "state"],
    )


_HELD = (
    select(
        _a.id,
        _a.instance_id,
        _a.state,
        _a.lease,
        _a.deliveries,
        _a.slots,
        _a.try_number,
        _a.bundle,
        _a.bundle_version,
        _a.entry_point,
        _a.start_deadline,
        _a.cancel_reason,
        task_instance.c.task_id,
        task_instances.SUBJECT_MAP_INDEX.label("map_index"),
        task_instance.c.workload,
        task_instance.c.queue,
        dag_run.c.dag_id,
        dag_run.c.run_id,
    )
    .join(task_instance, task_instance.c.id == _a.task_instance_id)
    .join(dag_run, dag_run.c.id == _a.run_key)
    .where(guards.is_among(_a.instance_id, "ids"), _IS_LIVE)
)


def held_by(uow: UnitOfWork, instance_ids: Collection[str]) -> Sequence[Row[Any]]:
    """The live attempts of workers, with what their leases say."""
    return uow.execute(_HELD, {"ids": list(instance_ids)}).all() if instance_ids else []


_ONE_MORE_DELIVERY: Final = {"deliveries": _a.deliveries + 1}


def deliver_again(uow: UnitOfWork, ids: Collection[str]) -> Sequence[str]:
    """Count one more delivery of unstarted leases; answers the ids of those that are still unstarted. [LEASE-2]"""
    again = uow.dialect.update_values(
        attempt,
        ["id"],
        [],
        [{"id": attempt_id} for attempt_id in ids],
        where=_IS_ASSIGNED,
        set_all=_ONE_MORE_DELIVERY,
        returning=["id"],
    )
    return [row.id for row in again]


def hand_over(uow: UnitOfWork, ids: Collection[str], *, instance_id: str, lease_expires: int) -> None:
    """Let a worker's next instance finish the attempts whose outcomes it holds. [WORKER-1]"""
    uow.dialect.update_values(
        attempt,
        ["id"],
        [],
        [{"id": attempt_id} for attempt_id in ids],
        where=_IS_LIVE,
        set_all={"instance_id": instance_id, "lease_expires": lease_expires},
    )


def live_ids(uow: UnitOfWork, *, instance_id: str) -> Sequence[str]:
    """Ids of the live attempts of a worker."""
    return list(uow.execute(select(_a.id).where(_IS_LIVE, _a.instance_id == instance_id)).scalars())


def uncancelled_ids(uow: UnitOfWork, run_key: str, limit: int) -> Sequence[str]:
    """Ids of so many live attempts of a run's tasks that nobody has cancelled, or that a clear has."""
    query = (
        select(_a.id)
        .join(task_instance, task_instance.c.attempt_id == _a.id)
        .where(
            _IS_LIVE,
            task_instance.c.run_key == run_key,
            task_instance.c.task_index >= 0,
            or_(_a.state != literal_column("'cancelling'"), _a.requeue),
        )
        .order_by(_a.id)
        .limit(limit)
    )
    return list(uow.execute(query).scalars())


def assigned_ids(uow: UnitOfWork, run_key: str, limit: int) -> Sequence[str]:
    """Ids of so many attempts of a run's tasks that have not started."""
    query = (
        select(_a.id)
        .join(task_instance, task_instance.c.attempt_id == _a.id)
        .where(
            guards.is_one_of(_a.state, guards.ASSIGNED),
            task_instance.c.run_key == run_key,
            task_instance.c.task_index >= 0,
        )
        .order_by(_a.id)
        .limit(limit)
    )
    return list(uow.execute(query).scalars())


def _due(of: Any, guard: ColumnElement[bool], bound: int, limit: int) -> Select[Any]:
    return (
        select(dag_run.c.id, _a.id.label("attempt_id"))
        .join(attempt, _a.run_key == dag_run.c.id)
        .where(guard, of < bound)
        .order_by(of)
        .limit(limit)
    )


def claim_unstarted(uow: UnitOfWork, limit: int) -> Sequence[str]:
    """Lock the runs of attempts that were not started by their deadline and answer these; skips locked runs."""
    query = _due(_a.start_deadline, _IS_ASSIGNED, uow.now, limit)
    return [row.attempt_id for row in uow.execute(uow.dialect.claim_rows(query, dag_run)).all()]


def claim_expired(uow: UnitOfWork, limit: int) -> Sequence[str]:
    """Lock the runs of attempts whose leases are overdue and answer these; skips locked runs. [LEASE-3]"""
    query = _due(_a.lease_expires, _IS_LEASED, uow.now, limit)
    return [row.attempt_id for row in uow.execute(uow.dialect.claim_rows(query, dag_run)).all()]


def claim_timed_out(uow: UnitOfWork, limit: int) -> Sequence[str]:
    """Lock the runs of attempts that should have ended by themselves and answer these; skips locked runs."""
    query = _due(_a.timeout_due, and_(_IS_RUNNING, _a.timeout_due.is_not(None)), uow.now, limit)
    return [row.attempt_id for row in uow.execute(uow.dialect.claim_rows(query, dag_run)).all()]


def explain_cancel(uow: UnitOfWork, ids: Collection[str], reason: str) -> None:
    """Say why attempts are being cancelled, for the logs of their tasks."""
    if ids:
        uow.execute(update(attempt).values(cancel_reason=reason).where(_a.id.in_(list(ids))))
