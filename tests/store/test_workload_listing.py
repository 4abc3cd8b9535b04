"""Triggers, callbacks and timetables as people see them: listed, filtered, paged, explained, and with their logs."""

import dataclasses
import re
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Executable, text

from crosswind.execution.v1.failure_pb2 import Failure
from crosswind_server.domain.errors import Refused
from crosswind_server.domain.states import WaitingReason
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.execution.logs import AttemptChunks, LogChunk, append_logs
from crosswind_server.services.listing import workload_listing
from crosswind_server.services.listing.log_reading import LogWanted
from crosswind_server.services.listing.workload_listing import ListedWorkload, WorkloadsWanted
from crosswind_server.services.runs.runs import TriggerRun
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import ENROLMENT, TEAM, Flow, Worker, counted
from tests.store.test_flow_callbacks import calling, run_callback
from tests.store.test_flow_timetables import ring, timetable_dag
from tests.store.test_flow_triggers import WATCH

NEWEST = LogWanted(attempt_id="", try_number=None, from_sequence=0, last_records=None, grace_us=30_000_000)


def listed(flow: Flow, *, team: str = TEAM, limit: int = 100, after: Any = None, **wanted: Any) -> list[ListedWorkload]:
    """A page of workloads."""
    chosen = WorkloadsWanted(**wanted)
    return list(
        flow.store.read_blocking(
            lambda uow: workload_listing.list_workloads(uow, team, chosen, after=after, limit=limit)
        )
    )


def names(found: list[ListedWorkload]) -> list[str]:
    """What was listed, by entry point."""
    return [each.row.workload_entry_point for each in found]


def get(flow: Flow, workload_id: str, team: str = TEAM) -> ListedWorkload:
    """One workload."""
    return flow.store.read_blocking(lambda uow: workload_listing.get_workload(uow, team, workload_id))


def refusal(flow: Flow, call: Any) -> str:
    """The reason with which a reading is refused."""
    with pytest.raises(Refused) as refused:
        flow.store.read_blocking(call)
    return refused.value.reason.value


@dataclasses.dataclass
class Kinds:
    """A server that has a workload of each kind: a trigger and two callbacks of a run, and a timetable."""

    flow: Flow
    worker: Worker
    run: str
    run_id: str

    def lease(self, entry_point: str) -> Lease:
        """The lease of a workload that is queued."""
        return next(lease for lease in self.flow.take(self.worker) if lease.entry_point == entry_point)


@pytest.fixture
def kinds(flow: Flow) -> Kinds:
    """Each kind of workload, all of them queued."""
    worker = flow.register(roles=["tasks", "triggers"])
    dag = dag_of(
        "calls", calling(task("a"), failure="mod:alarm"), task("w"), callbacks=[run_callback("failure", "mod:end")]
    )
    flow.publish(dag, timetable_dag(), to=worker)
    run = flow.trigger("calls")
    a, w = flow.take(worker)
    flow.defer(w, worker, WATCH)
    flow.run(a, worker, "failed")
    ring(flow)
    return Kinds(flow, worker, run, flow.row_of_run(run).run_id)


def test_each_kind_is_listed_the_newest_first_and_says_what_it_is_for(kinds: Kinds):
    flow = kinds.flow
    found = listed(flow)
    assert names(found) == ["mod:dates", "mod:alarm", "mod:watch"]
    timetable, alarm, watch = found
    assert [each.row.workload for each in found] == ["timetable", "callback", "trigger"]
    assert [(each.row.dag_id, each.run_id, each.row.task_id) for each in found] == [
        ("d", "", ""),
        ("calls", kinds.run_id, "a"),
        ("calls", kinds.run_id, "w"),
    ]
    assert (alarm.event, watch.event, timetable.event) == ("failure", "", "")
    assert (timetable.max_tries, alarm.max_tries, watch.max_tries) == (0, 1, 4)
    assert {each.bundle for each in found} == {"flows"}
    assert get(flow, alarm.row.id) == alarm


def test_filters_apply_together(kinds: Kinds):
    flow, run_id = kinds.flow, kinds.run_id
    flow.run(kinds.lease("mod:alarm"), kinds.worker, "failed")
    assert names(listed(flow, dag_id="d")) == ["mod:dates"]
    assert names(listed(flow, dag_id="calls")) == ["mod:alarm", "mod:watch"]
    assert names(listed(flow, dag_id="calls", run_id=run_id, task_id="w")) == ["mod:watch"]
    assert names(listed(flow, kinds=("trigger", "timetable"))) == ["mod:dates", "mod:watch"]
    assert names(listed(flow, states=("failed",))) == ["mod:alarm"]
    assert names(listed(flow, states=("failed",), kinds=("trigger",))) == []
    assert names(listed(flow, dag_id="calls", run_id=run_id, states=("assigned",))) == ["mod:watch"]
    wanted = WorkloadsWanted(dag_id="calls", run_id="none")
    assert refusal(flow, lambda uow: workload_listing.list_workloads(uow, TEAM, wanted, after=None, limit=1)) == (
        "RUN_NOT_FOUND"
    )


def test_each_state_is_told_with_what_it_waits_for_or_why_it_failed(kinds: Kinds):
    flow, worker = kinds.flow, kinds.worker

    def told() -> tuple[str, WaitingReason | None, str]:
        (alarm,) = listed(flow, kinds=("callback",), states=())[-1:]
        waiting = alarm.waiting
        if waiting is None:
            return alarm.row.state, None, ""
        return alarm.row.state, waiting.reason, waiting.detail

    assert told() == ("queued", WaitingReason.SLOTS, "Is ready; worker 'w1' can take it in a moment.")
    flow.pause("calls", True)
    assert told() == ("queued", WaitingReason.PAUSED, "The DAG 'calls' is paused; unpause it.")
    flow.pause("calls", False)
    lease = kinds.lease("mod:alarm")
    assert told() == ("assigned", None, "")
    flow.start(lease, worker)
    assert told() == ("running", None, "")
    flow.finish(lease, "failed")
    assert told() == ("failed", None, "")
    alarm = listed(flow, kinds=("callback",))[-1]
    assert Failure.FromString(alarm.row.failure_message).type == "ValueError"
    attempts = flow.store.read_blocking(
        lambda uow: workload_listing.list_attempts(uow, TEAM, alarm.row.id, before_id=None, limit=10)
    )
    assert [(row.id, row.state, row.worker_name) for row in attempts] == [(lease.attempt_id, "failed", "w1")]


def test_a_trigger_says_when_it_is_tried_or_asked_again_and_whose_role_it_needs(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.defer(lease, worker, WATCH)

    def told() -> tuple[str, WaitingReason, str]:
        (trigger,) = listed(flow)
        assert trigger.waiting is not None
        return trigger.row.state, trigger.waiting.reason, re.sub(r"\d{4}-\S+Z|\w{12}\b", "..", trigger.waiting.detail)

    assert told() == (
        "queued",
        WaitingReason.LABELS,
        "No worker that offers the version .. of the DAG 'd' (bundle 'flows') runs triggers; start one with the role.",
    )
    triggerer = flow.register("t", roles=["triggers"])
    flow.publish(dag_of("d", task("a")), to=triggerer)
    (lease,) = flow.take(triggerer)
    flow.run(lease, triggerer, "failed")
    assert told() == ("up_for_retry", WaitingReason.NOT_BEFORE, "The next try begins not before ...")
    flow.wake()
    (lease,) = flow.take(triggerer)
    flow.start(lease, triggerer)
    flow.cancel(flow.workloads(listed(flow)[0].row.run_key)[0].run_key)
    assert told() == ("cancelling", WaitingReason.CANCEL_PENDING, "The worker 't' has not confirmed the cancel yet.")
    flow.finish(lease, "cancelled")
    assert listed(flow)[0].row.state == "cancelled"


def test_a_team_sees_its_own_only(kinds: Kinds):
    flow = kinds.flow
    other = dataclasses.replace(ENROLMENT, team="other")
    theirs = flow.register("w1", caller=other)
    flow.publish(dag_of("calls", calling(task("a"), success="mod:theirs")), to=theirs)
    triggered = flow.store.write_blocking(flow.heart.trigger, TriggerRun(team="other", dag_id="calls", run_id="r"))
    (lease,) = flow.take(theirs)
    flow.run(lease, theirs)
    assert names(listed(flow, team="other")) == ["mod:theirs"]
    assert "mod:theirs" not in names(listed(flow))
    (made,) = flow.workloads(triggered.key)
    assert get(flow, made.id, "other").row.id == made.id
    for call in (
        lambda uow: workload_listing.get_workload(uow, TEAM, made.id),
        lambda uow: workload_listing.list_attempts(uow, TEAM, made.id, before_id=None, limit=1),
        lambda uow: workload_listing.read_log(uow, TEAM, made.id, NEWEST),
    ):
        assert refusal(flow, call) == "WORKLOAD_NOT_FOUND"
    # A task instance is no workload, of whatever team.
    task_row = flow.instance(triggered.key, "a")
    assert refusal(flow, lambda uow: workload_listing.get_workload(uow, "other", task_row.id)) == "WORKLOAD_NOT_FOUND"


@pytest.mark.parametrize("within_run", [False, True])
def test_pages_neither_repeat_nor_hide_what_was_there_when_others_come(flow: Flow, within_run: bool):
    worker = flow.register()
    dag = dag_of(
        "d", calling(mapped(task("a"), [1, 2, 3, 4, 5]), success="mod:fine"), calling(task("z"), success="mod:new")
    )
    flow.publish(dag, to=worker)
    run = flow.trigger("d", run_id="r")
    leases = flow.take(worker)
    for lease in leases:
        if lease.task_id == "a":
            flow.run(lease, worker)
    wanted: dict[str, Any] = {"dag_id": "d", "run_id": "r"} if within_run else {}
    every = [row.id for row in reversed(flow.workloads(run))]
    assert len(every) == 5
    seen: list[str] = []
    after = None
    while page := listed(flow, limit=2, after=after, **wanted):
        seen += [each.row.id for each in page]
        after = workload_listing.page_key(page[-1], WorkloadsWanted(**wanted))
        if len(seen) == 2:
            flow.run(next(lease for lease in leases if lease.task_id == "z"), worker)
    assert seen == every
    assert names(listed(flow, **wanted))[0] == "mod:new"


def test_the_log_of_a_workload_is_read_as_that_of_a_task(kinds: Kinds):
    flow = kinds.flow
    alarm = next(each for each in listed(flow) if each.row.workload_entry_point == "mod:alarm").row
    read = flow.store.read_blocking
    assert refusal(flow, lambda uow: workload_listing.read_log(uow, TEAM, alarm.id, NEWEST)) == "LOG_NOT_FOUND"
    lease = kinds.lease("mod:alarm")
    flow.start(lease, kinds.worker)
    chunk = LogChunk(first_sequence=0, record_count=2, compression=1, data=b"two records")
    sent = AttemptChunks(
        attempt_id=lease.attempt_id,
        lease=lease.lease,
        instance_id=kinds.worker.instance_id,
        team=TEAM,
        chunks=(chunk,),
    )
    flow.store.write_blocking(partial(append_logs, grace_us=30_000_000), (sent,))
    piece = read(lambda uow: workload_listing.read_log(uow, TEAM, alarm.id, NEWEST))
    assert (piece.attempt_id, piece.try_number, piece.next_sequence, piece.ended) == (lease.attempt_id, 1, 2, False)
    assert [each.data for each in piece.chunks] == [b"two records"]
    last = dataclasses.replace(NEWEST, last_records=1, try_number=1)
    assert read(lambda uow: workload_listing.read_log(uow, TEAM, alarm.id, last)).from_sequence == 1
    second = dataclasses.replace(NEWEST, try_number=2)
    assert refusal(flow, lambda uow: workload_listing.read_log(uow, TEAM, alarm.id, second)) == "LOG_NOT_FOUND"


def plan_of(flow: Flow, statement: Executable) -> str:
    """How the database finds what a statement asks for, were there much of everything."""
    engine = flow.store._driver.engine
    compiled = statement.compile(engine, compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]
    sqlite = engine.dialect.name == "sqlite"

    def explain(uow: UnitOfWork, _: None) -> str:
        if not sqlite:
            # The tables are small, and read as a whole unless that is forbidden; what would have to be sorted as well.
            uow.execute(text("SET LOCAL enable_seqscan = off"))
            uow.execute(text("SET LOCAL enable_sort = off"))
            uow.execute(text("SET LOCAL enable_bitmapscan = off"))
        rows = uow.execute(text(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{compiled}")).all()
        return "\n".join(str(row[-1]) for row in rows)

    plan: str = flow.store.write_blocking(each(explain), None)
    return plan


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "ix_task_instance_workloads"),
        ({"dag_id": "calls", "run_id": True}, "run_key_task_index_map_index|uq_|auto"),
    ],
)
def test_a_listing_walks_an_index_and_sorts_nothing(kinds: Kinds, wanted: dict[str, Any], index: str):
    flow = kinds.flow
    if wanted:
        wanted = {**wanted, "run_id": kinds.run_id}
    with counted(flow.store) as executed:
        listed(flow, limit=2, **wanted)
    statement: Any = next(each for each in executed if "task_instance.workload_message" in str(each))
    plan = plan_of(flow, statement)
    assert re.search(index, plan), plan
    assert not re.search(r"(?i)\bsort\b|temp b-tree|SCAN task_instance(?! USING)", plan), plan
