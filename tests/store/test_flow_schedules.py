"""Runs that schedules create: once each, when they are due, as catch-up and pauses say. On both databases."""

import asyncio
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from crosswind.manifest.v1 import schedule_pb2
from crosswind_server.domain.schedule import ScheduledRun
from crosswind_server.services.catalog import dag_listing
from crosswind_server.services.listing import run_listing
from crosswind_server.store.schema import dag, dag_run, timer
from tests.store.clocks import DAY, HOUR, TimedFlow, at, shown
from tests.store.dags import dag_of, task
from tests.store.flow import TEAM, Worker, counted


def cron(expression: str = "@daily", zone: str = "") -> schedule_pb2.Schedule:
    return schedule_pb2.Schedule(cron=schedule_pb2.CronSchedule(expression=expression, time_zone=zone))


def every(seconds: int) -> schedule_pb2.Schedule:
    return schedule_pb2.Schedule(interval=schedule_pb2.IntervalSchedule(interval=Duration(seconds=seconds)))


def moment(text: str) -> Timestamp:
    return Timestamp(seconds=at(text) // 1_000_000)


def publish(flow: TimedFlow, schedule: schedule_pb2.Schedule | None, **fields: Any) -> Worker:
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), schedule=schedule, **fields), to=worker)
    return worker


def runs(flow: TimedFlow, dag_id: str = "d") -> list[Any]:
    query = select(dag_run).where(dag_run.c.dag_id == dag_id).order_by(dag_run.c.id)
    return list(flow.store.read_blocking(lambda uow: uow.execute(query).all()))


def moments(flow: TimedFlow) -> list[str | None]:
    return [shown(run.logical_time) for run in runs(flow)]


def next_time(flow: TimedFlow) -> str | None:
    return shown(flow.store.read_blocking(lambda uow: uow.execute(select(dag.c.next_run_time)).scalar_one()))


def timers(flow: TimedFlow) -> dict[str, str | None]:
    rows = flow.store.read_blocking(lambda uow: uow.execute(select(timer)).all())
    return {f"{row.kind} {row.subject_id}": shown(row.due_time) for row in rows}


def test_a_run_is_created_when_its_interval_ends(timed: TimedFlow):
    worker = publish(timed, cron(), start_time=moment("2026-03-01T00:00"))
    assert (moments(timed), next_time(timed)) == ([], "2026-03-02T00:00")
    timed.move_to("2026-03-01T23:59")
    assert moments(timed) == []
    timed.move_to("2026-03-02T00:00")
    (run,) = runs(timed)
    assert run.run_id == "scheduled__2026-03-01T00:00:00.000000Z"
    assert (run.run_type, run.triggered_by, run.state) == ("scheduled", "schedule", "running")
    assert shown(run.logical_time) == shown(run.data_interval_start) == "2026-03-01T00:00"
    assert (shown(run.data_interval_end), next_time(timed)) == ("2026-03-02T00:00", "2026-03-03T00:00")
    assert set(timed.work_off(worker)) == {("a", -1)}
    assert timed.run_state(run.id) == "succeeded"


def test_a_schedule_without_start_begins_with_the_interval_that_has_just_ended(timed: TimedFlow):
    publish(timed, cron("@hourly"))
    timed.move_to("2026-03-01T12:59")
    assert moments(timed) == ["2026-03-01T11:00"]


def test_catch_up_runs_all_that_was_missed_and_no_more_at_once_than_may_be_active(timed: TimedFlow):
    fields = {"start_time": moment("2026-02-24T00:00"), "catchup": True, "max_active_runs": 2}
    worker = publish(timed, cron(), **fields)
    timed.continue_all()
    assert moments(timed) == ["2026-02-24T00:00", "2026-02-25T00:00"]
    assert timers(timed) == {}
    assert next_time(timed) == "2026-02-27T00:00"
    (first, _) = timed.take(worker)
    timed.run(first, worker)
    timed.continue_all()
    assert moments(timed) == ["2026-02-24T00:00", "2026-02-25T00:00", "2026-02-26T00:00"]
    timed.work_off(worker)
    assert moments(timed) == [f"2026-02-{day}T00:00" for day in range(24, 29)]
    assert {run.state for run in runs(timed)} == {"succeeded"}
    assert next_time(timed) == "2026-03-02T00:00"
    assert timers(timed) == {"schedule default/d": "2026-03-02T00:00"}


def test_without_catch_up_a_dag_that_is_full_skips_to_the_latest_interval(timed: TimedFlow):
    worker = publish(timed, cron("@hourly"), max_active_runs=1)
    timed.move_to("2026-03-01T15:30")
    assert moments(timed) == ["2026-03-01T11:00"]
    timed.work_off(worker)
    assert moments(timed) == ["2026-03-01T11:00", "2026-03-01T14:00"]


def test_a_paused_schedule_creates_nothing_and_goes_on_as_catch_up_says(timed: TimedFlow):
    worker = publish(timed, cron("@hourly"))
    timed.move_to("2026-03-01T13:00")
    timed.pause("d", True)
    assert (next_time(timed), timers(timed)) == (None, {})
    timed.move_to("2026-03-01T17:30")
    assert len(runs(timed)) == 2
    timed.pause("d", False)
    assert moments(timed) == ["2026-03-01T11:00", "2026-03-01T12:00", "2026-03-01T16:00"]
    timed.publish(dag_of("d", task("a"), schedule=cron("@hourly"), catchup=True), to=worker)
    timed.pause("d", True)
    timed.move_to("2026-03-01T20:30")
    timed.pause("d", False)
    assert moments(timed)[3:] == ["2026-03-01T17:00", "2026-03-01T18:00", "2026-03-01T19:00"]


def test_a_changed_schedule_goes_on_from_the_data_that_was_covered(timed: TimedFlow):
    worker = publish(timed, cron("@hourly"))
    timed.move_to("2026-03-01T14:30")
    timed.publish(dag_of("d", task("a"), schedule=cron("@daily")), to=worker)
    assert next_time(timed) == "2026-03-03T00:00"
    timed.publish(dag_of("d", task("a"), schedule=every(1800)), to=worker)
    timed.move_to("2026-03-01T14:59")
    assert moments(timed) == ["2026-03-01T11:00", "2026-03-01T12:00", "2026-03-01T13:00", "2026-03-01T14:00"]
    timed.publish(dag_of("d", task("a")), to=worker)
    assert (next_time(timed), timers(timed)) == (None, {})


def test_a_dag_that_is_gone_is_scheduled_no_more_until_it_is_back(timed: TimedFlow):
    worker = publish(timed, cron("@hourly"))
    timed.move_to("2026-03-01T12:30")
    timed.publish(dag_of("other", task("a")), to=worker, version="other")
    query = select(dag.c.next_run_time).where(dag.c.dag_id == "d")
    assert timed.store.read_blocking(lambda uow: uow.execute(query).scalar_one()) is None
    timed.move_to("2026-03-01T15:30")
    assert len(runs(timed)) == 1
    timed.publish(dag_of("d", task("a"), schedule=cron("@hourly")), to=worker, version="back")
    timed.continue_all()
    assert moments(timed) == ["2026-03-01T11:00", "2026-03-01T14:00"]


def test_the_same_version_again_changes_nothing(timed: TimedFlow):
    worker = publish(timed, cron("@hourly"))
    timed.continue_all()
    timed.publish(dag_of("d", task("a"), schedule=cron("@hourly")), to=worker)
    timed.continue_all()
    assert moments(timed) == ["2026-03-01T11:00"]


def test_a_run_of_that_id_which_is_there_already_is_left_alone(timed: TimedFlow):
    publish(timed, cron("@hourly"), start_time=moment("2026-03-01T13:00"))
    mine = timed.trigger("d", run_id="scheduled__2026-03-01T13:00:00.000000Z")
    timed.move_to("2026-03-01T14:30")
    assert [run.id for run in runs(timed)] == [mine]
    assert next_time(timed) == "2026-03-01T15:00"


def test_once_runs_once(timed: TimedFlow):
    worker = publish(timed, schedule_pb2.Schedule(once=schedule_pb2.OnceSchedule()))
    timed.continue_all()
    timed.publish(dag_of("d", task("a"), task("b"), schedule=schedule_pb2.Schedule(once={})), to=worker)
    timed.pass_time(3 * DAY)
    (run,) = runs(timed)
    assert (shown(run.logical_time), run.data_interval_start) == ("2026-03-01T12:00", None)


def test_events_run_at_their_moments(timed: TimedFlow):
    times = [moment(text) for text in ("2026-02-01T00:00", "2026-03-01T13:00", "2026-03-01T13:30", "2026-03-05T00:00")]
    listed = schedule_pb2.Schedule(events=schedule_pb2.EventListSchedule(times=times))
    publish(timed, listed, start_time=moment("2026-03-01T00:00"))
    timed.move_to("2026-03-01T14:00")
    assert moments(timed) == ["2026-03-01T13:00", "2026-03-01T13:30"]
    timed.move_to("2026-03-06T00:00")
    assert moments(timed)[2:] == ["2026-03-05T00:00"]
    assert (next_time(timed), timers(timed)) == (None, {})


def test_the_night_on_which_clocks_are_put_forward_and_that_on_which_they_go_back(timed: TimedFlow):
    timed.clock.now = at("2026-03-28T12:00")
    bounds = {"start_time": moment("2026-03-28T00:00"), "max_active_runs": 300}
    publish(timed, cron("30 2 * * *", "Europe/Berlin"), catchup=True, **bounds)
    timed.move_to("2026-10-26T12:00")
    created = [shown(run.queued_time) for run in runs(timed)]
    assert created[:3] == ["2026-03-29T01:00", "2026-03-30T00:30", "2026-03-31T00:30"]
    assert created[-3:] == ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"]
    # Once a day, on these two as well.
    assert len(created) == 212
    assert [shown(run.logical_time) for run in runs(timed)][1:] == created[:-1]


def test_a_timetables_answers_become_runs_and_it_is_asked_when_they_run_out(timed: TimedFlow):
    asked: list[str] = []
    timed.heart.schedules._ask = lambda _uow, row: asked.append(row.dag_id)
    publish(timed, schedule_pb2.Schedule(timetable=schedule_pb2.TimetableSchedule(entry_point="mod:dates")))
    assert asked == ["d"]
    first, second = at("2026-03-01T13:00"), at("2026-03-01T15:00")
    dates = [ScheduledRun(second, None, None, second), ScheduledRun(first, first - HOUR, first, first)]
    timed.act(lambda uow: timed.heart.schedules.take_dates(uow, TEAM, "d", dates))
    assert next_time(timed) == "2026-03-01T13:00"
    timed.move_to("2026-03-01T14:00")
    assert (moments(timed), next_time(timed), asked) == (["2026-03-01T13:00"], "2026-03-01T15:00", ["d"])
    timed.move_to("2026-03-01T15:00")
    assert (moments(timed), asked) == (["2026-03-01T13:00", "2026-03-01T15:00"], ["d", "d"])
    timed.act(lambda uow: timed.heart.schedules.take_dates(uow, TEAM, "d", dates))
    assert (next_time(timed), asked) == (None, ["d", "d"])


def test_many_dags_due_at_once_are_done_in_bounded_pieces(timed: TimedFlow):
    worker = timed.register()
    dags = [dag_of(f"d{number}", task("a"), schedule=cron("@hourly")) for number in range(120)]
    timed.publish(*dags, to=worker)
    with counted(timed.store) as statements:
        rung = timed.ring()
    assert rung == 120
    rows = timed.store.read_blocking(lambda uow: uow.execute(select(dag_run.c.dag_id, dag_run.c.state)).all())
    assert sorted(row.dag_id for row in rows) == sorted(each.dag_id for each in dags)
    assert {row.state for row in rows} == {"running"}
    # Three pieces, and a look that finds no more.
    assert len(statements) <= 3 * 14 + 1


def test_people_see_when_the_next_run_is_created(timed: TimedFlow):
    publish(timed, cron())
    timed.continue_all()
    versions = timed.heart.plans.versions
    listed = timed.store.read_blocking(lambda uow: dag_listing.get_dag(uow, versions, TEAM, "d"))
    assert shown(listed.next_run_us) == "2026-03-02T00:00"


def test_a_run_that_is_triggered_for_a_moment_covers_the_interval_before_it(timed: TimedFlow):
    publish(timed, cron(), start_time=moment("2026-03-05T00:00"))
    run = timed.row(dag_run, timed.trigger("d", logical_time=at("2026-02-10T06:00")))
    assert (shown(run.data_interval_start), shown(run.data_interval_end)) == ("2026-02-09T00:00", "2026-02-10T00:00")
    assert timed.row(dag_run, timed.trigger("d")).data_interval_start is None


def test_the_run_before_is_that_of_the_moment_before(timed: TimedFlow):
    publish(timed, cron(), start_time=moment("2026-03-05T00:00"))
    days = ("2026-02-10T00:00", "2026-02-12T00:00", "2026-02-11T00:00")
    keys = {day: timed.trigger("d", run_id=f"run-{day[:10]}", logical_time=at(day)) for day in days}
    timed.cancel(keys["2026-02-11T00:00"])

    def before(run_id: str, state: str | None = None) -> str | None:
        found = timed.store.read_blocking(lambda uow: run_listing.find_previous(uow, TEAM, "d", run_id, state=state))
        return None if found is None else found.run_id

    assert before("run-2026-02-12") == "run-2026-02-11"
    assert before("run-2026-02-12", "running") == "run-2026-02-10"
    assert before("run-2026-02-10") is None
    timed.trigger("d", run_id="mine")
    assert before("mine") == "run-2026-02-11"


def test_a_timer_that_fails_keeps_no_other_from_its_turn(timed: TimedFlow, caplog: pytest.LogCaptureFixture):
    worker = timed.register()
    timed.publish(*(dag_of(f"d{number}", task("a"), schedule=cron("@hourly")) for number in range(5)), to=worker)
    ring = timed.heart.schedules.ring

    def break_down(uow: Any, subjects: Any) -> None:
        if "default/d2" in subjects:
            raise RuntimeError("This one cannot be read.")
        ring(uow, subjects)

    keeper: Any = timed.heart.timekeeper
    keeper._timers = {**keeper._timers, "schedule": break_down}
    for _ in range(10):
        asyncio.run(keeper.tick())
    rows = timed.store.read_blocking(lambda uow: uow.execute(select(dag_run.c.dag_id)).scalars().all())
    assert sorted(rows) == ["d0", "d1", "d3", "d4"]
    assert timers(timed)["schedule default/d2"] == "2026-03-01T12:01"
    assert "A timer failed" in caplog.text
    keeper._timers["schedule"] = ring
    timed.pass_time(120 * 1_000_000)
    assert len(runs(timed, "d2")) == 1
