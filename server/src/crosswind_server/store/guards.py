"""The sets of states that guard statements.

They are written out as SQL literals, in the order of the schema's partial indexes, for otherwise neither database would
use those. What the sets mean is said in `domain.lifecycle`, from whose table a test derives the same ones.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, literal_column

ASSIGNED: Final = ("assigned",)
"""Attempts that may be started, sent again or returned."""
LEASED: Final = ("running", "cancelling")
"""Attempts whose lease a heartbeat extends, and which expire without."""
LIVE: Final = ("assigned", "running", "cancelling")
"""Attempts whose lease is valid."""
QUEUED: Final = ("queued",)
"""Task instances that workers may be given."""
IDLE: Final = (
    "waiting",
    "queued",
    "up_for_retry",
    "up_for_reschedule",
    "deferred",
    "awaiting_input",
    "expanded",
)
"""Task instances that have neither ended nor a live attempt."""
LIVE_WORKERS: Final = ("active", "draining")
"""Workers that may hold leases."""


def is_one_of(column: ColumnElement[Any], states: tuple[str, ...]) -> ColumnElement[bool]:
    """A guard: the column is one of the states."""
    if len(states) == 1:
        return column == literal_column(f"'{states[0]}'")
    return column.in_([literal_column(f"'{state}'") for state in states])
