"""What `crosswind-server versions` shows: the API versions, until when they are served, and who still needs them.

Here belong reading it from the database, and its two forms. What a version is belongs to `versions`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as distribution_version
from typing import Any

from rich.table import Table

from crosswind_server.domain.errors import Refused
from crosswind_server.domain.version import ServedVersions
from crosswind_server.services.catalog.version_use import VersionUse, VersionUser, read_use
from crosswind_server.settings import ServerSettings
from crosswind_server.store.engine import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionReport:
    """The versions of this server, and who speaks them; `months` is how long one is served after it was superseded."""

    served: ServedVersions
    months: int
    versions: Sequence[VersionUse]


def read_report(settings: ServerSettings, served: ServedVersions) -> VersionReport:
    """Read the database, beside a server if one has it. Raises `StoreError`."""
    months = settings.version_window_months
    with Store.open(settings.db, readers=1, create=False, exclusive=False, refusals=(Refused,)) as store:
        versions = store.read_blocking(lambda uow: read_use(uow, served, months=months))
    return VersionReport(served=served, months=months, versions=versions)


def to_object(report: VersionReport) -> dict[str, Any]:
    """The report for programs: its fields are kept, see docs/operating.md."""
    return {
        "server_version": distribution_version("crosswind-server"),
        "oldest": str(report.served.oldest),
        "newest": str(report.served.newest),
        "window_months": report.months,
        "versions": [_version_object(use) for use in report.versions],
    }


def _version_object(use: VersionUse) -> dict[str, Any]:
    window = use.window
    superseded = None if window is None else window.superseded
    end = None if window is None else window.end
    return {
        "api_version": use.version,
        "served": window is not None,
        "newest": window is not None and window.newest,
        "deprecated": window is not None and not window.newest,
        "release_date": use.version,
        "superseded_date": None if superseded is None else superseded.isoformat(),
        "window_end_date": None if end is None else end.isoformat(),
        "window_over": window is not None and window.over,
        "workers": [_user_object(user, "worker") for user in use.workers],
        "bundles": [{**_user_object(user, "bundle"), "bundle_version": user.bundle_version} for user in use.bundles],
    }


def _user_object(user: VersionUser, kind: str) -> dict[str, Any]:
    seen = None if user.seen_us is None else datetime.fromtimestamp(user.seen_us / 1e6, UTC)
    return {
        kind: user.name,
        "team": user.team,
        "language": user.language,
        "sdk_version": user.sdk_version,
        "live": user.live,
        "last_seen_time": None if seen is None else seen.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


def to_table(report: VersionReport) -> Table:
    """The report for people: a line a version."""
    table = Table(box=None, pad_edge=False)
    for name in ("version", "state", "served until", "workers", "bundles", "last seen"):
        table.add_column(name, no_wrap=True)
    for use in report.versions:
        users = [*use.workers, *use.bundles]
        seen = max((user.seen_us for user in users if user.seen_us is not None), default=None)
        table.add_row(
            use.version, _state(use), _until(use), _count(use.workers), _count(use.bundles), _local_time(seen)
        )
    return table


def sentences(report: VersionReport) -> Iterator[str]:
    """What people read below the table: who needs each version but the newest, and which could go."""
    oldest = report.versions[0]
    for use in report.versions:
        if use.window is not None and use.window.newest:
            continue
        for what, users in (("workers", use.workers), ("bundles", use.bundles)):
            if users:
                yield f"{use.version} is spoken by the {what} {', '.join(map(_name, users))}."
        if use.window is not None and use is oldest and use.window.over and not use.workers and not use.bundles:
            yield f"{use.version} is needed by nobody, and its window is over."
    yield (
        f"The oldest version served is {report.served.oldest}. A version is served for {report.months} months after the"
        " next one was released (--version-window-months)."
    )


def _state(use: VersionUse) -> str:
    if use.window is None:
        return "not served"
    return "newest" if use.window.newest else "deprecated"


def _until(use: VersionUse) -> str:
    if use.window is None or use.window.end is None:
        return ""
    return f"{use.window.end}, over" if use.window.over else str(use.window.end)


def _count(users: Sequence[VersionUser]) -> str:
    live = sum(user.live for user in users)
    return f"{live} live" if live == len(users) else f"{live} live, {len(users) - live} not"


def _name(user: VersionUser) -> str:
    name = user.name if not user.bundle_version else f"{user.name}@{user.bundle_version[:8]}"
    team = "" if user.team == "default" else f" of team {user.team}"
    return f"{name}{team}" if user.live else f"{name}{team} (last seen {_local_time(user.seen_us) or 'never'})"


def _local_time(microseconds: int | None) -> str:
    if microseconds is None:
        return ""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
