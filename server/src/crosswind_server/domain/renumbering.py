"""The plan of a run that was cleared into another version of its DAG: each task keeps the number that it had first.

Task instances know their task by its number, its position in a plan. So that none of them has to change, the tasks of
the new version take the places that tasks of these names had before, new ones come after them, and the place of a task
that is gone stays empty. Here belong that order and the plan in it; what becomes of the instances is in
`services.interventions.renewing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from crosswind_server.domain.plan import DagPlan, PastRule, TaskPlan

MAX_PLACES: Final = 20_000
"""Of a run, empty ones included: twice as many as a DAG has tasks at most."""
MAX_VERSIONS: Final = 100
"""So many versions at most may have given a run tasks that it did not have before."""


def numbering_of(plans: Iterable[DagPlan]) -> tuple[str, ...]:
    """The ids of the tasks of several versions by their numbers: in the order in which they came to be."""
    return tuple(dict.fromkeys(task.task_id for plan in plans for task in plan.present))


def versions_of(plans: Iterable[DagPlan]) -> tuple[str, ...]:
    """The ids of those of several versions, oldest first, that have a task that none before them had."""
    known: set[str] = set()
    found = []
    for plan in plans:
        if not known.issuperset(plan.by_id):
            known.update(plan.by_id)
            found.append(plan.dag_version_id)
    return tuple(found)


def renumbered(plan: DagPlan, earlier: Sequence[DagPlan]) -> DagPlan:
    """A plan with its tasks at the places that they have in a run.

    Args:
        plan: a version by itself, without empty places.
        earlier: the versions whose tasks come first, the oldest first, each by itself.
    """
    order = numbering_of([*earlier, plan])
    if order == tuple(task.task_id for task in plan.tasks):
        return plan
    places = {task_id: place for place, task_id in enumerate(order)}
    moved = {task.index: places[task.task_id] for task in plan.tasks}
    last = {task.task_id: task for each in earlier for task in each.present}
    tasks = tuple(
        _moved(plan.by_id[task_id], moved) if task_id in plan.by_id else _emptied(last[task_id], place)
        for place, task_id in enumerate(order)
    )
    groups = {
        group_id: replace(
            group,
            sources=frozenset(moved[index] for index in group.sources),
            members=tuple(moved[index] for index in group.members),
        )
        for group_id, group in plan.groups.items()
    }
    return replace(plan, tasks=tasks, groups=groups, leaves=frozenset(moved[index] for index in plan.leaves))


def _moved(task: TaskPlan, moved: Mapping[int, int]) -> TaskPlan:
    def places(indexes: Iterable[int]) -> tuple[int, ...]:
        return tuple(moved[index] for index in indexes)

    return replace(
        task,
        index=moved[task.index],
        upstream=places(task.upstream),
        downstream=places(task.downstream),
        inner_upstream=places(task.inner_upstream),
        inner_downstream=places(task.inner_downstream),
        setups=places(task.setups),
    )


def _emptied(task: TaskPlan, place: int) -> TaskPlan:
    """What is left of a task that is gone: what its last attempts need to end."""
    return replace(
        task,
        gone=True,
        index=place,
        upstream=(),
        downstream=(),
        inner_upstream=(),
        inner_downstream=(),
        setups=(),
        inputs=(),
        mapping=None,
        mapped_group=None,
        group_ids=(),
        callbacks=(),
        max_active_instances=None,
        max_active_instances_per_run=None,
        past=PastRule.NONE,
    )


def changed_in_kind(before: DagPlan, after: DagPlan) -> frozenset[int]:
    """The numbers of tasks whose instances mean something else after a change of versions.

    They are other ones where the mapping or the mapped group is another, and do another thing where the kind is, or
    whether the task is one of another bundle.

    Args:
        before, after: the plans of one run, numbered alike.
    """
    return frozenset(
        task.index
        for task in after.present
        if task.index < len(before.tasks)
        and not before.tasks[task.index].gone
        and _kind_of(before.tasks[task.index]) != _kind_of(task)
    )


def _kind_of(task: TaskPlan) -> tuple[object, ...]:
    return task.kind, task.mapping, task.mapped_group, task.reference
