"""A run that was cleared into another version keeps the numbers of its tasks: nothing else of the plan changes."""

import hashlib
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind.value.v1.value_pb2 import Item, Items, Payload
from crosswind_server import manifests
from crosswind_server.domain.plan import DagPlan, TaskPlan
from crosswind_server.domain.renumbering import changed_in_kind, numbering_of, renumbered, versions_of

NAMES = tuple("abcdefgh")


def plan_of(*tasks: task_pb2.Task, groups: Sequence[dag_pb2.TaskGroup] = ()) -> DagPlan:
    """The plan of a DAG, read as the server reads it."""
    message = dag_pb2.Dag(dag_id="d", tasks=tasks, groups=groups).SerializeToString(deterministic=True)
    return manifests.read_dag(message, dag_version_id=hashlib.sha256(message).hexdigest())


def task(task_id: str, *upstream: str, **fields: object) -> task_pb2.Task:
    made = task_pb2.Task(task_id=task_id, entry_point=f"mod:{task_id}", language="python", **fields)  # type: ignore[arg-type]
    made.upstream.extend(task_pb2.Edge(task_id=each) for each in upstream)
    return made


def two_items() -> Payload:
    return Payload(encoding="json/utf-8", items=Items(items=[Item(data=b"1"), Item(data=b"2")]))


@st.composite
def plans(draw: st.DrawFn) -> DagPlan:
    """Tasks with any names in any order, with edges, a setup and its teardown, and a mapped group of some of them."""
    names = draw(st.permutations(draw(st.lists(st.sampled_from(NAMES), min_size=2, unique=True))))
    inside = frozenset(draw(st.lists(st.sampled_from(names), unique=True)))
    closes = draw(st.booleans())
    made = []
    for place, name in enumerate(names):
        upstream = draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else []
        made.append(task(name, *upstream, group_id="g" if name in inside else ""))
    if closes:
        made[0].kind = task_pb2.TASK_KIND_SETUP
        made[0].group_id = made[-1].group_id = ""
        made[-1].kind = task_pb2.TASK_KIND_TEARDOWN
        made[-1].setup_task_ids.append(names[0])
    groups = []
    if any(each.group_id for each in made):
        groups = [dag_pb2.TaskGroup(group_id="g")]
        item = groups[0].mapping.inputs.add(name="item")
        item.literal.CopyFrom(two_items())
    order = draw(st.permutations(made))
    return plan_of(*order, groups=groups)


def named(plan: DagPlan, task: TaskPlan) -> dict[str, object]:
    """A task by the names of all that it names."""

    def names(indexes: Sequence[int]) -> list[str]:
        return [plan.tasks[index].task_id for index in indexes]

    facts = {name: getattr(task, name) for name in TaskPlan.__slots__}
    places = ("upstream", "downstream", "inner_upstream", "inner_downstream", "setups")
    # What follows from the rest is in the order of the numbers.
    follows = {name: set(names(facts[name])) for name in ("guards", "inner_guards", "guarded")}
    return {**facts, "index": None, **{name: names(facts[name]) for name in places}, **follows}


def upstream_of(plan: DagPlan, task: TaskPlan) -> list[str]:
    return [plan.tasks[index].task_id for index in task.upstream]


@given(plans(), st.lists(plans(), max_size=4))
def test_names_edges_groups_and_setups_are_those_of_the_version(plan, earlier):
    new = renumbered(plan, earlier)
    assert [each.index for each in new.tasks] == list(range(len(new.tasks)))
    assert {each.task_id: named(new, each) for each in new.present} == {
        each.task_id: named(plan, each) for each in plan.tasks
    }
    assert {each.task_id for each in new.present} == set(new.by_id) == set(plan.by_id)
    for group_id, group in plan.groups.items():
        moved = new.groups[group_id]
        assert [new.tasks[n].task_id for n in moved.members] == [plan.tasks[n].task_id for n in group.members]
        assert {new.tasks[n].task_id for n in moved.sources} == {plan.tasks[n].task_id for n in group.sources}
    assert {new.tasks[n].task_id for n in new.leaves} == {plan.tasks[n].task_id for n in plan.leaves}
    assert {new.tasks[n].task_id for n in new.roots} == {plan.tasks[n].task_id for n in plan.roots}
    ranks = {each.task_id: new.ranks[each.index] for each in new.tasks}
    assert all(ranks[before] < ranks[each.task_id] for each in new.present for before in upstream_of(new, each))


@given(plans(), st.lists(plans(), max_size=4))
def test_every_task_keeps_its_first_number_whatever_comes_after(plan, earlier):
    before: dict[str, int] = {}
    for length in range(len(earlier)):
        seen = renumbered(earlier[length], earlier[:length])
        for each in seen.tasks:
            assert before.setdefault(each.task_id, each.index) == each.index
            assert each.gone == (each.task_id not in earlier[length].by_id)
    for each in renumbered(plan, earlier).tasks:
        assert before.setdefault(each.task_id, each.index) == each.index
        assert each.gone == (each.task_id not in plan.by_id)


@given(st.lists(plans(), min_size=1, max_size=5))
def test_versions_that_bring_no_task_need_not_be_remembered(versions):
    by_id = {each.dag_version_id: each for each in versions}
    kept = [by_id[each] for each in versions_of(versions)]
    assert numbering_of(kept) == numbering_of(versions)
    short, whole = renumbered(versions[-1], kept), renumbered(versions[-1], versions)
    assert short.present == whole.present
    assert [(each.task_id, each.gone) for each in short.tasks] == [(each.task_id, each.gone) for each in whole.tasks]
    assert len(kept) <= len(NAMES)


@given(plans(), st.lists(plans(), max_size=2))
def test_an_empty_place_has_no_part_in_the_graph(plan, earlier):
    new = renumbered(plan, earlier)
    empty = {each.index for each in new.tasks if each.gone}
    for each in new.tasks:
        neighbours = {*each.upstream, *each.downstream, *each.setups}
        assert not neighbours & empty
        if each.gone:
            assert not neighbours
            assert (each.mapping, each.mapped_group, each.callbacks) == (None, None, ())
    assert not empty & {*new.roots, *new.leaves, *(n for group in new.groups.values() for n in group.members)}


@given(plans())
def test_a_version_after_itself_is_itself(plan):
    assert renumbered(plan, [plan]) is plan
    assert renumbered(plan, []) is plan
    assert changed_in_kind(plan, plan) == frozenset()


def test_a_task_means_something_else_by_its_kind_its_mapping_its_group_and_its_bundle():
    before = plan_of(task("a"), task("b"), task("c"), task("same"), task("gone"))
    mapped = task("a")
    mapped.mapping.inputs.add(name="x").literal.CopyFrom(two_items())
    other = task("c", kind=task_pb2.TASK_KIND_SENSOR)
    after = renumbered(plan_of(task("same", "b"), other, task("b"), mapped, task("new")), [before])
    assert changed_in_kind(before, after) == {before.by_id["a"].index, before.by_id["c"].index}
    group = dag_pb2.TaskGroup(group_id="g")
    group.mapping.inputs.add(name="item").literal.CopyFrom(two_items())
    after = renumbered(plan_of(task("a"), task("b", group_id="g"), task("same"), groups=[group]), [before])
    assert changed_in_kind(before, after) == {before.by_id["b"].index}
    # What had an empty place has no instances that could mean something.
    back = renumbered(plan_of(task("gone")), [before])
    assert changed_in_kind(back, renumbered(before, [before])) == frozenset()
