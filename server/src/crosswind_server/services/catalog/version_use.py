"""Who still needs which API version: what an operator looks at before one is taken away. [VER-1]

Here belongs the reading, of all teams. How long a version is served is a rule of `domain.version_window`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from crosswind_server.domain.version import ServedVersions
from crosswind_server.domain.version_window import VersionWindow, windows
from crosswind_server.store import version_use as rows
from crosswind_server.store.unit_of_work import UnitOfWork

REMEMBERED_DAYS: Final = 90
"""For how long a worker that has left is still said to need its version."""
_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionUser:
    """A worker, or a version of a bundle, that speaks an API version.

    Args:
        team: its team.
        name: of the worker or the bundle.
        bundle_version: of a bundle; empty for a worker.
        language: of its SDK.
        sdk_version: of its SDK.
        live: whether the worker lives, or a live worker offers the bundle.
        seen_us: when that worker was heard of last, microseconds since the epoch; None for a bundle that nobody offers.
    """

    team: str
    name: str
    bundle_version: str = ""
    language: str
    sdk_version: str
    live: bool
    seen_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionUse:
    """An API version, and who speaks it. `window` is None for one that this server does not serve."""

    version: str
    window: VersionWindow | None
    workers: Sequence[VersionUser]
    bundles: Sequence[VersionUser]


def read_use(uow: UnitOfWork, served: ServedVersions, *, months: int) -> Sequence[VersionUse]:
    """Every version that is served or spoken, oldest first.

    Args:
        uow: the transaction.
        served: the versions of this server.
        months: for how long a version is served after it was superseded.
    """
    workers: dict[tuple[str, str, str], VersionUser] = {}
    for row in rows.workers_of_versions(uow, since=uow.now - REMEMBERED_DAYS * _DAY_US):
        # One that was upgraded within a version is shown as it was heard of last, which comes first.
        workers.setdefault(
            (row.api_version, row.team, row.name),
            VersionUser(
                team=row.team,
                name=row.name,
                language=row.language,
                sdk_version=row.sdk_version,
                live=bool(row.live),
                seen_us=row.last_seen,
            ),
        )
    bundles: dict[tuple[str, str, str, str], VersionUser] = {
        (row.api_version, row.team, row.bundle, row.version): VersionUser(
            team=row.team,
            name=row.bundle,
            bundle_version=row.version,
            language=row.language,
            sdk_version=row.sdk_version,
            live=row.last_seen is not None,
            seen_us=row.last_seen,
        )
        for row in rows.bundles_of_versions(uow)
    }
    today = datetime.fromtimestamp(uow.now / 1e6, UTC).date()
    standing = {str(each.version): each for each in windows(served.versions, months=months, today=today)}
    spoken = {key[0] for key in workers} | {key[0] for key in bundles}
    return [
        VersionUse(
            version=version,
            window=standing.get(version),
            workers=[user for key, user in workers.items() if key[0] == version],
            bundles=[user for key, user in bundles.items() if key[0] == version],
        )
        for version in sorted(spoken | set(standing))
    ]
