"""Queries of DAGs and their versions as people see them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, func, literal, select, update

from crosswind_server.store import dags
from crosswind_server.store.guards import TIMETABLE
from crosswind_server.store.offers import LIVE_OFFERS
from crosswind_server.store.schema import (
    bundle,
    bundle_offer,
    bundle_version,
    dag,
    dag_run,
    dag_version,
)
from crosswind_server.store.unit_of_work import UnitOfWork

_holding = bundle_offer.alias("holding")
_holds_it = and_(
    _holding.c.team == dag.c.team,
    _holding.c.bundle == dag.c.bundle,
    _holding.c.offer_key == literal("dag:").concat(dag.c.current_version_id),
)
_in_current = select(_holding.c.version).where(_holds_it, _holding.c.version == bundle.c.current_version)
# One that the bundle's current version lacks, because it could not read it or because it is gone.
_in_newest = (
    select(bundle_version.c.version)
    .join(
        _holding,
        and_(
            bundle_version.c.team == _holding.c.team,
            bundle_version.c.bundle == _holding.c.bundle,
            bundle_version.c.version == _holding.c.version,
        ),
    )
    .where(_holds_it)
    .order_by(bundle_version.c.created_time.desc(), bundle_version.c.version)
    .limit(1)
)
_DAG = select(
    dag.c.dag_id,
    dag.c.bundle,
    dag.c.current_version_id,
    dag.c.paused,
    dag.c.active,
    dag.c.created_time,
    dag.c.updated_time,
    dag.c.next_run_time,
    func.coalesce(_in_current.scalar_subquery(), _in_newest.correlate(dag).scalar_subquery()).label("bundle_version"),
).outerjoin(bundle, and_(bundle.c.team == dag.c.team, bundle.c.name == dag.c.bundle))


def list_dags(
    uow: UnitOfWork,
    team: str,
    *,
    contains: str,
    paused: bool | None,
    of_bundle: str,
    include_removed: bool,
    after_id: str | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """List a team's DAGs by id, from the one after `after_id` on."""
    query = _DAG.where(dag.c.team == team)
    if contains:
        query = query.where(func.lower(dag.c.dag_id).contains(contains.lower(), autoescape=True))
    if paused is not None:
        query = query.where(dag.c.paused.is_(paused))
    if of_bundle:
        query = query.where(dag.c.bundle == of_bundle)
    if not include_removed:
        query = query.where(dag.c.active.is_(True))
    if after_id is not None:
        query = query.where(dag.c.dag_id > after_id)
    return uow.execute(query.order_by(dag.c.dag_id).limit(limit)).all()


def get_dag(uow: UnitOfWork, team: str, dag_id: str) -> Row[Any] | None:
    """Read one DAG."""
    return uow.execute(_DAG.where(dag.c.team == team, dag.c.dag_id == dag_id)).one_or_none()


def set_paused(uow: UnitOfWork, team: str, dag_id: str, *, paused: bool) -> None:
    """Pause a DAG that is locked, or let it go on."""
    statement = update(dag).where(dag.c.team == team, dag.c.dag_id == dag_id)
    uow.execute(statement.values(paused=paused, updated_time=uow.now))


def latest_runs(uow: UnitOfWork, team: str, dag_ids: Collection[str]) -> Mapping[str, Row[Any]]:
    """Find the run of each DAG that was created last: `run_id` and `state` by DAG."""
    newest = (
        select(func.max(dag_run.c.id))
        .where(dag_run.c.team == team, dag_run.c.dag_id.in_(list(dag_ids)), dag_run.c.run_type != TIMETABLE)
        .group_by(dag_run.c.dag_id)
    )
    query = select(dag_run.c.dag_id, dag_run.c.run_id, dag_run.c.state).where(dag_run.c.id.in_(newest))
    return {row.dag_id: row for row in uow.execute(query)} if dag_ids else {}


def count_active_runs(uow: UnitOfWork, team: str, dag_ids: Collection[str]) -> Mapping[str, int]:
    """Count the runs of each DAG that have not ended."""
    query = (
        select(dag_run.c.dag_id, func.count().label("number"))
        .where(dag_run.c.team == team, dag_run.c.dag_id.in_(list(dag_ids)), dag_run.c.end_time.is_(None))
        .group_by(dag_run.c.dag_id)
    )
    return {row.dag_id: row.number for row in uow.execute(query)} if dag_ids else {}


def offered_keys(uow: UnitOfWork, team: str, offer_keys: Collection[str]) -> frozenset[str]:
    """Which of the offer keys a live worker offers."""
    if not offer_keys:
        return frozenset()
    query = (
        select(bundle_offer.c.offer_key)
        .select_from(LIVE_OFFERS)
        .where(bundle_offer.c.team == team, bundle_offer.c.offer_key.in_(list(offer_keys)))
        .distinct()
    )
    return frozenset(uow.execute(query).scalars())


def list_versions(
    uow: UnitOfWork, team: str, dag_id: str, *, before_number: int | None, limit: int
) -> Sequence[Row[Any]]:
    """List the versions of a DAG, the newest first."""
    query = select(dag_version, dags.API_VERSION).where(dag_version.c.team == team, dag_version.c.dag_id == dag_id)
    if before_number is not None:
        query = query.where(dag_version.c.number < before_number)
    return uow.execute(query.order_by(dag_version.c.number.desc()).limit(limit)).all()


def get_version(uow: UnitOfWork, team: str, dag_id: str, dag_version_id: str) -> Row[Any] | None:
    """Read one version of a DAG with its message."""
    query = select(dag_version, dags.API_VERSION).where(
        dag_version.c.team == team, dag_version.c.dag_id == dag_id, dag_version.c.dag_version_id == dag_version_id
    )
    return uow.execute(query).one_or_none()


def holding_versions(uow: UnitOfWork, team: str, offer_keys: Collection[str]) -> Mapping[str, Sequence[str]]:
    """Find the bundle versions that hold each offer key, the newest first."""
    query = (
        select(bundle_offer.c.offer_key, bundle_offer.c.version)
        .join(
            bundle_version,
            and_(
                bundle_version.c.team == bundle_offer.c.team,
                bundle_version.c.bundle == bundle_offer.c.bundle,
                bundle_version.c.version == bundle_offer.c.version,
            ),
        )
        .where(bundle_offer.c.team == team, bundle_offer.c.offer_key.in_(list(offer_keys)))
        .order_by(bundle_version.c.created_time.desc())
    )
    found: dict[str, list[str]] = {}
    for row in uow.execute(query) if offer_keys else ():
        found.setdefault(row.offer_key, []).append(row.version)
    return found


def get_messages(uow: UnitOfWork, team: str, ids: Collection[str]) -> Mapping[str, Row[Any]]:
    """Read the `dag_message` of DAG versions, each with its `api_version`."""
    if not ids:
        return {}
    query = select(dag_version.c.dag_version_id, dag_version.c.dag_message, dags.API_VERSION).where(
        dag_version.c.team == team, dag_version.c.dag_version_id.in_(list(ids))
    )
    return {row.dag_version_id: row for row in uow.execute(query)}
