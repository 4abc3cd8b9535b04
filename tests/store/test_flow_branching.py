"""Branches, short circuits and latest-only tasks: what they skip, in which transaction. [SCHED-1]"""

from typing import Any

import pytest
from sqlalchemy import update

from crosswind.execution.v1.failure_pb2 import Failure
from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import dag, dag_run
from tests.store.dags import dag_of, mapped, task
from tests.store.flow import Flow, counted

BRANCH = task_pb2.TASK_KIND_BRANCH
SHORT = task_pb2.TASK_KIND_SHORT_CIRCUIT
TEARDOWN = task_pb2.TASK_KIND_TEARDOWN
LATEST = task_pb2.TASK_KIND_LATEST_ONLY
DONE = task_pb2.TRIGGER_RULE_ALL_DONE
NONE_FAILED = task_pb2.TRIGGER_RULE_NONE_FAILED


def begin(flow: Flow, *tasks: task_pb2.Task, groups: list[dag_pb2.TaskGroup] | None = None) -> tuple[str, Any, Any]:
    """A run of a DAG whose only first task is a choice: its key, the worker, the lease of the choice."""
    worker = flow.register()
    flow.publish(dag_of("d", *tasks, groups=groups or []), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    return run, worker, lease


def test_a_branch_follows_one_task_and_skips_the_others_at_once(flow: Flow):
    run, worker, lease = begin(
        flow,
        task("choose", kind=BRANCH),
        task("left", "choose"),
        task("right", "choose"),
        task("after_right", "right"),
        task("join", "left", "after_right", trigger_rule=NONE_FAILED),
    )
    flow.finish(lease, follow=["left"])
    assert flow.left_behind() == 0
    assert flow.states(run) == {
        "choose": "succeeded",
        "left": "queued",
        "right": "skipped",
        "after_right": "skipped",
        "join": "waiting",
    }
    flow.work_off(worker)
    assert flow.states(run)["join"] == "succeeded"
    assert flow.run_state(run) == "succeeded"


def test_what_comes_after_a_followed_task_is_not_skipped(flow: Flow):
    run, worker, lease = begin(
        flow,
        task("choose", kind=BRANCH),
        task("left", "choose"),
        task("between", "left"),
        task("join", "choose", "between"),
        task("other", "choose"),
    )
    flow.finish(lease, follow=["left"])
    assert flow.states(run)["join"] == "waiting"
    assert flow.states(run)["other"] == "skipped"
    flow.work_off(worker)
    assert flow.states(run)["join"] == "succeeded"


def test_a_branch_skips_whatever_the_trigger_rule_but_never_a_teardown(flow: Flow):
    run, worker, lease = begin(
        flow,
        task("choose", kind=BRANCH),
        task("left", "choose"),
        task("always_done", "choose", trigger_rule=DONE),
        task("clean", "choose", kind=TEARDOWN),
    )
    flow.finish(lease, follow=[])
    assert flow.states(run) == {"choose": "succeeded", "left": "skipped", "always_done": "skipped", "clean": "queued"}
    flow.work_off(worker)
    assert flow.run_state(run) == "succeeded"


def test_a_branch_follows_a_group_by_its_name(flow: Flow):
    groups = [dag_pb2.TaskGroup(group_id="g"), dag_pb2.TaskGroup(group_id="g.inner", parent_group_id="g")]
    run, _, lease = begin(
        flow,
        task("choose", kind=BRANCH),
        task("g.a", "choose", group_id="g"),
        task("g.inner.b", "choose", group_id="g.inner"),
        task("g.c", "g.a", group_id="g"),
        task("z", "choose"),
        groups=groups,
    )
    flow.finish(lease, follow=["g"])
    states = flow.states(run)
    assert (states["g.a"], states["g.inner.b"], states["g.c"], states["z"]) == (
        "queued",
        "queued",
        "waiting",
        "skipped",
    )


@pytest.mark.parametrize("unknown", ["nobody", "far", "choose", "empty"])
def test_a_branch_that_follows_what_it_cannot_fails_with_a_sentence_that_names_it(flow: Flow, unknown: str):
    run, _, lease = begin(
        flow,
        task("choose", kind=BRANCH, retries=3),
        task("near", "choose"),
        task("far", "near", group_id="empty"),
        groups=[dag_pb2.TaskGroup(group_id="empty")],
    )
    assert not flow.finish(lease, follow=["near", unknown], result=1).recorded_as_cancelled
    row = flow.instance(run, "choose")
    failure = Failure.FromString(row.failure_message)
    assert (row.state, failure.type, failure.retryable) == ("failed", "crosswind.BranchInvalid", False)
    assert f"'{unknown}'" in failure.message
    assert flow.states(run)["near"] == "upstream_failed"
    assert flow.run_state(run) == "failed"


def test_the_outcome_of_an_invalid_branch_is_recorded_once(flow: Flow):
    _, _, lease = begin(flow, task("choose", kind=BRANCH), task("near", "choose"))
    for _ in range(2):
        flow.finish(lease, follow=["nobody"], outcome_id="00000000-0000-7000-8000-000000000001")
    assert flow.attempt(lease).state == "failed"


def test_a_short_circuit_skips_everything_whatever_the_rules(flow: Flow):
    run, worker, lease = begin(
        flow,
        task("check", kind=SHORT),
        task("a", "check"),
        task("b", "a", trigger_rule=DONE),
        task("clean", "b", kind=TEARDOWN),
        task("after_clean", "clean", trigger_rule=DONE),
    )
    flow.finish(lease, skip_all=True)
    states = flow.states(run)
    assert (states["a"], states["b"], states["clean"]) == ("skipped", "skipped", "queued")
    assert states["after_clean"] == "waiting"
    flow.work_off(worker)
    assert flow.states(run)["clean"] == "succeeded"
    assert flow.states(run)["after_clean"] == "skipped"
    assert flow.run_state(run) == "succeeded"


def test_a_short_circuit_of_the_next_tasks_leaves_the_rest_to_their_rules(flow: Flow):
    run, _, lease = begin(
        flow,
        task("check", kind=SHORT),
        task("a", "check", trigger_rule=DONE),
        task("b", "a", trigger_rule=DONE),
        task("c", "a"),
    )
    flow.finish(lease, skip_all=False)
    assert flow.states(run) == {"check": "succeeded", "a": "skipped", "b": "queued", "c": "skipped"}


def test_a_failed_branch_skips_nothing(flow: Flow):
    run, _, lease = begin(flow, task("choose", kind=BRANCH), task("a", "choose", trigger_rule=DONE))
    flow.finish(lease, "failed", follow=[])
    assert flow.states(run)["a"] == "queued"


def test_a_mapped_branch_skips_what_all_its_instances_skip(flow: Flow):
    worker = flow.register()
    made = dag_of(
        "d",
        mapped(task("choose", kind=BRANCH), [0, 1, 2, 3]),
        *(task(name, "choose", trigger_rule=NONE_FAILED) for name in ("a", "b", "c")),
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    choices: list[list[str] | None] = [["a"], ["b"], ["a"], None]
    for lease, follow in zip(flow.take(worker), choices, strict=True):
        flow.start(lease, worker)
        flow.finish(lease, "skipped" if follow is None else "succeeded", follow=follow)
    assert flow.states(run)["choose"] == "succeeded"
    assert {name: flow.states(run)[name] for name in "abc"} == {"a": "queued", "b": "queued", "c": "skipped"}


def test_a_mapped_short_circuit_skips_only_if_all_do(flow: Flow):
    worker = flow.register()
    made = [
        dag_of(name, mapped(task("check", kind=SHORT), [0, 1]), task("a", "check"), task("b", "a", trigger_rule=DONE))
        for name in ("all", "one")
    ]
    flow.publish(*made, to=worker)
    runs = {name: flow.trigger(name) for name in ("all", "one")}
    for lease in flow.take(worker):
        flow.start(lease, worker)
        flow.finish(lease, skip_all=True if lease.dag_id == "all" or lease.map_index else None)
    assert flow.states(runs["all"])["b"] == "skipped"
    assert flow.states(runs["one"])["a"] == "queued"


def test_a_long_skip_is_worked_off_in_pieces(flow: Flow):
    """[SCHED-1]"""
    wide = [task(f"t{n}", "check") for n in range(700)]
    run, _, lease = begin(
        flow,
        task("check", kind=SHORT),
        *wide,
        *(task(f"u{n}", f"t{n}", trigger_rule=DONE) for n in range(700)),
    )
    flow.finish(lease, skip_all=True)
    states = list(flow.states(run).values())
    assert 400 <= states.count("skipped") <= 500
    assert flow.continue_all() >= 2
    assert set(flow.states(run).values()) == {"succeeded", "skipped"}
    assert flow.run_state(run) == "succeeded"
    assert flow.left_behind() == 0


def test_a_branch_costs_its_out_degree_whatever_the_size_of_the_dag(flow: Flow):
    """[SCHED-2]"""
    costs = {}
    for size in (10, 1_000):
        worker = flow.register(f"w{size}", slots=1)
        tasks = [task("choose", kind=BRANCH, priority=9), task("a", "choose"), task("b", "choose")]
        tasks += [task(f"t{n}", "a") for n in range(3, size)]
        flow.publish(dag_of(f"d{size}", *tasks), to=worker, bundle=f"b{size}")
        run = flow.trigger(f"d{size}")
        flow.continue_all()
        (lease,) = flow.take(worker)
        flow.start(lease, worker)
        with counted(flow.store) as statements:
            flow.finish(lease, follow=["a"])
        costs[size] = len(statements)
        assert (flow.states(run)["a"], flow.states(run)["b"]) == ("queued", "skipped")
    assert costs[10] == costs[1_000]


# --- latest-only ------------------------------------------------------------------------------------------------------


def latest_dag(flow: Flow) -> Any:
    worker = flow.register()
    first = task_pb2.Task(task_id="latest", kind=LATEST)
    made = dag_of("d", first, task("a", "latest"), task("b", "a"), task("c", "a", trigger_rule=DONE))
    assert flow.publish(made, to=worker).refused == ()
    return worker


@pytest.mark.parametrize(
    ("run_type", "skips"), [("manual", False), ("scheduled", True), ("backfill", True), ("asset", True)]
)
def test_an_older_run_skips_what_follows_a_latest_only_task(flow: Flow, run_type: str, skips: bool):
    latest_dag(flow)
    newer = flow.trigger("d", run_type="scheduled", logical_time=2_000_000)
    older = flow.trigger("d", run_type=run_type, logical_time=1_000_000)
    assert flow.states(newer) == {"latest": "succeeded", "a": "queued", "b": "waiting", "c": "waiting"}
    expected = ("skipped", "skipped", "queued") if skips else ("queued", "waiting", "waiting")
    states = flow.states(older)
    assert (states["a"], states["b"], states["c"]) == expected


def set_next_run(flow: Flow, due: int) -> None:
    change = update(dag).values(next_run_time=due)
    flow.store.write_blocking(each(lambda uow, _: uow.execute(change).rowcount), None)


def test_a_run_is_not_the_latest_once_the_next_is_due(flow: Flow):
    latest_dag(flow)
    for due, state in ((1, "skipped"), (2**60, "queued")):
        set_next_run(flow, due)
        run = flow.trigger("d", run_type="scheduled", logical_time=due)
        assert flow.states(run)["a"] == state


def test_a_manual_run_is_no_newer_run(flow: Flow):
    latest_dag(flow)
    flow.trigger("d", logical_time=9_000_000)
    run = flow.trigger("d", run_type="scheduled", logical_time=1_000_000)
    assert flow.states(run)["a"] == "queued"


def test_a_run_of_latest_only_tasks_needs_no_worker(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task_pb2.Task(task_id="latest", kind=LATEST)), to=worker)
    run = flow.trigger("d")
    assert flow.row(dag_run, run).state == "succeeded"


def test_a_mapped_latest_only_task_is_refused(sqlite_flow: Flow):
    worker = sqlite_flow.register()
    made = dag_of("d", mapped(task("latest", kind=LATEST), [1, 2]))
    (refusal,) = sqlite_flow.publish(made, to=worker).refused
    assert refusal.reason.name == "DAG_INVALID"
    assert "'latest'" in refusal.message
