"""Mapped tasks: how many instances one has, and their making, in pieces where there are many. [SCHED-1]

Which item an instance gets is not stored: it follows from its index and the lengths of the mapped inputs, which do not
change once the upstream tasks have ended; see `contexts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from crosswind_server import manifests
from crosswind_server.domain.plan import MAX_INSTANCES, DagPlan, OutputPlan, TaskPlan, UnequalLengths
from crosswind_server.domain.states import TaskState
from crosswind_server.services.board import Board, Instance, new_instance
from crosswind_server.store import task_instances, xcoms
from crosswind_server.store.unit_of_work import UnitOfWork

EXPAND: Final = "expand"
"""Kind of a continuation: make the instances of the subject from index `position` on."""

Lengths = Mapping[OutputPlan, int | None]
"""Items of outputs; None where there is no list."""


class NotMappable(ValueError):
    """A mapped input is not a list; the message says which."""


def expand(board: Board, instances: Sequence[Instance], *, budget: int) -> int:
    """Replace mapped tasks that may run by their instances, as many as the budget allows at once.

    A task that is mapped over nothing is skipped, one that cannot be mapped fails. Answers the budget that is left.
    """
    for instance in instances:
        run = board.runs[instance.run_key]
        plan = board.plan_of(run)
        task = board.task_of(instance)
        try:
            lengths = lengths_of(board.uow, run.id, plan, task)
            assert task.mapping is not None
            total = task.mapping.count(lengths)
        except NotMappable as error:
            _fail(board, instance, "crosswind.NotMappable", str(error))
            continue
        except UnequalLengths as error:
            what = f"Task '{task.task_id}' zips lists of different lengths ({error}); make them equally long."
            _fail(board, instance, "crosswind.UnequalLengths", what)
            continue
        if total > MAX_INSTANCES:
            what = f"Task '{task.task_id}' would have {total:,} instances, and at most {MAX_INSTANCES:,} are possible."
            _fail(board, instance, "crosswind.TooManyInstances", what)
            continue
        if total == 0:
            board.end(instance, TaskState.SKIPPED)
            continue
        instance.state = TaskState.EXPANDED.value
        instance.instances_total = total
        instance.queued_time = board.uow.now
        board.touch(instance)
        budget = make_instances(board, instance, first=0, budget=budget)
    return budget


def make_instances(board: Board, parent: Instance, *, first: int, budget: int) -> int:
    """Make the instances of an expanded task from an index on; what the budget does not allow is left for later."""
    run = board.runs[parent.run_key]
    task = board.task_of(parent)
    end = min(parent.instances_total, first + max(budget, 0))
    for map_index in range(first, end):
        board.add(
            new_instance(
                run,
                task,
                now=board.uow.now,
                offer_key=parent.offer_key,
                state=TaskState.QUEUED,
                map_index=map_index,
                parent_id=parent.id,
            )
        )
    if end < parent.instances_total:
        board.leave(EXPAND, parent, end)
    return budget - (end - first)


def lengths_of(uow: UnitOfWork, run_key: str, plan: DagPlan, task: TaskPlan) -> tuple[int, ...]:
    """The lengths of a task's mapped inputs, in their order.

    The output of a mapped upstream task is as long as many of its instances wrote it. An upstream task that did not
    succeed and wrote nothing has no items.

    Raises:
        NotMappable: an output is not a list, or a task that succeeded wrote none.
    """
    assert task.mapping is not None
    wanted = {each.output for each in task.mapping.inputs if each.output is not None}
    single = {(run_key, output.task_id, output.key) for output in wanted if plan.by_id[output.task_id].mapping is None}
    found = {(row.task_id, row.key): row for row in xcoms.find(uow, single)}
    lengths = []
    for each in task.mapping.inputs:
        if each.literal is not None:
            lengths.append(len(each.literal.items or ()))
            continue
        output = each.output
        assert output is not None
        if plan.by_id[output.task_id].mapping is not None:
            lengths.append(xcoms.count_mapped(uow, run_key, output.task_id, output.key))
            continue
        row = found.get((output.task_id, output.key))
        if row is None or row.item_count is None:
            lengths.append(_length_of_no_list(uow, run_key, plan, task, output, wrote=row is not None))
        else:
            lengths.append(row.item_count)
    return tuple(lengths)


def _length_of_no_list(
    uow: UnitOfWork, run_key: str, plan: DagPlan, task: TaskPlan, output: OutputPlan, *, wrote: bool
) -> int:
    upstream = plan.by_id[output.task_id]
    states = [row.state for row in task_instances.get_tasks(uow, [(run_key, upstream.index)])]
    if not wrote and states != [TaskState.SUCCEEDED]:
        return 0
    what = "is not a list" if wrote else "was not written"
    raise NotMappable(
        f"Task '{task.task_id}' is mapped over the output '{output.key}' of task '{output.task_id}', which {what}; "
        "let that task return a list."
    )


def _fail(board: Board, instance: Instance, failure_type: str, message: str) -> None:
    failure = manifests.failure_message(failure_type, message, retryable=False)
    board.end(instance, TaskState.FAILED, failure=failure)
