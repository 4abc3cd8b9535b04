"""Mapped tasks: how many instances one has, and their making, in pieces where there are many. [SCHED-1]

Which item an instance gets is not stored: it follows from its index and the lengths of the mapped inputs, which do not
change once the upstream tasks have ended; see `contexts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server import manifests
from crosswind_server.domain.arguments import MappedInputPlan, UnequalLengths
from crosswind_server.domain.plan import MAX_INSTANCES, DagPlan, TaskPlan
from crosswind_server.domain.states import TaskState
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.resetting import revive
from crosswind_server.services.flow.rows import Instance, Run, instance_of, new_instance
from crosswind_server.store import task_instances, xcoms
from crosswind_server.store.unit_of_work import UnitOfWork

EXPAND: Final = "expand"
"""Kind of a continuation: make the instances of the subject from index `position` on."""


class CannotMap(ValueError):
    """A task cannot be mapped: the type of its failure, and a sentence that says why."""

    def __init__(self, failure_type: str, message: str) -> None:
        super().__init__(message)
        self.failure_type = failure_type


def expand(board: Board, instances: Sequence[Instance], *, budget: int) -> int:
    """Replace mapped tasks that may run by their instances, as many as the budget allows at once.

    A task that is mapped over nothing is skipped, one that cannot be mapped fails. Answers the budget that is left.
    """
    for instance in instances:
        if begin_expansion(board, instance):
            budget = make_instances(board, instance, first=0, budget=budget)
    return budget


def are_held_by_earlier(board: Board, instances: Sequence[Instance]) -> set[str]:
    """The ids of those mapped tasks of which instances from before they were cleared still have live attempts; the last
    to end lets the task go on."""
    if any(instance.state == TaskState.REMOVED for instance in board.instances.values()):
        board.flush()
    earlier = task_instances.mapped_before(board.uow, [instance.id for instance in instances])
    return {instance_id for instance_id, alive in earlier.items() if alive}


def begin_expansion(board: Board, instance: Instance) -> bool:
    """Make a mapped task EXPANDED; answers whether it has instances, which are still to be made.

    One that is mapped over nothing is skipped, and one that cannot be mapped fails.
    """
    try:
        total = _size_of(board, instance)
    except CannotMap as error:
        failure = manifests.failure_message(error.failure_type, str(error), retryable=False)
        board.end(instance, TaskState.FAILED, failure=failure)
        return False
    if total == 0:
        board.end(instance, TaskState.SKIPPED)
        return False
    instance.state = TaskState.EXPANDED.value
    instance.instances_total = total
    instance.queued_time = board.uow.now
    board.touch(instance)
    return True


def _size_of(board: Board, instance: Instance) -> int:
    run = board.runs[instance.run_key]
    task = board.task_of(instance)
    assert task.mapping is not None
    lengths = [
        _length_of_no_list(board, instance, each) if length is None else length
        for each, length in zip(task.mapping.inputs, _known_lengths(board, run, task), strict=True)
    ]
    try:
        total = task.mapping.count(lengths)
    except UnequalLengths as error:
        what = f"Task '{task.task_id}' zips lists of different lengths ({error}); make them equally long."
        raise CannotMap("crosswind.UnequalLengths", what) from error
    if total > MAX_INSTANCES:
        what = f"Task '{task.task_id}' would have {total:,} instances, and at most {MAX_INSTANCES:,} are possible."
        raise CannotMap("crosswind.TooManyInstances", what)
    return total


def _known_lengths(board: Board, run: Run, task: TaskPlan) -> list[int | None]:
    """The same for all tasks of a mapped group, so it is read once a transaction."""
    key = (run.id, task.mapped_group or "")
    if task.mapped_group is None or key not in board.lengths:
        board.lengths[key] = lengths_of(board.uow, run.id, board.plan_of(run), task)
    return board.lengths[key]


def make_instances(board: Board, parent: Instance, *, first: int, budget: int) -> int:
    """Make the instances of an expanded task from an index on; what the budget does not allow is left for later."""
    run = board.runs[parent.run_key]
    task = board.task_of(parent)
    end = min(parent.instances_total, first + max(budget, 0))
    removed = {row.map_index: row for row in task_instances.get_removed(board.uow, [parent.id], first=first, end=end)}
    for map_index in range(first, end):
        if map_index in removed:
            revive(board, board.put(instance_of(removed[map_index])))
            continue
        made = new_instance(
            run,
            task,
            now=board.uow.now,
            offer_key=parent.offer_key,
            map_index=map_index,
            parent_id=parent.id,
        )
        board.add(made)
        board.queue(made)
    if end < parent.instances_total:
        board.leave(EXPAND, parent, end, detail_json=str(parent.queued_time))
    return budget - (end - first)


def go_on(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `EXPAND`."""
    board.load_instances({piece.subject_id})
    parent = board.instances[piece.subject_id]
    # Unless it was cleared meanwhile, and perhaps expanded anew.
    if parent.state == TaskState.EXPANDED and str(parent.queued_time) == piece.detail_json:
        make_instances(board, parent, first=piece.position, budget=PIECE)


def _mapped_inputs(task: TaskPlan) -> tuple[MappedInputPlan, ...]:
    return () if task.mapping is None else task.mapping.inputs


def lengths_of(uow: UnitOfWork, run_key: str, plan: DagPlan, task: TaskPlan) -> list[int | None]:
    """The lengths of a task's mapped inputs, in their order; None where an output is not a list or was not written.

    The output of a mapped upstream task is as long as many of its instances wrote it.
    """
    inputs = _mapped_inputs(task)
    wanted = {each.output for each in inputs if each.output is not None}
    single = {
        (run_key, output.task_id, output.key, -1) for output in wanted if plan.by_id[output.task_id].mapping is None
    }
    found = {(row.task_id, row.key): row.item_count for row in xcoms.find(uow, single)}
    lengths: list[int | None] = []
    for each in inputs:
        if each.output is None:
            items = each.literal.items if each.literal is not None else ()
            lengths.append(len(items or ()))
        elif plan.by_id[each.output.task_id].mapping is not None:
            lengths.append(xcoms.count_mapped(uow, run_key, each.output.task_id, each.output.key))
        else:
            lengths.append(found.get((each.output.task_id, each.output.key)))
    return lengths


def _length_of_no_list(board: Board, instance: Instance, each: MappedInputPlan) -> int:
    """An upstream task that did not succeed and wrote nothing has no items; any other fails the mapped task."""
    output = each.output
    assert output is not None
    upstream = board.plan_of(board.runs[instance.run_key]).by_id[output.task_id]
    key = (instance.run_key, upstream.index)
    board.load_tasks([key])
    if board.tasks[key].state != TaskState.SUCCEEDED:
        return 0
    raise CannotMap(
        "crosswind.NotMappable",
        f"Task '{instance.task_id}' is mapped over the output '{output.key}' of task '{output.task_id}', which is not "
        "a list; let that task return one.",
    )
