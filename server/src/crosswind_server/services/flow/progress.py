"""What follows when task instances end: successors become runnable, are skipped or fail, and runs end. [SCHED-1]

Here belongs the way from one task's end to the next ones. It goes in waves over a `Board`: each wave reads the
successors of the last one in one statement and counts, so it costs the out-degree of what ended, never the size of the
DAG. [SCHED-2] What fans out beyond a bound is left as a continuation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from crosswind_server.domain.plan import TaskPlan
from crosswind_server.domain.readiness import Counts, Readiness, judge, mapped_state, run_state
from crosswind_server.domain.states import TERMINAL_RUN_STATES, RunState, TaskState, final_state_of
from crosswind_server.services.flow import callbacks, run_ends, waits
from crosswind_server.services.flow.board import PIECE, Board, Instance, Run
from crosswind_server.services.flow.expansion import expand
from crosswind_server.services.flow.recounting import ADVANCE, count_end, count_mapped_end, recount
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
        callbacks.of_ended(board, [ended for ended in wave if ended.id not in board.told])
        told: list[tuple[Instance, Sequence[int]]] = []
        keys: dict[tuple[str, int], None] = {}
        for ended in wave:
            if ended.map_index >= 0:
                keys[ended.run_key, ended.task_index] = None
                continue
            if board.runs[ended.run_key].final_state is not None:
                continue  # The run is being stopped, and nothing of it begins any more.
            downstream = board.task_of(ended).downstream
            first = board.told.get(ended.id, 0)
            piece = downstream[first : first + max(budget, 0)]
            budget -= len(piece)
            if first + len(piece) < len(downstream):
                board.leave(ADVANCE, ended, first + len(piece), detail_json=str(ended.end_time))
            told.append((ended, piece))
            keys.update(((ended.run_key, index), None) for index in piece)
        board.load_tasks(keys)
        _count_instances(board, [ended for ended in wave if ended.map_index >= 0])
        _count_upstream(board, told)
        waiting, board.unjudged = board.unjudged, {}
        budget = _decide(board, list(waiting.values()), budget)
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
    return mapped_state(
        Counts(
            total=summary.instances_total,
            succeeded=summary.instances_succeeded,
            failed=summary.instances_failed,
            skipped=summary.instances_skipped,
            cancelled=summary.instances_cancelled,
        )
    )


def _count_upstream(board: Board, told: Sequence[tuple[Instance, Sequence[int]]]) -> None:
    """Count the ends of tasks in their successors, and let those that wait be judged, each once."""
    for ended, successors in told:
        for index in successors:
            successor = board.tasks[ended.run_key, index]
            if successor.state != TaskState.WAITING or successor.id in board.stale:
                continue
            count_end(successor, board.task_of(successor), TaskState(ended.state))
            board.touch(successor)
            board.judge(successor)


def readiness_of(task: TaskPlan, instance: Instance) -> Readiness:
    """What becomes of a task that waits, by what it has counted."""
    counts = Counts(
        total=len(task.upstream),
        succeeded=instance.upstream_succeeded,
        failed=instance.upstream_failed,
        skipped=instance.upstream_skipped,
    )
    return judge(task.trigger_rule, counts)


def _decide(board: Board, waiting: Sequence[Instance], budget: int) -> int:
    mapped: list[Instance] = []
    for instance in waiting:
        if instance.state != TaskState.WAITING or instance.id in board.stale:
            continue
        if board.runs[instance.run_key].final_state is not None:
            continue  # Its run is being stopped.
        task = board.task_of(instance)
        match readiness_of(task, instance):
            case Readiness.RUN if task.mapping is not None:
                mapped.append(instance)
            case Readiness.RUN:
                board.queue(instance)
            case Readiness.SKIP:
                board.end(instance, TaskState.SKIPPED)
            case Readiness.UPSTREAM_FAILED:
                board.end(instance, TaskState.UPSTREAM_FAILED)
            case Readiness.WAIT:
                pass
    return expand(board, mapped, budget=budget) if mapped else budget


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
    leaves = board.plan_of(run).leaves
    ended = [(row.task_index in leaves, TaskState(row.state)) for row in runs.task_states(board.uow, run.id)]

    def count(states: Sequence[TaskState]) -> Counts:
        good = sum(state is TaskState.SUCCEEDED for state in states)
        skipped = sum(state is TaskState.SKIPPED for state in states)
        return Counts(total=len(states), succeeded=good, skipped=skipped, failed=len(states) - good - skipped)

    return run_state(
        count([state for _, state in ended]),
        count([state for leaf, state in ended if leaf]),
        cancel_requested=run.cancel_requested,
    )
