"""Clearing a run into the current version of its DAG: each task keeps its number, whatever became of the DAG.

On both databases.
"""

from typing import Any

import pytest

from crosswind.manifest.v1 import dag_pb2
from crosswind_server.services.interventions.choosing import Cleared
from crosswind_server.store.schema import dag_run
from tests.store.dags import dag_of, mapped, reading, task
from tests.store.flow import Flow, Worker, arguments, refused
from tests.store.interventions import cancel_task, check_counts, clear
from tests.store.test_flow_groups import group, inside
from tests.store.test_flow_setup_teardown import setup, teardown


def renew(flow: Flow, run: str, **fields: Any) -> Cleared:
    """Clear the run into its DAG's current version, and let all that follows happen."""
    cleared = clear(flow, run, use_current_version=True, **fields)
    flow.continue_all()
    return cleared


def begin(flow: Flow, made: dag_pb2.Dag, **fields: Any) -> tuple[Worker, str]:
    """A worker that offers the first version of a DAG, and a run of it."""
    worker = flow.register()
    flow.publish(made, to=worker, version="v1", **fields)
    return worker, flow.trigger(made.dag_id)


def numbers(flow: Flow, run: str) -> dict[str, int]:
    """The numbers of the run's tasks."""
    return {name: flow.instance(run, name).task_index for name in flow.states(run) if isinstance(name, str)}


def check(flow: Flow, run: str) -> None:
    check_counts(flow, run)
    assert flow.left_behind() == 0
    assert not flow.row(dag_run, run).renewing


def test_tasks_are_added_removed_and_reordered(flow: Flow):
    worker, run = begin(flow, dag_of("d", task("a"), task("old", "a"), task("b", "old")))
    flow.work_off(worker)
    first = flow.row(dag_run, run)
    flow.publish(dag_of("d", task("b", "new"), task("new", "a"), task("a")), to=worker, version="v2")
    assert renew(flow, run).task_ids == ("a", "b")
    row = flow.row(dag_run, run)
    assert row.dag_version_id == row.code_version_id != first.dag_version_id
    assert numbers(flow, run) == {"a": 0, "old": 1, "b": 2, "new": 3}
    assert flow.states(run) == {"a": "queued", "old": "removed", "b": "waiting", "new": "waiting"}
    check(flow, run)
    seen = flow.work_off(worker)
    assert list(seen) == [("a", -1), ("new", -1), ("b", -1)]
    assert flow.states(run) == {"a": "succeeded", "old": "removed", "b": "succeeded", "new": "succeeded"}
    assert flow.run_state(run) == "succeeded"
    assert flow.instance(run, "old").try_number == 1
    check(flow, run)


def test_a_dry_run_counts_and_changes_nothing(flow: Flow):
    worker, run = begin(flow, dag_of("d", task("a"), task("b", "a")))
    flow.work_off(worker)
    before = flow.row(dag_run, run)
    flow.publish(dag_of("d", task("a"), task("c", "a")), to=worker, version="v2")
    cleared = renew(flow, run, dry_run=True)
    assert (cleared.count, cleared.task_ids) == (1, ("a",))
    assert flow.row(dag_run, run) == before
    assert flow.states(run) == {"a": "succeeded", "b": "succeeded"}


def test_a_run_that_has_the_version_is_cleared_as_ever(flow: Flow):
    worker, run = begin(flow, dag_of("d", task("a"), task("b", "a")))
    flow.work_off(worker, outcomes={"b": "failed"})
    before = flow.row(dag_run, run)
    assert renew(flow, run, only_failed=True).task_ids == ("b",)
    row = flow.row(dag_run, run)
    assert (row.dag_version_id, row.numbering_json) == (before.dag_version_id, None)
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"


def test_only_what_failed_runs_again_and_what_is_new(flow: Flow):
    worker, run = begin(flow, dag_of("d", task("a"), task("ok", "a"), task("b", "a"), task("end", "b", "ok")))
    flow.work_off(worker, outcomes={"b": "failed"}, results={"a": 1})
    flow.publish(
        dag_of("d", task("a"), task("ok", "a"), task("fix", "a"), reading(task("b", "fix"), "a"), task("end", "b")),
        to=worker,
        version="v2",
    )
    assert renew(flow, run, only_failed=True).task_ids == ("b", "end")
    assert flow.states(run) == {"a": "succeeded", "ok": "succeeded", "b": "waiting", "end": "waiting", "fix": "queued"}
    check(flow, run)
    seen = flow.work_off(worker)
    assert list(seen) == [("fix", -1), ("b", -1), ("end", -1)]
    assert arguments(seen["b", -1]) == {"arg0": 1}
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_what_waits_counts_its_upstream_tasks_by_the_new_edges(flow: Flow):
    worker, run = begin(flow, dag_of("d", task("a"), task("b"), task("slow"), task("join", "a", "b", "slow")))
    for lease in flow.take(worker):
        if lease.task_id != "slow":
            flow.run(lease, worker)
        else:
            flow.start(lease, worker)
            slow = lease
    flow.publish(
        dag_of("d", task("a"), task("slow"), task("c"), task("join", "a", "c", "slow")), to=worker, version="v2"
    )
    assert renew(flow, run, only_failed=True).count == 0
    join = flow.instance(run, "join")
    assert (join.state, join.upstream_succeeded) == ("waiting", 1)
    assert flow.states(run)["slow"] == "running"
    flow.finish(slow)
    assert flow.states(run)["join"] == "waiting"
    assert list(flow.work_off(worker)) == [("c", -1), ("join", -1)]
    assert flow.states(run)["b"] == "removed"
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_what_is_queued_waits_for_a_task_that_came_before_it(flow: Flow):
    worker, run = begin(flow, dag_of("d", task("a"), task("b", "a")))
    flow.run(flow.take(worker)[0], worker)
    assert flow.states(run) == {"a": "succeeded", "b": "queued"}
    flow.publish(dag_of("d", task("a"), task("n", "a"), task("b", "n", priority=7)), to=worker, version="v2")
    renew(flow, run, only_failed=True)
    assert flow.states(run) == {"a": "succeeded", "b": "waiting", "n": "queued"}
    assert flow.instance(run, "b").priority == 7
    assert list(flow.work_off(worker)) == [("n", -1), ("b", -1)]
    check(flow, run)


def test_a_live_attempt_of_a_task_that_is_gone_is_asked_to_end(flow: Flow):
    """[LEASE-4]"""
    worker, run = begin(flow, dag_of("d", task("a"), task("gone"), task("end", "gone", "a")))
    leases = {lease.task_id: lease for lease in flow.take(worker)}
    flow.run(leases["a"], worker)
    flow.start(leases["gone"], worker)
    flow.publish(dag_of("d", task("a"), task("end", "a")), to=worker, version="v2")
    renew(flow, run, only_failed=True)
    assert flow.states(run) == {"a": "succeeded", "gone": "cancelling", "end": "queued"}
    held = leases["gone"]
    assert [each.kind.name for each in flow.poll(worker, held=[held.attempt_id]).directives] == ["CANCEL"]
    assert flow.finish(held, result=1).recorded_as_cancelled
    assert flow.states(run)["gone"] == "removed"
    for lease in flow.take(worker, held=[]):
        flow.run(lease, worker)
    flow.work_off(worker)
    # The one lease that the directive's poll brought was never started by this worker: it is given back.
    flow.pass_start_deadline()
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_what_was_assigned_and_not_started_is_assigned_anew_with_the_other_code(flow: Flow):
    worker, run = begin(flow, dag_of("d", task("a"), task("b")))
    flow.poll(worker)
    assert set(flow.states(run).values()) == {"assigned"}
    flow.publish(dag_of("d", task("a"), task("b"), task("c")), to=worker, version="v2")
    renew(flow, run, only_failed=True)
    assert set(flow.states(run).values()) == {"queued"}
    current = flow.row(dag_run, run).dag_version_id
    leases = flow.take(worker)
    assert {lease.bundle_version for lease in leases} == {"v2"}
    assert {flow.instance(run, lease.task_id).offer_key for lease in leases} == {f"dag:{current}"}
    for lease in leases:
        flow.run(lease, worker)
    assert flow.run_state(run) == "succeeded"


def test_what_runs_goes_on_and_is_tried_again_with_the_other_code(flow: Flow):
    worker, run = begin(flow, dag_of("d", task("a", retries=2)))
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    flow.publish(dag_of("d", task("a", retries=2, pool="p", priority=7)), to=worker, version="v2")
    flow.set_pool("p", 1)
    renew(flow, run, only_failed=True)
    row = flow.instance(run, "a")
    assert (row.state, row.pool) == ("running", None)
    flow.finish(lease, "failed")
    flow.wake()
    row = flow.instance(run, "a")
    assert (row.state, row.pool, row.priority) == ("queued", "p", 7)
    (lease,) = flow.take(worker)
    assert (lease.bundle_version, lease.try_number) == ("v2", 2)


def test_a_mapped_task_is_expanded_over_another_list(flow: Flow):
    worker, run = begin(flow, dag_of("d", mapped(task("m"), [1, 2, 3]), task("end", "m")))
    flow.work_off(worker)
    flow.publish(dag_of("d", mapped(task("m"), [5, 6]), task("end", "m")), to=worker, version="v2")
    # Its instances mean something else, so they are cleared though none failed.
    assert renew(flow, run, only_failed=True).task_ids == ("m", "end")
    states = flow.states(run)
    assert (states["m", 0], states["m", 1], states["m", 2], states["end"]) == ("queued", "queued", "removed", "waiting")
    seen = flow.work_off(worker)
    assert [arguments(seen["m", index]) for index in range(2)] == [{"item0": 5}, {"item0": 6}]
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_a_mapped_task_becomes_one_and_one_becomes_mapped(flow: Flow):
    worker, run = begin(flow, dag_of("d", mapped(task("m"), [1, 2]), task("s"), task("end", "m", "s")))
    flow.work_off(worker)
    flow.publish(dag_of("d", task("m"), mapped(task("s"), [1, 2]), task("end", "m", "s")), to=worker, version="v2")
    assert renew(flow, run, only_failed=True).task_ids == ("m", "s", "end")
    states = flow.states(run)
    assert (states["m"], states["m", 0], states["m", 1]) == ("queued", "removed", "removed")
    assert (states["s"], states["s", 0], states["s", 1]) == ("expanded", "queued", "queued")
    assert sorted(flow.work_off(worker)) == [("end", -1), ("m", -1), ("s", 0), ("s", 1)]
    assert flow.run_state(run) == "succeeded"
    flow.publish(dag_of("d", mapped(task("m"), [1, 2]), task("s"), task("end", "m", "s")), to=worker, version="v3")
    renew(flow, run)
    assert sorted(flow.work_off(worker)) == [("end", -1), ("m", 0), ("m", 1), ("s", -1)]
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_the_live_instances_of_a_mapped_task_that_is_gone_are_asked_to_end(flow: Flow):
    worker, run = begin(flow, dag_of("d", mapped(task("m"), [1, 2, 3]), task("end", "m")))
    first, second, _ = flow.take(worker)
    flow.run(first, worker)
    flow.start(second, worker)
    flow.publish(dag_of("d", task("end")), to=worker, version="v2")
    renew(flow, run, only_failed=True)
    states = flow.states(run)
    assert (states["m"], states["m", 0], states["m", 1], states["m", 2]) == (
        "removed",
        "removed",
        "cancelling",
        "removed",
    )
    assert flow.finish(second).recorded_as_cancelled
    assert flow.states(run)["m", 1] == "removed"
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_a_task_comes_into_a_mapped_group_and_another_leaves_it(flow: Flow):
    first = [task("list"), inside("g.a"), inside("g.b", "g.a"), task("after", "g.b")]
    worker, run = begin(flow, dag_of("d", *first, groups=[group("list")]))
    flow.work_off(worker, results={"list": [1, 2]}, outcomes={"g.b": "failed"})
    second = [task("list"), inside("g.a"), inside("g.n", "g.a"), task("g.b", "g.n"), task("after", "g.b")]
    flow.publish(dag_of("d", *second, groups=[group("list")]), to=worker, version="v2")
    renew(flow, run, only_failed=True)
    states = flow.states(run)
    assert (states["list"], states["g.a"], states["g.n"], states["g.b"]) == (
        "succeeded",
        "succeeded",
        "expanded",
        "waiting",
    )
    assert (states["g.n", 0], states["g.n", 1], states["g.b", 0]) == ("queued", "queued", "removed")
    seen = flow.work_off(worker)
    assert sorted(seen) == [("after", -1), ("g.b", -1), ("g.n", 0), ("g.n", 1)]
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_a_group_is_mapped_no_more(flow: Flow):
    first = [task("list"), inside("g.a"), inside("g.b", "g.a"), task("after", "g.b")]
    worker, run = begin(flow, dag_of("d", *first, groups=[group("list")]))
    flow.work_off(worker, results={"list": [1, 2]}, outcomes={"g.b": "failed"})
    second = [task("list"), task("g.a", "list"), task("g.b", "g.a"), task("after", "g.b")]
    flow.publish(dag_of("d", *second), to=worker, version="v2")
    renew(flow, run, only_failed=True)
    assert sorted(flow.work_off(worker)) == [("after", -1), ("g.a", -1), ("g.b", -1)]
    assert flow.run_state(run) == "succeeded"
    flow.publish(dag_of("d", *first, groups=[group("list")]), to=worker, version="v3")
    renew(flow, run)
    flow.work_off(worker, results={"list": [1]})
    states = flow.states(run)
    assert (states["g.a", 0], states["g.b", 0], states["g.b", 1]) == ("succeeded", "succeeded", "removed")
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_a_group_that_runs_goes_on_in_the_other_version(flow: Flow):
    first = [task("list"), inside("g.a"), inside("g.b", "g.a"), task("after", "g.b")]
    worker, run = begin(flow, dag_of("d", *first, groups=[group("list")]))
    flow.run(flow.take(worker)[0], worker, result=[1, 2])
    flow.continue_all()
    lease, _ = flow.take(worker)
    flow.start(lease, worker)
    flow.publish(dag_of("d", task("n"), *first, groups=[group("list")]), to=worker, version="v2")
    renew(flow, run, only_failed=True)
    states = flow.states(run)
    assert (states["g.a", 0], states["g.a", 1], states["g.b", 0]) == ("running", "queued", "waiting")
    flow.finish(lease)
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_three_versions_in_a_row_and_back(flow: Flow):
    one = dag_of("d", task("a"), task("b", "a"), task("c", "b"))
    two = dag_of("d", task("x"), task("c", "x"), task("a"))
    three = dag_of("d", task("y"), task("b", "y"), task("a", "b"), task("x", "a"))
    worker, run = begin(flow, one)
    flow.work_off(worker)
    flow.publish(two, to=worker, version="v2")
    renew(flow, run)
    assert numbers(flow, run) == {"a": 0, "b": 1, "c": 2, "x": 3}
    flow.work_off(worker)
    flow.publish(three, to=worker, version="v3")
    renew(flow, run)
    assert numbers(flow, run) == {"a": 0, "b": 1, "c": 2, "x": 3, "y": 4}
    assert flow.states(run) == {"a": "waiting", "b": "waiting", "c": "removed", "x": "waiting", "y": "queued"}
    assert [name for name, _ in flow.work_off(worker)] == ["y", "b", "a", "x"]
    assert flow.instance(run, "b").try_number == 2
    flow.publish(one, to=worker, version="v4")
    renew(flow, run)
    assert [name for name, _ in flow.work_off(worker)] == ["a", "b", "c"]
    assert flow.states(run) == {"a": "succeeded", "b": "succeeded", "c": "succeeded", "x": "removed", "y": "removed"}
    assert flow.run_state(run) == "succeeded"
    check(flow, run)


def test_a_setup_s_scope_is_that_of_the_other_version(flow: Flow):
    def scope(name: str) -> dag_pb2.Dag:
        return dag_of("d", setup(name), task("work", name), teardown("down", "work", setups=[name]))

    worker, run = begin(flow, scope("up"))
    flow.work_off(worker, outcomes={"work": "failed"})
    flow.publish(scope("raise"), to=worker, version="v2")
    renew(flow, run, only_failed=True)
    assert [name for name, _ in flow.work_off(worker)] == ["raise", "work", "down"]
    assert flow.states(run)["up"] == "removed"
    assert flow.run_state(run) == "succeeded"


def test_bounds_within_the_run_are_those_of_the_other_version(flow: Flow):
    worker, run = begin(flow, dag_of("d", *(mapped(task(name), [1, 2, 3]) for name in "ab")))
    two = [mapped(task(name), [1, 2, 3]) for name in "ab"]
    two[0].max_active_instances_per_run = 1
    flow.publish(dag_of("d", *two), to=worker, version="v2")
    renew(flow, run, only_failed=True)
    assert [lease.task_id for lease in flow.take(worker)] == ["a", "b", "b", "b"]
    three = [mapped(task(name), [1, 2, 3]) for name in "ab"]
    flow.publish(dag_of("d", *three, max_active_tasks=2), to=worker, version="v3")
    renew(flow, run)
    assert len(flow.take(worker)) == 2


def test_a_dag_that_is_gone_has_no_current_version(flow: Flow):
    worker, run = begin(flow, dag_of("d", task("a")))
    flow.work_off(worker)
    flow.publish(dag_of("other", task("a")), to=worker, version="v2")
    assert refused(lambda: renew(flow, run)) == "DAG_NOT_FOUND"
    assert flow.run_state(run) == "succeeded"
    assert clear(flow, run).count == 1


def test_a_run_s_conf_has_to_fit_the_other_version(flow: Flow):
    worker, run = begin(flow, dag_of("d", task("a")))
    flow.work_off(worker)
    made = dag_of("d", task("a"))
    made.params.add(name="needed", json_schema='{"type": "integer"}')
    flow.publish(made, to=worker, version="v2")
    before = flow.row(dag_run, run)
    assert refused(lambda: renew(flow, run)) == "CONF_INVALID"
    assert flow.row(dag_run, run) == before


def test_a_run_has_so_many_places_at_most(flow: Flow, monkeypatch: pytest.MonkeyPatch):
    worker, run = begin(flow, dag_of("d", task("a"), task("b")))
    flow.work_off(worker)
    flow.publish(dag_of("d", task("c"), task("d")), to=worker, version="v2")
    monkeypatch.setattr("crosswind_server.services.interventions.renewing.MAX_PLACES", 3)
    assert refused(lambda: renew(flow, run)) == "VALUE_TOO_LARGE"
    assert flow.run_state(run) == "succeeded"


def test_a_live_attempt_of_a_task_that_is_gone_may_be_cancelled_by_a_person(flow: Flow):
    worker, run = begin(flow, dag_of("d", task("gone"), task("a", "gone")))
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    flow.publish(dag_of("d", task("a")), to=worker, version="v2")
    renew(flow, run, only_failed=True)
    flow.work_off(worker)
    assert flow.run_state(run) == "running"
    assert refused(lambda: cancel_task(flow, run, "gone")) == "TASK_NOT_FOUND"
    flow.finish(lease, "cancelled")
    assert flow.run_state(run) == "succeeded"
