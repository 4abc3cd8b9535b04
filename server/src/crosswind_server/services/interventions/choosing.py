"""What a clear concerns: which tasks of a run, and which instances of the mapped ones.

Here belong what may be asked for and the choice that follows from it, by the run's plan and states. Carrying it out is
in `clearing`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.plan import DagPlan, TaskPlan
from crosswind_server.domain.states import TaskState
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Run
from crosswind_server.store import clears

FAILED_STATES: Final = frozenset({TaskState.FAILED, TaskState.UPSTREAM_FAILED, TaskState.CANCELLED})
UNTOUCHED: Final = frozenset({TaskState.WAITING, TaskState.REMOVED})
"""An instance that waits for its upstream tasks has nothing to forget, and one that was removed is no more."""

Choice = str | list[int]
"""Which instances of a task: `ALL`, `FAILED`, or those of a mapped task by their map indexes."""
ALL: Final = "all"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class TaskSelection:
    """A task, or one instance of a mapped task. Without map index: all instances."""

    task_id: str
    map_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearTasks:
    """Somebody wants tasks of a run to run again.

    Args:
        selections: what to clear; None: the whole run.
        include_upstream, include_downstream: also all that the selected ones depend on, or that depend on them.
        only_failed: only what is FAILED, UPSTREAM_FAILED or CANCELLED; of a whole run also all that depends on these.
        use_current_version: of a whole run: it goes on with the current version of its DAG.
        dry_run: only count.
        subject: who, for the logs of tasks that are ended by it.
    """

    team: str
    dag_id: str
    run_id: str
    selections: tuple[TaskSelection, ...] | None = None
    include_upstream: bool = False
    include_downstream: bool = False
    only_failed: bool = False
    use_current_version: bool = False
    dry_run: bool = False
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """What was, or would be, cleared: how many instances, and their tasks in manifest order, at most 1,000."""

    count: int
    task_ids: tuple[str, ...]


def task_not_found(run: Run, task_id: str, map_index: int | None = None) -> Refused:
    """The refusal of a task instance that the run does not have."""
    which = f"{task_id[:80]}" if map_index is None else f"{task_id[:80]}[{map_index}]"
    return Refused(
        Reason.TASK_NOT_FOUND,
        f"The run '{run.run_id}' has no task instance '{which}'; list them with"
        f" `crosswind tasks list {run.dag_id}/{run.run_id}`.",
        metadata={"dag_id": run.dag_id, "run_id": run.run_id, "task_id": task_id[:80]},
    )


def choose(board: Board, run: Run, command: ClearTasks, *, anew: Collection[int] = ()) -> dict[int, Choice]:
    """What a command concerns, by the positions of tasks. Raises `Refused`: TASK_NOT_FOUND.

    Args:
        anew: tasks that are cleared in any case, and with them what depends on them.
    """
    plan = board.plan_of(run)
    if command.selections is not None:
        return _choose_selected(board, run, plan, command, command.selections)
    if not command.only_failed:
        return {task.index: ALL for task in plan.present}
    failed = {
        row.task_index
        for row in clears.count_states(board.uow, run.id)
        if TaskState(row.state) in FAILED_STATES and not plan.tasks[row.task_index].gone
    }
    some: dict[int, list[int]] = {}
    for index in failed:
        if plan.tasks[index].mapped_group is not None:
            rows = clears.states_of(board.uow, run.id, index, None)
            if indexes := [row.map_index for row in rows if TaskState(row.state) in FAILED_STATES]:
                some[index] = indexes
    _choose_inside(some, lambda index: plan.tasks[index].inner_downstream)
    whole = failed - some.keys()
    after = _reach_from(plan, whole.union(anew), some, lambda task: task.downstream, lambda task: task.inner_downstream)
    found: dict[int, Choice] = {index: sorted(wanted) for index, wanted in some.items()}
    return {**found, **dict.fromkeys(whole, FAILED), **dict.fromkeys(after.union(anew), ALL)}


def _choose_selected(
    board: Board, run: Run, plan: DagPlan, command: ClearTasks, selections: Iterable[TaskSelection]
) -> dict[int, Choice]:
    whole: set[int] = set()
    some: dict[int, list[int]] = {}
    for each in selections:
        task = plan.by_id.get(each.task_id)
        if task is None or (each.map_index is not None and task.mapping is None):
            raise task_not_found(run, each.task_id, each.map_index)
        if each.map_index is None:
            whole.add(task.index)
        elif each.map_index not in some.setdefault(task.index, []):
            some[task.index].append(each.map_index)
    for index, wanted in some.items():
        missing = set(wanted) - clears.existing_map_indexes(board.uow, run.id, index, wanted)
        if missing:
            raise task_not_found(run, plan.tasks[index].task_id, min(missing))
    others: set[int] = set()
    if command.include_upstream:
        _choose_inside(some, lambda index: plan.tasks[index].inner_upstream)
        others |= _reach_from(plan, whole, some, lambda task: task.upstream, lambda task: task.inner_upstream)
    if command.include_downstream:
        _choose_inside(some, lambda index: plan.tasks[index].inner_downstream)
        others |= _reach_from(plan, whole, some, lambda task: task.downstream, lambda task: task.inner_downstream)
    whole |= others - some.keys()
    _add_scopes(plan, whole, some)
    # Where an instance's own upstream is cleared too, its task may have other instances afterwards.
    cleared_before = _reach(whole, lambda index: plan.tasks[index].downstream)
    found: dict[int, Choice] = dict.fromkeys(whole, FAILED if command.only_failed else ALL)
    for index, wanted in some.items():
        if index not in whole:
            found[index] = (FAILED if command.only_failed else ALL) if index in cleared_before else sorted(wanted)
    if command.only_failed:
        states = {
            (row.task_index, row.map_index): TaskState(row.state)
            for index, wanted in some.items()
            for row in clears.states_of(board.uow, run.id, index, wanted)
        }
        for index, choice in found.items():
            if isinstance(choice, list):
                found[index] = [each for each in choice if states[index, each] in FAILED_STATES]
    return found


def _add_scopes(plan: DagPlan, whole: set[int], some: dict[int, list[int]]) -> None:
    """Add the setups and teardowns of the scopes in which chosen tasks are: what was set up for them is gone.

    Those in the mapped group of a chosen instance serve it at its own index.
    """
    chosen, instances = frozenset(whole), {index: tuple(wanted) for index, wanted in some.items()}
    for task in plan.tasks:
        if not task.is_teardown or not task.setups:
            continue
        inside = _reach(task.setups, lambda index: plan.tasks[index].downstream)
        inside &= _reach([task.index], lambda index: plan.tasks[index].upstream)
        inside |= set(task.setups)
        scope = (task.index, *task.setups)
        if not inside.isdisjoint(chosen):
            whole.update(each for each in scope if each not in instances)
        for index in inside & instances.keys():
            group = plan.tasks[index].mapped_group
            for each in scope:
                if group is not None and plan.tasks[each].mapped_group == group:
                    indexes = some.setdefault(each, [])
                    indexes += [map_index for map_index in instances[index] if map_index not in indexes]
                elif each not in instances:
                    whole.add(each)


def _choose_inside(some: dict[int, list[int]], after: Callable[[int], Iterable[int]]) -> None:
    """Add what comes after instances of a mapped group at their own indexes."""
    for index, wanted in list(some.items()):
        for each in _reach({index}, after):
            chosen = some.setdefault(each, [])
            chosen += [map_index for map_index in wanted if map_index not in chosen]


def _reach_from(
    plan: DagPlan,
    whole: Collection[int],
    some: Collection[int],
    after: Callable[[TaskPlan], Sequence[int]],
    inside: Callable[[TaskPlan], Sequence[int]],
) -> set[int]:
    """What comes after tasks, and after instances of others, but for what does so at their own indexes only."""
    start: set[int] = set()
    for index in some:
        inner = frozenset(inside(plan.tasks[index]))
        start.update(each for each in after(plan.tasks[index]) if each not in inner)
    found = _reach(whole, lambda index: after(plan.tasks[index]))
    return found | start | _reach(start, lambda index: after(plan.tasks[index]))


def _reach(start: Collection[int], after: Callable[[int], Iterable[int]]) -> set[int]:
    """What is reached from positions by one step or more."""
    found: set[int] = set()
    edge = [index for each in start for index in after(each)]
    while edge:
        index = edge.pop()
        if index not in found:
            found.add(index)
            edge.extend(after(index))
    return found


def count(board: Board, run: Run, chosen: Mapping[int, Choice]) -> Cleared:
    """How much a choice changes as things are."""
    plan = board.plan_of(run)
    numbers: dict[int, int] = {}
    expanded: set[int] = set()
    rows = clears.count_states(board.uow, run.id)
    for row in rows:
        if row.mapped:
            expanded.add(row.task_index)
    for row in rows:
        choice = chosen.get(row.task_index)
        state = TaskState(row.state)
        if choice == ALL:
            counts = state not in UNTOUCHED
        else:
            # The summary of a mapped task is EXPANDED again as its instances are cleared, and not cleared itself.
            counts = choice == FAILED and state in FAILED_STATES and (row.mapped or row.task_index not in expanded)
        if counts:
            numbers[row.task_index] = numbers.get(row.task_index, 0) + row.number
    for index, choice in chosen.items():
        if isinstance(choice, list):
            states = [TaskState(row.state) for row in clears.states_of(board.uow, run.id, index, choice)]
            numbers[index] = sum(state not in UNTOUCHED for state in states)
    cleared = sorted(index for index, number in numbers.items() if number)
    return Cleared(count=sum(numbers.values()), task_ids=tuple(plan.tasks[index].task_id for index in cleared[:1_000]))
