"""The scopes of setups: which tasks run only where a setup before them succeeded, whatever their trigger rules say.

A scope holds what comes after a setup and before one of the teardowns that name it; of a setup without teardown, all
that comes after it. As in Airflow, a task directly after a setup goes by its trigger rule alone. Only tasks that could
run otherwise are guarded: one whose rule is `all_success` is kept by those before it, so that a setup of a large scope
tells no more tasks of its end than it must.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from crosswind_server.domain.readiness import TriggerRule

if TYPE_CHECKING:
    from crosswind_server.domain.plan import TaskPlan


def with_guards(tasks: tuple[TaskPlan, ...]) -> tuple[TaskPlan, ...]:
    """The tasks of a DAG, each with its `guards`, `inner_guards` and `guarded` as edges, rules and setups say."""
    guards: dict[int, list[int]] = {}
    guarded: dict[int, list[int]] = {}
    setups = [task.index for task in tasks if task.is_setup]
    if setups:
        for index, mask in _masks(tasks, {setup: 1 << place for place, setup in enumerate(setups)}).items():
            guards[index] = [setup for place, setup in enumerate(setups) if mask >> place & 1]
            for setup in guards[index]:
                guarded.setdefault(setup, []).append(index)
    if not guards and not any(task.guards or task.guarded for task in tasks):
        return tasks
    return tuple(
        replace(
            task,
            guards=tuple(guards.get(task.index, ())),
            inner_guards=tuple(each for each in guards.get(task.index, ()) if _are_together(task, tasks[each])),
            guarded=tuple(guarded.get(task.index, ())),
        )
        for task in tasks
    )


def _are_together(task: TaskPlan, setup: TaskPlan) -> bool:
    return task.mapped_group is not None and task.mapped_group == setup.mapped_group


def _masks(tasks: Sequence[TaskPlan], bits: Mapping[int, int]) -> dict[int, int]:
    """The setups that guard each task that is guarded, as sets of bits: each edge is looked at twice."""
    order = sorted(tasks, key=lambda task: task.depth)
    before, closed, kept = ([0] * len(tasks) for _ in range(3))
    never_closed = sum(bits.values()) & ~_union(bits[setup] for task in tasks for setup in task.setups)
    for task in reversed(order):
        for index in task.downstream:
            closed[task.index] |= closed[index] | _union(bits[setup] for setup in tasks[index].setups)
    found = {}
    for task in order:
        direct = _union(bits.get(index, 0) for index in task.upstream)
        before[task.index] = direct | _union(before[index] for index in task.upstream)
        if task.is_teardown:
            continue
        scope = before[task.index] & (closed[task.index] | never_closed)
        if task.trigger_rule is TriggerRule.ALL_SUCCESS:
            kept[task.index] = scope & (direct | _union(kept[index] for index in task.upstream))
        guards = scope & ~kept[task.index] & ~direct
        kept[task.index] |= guards
        if guards:
            found[task.index] = guards
    return found


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found
