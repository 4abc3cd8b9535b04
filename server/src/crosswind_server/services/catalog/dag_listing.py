"""DAGs and their versions for people: reading, pausing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.plan import offer_key_of
from crosswind_server.services.catalog.manifest_versions import ManifestVersions, newest_message
from crosswind_server.services.flow import alarms
from crosswind_server.services.runs import asset_events
from crosswind_server.services.runs.schedules import Schedules
from crosswind_server.store import dag_listing as rows
from crosswind_server.store import dags
from crosswind_server.store.unit_of_work import UnitOfWork

_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DagFilter:
    """Which DAGs are wanted; empty or None means any."""

    contains: str = ""
    paused: bool | None = None
    bundle: str = ""
    include_removed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDag:
    """A DAG with what a list shows of it; `message` is its current version's. Times in microseconds since the epoch."""

    dag_id: str
    bundle: str
    bundle_version: str
    dag_version_id: str
    message: bytes
    paused: bool
    active: bool
    offered: bool
    latest_run_id: str
    latest_run_state: str
    active_runs: int
    created_us: int
    updated_us: int
    next_run_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVersion:
    """A version of a DAG; `bundle_versions` hold it, the newest first."""

    dag_id: str
    dag_version_id: str
    number: int
    bundle: str
    bundle_versions: Sequence[str]
    message: bytes
    current: bool
    offered: bool
    created_us: int


def list_dags(
    uow: UnitOfWork,
    team: str,
    wanted: DagFilter,
    *,
    versions: ManifestVersions,
    keep: Callable[[str, bytes], bool] | None,
    after_id: str | None,
    limit: int,
) -> Sequence[ListedDag]:
    """List DAGs by id.

    Args:
        uow: the transaction.
        team: of the caller.
        wanted: the filter on what the database knows.
        versions: reads manifests of older API versions.
        keep: the filter on what only the manifest says, by version id and message; None for no such filter.
        after_id: the last DAG of the page before.
        limit: DAGs at most.
    """
    found: list[Any] = []
    messages: dict[str, bytes] = {}
    while len(found) < limit:
        chunk = limit if keep is None else _CHUNK
        some = rows.list_dags(
            uow,
            team,
            contains=wanted.contains,
            paused=wanted.paused,
            of_bundle=wanted.bundle,
            include_removed=wanted.include_removed,
            after_id=after_id,
            limit=chunk,
        )
        read = read_messages(uow, versions, team, [row.current_version_id for row in some])
        messages.update(read)
        found += [
            row for row in some if keep is None or keep(row.current_version_id, read.get(row.current_version_id, b""))
        ]
        if len(some) < chunk:
            break
        after_id = some[-1].dag_id
    return _complete(uow, team, found[:limit], messages)


def get_dag(uow: UnitOfWork, versions: ManifestVersions, team: str, dag_id: str) -> ListedDag:
    """One DAG. Raises `Refused`: DAG_NOT_FOUND."""
    row = rows.get_dag(uow, team, dag_id)
    if row is None:
        raise dag_not_found(team, dag_id)
    return _complete(uow, team, [row], read_messages(uow, versions, team, [row.current_version_id]))[0]


def read_messages(uow: UnitOfWork, versions: ManifestVersions, team: str, ids: Sequence[str]) -> dict[str, bytes]:
    """The messages of DAG versions as the newest API version has them, by id."""
    return {key: newest_message(versions, row) for key, row in rows.get_messages(uow, team, ids).items()}


def pause_dag(
    uow: UnitOfWork,
    versions: ManifestVersions,
    schedules: Schedules,
    team: str,
    dag_id: str,
    *,
    paused: bool | None,
) -> ListedDag:
    """Pause a DAG or let it go on; None leaves it as it is. Raises `Refused`: DAG_NOT_FOUND."""
    row = dags.lock(uow, team, dag_id)
    if row is None:
        raise dag_not_found(team, dag_id)
    if paused is not None and row.paused is not paused:
        rows.set_paused(uow, team, dag_id, paused=paused)
        schedules.renew(uow, team, [dag_id])
        if not paused:
            alarms.ask_promotion(uow, [(team, dag_id)])
            asset_events.ask(uow, team, dag_id)
            uow.hint(f"work:{team}")
    return get_dag(uow, versions, team, dag_id)


def check_not_paused(uow: UnitOfWork, team: str, dag_id: str) -> None:
    """Check that a DAG takes runs. Raises `Refused`: DAG_PAUSED."""
    row = dags.lock(uow, team, dag_id)
    # One that its bundle no longer has is refused as that.
    if row is not None and row.active and row.paused:
        raise Refused(
            Reason.DAG_PAUSED,
            f"The DAG '{dag_id}' is paused; unpause it first, with `crosswind dags unpause {dag_id}`.",
            metadata={"dag_id": dag_id},
        )


def list_versions(
    uow: UnitOfWork,
    versions: ManifestVersions,
    team: str,
    dag_id: str,
    *,
    before_number: int | None,
    limit: int,
) -> Sequence[ListedVersion]:
    """List the versions of a DAG, the newest first. Raises `Refused`: DAG_NOT_FOUND."""
    row = rows.get_dag(uow, team, dag_id)
    if row is None:
        raise dag_not_found(team, dag_id)
    found = rows.list_versions(uow, team, dag_id, before_number=before_number, limit=limit)
    return _versions(uow, versions, team, found, current=row.current_version_id)


def get_version(
    uow: UnitOfWork, versions: ManifestVersions, team: str, dag_id: str, dag_version_id: str
) -> ListedVersion:
    """One version of a DAG. Raises `Refused`: DAG_NOT_FOUND or DAG_VERSION_NOT_FOUND."""
    row = rows.get_dag(uow, team, dag_id)
    if row is None:
        raise dag_not_found(team, dag_id)
    found = rows.get_version(uow, team, dag_id, dag_version_id)
    if found is None:
        raise Refused(
            Reason.DAG_VERSION_NOT_FOUND,
            f"The DAG '{dag_id}' has no version {dag_version_id!r}; list its versions.",
            metadata={"dag_id": dag_id, "dag_version_id": dag_version_id},
        )
    return _versions(uow, versions, team, [found], current=row.current_version_id)[0]


def dag_not_found(team: str, dag_id: str) -> Refused:
    """The refusal of a DAG that is not there."""
    return Refused(
        Reason.DAG_NOT_FOUND,
        f"Team '{team}' has no DAG '{dag_id}'; `crosswind dags list` shows those that a worker has published.",
        metadata={"dag_id": dag_id},
    )


def _complete(uow: UnitOfWork, team: str, found: Sequence[Any], messages: Mapping[str, bytes]) -> Sequence[ListedDag]:
    ids = [row.dag_id for row in found]
    latest = rows.latest_runs(uow, team, ids)
    active = rows.count_active_runs(uow, team, ids)
    offered = rows.offered_keys(uow, team, {offer_key_of(row.current_version_id) for row in found})
    return [
        ListedDag(
            dag_id=row.dag_id,
            bundle=row.bundle,
            bundle_version=row.bundle_version or "",
            dag_version_id=row.current_version_id,
            message=messages.get(row.current_version_id, b""),
            paused=row.paused,
            active=row.active,
            offered=offer_key_of(row.current_version_id) in offered,
            latest_run_id=latest[row.dag_id].run_id if row.dag_id in latest else "",
            latest_run_state=latest[row.dag_id].state if row.dag_id in latest else "",
            active_runs=active.get(row.dag_id, 0),
            created_us=row.created_time,
            updated_us=row.updated_time,
            next_run_us=row.next_run_time,
        )
        for row in found
    ]


def _versions(
    uow: UnitOfWork, versions: ManifestVersions, team: str, found: Sequence[Any], *, current: str
) -> Sequence[ListedVersion]:
    keys = {row.dag_version_id: offer_key_of(row.dag_version_id) for row in found}
    offered = rows.offered_keys(uow, team, list(keys.values()))
    holding = rows.holding_versions(uow, team, list(keys.values()))
    return [
        ListedVersion(
            dag_id=row.dag_id,
            dag_version_id=row.dag_version_id,
            number=row.number,
            bundle=row.bundle,
            bundle_versions=holding.get(keys[row.dag_version_id], ())[:100],
            message=newest_message(versions, row),
            current=row.dag_version_id == current,
            offered=keys[row.dag_version_id] in offered,
            created_us=row.created_time,
        )
        for row in found
    ]
