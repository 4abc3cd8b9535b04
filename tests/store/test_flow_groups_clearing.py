"""Clearing and marking inside mapped groups: each index on its own, and never counted twice. On both databases."""

from typing import Any

import pytest

from crosswind.manifest.v1 import task_pb2
from tests.store.dags import dag_of, task
from tests.store.flow import Flow, Worker
from tests.store.interventions import check_counts, clear, mark
from tests.store.test_flow_groups import group, inside

SETUP = task_pb2.TASK_KIND_SETUP
TEARDOWN = task_pb2.TASK_KIND_TEARDOWN
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


def guarded(flow: Flow) -> tuple[str, Worker]:
    """A run of a group over two items with a setup, a task and a teardown, which a switch outside may skip."""
    worker = flow.register()
    tasks = [
        task("switch", kind=task_pb2.TASK_KIND_SHORT_CIRCUIT),
        inside("g.make", kind=SETUP),
        inside("g.work", "g.make", "switch"),
        inside("g.clean", "g.work", kind=TEARDOWN, setup_task_ids=["g.make"]),
        task("after", "g.work"),
    ]
    flow.publish(dag_of("d", *tasks, groups=[group([1, 2])]), to=worker)
    return flow.trigger("d"), worker


def of(flow: Flow, run: str, name: str) -> list[tuple[str, int]]:
    """State and try of the two instances of a task."""
    rows = [flow.instance(run, name, n) for n in range(2)]
    return [(row.state, row.try_number) for row in rows]


def test_a_setup_of_one_index_that_failed_runs_again_with_all_that_it_guards(flow: Flow):
    run, worker = guarded(flow)
    for lease in flow.take(worker):
        flow.run(lease, worker, "failed" if (lease.task_id, lease.map_index) == ("g.make", 0) else "succeeded")
    flow.work_off(worker)
    assert of(flow, run, "g.clean") == [("upstream_failed", 0), ("succeeded", 1)]
    clear(flow, run, ("g.make", 0), include_downstream=True)
    flow.continue_all()
    flow.work_off(worker)
    assert of(flow, run, "g.clean") == [("succeeded", 1), ("succeeded", 1)]
    assert of(flow, run, "g.make") == [("succeeded", 2), ("succeeded", 1)]
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


@pytest.mark.parametrize("skip_all", [False, True])
def test_what_was_skipped_from_outside_runs_again_when_the_switch_is_cleared(flow: Flow, skip_all: bool):
    run, worker = guarded(flow)
    for lease in flow.take(worker):
        flow.start(lease, worker)
        flow.finish(lease, skip_all=skip_all if lease.task_id == "switch" else None)
    flow.work_off(worker)
    assert of(flow, run, "g.work") == [("skipped", 0)] * 2
    assert of(flow, run, "g.clean") == [("succeeded", 1)] * 2
    # Alone it is skipped again: who skipped it still says so.
    clear(flow, run, ("g.work", 0))
    flow.continue_all()
    assert flow.states(run)["g.work"] == "skipped"
    check_counts(flow, run)
    clear(flow, run, "switch", include_downstream=True)
    flow.continue_all()
    flow.work_off(worker)
    assert of(flow, run, "g.make") == [("succeeded", 2)] * 2
    assert of(flow, run, "g.work") == [("succeeded", 1)] * 2
    assert of(flow, run, "g.clean") == [("succeeded", 2)] * 2
    assert flow.states(run)["after"] == "succeeded"
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


def test_the_whole_run_of_a_group_with_a_teardown_runs_again(flow: Flow):
    run, worker = guarded(flow)
    for lease in flow.take(worker):
        flow.start(lease, worker)
        flow.finish(lease, skip_all=True if lease.task_id == "switch" else None)
    flow.work_off(worker)
    clear(flow, run)
    flow.continue_all()
    flow.work_off(worker)
    assert [of(flow, run, name) for name in ("g.make", "g.work", "g.clean")] == [
        [("succeeded", 2)] * 2,
        [("succeeded", 1)] * 2,
        [("succeeded", 2)] * 2,
    ]
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)


@pytest.mark.parametrize("include_downstream", [False, True])
def test_an_instance_runs_again_with_the_setup_and_the_teardown_of_its_own_index(flow: Flow, include_downstream: bool):
    run, worker = guarded(flow)
    flow.work_off(worker)
    clear(flow, run, ("g.work", 1), include_downstream=include_downstream)
    flow.continue_all()
    flow.work_off(worker)
    assert [of(flow, run, name) for name in ("g.make", "g.work", "g.clean")] == [
        [("succeeded", 1), ("succeeded", 2)],
    ] * 3
    assert flow.instance(run, "after").try_number == (2 if include_downstream else 1)
    assert flow.run_state(run) == "succeeded"
    check_counts(flow, run)
