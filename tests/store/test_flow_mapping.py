"""Mapped tasks: fan-out, fan-in, nothing to map over, many instances, what each is given. On both databases."""

import pytest

from crosswind.manifest.v1 import task_pb2
from crosswind_server.services.execution.contexts import CompositeValue, XComName
from crosswind_server.store.schema import dag_run
from tests.store.dags import dag_of, decode, json_payload, mapped, reading, task
from tests.store.flow import Flow, argument, arguments, refused


def test_fan_out_and_fan_in(flow: Flow):
    worker = flow.register()
    flow.publish(
        dag_of("d", task("list"), mapped(task("double"), "list"), reading(task("sum"), "double", "list")), to=worker
    )
    run = flow.trigger("d")
    seen = flow.work_off(
        worker,
        results={
            "list": [3, 1, 2],
            "double": lambda item0: item0 * 2,
            "sum": lambda arg0, arg1: sum(arg0) - sum(arg1),
        },
    )
    assert [arguments(seen["double", index])["item0"] for index in range(3)] == [3, 1, 2]
    assert arguments(seen["sum", -1]) == {"arg0": [6, 2, 4], "arg1": [3, 1, 2]}
    assert flow.states(run)["double"] == "succeeded"
    assert flow.run_state(run) == "succeeded"
    assert flow.instance(run, "double").instances_total == 3
    assert flow.row(dag_run, run).unfinished == 0


def test_nothing_to_map_over_is_skipped(flow: Flow):
    worker = flow.register()
    made = dag_of(
        "d",
        task("list"),
        mapped(task("m"), "list"),
        task("after", "m"),
        task("mend", "m", trigger_rule=task_pb2.TRIGGER_RULE_NONE_FAILED),
        mapped(task("literal"), []),
    )
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, results={"list": []})
    assert flow.states(run) == {
        "list": "succeeded",
        "m": "skipped",
        "after": "skipped",
        "mend": "succeeded",
        "literal": "skipped",
    }
    assert flow.run_state(run) == "succeeded"


def test_instances_that_return_lists_come_back_as_a_list_of_lists(flow: Flow):
    worker = flow.register()
    made = dag_of("d", mapped(task("m"), [1, 2, 0]), reading(task("all"), "m"), mapped(task("each"), "m"))
    flow.publish(made, to=worker)
    flow.trigger("d")
    seen = flow.work_off(worker, results={"m": lambda item0: list(range(item0)), "all": 1})
    assert arguments(seen["all", -1]) == {"arg0": [[0], [0, 1], []]}
    assert [arguments(seen["each", index])["item0"] for index in range(3)] == [[0], [0, 1], []]


def test_an_instance_that_wrote_nothing_leaves_a_gap(flow: Flow):
    worker = flow.register()
    made = dag_of("d", mapped(task("m"), [0, 1, 2]), reading(task("all"), "m"), mapped(task("each"), "m"))
    flow.publish(made, to=worker)
    run = flow.trigger("d")
    seen = flow.work_off(worker, results={"m": lambda item0: None if item0 == 1 else item0})
    assert arguments(seen["all", -1]) == {"arg0": [0, None, 2]}
    assert [arguments(seen["each", index])["item0"] for index in range(2)] == [0, 2]
    assert flow.instance(run, "each").instances_total == 2


def test_cross_zip_and_keywords(flow: Flow):
    worker = flow.register(slots=100)
    made = dag_of(
        "d",
        task("list"),
        mapped(task("cross"), "list", ["x", "y"]),
        mapped(task("zip"), "list", ["x", "y", "z"], combination="ZIP"),
        mapped(task("words"), [{"a": 1}, {"a": 2}], combination="KEYWORDS"),
    )
    flow.publish(made, to=worker)
    flow.trigger("d")
    seen = flow.work_off(worker, results={"list": [1, 2, 3]})
    pairs = [tuple(arguments(seen["cross", index]).values()) for index in range(6)]
    assert pairs == [(1, "x"), (1, "y"), (2, "x"), (2, "y"), (3, "x"), (3, "y")]
    pairs = [tuple(arguments(seen["zip", index]).values()) for index in range(3)]
    assert pairs == [(1, "x"), (2, "y"), (3, "z")]
    word = argument(seen["words", 1])
    assert (word.name, word.position, decode(word.value)) == ("", None, {"a": 2})


@pytest.mark.parametrize(
    ("made", "result"),
    [
        (mapped(task("m"), "list"), {"no": "list"}),
        (mapped(task("m"), "list"), None),
        (mapped(task("m"), "list", [1, 2], combination="ZIP"), [1, 2, 3]),
        (mapped(task("m"), "list", list(range(400)), list(range(400))), [1]),
    ],
    ids=["not a list", "nothing", "unequal lengths", "too many"],
)
def test_what_cannot_be_mapped_fails(flow: Flow, made: task_pb2.Task, result: object):
    worker = flow.register()
    flow.publish(dag_of("d", task("list"), made, task("after", "m")), to=worker)
    run = flow.trigger("d")
    flow.work_off(worker, results={"list": result})
    assert flow.states(run) == {"list": "succeeded", "m": "failed", "after": "upstream_failed"}
    assert b"crosswind." in flow.instance(run, "m").failure_message
    assert flow.run_state(run) == "failed"


def test_the_worst_end_of_its_instances_is_that_of_the_task(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", mapped(task("m"), [0, 1, 2]), task("after", "m")), to=worker)
    run = flow.trigger("d")
    leases = flow.take(worker)
    for lease, outcome in zip(leases, ["succeeded", "failed", "skipped"], strict=True):
        assert flow.states(run)["m"] == "expanded"
        flow.run(lease, worker, outcome)
    assert flow.states(run)["m"] == "failed"
    assert flow.states(run)["after"] == "upstream_failed"
    assert flow.run_state(run) == "failed"


def test_many_instances_are_made_in_pieces(flow: Flow):
    worker = flow.register(slots=10_000)
    flow.publish(dag_of("d", task("list"), mapped(task("m"), "list"), task("after", "m")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.run(lease, worker, result=list(range(1_200)))
    # One row of the piece is the mapped task itself.
    assert len(flow.states(run)) == 3 + 499
    assert flow.left_behind() == 1
    assert flow.continue_all() == 2
    assert len(flow.states(run)) == 3 + 1_200
    assert flow.row(dag_run, run).unfinished == 2 + 1_200


def test_a_wide_cascade_is_worked_off_in_pieces(flow: Flow):
    """[SCHED-1]"""
    worker = flow.register()
    wide = [task(f"t{n}", "top") for n in range(1_100)]
    flow.publish(dag_of("d", task("top"), *wide, task("end", *(each.task_id for each in wide))), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    (lease,) = flow.take(worker)
    flow.run(lease, worker, "failed")
    states = list(flow.states(run).values())
    assert 500 <= states.count("upstream_failed") < 1_100
    assert flow.run_state(run) == "running"
    assert flow.continue_all() >= 2
    assert set(flow.states(run).values()) == {"failed", "upstream_failed"}
    assert flow.run_state(run) == "failed"
    assert flow.left_behind() == 0


def test_a_run_that_is_cancelled_between_two_pieces_ends(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", task("list"), mapped(task("m"), "list")), to=worker)
    run = flow.trigger("d")
    (lease,) = flow.take(worker)
    flow.run(lease, worker, result=list(range(700)))
    (running,) = flow.take(worker, max_leases=1)
    flow.start(running, worker)
    flow.cancel(run)
    flow.continue_all()
    flow.finish(running, "cancelled")
    assert flow.run_state(run) == "cancelled"
    assert set(flow.states(run).values()) == {"succeeded", "cancelled"}


def test_a_literal_list_is_mapped_when_the_run_begins(flow: Flow):
    worker = flow.register()
    flow.publish(dag_of("d", mapped(task("m"), ["a", "b"])), to=worker)
    run = flow.trigger("d")
    assert flow.states(run) == {"m": "expanded", ("m", 0): "queued", ("m", 1): "queued"}
    leases = flow.take(worker)
    assert [lease.map_index for lease in leases] == [0, 1]


def test_arguments_of_every_kind(flow: Flow):
    worker = flow.register()
    made = task("b")
    made.inputs.add(name="literal", position=0, literal=json_payload({"k": 1}))
    made.inputs.add(name="param", position=1, param="month")
    composite = made.inputs.add(name="mix", position=2)
    composite.composite.template_json = '{"x": {"$input": 0}}'
    part = composite.composite.parts.add(task_id="a")
    part.path.add(index=-1)
    made.inputs.add(name="none", position=3, output=task_pb2.Output(task_id="a", key="other"))
    dag = dag_of("d", task("a"), made)
    dag.params.add(name="month", default_value=json_payload(7))
    flow.publish(dag, to=worker)
    flow.trigger("d")
    seen = flow.work_off(worker, results={"a": [1, 2]})["b", -1]
    literal, param, mix, none = seen.inputs
    assert decode(literal.value) == {"k": 1}
    assert param.value is seen.plan.params[0]
    assert isinstance(mix.value, CompositeValue)
    (only,) = mix.value.parts
    assert decode(only.value) == [1, 2]
    assert task_pb2.Output.PathStep.FromString(only.path[0]).index == -1
    assert none.value is None


def test_values_beyond_the_room_of_a_message_are_named(flow: Flow):
    worker = flow.register()
    made = reading(task("b"), "a0", "a1", "a2")
    flow.publish(dag_of("d", task("a0"), task("a1"), task("a2"), made), to=worker)
    flow.trigger("d")
    big = "x" * 900_000
    seen = flow.work_off(worker, results=dict.fromkeys(("a0", "a1", "a2"), big))["b", -1]
    assert [type(each.value).__name__ for each in seen.inputs] == ["StoredValue", "StoredValue", "XComName"]
    assert seen.inputs[2].value == XComName("a2", "return_value")


@pytest.mark.parametrize(
    ("dag", "reason"),
    [
        (dag_of("d", task("a", "b"), task("b", "a")), "DAG_INVALID"),
        (dag_of("d", task("a"), task("a")), "DAG_INVALID"),
        (dag_of("d", task("a", "nobody")), "DAG_INVALID"),
        (dag_of("d", reading(task("a"), "nobody")), "DAG_INVALID"),
        (dag_of("d"), "DAG_INVALID"),
        (dag_of("d", task("a b")), "DAG_INVALID"),
        (dag_of("d", task_pb2.Task(task_id="a")), "DAG_INVALID"),
        (dag_of("d", task_pb2.Task(task_id="a", entry_point="m:a", mapping=task_pb2.Mapping())), "DAG_INVALID"),
        (dag_of("d", task("a", pool="p", pool_slots=0)), "DAG_INVALID"),
        (dag_of("d", task("a", max_active_instances=0)), "DAG_INVALID"),
        (dag_of("d", task("a"), max_active_runs=0), "DAG_INVALID"),
    ],
)
def test_a_dag_that_cannot_run_is_refused_beside_others_that_stand(sqlite_flow: Flow, dag, reason: str):
    worker = sqlite_flow.register()
    result = sqlite_flow.publish(dag, dag_of("good", task("a")), to=worker)
    (refusal,) = result.refused
    assert (refusal.dag_id, refusal.reason.name) == ("d", reason)
    assert "'d'" in refusal.message
    assert refusal.message.endswith(".")
    sqlite_flow.trigger("good")
    assert refused(lambda: sqlite_flow.trigger("d")) == "DAG_NOT_FOUND"


def test_a_schedule_is_kept_and_not_fired(sqlite_flow: Flow):
    worker = sqlite_flow.register()
    made = dag_of("d", task("a"))
    made.schedule.cron.expression = "@daily"
    assert sqlite_flow.publish(made, to=worker).refused == ()
    sqlite_flow.trigger("d")


def test_bytes_that_are_no_dag_are_refused(sqlite_flow: Flow):
    from crosswind_server.domain.errors import Refused
    from crosswind_server.manifests import read_dag

    with pytest.raises(Refused, match="cannot be read"):
        read_dag(b"\xff\xff\xff", dag_version_id="x", dag_id="d")
