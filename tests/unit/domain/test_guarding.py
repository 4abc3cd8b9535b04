"""Which tasks a setup guards: those of its scope that could run without it, and no more."""

import pytest

from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind_server.domain.plan import DagPlan
from crosswind_server.manifests import read_dag


def plan_of(*tasks: str) -> DagPlan:
    """A DAG of tasks such as `report after=work rule=ALL_DONE setups=make kind=SETUP`."""
    dag = dag_pb2.Dag(dag_id="d")
    for text in tasks:
        name, *words = text.split()
        facts = dict(word.split("=") for word in words)
        made = dag.tasks.add(task_id=name, entry_point=name)
        made.upstream.extend(task_pb2.Edge(task_id=each) for each in facts.get("after", "").split(",") if each)
        made.trigger_rule = getattr(task_pb2, f"TRIGGER_RULE_{facts.get('rule', 'ALL_SUCCESS')}")
        made.kind = getattr(task_pb2, f"TASK_KIND_{facts.get('kind', 'NORMAL')}")
        made.setup_task_ids.extend(each for each in facts.get("setups", "").split(",") if each)
    return read_dag(dag.SerializeToString(), dag_version_id="v")


def guards(plan: DagPlan) -> dict[str, set[str]]:
    """The setups that guard tasks, by the ids of these."""
    found = {task.task_id: {plan.tasks[index].task_id for index in task.guards} for task in plan.tasks if task.guards}
    told = {(plan.tasks[index].task_id, task.task_id) for task in plan.tasks for index in task.guarded}
    assert told == {(task_id, setup) for task_id, setups in found.items() for setup in setups}
    return found


MAKE = "make kind=SETUP"


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([MAKE, "work after=make", "end after=work"], {}),
        ([MAKE, "work after=make rule=ALL_DONE"], {}),
        ([MAKE, "work after=make", "end after=work rule=ALL_DONE"], {"end": {"make"}}),
        ([MAKE, "work after=make rule=ALL_DONE", "end after=work"], {"end": {"make"}}),
        ([MAKE, "work after=make", "end after=work rule=ALL_DONE", "last after=end"], {"end": {"make"}}),
        ([MAKE, "work after=make", "t after=work kind=TEARDOWN setups=make", "end after=t rule=ALL_DONE"], {}),
        (
            [
                MAKE,
                "work after=make",
                "in after=work rule=ALWAYS",
                "out after=work rule=ALWAYS",
                "t after=in kind=TEARDOWN setups=make",
            ],
            {"in": {"make"}},
        ),
        (
            [
                MAKE,
                "make2 after=make kind=SETUP",
                "work after=make2",
                "t2 after=work kind=TEARDOWN setups=make2",
                "end after=t2",
                "t after=end kind=TEARDOWN setups=make",
            ],
            {"end": {"make"}},
        ),
        (
            [MAKE, "make2 kind=SETUP", "work after=make,make2", "end after=work rule=ALL_DONE"],
            {"end": {"make", "make2"}},
        ),
    ],
    ids=[
        "kept by those before",
        "directly after it",
        "could run",
        "after one that could",
        "kept by one that is guarded",
        "after the teardown",
        "beside the scope",
        "after a teardown inside",
        "two setups",
    ],
)
def test_a_setup_guards_what_could_run_without_it(tasks: list[str], expected: dict[str, set[str]]):
    assert guards(plan_of(*tasks)) == expected


def test_a_setup_of_a_large_scope_tells_no_more_tasks_than_it_must():
    tasks = [f"t{number} after={f't{number - 1}' if number else 'make'}" for number in range(2_000)]
    plan = plan_of(MAKE, *tasks, "report after=t1999 rule=ALL_DONE")
    assert guards(plan) == {"report": {"make"}}
