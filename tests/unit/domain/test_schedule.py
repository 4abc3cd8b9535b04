"""Which run comes next: tiling, catch-up, bounds, once and events; for cron with the days on which clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosswind_server.cron import NAMES, CronInvalid, read_cron
from crosswind_server.domain.schedule import (
    Asked,
    Done,
    Events,
    IntervalTicks,
    Kind,
    Once,
    Periodic,
    Schedule,
    ScheduledRun,
    Ticks,
    interval_of,
    next_run,
    runs_between,
)

HOUR = 3_600_000_000
DAY = 24 * HOUR


def us(text: str, zone: str = "UTC") -> int:
    """A local time in microseconds; of one that comes twice the first, `*` behind it means the second."""
    local = datetime.fromisoformat(text.rstrip("*")).replace(tzinfo=ZoneInfo(zone), fold=int(text.endswith("*")))
    return (local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def local(moment: int, zone: str = "UTC") -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).astimezone(ZoneInfo(zone)).isoformat()


def ticks_within(ticks: Ticks, start: int, end: int) -> list[int]:
    found = []
    moment = ticks.after(start - 1)
    while moment is not None and moment < end:
        found.append(moment)
        moment = ticks.after(moment)
    return found


def done(run: ScheduledRun | None, published: int = 0) -> Done:
    if run is None:
        return Done(published=published)
    return Done(logical_time=run.logical_time, interval_end=run.interval_end, published=published)


def following(schedule: Schedule, now: int, count: int, published: int = 0) -> list[ScheduledRun]:
    """The next runs, when each is created as soon as it may be."""
    runs: list[ScheduledRun] = []
    while len(runs) < count and (run := next_run(schedule, done(runs[-1] if runs else None, published), now)):
        runs.append(run)
        now = max(now, run.run_time)
    return runs


# --- days on which clocks change --------------------------------------------------------------------------------------

CHANGES = [
    # expression, zone, day, the ticks of that day
    ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["03:00:00+02:00"]),
    ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["02:30:00+02:00"]),
    ("30 2 * * *", "America/New_York", "2026-03-08", ["03:00:00-04:00"]),
    ("30 1 * * *", "America/New_York", "2026-11-01", ["01:30:00-04:00"]),
    # In the hour that is left out and in the one after: each once, and both at the same moment once.
    ("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29", ["03:00:00+02:00", "03:30:00+02:00"]),
    # A star at the minute follows the clock on the wall.
    ("*/30 2 * * *", "Europe/Berlin", "2026-03-29", []),
    (
        "*/30 2 * * *",
        "Europe/Berlin",
        "2026-10-25",
        ["02:00:00+02:00", "02:30:00+02:00", "02:00:00+01:00", "02:30:00+01:00"],
    ),
    ("@daily", "Europe/Berlin", "2026-03-29", ["00:00:00+01:00"]),
    ("@daily", "Europe/Berlin", "2026-10-25", ["00:00:00+02:00"]),
]


@pytest.mark.parametrize(("expression", "zone", "day", "expected"), CHANGES)
def test_a_job_on_a_day_on_which_clocks_change(expression: str, zone: str, day: str, expected: list[str]):
    start = us(f"{day}T00:00:00", zone)
    after = us((datetime.fromisoformat(day) + timedelta(days=1)).isoformat(), zone)
    found = ticks_within(read_cron(expression, zone), start, after)
    assert [local(moment, zone)[11:] for moment in found] == expected


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
    ],
)
def test_an_hourly_job_runs_every_hour_of_such_a_day(zone: str, day: str, hours: int):
    start = us(f"{day}T00:00:00", zone)
    end = us((datetime.fromisoformat(day) + timedelta(days=1)).isoformat(), zone)
    found = ticks_within(read_cron("@hourly", zone), start, end)
    assert found == [start + number * HOUR for number in range(hours)]


def test_the_data_of_a_daily_run_is_the_local_day_however_long():
    schedule = Schedule(kind=Periodic(read_cron("@daily", "Europe/Berlin")), catchup=True, start=us("2026-03-28T00:00"))
    runs = following(schedule, us("2026-03-28T00:00"), 3)
    assert [(run.interval_end or 0) - (run.interval_start or 0) for run in runs] == [23 * HOUR, 24 * HOUR, 24 * HOUR]


# --- what is valid ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_names_are_expressions(name: str):
    first = read_cron(name).after(us("2026-01-01T00:00") - 1)
    assert first is not None
    assert us("2026-01-01T00:00") <= first <= us("2026-01-04T00:00")


@pytest.mark.parametrize(
    ("expression", "zone", "says"),
    [
        ("0 6 * *", "", "five fields"),
        ("0 6 * * * *", "", "five fields"),
        ("61 6 * * *", "", "Bad minute"),
        ("0 0 31 2 *", "", "Bad day-of-month"),
        ("@sometimes", "", "five fields"),
        ("0 6 * * *", "Europe/Atlantis", "no time zone"),
        ("0 6 * * *", "../../etc/passwd", "no time zone"),
        ("0 0 * * * " * 100, "", "no cron expression"),
    ],
)
def test_what_is_not_valid_is_said(expression: str, zone: str, says: str):
    with pytest.raises(CronInvalid, match=says):
        read_cron(expression, zone)


# --- which run is next ------------------------------------------------------------------------------------------------

DAILY = Periodic(read_cron("@daily"))


def test_a_run_covers_the_interval_that_ends_when_it_is_created():
    run = next_run(Schedule(kind=DAILY, start=us("2026-03-01T00:00")), Done(), us("2026-02-27T12:00"))
    midnight, next_midnight = us("2026-03-01T00:00"), us("2026-03-02T00:00")
    assert run == ScheduledRun(midnight, midnight, next_midnight, next_midnight)


def test_a_start_within_an_interval_begins_with_the_next_whole_one():
    run = next_run(Schedule(kind=DAILY, start=us("2026-03-01T06:00"), catchup=True), Done(), us("2026-03-10T00:00"))
    assert run is not None
    assert run.logical_time == us("2026-03-02T00:00")


def test_catch_up_creates_every_missed_run_and_none_twice():
    schedule = Schedule(kind=DAILY, start=us("2026-03-01T00:00"), catchup=True)
    runs = following(schedule, us("2026-03-05T12:00"), 5)
    assert [local(run.logical_time)[:10] for run in runs] == [f"2026-03-0{day}" for day in range(1, 6)]


def test_without_catch_up_only_the_latest_missed_run_is_created():
    schedule = Schedule(kind=DAILY, start=us("2026-03-01T00:00"))
    now = us("2026-03-05T12:00")
    run = next_run(schedule, Done(logical_time=us("2026-03-01T00:00"), interval_end=us("2026-03-02T00:00")), now)
    assert run is not None
    assert (run.logical_time, run.run_time) == (us("2026-03-04T00:00"), us("2026-03-05T00:00"))
    after = next_run(schedule, done(run), now)
    assert after is not None
    assert after.run_time == us("2026-03-06T00:00")


@pytest.mark.parametrize("catchup", [False, True])
def test_without_a_start_the_interval_that_ended_before_it_was_published_is_the_first(catchup: bool):
    published = us("2026-03-05T12:00")
    run = next_run(Schedule(kind=DAILY, catchup=catchup), Done(published=published), published)
    assert run is not None
    assert run.logical_time == us("2026-03-04T00:00")


def test_runs_end_with_the_last_moment():
    schedule = Schedule(kind=DAILY, start=us("2026-03-01T00:00"), end=us("2026-03-02T00:00"), catchup=True)
    runs = following(schedule, us("2026-03-10T00:00"), 5)
    assert [local(run.logical_time)[:10] for run in runs] == ["2026-03-01", "2026-03-02"]


def test_a_changed_schedule_goes_on_where_the_covered_data_ends():
    last = Done(logical_time=us("2026-03-01T14:00"), interval_end=us("2026-03-01T15:00"))
    run = next_run(Schedule(kind=DAILY, catchup=True), last, us("2026-03-01T15:30"))
    assert run is not None
    assert run.logical_time == us("2026-03-02T00:00")
    hourly = Schedule(kind=Periodic(read_cron("@hourly")), catchup=True)
    covered = Done(logical_time=us("2026-03-01T00:00"), interval_end=us("2026-03-02T00:00"))
    run = next_run(hourly, covered, us("2026-03-02T00:30"))
    assert run is not None
    assert run.logical_time == us("2026-03-02T00:00")


def test_once_stands_for_the_start_or_the_publication():
    assert next_run(Schedule(kind=Once(), start=9), Done(published=5), 1) == ScheduledRun(9, None, None, 9)
    assert next_run(Schedule(kind=Once()), Done(published=5), 7) == ScheduledRun(5, None, None, 5)
    assert next_run(Schedule(kind=Once()), Done(published=5, logical_time=5), 7) is None


def test_events_come_in_order_and_only_the_latest_missed_one_without_catch_up():
    events = Events((10, 20, 30))
    assert [run.logical_time for run in following(Schedule(kind=events, catchup=True), 25, 9)] == [10, 20, 30]
    assert [run.logical_time for run in following(Schedule(kind=events), 25, 9)] == [20, 30]
    assert [run.logical_time for run in following(Schedule(kind=events, start=15, end=25, catchup=True), 5, 9)] == [20]


def test_code_is_asked_and_nothing_is_known_before():
    assert next_run(Schedule(kind=Asked()), Done(), 5) is None


def test_a_manual_run_is_about_the_latest_whole_interval():
    found = interval_of(Schedule(kind=DAILY), us("2026-03-05T12:00"))
    assert found == (us("2026-03-04T00:00"), us("2026-03-05T00:00"))
    assert interval_of(Schedule(kind=Once()), 5) is None


def test_a_span_has_the_runs_that_stand_for_its_moments_in_either_order():
    schedule = Schedule(kind=DAILY, start=us("2030-01-01T00:00"))
    runs = list(runs_between(schedule, us("2026-03-01T00:00"), us("2026-03-03T00:01")))
    assert [local(run.logical_time)[:10] for run in runs] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert list(runs_between(schedule, us("2026-03-01T00:00"), us("2026-03-03T00:01"), reverse=True)) == runs[::-1]
    assert list(runs_between(schedule, us("2026-03-01T00:01"), us("2026-03-02T00:00"))) == []


# --- what always holds ------------------------------------------------------------------------------------------------

MOMENTS = st.integers(us("2025-01-01T00:00"), us("2028-01-01T00:00"))
ZONES = st.sampled_from(["", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"])
EXPRESSIONS = st.sampled_from(
    ["30 2 * * *", "@hourly", "*/20 * * * *", "0,30 2,3 * * *", "*/30 1-3 * * *", "@daily", "59 2 * * *", "@weekly"]
)
CRONS: st.SearchStrategy[Ticks] = st.builds(read_cron, EXPRESSIONS, ZONES)
TICKS = CRONS | st.builds(IntervalTicks, st.integers(1_000_000, 10 * DAY), MOMENTS)
NEAR_CHANGES = st.sampled_from(["2026-03-29T00:00", "2026-10-25T00:00", "2026-03-08T06:00", "2026-11-01T05:00"])
NEAR = st.builds(lambda base, shift: us(base) + shift, NEAR_CHANGES, st.integers(-6 * HOUR, 8 * HOUR))


@given(TICKS, MOMENTS | NEAR, st.floats(0, 1))
def test_ticks_are_one_row_of_moments_forwards_and_backwards(ticks: Ticks, moment: int, part: float):
    tick = ticks.after(moment)
    assert tick is not None
    assert tick > moment
    assert ticks.after(moment + int((tick - 1 - moment) * part)) == tick
    before = ticks.before(tick)
    assert before is not None
    assert before <= moment
    assert ticks.after(before) == tick


KINDS: st.SearchStrategy[Kind] = st.one_of(
    st.builds(Periodic, TICKS),
    st.builds(Once),
    st.builds(lambda times: Events(tuple(sorted(times))), st.sets(MOMENTS, min_size=1, max_size=6)),
)
SCHEDULES = st.builds(Schedule, kind=KINDS, start=st.none() | MOMENTS, end=st.none() | MOMENTS, catchup=st.booleans())


@given(SCHEDULES, MOMENTS, st.lists(st.integers(0, 3 * DAY), max_size=12))
def test_every_run_stands_for_a_later_moment_and_covers_what_none_did_before(
    schedule: Schedule, published: int, pauses: list[int]
):
    now, last = published, None
    for pause in pauses:
        run = next_run(schedule, done(last, published), now)
        if run is None:
            break
        assert schedule.end is None or run.logical_time <= schedule.end
        assert schedule.start is None or run.logical_time >= schedule.start
        assert last is None or run.logical_time > last.logical_time
        if run.interval_start is not None and run.interval_end is not None:
            assert run.interval_start == run.logical_time < run.interval_end == run.run_time
            if last is not None and last.interval_end is not None:
                assert run.interval_start >= last.interval_end
                assert not schedule.catchup or run.interval_start == last.interval_end
        if not schedule.catchup and run.run_time <= now:
            # It is the latest that was missed: none after it is due as well.
            following_run = next_run(schedule, done(run, published), now)
            assert following_run is None or following_run.run_time > now
        now, last = max(now, run.run_time) + pause, run


@given(SCHEDULES, MOMENTS, st.integers(0, 5 * DAY))
def test_asking_again_before_it_is_created_names_the_same_run(schedule: Schedule, published: int, later: int):
    run = next_run(schedule, Done(published=published), published)
    if run is not None and (schedule.catchup or published + later <= run.run_time):
        again = next_run(schedule, Done(published=published), published + later)
        assert again == run
