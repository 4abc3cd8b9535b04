"""When a DAG runs by itself, as authors say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from crosswind.author.errors import DagError

_PRESETS: Final = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@annually", "@midnight")


@dataclass(frozen=True)
class Cron:
    """Runs by a cron expression.

    Args:
        expression: five fields, or a name such as `@daily`.
        time_zone: IANA name. Empty: that of the DAG's start date, or UTC.
    """

    expression: str
    time_zone: str = ""


@dataclass(frozen=True)
class Once:
    """Runs once."""


Schedule = str | timedelta | Cron | Once | Sequence[datetime]
"""A cron expression or name, "@once", an interval, or the moments themselves in order."""

PlainSchedule = Cron | timedelta | Once | tuple[datetime, ...]


def read_schedule(schedule: Schedule | None, *, dag_id: str, start_date: datetime | None) -> PlainSchedule | None:
    """A schedule in one of its plain forms.

    Raises:
        DagError: it is none.
    """
    if schedule is None or schedule == "@none":
        return None
    if schedule == "@once" or isinstance(schedule, Once):
        return Once()
    if isinstance(schedule, str):
        schedule = Cron(schedule)
    if isinstance(schedule, Cron):
        _check_expression(schedule.expression, dag_id)
        return Cron(schedule.expression.strip(), schedule.time_zone or _zone_name(start_date))
    if isinstance(schedule, timedelta):
        if schedule < timedelta(seconds=1):
            raise DagError(f"DAG '{dag_id}' is to run every {schedule}; the shortest interval is one second")
        return schedule
    moments: list[object] = list(schedule) if isinstance(schedule, list | tuple) else []
    if moments and all(isinstance(moment, datetime) for moment in moments):
        return tuple(sorted(as_utc(moment) for moment in moments if isinstance(moment, datetime)))
    raise DagError(
        f"DAG '{dag_id}' has the schedule {schedule!r}; give a cron expression, a timedelta, '@once', "
        "a list of datetimes, or None"
    )


def as_utc(moment: datetime) -> datetime:
    """A moment in UTC. One without a time zone counts as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _zone_name(moment: datetime | None) -> str:
    # A ZoneInfo has it, a fixed offset has not.
    name = getattr(moment.tzinfo, "key", "") if moment is not None else ""
    return "" if name == "UTC" else str(name)


def _check_expression(expression: str, dag_id: str) -> None:
    text = expression.strip()
    if text.startswith("@"):
        if text not in _PRESETS:
            raise DagError(f"DAG '{dag_id}' has the schedule {expression!r}; use one of {', '.join(_PRESETS)}, @once")
    elif len(text.split()) != 5:
        raise DagError(
            f"DAG '{dag_id}' has the schedule {expression!r}; a cron expression has five fields, such as '0 6 * * *'"
        )
