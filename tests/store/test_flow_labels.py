"""Labels that a worker must or should have, and the roles of workers."""

import asyncio

from sqlalchemy import update

from crosswind.manifest.v1 import task_pb2
from crosswind_server.services.execution.polling import PollWork
from crosswind_server.store.schema import task_instance
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import Flow


def required(key: str, value: str) -> task_pb2.LabelSelector:
    return task_pb2.LabelSelector(key=key, value=value, required=True)


def preferred(key: str, value: str) -> task_pb2.LabelSelector:
    return task_pb2.LabelSelector(key=key, value=value)


def test_a_task_is_given_only_to_workers_with_the_labels_that_it_requires(flow: Flow):
    tasks = [
        task("both", priority=9, worker_labels=[required("gpu", "a100"), required("zone", "eu")]),
        task("one", worker_labels=[required("zone", "eu")]),
        task("none"),
    ]
    workers = {
        name: flow.register(name, labels=labels)
        for name, labels in {
            "plain": {},
            "other": {"zone": "us", "gpu": "a100"},
            "europe": {"zone": "eu", "disk": "large"},
            "full": {"zone": "eu", "gpu": "a100"},
        }.items()
    }
    for worker in workers.values():
        flow.publish(dag_of("d", *tasks), to=worker, version="v1")
    flow.trigger("d")
    given = {name: [lease.task_id for lease in flow.take(worker)] for name, worker in workers.items()}
    assert given == {"plain": ["none"], "other": [], "europe": ["one"], "full": ["both"]}


def test_a_preferred_worker_has_five_seconds_and_then_any_will_do(flow: Flow):
    plain, fast = flow.register("plain"), flow.register("fast", labels={"disk": "ssd"})
    made = dag_of("d", mapped(task("m", worker_labels=[preferred("disk", "ssd")]), [1, 2, 3]), task("any"))
    for worker in (plain, fast):
        flow.publish(made, to=worker, version="v1")
    flow.trigger("d")
    work = flow.poll(plain)
    assert [lease.task_id for lease in work.leases] == ["any"]
    assert work.look_again_us is not None
    assert 0 < work.look_again_us <= 5_000_000
    assert [lease.task_id for lease in flow.take(fast, max_leases=1)] == ["m"]
    flow.age(4, task_id="m")
    assert not [lease for lease in flow.take(plain) if lease.task_id == "m"]
    flow.age(1, task_id="m")
    assert len([lease for lease in flow.take(plain) if lease.task_id == "m"]) == 2


async def test_a_poll_looks_again_when_the_preference_is_over_without_a_hint(flow: Flow):
    plain = flow.register("plain")
    flow.publish(dag_of("d", task("a", worker_labels=[preferred("disk", "ssd")])), to=plain)
    flow.trigger("d")
    flow._change(update(task_instance).values(queued_time=task_instance.c.queued_time - 4_500_000))
    command = PollWork(caller=plain.caller, instance_id=plain.instance_id, poll_number=1)
    work = await asyncio.wait_for(flow.heart.polling.poll(command), flow.heart.timing.poll_wait / 2)
    assert [lease.task_id for lease in work.leases] == ["a"]


def test_labels_of_a_task_stay_with_it_through_retries_and_versions(flow: Flow):
    europe = flow.register("europe", labels={"zone": "eu"})
    plain = flow.register("plain")
    made = task("a", retries=2, delay=1, worker_labels=[required("zone", "eu")])
    for worker in (europe, plain):
        flow.publish(dag_of("d", made), to=worker, version="v1")
    run = flow.trigger("d")
    (lease,) = flow.take(europe)
    flow.run(lease, europe, "failed")
    flow.wake()
    assert flow.take(plain) == []
    # The version that the run began with is offered no more, and it goes on with the newest.
    for worker in (europe, plain):
        flow.publish(dag_of("d", made, task("b", "a")), to=worker, version="v2", withdrawn=[("flows", "v1")])
    assert flow.take(plain) == []
    assert [lease.bundle_version for lease in flow.take(europe)] == ["v2"]
    assert flow.instance(run, "a").worker_name == "europe"


def test_a_reference_is_pinned_with_its_queue_and_labels(flow: Flow):
    host, other = flow.register("host", labels={"zone": "eu"}), flow.register("other")
    far = mapped(task("far", worker_labels=[required("zone", "eu")]), [1, 2, 3])
    far.reference.bundle, far.reference.entry_point = "go", "Load"
    flow.publish(dag_of("d", far), to=other)
    for worker in (host, other):
        flow.publish(to=worker, bundle="go", offers=["Load"], version="v1")
    run = flow.trigger("d")
    assert flow.take(other) == []
    (lease,) = flow.take(host, max_leases=1)
    flow.run(lease, host)
    assert {flow.instance(run, "far", index).offer_key for index in range(3)} == {"ref:go@v1/Load"}
    flow.publish(to=host, bundle="go", offers=["Load"], version="v2")
    assert flow.take(other) == []
    assert [lease.bundle_version for lease in flow.take(host)] == ["v1", "v1"]


def test_a_worker_for_triggers_is_given_no_tasks(flow: Flow):
    triggers, tasks = flow.register("triggers", roles=["triggers"]), flow.register("tasks")
    both = flow.register("both", roles=["tasks", "triggers"])
    for worker in (triggers, tasks, both):
        flow.publish(dag_of("d", task("a"), task("b")), to=worker, version="v1")
    flow.trigger("d")
    assert flow.take(triggers) == []
    assert len(flow.take(both, max_leases=1)) == 1
    assert len(flow.take(tasks)) == 1
