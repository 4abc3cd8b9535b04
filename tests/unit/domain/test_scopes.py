"""When a teardown runs, and which tasks decide how a run ends."""

import pytest

from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind_server.domain.plan import TaskKind
from crosswind_server.domain.readiness import Counts, Readiness
from crosswind_server.domain.scopes import judge_teardown
from crosswind_server.manifests import read_dag


@pytest.mark.parametrize(
    ("setups", "expected"),
    [
        (Counts(total=0), Readiness.RUN),
        (Counts(total=2, succeeded=1, failed=1), Readiness.RUN),
        (Counts(total=2, succeeded=1, skipped=1), Readiness.RUN),
        (Counts(total=2, skipped=2), Readiness.SKIP),
        (Counts(total=2, skipped=1, failed=1), Readiness.UPSTREAM_FAILED),
        (Counts(total=1, failed=1), Readiness.UPSTREAM_FAILED),
    ],
)
def test_a_teardown_runs_once_all_have_ended_if_a_setup_succeeded(setups: Counts, expected: Readiness):
    assert judge_teardown(Counts(total=3, succeeded=1, failed=2), setups) is expected


def test_it_waits_for_the_last_before_it():
    assert judge_teardown(Counts(total=3, succeeded=2), None) is Readiness.WAIT


def deciding(*tasks: tuple[str, str, str]) -> set[str]:
    """The tasks that decide a run, of name, names before it, and `t` for a teardown or `f` for one that counts."""
    dag = dag_pb2.Dag(dag_id="d")
    for name, before, kind in tasks:
        made = dag.tasks.add(task_id=name, entry_point=name, on_failure_fail_run=kind == "f")
        made.upstream.extend(task_pb2.Edge(task_id=each) for each in before.split())
        if kind:
            made.kind = task_pb2.TASK_KIND_TEARDOWN
    plan = read_dag(dag.SerializeToString(), dag_version_id="v")
    return {plan.tasks[index].task_id for index in plan.leaves}


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([("a", "", ""), ("b", "a", "")], {"b"}),
        ([("a", "", ""), ("b", "a", ""), ("t", "b", "t")], {"b"}),
        ([("a", "", ""), ("t", "a", "f")], {"t"}),
        ([("a", "", ""), ("b", "a", ""), ("t", "b", "t"), ("u", "t", "t")], {"b"}),
        ([("a", "", ""), ("t", "a", "t"), ("after", "t", "")], {"a", "after"}),
        ([("t", "", "t")], set()),
    ],
    ids=["leaf", "before a teardown", "a teardown that counts", "two teardowns", "after a teardown", "nothing else"],
)
def test_the_leaves_without_teardowns_decide(tasks: list[tuple[str, str, str]], expected: set[str]):
    assert deciding(*tasks) == expected


def test_kinds_have_the_numbers_of_the_protocol():
    numbers = {name.removeprefix("TASK_KIND_"): number for name, number in task_pb2.TaskKind.items()}
    assert {kind.name: kind.value for kind in TaskKind} == numbers
