"""The laboratory's API version 2026-08-01: names, a default again, and one reason for all that is too large."""

from __future__ import annotations

from typing import Final

from crosswind_server.versions.changes import Change, DefaultChanged, FieldRenamed, ReasonChanged

VERSION: Final = "2026-08-01"
CHANGES: Final[tuple[Change, ...]] = (
    FieldRenamed("lab.v1.Task", "address", "endpoint", why="It need not be an address."),
    DefaultChanged("lab.v1.Task", "priority", why="Priorities go to 16 now, and this is the middle."),
    ReasonChanged(
        None,
        new="VALUE_TOO_LARGE",
        old="QUOTA_EXCEEDED",
        code="RESOURCE_EXHAUSTED",
        why="Clients took it for a quota, and called again for ever.",
    ),
)
