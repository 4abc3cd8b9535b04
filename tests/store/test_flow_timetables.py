"""Timetables: a worker is asked for a DAG's next dates, and the schedule makes runs of its answers."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from crosswind.execution.v1.lease_pb2 import TimetableContext
from crosswind.manifest.v1 import dag_pb2, schedule_pb2
from crosswind_server.domain.schedule import ScheduledRun
from crosswind_server.domain.states import Workload
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.listing import run_listing
from crosswind_server.services.listing.run_listing import RunFilter
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import dag, dag_run
from tests.store.dags import dag_of, task
from tests.store.flow import TEAM, Flow, Worker

DAY_US = 86_400_000_000
FIRST_US = 1_700_000_000_000_000
FAR_US = 4_000_000_000_000_000


def timetable_dag(entry_point: str = "mod:dates", **fields: Any) -> dag_pb2.Dag:
    """A DAG whose dates its own code knows."""
    start = Timestamp()
    start.FromMicroseconds(FIRST_US)
    timetable = schedule_pb2.TimetableSchedule(entry_point=entry_point, config_json='{"n": 1}')
    return dag_of(
        "d", task("a"), schedule=schedule_pb2.Schedule(timetable=timetable), start_time=start, catchup=True, **fields
    )


def ring(flow: Flow) -> None:
    """Do what is due for timers, and what that leaves, until nothing is."""
    while flow.store.write_blocking(each(flow.heart.timekeeper.ring), None) or flow.continue_all():
        pass


def asked(flow: Flow, worker: Worker) -> tuple[Lease, TimetableContext]:
    """The question to the timetable, started."""
    ring(flow)
    (lease,) = [lease for lease in flow.take(worker) if lease.workload == "timetable"]
    context = flow.start(lease, worker)
    assert context.workload is Workload.TIMETABLE
    assert context.workload_message is not None
    return lease, TimetableContext.FromString(context.workload_message)


def days(*numbers: int) -> tuple[ScheduledRun, ...]:
    """Runs of days, due long ago."""
    return tuple(
        ScheduledRun(start, start, start + DAY_US, start + DAY_US)
        for start in (FIRST_US + number * DAY_US for number in numbers)
    )


def logical_days(flow: Flow) -> list[int]:
    """The days that the runs of the schedule stand for."""
    query = select(dag_run).where(dag_run.c.run_type == "scheduled").order_by(dag_run.c.logical_time)
    rows = flow.store.read_blocking(lambda uow: uow.execute(query).all())
    return [(row.logical_time - FIRST_US) // DAY_US for row in rows]


def test_the_runs_are_those_that_the_code_answers_and_it_is_asked_again_when_they_are_used_up(flow: Flow):
    worker = flow.register()
    flow.publish(timetable_dag(), to=worker)
    lease, question = asked(flow, worker)
    assert (lease.entry_point, lease.task_id) == ("mod:dates", "")
    assert (question.config_json, question.limit, question.catchup) == ('{"n": 1}', 100, True)
    assert question.start_time.ToMicroseconds() == FIRST_US
    assert not question.HasField("last_run")
    flow.finish(lease, next_runs=days(0, 1))
    ring(flow)
    assert logical_days(flow) == [0, 1]
    lease, question = asked(flow, worker)
    assert question.last_run.logical_time.ToMicroseconds() == FIRST_US + DAY_US
    # What it answered before counts once.
    flow.finish(lease, next_runs=days(1, 2))
    ring(flow)
    assert logical_days(flow) == [0, 1, 2]
    lease, _ = asked(flow, worker)
    flow.finish(lease, next_runs=(ScheduledRun(FAR_US, None, None, FAR_US),))
    ring(flow)
    (row,) = flow.store.read_blocking(lambda uow: uow.execute(select(dag)).all())
    assert row.next_run_time == FAR_US
    assert [each_lease.workload for each_lease in flow.take(worker)] == ["task"] * 3


def test_an_answer_without_dates_ends_the_schedule(flow: Flow):
    worker = flow.register()
    flow.publish(timetable_dag(), to=worker)
    lease, _ = asked(flow, worker)
    flow.finish(lease)
    ring(flow)
    assert flow.take(worker) == []
    assert logical_days(flow) == []


def test_code_that_fails_is_asked_again_and_again(flow: Flow):
    worker = flow.register()
    flow.publish(timetable_dag(), to=worker)
    for _ in range(5):
        lease, _ = asked(flow, worker)
        flow.finish(lease, "failed")
        assert flow.take(worker) == []
        flow.wake()
    lease, _ = asked(flow, worker)
    flow.finish(lease, next_runs=days(0))
    ring(flow)
    assert logical_days(flow) == [0]


def test_it_is_no_run_to_anybody(flow: Flow):
    worker = flow.register()
    flow.publish(timetable_dag(), to=worker)
    asked(flow, worker)
    assert (
        flow.store.read_blocking(
            lambda uow: run_listing.list_runs(uow, TEAM, RunFilter(dag_id="d"), before_id=None, limit=10)
        )
        == []
    )
    (row,) = flow.store.read_blocking(lambda uow: uow.execute(select(dag_run)).all())
    assert (row.run_type, row.unfinished) == ("timetable", 0)
    assert row.end_time is not None


def test_a_new_version_is_asked_anew_and_the_old_ones_answer_counts_no_more(flow: Flow):
    worker = flow.register()
    flow.publish(timetable_dag(), to=worker)
    old, _ = asked(flow, worker)
    flow.publish(timetable_dag("mod:other"), to=worker)
    lease, _ = asked(flow, worker)
    assert lease.entry_point == "mod:other"
    flow.finish(lease, next_runs=days(3))
    flow.finish(old, next_runs=days(0))
    ring(flow)
    assert logical_days(flow) == [3]


def test_nobody_is_asked_while_the_dag_is_paused(flow: Flow):
    worker = flow.register()
    flow.publish(timetable_dag(paused_upon_creation=True), to=worker)
    ring(flow)
    assert flow.take(worker) == []
