"""Assets and their events, for people and for tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.store import assets
from crosswind_server.store.unit_of_work import UnitOfWork

NAMED_AT_MOST: Final = 100
"""DAGs, tasks and runs that are shown of one asset or event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAsset:
    """An asset with what a list shows of it. Pairs are a DAG and a task; the time is microseconds since the epoch."""

    name: str
    uri: str
    alias: bool
    scheduled: tuple[str, ...]
    producers: tuple[tuple[str, str], ...]
    consumers: tuple[tuple[str, str], ...]
    last_event_us: int | None
    event_count: int


def list_assets(
    uow: UnitOfWork, team: str, *, prefix: str, after_name: str | None, limit: int
) -> Sequence[ListedAsset]:
    """List the assets of a team by name."""
    rows = assets.list_assets(uow, team, prefix=prefix, after_name=after_name, limit=limit)
    ids = [row.id for row in rows]
    sums = assets.sum_up_events(uow, ids)
    related: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for role in (assets.SCHEDULE, assets.OUTLET, assets.INLET):
        by_asset = related.setdefault(role, {})
        for row in assets.relations_of(uow, ids, role=role, limit=NAMED_AT_MOST):
            by_asset.setdefault(row.asset_id, []).append((row.dag_id, row.task_id))
    return [
        ListedAsset(
            name=row.name,
            uri=row.uri,
            alias=row.alias,
            scheduled=tuple(dag_id for dag_id, _ in related[assets.SCHEDULE].get(row.id, ())),
            producers=tuple(related[assets.OUTLET].get(row.id, ())),
            consumers=tuple(related[assets.INLET].get(row.id, ())),
            last_event_us=sums[row.id].last_time if row.id in sums else None,
            event_count=sums[row.id].number if row.id in sums else 0,
        )
        for row in rows
    ]


def list_events(
    uow: UnitOfWork,
    team: str,
    *,
    name: str | None,
    of_run: str | None = None,
    since: int | None = None,
    partition_key: str | None = None,
    before_id: str | None = None,
    limit: int,
) -> tuple[Sequence[Any], Mapping[str, Sequence[str]]]:
    """List events, the newest first, and through which aliases each was found. Of an asset that is not known there are
    none; see `store.assets.list_events`."""
    asset_id = None
    if name is not None:
        asset_id = find_id(uow, team, name)
        if asset_id is None:
            return [], {}
    rows = assets.list_events(
        uow,
        team,
        asset_id=asset_id,
        of_run=of_run,
        since=since,
        partition_key=partition_key,
        before_id=before_id,
        limit=limit,
    )
    return rows, assets.aliases_of(uow, [row.id for row in rows])


def find_event(uow: UnitOfWork, event_id: str) -> Any:
    """One event that was just recorded."""
    return assets.get_event(uow, event_id)


def find_id(uow: UnitOfWork, team: str, name: str) -> str | None:
    """The id of an asset; None where nobody has named it."""
    row = assets.get(uow, team, [name]).get(name)
    return None if row is None else str(row.id)


def check_exists(uow: UnitOfWork, team: str, name: str) -> None:
    """Raises `Refused`: ASSET_NOT_FOUND."""
    if find_id(uow, team, name) is None:
        raise Refused(
            Reason.ASSET_NOT_FOUND,
            f"There is no asset '{name[:80]}': no DAG has named it, and no event has; `crosswind assets list` shows"
            " those that there are.",
            metadata={"asset_name": name[:80]},
        )


def runs_of(uow: UnitOfWork, event_ids: Sequence[str]) -> Mapping[str, Sequence[tuple[str, str]]]:
    """The runs that were created for events: DAG and run id."""
    return assets.runs_of(uow, event_ids, limit=NAMED_AT_MOST)
