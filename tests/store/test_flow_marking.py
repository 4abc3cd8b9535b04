"""Marking tasks and runs: they end as a person says, and what follows sees it so. On both databases."""

import pytest

from crosswind.execution.v1.failure_pb2 import Failure
from crosswind.manifest.v1 import task_pb2
from crosswind_server.store.schema import dag_run
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import Flow, refused
from tests.store.interventions import cancel_task, check_counts, clear, mark, mark_run


@pytest.mark.parametrize(
    ("state", "successor"), [("succeeded", "queued"), ("failed", "upstream_failed"), ("skipped", "skipped")]
)
def test_a_task_that_has_not_run_ends_as_a_person_says(flow: Flow, state: str, successor: str):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a")), to=worker)
    run = flow.trigger("d")
    mark(flow, run, "a", state)
    assert flow.states(run) == {"a": state, "b": successor}
    assert flow.take(worker) == [] or successor == "queued"
    check_counts(flow, run)


def test_a_mark_as_failed_says_who_did_it(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    mark(flow, run, "a", "failed")
    failure = Failure.FromString(flow.instance(run, "a").failure_message)
    assert (failure.type, failure.message) == ("crosswind.Marked", "ann said that it failed.")
    assert flow.run_state(run) == "failed"


def test_a_run_that_had_ended_is_decided_anew(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"b": "failed"})
    assert flow.run_state(run) == "failed"
    mark(flow, run, "b", "succeeded")
    assert flow.run_state(run) == "succeeded"
    assert flow.instance(run, "b").failure_message is None
    mark(flow, run, "b", "failed")
    assert flow.run_state(run) == "failed"


def test_successors_that_have_not_run_are_judged_anew_and_others_stay(flow: Flow):
    worker = flow.register()
    rule = task_pb2.TRIGGER_RULE_ONE_FAILED
    tasks = [task("a"), task("z"), task("waits", "a", "z"), task("ran", "a"), task("mend", "a", trigger_rule=rule)]
    flow.publish(dag_of("d", *tasks), to=worker)
    run = flow.trigger("d")
    a, z = flow.take(worker)
    flow.run(a, worker)
    (ran,) = flow.take(worker, held=[z.attempt_id])
    flow.start(ran, worker)
    assert flow.states(run)["mend"] == "skipped"
    mark(flow, run, "a", "failed")
    assert flow.states(run) == {
        "a": "failed",
        "z": "assigned",
        "waits": "upstream_failed",
        "ran": "running",
        "mend": "skipped",
    }
    mark(flow, run, "a", "succeeded")
    assert flow.states(run)["waits"] == "upstream_failed"
    check_counts(flow, run)


def test_a_queued_successor_waits_again_where_the_end_no_longer_allows_it(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a")), to=worker)
    run = flow.trigger("d")
    flow.run(flow.take(worker)[0], worker)
    assert flow.states(run)["b"] == "queued"
    mark(flow, run, "a", "failed")
    assert flow.states(run) == {"a": "failed", "b": "upstream_failed"}
    assert flow.run_state(run) == "failed"
    assert flow.take(worker) == []


def test_a_task_with_a_live_attempt_is_not_marked(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), mapped(task("m"), [1, 2])), to=worker)
    run = flow.trigger("d")
    leases = flow.take(worker, max_leases=2)
    flow.start(leases[0], worker)
    assert {lease.task_id for lease in leases} == {"a", "m"}
    assert refused(lambda: mark(flow, run, "a", "succeeded")) == "TASK_RUNNING"
    assert refused(lambda: mark(flow, run, "m", "succeeded")) == "TASK_RUNNING"
    cancel_task(flow, run, "a")
    assert refused(lambda: mark(flow, run, "a", "succeeded")) == "TASK_RUNNING"
    flow.finish(leases[0], "cancelled")
    mark(flow, run, "a", "succeeded")
    assert flow.states(run)["a"] == "succeeded"


def test_of_a_mapped_task_every_instance_that_has_not_ended_is_marked(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", mapped(task("m"), [1, 2, 3]), task("end", "m")), to=worker)
    run = flow.trigger("d")
    first, *_ = flow.take(worker, max_leases=1)
    flow.run(first, worker, "failed")
    mark(flow, run, "m", "skipped")
    states = flow.states(run)
    assert [states["m", index] for index in range(3)] == ["failed", "skipped", "skipped"]
    assert (states["m"], states["end"]) == ("failed", "upstream_failed")
    mark(flow, run, "m", "succeeded", 0)
    assert flow.states(run)["m"] == "succeeded"
    assert flow.states(run)["end"] == "upstream_failed"
    mark(flow, run, "m", "failed")
    assert flow.states(run)["m"] == "failed"
    check_counts(flow, run)


def test_a_large_mapped_task_is_marked_in_pieces_though_it_is_still_being_expanded(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register()
    flow.publish(dag_of("d", mapped(task("m"), list(range(1_100))), task("end", "m")), to=worker)
    run = flow.trigger("d")
    mark(flow, run, "m", "succeeded")
    flow.continue_all()
    states = flow.states(run)
    assert [states.pop("m"), states.pop("end")] == ["succeeded", "queued"]
    assert set(states.values()) == {"succeeded"}
    check_counts(flow, run)


@pytest.mark.parametrize(("state", "rest"), [("succeeded", "succeeded"), ("failed", "skipped")])
def test_a_run_ends_as_a_person_says(flow: Flow, state: str, rest: str):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), task("b", "a"), task("c", "b"), task("z")), to=worker)
    run = flow.trigger("d")
    a, z = flow.take(worker)
    flow.run(a, worker)
    flow.start(z, worker)
    mark_run(flow, run, state)
    assert flow.run_state(run) == "cancelling"
    assert flow.take(worker, held=[z.attempt_id]) == []
    assert refused(lambda: mark_run(flow, run, state)) == "RUN_CANCELLING"
    flow.finish(z, "cancelled")
    assert flow.states(run) == {"a": "succeeded", "b": rest, "c": rest, "z": rest}
    assert flow.run_state(run) == state
    check_counts(flow, run)


def test_a_run_that_had_ended_takes_the_state_at_once(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker)
    before = flow.row(dag_run, run)
    mark_run(flow, run, "failed")
    after = flow.row(dag_run, run)
    assert (after.state, after.end_time) == ("failed", before.end_time)
    assert after.revision > before.revision
    clear(flow, run)
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
