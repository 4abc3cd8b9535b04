"""Queries of workers as people see them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, or_, select, update

from crosswind_server.store.schema import bundle, bundle_version, worker, worker_bundle
from crosswind_server.store.unit_of_work import UnitOfWork

SHOWN_STATES = ("active", "draining", "lost")


def list_workers(
    uow: UnitOfWork,
    team: str,
    *,
    states: Collection[str],
    of_bundle: str,
    queue: str,
    after: tuple[str, int, str] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """List worker instances by name, then the newest first."""
    query = select(worker).where(worker.c.team == team, worker.c.state.in_(list(states) or SHOWN_STATES))
    if of_bundle:
        offering = select(worker_bundle.c.instance_id).where(
            worker_bundle.c.team == team, worker_bundle.c.bundle == of_bundle
        )
        query = query.where(worker.c.instance_id.in_(offering))
    if queue:
        # The column holds a JSON array of texts, so an element stands there in its quotes.
        query = query.where(worker.c.queues_json.contains(json.dumps(queue), autoescape=True))
    if after is not None:
        name, registered, instance_id = after
        older = or_(
            worker.c.registered_time < registered,
            and_(worker.c.registered_time == registered, worker.c.instance_id < instance_id),
        )
        query = query.where(or_(worker.c.name > name, and_(worker.c.name == name, older)))
    order = (worker.c.name, worker.c.registered_time.desc(), worker.c.instance_id.desc())
    return uow.execute(query.order_by(*order).limit(limit)).all()


def newest_instance(uow: UnitOfWork, team: str, name: str) -> Row[Any] | None:
    """Read the newest instance of a worker."""
    query = select(worker).where(worker.c.team == team, worker.c.name == name)
    newest = query.order_by(worker.c.registered_time.desc(), worker.c.instance_id.desc()).limit(1)
    return uow.execute(newest).one_or_none()


def lock_newest(uow: UnitOfWork, team: str, name: str) -> Row[Any] | None:
    """Read the newest instance of a worker, locked."""
    newest = newest_instance(uow, team, name)
    if newest is None:
        return None
    locked = select(worker).where(worker.c.instance_id == newest.instance_id)
    return uow.execute(uow.dialect.lock_rows(locked, worker)).one()


def drain(uow: UnitOfWork, instance_id: str) -> None:
    """Let an instance take nothing new."""
    uow.execute(update(worker).where(worker.c.instance_id == instance_id).values(state="draining"))


def set_paused(uow: UnitOfWork, instance_id: str, *, paused: bool) -> None:
    """Pause an instance or let it go on."""
    uow.execute(update(worker).where(worker.c.instance_id == instance_id).values(paused=paused))


def set_moving(uow: UnitOfWork, instance_id: str) -> None:
    """Let an instance connect anew."""
    uow.execute(update(worker).where(worker.c.instance_id == instance_id).values(moving=True))


def offered_bundles(
    uow: UnitOfWork, instance_ids: Collection[str]
) -> Mapping[str, Sequence[tuple[str, str, bool, str]]]:
    """Read bundle, version, whether it is the current one, and its API version, of what worker instances offer."""
    if not instance_ids:
        return {}
    query = (
        select(worker_bundle, bundle.c.current_version, bundle_version.c.api_version)
        .outerjoin(bundle, and_(bundle.c.team == worker_bundle.c.team, bundle.c.name == worker_bundle.c.bundle))
        .outerjoin(
            bundle_version,
            and_(
                bundle_version.c.team == worker_bundle.c.team,
                bundle_version.c.bundle == worker_bundle.c.bundle,
                bundle_version.c.version == worker_bundle.c.version,
            ),
        )
        .where(worker_bundle.c.instance_id.in_(list(instance_ids)))
        .order_by(worker_bundle.c.bundle, worker_bundle.c.version)
    )
    found: dict[str, list[tuple[str, str, bool, str]]] = {}
    for row in uow.execute(query):
        offered = (row.bundle, row.version, row.version == row.current_version, row.api_version or "")
        found.setdefault(row.instance_id, []).append(offered)
    return found
