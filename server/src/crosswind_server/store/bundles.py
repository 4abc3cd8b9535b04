"""Bundles, their versions, and what each version offers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, and_, delete, or_, select, update

from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import bundle, bundle_offer, bundle_version, source_error, worker_bundle
from crosswind_server.store.unit_of_work import UnitOfWork


def lock(uow: UnitOfWork, team: str, name: str) -> Row[Any] | None:
    """One bundle, locked against other publishers."""
    query = select(bundle).where(bundle.c.team == team, bundle.c.name == name)
    return uow.execute(uow.dialect.lock_rows(query, bundle)).one_or_none()


def add(uow: UnitOfWork, team: str, name: str, owner: str) -> None:
    """Add a bundle, unless another server just did."""
    row = {"team": team, "name": name, "owner": owner, "created_time": uow.now, "updated_time": uow.now}
    uow.dialect.insert_ignore(bundle, [row], ["team", "name"])


def set_current(uow: UnitOfWork, team: str, name: str, version: str) -> None:
    """Choose the version with which new runs begin."""
    b = bundle.c
    another = or_(b.current_version.is_(None), b.current_version != version)
    chosen = update(bundle).values(current_version=version, updated_time=uow.now)
    uow.execute(chosen.where(b.team == team, b.name == name, another))


def get_version(uow: UnitOfWork, team: str, name: str, version: str) -> Row[Any] | None:
    """One version of a bundle."""
    v = bundle_version.c
    return uow.execute(
        select(bundle_version).where(v.team == team, v.bundle == name, v.version == version)
    ).one_or_none()


def add_version(uow: UnitOfWork, row: RowValues) -> None:
    """Add a version whose manifest is not complete yet."""
    uow.dialect.insert_ignore(bundle_version, [row], ["team", "bundle", "version"])


def complete_version(uow: UnitOfWork, team: str, name: str, version: str) -> None:
    """Say that the last part of a version's manifest came."""
    v = bundle_version.c
    uow.execute(
        update(bundle_version).values(complete=True).where(v.team == team, v.bundle == name, v.version == version)
    )


def add_offers(uow: UnitOfWork, team: str, name: str, version: str, offer_keys: Collection[str]) -> None:
    """Add what a version offers."""
    rows = [{"team": team, "bundle": name, "version": version, "offer_key": key} for key in sorted(set(offer_keys))]
    uow.dialect.insert_ignore(bundle_offer, rows, ["team", "bundle", "version", "offer_key"])


def add_source_errors(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Add what could not be read or was refused; the first of a source or DAG stays."""
    uow.dialect.insert_ignore(source_error, rows, ["team", "bundle", "version", "dag_id", "source"])


def source_errors(uow: UnitOfWork, team: str, name: str, version: str) -> Sequence[Row[Any]]:
    """The `dag_id` of each DAG of a version that was refused, and an empty one for each source that was not read."""
    e = source_error.c
    query = select(e.dag_id).where(e.team == team, e.bundle == name, e.version == version)
    return uow.execute(query).all()


def offer(uow: UnitOfWork, instance_id: str, team: str, versions: Collection[tuple[str, str]]) -> None:
    """Say that a worker offers versions of bundles: pairs of name and version."""
    rows = [
        {"instance_id": instance_id, "team": team, "bundle": name, "version": version}
        for name, version in sorted(set(versions))
    ]
    uow.dialect.insert_ignore(worker_bundle, rows, ["instance_id", "bundle", "version"])


def withdraw(uow: UnitOfWork, instance_id: str, versions: Collection[tuple[str, str]] | None = None) -> None:
    """Say that a worker no longer offers versions of bundles; None: any."""
    w = worker_bundle.c
    if versions is None:
        uow.execute(delete(worker_bundle).where(w.instance_id == instance_id))
    for name, version in sorted(set(versions or ())):
        named = and_(w.instance_id == instance_id, w.bundle == name, w.version == version)
        uow.execute(delete(worker_bundle).where(named))


def offered_by(uow: UnitOfWork, instance_ids: Collection[str]) -> frozenset[str]:
    """The names of the bundles that workers offer."""
    query = select(worker_bundle.c.bundle).where(worker_bundle.c.instance_id.in_(list(instance_ids))).distinct()
    return frozenset(uow.execute(query).scalars()) if instance_ids else frozenset()
