"""Every cause for which a task instance waits is told by its reason and by a sentence that names it. [SCHED-3]"""

import re
from collections.abc import Callable

from sqlalchemy import update

from crosswind.manifest.v1 import task_pb2
from crosswind_server.domain.states import WaitingReason
from crosswind_server.services.catalog.bundles import Offer
from crosswind_server.services.execution.attempts import Wake
from crosswind_server.services.fleet import worker_listing
from crosswind_server.services.flow.waiting import Question, Wait
from crosswind_server.services.listing import task_listing
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import dag_run, worker
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import TEAM, Flow
from tests.store.interventions import clear

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


def told_of(flow: Flow, run_key: str, task_id: str, map_index: int) -> tuple[WaitingReason, str] | None:
    """Why one instance of a mapped task waits."""
    run = flow.row(dag_run, run_key)
    names = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": task_id, "map_index": map_index}
    page = flow.store.read_blocking(lambda uow: task_listing.get_instance(uow, flow.heart.plans, TEAM, **names))
    waiting = page.instances[0].waiting
    return (waiting.reason, waiting.detail) if waiting is not None else None


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
        big=(WaitingReason.LABELS, "The task takes 9 slots, and no worker has as many; start one with more --slots\\."),
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


def test_a_cleared_run_waits_for_a_place_and_for_the_rest_of_the_clear(flow: Flow):
    worker_ = flow.register("w1", slots=2_000)
    flow.publish(dag_of("d", *(task(f"t{n}") for n in range(600)), max_active_runs=1), to=worker_)
    run = flow.trigger("d")
    flow.continue_all()
    flow.work_off(worker_)
    flow.trigger("d")
    flow.continue_all()
    clear(flow, run)
    more = (WaitingReason.RUN, "The run begins when all of it is cleared that somebody wanted to be\\.")
    expect(flow, run, t0=more)
    flow.continue_all()
    full = "As many runs of the DAG 'd' are active as may be; the oldest that is queued begins when one ends\\."
    expect(flow, run, t0=(WaitingReason.RUN, full))


def test_a_run_that_is_cleared_into_another_version_waits_for_all_its_tasks_to_follow(flow: Flow):
    worker_ = flow.register("w1", slots=2_000)
    many = [task(f"t{n:04}") for n in range(600)]
    flow.publish(dag_of("d", *many), to=worker_, version="v1")
    run = flow.trigger("d")
    flow.continue_all()
    flow.publish(dag_of("d", *many, task("more", "t0000")), to=worker_, version="v2")
    clear(flow, run, use_current_version=True)
    text = r"Its run was cleared into another version of its DAG; it goes on when all its tasks have followed\."
    expect(flow, run, t0000=(WaitingReason.RUN, text))
    flow.continue_all()
    expect(flow, run, t0000=READY)


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


def test_an_event_a_trigger_and_a_person(flow: Flow):
    worker_ = flow.register("w1")
    flow.publish(dag_of("d", task("event"), task("late"), task("trigger"), task("person")), to=worker_)
    run = flow.trigger("d")
    waits: dict[str, Wait] = {
        "event": Wait(event="came"),
        "late": Wait(event="came"),
        "trigger": Wait(trigger="mod:watch"),
        "person": Wait(question=Question(subject="Really?")),
    }
    for lease in flow.take(worker_):
        timeout_us = 60_000_000 if lease.task_id == "late" else None
        flow.defer(lease, worker_, waits[lease.task_id], timeout_us=timeout_us)
    expect(
        flow,
        run,
        event=(WaitingReason.TRIGGER, "Waits for the event 'came'\\."),
        late=(WaitingReason.TRIGGER, f"Waits for the event 'came', at most until {MOMENT}\\."),
        trigger=(
            WaitingReason.TRIGGER,
            "Waits for its trigger 'mod:watch'; `crosswind workloads list` says how it stands\\.",
        ),
        person=(WaitingReason.INPUT, "A person is to answer its question\\."),
    )


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


READY = (WaitingReason.SLOTS, r"Is ready; worker 'w1' can take it in a moment\.")


def test_a_pool_that_is_missing_too_small_or_full(flow: Flow):
    worker_ = flow.register("w1")
    flow.publish(dag_of("d", task("a", pool="db", pool_slots=2), task("b", pool="db", pool_slots=2)), to=worker_)
    run = flow.trigger("d")
    missing = (WaitingReason.POOL, r"There is no pool 'db'; make it with `crosswind pools set`\.")
    expect(flow, run, a=missing, b=missing)
    flow.set_pool("db", 1)
    small = (WaitingReason.POOL, r"The task takes 2 slots of the pool 'db', which has 1; give it more\.")
    expect(flow, run, a=small, b=small)
    flow.set_pool("db", 3)
    expect(flow, run, a=READY, b=READY)
    (lease,) = flow.take(worker_)
    flow.start(lease, worker_)
    other = "b" if lease.task_id == "a" else "a"
    full = (WaitingReason.POOL, r"Waits for 2 free slots of the pool 'db'; 2 of 3 are taken\.")
    expect(flow, run, **{lease.task_id: None, other: full})
    flow.finish(lease)
    expect(flow, run, **{other: READY})
    assert [given.task_id for given in flow.take(worker_)] == [other]


def test_a_pool_whose_slots_are_kept_for_what_has_waited_long(flow: Flow):
    worker_ = flow.register("w1")
    large = task("large", pool="db", pool_slots=3)
    flow.set_pool("db", 3)
    flow.publish(dag_of("d", task("a", pool="db")), dag_of("e", large), to=worker_)
    flow.trigger("d")
    (lease,) = flow.take(worker_)
    flow.start(lease, worker_)
    heavy = flow.trigger("e")
    flow.age(29)
    run = flow.trigger("d")
    expect(flow, run, a=READY)
    flow.age(1, task_id="large")
    kept = r"What is free of the pool 'db' is kept for the task 'large', which has waited long for 3 free slots\."
    expect(flow, run, a=(WaitingReason.POOL, kept))
    full = (WaitingReason.POOL, r"Waits for 3 free slots of the pool 'db'; 1 of 3 are taken\.")
    expect(flow, heavy, large=full)
    assert flow.take(worker_) == []
    flow.finish(lease)
    assert [given.task_id for given in flow.take(worker_)] == ["large"]


def test_a_bound_of_the_dag_and_of_a_task_in_a_run(flow: Flow):
    worker_ = flow.register("w1")
    bounded = mapped(task("m", max_active_instances_per_run=1), [1, 2])
    flow.publish(dag_of("d", task("a"), task("b"), max_active_tasks=1), dag_of("e", bounded), to=worker_)
    of_dag, of_task = flow.trigger("d"), flow.trigger("e")
    leases = flow.take(worker_)
    for lease in leases:
        flow.start(lease, worker_)
    (first,) = [lease for lease in leases if lease.dag_id == "d"]
    other = "b" if first.task_id == "a" else "a"
    text = r"Waits for others to end: as many tasks of the run are active as its DAG allows \(1\)\."
    expect(flow, of_dag, **{first.task_id: None, other: (WaitingReason.CONCURRENCY, text)})
    held = told_of(flow, of_task, "m", 1)
    text = "Waits for others to end: as many instances of the task 'm' are active in the run as may be (1)."
    assert held == (WaitingReason.CONCURRENCY, text)
    for lease in leases:
        flow.finish(lease)
    expect(flow, of_dag, **{other: READY})
    assert told_of(flow, of_task, "m", 1) == (WaitingReason.SLOTS, "Is ready; worker 'w1' can take it in a moment.")


def test_a_bound_of_a_task_over_all_runs(flow: Flow):
    worker_ = flow.register("w1")
    flow.publish(dag_of("d", task("a", max_active_instances=1)), to=worker_)
    first, second = flow.trigger("d"), flow.trigger("d")
    (lease,) = flow.take(worker_)
    flow.start(lease, worker_)
    text = r"Waits for others to end: as many instances of the task 'a' are active over all runs as may be \(1\)\."
    waits = second if flow.row(dag_run, first).run_id == lease.run_id else first
    expect(flow, waits, a=(WaitingReason.CONCURRENCY, text))
    flow.finish(lease)
    expect(flow, waits, a=READY)


def test_labels_roles_and_slots_that_no_worker_has(flow: Flow):
    worker_ = flow.register("w1", roles=["triggers"])
    needs = task_pb2.LabelSelector(key="gpu", value="a100", required=True)
    dag = dag_of("d", task("a", worker_labels=[needs]), task("b", slots=20))
    flow.publish(dag, to=worker_, version="v1")
    run = flow.trigger("d")
    what = r"No worker that offers the version \w{12} of the DAG 'd' \(bundle 'flows'\)"
    role = (WaitingReason.LABELS, rf"{what} runs tasks; start one with the role\.")
    expect(flow, run, a=role, b=role)
    flow.publish(dag, to=flow.register("w2"), version="v1")
    labels = (WaitingReason.LABELS, rf"{what} has the labels gpu=a100; start one with --label\.")
    slots = (WaitingReason.LABELS, r"The task takes 20 slots, and no worker has as many; start one with more --slots\.")
    expect(flow, run, a=labels, b=slots)
    # Each of them has something of what is needed, and none has all.
    flow.store.write_blocking(flow.heart.deregister, (TEAM, worker_.instance_id))
    flow.publish(dag, to=flow.register("w3", slots=20, roles=["triggers"]), version="v1")
    expect(
        flow,
        run,
        a=labels,
        b=(WaitingReason.LABELS, r"No one worker has the role, .* 20 slots that the task needs; start one\."),
    )
    flow.publish(dag, to=flow.register("w4", labels={"gpu": "a100"}, slots=20), version="v1")
    ready = (WaitingReason.SLOTS, r"Is ready; worker 'w4' can take it in a moment\.")
    expect(flow, run, a=ready, b=ready)


def test_a_worker_that_would_be_preferred(flow: Flow):
    worker_ = flow.register("w1")
    wants = task_pb2.LabelSelector(key="disk", value="ssd")
    dag = dag_of("d", task("a", worker_labels=[wants]))
    flow.publish(dag, to=worker_, version="v1")
    run = flow.trigger("d")
    rather = rf"Would rather have a worker with disk=ssd, and takes any other from {MOMENT} on\."
    expect(flow, run, a=(WaitingReason.LABELS, rather))
    flow.age(5)
    expect(flow, run, a=READY)
    other = flow.trigger("d")
    flow.publish(dag, to=flow.register("w2", labels={"disk": "ssd"}), version="v1")
    both = (WaitingReason.SLOTS, r"Is ready; workers 'w1', 'w2' can take it in a moment\.")
    expect(flow, other, a=both)


def test_a_worker_that_is_paused_for_its_next_instance_too(flow: Flow):
    def pause(paused: bool) -> None:
        flow.store.write_blocking(
            each(lambda uow, _: worker_listing.pause_worker(uow, TEAM, "w1", paused=paused)), None
        )

    worker_ = flow.register("w1")
    dag = dag_of("d", task("a"))
    flow.publish(dag, to=worker_, version="v1")
    run = flow.trigger("d")
    pause(True)
    text = r"Every worker that could take it is paused: worker 'w1'; let one go on\."
    expect(flow, run, a=(WaitingReason.PAUSED, text))
    assert flow.take(worker_) == []
    flow.store.write_blocking(flow.heart.deregister, (TEAM, worker_.instance_id))
    again = flow.register("w1")
    flow.publish(dag, to=again, version="v1")
    expect(flow, run, a=(WaitingReason.PAUSED, text))
    pause(False)
    expect(flow, run, a=READY)
    assert [lease.task_id for lease in flow.take(again)] == ["a"]
