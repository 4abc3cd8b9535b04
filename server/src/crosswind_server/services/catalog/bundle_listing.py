"""Bundles and their versions for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.store import bundle_listing as rows
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVersion:
    """A version of a bundle: its row, and what it holds."""

    row: Any
    current: bool
    dags: Sequence[tuple[str, str]]
    entry_points: Sequence[str]
    problems: Sequence[Any]
    workers: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedBundle:
    """A bundle. `current` is None while no version of it is complete."""

    name: str
    owner: str
    version_count: int
    created_us: int
    updated_us: int
    current: ListedVersion | None


def list_bundles(uow: UnitOfWork, team: str, *, after_name: str | None, limit: int) -> Sequence[ListedBundle]:
    """List a team's bundles by name."""
    found = rows.list_bundles(uow, team, after_name=after_name, limit=limit)
    return _bundles(uow, team, [(row, row.version_count) for row in found])


def get_bundle(uow: UnitOfWork, team: str, name: str) -> ListedBundle:
    """One bundle. Raises `Refused`: BUNDLE_NOT_FOUND."""
    row = _find(uow, team, name)
    return _bundles(uow, team, [(row, rows.count_versions(uow, team, name))])[0]


def list_versions(
    uow: UnitOfWork, team: str, name: str, *, before: tuple[int, str] | None, limit: int
) -> Sequence[ListedVersion]:
    """List the versions of a bundle, the one published last first. Raises `Refused`: BUNDLE_NOT_FOUND."""
    row = _find(uow, team, name)
    found = rows.list_versions(uow, team, name, before=before, limit=limit)
    return _versions(uow, team, found, current={(name, row.current_version)})


def _find(uow: UnitOfWork, team: str, name: str) -> Any:
    row = rows.get_bundle(uow, team, name)
    if row is None:
        raise Refused(
            Reason.BUNDLE_NOT_FOUND,
            f"No worker of team '{team}' has published a bundle '{name}'; list the bundles.",
            metadata={"bundle": name},
        )
    return row


def _bundles(uow: UnitOfWork, team: str, found: Sequence[tuple[Any, int]]) -> Sequence[ListedBundle]:
    current = {(row.name, row.current_version) for row, _ in found if row.current_version is not None}
    versions = {
        (each.row.bundle, each.row.version): each
        for each in _versions(uow, team, rows.get_versions(uow, team, current), current=current)
    }
    return [
        ListedBundle(
            name=row.name,
            owner=row.owner,
            version_count=count,
            created_us=row.created_time,
            updated_us=row.updated_time,
            current=versions.get((row.name, row.current_version)),
        )
        for row, count in found
    ]


def _versions(
    uow: UnitOfWork, team: str, found: Sequence[Any], *, current: set[tuple[str, Any]]
) -> Sequence[ListedVersion]:
    names = {row.bundle for row in found}
    offers = rows.offers(uow, team, names)
    problems = rows.problems(uow, team, names)
    workers = rows.live_workers(uow, team, names)
    ids = {key.removeprefix("dag:") for keys in offers.values() for key in keys if key.startswith("dag:")}
    dag_ids = rows.dag_ids(uow, team, ids)
    listed = []
    for row in found:
        key = (row.bundle, row.version)
        own = offers.get(key, ())
        versions = [each.removeprefix("dag:") for each in own if each.startswith("dag:")]
        prefix = f"ref:{row.bundle}/"
        listed.append(
            ListedVersion(
                row=row,
                current=key in current,
                dags=sorted((dag_ids[each], each) for each in versions if each in dag_ids),
                entry_points=sorted(each.removeprefix(prefix) for each in own if each.startswith(prefix)),
                problems=problems.get(key, ()),
                workers=workers.get(key, ())[:100],
            )
        )
    return listed
