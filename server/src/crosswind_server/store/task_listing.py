"""Queries of task instances and attempts as people see them, and of the workers that they wait for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, func, or_, select

from crosswind_server.store.offers import LIVE_OFFERS
from crosswind_server.store.schema import (
    attempt,
    bundle_offer,
    bundle_version,
    dag,
    task_instance,
    worker,
)
from crosswind_server.store.unit_of_work import UnitOfWork

LIVE_ATTEMPTS = ("assigned", "running", "cancelling")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferingWorker:
    """A live worker that offers a key, and how full it is."""

    offer_key: str
    name: str
    state: str
    paused: bool
    queues_json: str
    labels_json: str
    roles_json: str
    slots: int
    used_slots: int


def list_instances(
    uow: UnitOfWork,
    run_key: str,
    *,
    states: Collection[str],
    task_id: str,
    exclude_mapped: bool,
    after: tuple[int, int] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """List a run's task instances in manifest order, a mapped task's summary before its instances."""
    table = task_instance.c
    query = select(task_instance).where(table.run_key == run_key, table.task_index >= 0)
    if states:
        query = query.where(table.state.in_(list(states)))
    if task_id:
        query = query.where(table.task_id == task_id)
    if exclude_mapped:
        query = query.where(table.map_index < 0)
    if after is not None:
        index, map_index = after
        query = query.where(or_(table.task_index > index, and_(table.task_index == index, table.map_index > map_index)))
    return uow.execute(query.order_by(table.task_index, table.map_index).limit(limit)).all()


def get_instance(uow: UnitOfWork, run_key: str, task_id: str, map_index: int) -> Row[Any] | None:
    """Read one task instance; map index -1 is the only one, or the summary of a mapped task."""
    table = task_instance.c
    query = select(task_instance).where(
        table.run_key == run_key, table.task_id == task_id, table.map_index == map_index, table.task_index >= 0
    )
    return uow.execute(query).one_or_none()


@dataclass(frozen=True, slots=True)
class MappedInstances:
    """The instances of a mapped task together: how many by state, and when the first of them started."""

    counts: Mapping[str, int]
    start_time: int | None


def sum_up_mapped(uow: UnitOfWork, parent_ids: Collection[str]) -> Mapping[str, MappedInstances]:
    """Sum up the instances of mapped tasks, for each summary."""
    if not parent_ids:
        return {}
    table = task_instance.c
    query = (
        select(
            table.parent_id,
            table.state,
            func.count().label("number"),
            func.min(table.first_start_time).label("start_time"),
        )
        .where(table.parent_id.in_(list(parent_ids)), table.task_index >= 0)
        .group_by(table.parent_id, table.state)
    )
    found: dict[str, list[Row[Any]]] = {}
    for row in uow.execute(query):
        found.setdefault(row.parent_id, []).append(row)
    return {
        parent_id: MappedInstances(
            {row.state: row.number for row in rows},
            min((row.start_time for row in rows if row.start_time is not None), default=None),
        )
        for parent_id, rows in found.items()
    }


def standing_at(
    uow: UnitOfWork, run_key: str, places: Collection[tuple[int, int]]
) -> Mapping[tuple[int, int], Row[Any]]:
    """Read how instances of a run stand, and what they heard of their upstream tasks, by the positions of their tasks
    and their map indexes."""
    if not places:
        return {}
    table = task_instance.c
    source, parameters = uow.dialect.rows_source(
        {"task_index": table.task_index, "map_index": table.map_index},
        [{"task_index": index, "map_index": map_index} for index, map_index in places],
    )
    query = (
        select(
            table.task_index,
            table.map_index,
            table.state,
            table.upstream_succeeded,
            table.upstream_failed,
            table.upstream_skipped,
            table.sources_ended,
            table.skips,
        )
        .join(source, and_(table.task_index == source.c.task_index, table.map_index == source.c.map_index))
        .where(table.run_key == run_key)
    )
    return {(row.task_index, row.map_index): row for row in uow.execute(query, parameters)}


def is_paused(uow: UnitOfWork, team: str, dag_id: str) -> bool:
    """Whether a DAG is paused."""
    return bool(uow.execute(select(dag.c.paused).where(dag.c.team == team, dag.c.dag_id == dag_id)).scalar())


def list_offering_workers(uow: UnitOfWork, team: str, offer_keys: Collection[str]) -> Sequence[OfferingWorker]:
    """List the live workers that offer each of the keys, with the slots that their live attempts take."""
    if not offer_keys:
        return ()
    offering = (
        select(
            bundle_offer.c.offer_key,
            worker.c.instance_id,
            worker.c.name,
            worker.c.state,
            worker.c.paused,
            worker.c.queues_json,
            worker.c.labels_json,
            worker.c.roles_json,
            worker.c.slots,
        )
        .select_from(LIVE_OFFERS)
        .where(bundle_offer.c.team == team, bundle_offer.c.offer_key.in_(list(offer_keys)))
        .distinct()
        .order_by(worker.c.name, worker.c.instance_id)
    )
    found = uow.execute(offering).all()
    used = used_slots(uow, {row.instance_id for row in found})
    return [
        OfferingWorker(
            offer_key=row.offer_key,
            name=row.name,
            state=row.state,
            paused=row.paused,
            queues_json=row.queues_json,
            labels_json=row.labels_json,
            roles_json=row.roles_json,
            slots=row.slots,
            used_slots=used.get(row.instance_id, 0),
        )
        for row in found
    ]


def used_slots(uow: UnitOfWork, instance_ids: Collection[str]) -> Mapping[str, int]:
    """Sum up the slots that the live attempts of workers take."""
    if not instance_ids:
        return {}
    query = (
        select(attempt.c.instance_id, func.sum(attempt.c.slots).label("slots"))
        .where(attempt.c.instance_id.in_(list(instance_ids)), attempt.c.state.in_(LIVE_ATTEMPTS))
        .group_by(attempt.c.instance_id)
    )
    return {row.instance_id: int(row.slots) for row in uow.execute(query)}


_ATTEMPT = (
    select(
        attempt,
        worker.c.name.label("worker_name"),
        bundle_version.c.language,
    )
    .outerjoin(worker, worker.c.instance_id == attempt.c.instance_id)
    .outerjoin(
        bundle_version,
        and_(
            bundle_version.c.team == attempt.c.team,
            bundle_version.c.bundle == attempt.c.bundle,
            bundle_version.c.version == attempt.c.bundle_version,
        ),
    )
)


def list_attempts(uow: UnitOfWork, task_instance_id: str, *, before_id: str | None, limit: int) -> Sequence[Row[Any]]:
    """List the attempts of a task instance, the newest first."""
    query = _ATTEMPT.where(attempt.c.task_instance_id == task_instance_id)
    if before_id is not None:
        query = query.where(attempt.c.id < before_id)
    return uow.execute(query.order_by(attempt.c.id.desc()).limit(limit)).all()


def find_attempt(uow: UnitOfWork, task_instance_id: str, *, attempt_id: str, try_number: int | None) -> Row[Any] | None:
    """Find an attempt of a task instance by its id, else the newest one of a try, else the newest one."""
    query = _ATTEMPT.where(attempt.c.task_instance_id == task_instance_id)
    if attempt_id:
        query = query.where(attempt.c.id == attempt_id)
    if try_number is not None:
        query = query.where(attempt.c.try_number == try_number)
    return uow.execute(query.order_by(attempt.c.id.desc()).limit(1)).one_or_none()
