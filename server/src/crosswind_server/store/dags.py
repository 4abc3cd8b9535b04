"""DAGs and their versions: reading and adding. What a manifest says is not known here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Row, and_, func, select, update

from crosswind_server.store import guards
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import bundle_offer, bundle_version, dag, dag_version
from crosswind_server.store.unit_of_work import UnitOfWork

API_VERSION: Final = (
    select(bundle_version.c.api_version)
    .where(
        bundle_version.c.team == dag_version.c.team,
        bundle_version.c.bundle == dag_version.c.bundle,
        bundle_version.c.version == dag_version.c.bundle_version,
    )
    .scalar_subquery()
    .label("api_version")
)
"""The API version in which a DAG version is written: that of the bundle version which brought it first."""


def get_message(uow: UnitOfWork, dag_version_id: str) -> Row[Any]:
    """The `dag_message` of a DAG version, with its `api_version`.

    Raises:
        LookupError: there is none, though who asks has found the id in another row.
    """
    query = (
        select(dag_version.c.dag_message, API_VERSION).where(dag_version.c.dag_version_id == dag_version_id).limit(1)
    )
    row = uow.execute(query).one_or_none()
    if row is None:
        raise LookupError(f"There is no DAG version {dag_version_id}.")
    return row


def get(uow: UnitOfWork, team: str, dag_ids: Collection[str]) -> Sequence[Row[Any]]:
    """DAGs of a team by id."""
    if not dag_ids:
        return []
    return uow.execute(select(dag).where(dag.c.team == team, dag.c.dag_id.in_(list(dag_ids)))).all()


def lock(uow: UnitOfWork, team: str, dag_id: str) -> Row[Any] | None:
    """One DAG, locked, so that it is not paused or replaced meanwhile."""
    query = select(dag).where(dag.c.team == team, dag.c.dag_id == dag_id)
    return uow.execute(uow.dialect.lock_rows(query, dag)).one_or_none()


def lock_all(uow: UnitOfWork, keys: Collection[tuple[str, str]]) -> Sequence[Row[Any]]:
    """DAGs by team and id, locked in that order; those that are not there are left out."""
    found: list[Row[Any]] = []
    for team in sorted({team for team, _ in keys}):
        query = select(dag).where(dag.c.team == team, guards.is_among(dag.c.dag_id, "dag_ids"))
        dag_ids = [dag_id for other, dag_id in keys if other == team]
        found += uow.execute(uow.dialect.lock_rows(query, dag), {"dag_ids": dag_ids}).all()
    return found


SCHEDULED: Final = (
    "last_logical_time",
    "last_interval_end",
    "next_logical_time",
    "next_interval_start",
    "next_interval_end",
    "next_run_time",
    "planned_json",
)
"""How far a DAG's schedule has come, and what comes next."""


def set_scheduled(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Change what is scheduled of locked DAGs: all columns of each, of which those of `SCHEDULED` are written."""
    uow.dialect.upsert(dag, rows, ["team", "dag_id"], set_columns=SCHEDULED)


def newest_numbers(uow: UnitOfWork, team: str, dag_ids: Collection[str]) -> dict[str, int]:
    """The number of each DAG's newest version."""
    query = (
        select(dag_version.c.dag_id, func.max(dag_version.c.number).label("newest"))
        .where(dag_version.c.team == team, dag_version.c.dag_id.in_(list(dag_ids)))
        .group_by(dag_version.c.dag_id)
    )
    return {row.dag_id: row.newest for row in uow.execute(query)} if dag_ids else {}


def known_versions(uow: UnitOfWork, team: str, dag_version_ids: Collection[str]) -> frozenset[str]:
    """Which of the versions are stored."""
    query = select(dag_version.c.dag_version_id).where(
        dag_version.c.team == team, dag_version.c.dag_version_id.in_(list(dag_version_ids))
    )
    return frozenset(uow.execute(query).scalars()) if dag_version_ids else frozenset()


def add_versions(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Add versions that are not stored yet."""
    uow.dialect.insert_ignore(dag_version, rows, ["team", "dag_version_id"])


def put(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Add DAGs, or give those that exist another current version; whether one is paused stays as it is."""
    taken = ["bundle", "current_version_id", "active", "updated_time"]
    uow.dialect.upsert(dag, rows, ["team", "dag_id"], set_columns=taken)


def deactivate_others(uow: UnitOfWork, team: str, bundle: str, dag_ids: Collection[str]) -> Sequence[str]:
    """Say of a bundle's DAGs that are not among these that its current version no longer holds them; answers those."""
    statement = (
        update(dag)
        .values(active=False, updated_time=uow.now)
        .where(dag.c.team == team, dag.c.bundle == bundle, dag.c.active.is_(True), dag.c.dag_id.not_in(list(dag_ids)))
        .returning(dag.c.dag_id)
    )
    return uow.execute(statement).scalars().all()


def versions_in(uow: UnitOfWork, team: str, bundle: str, version: str) -> Sequence[Row[Any]]:
    """The DAG versions that a bundle version holds: `dag_id` and `dag_version_id`."""
    query = (
        select(dag_version.c.dag_id, dag_version.c.dag_version_id)
        .join(
            bundle_offer,
            and_(
                bundle_offer.c.team == dag_version.c.team,
                func.substr(bundle_offer.c.offer_key, 5) == dag_version.c.dag_version_id,
            ),
        )
        .where(
            bundle_offer.c.team == team,
            bundle_offer.c.bundle == bundle,
            bundle_offer.c.version == version,
            bundle_offer.c.offer_key.like("dag:%"),
        )
    )
    return uow.execute(query).all()
