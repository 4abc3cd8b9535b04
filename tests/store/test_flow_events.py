"""Named events: who waits for one is given it exactly once, whenever it comes."""

from sqlalchemy import select, update

from crosswind_server.services.flow import events as flow_events
from crosswind_server.services.flow.board import PIECE
from crosswind_server.services.flow.waiting import Wait
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import event, event_name, event_receipt, timer
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import Flow, Worker, brought, refused, resumed

HOUR_US = 3_600_000_000
CAME = Wait(event="file-came")


def waiting(flow: Flow, *, timeout_us: int | None = None) -> tuple[Worker, str]:
    """A run whose only task waits for the event."""
    worker = flow.register()
    flow.publish(dag_of("d", task("a", retries=3)), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.defer(lease, worker, CAME, timeout_us=timeout_us, method="go_on")
    assert flow.states(run) == {"a": "deferred"}
    assert flow.take(worker) == []
    return worker, run


def count(flow: Flow, table: object) -> int:
    return len(flow.store.read_blocking(lambda uow: uow.execute(select(table)).all()))  # type: ignore[call-overload]  # any table


def test_a_task_goes_on_with_what_the_event_brought(flow: Flow):
    worker, run = waiting(flow)
    assert flow.deliver("another") == 0
    assert flow.take(worker) == []
    assert flow.deliver("file-came", {"path": "/a"}) == 1
    (lease,) = flow.take(worker)
    context = flow.start(lease, worker)
    assert lease.try_number == 1
    assert brought(context) == {"path": "/a"}
    assert (resumed(context).method, resumed(context).timed_out) == ("go_on", False)
    flow.finish(lease)
    assert flow.run_state(run) == "succeeded"


def test_an_event_is_given_once_however_often_it_is_delivered(flow: Flow):
    worker, _ = waiting(flow)
    assert flow.deliver("file-came", 1) == 1
    assert flow.deliver("file-came", 2) == 0
    (lease,) = flow.take(worker)
    assert brought(flow.start(lease, worker)) == 1


def test_whichever_comes_first_event_or_timeout_the_other_is_dropped(flow: Flow):
    worker, run = waiting(flow, timeout_us=HOUR_US)
    assert flow.deliver("file-came") == 1
    assert flow.wake() == 0
    (lease,) = flow.take(worker)
    context = flow.start(lease, worker)
    assert (brought(context), resumed(context).timed_out) == (None, False)
    flow.finish(lease)

    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.defer(lease, worker, CAME, timeout_us=HOUR_US, method="go_on")
    assert flow.wake() == 1
    assert flow.deliver("file-came") == 0
    (lease,) = flow.take(worker)
    context = flow.start(lease, worker)
    assert (resumed(context).timed_out, resumed(context).method) == (True, "go_on")
    assert flow.instance(run, "a").waits_for is None


def test_a_cancelled_task_is_given_nothing(flow: Flow):
    _, run = waiting(flow)
    flow.cancel(run)
    assert flow.deliver("file-came") == 0
    assert flow.states(run) == {"a": "cancelled"}
    assert flow.run_state(run) == "cancelled"


def test_an_event_may_be_for_one_dag_or_run_only(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), dag_of("e", task("a")), to=worker)
    runs = [flow.trigger("d", run_id="r1"), flow.trigger("d", run_id="r2"), flow.trigger("e", run_id="r1")]
    for lease in flow.take(worker):
        flow.defer(lease, worker, CAME)
    assert refused(lambda: flow.deliver("file-came", run_id="r1")) == "INVALID_ARGUMENT"
    assert flow.deliver("file-came", dag_id="d", run_id="r2") == 1
    assert [flow.states(run)["a"] for run in runs] == ["deferred", "queued", "deferred"]
    assert flow.deliver("file-came", dag_id="d") == 1
    assert flow.deliver("file-came") == 1


def test_an_event_that_is_not_kept_is_missed_by_who_waits_later(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    assert flow.deliver("file-came", 1) == 0
    flow.defer(lease, worker, CAME)
    assert flow.states(run) == {"a": "deferred"}


def test_the_newest_kept_event_is_given_to_who_waits_later_once_in_each_try(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a", retries=1, delay=0)), to=worker)
    flow.deliver("file-came", 1, keep_us=HOUR_US)
    flow.deliver("file-came", 2, keep_us=HOUR_US)
    flow.deliver("file-came", 3, keep_us=HOUR_US, dag_id="another")
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.defer(lease, worker, CAME)
    (lease,) = flow.take(worker)
    assert brought(flow.start(lease, worker)) == 2
    # It waits again, and for a new event: it was given this one.
    flow.finish(lease, "deferred", wake=flow.waking(CAME))
    assert flow.states(run) == {"a": "deferred"}
    assert flow.deliver("file-came", 4) == 1
    (lease,) = flow.take(worker)
    assert brought(flow.start(lease, worker)) == 4
    flow.finish(lease, "failed")
    flow.wake()
    (lease,) = flow.take(worker)
    assert lease.try_number == 2
    flow.defer(lease, worker, CAME)
    (lease,) = flow.take(worker)
    assert brought(flow.start(lease, worker)) == 2


def test_a_kept_event_expires(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    flow.deliver("file-came", 1, keep_us=HOUR_US)
    flow._change(update(event).values(expire_time=1))
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.defer(lease, worker, CAME)
    assert flow.states(run) == {"a": "deferred"}
    assert refused(lambda: flow.deliver("file-came", keep_us=8 * 24 * HOUR_US)) == "INVALID_ARGUMENT"


def test_many_are_given_an_event_in_pieces_and_who_waits_meanwhile_is_not(flow: Flow):
    total = PIECE + 7
    worker = flow.register(slots=10_000)
    flow.publish(dag_of("d", mapped(task("a"), list(range(total)))), dag_of("late", task("b", priority=10)), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    while leases := flow.take(worker):
        for lease in leases:
            flow.defer(lease, worker, CAME)
    assert flow.deliver("file-came", "all") == total
    later = flow.trigger("late")
    (lease,) = [lease for lease in flow.take(worker) if lease.task_id == "b"]
    flow.defer(lease, worker, CAME)
    states = list(flow.states(run).values())
    assert states.count("deferred") == total - PIECE
    flow.continue_all()
    assert "deferred" not in flow.states(run).values()
    assert flow.states(later) == {"b": "deferred"}
    assert flow.left_behind() == 0


def test_events_and_their_names_are_forgotten_when_nobody_is_given_them_any_more(flow: Flow):
    worker, run = waiting(flow)
    flow.deliver("file-came", 1, keep_us=HOUR_US)
    assert (count(flow, event), count(flow, event_receipt)) == (1, 1)

    def forget() -> None:
        names = flow.store.read_blocking(lambda uow: [row.id for row in uow.execute(select(event_name)).all()])
        flow.store.write_blocking(each(lambda uow, _: flow_events.forget(uow, names)), None)

    forget()
    assert (count(flow, event), count(flow, timer)) == (1, 1)
    flow._change(update(event).values(expire_time=1))
    (lease,) = flow.take(worker)
    flow.defer(lease, worker, CAME)
    forget()
    assert (count(flow, event), count(flow, event_receipt), count(flow, event_name)) == (0, 0, 1)
    flow.cancel(run)
    forget()
    assert count(flow, event_name) == 0
