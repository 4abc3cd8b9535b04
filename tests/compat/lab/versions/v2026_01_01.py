"""The laboratory's API version 2026-01-01, the first."""

from __future__ import annotations

from typing import Final

from crosswind_server.versions.changes import Change

VERSION: Final = "2026-01-01"
CHANGES: Final[tuple[Change, ...]] = ()
