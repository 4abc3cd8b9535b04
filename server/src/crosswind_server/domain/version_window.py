"""How long an API version is served after another one superseded it. [VER-1]

Here belongs the arithmetic. Which versions there are is handed in; whether one is really taken away, people decide.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from crosswind_server.domain.version import ApiVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionWindow:
    """Where a version stands.

    Args:
        version: its date is the day of its release.
        superseded: the day on which the version after it was released; None for the newest.
        end: the first day on which it need not be served any more; None for the newest, whose window has not begun.
        over: whether that day has come.
    """

    version: ApiVersion
    superseded: date | None
    end: date | None
    over: bool

    @property
    def newest(self) -> bool:
        """Whether no version came after it."""
        return self.superseded is None


def windows(versions: Sequence[ApiVersion], *, months: int, today: date) -> Sequence[VersionWindow]:
    """Where each version stands.

    Args:
        versions: oldest first.
        months: for how long a version is served after it was superseded.
        today: the day for which it is asked.
    """
    found = []
    for version, successor in zip(versions, [*versions[1:], None], strict=True):
        end = None if successor is None else add_months(successor.day, months)
        found.append(
            VersionWindow(
                version=version,
                superseded=None if successor is None else successor.day,
                end=end,
                over=end is not None and today >= end,
            )
        )
    return found


def add_months(day: date, months: int) -> date:
    """The same day some months later; the last one of its month where that has fewer days."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return day.replace(year=year, month=month + 1, day=min(day.day, calendar.monthrange(year, month + 1)[1]))
