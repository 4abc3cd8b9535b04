"""Queries of bundles and their versions as people see them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, func, or_, select

from crosswind_server.store import guards
from crosswind_server.store.schema import (
    bundle,
    bundle_offer,
    bundle_version,
    dag_version,
    source_error,
    worker,
    worker_bundle,
)
from crosswind_server.store.unit_of_work import UnitOfWork


def list_bundles(uow: UnitOfWork, team: str, *, after_name: str | None, limit: int) -> Sequence[Row[Any]]:
    """List a team's bundles by name, with the number of their versions."""
    count = (
        select(func.count())
        .where(bundle_version.c.team == bundle.c.team, bundle_version.c.bundle == bundle.c.name)
        .scalar_subquery()
    )
    query = select(*bundle.c, count.label("version_count")).where(bundle.c.team == team)
    if after_name is not None:
        query = query.where(bundle.c.name > after_name)
    return uow.execute(query.order_by(bundle.c.name).limit(limit)).all()


def get_bundle(uow: UnitOfWork, team: str, name: str) -> Row[Any] | None:
    """Read one bundle."""
    return uow.execute(select(bundle).where(bundle.c.team == team, bundle.c.name == name)).one_or_none()


def count_versions(uow: UnitOfWork, team: str, name: str) -> int:
    """Count the versions of a bundle."""
    query = select(func.count()).where(bundle_version.c.team == team, bundle_version.c.bundle == name)
    count: int = uow.execute(query).scalar_one()
    return count


def list_versions(
    uow: UnitOfWork, team: str, name: str, *, before: tuple[int, str] | None, limit: int
) -> Sequence[Row[Any]]:
    """List the versions of a bundle, the one published last first."""
    table = bundle_version.c
    query = select(bundle_version).where(table.team == team, table.bundle == name)
    if before is not None:
        created, version = before
        query = query.where(
            or_(table.created_time < created, and_(table.created_time == created, table.version < version))
        )
    return uow.execute(query.order_by(table.created_time.desc(), table.version.desc()).limit(limit)).all()


def get_versions(uow: UnitOfWork, team: str, names: Collection[tuple[str, str]]) -> Sequence[Row[Any]]:
    """Read bundle versions by (bundle, version)."""
    if not names:
        return []
    table = bundle_version.c
    named = [and_(table.bundle == name, table.version == version) for name, version in names]
    return uow.execute(select(bundle_version).where(table.team == team, or_(*named))).all()


Key = tuple[str, str]


def offers(uow: UnitOfWork, team: str, names: Collection[str]) -> Mapping[Key, Sequence[str]]:
    """Read the offer keys of the versions of some bundles, sorted."""
    query = select(bundle_offer.c.bundle, bundle_offer.c.version, bundle_offer.c.offer_key).where(
        bundle_offer.c.team == team, bundle_offer.c.bundle.in_(list(names))
    )
    return _gather(uow.execute(query.order_by(bundle_offer.c.offer_key)) if names else ())


def dag_ids(uow: UnitOfWork, team: str, dag_version_ids: Collection[str]) -> Mapping[str, str]:
    """Read the DAG of each DAG version."""
    if not dag_version_ids:
        return {}
    query = select(dag_version.c.dag_version_id, dag_version.c.dag_id).where(
        dag_version.c.team == team, dag_version.c.dag_version_id.in_(list(dag_version_ids))
    )
    return {row.dag_version_id: row.dag_id for row in uow.execute(query)}


def problems(uow: UnitOfWork, team: str, names: Collection[str]) -> Mapping[Key, Sequence[Row[Any]]]:
    """Read what was wrong with the versions of some bundles."""
    query = select(source_error).where(source_error.c.team == team, source_error.c.bundle.in_(list(names)))
    found: dict[Key, list[Row[Any]]] = {}
    for row in uow.execute(query.order_by(source_error.c.source, source_error.c.dag_id)) if names else ():
        found.setdefault((row.bundle, row.version), []).append(row)
    return found


def live_workers(uow: UnitOfWork, team: str, names: Collection[str]) -> Mapping[Key, Sequence[str]]:
    """Read the names of the live workers that offer the versions of some bundles, sorted."""
    query = (
        select(worker_bundle.c.bundle, worker_bundle.c.version, worker.c.name)
        .join(worker, worker.c.instance_id == worker_bundle.c.instance_id)
        .where(
            worker_bundle.c.team == team,
            worker_bundle.c.bundle.in_(list(names)),
            guards.is_one_of(worker.c.state, guards.LIVE_WORKERS),
        )
        .order_by(worker.c.name)
    )
    return _gather(uow.execute(query) if names else ())


def _gather(rows: Any) -> Mapping[Key, Sequence[str]]:
    found: dict[Key, list[str]] = {}
    for name, version, value in rows:
        found.setdefault((name, version), []).append(value)
    return found
