"""Assets, their events, what DAGs say about them, and the events that DAGs have not taken yet.

Events are only ever added. What a DAG has pending is changed by whoever has locked the DAG's row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Row, and_, delete, func, select

from crosswind_server.store import guards
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import (
    asset,
    asset_event,
    asset_event_name,
    asset_event_run,
    asset_pending,
    asset_relation,
    dag_run,
)
from crosswind_server.store.unit_of_work import UnitOfWork

SCHEDULE: Final = "schedule"
INLET: Final = "inlet"
OUTLET: Final = "outlet"

_a = asset.c
_e = asset_event.c
_n = asset_event_name.c
_p = asset_pending.c
_r = asset_relation.c


def get(uow: UnitOfWork, team: str, names: Collection[str]) -> dict[str, Row[Any]]:
    """Assets by their names."""
    query = select(asset).where(_a.team == team, guards.is_among(_a.name, "names"))
    return {row.name: row for row in uow.execute(query, {"names": list(names)})} if names else {}


def add(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Add assets where there are none of their names, in the order of these, so that two who do so do not cross."""
    uow.dialect.insert_ignore(asset, sorted(rows, key=lambda row: str(row["name"])), ["team", "name"])


def describe(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Give assets their URIs, and say which are aliases."""
    uow.dialect.update_values(asset, ["id"], ["uri", "alias"], rows)


# --- relations --------------------------------------------------------------------------------------------------------


def replace_relations(uow: UnitOfWork, team: str, dag_ids: Collection[str], rows: Sequence[RowValues]) -> None:
    """Say what the current versions of DAGs name, and forget events of assets that their schedules no longer name."""
    if not dag_ids:
        return
    named = {"dag_ids": list(dag_ids)}
    uow.execute(delete(asset_relation).where(_r.team == team, guards.is_among(_r.dag_id, "dag_ids")), named)
    if rows:
        uow.dialect.insert_many(asset_relation, rows)
    scheduled = (
        select(_r.asset_id)
        .where(_r.team == _p.team, _r.dag_id == _p.dag_id, _r.role == SCHEDULE, _r.asset_id == _p.asset_id)
        .exists()
    )
    uow.execute(delete(asset_pending).where(_p.team == team, guards.is_among(_p.dag_id, "dag_ids"), ~scheduled), named)


def relations_of(uow: UnitOfWork, asset_ids: Collection[str], *, role: str, limit: int) -> Sequence[Row[Any]]:
    """The DAGs and tasks that name assets in a role: `asset_id`, `dag_id`, `task_id`; so many of each asset."""
    numbered = (
        select(
            _r.asset_id,
            _r.dag_id,
            _r.task_id,
            func.row_number().over(partition_by=_r.asset_id, order_by=(_r.dag_id, _r.task_id)).label("place"),
        )
        .where(guards.is_among(_r.asset_id, "ids"), _r.role == role)
        .subquery()
    )
    query = select(numbered).where(numbered.c.place <= limit).order_by(numbered.c.asset_id, numbered.c.place)
    return uow.execute(query, {"ids": list(asset_ids)}).all() if asset_ids else []


def scheduled_dags(uow: UnitOfWork, event_ids: Collection[str], *, after: str = "", limit: int = 1) -> Sequence[str]:
    """The DAGs whose schedules name an asset of one of these events, by id."""
    query = (
        select(_r.dag_id)
        .join(asset_event_name, _n.asset_id == _r.asset_id)
        .where(guards.is_among(_n.event_id, "ids"), _r.role == SCHEDULE, _r.dag_id > after)
        .distinct()
        .order_by(_r.dag_id)
        .limit(limit)
    )
    return uow.execute(query, {"ids": list(event_ids)}).scalars().all() if event_ids else []


# --- events -----------------------------------------------------------------------------------------------------------


def add_events(uow: UnitOfWork, events: Sequence[RowValues], names: Sequence[RowValues]) -> None:
    """Add events, and under which assets each is found."""
    uow.dialect.insert_many(asset_event, events)
    uow.dialect.insert_many(asset_event_name, names)


_EVENT = (
    select(
        asset_event,
        _a.name.label("asset_name"),
        _a.uri,
        _a.alias,
        dag_run.c.dag_id,
        dag_run.c.run_id,
    )
    .join(asset, _a.id == _e.asset_id)
    .outerjoin(dag_run, dag_run.c.id == _e.run_key)
)


def get_event(uow: UnitOfWork, event_id: str) -> Row[Any] | None:
    """One event."""
    return uow.execute(_EVENT.where(_e.id == event_id)).one_or_none()


def list_events(
    uow: UnitOfWork,
    team: str,
    *,
    asset_id: str | None = None,
    of_run: str | None = None,
    since: int | None = None,
    partition_key: str | None = None,
    before_id: str | None = None,
    limit: int,
) -> Sequence[Row[Any]]:
    """List events, the newest first.

    Args:
        asset_id: only those of one asset, or through one alias.
        of_run: only those that a run was created for.
        since: only those at this moment or later.
        partition_key: only those of this partition; empty: of none.
        before_id: only those before this one.
    """
    query = _EVENT.where(_e.team == team)
    if asset_id is not None:
        query = query.join(asset_event_name, and_(_n.event_id == _e.id, _n.asset_id == asset_id))
    if of_run is not None:
        taken = and_(asset_event_run.c.event_id == _e.id, asset_event_run.c.run_key == of_run)
        query = query.join(asset_event_run, taken)
    if since is not None:
        query = query.where(_e.event_time >= since)
    if partition_key is not None:
        query = query.where(_e.partition_key == partition_key)
    if before_id is not None:
        query = query.where(_e.id < before_id)
    return uow.execute(query.order_by(_e.id.desc()).limit(limit)).all()


def aliases_of(uow: UnitOfWork, event_ids: Collection[str]) -> dict[str, list[str]]:
    """Through which aliases the assets of events were found."""
    query = (
        select(_n.event_id, _a.name)
        .join(asset, _a.id == _n.asset_id)
        .join(asset_event, _e.id == _n.event_id)
        .where(guards.is_among(_n.event_id, "ids"), _n.asset_id != _e.asset_id)
        .order_by(_a.name)
    )
    found: dict[str, list[str]] = {}
    for row in uow.execute(query, {"ids": list(event_ids)}) if event_ids else ():
        found.setdefault(row.event_id, []).append(row.name)
    return found


def runs_of(uow: UnitOfWork, event_ids: Collection[str], *, limit: int) -> dict[str, list[tuple[str, str]]]:
    """The runs that were created for events: DAG and run id; so many of each."""
    numbered = (
        select(
            asset_event_run.c.event_id,
            dag_run.c.dag_id,
            dag_run.c.run_id,
            func.row_number()
            .over(partition_by=asset_event_run.c.event_id, order_by=asset_event_run.c.run_key)
            .label("place"),
        )
        .join(dag_run, dag_run.c.id == asset_event_run.c.run_key)
        .where(guards.is_among(asset_event_run.c.event_id, "ids"))
        .subquery()
    )
    query = select(numbered).where(numbered.c.place <= limit).order_by(numbered.c.event_id, numbered.c.place)
    found: dict[str, list[tuple[str, str]]] = {}
    for row in uow.execute(query, {"ids": list(event_ids)}) if event_ids else ():
        found.setdefault(row.event_id, []).append((row.dag_id, row.run_id))
    return found


# --- what is pending --------------------------------------------------------------------------------------------------


def add_pending(uow: UnitOfWork, team: str, dag_id: str, event_id: str, partition_key: str) -> None:
    """Let a locked DAG have an event pending, under those of its names that the DAG's schedule names."""
    names = (
        select(_n.asset_id)
        .join(asset_relation, and_(_r.asset_id == _n.asset_id, _r.team == team, _r.dag_id == dag_id))
        .where(_n.event_id == event_id, _r.role == SCHEDULE)
    )
    rows = [
        {
            "team": team,
            "dag_id": dag_id,
            "partition_key": partition_key,
            "asset_id": asset_id,
            "event_id": event_id,
        }
        for asset_id in uow.execute(names).scalars()
    ]
    uow.dialect.insert_ignore(asset_pending, rows, ["team", "dag_id", "partition_key", "asset_id", "event_id"])


def pending_partitions(uow: UnitOfWork, team: str, dag_id: str, *, after: str | None, limit: int) -> Sequence[str]:
    """The partitions of which a DAG has events pending."""
    query = select(_p.partition_key).where(_p.team == team, _p.dag_id == dag_id)
    if after is not None:
        query = query.where(_p.partition_key > after)
    return uow.execute(query.distinct().order_by(_p.partition_key).limit(limit)).scalars().all()


def pending_names(uow: UnitOfWork, team: str, dag_id: str, partition_key: str) -> set[str]:
    """The assets and aliases of which a DAG has events of a partition pending."""
    query = (
        select(_a.name)
        .join(asset_pending, _p.asset_id == _a.id)
        .where(_p.team == team, _p.dag_id == dag_id, _p.partition_key == partition_key)
        .distinct()
    )
    return set(uow.execute(query).scalars())


def oldest_pending(uow: UnitOfWork, team: str, dag_id: str, partition_key: str, *, limit: int) -> Sequence[Row[Any]]:
    """The events of a partition that a locked DAG has pending, so many, of each asset the oldest ones: `asset_id`,
    `event_id`, `place` among those of its asset."""
    numbered = (
        select(
            _p.asset_id,
            _p.event_id,
            func.row_number().over(partition_by=_p.asset_id, order_by=_p.event_id).label("place"),
        )
        .where(_p.team == team, _p.dag_id == dag_id, _p.partition_key == partition_key)
        .subquery()
    )
    return uow.execute(select(numbered).order_by(numbered.c.place, numbered.c.asset_id).limit(limit)).all()


def take_pending(uow: UnitOfWork, team: str, dag_id: str, partition_key: str, taken: Sequence[Row[Any]]) -> None:
    """Let events be pending no more under the names under which they were taken."""
    by_asset: dict[str, list[str]] = {}
    for row in taken:
        by_asset.setdefault(row.asset_id, []).append(row.event_id)
    for asset_id, event_ids in by_asset.items():
        uow.execute(
            delete(asset_pending).where(
                _p.team == team,
                _p.dag_id == dag_id,
                _p.partition_key == partition_key,
                _p.asset_id == asset_id,
                guards.is_among(_p.event_id, "ids"),
            ),
            {"ids": event_ids},
        )


def give_to_run(uow: UnitOfWork, run_key: str, event_ids: Collection[str]) -> None:
    """Say which events a run was created for."""
    uow.dialect.insert_many(asset_event_run, [{"run_key": run_key, "event_id": each} for each in sorted(event_ids)])


def facts_of(uow: UnitOfWork, event_ids: Collection[str]) -> Row[Any]:
    """The interval of data that events cover together, `start` and `end`, by their runs' where they have one."""
    start = func.min(func.coalesce(dag_run.c.data_interval_start, _e.event_time)).label("start")
    end = func.max(func.coalesce(dag_run.c.data_interval_end, _e.event_time)).label("end")
    query = (
        select(start, end)
        .select_from(asset_event)
        .outerjoin(dag_run, dag_run.c.id == _e.run_key)
        .where(guards.is_among(_e.id, "ids"))
    )
    return uow.execute(query, {"ids": list(event_ids)}).one()


# --- listing ----------------------------------------------------------------------------------------------------------


def list_assets(uow: UnitOfWork, team: str, *, prefix: str, after_name: str | None, limit: int) -> Sequence[Row[Any]]:
    """List assets by name."""
    query = select(asset).where(_a.team == team)
    if prefix:
        query = query.where(_a.name.startswith(prefix, autoescape=True))
    if after_name is not None:
        query = query.where(_a.name > after_name)
    return uow.execute(query.order_by(_a.name).limit(limit)).all()


def sum_up_events(uow: UnitOfWork, asset_ids: Collection[str]) -> dict[str, Row[Any]]:
    """How many events assets have, and when the last was: `number`, `last_time`."""
    query = (
        select(_n.asset_id, func.count().label("number"), func.max(_e.event_time).label("last_time"))
        .join(asset_event, _e.id == _n.event_id)
        .where(guards.is_among(_n.asset_id, "ids"))
        .group_by(_n.asset_id)
    )
    return {row.asset_id: row for row in uow.execute(query, {"ids": list(asset_ids)})} if asset_ids else {}
