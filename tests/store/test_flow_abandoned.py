"""What becomes of callbacks and timetables whose DAG version no worker offers any more. [SCHED-3]"""

import pytest
from sqlalchemy import select

from crosswind.execution.v1.failure_pb2 import Failure
from crosswind.manifest.v1 import dag_pb2
from crosswind_server.services.catalog.bundles import Offer
from crosswind_server.services.interventions import version_policy
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import dag_run
from tests.store.clocks import TimedFlow
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import Flow, Worker
from tests.store.test_flow_bundles import withdraw
from tests.store.test_flow_callbacks import calling, only
from tests.store.test_flow_timetables import ring, timetable_dag

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def ended_run(flow: Flow, worker: Worker, *, items: int = 1, **fields: int) -> str:
    """A run of version `v1` that has ended, and whose callbacks nobody has taken."""
    called = calling(mapped(task("a"), list(range(items))) if items > 1 else task("a"), success="mod:fine")
    flow.publish(dag_of("d", called, **fields), to=worker, version="v1")
    run = flow.trigger("d")
    for lease in flow.take(worker):
        flow.run(lease, worker)
    assert flow.run_state(run) == "succeeded"
    return run


def failure_of(row: object) -> Failure:
    """Why a workload failed."""
    return Failure.FromString(row.failure_message)  # type: ignore[attr-defined]


def look(flow: Flow) -> int:
    """What the timekeeper does once an hour; answers how many callbacks failed."""
    return flow.store.write_blocking(each(lambda uow, _: flow.heart.abandoned.look(uow)), None)


def test_a_callback_of_a_run_that_has_ended_goes_on_with_the_newest_version(flow: Flow):
    worker = flow.register()
    run = ended_run(flow, worker)
    flow.publish(dag_of("d", task("a"), task("new")), to=worker, version="v2")
    assert [row.state for row in flow.workloads(run)] == ["queued"]
    withdraw(flow, worker, "v1")
    lease = only(flow.take(worker))
    assert (lease.entry_point, lease.bundle_version) == ("mod:fine", "v2")
    flow.run(lease, worker)
    assert [row.state for row in flow.workloads(run)] == ["succeeded"]
    assert flow.run_state(run) == "succeeded"


def test_one_that_was_lost_with_its_worker_follows_too(flow: Flow):
    worker = flow.register()
    run = ended_run(flow, worker)
    flow.start(only(flow.take(worker)), worker)
    other = flow.register("w2")
    flow.publish(dag_of("d", task("a"), task("new")), to=other, version="v2")
    flow.deregister(worker)
    (callback,) = flow.workloads(run)
    assert (callback.state, callback.losses) == ("queued", 1)
    lease = only(flow.take(other))
    assert (lease.entry_point, lease.bundle_version) == ("mod:fine", "v2")


def test_it_fails_where_its_dag_says_so(flow: Flow):
    worker = flow.register()
    run = ended_run(flow, worker, version_policy=dag_pb2.VERSION_POLICY_FAIL)
    flow.publish(dag_of("d", task("b"), version_policy=dag_pb2.VERSION_POLICY_FAIL), to=worker, version="v2")
    withdraw(flow, worker, "v1")
    (callback,) = flow.workloads(run)
    assert (callback.state, failure_of(callback).type) == ("failed", "crosswind.VersionGone")
    assert failure_of(callback).message == (
        "No worker offers this run's version any more, and its DAG says that what is left of it then fails."
    )
    assert (flow.run_state(run), flow.states(run)) == ("succeeded", {"a": "succeeded"})


def test_many_follow_in_pieces(flow: Flow, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(version_policy, "PIECE", 3)
    worker = flow.register(slots=50)
    run = ended_run(flow, worker, items=10)
    flow.publish(dag_of("d", task("a"), task("new")), to=worker, version="v2")
    withdraw(flow, worker, "v1")
    assert len(flow.take(worker)) == 3
    flow.continue_all()
    assert len({row.offer_key for row in flow.workloads(run)}) == 1
    # The first ones, which were not started, are sent again.
    assert len(flow.take(worker)) == 10


def test_the_timetable_of_an_older_version_is_asked_no_more(flow: Flow):
    worker = flow.register()
    flow.publish(timetable_dag(), to=worker, version="v1")
    ring(flow)
    flow.publish(timetable_dag("mod:other"), to=worker, version="v2")
    ring(flow)
    withdraw(flow, worker, "v1")
    assert only(flow.take(worker)).entry_point == "mod:other"
    states = {
        row.workload_entry_point: (row.state, row.failure_message and failure_of(row).type)
        for key in all_runs(flow)
        for row in flow.workloads(key)
    }
    assert states == {"mod:dates": ("failed", "crosswind.VersionGone"), "mod:other": ("assigned", None)}


def all_runs(flow: Flow) -> list[str]:
    """The keys of all runs, those of timetables too."""
    return list(flow.store.read_blocking(lambda uow: uow.execute(select(dag_run.c.id)).scalars().all()))


def test_where_nobody_offers_it_it_waits_for_a_week_and_fails_with_a_sentence(timed: TimedFlow):
    flow, worker = timed, timed.register()
    run = ended_run(flow, worker)
    flow.deregister(worker)
    assert look(flow) == 0
    timed.pass_time(6 * DAY_US)
    assert (look(flow), flow.workloads(run)[0].state) == (0, "queued")
    timed.pass_time(DAY_US + 1)
    # It is found, and found again an hour later: whose worker only starts again meanwhile has not gone.
    assert look(flow) == 0
    timed.pass_time(HOUR_US)
    assert look(flow) == 1
    (callback,) = flow.workloads(run)
    assert (callback.state, failure_of(callback).type) == ("failed", "crosswind.VersionGone")
    assert failure_of(callback).message == (
        "No worker has offered the version of the DAG that has 'mod:fine' for 7 days since the callback was ready."
    )
    assert flow.run_state(run) == "succeeded"
    assert look(flow) == 0


def test_one_that_is_offered_or_paused_or_of_a_run_that_goes_on_waits_on(timed: TimedFlow):
    flow, worker = timed, timed.register()
    run = ended_run(flow, worker)
    flow.publish(dag_of("going", calling(task("a"), success="mod:fine"), task("b", "a")), to=worker, version="v2")
    going = flow.trigger("going")
    lease = next(lease for lease in flow.take(worker) if lease.workload == "task")
    flow.run(lease, worker)
    flow.deregister(worker)

    def looks() -> list[int]:
        found = []
        for _ in range(2):
            timed.pass_time(HOUR_US)
            found.append(look(flow))
        return found

    flow.pause("d", True)
    timed.pass_time(8 * DAY_US)
    assert looks() == [0, 0]
    flow.pause("d", False)
    # A worker that was away at one look is there at the next.
    timed.pass_time(HOUR_US)
    assert look(flow) == 0
    again = flow.register(offers=[Offer(bundle="flows", version="v1")])
    assert looks() == [0, 0]
    assert flow.workloads(run)[0].state == "queued"
    flow.deregister(again)
    assert looks() == [0, 1]
    assert [row.state for row in flow.workloads(run)] == ["failed"]
    assert [row.state for row in flow.workloads(going)] == ["queued"]
