"""What follows when task instances end: successors become runnable, are skipped or fail, and runs end. [SCHED-1]

Here belongs the way from one task's end to the next ones. It goes in waves over a `Board`: each wave reads the
successors of the last one in one statement and counts, so it costs the out-degree of what ended, never the size of the
DAG. [SCHED-2] What fans out beyond a bound is left as a continuation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from crosswind_server.domain.readiness import ended_run_state, mapped_state
from crosswind_server.domain.skipping import merge
from crosswind_server.domain.states import TERMINAL_RUN_STATES, RunState, TaskState, final_state_of
from crosswind_server.services.flow import callbacks, groups, past, run_ends, waits
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.deciding import decide_all
from crosswind_server.services.flow.recounting import (
    ADVANCE,
    count_mapped_end,
    hear,
    instances_of,
    recount,
    successors_of,
)
from crosswind_server.services.flow.rows import Instance, Run
from crosswind_server.store import runs


def advance(board: Board, *, causes: int = 1) -> None:
    """Tell the successors of all that ended on the board, write the board, and end the runs that are done.

    Args:
        causes: how many calls the transaction answers; each may change so many rows as one alone.
    """
    budget = max(PIECE, 8 * causes)
    waits.begin(board)
    waits.follow(board)
    while board.ended or board.unjudged or board.stale:
        if not board.ended and board.stale:
            # After what ended has been told: the states are counted, and nothing twice.
            stale, board.stale = board.stale, {}
            for instance in recount(board, stale.values()):
                board.judge(instance)
        wave, board.ended = board.ended, []
        fresh = [ended for ended in wave if ended.id not in board.told]
        callbacks.of_ended(board, fresh)
        budget = decide_all(board, _tell(board, wave, fresh, budget))
    waits.release(board)
    board.flush()
    _end_runs(board)


def go_on(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `ADVANCE`."""
    board.load_instances({piece.subject_id})
    instance = board.instances[piece.subject_id]
    if instance.ended and str(instance.end_time) == piece.detail_json:
        board.told[instance.id] = piece.position
        board.ended.append(instance)


def _tell(board: Board, wave: Sequence[Instance], fresh: Sequence[Instance], budget: int) -> int:
    """Tell the successors of instances that ended, and the tasks of which they are instances; answers the budget that
    is left."""
    told: list[tuple[Instance, Sequence[int]]] = []
    keys: dict[tuple[str, int, int], None] = {}
    instances: list[Instance] = []
    for ended in wave:
        if ended.map_index >= 0 and ended.id not in board.told:
            keys[ended.run_key, ended.task_index, -1] = None
            instances.append(ended)
        if board.runs[ended.run_key].final_state is not None:
            continue  # The run is being stopped, and nothing of it begins any more.
        successors = successors_of(board, ended)
        first = board.told.get(ended.id, 0)
        piece: Sequence[int] = successors[first : first + max(budget, 0)]
        budget -= len(piece)
        if first + len(piece) < len(successors):
            board.leave(ADVANCE, ended, first + len(piece), detail_json=str(ended.end_time))
        told.append((ended, piece))
        keys.update(((ended.run_key, index, ended.map_index), None) for index in piece)
    board.load_all(keys)
    _count_instances(board, instances)
    expanded: dict[str, Instance] = {}
    for ended, indexes in told:
        for index in indexes:
            successor = board.at(ended.run_key, index, ended.map_index)
            if successor is None or successor.id in board.stale:
                continue
            if successor.state == TaskState.WAITING:
                hear(board, successor, ended)
                board.judge(successor)
            elif successor.state == TaskState.EXPANDED and groups.is_whole(board.task_of(successor), successor):
                hear(board, successor, ended)
                expanded[successor.id] = successor
    for whole in expanded.values():
        budget = groups.rejudge(board, whole, budget=budget)
    past.tell(board, fresh)
    return groups.begin_after(board, fresh, budget=budget)


def _count_instances(board: Board, ended: Sequence[Instance]) -> None:
    """Count the ends of mapped instances in the task that they were expanded from; it ends with the last."""
    parents: dict[str, Instance] = {}
    for instance in ended:
        parent = board.tasks[instance.run_key, instance.task_index]
        if parent.state == TaskState.WAITING:
            # Its task was cleared meanwhile, and is expanded anew once all instances are removed.
            instance.state = TaskState.REMOVED.value
            board.touch(instance)
            board.stale[parent.id] = parent
            continue
        if not board.task_of(instance).is_teardown and instance.state == TaskState.SUCCEEDED:
            _merge_skips(board, parent, instance)
        count_mapped_end(parent, TaskState(instance.state))
        board.touch(parent)
        parents[parent.id] = parent
    for parent in parents.values():
        if parent.state == TaskState.EXPANDED:
            state = mapped_state_of(parent)
            if state is not TaskState.EXPANDED:
                board.end(parent, state)


def mapped_state_of(summary: Instance) -> TaskState:
    """The state that the instances of a mapped task make up, by what it has counted of them."""
    return mapped_state(instances_of(summary))


def _merge_skips(board: Board, parent: Instance, instance: Instance) -> None:
    """A mapped task skips what all its instances skip that succeed; in a mapped group each acts on its own index."""
    if board.task_of(instance).mapped_group is None:
        parent.skips = merge(parent.skips, instance.skips, first=parent.instances_succeeded == 0)


def _end_runs(board: Board) -> None:
    ended = [
        run
        for run in board.runs.values()
        if run.unfinished == 0 and run.holds == 0 and RunState(run.state) not in TERMINAL_RUN_STATES
    ]
    for run in ended:
        run.state = _final_state(board, run).value
        run.end_time = board.uow.now
        run.start_time = run.start_time or run.end_time
        board.touch_run(run)
    if ended:
        run_ends.follow(board, ended)
    board.flush()


def _final_state(board: Board, run: Run) -> RunState:
    if run.final_state is not None:
        return final_state_of(run.final_state)
    # All its tasks have ended, so it costs the tasks that decide, and no more than one of them is read.
    bad = runs.any_is_bad(board.uow, run.id, board.plan_of(run).leaves)
    return ended_run_state(leaf_is_bad=bad, cancel_requested=run.cancel_requested)
