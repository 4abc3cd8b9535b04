"""Backfills: which runs they create, in which order, how many at once, and how they end. On both databases."""

import json
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from crosswind.manifest.v1 import dag_pb2, schedule_pb2
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server.services.listing import backfill_listing
from crosswind_server.services.runs.backfills import BackfillPlan, CreateBackfill
from crosswind_server.store.schema import dag_run
from tests.store.clocks import DAY, TimedFlow, at, shown
from tests.store.dags import dag_of, json_payload, task
from tests.store.flow import TEAM, Worker, refused
from tests.store.interventions import clear

DAILY = schedule_pb2.Schedule(cron=schedule_pb2.CronSchedule(expression="@daily"))
SPAN = {"start": at("2026-02-01T00:00"), "end": at("2026-02-05T00:00")}


def publish(flow: TimedFlow, schedule: schedule_pb2.Schedule | None = DAILY, **fields: Any) -> Worker:
    worker = flow.register(slots=100)
    fields.setdefault("start_time", Timestamp(seconds=at("2026-03-01T00:00") // 1_000_000))
    flow.publish(dag_of("d", task("a"), schedule=schedule, **fields), to=worker)
    flow.continue_all()
    return worker


def create(flow: TimedFlow, **fields: Any) -> str:
    command = CreateBackfill(team=TEAM, **{"dag_id": "d", **SPAN, **fields})
    backfill_id: str = flow.act(lambda uow: flow.heart.backfills.create(uow, command))[0]
    flow.continue_all()
    return backfill_id


def planned(flow: TimedFlow, **fields: Any) -> BackfillPlan:
    command = CreateBackfill(team=TEAM, **{"dag_id": "d", **SPAN, **fields})
    return flow.store.read_blocking(lambda uow: flow.heart.backfills.plan(uow, command))


def runs(flow: TimedFlow) -> list[Any]:
    query = select(dag_run).order_by(dag_run.c.id)
    return list(flow.store.read_blocking(lambda uow: uow.execute(query).all()))


def days(flow: TimedFlow, state: str | None = None) -> list[str]:
    return [(shown(run.logical_time) or "")[8:10] for run in runs(flow) if state in (None, run.state)]


def facts(flow: TimedFlow, backfill_id: str) -> tuple[str, int, int, int, int]:
    """State, and how many moments there are, and runs created, ended, and moments left alone."""
    listed = flow.store.read_blocking(lambda uow: backfill_listing.read_backfill(uow, TEAM, backfill_id))
    row = listed.row
    return row.state, row.total_count, row.created_count, row.created_count - listed.active, row.skipped_count


def test_runs_are_created_as_its_own_bound_allows_the_earliest_first(timed: TimedFlow):
    worker = publish(timed, max_active_runs=1)
    backfill_id = create(timed, max_active_runs=2)
    assert days(timed, "running") == ["01", "02"]
    assert facts(timed, backfill_id) == ("running", 4, 2, 0, 0)
    first = runs(timed)[0]
    assert (first.run_id, first.run_type) == ("backfill__2026-02-01T00:00:00.000000Z", "backfill")
    assert (first.triggered_by, first.backfill_id) == (f"backfill {backfill_id}", backfill_id)
    assert shown(first.data_interval_end) == "2026-02-02T00:00"
    # The bound of the DAG's own runs is not touched.
    assert timed.run_state(timed.trigger("d", run_id="mine")) == "running"
    for lease in timed.take(worker):
        if lease.run_id == first.run_id:
            timed.run(lease, worker)
    timed.continue_all()
    assert facts(timed, backfill_id) == ("running", 4, 3, 1, 0)
    timed.work_off(worker)
    assert facts(timed, backfill_id) == ("succeeded", 4, 4, 4, 0)
    assert [day for day in days(timed) if day] == ["01", "02", "03", "04"]


def test_the_latest_comes_first_where_it_is_said(timed: TimedFlow):
    worker = publish(timed)
    create(timed, reverse=True, max_active_runs=1)
    timed.work_off(worker)
    assert days(timed) == ["04", "03", "02", "01"]


def test_one_run_that_fails_fails_it_after_all_others_have_run(timed: TimedFlow):
    worker = publish(timed)
    backfill_id = create(timed)
    leases = timed.take(worker)
    timed.run(leases[0], worker, "failed")
    for lease in leases[1:]:
        timed.run(lease, worker)
    timed.continue_all()
    assert facts(timed, backfill_id) == ("failed", 4, 4, 4, 0)


def test_runs_that_are_there_are_left_alone_or_cleared_as_the_policy_says(timed: TimedFlow):
    worker = publish(timed)
    outcomes = {"01": "succeeded", "02": "failed"}
    create(timed, end=at("2026-02-03T00:00"))
    for lease in timed.take(worker):
        timed.run(lease, worker, outcomes[lease.run_id[18:20]])
    timed.continue_all()
    assert days(timed) == ["01", "02"]

    plan = planned(timed)
    assert (plan.total, plan.skipped, [shown(each.run.logical_time) for each in plan.planned]) == (
        4,
        2,
        ["2026-02-03T00:00", "2026-02-04T00:00"],
    )
    plan = planned(timed, reprocess="failed")
    assert [each.existing_run_id for each in plan.planned] == ["backfill__2026-02-02T00:00:00.000000Z", "", ""]
    assert len(planned(timed, reprocess="ended").planned) == 4

    second = create(timed, reprocess="failed", max_active_runs=1)
    assert days(timed, "running") == ["02"]
    timed.work_off(worker)
    assert facts(timed, second) == ("succeeded", 4, 3, 3, 1)
    assert {run.backfill_id for run in runs(timed)[1:]} == {second}
    third = create(timed)
    assert facts(timed, third) == ("succeeded", 4, 0, 0, 4)
    fourth = create(timed, reprocess="ended")
    timed.work_off(worker)
    assert facts(timed, fourth) == ("succeeded", 4, 4, 4, 0)


def test_a_run_that_has_not_ended_is_always_left_alone(timed: TimedFlow):
    publish(timed)
    create(timed, end=at("2026-02-02T00:00"))
    backfill_id = create(timed, reprocess="ended", max_active_runs=1)
    assert facts(timed, backfill_id) == ("running", 4, 1, 0, 1)
    assert days(timed, "running") == ["01", "02"]


def test_a_plan_changes_nothing(timed: TimedFlow):
    publish(timed)
    assert planned(timed).total == 4
    timed.continue_all()
    assert (runs(timed), timed.store.read_blocking(lambda uow: _listed(uow))) == ([], [])


def _listed(uow: Any) -> list[Any]:
    return list(backfill_listing.list_backfills(uow, TEAM, dag_id="", states=(), before_id=None, limit=9))


def test_a_cancel_ends_its_runs_and_creates_no_more(timed: TimedFlow):
    worker = publish(timed)
    backfill_id = create(timed, max_active_runs=2)
    (one, _) = timed.take(worker)
    timed.start(one, worker)
    timed.act(lambda uow: timed.heart.backfills.cancel(uow, team=TEAM, backfill_id=backfill_id))
    timed.continue_all()
    assert facts(timed, backfill_id)[0] == "cancelling"
    assert sorted(run.state for run in runs(timed)) == ["cancelled", "cancelling"]
    timed.finish(one, "cancelled")
    timed.continue_all()
    assert facts(timed, backfill_id) == ("cancelled", 4, 2, 2, 0)
    timed.act(lambda uow: timed.heart.backfills.cancel(uow, team=TEAM, backfill_id=backfill_id))
    timed.pass_time(DAY)
    assert [run.run_type for run in runs(timed)] == ["backfill", "backfill", "scheduled"]
    assert refused(lambda: timed.act(lambda uow: timed.heart.backfills.cancel(uow, team=TEAM, backfill_id="x"))) == (
        "BACKFILL_NOT_FOUND"
    )


def test_of_a_paused_dag_runs_are_created_and_wait(timed: TimedFlow):
    worker = publish(timed)
    timed.pause("d", True)
    backfill_id = create(timed, max_active_runs=3)
    assert days(timed, "queued") == ["01", "02", "03"]
    timed.pause("d", False)
    assert days(timed, "running") == ["01", "02", "03"]
    timed.work_off(worker)
    assert facts(timed, backfill_id) == ("succeeded", 4, 4, 4, 0)


def test_all_runs_get_the_conf(timed: TimedFlow):
    param = dag_pb2.Param(name="x", json_schema='{"type": "integer"}', default_value=json_payload(1))
    publish(timed, params=[param])
    assert refused(lambda: create(timed, conf=json_payload({"x": "one"}).SerializeToString())) == "CONF_INVALID"
    create(timed, conf=json_payload({"x": 2}).SerializeToString())
    found = [json.loads(Payload.FromString(run.conf_message).data) for run in runs(timed)]
    assert found == [{"x": 2}] * 4


ONCE = schedule_pb2.Schedule(once=schedule_pb2.OnceSchedule())
SECONDS = schedule_pb2.Schedule(interval=schedule_pb2.IntervalSchedule(interval=Duration(seconds=1)))


@pytest.mark.parametrize(
    ("schedule", "reason"), [(None, "DAG_NOT_SCHEDULED"), (ONCE, "DAG_NOT_SCHEDULED"), (SECONDS, "INVALID_ARGUMENT")]
)
def test_what_has_no_moments_or_too_many_is_refused(timed: TimedFlow, schedule: Any, reason: str):
    publish(timed, schedule, max_active_runs=1)
    assert refused(lambda: create(timed)) == reason
    assert refused(lambda: create(timed, dag_id="nobody")) == "DAG_NOT_FOUND"


def test_large_runs_of_a_backfill_are_made_in_pieces(timed: TimedFlow):
    worker = timed.register(slots=100)
    tasks = [task(f"t{number}") for number in range(600)]
    timed.publish(
        dag_of("d", *tasks, schedule=DAILY, start_time=Timestamp(seconds=at("2026-03-01T00:00") // 1_000_000)),
        to=worker,
    )
    backfill_id = create(timed, end=at("2026-02-03T00:00"))
    assert facts(timed, backfill_id) == ("running", 2, 2, 0, 0)
    assert {run.state for run in runs(timed)} == {"running"}


def test_a_span_of_listed_times(timed: TimedFlow):
    times = [
        Timestamp(seconds=at(text) // 1_000_000)
        for text in ("2026-02-01T03:00", "2026-02-04T03:00", "2026-02-06T00:00")
    ]
    publish(timed, schedule_pb2.Schedule(events=schedule_pb2.EventListSchedule(times=times)))
    create(timed)
    assert [shown(run.logical_time) for run in runs(timed)] == ["2026-02-01T03:00", "2026-02-04T03:00"]


def test_what_is_not_over_is_left_to_the_schedule(timed: TimedFlow):
    worker = publish(timed)
    assert timed.now == at("2026-03-01T12:00")
    span = {"start": at("2026-02-27T00:00"), "end": at("2026-03-05T00:00")}
    for reverse in (False, True):
        assert len(planned(timed, **span, reverse=reverse).planned) == planned(timed, **span).total == 2
    backfill_id = create(timed, **span, max_active_runs=1)
    timed.move_to("2026-03-02T12:00")
    timed.work_off(worker)
    timed.continue_all()
    assert facts(timed, backfill_id) == ("succeeded", 2, 2, 2, 0)
    assert [run.run_type for run in runs(timed) if shown(run.logical_time) == "2026-03-01T00:00"] == ["scheduled"]
    assert refused(lambda: planned(timed, start=at("2026-03-03T00:00"), end=at("2026-03-05T00:00"))) == (
        "INVALID_ARGUMENT"
    )


def test_listed_times_that_are_to_come_are_left_to_the_schedule(timed: TimedFlow):
    times = [Timestamp(seconds=at(text) // 1_000_000) for text in ("2026-03-01T03:00", "2026-03-04T03:00")]
    publish(timed, schedule_pb2.Schedule(events=schedule_pb2.EventListSchedule(times=times)))
    assert planned(timed, start=at("2026-03-01T00:00"), end=at("2026-03-09T00:00")).total == 1


@pytest.mark.parametrize("catchup", [True, False], ids=["catch-up", "only the latest"])
def test_the_schedule_makes_no_second_run_for_a_moment_that_was_filled(timed: TimedFlow, catchup: bool):
    worker = publish(
        timed,
        start_time=Timestamp(seconds=at("2026-02-26T00:00") // 1_000_000),
        catchup=catchup,
        paused_upon_creation=True,
    )
    assert runs(timed) == []
    create(timed, start=at("2026-02-27T00:00"), end=at("2026-03-01T00:00"))
    timed.pause("d", False)
    timed.work_off(worker)
    timed.continue_all()
    timed.move_to("2026-03-02T00:00")
    found = sorted((shown(run.logical_time), run.run_type) for run in runs(timed))
    missed = [("2026-02-26T00:00", "scheduled")] if catchup else []
    assert found == [
        *missed,
        ("2026-02-27T00:00", "backfill"),
        ("2026-02-28T00:00", "backfill"),
        ("2026-03-01T00:00", "scheduled"),
    ]


def test_a_cleared_run_waits_for_a_place_in_its_backfill(timed: TimedFlow):
    worker = publish(timed)
    span = {"start": at("2026-02-01T00:00"), "end": at("2026-02-04T00:00")}
    backfill_id = create(timed, **span, max_active_runs=1)

    def states() -> list[str]:
        return [run.state for run in runs(timed) if run.backfill_id == backfill_id]

    timed.run(timed.take(worker)[0], worker)
    timed.continue_all()
    assert states() == ["succeeded", "running"]
    first = next(run.id for run in runs(timed) if run.backfill_id == backfill_id)
    clear(timed, first)
    timed.continue_all()
    assert states() == ["queued", "running"]
    timed.run(timed.take(worker)[0], worker)
    timed.continue_all()
    assert states() == ["running", "succeeded"]
    timed.work_off(worker)
    assert states() == ["succeeded"] * 3
    # Also when the backfill has ended.
    for run in runs(timed)[:2]:
        clear(timed, run.id)
    timed.continue_all()
    assert (facts(timed, backfill_id)[0], states()) == ("succeeded", ["running", "queued", "succeeded"])
    timed.work_off(worker)
    assert states() == ["succeeded"] * 3
