"""Cron expressions in time zones: the ticks that `domain.schedule` counts by, made by cronsim. [SCHED-2]

What an expression means where clocks are put forward or back is Debian's cron's word, which cronsim follows: a job at a
fixed time runs once a day, also on these days; a job whose minute or hour begins with a star follows the clock on the
wall. See `docs/schedules.md`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

NAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""What the names of schedules stand for."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND_US: Final = 1_000_000
_LONGEST_EXPRESSION: Final = 500
_EARLIEST: Final = datetime(2, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9998, 12, 31, tzinfo=UTC)


class CronInvalid(ValueError):
    """The expression or the time zone is not valid; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class CronTicks:
    """The ticks of a cron expression; `read_cron` makes and checks one.

    Args:
        expression: five fields.
        time_zone: IANA name.
    """

    expression: str
    time_zone: str

    def after(self, moment: int) -> int | None:
        """The first tick later than a moment, in microseconds; None where fifty years have none."""
        local = self._local(moment)
        if local is None:
            return None
        # In the hour that comes twice cronsim may begin with what has passed.
        for tick in CronSim(self.expression, local):
            found = _microseconds(tick)
            if found > moment:
                return found
        return None

    def before(self, moment: int) -> int | None:
        """The last tick earlier than a moment, of those that `after` names."""
        reach = _SECOND_US
        local = self._local(moment)
        if local is None:
            return None
        # Backwards cronsim names other ticks in the hours that are left out or come twice: it only says where to begin.
        for tick in CronSim(self.expression, local, reverse=True):
            candidate = _microseconds(tick)
            found = self.after(candidate - reach)
            if found is None or found >= moment:
                continue
            while (following := self.after(found)) is not None and following < moment:
                found = following
            return found
        return None

    def _local(self, moment: int) -> datetime | None:
        try:
            utc = _EPOCH + timedelta(microseconds=moment)
        except OverflowError:
            return None
        return utc.astimezone(_zone(self.time_zone)) if _EARLIEST < utc < _LATEST else None


def read_cron(expression: str, time_zone: str = "") -> CronTicks:
    """The ticks of an expression.

    Args:
        expression: five fields, or one of `NAMES`.
        time_zone: IANA name; empty: UTC.

    Raises:
        CronInvalid: it is not valid, or has no tick for fifty years.
    """
    shown = expression[:80]
    fields = NAMES.get(expression.strip(), expression).split()
    if len(fields) != 5 or len(expression) > _LONGEST_EXPRESSION:
        raise CronInvalid(
            f"'{shown}' is no cron expression; use five fields, such as '0 6 * * *', or one of {', '.join(NAMES)}"
        )
    ticks = CronTicks(" ".join(fields), time_zone or "UTC")
    _zone(ticks.time_zone)
    try:
        first = ticks.after(0)
    except CronSimError as error:
        raise CronInvalid(f"'{shown}' is no cron expression ({error}); mend it") from None
    if first is None:
        raise CronInvalid(f"'{shown}' never comes, since no year has such a day; mend it")
    return ticks


@functools.lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    try:
        # cronsim treats this UTC as what it is, and takes any other for a zone whose clocks may change.
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise CronInvalid(
            f"'{name[:80]}' is no time zone; use a name of the IANA database, such as 'Europe/Berlin'"
        ) from None


def _microseconds(tick: datetime) -> int:
    return (tick.astimezone(UTC) - _EPOCH) // _MICROSECOND
