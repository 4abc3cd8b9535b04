"""Mapped task groups: each index on its own inside, the whole outside. On both databases."""

from typing import Any

import pytest

from crosswind.manifest.v1 import dag_pb2, task_pb2
from tests.store.dags import dag_of, json_payload, mapped, reading, task
from tests.store.flow import Flow, argument, arguments, refused

BRANCH = task_pb2.TASK_KIND_BRANCH
SHORT = task_pb2.TASK_KIND_SHORT_CIRCUIT
SETUP = task_pb2.TASK_KIND_SETUP
TEARDOWN = task_pb2.TASK_KIND_TEARDOWN
DONE = task_pb2.TRIGGER_RULE_ALL_DONE


def group(*sources: Any, name: str = "g", combination: str = "CROSS") -> dag_pb2.TaskGroup:
    """A group that is mapped over the outputs of tasks (ids) or over literal lists."""
    made = dag_pb2.TaskGroup(group_id=name)
    made.mapping.combination = getattr(task_pb2.Mapping, f"COMBINATION_{combination}")
    for position, source in enumerate(sources):
        item = made.mapping.inputs.add(name=f"item{position}")
        if isinstance(source, str):
            item.output.task_id = source
        else:
            item.literal.CopyFrom(json_payload(source))
    return made


def inside(task_id: str, *upstream: str, items: int = 1, **fields: Any) -> task_pb2.Task:
    """A task in the group, with its items as arguments."""
    fields.setdefault("group_id", "g")
    made = task(task_id, *upstream, **fields)
    for position in range(items):
        made.inputs.add(name=f"item{position}", position=position, group_item=f"item{position}")
    return made


def test_each_index_goes_its_own_way_and_the_outside_waits_for_all(flow: Flow):
    worker = flow.register()
    double = reading(task("g.double", group_id="g"), "g.add")
    made = dag_of("d", task("list"), inside("g.add"), double, reading(task("sum"), "g.double"), groups=[group("list")])
    assert flow.publish(made, to=worker).refused == ()
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.run(lease, worker, result=[1, 2, 3])
    expected: dict[Any, str] = {
        "list": "succeeded",
        "g.add": "expanded",
        "g.double": "expanded",
        "sum": "waiting",
    }
    expected |= {("g.add", index): "queued" for index in range(3)}
    expected |= {("g.double", index): "waiting" for index in range(3)}
    assert flow.states(run) == expected
    first, second, third = flow.take(worker)
    assert arguments(flow.start(second, worker)) == {"item0": 2}
    flow.finish(second, result=12)
    # Only its own index goes on.
    (next_lease,) = flow.take(worker, held=[first.attempt_id, third.attempt_id])
    assert (next_lease.task_id, next_lease.map_index) == ("g.double", 1)
    assert arguments(flow.run(next_lease, worker, result=24)) == {"arg0": 12}
    flow.run(first, worker, result=11)
    flow.run(third, worker, result=13)
    seen = flow.work_off(worker, results={"g.double": lambda arg0: arg0 * 2})
    assert arguments(seen["sum", -1]) == {"arg0": [22, 24, 26]}
    assert flow.run_state(run) == "succeeded"
    assert flow.left_behind() == 0


def test_a_group_over_literal_lists_begins_with_the_run(flow: Flow):
    worker = flow.register()
    made = dag_of("d", inside("g.a", items=2), inside("g.b", "g.a", items=2), groups=[group([1, 2], ["x", "y"])])
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    seen = flow.work_off(worker)
    pairs = [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert [tuple(arguments(seen["g.a", index]).values()) for index in range(4)] == pairs
    assert [tuple(arguments(seen["g.b", index]).values()) for index in range(4)] == pairs
    assert flow.run_state(run) == "succeeded"


def test_zipped_groups_and_elements_of_items(flow: Flow):
    worker = flow.register()
    made = inside("g.a", items=2)
    made.inputs[0].group_item_path.add(name="k")
    flow.publish(dag_of("d", made, groups=[group([{"k": 1}, {"k": 2}], ["x", "y"], combination="ZIP")]), to=worker)
    flow.trigger("d")
    seen = flow.work_off(worker)
    assert arguments(seen["g.a", 1]) == {"item0": {"k": 2}, "item1": "y"}
    (step,) = argument(seen["g.a", 1]).path
    assert task_pb2.Output.PathStep.FromString(step).name == "k"


def test_a_failure_stops_its_own_index(flow: Flow):
    worker = flow.register()
    made = dag_of(
        "d",
        inside("g.a"),
        inside("g.b", "g.a"),
        inside("g.c", "g.b", trigger_rule=DONE),
        task("after", "g.b"),
        groups=[group([0, 1])],
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    first, second = flow.take(worker)
    flow.run(first, worker, "failed")
    flow.run(second, worker)
    flow.work_off(worker)
    states = flow.states(run)
    assert (states["g.b", 0], states["g.b", 1]) == ("upstream_failed", "succeeded")
    assert (states["g.c", 0], states["g.c", 1]) == ("succeeded", "succeeded")
    assert (states["g.a"], states["g.b"], states["g.c"]) == ("failed", "upstream_failed", "succeeded")
    assert states["after"] == "upstream_failed"
    assert flow.run_state(run) == "failed"


def test_nothing_to_map_over_skips_the_whole_group(flow: Flow):
    worker = flow.register()
    made = dag_of("d", task("list"), inside("g.a"), inside("g.b", "g.a"), task("after", "g.b"), groups=[group("list")])
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, results={"list": []})
    assert flow.states(run) == {"list": "succeeded", "g.a": "skipped", "g.b": "skipped", "after": "skipped"}
    assert flow.run_state(run) == "succeeded"


@pytest.mark.parametrize(("outcome", "state"), [("failed", "upstream_failed"), ("skipped", "skipped")])
def test_without_what_it_is_mapped_over_the_group_has_no_instances(flow: Flow, outcome: str, state: str):
    worker = flow.register()
    made = dag_of("d", task("list"), inside("g.a"), inside("g.b", "g.a"), groups=[group("list")])
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, outcomes={"list": outcome})
    assert flow.states(run) == {"list": outcome, "g.a": state, "g.b": state}


def test_what_cannot_be_mapped_fails_every_task_of_the_group(flow: Flow):
    worker = flow.register()
    made = dag_of("d", task("list"), inside("g.a"), inside("g.b", "g.a"), groups=[group("list")])
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, results={"list": 7})
    assert flow.states(run) == {"list": "succeeded", "g.a": "failed", "g.b": "failed"}
    assert b"crosswind.NotMappable" in flow.instance(run, "g.b").failure_message


def test_a_task_outside_may_stand_between_two_inside(flow: Flow):
    worker = flow.register()
    between = reading(task("between"), "g.a")
    last = reading(inside("g.b", "g.a", items=0), "between", "g.a")
    made = dag_of("d", inside("g.a"), between, last, groups=[group([1, 2, 3])])
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    seen = flow.work_off(worker, results={"g.a": lambda item0: item0 * 10, "between": sum_of})
    assert [arguments(seen["g.b", index]) for index in range(3)] == [
        {"arg0": 60, "arg1": item} for item in (10, 20, 30)
    ]
    assert flow.run_state(run) == "succeeded"


def sum_of(arg0: list[int]) -> int:
    return sum(arg0)


@pytest.mark.parametrize(("outcome", "state"), [("failed", "upstream_failed"), ("skipped", "skipped")])
@pytest.mark.parametrize("early", [True, False])
def test_how_a_task_outside_ends_concerns_every_instance(flow: Flow, outcome: str, state: str, early: bool):
    worker = flow.register()
    made = dag_of(
        "d", task("list"), task("other"), inside("g.a"), inside("g.b", "g.a", "other"), groups=[group("list")]
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    listing, other = flow.take(worker)
    if early:
        flow.run(other, worker, outcome)
        flow.run(listing, worker, result=[1, 2])
    else:
        flow.run(listing, worker, result=[1, 2])
        flow.run(other, worker, outcome)
    flow.work_off(worker)
    states = flow.states(run)
    assert (states["g.a"], states["g.b"]) == ("succeeded", state)
    # Known early, it has no instances at all.
    assert [key for key in states if key[0] == "g.b"] == ([] if early else [("g.b", 0), ("g.b", 1)])
    assert flow.run_state(run) == ("failed" if outcome == "failed" else "succeeded")


def test_a_task_of_the_group_that_failed_as_a_whole_is_told_to_every_index(flow: Flow):
    worker = flow.register()
    made = dag_of(
        "d",
        task("list"),
        task("other"),
        inside("g.a", "other"),
        inside("g.b", "g.a", trigger_rule=DONE),
        groups=[group("list")],
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, results={"list": [1, 2]}, outcomes={"other": "failed"})
    states = flow.states(run)
    assert (states["g.a"], states["g.b", 0], states["g.b", 1]) == ("upstream_failed", "succeeded", "succeeded")
    assert flow.run_state(run) == "succeeded"


def test_a_branch_inside_acts_on_its_own_index(flow: Flow):
    worker = flow.register()
    made = dag_of(
        "d",
        inside("g.choose", kind=BRANCH),
        inside("g.left", "g.choose"),
        inside("g.right", "g.choose"),
        task("out", "g.choose"),
        groups=[group([0, 1])],
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    for lease, follow in zip(flow.take(worker), ("g.left", "g.right"), strict=True):
        flow.start(lease, worker)
        flow.finish(lease, follow=[follow])
    states = flow.states(run)
    assert [states["g.left", index] for index in range(2)] == ["queued", "skipped"]
    assert [states["g.right", index] for index in range(2)] == ["skipped", "queued"]
    # What is outside was not chosen by any index, and is not theirs to skip.
    assert states["out"] == "queued"


def test_a_short_circuit_inside_ends_its_own_index(flow: Flow):
    worker = flow.register()
    made = dag_of(
        "d",
        inside("g.check", kind=SHORT),
        inside("g.a", "g.check"),
        inside("g.b", "g.a", trigger_rule=DONE),
        task("after", "g.b"),
        groups=[group([0, 1])],
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    for lease in flow.take(worker):
        flow.start(lease, worker)
        flow.finish(lease, skip_all=True if lease.map_index == 0 else None)
    flow.work_off(worker)
    states = flow.states(run)
    assert [states["g.b", index] for index in range(2)] == ["skipped", "succeeded"]
    assert states["after"] == "succeeded"


@pytest.mark.parametrize("skip_all", [True, False])
def test_a_short_circuit_outside_skips_what_was_expanded_already(flow: Flow, skip_all: bool):
    worker = flow.register()
    made = dag_of(
        "d",
        task("list"),
        task("check", kind=SHORT),
        inside("g.a"),
        inside("g.b", "g.a", "check"),
        inside("g.c", "g.b", trigger_rule=DONE),
        task("after", "g.b", trigger_rule=DONE),
        groups=[group("list")],
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    check, listing = flow.take(worker)
    flow.run(listing, worker, result=[1, 2])
    flow.start(check, worker)
    flow.finish(check, skip_all=skip_all)
    flow.work_off(worker)
    states = flow.states(run)
    assert (states["g.a"], states["g.b"]) == ("succeeded", "skipped")
    assert (states["g.c"], states["after"]) == (("skipped", "skipped") if skip_all else ("succeeded", "succeeded"))
    assert flow.run_state(run) == "succeeded"


def test_setup_and_teardown_of_each_index(flow: Flow):
    worker = flow.register()
    made = dag_of(
        "d",
        inside("g.make", kind=SETUP),
        inside("g.work", "g.make"),
        inside("g.clean", "g.work", kind=TEARDOWN, setup_task_ids=["g.make"]),
        groups=[group([0, 1])],
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    for lease, outcome in zip(flow.take(worker), ("failed", "succeeded"), strict=True):
        flow.run(lease, worker, outcome)
    (work,) = flow.take(worker)
    flow.run(work, worker, "failed")
    flow.work_off(worker)
    states = flow.states(run)
    assert (states["g.clean", 0], states["g.clean", 1]) == ("upstream_failed", "succeeded")
    assert flow.run_state(run) == "failed"


def test_a_task_may_be_mapped_over_what_a_group_made(flow: Flow):
    worker = flow.register()
    made = dag_of("d", inside("g.a"), mapped(task("each"), "g.a"), groups=[group([1, 2, 3])])
    flow.publish(made, to=worker)
    flow.trigger("d")
    seen = flow.work_off(worker, results={"g.a": lambda item0: -item0})
    assert [arguments(seen["each", index])["item0"] for index in range(3)] == [-1, -2, -3]


def test_a_large_group_is_made_in_pieces_and_runs_meanwhile(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register(slots=2_000)
    made = dag_of("d", task("list"), inside("g.a"), inside("g.b", "g.a"), task("after", "g.b"), groups=[group("list")])
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.run(lease, worker, result=list(range(600)))
    made_rows = len(flow.states(run)) - 4
    assert 400 < made_rows <= 500
    assert flow.left_behind() == 1
    # What is there runs before the rest is made.
    early = flow.take(worker)
    assert len(early) == made_rows // 2
    for lease in early[:3]:
        flow.run(lease, worker)
    assert flow.continue_all() == 2
    assert len(flow.states(run)) == 4 + 1_200
    later = [
        lease for lease in flow.take(worker, held=[lease.attempt_id for lease in early[3:]]) if lease.task_id == "g.b"
    ]
    assert [lease.map_index for lease in later] == [0, 1, 2]


def test_many_instances_are_judged_anew_in_pieces(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register()
    made = dag_of(
        "d", task("list"), task("other"), inside("g.a", "other"), task("after", "g.a"), groups=[group("list")]
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    listing, other = flow.take(worker)
    flow.run(listing, worker, result=list(range(1_100)))
    flow.continue_all()
    assert len(flow.states(run)) == 4 + 1_100
    flow.run(other, worker, "failed")
    assert flow.left_behind() == 1
    assert flow.continue_all() >= 3
    assert set(flow.states(run).values()) == {"succeeded", "failed", "upstream_failed"}
    assert flow.run_state(run) == "failed"


def test_a_cancelled_run_makes_no_more_of_its_group(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("list"), inside("g.a"), groups=[group("list")]), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.run(lease, worker, result=list(range(700)))
    flow.cancel(run)
    flow.continue_all()
    assert flow.run_state(run) == "cancelled"
    assert set(flow.states(run).values()) == {"succeeded", "cancelled"}


def nested() -> dag_pb2.TaskGroup:
    made = group([1], name="g.inner")
    made.parent_group_id = "g"
    return made


@pytest.mark.parametrize(
    ("tasks", "groups", "sentence"),
    [
        ([mapped(inside("g.a", items=0), [1])], [group([1])], "inside the mapped group 'g'"),
        ([inside("g.a")], [group([1]), nested()], "'g.inner' inside the mapped group 'g'"),
        ([inside("g.a", items=0)], [group("g.a")], "which is inside it"),
        ([inside("g.a", items=2)], [group([1])], "'item1'"),
        ([inside("a", group_id="")], [group([1])], "none is around it"),
        ([task("a")], [group()], "over nothing"),
        ([task("a", group_id="nobody")], [], "no task group 'nobody'"),
    ],
    ids=["task in group", "group in group", "over itself", "unknown item", "no group", "over nothing", "unknown group"],
)
def test_groups_that_cannot_be_are_refused(
    sqlite_flow: Flow, tasks: list[task_pb2.Task], groups: list[dag_pb2.TaskGroup], sentence: str
):
    worker = sqlite_flow.register()
    (refusal,) = sqlite_flow.publish(dag_of("d", *tasks, groups=groups), to=worker).refused
    assert refusal.reason.name == "DAG_INVALID"
    assert sentence in refusal.message
    assert refused(lambda: sqlite_flow.trigger("d")) == "DAG_NOT_FOUND"
