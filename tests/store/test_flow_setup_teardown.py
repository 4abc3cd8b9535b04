"""Setup and teardown: when a teardown runs, and how much it says about the run. On both databases."""

from typing import Any

import pytest

from crosswind.manifest.v1 import task_pb2
from crosswind_server.domain.states import WaitingReason
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import Flow
from tests.store.test_flow_groups import group
from tests.store.test_waiting_reasons import expect

SETUP = task_pb2.TASK_KIND_SETUP
TEARDOWN = task_pb2.TASK_KIND_TEARDOWN
DONE = task_pb2.TRIGGER_RULE_ALL_DONE
ALWAYS = task_pb2.TRIGGER_RULE_ALWAYS


def setup(task_id: str, *upstream: str, **fields: Any) -> task_pb2.Task:
    return task(task_id, *upstream, kind=SETUP, **fields)


def teardown(task_id: str, *upstream: str, setups: list[str] | None = None, **fields: Any) -> task_pb2.Task:
    return task(task_id, *upstream, kind=TEARDOWN, setup_task_ids=setups or [], **fields)


@pytest.mark.parametrize(
    ("outcomes", "states", "run_state"),
    [
        ({}, ("succeeded", "succeeded", "succeeded"), "succeeded"),
        ({"work": "failed"}, ("succeeded", "failed", "succeeded"), "failed"),
        ({"make": "failed"}, ("failed", "upstream_failed", "upstream_failed"), "failed"),
        ({"make": "skipped"}, ("skipped", "skipped", "skipped"), "succeeded"),
        ({"clean": "failed"}, ("succeeded", "succeeded", "failed"), "succeeded"),
        ({"work": "skipped"}, ("succeeded", "skipped", "succeeded"), "succeeded"),
    ],
    ids=["all well", "work fails", "setup fails", "setup skipped", "teardown fails", "work skipped"],
)
def test_a_teardown_runs_however_its_scope_ended(
    flow: Flow, outcomes: dict[str, str], states: tuple[str, str, str], run_state: str
):
    worker = flow.register()
    flow.publish(
        dag_of("d", setup("make"), task("work", "make"), teardown("clean", "work", setups=["make"])), to=worker
    )
    run = flow.trigger("d")
    flow.work_off(worker, outcomes=outcomes)
    found = flow.states(run)
    assert (found["make"], found["work"], found["clean"]) == states
    assert flow.run_state(run) == run_state


def test_a_setup_is_upstream_of_its_teardown_though_no_edge_says_so(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", setup("make"), task("other"), teardown("clean", "other", setups=["make"])), to=worker)
    run = flow.trigger("d")
    make, other = flow.take(worker)
    flow.run(other, worker)
    assert flow.states(run)["clean"] == "waiting"
    flow.run(make, worker)
    assert flow.states(run)["clean"] == "queued"


def test_one_setup_that_succeeded_is_enough(flow: Flow):
    worker = flow.register()
    made = dag_of("d", setup("s1"), setup("s2"), setup("s3"), teardown("clean", setups=["s1", "s2", "s3"]))
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"s1": "failed", "s2": "skipped"})
    assert flow.states(run)["clean"] == "succeeded"


@pytest.mark.parametrize(("skipped", "state"), [(2, "skipped"), (1, "upstream_failed")])
def test_without_a_setup_that_succeeded_there_is_nothing_to_remove(flow: Flow, skipped: int, state: str):
    worker = flow.register()
    flow.publish(dag_of("d", setup("s0"), setup("s1"), teardown("clean", setups=["s0", "s1"])), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={f"s{n}": "skipped" if n < skipped else "failed" for n in range(2)})
    assert flow.states(run)["clean"] == state


def test_a_teardown_without_setups_runs_when_all_before_it_ended(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("a"), teardown("clean", "a")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"a": "failed"})
    assert flow.states(run) == {"a": "failed", "clean": "succeeded"}
    assert flow.run_state(run) == "failed"


def test_a_teardown_whose_failure_counts_fails_the_run(flow: Flow):
    worker = flow.register()
    made = dag_of("d", setup("make"), teardown("clean", setups=["make"], on_failure_fail_run=True))
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"clean": "failed"})
    assert flow.run_state(run) == "failed"


def test_a_task_that_only_a_teardown_follows_decides_the_run(flow: Flow):
    worker = flow.register()
    made = dag_of(
        "d",
        setup("make"),
        task("work", "make"),
        task("report", "work", trigger_rule=DONE),
        teardown("clean", "work", setups=["make"]),
        teardown("clean_more", "clean"),
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"work": "failed", "clean": "failed", "clean_more": "failed"})
    # The report alone is a leaf of the DAG without its teardowns.
    assert flow.run_state(run) == "succeeded"


def test_a_mapped_setup_counts_as_a_whole(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", mapped(setup("make"), [1, 2]), teardown("clean", setups=["make"])), to=worker)
    run = flow.trigger("d")
    for lease, outcome in zip(flow.take(worker), ["succeeded", "skipped"], strict=True):
        flow.run(lease, worker, outcome)
    assert flow.states(run)["clean"] == "queued"


@pytest.mark.parametrize(
    ("outcome", "state"), [("failed", "upstream_failed"), ("skipped", "skipped"), ("succeeded", "succeeded")]
)
def test_a_setup_that_did_not_succeed_keeps_its_scope_from_running_whatever_the_rules_say(
    flow: Flow, outcome: str, state: str
):
    worker = flow.register()
    made = dag_of(
        "d",
        setup("make"),
        task("direct", "make", trigger_rule=DONE),
        task("work", "make"),
        task("report", "work", trigger_rule=DONE),
        mapped(task("each", "work", trigger_rule=DONE), [1, 2]),
        task("after", "report"),
        teardown("clean", "after", "each", setups=["make"]),
        task("outside", "clean", trigger_rule=DONE),
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"make": outcome})
    found = flow.states(run)
    # Directly after the setup a task goes by its own rule alone.
    assert (found["direct"], found["outside"]) == ("succeeded", "succeeded")
    assert [found[name] for name in ("work", "report", "each", "after", "clean")] == [state] * 5


def test_a_task_that_could_run_otherwise_waits_for_its_setup_and_says_so(flow: Flow):
    worker = flow.register()
    made = dag_of(
        "d",
        setup("make"),
        task("other"),
        task("work", "make", "other"),
        task("report", "work", trigger_rule=DONE),
        teardown("clean", "report", setups=["make"]),
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    leases = {lease.task_id: lease for lease in flow.take(worker)}
    flow.run(leases["other"], worker, "failed")
    assert (flow.states(run)["work"], flow.states(run)["report"]) == ("upstream_failed", "waiting")
    expect(flow, run, report=(WaitingReason.UPSTREAM, "Waits for setup 'make' to succeed."))
    flow.run(leases["make"], worker)
    assert flow.states(run)["report"] == "queued"


def test_a_setup_without_teardown_guards_all_that_comes_after_it(flow: Flow):
    worker = flow.register()
    made = dag_of("d", setup("make"), task("work", "make"), task("end", "work", trigger_rule=ALWAYS))
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    (make,) = flow.take(worker)
    flow.run(make, worker, "failed")
    assert flow.states(run) == {"make": "failed", "work": "upstream_failed", "end": "upstream_failed"}
    assert flow.run_state(run) == "failed"


def test_in_a_mapped_group_a_setup_guards_its_own_index(flow: Flow):
    worker = flow.register()
    made = dag_of(
        "d",
        setup("make", group_id="g"),
        task("work", "make", group_id="g"),
        task("report", "work", trigger_rule=DONE, group_id="g"),
        teardown("clean", "report", setups=["make"], group_id="g"),
        groups=[group([1, 2])],
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    for lease in flow.take(worker):
        flow.run(lease, worker, "failed" if lease.map_index == 0 else "succeeded")
    flow.work_off(worker)
    found: dict[Any, str] = flow.states(run)
    assert [found["report", index] for index in (0, 1)] == ["upstream_failed", "succeeded"]
    assert [found["clean", index] for index in (0, 1)] == ["upstream_failed", "succeeded"]


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (task("a", setup_task_ids=["make"]), "no teardown"),
        (teardown("a", setups=["nobody"]), "no task 'nobody'"),
        (teardown("a", setups=["plain"]), "which is no setup"),
        (task("a", kind=77), "unknown kind 77"),
    ],
)
def test_scopes_that_make_no_sense_are_refused(sqlite_flow: Flow, made: task_pb2.Task, sentence: str):
    worker = sqlite_flow.register()
    (refusal,) = sqlite_flow.publish(dag_of("d", setup("make"), task("plain"), made), to=worker).refused
    assert refusal.reason.name == "DAG_INVALID"
    assert sentence in refusal.message
