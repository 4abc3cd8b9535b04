"""Mapped task groups: the instances of all tasks inside, index by index. [SCHED-1]

A task of a mapped group has a row for the whole, which counts what ends outside the group, and one for each index,
which counts what ends inside at that index; an instance is ready by both together. When the tasks over whose outputs
the group is mapped have told all tasks inside, their instances are made, in an order in which whoever is to be told of
an end exists before whoever ends. What ends outside later is told to the whole, and the instances that wait are judged
anew, in pieces.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.decision import Place, place_of
from crosswind_server.domain.plan import GroupPlan, TaskPlan
from crosswind_server.domain.states import TaskState
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.expansion import begin_expansion
from crosswind_server.services.flow.resetting import wait_again
from crosswind_server.services.flow.rows import Instance, Run, new_instance
from crosswind_server.store import task_instances

GROUP: Final = "group"
"""Kind of a continuation: make instances of the tasks of a mapped group of the run from `position` on, which counts
index by index and in each by `GroupPlan.members`."""
REJUDGE: Final = "rejudge"
"""Kind of a continuation: judge the instances of the subject that wait, from the index `position` on."""


def is_whole(task: TaskPlan, instance: Instance) -> bool:
    """Whether it is the row of a task in a mapped group that stands for all its instances."""
    return place_of(task, instance.map_index) is Place.GROUP_TASK


def group_of(board: Board, instance: Instance) -> GroupPlan | None:
    """The mapped group around an instance's task."""
    group_id = board.task_of(instance).mapped_group
    return None if group_id is None else board.plan_of(board.runs[instance.run_key]).groups[group_id]


def expand(board: Board, wholes: Sequence[Instance], *, budget: int) -> int:
    """Expand tasks of mapped groups; of a group whose last task this is, instances are made, as the budget allows.

    Each task of a group comes here once, or ends before. Answers the budget that is left.
    """
    for whole in wholes:
        begin_expansion(board, whole)
    touched = {}
    for whole in wholes:
        group = group_of(board, whole)
        assert group is not None
        touched[whole.run_key, group.group_id] = (board.runs[whole.run_key], group)
    for run, group in touched.values():
        budget = begin(board, run, group, budget=budget)
    return budget


def begin(board: Board, run: Run, group: GroupPlan, *, budget: int) -> int:
    """Make the first instances of a group if none of its tasks waits any more; answers the budget that is left.

    Called whenever one of them stopped waiting.
    """
    if run.renewing or (run.id, group.group_id) in board.begun_groups:
        return budget
    known = [board.tasks[run.id, index] for index in group.members if (run.id, index) in board.tasks]
    if any(each.state == TaskState.WAITING for each in known):
        return budget
    unknown = frozenset(group.members) - {each.task_index for each in known}
    if task_instances.any_waits(board.uow, run.id, unknown):
        return budget
    board.begun_groups.add((run.id, group.group_id))
    total = next((each.instances_total for each in known if each.state == TaskState.EXPANDED), 0)
    total = total or task_instances.total_of_expanded(board.uow, run.id, unknown)
    return _make_piece(board, run, group, total=total, first=0, budget=budget) if total else budget


def begin_after(board: Board, ended: Sequence[Instance], *, budget: int) -> int:
    """The same after tasks of mapped groups ended that never had instances."""
    for whole in ended:
        group = group_of(board, whole) if whole.map_index < 0 and not whole.instances_total else None
        if group is not None:
            budget = begin(board, board.runs[whole.run_key], group, budget=budget)
    return budget


def _make_piece(board: Board, run: Run, group: GroupPlan, *, total: int, first: int, budget: int) -> int:
    width = len(group.members)
    end = min(total * width, first + max(budget, 0))
    places = [divmod(position, width) for position in range(first, end)]
    board.load_tasks((run.id, group.members[rank]) for rank in dict.fromkeys(rank for _, rank in places))
    wanted = [
        (whole, map_index)
        for whole, map_index in ((board.tasks[run.id, group.members[rank]], map_index) for map_index, rank in places)
        if whole.state == TaskState.EXPANDED and map_index < whole.instances_total
    ]
    # Those of a task that was cleared are there already, and so are those of the others of its group.
    board.load_all([(run.id, whole.task_index, map_index) for whole, map_index in wanted])
    for whole, map_index in wanted:
        _make(board, run, whole, map_index)
    if end < total * width:
        detail = json.dumps({"group": group.group_id, "total": total})
        board.leave_for(GROUP, run.id, run.id, end, detail_json=detail)
    return budget - (end - first)


def _make(board: Board, run: Run, whole: Instance, map_index: int) -> None:
    known = board.at(run.id, whole.task_index, map_index)
    if known is None:
        known = new_instance(
            run,
            board.task_of(whole),
            now=board.uow.now,
            offer_key=whole.offer_key,
            map_index=map_index,
            parent_id=whole.id,
        )
        board.add(known)
        # What it waits for may have ended before it was made, where that was not cleared with it.
        board.stale[known.id] = known
    elif known.state == TaskState.REMOVED:
        wait_again(board, known)


def go_on_making(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `GROUP`."""
    run = board.runs[piece.run_key]
    detail = json.loads(piece.detail_json)
    group = board.plan_of(run).groups.get(detail["group"])
    # A run that is cleared into another version begins anew with the groups that it has there.
    if run.final_state is None and not run.renewing and group is not None:
        _make_piece(board, run, group, total=detail["total"], first=piece.position, budget=PIECE)


def rejudge(board: Board, whole: Instance, *, budget: int) -> int:
    """Judge the instances of an expanded task that wait, after something ended outside its group."""
    if whole.instances_total <= budget:
        return budget - _judge_piece(board, whole, first=0)
    board.leave(REJUDGE, whole)
    return budget


def go_on_judging(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `REJUDGE`."""
    board.load_instances({piece.subject_id})
    whole = board.instances[piece.subject_id]
    if whole.state == TaskState.EXPANDED and board.runs[whole.run_key].final_state is None:
        _judge_piece(board, whole, first=piece.position)
        if piece.position + PIECE < whole.instances_total:
            board.leave(REJUDGE, whole, piece.position + PIECE)


def _judge_piece(board: Board, whole: Instance, *, first: int) -> int:
    end = min(first + PIECE, whole.instances_total)
    found = {each.id: each for each in board.put_rows(task_instances.waiting_of(board.uow, whole.id, first, end))}
    # Those that this transaction has made, or lets wait again, are not written yet.
    here = (board.at(whole.run_key, whole.task_index, map_index) for map_index in range(first, end))
    found.update((each.id, each) for each in here if each is not None and each.state == TaskState.WAITING)
    for instance in found.values():
        board.judge(instance)
    return len(found)
