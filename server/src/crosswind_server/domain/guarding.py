"""The scopes of setups: which tasks run only where a setup before them succeeded, whatever their trigger rules say.

A scope holds what comes after a setup and before one of the teardowns that name it; of a setup without teardown, all
that comes after it. As in Airflow, a task directly after a setup goes by its trigger rule alone. Only tasks that could
run otherwise are guarded: one whose rule is `all_success` is kept by those before it, so that a setup of a large scope
tells no more tasks of its end than it must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from crosswind_server.domain.readiness import TriggerRule

if TYPE_CHECKING:
    from crosswind_server.domain.plan import TaskPlan


def with_guards(tasks: tuple[TaskPlan, ...]) -> tuple[TaskPlan, ...]:
    """The tasks of a DAG, each with its `guards`, `inner_guards` and `guarded` as edges, rules and setups say."""
    guards: dict[int, list[int]] = {}
    guarded: dict[int, list[int]] = {}
    closers = _closers(tasks)
    for setup in tasks:
        if setup.is_setup:
            for index in _guarded_by(tasks, setup, closers.get(setup.index)):
                guards.setdefault(index, []).append(setup.index)
                guarded.setdefault(setup.index, []).append(index)
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


def _closers(tasks: Sequence[TaskPlan]) -> dict[int, list[int]]:
    """The teardowns that name each setup."""
    found: dict[int, list[int]] = {}
    for task in tasks:
        for setup in task.setups:
            found.setdefault(setup, []).append(task.index)
    return found


def _guarded_by(tasks: Sequence[TaskPlan], setup: TaskPlan, teardowns: Iterable[int] | None) -> list[int]:
    scope = _reach([setup.index], lambda index: tasks[index].downstream)
    if teardowns is not None:
        scope &= _reach(teardowns, lambda index: tasks[index].upstream)
    kept = {setup.index}
    found = []
    for index in sorted(scope, key=lambda index: (tasks[index].depth, index)):
        task = tasks[index]
        if task.is_teardown:
            continue
        if task.trigger_rule is TriggerRule.ALL_SUCCESS and not kept.isdisjoint(task.upstream):
            kept.add(index)
        elif setup.index not in task.upstream:
            kept.add(index)
            found.append(index)
    return found


def _reach(start: Iterable[int], after: Callable[[int], Iterable[int]]) -> set[int]:
    found: set[int] = set()
    open_ends = list(start)
    while open_ends:
        for index in after(open_ends.pop()):
            if index not in found:
                found.add(index)
                open_ends.append(index)
    return found
