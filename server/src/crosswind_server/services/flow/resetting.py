"""Task instances that wait again as if they had never run, and those that end without anybody being told.

Here belongs what such a change does to one row and its run. Which rows are concerned is decided in `clearing`,
`stopping` and `settlement`.
"""

from __future__ import annotations

from collections.abc import Collection

from crosswind_server.domain.retry import Counters, after_clear
from crosswind_server.domain.states import LIVE_TASK_STATES, TaskState
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.recounting import count_mapped_end
from crosswind_server.services.flow.rows import Instance


def wait_again(board: Board, instance: Instance) -> None:
    """Let a cleared instance without a live attempt wait as if it had never run. [SCHED-2]

    Its budgets are fresh, its try numbers go on. `progress.advance` counts how its upstream tasks stand and judges it,
    unless it is one of a mapped task's instances: those are runnable as long as their task is expanded. Those of a
    mapped group wait for the others of their index.
    """
    run = board.runs[instance.run_key]
    if instance.ended:
        run.unfinished += 1
    was = TaskState(instance.state)
    # Of an attempt that has just ended the attempt itself says whether it used its number up; one that was suspended
    # left its number to the next one, which is a try of its own now.
    settled = after_clear(
        Counters(tries=instance.try_number), was=TaskState.WAITING if was in LIVE_TASK_STATES else was
    )
    instance.try_number = settled.counters.tries
    instance.failures, instance.losses = settled.counters.failures, settled.counters.losses
    instance.state = TaskState.WAITING.value
    _start_afresh(board, instance)
    instance.end_time = instance.queued_time = None
    instance.instances_total = instance.instances_succeeded = instance.instances_failed = 0
    instance.instances_skipped = instance.instances_cancelled = instance.instances_upstream_failed = 0
    instance.skips = None
    if instance.map_index < 0 or board.task_of(instance).mapped_group is not None:
        board.stale[instance.id] = instance


def revive(board: Board, instance: Instance) -> None:
    """Let one of a mapped task's instances that has no live attempt run again, or for the first time since its task
    was expanded anew; in a mapped group once what it waits for has ended."""
    wait_again(board, instance)
    if instance.id not in board.stale:
        board.queue(instance)


def end_silently(board: Board, instance: Instance, state: TaskState) -> None:
    """Put an instance into a final state of which its successors are not told: it is removed, or its run is stopped."""
    if not instance.ended:
        board.runs[instance.run_key].unfinished -= 1
        instance.end_time = board.uow.now
    instance.state = state.value
    instance.not_before = instance.resumption_message = None
    instance.waits_for = instance.event_number = None
    board.stale.pop(instance.id, None)
    board.touch(instance)


def end_stopped(board: Board, instances: Collection[Instance], state: TaskState) -> None:
    """Put instances of a run that is being stopped, none of which has ended, into the state of what did not run.

    Those of a mapped task are counted in its summary, which a clear or a mark takes back. [SCHED-2]
    """
    mapped = [(each.run_key, each.task_index) for each in instances if each.map_index >= 0]
    board.load_tasks(mapped)
    for instance in instances:
        if instance.map_index < 0:
            end_silently(board, instance, state)
            continue
        summary = board.tasks[instance.run_key, instance.task_index]
        if summary.instances_total == 0:
            # Its task was cleared meanwhile, and would have been expanded anew.
            end_silently(board, instance, TaskState.REMOVED)
            continue
        end_silently(board, instance, state)
        count_mapped_end(summary, state)
        board.touch(summary)


def _start_afresh(board: Board, instance: Instance) -> None:
    task = board.task_of(instance)
    instance.max_tries = instance.try_number + task.retry.retries + 1
    instance.not_before = instance.first_start_time = None
    instance.failure_message = instance.resumption_message = None
    instance.waits_for = instance.event_number = None
    board.reset[instance.id] = None
    if instance.is_task:
        board.renew(instance)
    board.touch(instance)
