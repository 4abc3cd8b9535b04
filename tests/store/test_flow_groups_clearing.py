"""Clearing and marking inside mapped groups: each index on its own, and never counted twice. On both databases."""

from typing import Any

from crosswind.manifest.v1 import task_pb2
from tests.store.dags import dag_of, task
from tests.store.flow import Flow, Worker
from tests.store.interventions import check_counts, clear, mark
from tests.store.test_flow_groups import group, inside

DONE = task_pb2.TRIGGER_RULE_ALL_DONE


def begin(flow: Flow, *, other: bool = False) -> tuple[str, Worker]:
    """A run of a group of two tasks, one after the other, over two items; the second waits for a task outside too."""
    worker = flow.register()
    before = ["g.a", "other"] if other else ["g.a"]
    tasks = [task("list"), inside("g.a"), inside("g.b", *before), task("after", "g.b")]
    flow.publish(
        dag_of("d", *tasks, *([task("other", queue="later")] if other else []), groups=[group("list")]), to=worker
    )
    return flow.trigger("d"), worker


def tries(flow: Flow, run: str) -> dict[Any, int]:
    """The tries of the instances of the group."""
    return {(name, n): flow.instance(run, name, n).try_number for name in ("g.a", "g.b") for n in range(2)}


def work_off(flow: Flow, worker: Worker, **outcomes: str) -> None:
    named = {name.replace("_", "."): outcome for name, outcome in outcomes.items()}
    flow.work_off(worker, results={"list": [1, 2]}, outcomes=named)


def test_an_instance_runs_again_without_the_others(flow: Flow):
    run, worker = begin(flow)
    work_off(flow, worker)
    clear(flow, run, ("g.a", 1))
    assert flow.states(run)["g.a"] == "expanded"
    work_off(flow, worker)
    assert tries(flow, run) == {("g.a", 0): 1, ("g.a", 1): 2, ("g.b", 0): 1, ("g.b", 1): 1}
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_an_instance_and_what_comes_after_it_run_again_at_its_index(flow: Flow):
    run, worker = begin(flow)
    work_off(flow, worker, g_a="failed")
    assert flow.states(run)["g.b", 1] == "upstream_failed"
    clear(flow, run, ("g.a", 1), include_downstream=True)
    flow.continue_all()
    states = flow.states(run)
    assert (states["g.b", 0], states["g.b", 1], states["after"]) == ("upstream_failed", "waiting", "waiting")
    work_off(flow, worker)
    assert tries(flow, run) == {("g.a", 0): 1, ("g.a", 1): 2, ("g.b", 0): 0, ("g.b", 1): 1}
    assert flow.states(run)["after"] == "upstream_failed"
    check_counts(flow, run)


def test_an_instance_and_what_comes_before_it_run_again_at_its_index(flow: Flow):
    run, worker = begin(flow)
    work_off(flow, worker)
    clear(flow, run, ("g.b", 0), include_upstream=True)
    flow.continue_all()
    # What the group is mapped over runs again too, so all of its instances do.
    assert flow.states(run)["list"] == "queued"
    work_off(flow, worker)
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_a_whole_task_of_the_group_runs_again_while_the_others_stand(flow: Flow):
    run, worker = begin(flow)
    work_off(flow, worker)
    clear(flow, run, "g.a")
    flow.continue_all()
    work_off(flow, worker)
    assert tries(flow, run) == {("g.a", 0): 2, ("g.a", 1): 2, ("g.b", 0): 1, ("g.b", 1): 1}
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_the_last_task_of_the_group_runs_again_on_what_the_first_ones_did(flow: Flow):
    run, worker = begin(flow)
    work_off(flow, worker)
    clear(flow, run, "g.b")
    flow.continue_all()
    assert flow.states(run)["g.b", 0] == "queued"
    work_off(flow, worker)
    assert tries(flow, run) == {("g.a", 0): 1, ("g.a", 1): 1, ("g.b", 0): 2, ("g.b", 1): 2}
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_the_whole_run_runs_again_with_other_items(flow: Flow):
    run, worker = begin(flow)
    work_off(flow, worker)
    clear(flow, run)
    flow.continue_all()
    flow.work_off(worker, results={"list": [1]})
    states = flow.states(run)
    assert (states["g.a", 0], states["g.a", 1], states["g.b", 1]) == ("succeeded", "removed", "removed")
    assert flow.run_state(run) == "succeeded"
    clear(flow, run)
    flow.continue_all()
    flow.work_off(worker, results={"list": [1, 2, 3]})
    assert [flow.states(run)["g.b", n] for n in range(3)] == ["succeeded"] * 3
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_an_end_that_is_undone_is_not_counted_twice(flow: Flow):
    run, worker = begin(flow, other=True)
    late = flow.register("late", queues=["later"])
    flow.publish(to=late, version="v1")
    work_off(flow, worker)
    assert flow.states(run)["g.b", 0] == "waiting"
    for selection in (("g.a", 0), "g.a"):
        clear(flow, run, selection)
        flow.continue_all()
        work_off(flow, worker)
        row = flow.instance(run, "g.b", 0)
        assert (row.state, row.upstream_succeeded) == ("waiting", 1)
    flow.run(flow.take(late)[0], late)
    flow.continue_all()
    work_off(flow, worker)
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_an_instance_that_is_marked_otherwise_is_counted_anew(flow: Flow):
    run, worker = begin(flow, other=True)
    work_off(flow, worker, g_a="skipped")
    assert flow.states(run)["g.b", 0] == "skipped"
    clear(flow, run, ("g.b", 0))
    flow.continue_all()
    assert flow.states(run)["g.b", 0] == "skipped"
    mark(flow, run, "g.a", "succeeded", 0)
    clear(flow, run, ("g.b", 0))
    flow.continue_all()
    assert flow.states(run)["g.b", 0] == "waiting"
    mark(flow, run, "g.a", "failed", 0)
    assert flow.states(run)["g.b", 0] == "upstream_failed"
    check_counts(flow, run)
