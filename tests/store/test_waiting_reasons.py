"""Every cause for which a task instance waits is told by its reason and by a sentence that names it. [SCHED-3]"""

import re
from collections.abc import Callable

from sqlalchemy import update

from crosswind_server.domain.states import WaitingReason
from crosswind_server.services.catalog.bundles import Offer
from crosswind_server.services.execution.attempts import Wake
from crosswind_server.services.listing import task_listing
from crosswind_server.store.schema import dag_run, worker
from tests.store.flow import TEAM, Flow, dag_of, task

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def told(flow: Flow, run_key: str) -> dict[str, tuple[WaitingReason, str] | None]:
    """Why the tasks of a run wait, as people are told."""
    run = flow.row(dag_run, run_key)
    page = flow.store.read_blocking(
        lambda uow: task_listing.list_instances(
            uow,
            flow.heart.plans,
            TEAM,
            dag_id=run.dag_id,
            run_id=run.run_id,
            states=(),
            task_id="",
            exclude_mapped=False,
            after=None,
            limit=100,
        )
    )
    return {
        each.row.task_id: (each.waiting.reason, each.waiting.detail) if each.waiting is not None else None
        for each in page.instances
    }


def expect(flow: Flow, run_key: str, **wanted: tuple[WaitingReason, str] | None) -> None:
    """Compare: reasons exactly, sentences by a pattern that all of one must match."""
    found = told(flow, run_key)
    for task_id, expected in wanted.items():
        waiting = found[task_id]
        if expected is None or waiting is None:
            assert waiting == expected, (task_id, waiting)
            continue
        assert (waiting[0], bool(re.fullmatch(expected[1], waiting[1]))) == (expected[0], True), (task_id, waiting)


def test_upstream_and_slots_and_queue_and_cancel(flow: Flow):
    worker_ = flow.register("w1", slots=1)
    dag = dag_of("d", task("a"), task("b"), task("big", slots=9), task("far", queue="gpu"), task("last", "a", "b"))
    flow.publish(dag, to=worker_)
    run = flow.trigger("d")
    last = (WaitingReason.UPSTREAM, "Waits for tasks 'a', 'b' to end\\.")
    expect(
        flow,
        run,
        a=(WaitingReason.SLOTS, "Is ready; worker 'w1' can take it in a moment\\."),
        big=(WaitingReason.SLOTS, "The task takes 9 slots, and no worker has as many; start one with more --slots\\."),
        far=(
            WaitingReason.QUEUE,
            "No worker that offers the version \\w{12} of the DAG 'd' \\(bundle 'flows'\\) serves the queue 'gpu'; "
            "start one with --queue\\.",
        ),
        last=last,
    )
    (lease,) = flow.take(worker_)
    flow.start(lease, worker_)
    other = "b" if lease.task_id == "a" else "a"
    full = (WaitingReason.SLOTS, "Waits for a free slot; taken are: 'w1' 1 of 1\\.")
    expect(flow, run, **{lease.task_id: None, other: full, "last": last})
    flow.cancel(run)
    pending = (WaitingReason.CANCEL_PENDING, "The worker 'w1' has not confirmed the cancel yet\\.")
    expect(flow, run, **{lease.task_id: pending, other: None, "last": None})
    flow.finish(lease, "cancelled")
    expect(flow, run, **{lease.task_id: None})


def test_paused_dag_and_paused_workers(flow: Flow):
    worker_ = flow.register("w1")
    flow.publish(dag_of("d", task("a")), to=worker_)
    run = flow.trigger("d")
    flow.pause("d", True)
    expect(flow, run, a=(WaitingReason.PAUSED, "The DAG 'd' is paused; unpause it\\."))
    flow.pause("d", False)
    flow._change(update(worker).values(paused=True))
    expect(
        flow, run, a=(WaitingReason.PAUSED, "Every worker that could take it is paused: worker 'w1'; let one go on\\.")
    )


def test_nobody_offers_the_bundle_or_what_is_referred_to(flow: Flow):
    worker_ = flow.register("w1")
    far = task("far")
    far.reference.bundle, far.reference.entry_point = "go", "Load"
    flow.publish(dag_of("d", task("a"), far), to=worker_)
    run = flow.trigger("d")
    refers = (WaitingReason.NO_WORKER, "No live worker offers 'Load' of the bundle 'go'; start one\\.")
    expect(flow, run, far=refers, a=(WaitingReason.SLOTS, "Is ready; worker 'w1' can take it in a moment\\."))
    flow.store.write_blocking(flow.heart.deregister, (TEAM, worker_.instance_id))
    nobody = "No live worker offers the version \\w{12} of the DAG 'd' \\(bundle 'flows'\\); start one\\."
    expect(flow, run, far=refers, a=(WaitingReason.NO_WORKER, nobody))
    hosting = flow.register("w2")
    flow.publish(to=hosting, bundle="go", offers=["Load"])
    expect(flow, run, far=(WaitingReason.SLOTS, "Is ready; worker 'w2' can take it in a moment\\."))


def test_not_before_a_retry_a_reschedule_and_a_resumption(flow: Flow):
    worker_ = flow.register("w1")
    flow.publish(dag_of("d", task("again", retries=1, delay=60), task("later"), task("asleep")), to=worker_)
    run = flow.trigger("d")
    outcomes: dict[str, Callable[..., object]] = {
        "again": lambda lease: flow.finish(lease, "failed"),
        "later": lambda lease: flow.finish(lease, "rescheduled", wake=Wake(delay_us=60_000_000)),
        "asleep": lambda lease: flow.finish(lease, "deferred", wake=Wake(delay_us=60_000_000, resumption=b"\x0a\x01a")),
    }
    for lease in flow.take(worker_):
        flow.start(lease, worker_)
        outcomes[lease.task_id](lease)
    expect(
        flow,
        run,
        again=(WaitingReason.NOT_BEFORE, f"The next try begins not before {MOMENT}\\."),
        later=(WaitingReason.NOT_BEFORE, f"The task is asked again not before {MOMENT}\\."),
        asleep=(WaitingReason.NOT_BEFORE, f"The task goes on not before {MOMENT}\\."),
    )
    flow.wake()
    slots = (WaitingReason.SLOTS, "Is ready; worker 'w1' can take it in a moment\\.")
    expect(flow, run, again=slots, later=slots, asleep=slots)


def test_a_dag_that_stays_although_its_file_is_broken_waits_for_its_code(flow: Flow):
    worker_ = flow.register()
    other = dag_of("e", task("a"))
    flow.publish(dag_of("d", task("a")), other, to=worker_, version="v1")
    flow.publish(other, to=worker_, version="v2", broken=["d.py"])
    flow.store.write_blocking(flow.heart.deregister, (TEAM, worker_.instance_id))
    # A worker that starts has no more than its folder holds now.
    again = flow.register(offers=[Offer(bundle="flows", version="v2")])
    run = flow.trigger("d")
    assert flow.take(again) == []
    gone = r"No live worker offers the version \w{12} of the DAG 'd' \(bundle 'flows'\); start one\."
    expect(flow, run, a=(WaitingReason.NO_WORKER, gone))
    flow.publish(dag_of("d", task("a"), task("b")), other, to=again, version="v3")
    assert [lease.bundle_version for lease in flow.take(again)] == ["v3"]
    expect(flow, run, a=None)
