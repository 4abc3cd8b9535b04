"""From `manifest.v1.Schedule` messages to schedules."""

from __future__ import annotations

from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.manifest.v1 import dag_pb2, schedule_pb2
from crosswind_server.cron import CronInvalid, read_cron
from crosswind_server.domain.schedule import Asked, Events, IntervalTicks, Kind, Once, Periodic, Schedule
from crosswind_server.manifests.refusals import Refusals

MAX_EVENTS: Final = 10_000
_SHORTEST_US: Final = 1_000_000
_ONCE: Final = "@once"


def read_schedule(reader: Refusals, dag: dag_pb2.Dag) -> Schedule | None:
    """When a DAG runs by itself; None: only when triggered, or only by assets. Raises `Refused`: DAG_INVALID."""
    start = _moment(reader, dag.start_time, "`start_time`") if dag.HasField("start_time") else None
    end = _moment(reader, dag.end_time, "`end_time`") if dag.HasField("end_time") else None
    if start is not None and end is not None and end < start:
        reader.invalid("ends before it starts; put `end_time` after `start_time`")
    if not dag.HasField("schedule"):
        return None
    kind = _read_kind(reader, dag.schedule, start)
    return None if kind is None else Schedule(kind=kind, start=start, end=end, catchup=dag.catchup)


def _read_kind(reader: Refusals, schedule: schedule_pb2.Schedule, start: int | None) -> Kind | None:
    match schedule.WhichOneof("kind"):
        case "cron":
            return _read_cron(reader, schedule.cron)
        case "interval":
            interval = reader.span(schedule.interval.interval, "the interval of its schedule", least=_SHORTEST_US)
            return Periodic(IntervalTicks(interval, start or 0))
        case "once":
            return Once()
        case "events":
            return _read_events(reader, schedule.events)
        case "assets":
            return _read_cron(reader, schedule.assets.or_cron) if schedule.assets.HasField("or_cron") else None
        case "timetable":
            return Asked()
        case _:
            reader.invalid("has a schedule of an unknown kind; build it with an SDK of this version")


def _read_cron(reader: Refusals, cron: schedule_pb2.CronSchedule) -> Kind:
    if cron.expression.strip() == _ONCE:
        return Once()
    try:
        return Periodic(read_cron(cron.expression, cron.time_zone))
    except CronInvalid as error:
        reader.invalid(f"has a schedule that is not valid: {error}")


def _read_events(reader: Refusals, events: schedule_pb2.EventListSchedule) -> Events:
    if not 1 <= len(events.times) <= MAX_EVENTS:
        reader.invalid(f"is scheduled at {len(events.times):,} listed moments; list 1 to {MAX_EVENTS:,}")
    times = [_moment(reader, each, "a listed moment") for each in events.times]
    return Events(tuple(sorted(set(times))))


def _moment(reader: Refusals, time: Timestamp, what: str) -> int:
    if not -62_135_596_800 <= time.seconds <= 253_402_300_799 or not 0 <= time.nanos < 1_000_000_000:
        reader.invalid(f"has {what} outside of the years 1 to 9999; mend it")
    return time.seconds * 1_000_000 + time.nanos // 1000
