"""The queries behind who speaks which API version: workers and bundles of all teams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, case, func, or_, select

from crosswind_server.store import guards
from crosswind_server.store.schema import bundle, bundle_version, worker, worker_bundle
from crosswind_server.store.unit_of_work import UnitOfWork

_LIVE = guards.is_one_of(worker.c.state, guards.LIVE_WORKERS)


def workers_of_versions(uow: UnitOfWork, *, since: int) -> Sequence[Row[Any]]:
    """Find the workers that live or were heard of since a time, with what they spoke, the one heard of last first."""
    live = func.max(case((_LIVE, 1), else_=0)).label("live")
    seen = func.max(worker.c.last_heartbeat_time).label("last_seen")
    key = (worker.c.team, worker.c.name, worker.c.api_version, worker.c.language, worker.c.sdk_version)
    query = select(*key, live, seen).where(or_(_LIVE, worker.c.last_heartbeat_time >= since)).group_by(*key)
    return uow.execute(query.order_by(seen.desc(), worker.c.team, worker.c.name)).all()


def bundles_of_versions(uow: UnitOfWork) -> Sequence[Row[Any]]:
    """Find the bundle versions that live workers offer, and those with which new runs begin, by name.

    `live` says whether a worker offers one, `last_seen` when such a worker was heard of last.
    """
    offers = (
        select(
            worker_bundle.c.team,
            worker_bundle.c.bundle,
            worker_bundle.c.version,
            func.max(worker.c.last_heartbeat_time).label("last_seen"),
        )
        .join(worker, worker.c.instance_id == worker_bundle.c.instance_id)
        .where(_LIVE)
        .group_by(worker_bundle.c.team, worker_bundle.c.bundle, worker_bundle.c.version)
        .subquery()
    )
    table = bundle_version.c
    query = (
        select(
            table.team,
            table.bundle,
            table.version,
            table.api_version,
            table.language,
            table.sdk_version,
            offers.c.last_seen,
        )
        .join(bundle, and_(bundle.c.team == table.team, bundle.c.name == table.bundle))
        .outerjoin(
            offers,
            and_(
                offers.c.team == table.team,
                offers.c.bundle == table.bundle,
                offers.c.version == table.version,
            ),
        )
        .where(or_(offers.c.last_seen.is_not(None), bundle.c.current_version == table.version))
    )
    return uow.execute(query.order_by(table.team, table.bundle, table.created_time.desc())).all()


def count_live_workers(uow: UnitOfWork) -> Sequence[Row[Any]]:
    """Count the live workers of all teams by `api_version`, `language` and `sdk_version`."""
    key = (worker.c.api_version, worker.c.language, worker.c.sdk_version)
    return uow.execute(select(*key, func.count().label("number")).where(_LIVE).group_by(*key)).all()


def count_offered_bundles(uow: UnitOfWork) -> Sequence[Row[Any]]:
    """Count the bundle versions that live workers of all teams offer by `api_version`."""
    offered = (
        select(worker_bundle.c.team, worker_bundle.c.bundle, worker_bundle.c.version)
        .join(worker, worker.c.instance_id == worker_bundle.c.instance_id)
        .where(_LIVE)
        .distinct()
        .subquery()
    )
    query = (
        select(bundle_version.c.api_version, func.count().label("number"))
        .join(
            offered,
            and_(
                offered.c.team == bundle_version.c.team,
                offered.c.bundle == bundle_version.c.bundle,
                offered.c.version == bundle_version.c.version,
            ),
        )
        .group_by(bundle_version.c.api_version)
    )
    return uow.execute(query).all()
