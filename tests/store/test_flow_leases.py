"""Leases in trouble: redelivery, deadlines, expiry, cancel, stale and repeated calls, workers that go. On both."""

import asyncio
import uuid
from functools import partial

import pytest
from sqlalchemy import select, update

from crosswind_server.domain.lifecycle import MAX_DELIVERIES
from crosswind_server.services.access.callers import Caller, CallerKind
from crosswind_server.services.catalog.bundles import Offer
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.execution.directives import DirectiveKind
from crosswind_server.services.execution.polling import PollWork
from crosswind_server.services.fleet.workers import Verdict
from crosswind_server.store import attempts
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import worker
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import ENROLMENT, TEAM, Flow, Worker, refused


@pytest.fixture
def leased(flow: Flow) -> tuple[Flow, Worker, Lease, str]:
    """A worker that was given the one task of a run, which is followed by another."""
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a")), to=worker, version="v1")
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    return flow, worker, lease, run


Leased = tuple[Flow, Worker, Lease, str]


def test_a_lease_that_is_not_listed_is_sent_again_five_times(leased: Leased):
    flow, worker, lease, run = leased
    for delivery in range(2, MAX_DELIVERIES + 1):
        (again,) = flow.take(worker)
        assert (again.attempt_id, again.lease, again.delivery) == (lease.attempt_id, lease.lease, delivery)
    assert flow.take(worker) == []
    assert flow.states(run) == {"a": "failed", "b": "upstream_failed"}
    assert flow.run_state(run) == "failed"
    assert refused(lambda: flow.start(lease, worker)) == "STALE_LEASE"


def test_a_lease_that_is_listed_or_started_is_not_sent_again(leased: Leased):
    flow, worker, lease, _ = leased
    assert flow.take(worker, held=[lease.attempt_id]) == []
    flow.start(lease, worker)
    assert flow.take(worker) == []
    assert flow.attempt(lease).deliveries == 1


def test_an_unstarted_lease_goes_back_at_no_cost_of_a_try(leased: Leased):
    flow, worker, lease, run = leased
    assert flow.pass_start_deadline() == 1
    assert flow.attempt(lease).state == "returned"
    row = flow.instance(run, "a")
    assert (row.state, row.failures, row.losses) == ("queued", 0, 0)
    assert refused(lambda: flow.start(lease, worker)) == "STALE_LEASE"
    (again,) = flow.take(worker)
    assert again.try_number == 1
    assert again.lease != lease.lease


def test_a_started_lease_has_no_start_deadline(leased: Leased):
    flow, worker, lease, _ = leased
    flow.start(lease, worker)
    assert flow.pass_start_deadline() == 0
    assert flow.attempt(lease).state == "running"


def test_starting_again_answers_the_same(leased: Leased):
    flow, worker, lease, _ = leased
    first, second = flow.start(lease, worker), flow.start(lease, worker)
    assert (first.start_time, first.inputs) == (second.start_time, second.inputs)


def test_a_lost_attempt_is_tried_again_on_its_own_budget(leased: Leased):
    flow, worker, lease, run = leased
    for number in (1, 2, 3):
        flow.start(lease, worker)
        assert flow.pass_lease() == 1
        assert flow.attempt(lease).state == "lost"
        row = flow.instance(run, "a")
        assert (row.state, row.losses, row.failures) == ("queued", number, 0)
        assert refused(partial(flow.finish, lease)) == "STALE_LEASE"
        (lease,) = flow.take(worker)
        assert lease.try_number == number + 1
    flow.start(lease, worker)
    assert flow.pass_lease() == 1
    assert flow.states(run) == {"a": "failed", "b": "upstream_failed"}


def test_a_heartbeat_extends_what_is_valid_and_tells_what_is_not(leased: Leased):
    flow, worker, lease, run = leased
    assert flow.heartbeat(worker, lease).verdicts == (Verdict.CONTINUE,)
    assert flow.attempt(lease).lease_expires is None
    flow.start(lease, worker)
    before = flow.attempt(lease).lease_expires
    wrong = Lease(**{name: getattr(lease, name) for name in Lease.__slots__} | {"lease": b"x" * 16})
    unknown = Lease(**{name: getattr(lease, name) for name in Lease.__slots__} | {"attempt_id": str(uuid.uuid4())})
    heard = flow.heartbeat(worker, lease, unknown)
    assert heard.verdicts == (Verdict.CONTINUE, Verdict.LOST)
    assert flow.attempt(lease).lease_expires > before
    assert flow.heartbeat(worker, wrong).verdicts == (Verdict.LOST,)
    flow.cancel(run)
    assert flow.heartbeat(worker, lease).verdicts == (Verdict.CANCEL,)
    flow.finish(lease, "cancelled")
    assert flow.heartbeat(worker, lease).verdicts == (Verdict.LOST,)


def test_a_finish_is_answered_as_often_as_asked(leased: Leased):
    flow, worker, lease, run = leased
    outcome_id = str(uuid.uuid4())
    assert refused(lambda: flow.finish(lease, outcome_id=outcome_id)) == "ATTEMPT_NOT_STARTED"
    flow.start(lease, worker)
    first = flow.finish(lease, outcome_id=outcome_id, result=1)
    assert flow.finish(lease, outcome_id=outcome_id, result=2) == first
    assert refused(lambda: flow.finish(lease)) == "OUTCOME_CONFLICT"
    assert refused(lambda: flow.finish(lease, "failed")) == "OUTCOME_CONFLICT"
    assert flow.states(run) == {"a": "succeeded", "b": "queued"}
    flow.pass_lease()
    assert flow.finish(lease, outcome_id=outcome_id) == first


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "cancelled"])
def test_what_a_process_used_is_kept_with_its_attempt(leased: Leased, outcome: str):
    flow, worker, lease, run = leased
    flow.start(lease, worker)
    if outcome == "cancelled":
        flow.cancel(run)
    outcome_id = str(uuid.uuid4())
    years = 400 * 365 * 86_400 * 1_000_000  # more than 32 bits hold, as the memory
    flow.finish(lease, outcome, outcome_id=outcome_id, cpu_time_us=years, max_memory_bytes=5 << 40)
    flow.finish(lease, outcome, outcome_id=outcome_id, cpu_time_us=1, max_memory_bytes=1)
    row = flow.attempt(lease)
    assert (row.state, row.cpu_time_us, row.max_memory_bytes) == (outcome, years, 5 << 40)


def test_what_a_process_used_stays_open_where_nobody_told_it(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b"), task("c")), to=worker)
    flow.trigger("d")
    lost, silent, idle = flow.take(worker)
    flow.start(lost, worker)
    flow.pass_lease()
    flow.run(silent, worker)
    flow.run(idle, worker, cpu_time_us=0)
    rows = [flow.attempt(lease) for lease in (lost, silent, idle)]
    assert [row.state for row in rows] == ["lost", "succeeded", "succeeded"]
    assert [row.cpu_time_us for row in rows] == [None, None, 0]
    assert [row.max_memory_bytes for row in rows] == [None, None, None]


def test_another_lease_or_attempt_is_unknown(leased: Leased):
    flow, worker, lease, _ = leased
    forged = Lease(**{name: getattr(lease, name) for name in Lease.__slots__} | {"lease": b"x" * 16})
    assert refused(lambda: flow.start(forged, worker)) == "UNKNOWN_ATTEMPT"
    flow.start(lease, worker)
    assert refused(lambda: flow.finish(forged)) == "UNKNOWN_ATTEMPT"
    assert flow.attempt(lease).state == "running"


def test_cancel_of_a_run_nobody_works_on_is_done_at_once(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a")), to=worker)
    run = flow.trigger("d")
    flow.cancel(run)
    assert flow.states(run) == {"a": "cancelled", "b": "cancelled"}
    assert flow.run_state(run) == "cancelled"
    assert refused(lambda: flow.cancel(run)) == "RUN_FINISHED"
    assert flow.take(worker) == []


def test_cancel_revokes_an_unstarted_lease(leased: Leased):
    flow, worker, lease, run = leased
    flow.cancel(run)
    assert flow.run_state(run) == "cancelled"
    assert refused(lambda: flow.start(lease, worker)) == "STALE_LEASE"


@pytest.mark.parametrize("outcome", ["cancelled", "succeeded", "failed"])
def test_cancel_of_a_running_attempt_waits_for_the_worker_and_drops_its_result(leased: Leased, outcome: str):
    flow, worker, lease, run = leased
    flow.start(lease, worker)
    flow.cancel(run)
    flow.cancel(run)
    assert flow.run_state(run) == "cancelling"
    assert flow.states(run) == {"a": "cancelling", "b": "cancelled"}
    assert refused(lambda: flow.start(lease, worker)) == "ATTEMPT_CANCELLING"
    work = flow.poll(worker, held=[lease.attempt_id])
    (directive,) = work.directives
    assert (directive.kind, directive.attempt_id) == (DirectiveKind.CANCEL, lease.attempt_id)
    assert flow.poll(worker, held=[lease.attempt_id]).digest == work.digest
    finished = flow.finish(lease, outcome, result=[1, 2])
    assert finished.recorded_as_cancelled
    assert flow.states(run)["a"] == "cancelled"
    assert flow.run_state(run) == "cancelled"
    assert flow.poll(worker).digest == ""


def test_a_cancel_that_nobody_confirms_ends_with_the_lease(leased: Leased):
    flow, worker, lease, run = leased
    flow.start(lease, worker)
    flow.cancel(run)
    assert flow.pass_lease() == 1
    assert flow.attempt(lease).state == "lost"
    assert flow.states(run)["a"] == "cancelled"
    assert flow.run_state(run) == "cancelled"
    assert refused(lambda: flow.finish(lease)) == "STALE_LEASE"


def test_cancel_of_a_retry_a_deferral_and_a_mapped_task(flow: Flow):
    worker = flow.register()
    made = dag_of("d", task("r", retries=1, delay=60), mapped(task("m"), [1, 2]), task("end", "r", "m"))
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    leases = {(lease.task_id, lease.map_index): lease for lease in flow.take(worker)}
    flow.run(leases["r", -1], worker, "failed")
    flow.start(leases["m", 0], worker)
    assert flow.states(run)["r"] == "up_for_retry"
    flow.cancel(run)
    states = flow.states(run)
    assert states["m", 0] == "cancelling"
    assert {states["r"], states["end"], states["m", 1], states["m"]} == {"cancelled"}
    flow.finish(leases["m", 0], "cancelled")
    assert flow.run_state(run) == "cancelled"
    assert flow.wake() == 0


def test_the_newest_poll_of_a_worker_counts(leased: Leased):
    flow, worker, _, _ = leased
    flow.trigger("d")
    flow.poll(worker, poll_number=100)
    assert refused(lambda: flow.poll(worker, poll_number=99)) == "POLL_SUPERSEDED"


def test_slots_are_counted_by_the_server(flow: Flow):
    worker = flow.register(slots=2)
    flow.publish(dag_of("d", *(task(f"t{n}") for n in range(5))), to=worker)
    flow.trigger("d")
    leases = flow.take(worker)
    assert len(leases) == 2
    held = [lease.attempt_id for lease in leases]
    assert flow.take(worker, held=held) == []
    flow.run(leases[0], worker)
    assert len(flow.take(worker, held=held[1:])) == 1


# --- workers ----------------------------------------------------------------------------------------------------------


def test_a_live_name_is_refused(flow: Flow):
    flow.register("w")
    assert refused(lambda: flow.register("w")) == "WORKER_NAME_IN_USE"


def test_a_silent_worker_is_superseded(leased: Leased):
    flow, old, lease, run = leased
    flow.start(lease, old)
    flow.fall_silent(old)
    flow._change(update(worker).values(last_heartbeat_time=1))
    flow.store._committer.available_since = 0.0  # as if this server had listened for long
    new = flow.register(old.name)
    assert flow.attempt(lease).state == "lost"
    assert flow.states(run)["a"] == "queued"
    assert refused(lambda: flow.poll(old)) == "WORKER_SUPERSEDED"
    assert refused(lambda: flow.heartbeat(old)) == "WORKER_SUPERSEDED"
    assert refused(lambda: flow.register(old.name, instance_id=old.instance_id)) == "WORKER_SUPERSEDED"
    assert flow.poll(new).leases == ()


def test_the_heir_of_a_state_folder_keeps_the_attempts_whose_outcomes_it_brings(flow: Flow):
    old = flow.register("w")
    flow.publish(dag_of("d", task("a"), task("b"), task("c")), to=old, version="v1")
    run = flow.trigger("d")
    leases = flow.take(old)
    for lease in leases[:2]:
        flow.start(lease, old)
    kept, lost, unstarted = leases
    new = flow.register("w", previous=old, held=[kept.attempt_id], offers=[Offer(bundle="flows", version="v1")])
    assert flow.attempt(kept).state == "running"
    assert flow.attempt(lost).state == "lost"
    assert flow.attempt(unstarted).state == "returned"
    assert refused(lambda: flow.finish(lost)) == "STALE_LEASE"
    flow.finish(kept)
    assert flow.states(run) == {"a": "succeeded", "b": "queued", "c": "queued"}
    assert [lease.task_id for lease in flow.take(new)] == ["b", "c"]


def test_registering_again_keeps_the_leases(leased: Leased):
    flow, worker_, lease, _ = leased
    flow.start(lease, worker_)
    flow.register(worker_.name, instance_id=worker_.instance_id, offers=[Offer(bundle="flows", version="v1")])
    assert flow.heartbeat(worker_, lease).verdicts == (Verdict.CONTINUE,)


def test_a_worker_that_leaves_gives_back_and_loses(flow: Flow):
    worker_ = flow.register("w")
    flow.publish(dag_of("d", task("a"), task("b")), to=worker_)
    run = flow.trigger("d")
    started, unstarted = flow.take(worker_)
    flow.start(started, worker_)
    who = (TEAM, worker_.instance_id)
    flow.store.write_blocking(flow.heart.deregister, who)
    flow.store.write_blocking(flow.heart.deregister, who)
    assert flow.attempt(started).state == "lost"
    assert flow.attempt(unstarted).state == "returned"
    assert set(flow.states(run).values()) == {"queued"}
    assert refused(lambda: flow.poll(worker_)) == "WORKER_SUPERSEDED"
    flow.register("w")


def test_a_lost_worker_is_active_again_when_it_is_heard_of(flow: Flow):
    worker_ = flow.register("w")
    flow.fall_silent(worker_)
    assert flow.store.write_blocking(each(flow.heart.timekeeper.lose_silent), None) == 1
    rows = flow.store.read_blocking(lambda uow: uow.execute(select(worker.c.state)).scalars().all())
    assert list(rows) == ["lost"]
    flow.heartbeat(worker_)
    rows = flow.store.read_blocking(lambda uow: uow.execute(select(worker.c.state)).scalars().all())
    assert list(rows) == ["active"]


def test_an_unknown_worker_is_told_to_register(flow: Flow):
    nobody = Worker("x", str(uuid.uuid4()), ENROLMENT)
    assert refused(lambda: flow.poll(nobody)) == "WORKER_UNKNOWN"
    assert refused(lambda: flow.heartbeat(nobody)) == "WORKER_UNKNOWN"
    assert refused(lambda: flow.publish(dag_of("d", task("a")), to=nobody)) == "WORKER_UNKNOWN"


def test_a_held_attempt_whose_lease_is_gone_is_named_until_it_is_dropped(leased: Leased):
    flow, worker_, lease, _ = leased
    flow.start(lease, worker_)
    flow.pass_lease()
    work = flow.poll(worker_, held=[lease.attempt_id], max_leases=0)
    assert [(d.kind, d.attempt_id) for d in work.directives] == [(DirectiveKind.LOST, lease.attempt_id)]
    assert flow.poll(worker_, max_leases=0).directives == ()


def test_a_finished_attempt_is_not_called_lost(leased: Leased):
    flow, worker_, lease, _ = leased
    flow.run(lease, worker_)
    assert flow.poll(worker_, held=[lease.attempt_id], max_leases=0).directives == ()


def test_a_drained_or_paused_worker_gets_nothing_new(leased: Leased):
    flow, worker_, lease, _ = leased
    flow.trigger("d")
    changes = [
        (update(worker).values(paused=True), DirectiveKind.PAUSE),
        (update(worker).values(state="draining"), DirectiveKind.DRAIN),
    ]
    for change, kind in changes:
        flow._change(change)
        work = flow.poll(worker_, held=[lease.attempt_id])
        assert work.leases == ()
        assert kind in {directive.kind for directive in work.directives}
        assert work.digest


# --- the database as the last word --------------------------------------------------------------------------------


def test_the_database_refuses_a_second_live_attempt(leased: Leased):
    flow, _, lease, _ = leased
    row = dict(flow.attempt(lease)._mapping)
    row |= {"id": str(uuid.uuid4()), "lease": b"y" * 16}
    with pytest.raises(Exception, match=r"(?i)unique"):
        flow.store.write_blocking(each(lambda uow, _: attempts.add(uow, [row])), None)


def test_a_write_names_its_lease_in_the_statement(leased: Leased):
    flow, _, lease, _ = leased
    rows = [{"id": lease.attempt_id, "lease": b"z" * 16, "timeout_due": None}]

    def start(uow, _):
        return attempts.start(uow, rows, lease_expires=uow.now)

    assert flow.store.write_blocking(each(start), None) == 0
    assert flow.attempt(lease).state == "assigned"


def test_who_may_publish_and_serve_what(flow: Flow):
    narrow = Caller(
        team=TEAM, subject="narrow", kind=CallerKind.ENROLMENT, token_id="n", bundles=("mine",), queues=("q",)
    )
    assert refused(lambda: flow.register("n", caller=narrow)) == "PERMISSION_DENIED"
    worker_ = flow.register("n", caller=narrow, queues=["q"])
    assert refused(lambda: flow.publish(dag_of("d", task("a")), to=worker_, bundle="other")) == "BUNDLE_NOT_OWNED"
    flow.publish(dag_of("d", task("a")), to=worker_, bundle="mine")
    other = flow.register("o")
    assert refused(lambda: flow.publish(dag_of("e", task("a")), to=other, bundle="mine")) == "BUNDLE_NOT_OWNED"
    result = flow.publish(dag_of("d", task("b")), dag_of("f", task("b")), to=other, bundle="his")
    assert [(dag.dag_id, dag.reason.name) for dag in result.refused] == [("d", "DAG_OWNED_BY_OTHER_BUNDLE")]
    assert flow.trigger("f")


async def test_a_worker_is_busy_from_eight_attempts_on(flow: Flow):
    worker = flow.register(slots=9)
    flow.publish(dag_of("d", *(task(f"t{number}") for number in range(8))), to=worker)
    flow.trigger("d")
    polling = flow.heart.polling

    async def poll(*held: Lease, max_leases: int | None = None) -> tuple[Lease, ...]:
        command = PollWork(
            caller=worker.caller,
            instance_id=worker.instance_id,
            poll_number=next(worker.polls),
            held_attempt_ids=tuple(lease.attempt_id for lease in held),
            max_leases=max_leases,
        )
        return (await polling.poll(command, wait=0)).leases

    first = await poll(max_leases=7)
    assert not polling.is_busy(worker.instance_id)
    (last,) = await poll(*first)
    assert polling.is_busy(worker.instance_id)
    await asyncio.to_thread(flow.run, last, worker)
    await poll(*first)
    assert not polling.is_busy(worker.instance_id)
