"""When a DAG runs by itself: which run comes after the last one, which data it covers, and when it is created.

Here belong the rules for schedules whose moments are known: cron, interval, once and listed events. Cron's ticks are
handed in, since what an expression means in a time zone is no rule of ours. Which run was the last one and who creates
the next belongs to the services. Times are microseconds since the epoch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

LATEST_US: Final = 253_402_300_799_999_999
"""The last moment that a run can stand for: the end of the year 9999."""


class Ticks(Protocol):
    """Moments that repeat. `after` and `before` name the same moments, so what lies between two is covered once."""

    def after(self, moment: int) -> int | None:
        """The first tick later than a moment; None where there is none."""

    def before(self, moment: int) -> int | None:
        """The last tick earlier than a moment; None where there is none."""


@dataclass(frozen=True, slots=True)
class IntervalTicks:
    """A tick each `interval`, counted from `anchor`, in both directions."""

    interval: int
    anchor: int = 0

    def after(self, moment: int) -> int | None:
        return self.anchor + ((moment - self.anchor) // self.interval + 1) * self.interval

    def before(self, moment: int) -> int | None:
        return self.anchor + ((moment - self.anchor - 1) // self.interval) * self.interval


@dataclass(frozen=True, slots=True)
class Periodic:
    """Runs over the intervals between ticks: the run of an interval is created when it ends."""

    ticks: Ticks


@dataclass(frozen=True, slots=True)
class Once:
    """Runs once: at the DAG's first moment, or when it was published."""


@dataclass(frozen=True, slots=True)
class Events:
    """Runs at listed moments, which are in order and differ."""

    times: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Runs as the author's code says: a worker is asked for the next dates."""


Kind = Periodic | Once | Events | Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a DAG runs by itself.

    Args:
        kind: its moments.
        start: runs stand for this moment or later ones; None: no bound.
        end: runs stand for this moment or earlier ones; None: no bound.
        catchup: whether every missed run is created; else only the latest one is.
    """

    kind: Kind
    start: int | None = None
    end: int | None = None
    catchup: bool = False


@dataclass(frozen=True, slots=True, order=True)
class ScheduledRun:
    """A run that a schedule wants.

    Args:
        logical_time: what it stands for; no two runs of a DAG's schedule have the same.
        interval_start: begin of the data that it covers, inclusive; None: it covers none.
        interval_end: end of it, exclusive.
        run_time: when it is created.
    """

    logical_time: int
    interval_start: int | None
    interval_end: int | None
    run_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How far the schedule of a DAG has come.

    Args:
        logical_time: of the last run that it created; None: there is none.
        interval_end: where the data of that run ends; None: it covers none.
        published: when the DAG was first published.
    """

    logical_time: int | None = None
    interval_end: int | None = None
    published: int = field(default=0)


def next_run(schedule: Schedule, done: Done, now: int) -> ScheduledRun | None:
    """The run that comes next; None where none comes any more, or only the author's code knows.

    It may be due already. Each stands for a later moment than the last one. A schedule that was changed goes on where
    the last run's data ends, with whole intervals of its own.
    """
    match schedule.kind:
        case Periodic(ticks):
            found = _next_interval(schedule, ticks, done, now)
        case Once():
            moment = schedule.start if schedule.start is not None else done.published
            found = ScheduledRun(moment, None, None, moment)
        case Events(times):
            found = _next_event(schedule, times, done, now)
        case Asked():
            return None
    if found is None or found.logical_time > (LATEST_US if schedule.end is None else schedule.end):
        return None
    if done.logical_time is not None and found.logical_time <= done.logical_time:
        return None
    return found


def runs_between(
    schedule: Schedule, start: int, end: int, *, by: int | None = None, reverse: bool = False
) -> Iterator[ScheduledRun]:
    """The runs that stand for moments of a span, `end` exclusive, the earliest first or, reversed, the latest.

    The schedule's own bounds do not count: a backfill reaches where its caller says. A schedule without moments of its
    own has none.

    Args:
        by: only runs that the schedule would have created by this moment; None: no bound.
    """
    match schedule.kind:
        case Periodic(ticks):
            if by is not None:
                latest = interval_of(schedule, by)
                end = start if latest is None else min(end, latest[0] + 1)
            moment = ticks.before(end) if reverse else ticks.after(start - 1)
            while moment is not None and start <= moment < end:
                after = ticks.after(moment)
                if after is None:
                    return
                yield ScheduledRun(moment, moment, after, after)
                moment = ticks.before(moment) if reverse else after
        case Events(times):
            chosen = [time for time in times if start <= time < end and (by is None or time <= by)]
            yield from (ScheduledRun(time, None, None, time) for time in (reversed(chosen) if reverse else chosen))
        case _:
            return


def has_moments(schedule: Schedule | None) -> bool:
    """Whether it is known for every moment of the past whether the schedule would have run then."""
    return schedule is not None and isinstance(schedule.kind, Periodic | Events)


def interval_of(schedule: Schedule | None, moment: int) -> tuple[int, int] | None:
    """The latest interval that has ended by a moment: the data of a run that somebody triggers then; None: none."""
    if schedule is None or not isinstance(schedule.kind, Periodic):
        return None
    end = schedule.kind.ticks.before(moment + 1)
    start = None if end is None else schedule.kind.ticks.before(end)
    return None if start is None or end is None else (start, end)


def _next_interval(schedule: Schedule, ticks: Ticks, done: Done, now: int) -> ScheduledRun | None:
    bounds = [] if schedule.start is None else [schedule.start]
    if done.logical_time is not None:
        # What an interval of the new schedule shares with the data that was covered would be covered twice.
        bounds.append(done.logical_time + 1 if done.interval_end is None else done.interval_end)
    elif schedule.start is None and schedule.catchup:
        # Nothing before it was published was missed, but for the interval that had just ended.
        bounds.append(_start_of_latest(ticks, done.published))
    earliest = max(bounds) if bounds else None
    if earliest is None or not schedule.catchup:
        latest = _start_of_latest(ticks, now)
        earliest = latest if earliest is None else max(earliest, latest)
    start = ticks.after(earliest - 1)
    end = None if start is None else ticks.after(start)
    return None if start is None or end is None else ScheduledRun(start, start, end, end)


def _start_of_latest(ticks: Ticks, moment: int) -> int:
    """Where the latest interval that has ended by a moment starts; where there is none, the moment itself."""
    end = ticks.before(moment + 1)
    start = None if end is None else ticks.before(end)
    return moment if start is None else start


def _next_event(schedule: Schedule, times: tuple[int, ...], done: Done, now: int) -> ScheduledRun | None:
    first = 0
    if schedule.start is not None:
        first = bisect_right(times, schedule.start - 1)
    if done.logical_time is not None:
        first = max(first, bisect_right(times, done.logical_time))
    if not schedule.catchup:
        first = max(first, bisect_right(times, now) - 1)
    return ScheduledRun(times[first], None, None, times[first]) if first < len(times) else None
