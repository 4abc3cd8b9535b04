"""What branches and short circuits skip."""

import random

import pytest

from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind_server.domain.plan import DagPlan
from crosswind_server.domain.skipping import ALL_DIRECT, EVERYTHING, Skips, UnknownBranch, merge, skipped_by_branch
from crosswind_server.manifests import read_dag


def plan_of(edges: dict[str, str], groups: dict[str, str] | None = None, teardowns: str = "") -> DagPlan:
    """A DAG of tasks by the names of those before them, with the groups around them."""
    dag = dag_pb2.Dag(dag_id="d")
    for group in dict.fromkeys((groups or {}).values()):
        parent = group.rpartition(".")[0]
        dag.groups.add(group_id=group, parent_group_id=parent)
    for name, before in edges.items():
        made = dag.tasks.add(task_id=name, entry_point=name, group_id=(groups or {}).get(name, ""))
        made.upstream.extend(task_pb2.Edge(task_id=each) for each in before.split())
        if name in teardowns.split():
            made.kind = task_pb2.TASK_KIND_TEARDOWN
    return read_dag(dag.SerializeToString(), dag_version_id="v")


def skipped(plan: DagPlan, task_id: str, *follow: str) -> set[str]:
    """The names of the tasks that a branch skips."""
    task = plan.by_id[task_id]
    skips = skipped_by_branch(plan, task, follow)
    return set() if skips is None else {plan.tasks[n].task_id for n in task.downstream if skips.covers(plan.tasks[n])}


DIAMOND = {"b": "", "x": "b", "y": "b", "z": "b x", "end": "y z"}


@pytest.mark.parametrize(
    ("follow", "expected"),
    [("x", {"y"}), ("y", {"x", "z"}), ("z", {"x", "y"}), ("x y z", set()), ("x y", set()), ("", {"x", "y", "z"})],
)
def test_a_branch_skips_what_it_does_not_follow_and_what_does_not_come_after(follow: str, expected: set[str]):
    assert skipped(plan_of(DIAMOND), "b", *follow.split()) == expected


@pytest.mark.parametrize("name", ["end", "b", "nobody", ""])
def test_what_is_not_directly_downstream_cannot_be_followed(name: str):
    with pytest.raises(UnknownBranch) as caught:
        skipped(plan_of(DIAMOND), "b", "x", name)
    assert caught.value.followed == name


def test_a_group_stands_for_the_tasks_inside_that_are_directly_downstream():
    plan = plan_of({"b": "", "y": "b", "x": "b", "w": "b", "z": "y"}, {"y": "g", "x": "g.h", "z": "g"})
    assert skipped(plan, "b", "g") == {"w"}
    assert skipped(plan, "b", "g.h") == {"w", "y"}


def test_a_teardown_is_never_skipped():
    plan = plan_of({"b": "", "x": "b", "t": "b"}, teardowns="t")
    assert skipped(plan, "b") == {"x"}
    assert not EVERYTHING.covers(plan.by_id["t"])
    assert not ALL_DIRECT.covers(plan.by_id["t"])


def test_what_was_stored_is_read_again():
    for skips in (ALL_DIRECT, EVERYTHING, Skips(frozenset({3, 1})), Skips(frozenset(), True, itself=True)):
        assert Skips.from_json(skips.to_json()) == skips
    assert EVERYTHING.to_json() == '{"skip":null,"cascade":true}'


def test_instances_of_a_mapped_task_skip_together_what_all_do():
    one, two = Skips(frozenset({1, 2})).to_json(), Skips(frozenset({2, 3})).to_json()
    assert merge(None, one, first=True) == one
    assert merge(None, one, first=False) is None
    assert merge(one, None, first=False) is None
    both = merge(one, two, first=False)
    assert both is not None
    assert Skips.from_json(both) == Skips(frozenset({2}))
    assert merge(EVERYTHING.to_json(), EVERYTHING.to_json(), first=False) == EVERYTHING.to_json()
    assert merge(EVERYTHING.to_json(), ALL_DIRECT.to_json(), first=False) == ALL_DIRECT.to_json()
    assert merge(one, EVERYTHING.to_json(), first=False) == one


@pytest.mark.parametrize("seed", range(30))
def test_random_branches_skip_as_a_search_of_the_whole_graph_says(seed: int):
    drawn = random.Random(seed)
    edges = {f"t{n}": " ".join(f"t{k}" for k in range(n) if drawn.random() < 0.3) for n in range(12)}
    plan = plan_of(edges)
    for task in plan.tasks:
        direct = [plan.tasks[n].task_id for n in task.downstream]
        follow = [name for name in direct if drawn.random() < 0.4]
        after = set(follow)
        for name, before in edges.items():  # in an order in which each comes after those before it
            if after & set(before.split()):
                after.add(name)
        assert skipped(plan, task.task_id, *follow) == set(direct) - after
