"""Which classes of claims stay, and which go when nothing is of them any more. On both databases."""

from sqlalchemy import select, update

from crosswind_server.services.catalog import claim_classes
from crosswind_server.store.schema import claim_class
from tests.store.dags import dag_of, task
from tests.store.flow import Flow


def queues(flow: Flow) -> list[str]:
    """The queues of the classes that are stored."""
    query = select(claim_class.c.queue).order_by(claim_class.c.queue)
    return list(flow.store.read_blocking(lambda uow: uow.execute(query).scalars().all()))


def age(flow: Flow, hours: int) -> None:
    """Let the classes have been used so many hours earlier, also as the server remembers it."""
    passed = hours * 3_600_000_000
    flow.act(lambda uow: uow.execute(update(claim_class).values(used_time=claim_class.c.used_time - passed)).rowcount)
    known = flow.heart.plans.claim_classes._known
    known.update({each: at - passed for each, at in known.items()})


def clean(flow: Flow) -> int:
    number: int = flow.act(claim_classes.forget_unused)
    return number


def test_what_nothing_is_of_goes_and_what_is_queued_stays(flow: Flow):
    worker = flow.register(queues=["done"])
    tasks = [task("done", queue="done"), task("ready", queue="ready"), task("later", "ready", queue="later")]
    flow.publish(
        dag_of("d", *tasks),
        dag_of("e", task("a", queue="bound"), task("b", queue="bound"), max_active_tasks=1),
        to=worker,
    )
    run = flow.trigger("d")
    flow.trigger("e")
    flow.run(flow.take(worker)[0], worker)
    assert queues(flow) == ["bound", "done", "later", "ready"]
    age(flow, 23)
    assert clean(flow) == 0
    age(flow, 2)
    # One of those with a bound is claimable, and the other one held.
    assert clean(flow) == 2
    assert queues(flow) == ["bound", "ready"]
    # What becomes queued brings its class along again.
    other = flow.register("w2", queues=["ready", "later"])
    flow.publish(dag_of("d", *tasks), to=other, version="v1")
    assert set(flow.work_off(other)) == {("ready", -1), ("later", -1)}
    assert flow.run_state(run) == "succeeded"
    assert clean(flow) == 0


def test_a_class_that_is_used_again_counts_from_then(flow: Flow):
    worker = flow.register(queues=["q"])
    flow.publish(dag_of("d", task("a", queue="q")), to=worker)
    flow.trigger("d")
    flow.work_off(worker)
    age(flow, 25)
    flow.trigger("d")
    flow.work_off(worker)
    assert (clean(flow), queues(flow)) == (0, ["q"])
    age(flow, 25)
    assert (clean(flow), queues(flow)) == (1, [])


def test_a_server_that_trusts_a_class_and_one_that_forgets_it_do_not_cross(flow: Flow):
    """A class is trusted for an hour and stays for a day, by the database's clock."""
    assert claim_classes.TRUSTED_US * 24 <= claim_classes.KEPT_US
    worker = flow.register(queues=["q"])
    flow.publish(dag_of("d", task("a", queue="q")), to=worker)
    flow.trigger("d")
    flow.work_off(worker)
    flow.trigger("d")
    age(flow, 25)
    # It is about to be taken: queued, though nobody has said for a day that it is used.
    assert clean(flow) == 0
    assert len(flow.take(worker)) == 1
