"""Large runs that are cleared into the current version of their DAG follow in pieces. On both databases."""

from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind_server.services.flow.board import PIECE
from crosswind_server.store.schema import dag_run
from tests.store.dags import dag_of, task
from tests.store.flow import Flow
from tests.store.interventions import clear, mark_run
from tests.store.test_flow_big_runs import BESIDES, touching
from tests.store.test_flow_renewing import check

DONE = task_pb2.TRIGGER_RULE_ALL_DONE
MANY = 1_100


def large(name: str, *more: task_pb2.Task) -> dag_pb2.Dag:
    """A DAG of many tasks after one, and another that runs whatever that does."""
    many = [task(f"{name}{n:04}", "first") for n in range(MANY)]
    return dag_of("d", task("first"), *more, *many, task("last", "first", trigger_rule=DONE))


def test_a_large_run_follows_in_pieces_and_nothing_of_it_begins_before_the_last(flow: Flow):
    worker = flow.register(slots=5_000)
    flow.publish(large("old"), to=worker, version="v1")
    run = flow.trigger("d")
    flow.continue_all()
    flow.work_off(worker, outcomes={"first": "failed", "last": "failed"})
    assert flow.run_state(run) == "failed"
    flow.publish(large("new", task("idle")), to=worker, version="v2")
    with touching() as touched:
        cleared = clear(flow, run, use_current_version=True, only_failed=True)
        assert cleared.task_ids == ("first", "last")
        row = flow.row(dag_run, run)
        assert (row.renewing, row.holds, row.state) == (True, 1, "running")
        while flow.row(dag_run, run).renewing:
            assert flow.take(worker) == []
            assert "queued" not in flow.states(run).values()
            assert flow.continue_one()
        flow.continue_all()
    # A piece of what is cleared, and of those that forget its ends.
    assert touched.most <= 2 * PIECE + BESIDES
    states = list(flow.states(run).values())
    assert (states.count("removed"), states.count("waiting"), states.count("queued")) == (MANY, MANY + 1, 2)
    check(flow, run)
    flow.work_off(worker)
    states = list(flow.states(run).values())
    assert (states.count("removed"), states.count("succeeded")) == (MANY, MANY + 3)
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_what_ends_while_a_large_run_follows_is_counted_once(flow: Flow):
    worker = flow.register(slots=5_000)
    some = [task("a"), task("b"), task("join", "a", "b")]
    flow.publish(large("old", *some), to=worker, version="v1")
    run = flow.trigger("d")
    flow.continue_all()
    leases = {lease.task_id: lease for lease in flow.take(worker)}
    for lease in leases.values():
        flow.start(lease, worker)
    flow.publish(large("new", *some), to=worker, version="v2")
    clear(flow, run, use_current_version=True, only_failed=True)
    flow.finish(leases["a"])
    assert flow.continue_one()
    flow.finish(leases["b"])
    assert flow.states(run)["join"] == "waiting"
    flow.continue_all()
    join = flow.instance(run, "join")
    assert (join.state, join.upstream_succeeded) == ("queued", 2)
    flow.finish(leases["first"])
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_a_large_run_that_is_stopped_meanwhile_ends_and_is_made_when_it_is_cleared(flow: Flow):
    worker = flow.register(slots=5_000)
    flow.publish(large("old"), to=worker, version="v1")
    run = flow.trigger("d")
    flow.continue_all()
    flow.publish(large("new"), to=worker, version="v2")
    clear(flow, run, use_current_version=True)
    mark_run(flow, run, "failed")
    flow.continue_all()
    assert flow.run_state(run) == "failed"
    assert len(flow.states(run)) < 2 * MANY
    clear(flow, run)
    flow.continue_all()
    flow.work_off(worker)
    states = list(flow.states(run).values())
    assert (states.count("removed"), states.count("succeeded")) == (MANY, MANY + 2)
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_a_large_run_is_cleared_into_a_third_version_before_it_has_followed_into_the_second(flow: Flow):
    worker = flow.register(slots=5_000)
    flow.publish(large("old"), to=worker, version="v1")
    run = flow.trigger("d")
    flow.continue_all()
    flow.work_off(worker)
    flow.publish(large("new"), to=worker, version="v2")
    clear(flow, run, use_current_version=True)
    for _ in range(3):
        flow.continue_one()
    assert flow.row(dag_run, run).renewing
    flow.publish(large("old", task("z")), to=worker, version="v3")
    clear(flow, run, use_current_version=True, only_failed=True)
    flow.continue_all()
    flow.work_off(worker)
    states = flow.states(run)
    assert {state for name, state in states.items() if not name.startswith("new")} == {"succeeded"}
    assert {state for name, state in states.items() if name.startswith("new")} == {"removed"}
    # The first of the two was to clear all.
    assert flow.instance(run, "old0000").try_number == 2
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_a_large_run_that_is_being_made_is_made_in_the_other_version(flow: Flow):
    worker = flow.register(slots=5_000)
    flow.publish(large("old"), to=worker, version="v1")
    run = flow.trigger("d")
    assert flow.row(dag_run, run).unmade > 0
    flow.publish(large("new"), to=worker, version="v2")
    clear(flow, run, use_current_version=True)
    flow.continue_all()
    flow.work_off(worker)
    states = flow.states(run)
    assert {state for name, state in states.items() if not name.startswith("old")} == {"succeeded"}
    assert flow.run_state(run) == "succeeded"
    check(flow, run)
