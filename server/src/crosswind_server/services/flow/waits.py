"""Waits without a slot, as a transaction meets them: begun, ended by what they wait for, or given up.

Here belongs what is the same for all kinds; named events are in `events`, questions to people in `inputs`. A trigger is
a workload of its own, whose end is followed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crosswind_server.domain.lifecycle import Event
from crosswind_server.domain.states import LIVE_TASK_STATES, TaskState, Workload
from crosswind_server.domain.workloads import TRIGGER_FAILED
from crosswind_server.services.flow import events, inputs, timetables
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.failing import fail_wait
from crosswind_server.services.flow.rows import Instance, instance_of, new_workload
from crosswind_server.services.flow.settlement import ask_to_end
from crosswind_server.services.flow.waiting import INPUT, TRIGGER_PREFIX
from crosswind_server.store import input_requests, task_instances

GIVEN_UP: Final = "The task that it is a trigger for does not wait for it any more."
_WAITING: Final = frozenset({TaskState.DEFERRED, TaskState.AWAITING_INPUT})


def begin(board: Board) -> None:
    """See to the waits that outcomes began: make triggers, ask people, and give kept events."""
    begun, board.begun = board.begun, []
    asked = []
    for instance, wait in begun:
        if wait.question is not None:
            asked.append((instance, wait.question))
        elif wait.trigger is not None:
            run = board.runs[instance.run_key]
            board.add(
                new_workload(
                    run,
                    Workload.TRIGGER,
                    now=board.uow.now,
                    plan=board.plan_of(run),
                    entry_point=wait.trigger,
                    message=wait.arguments,
                    subject=instance,
                )
            )
    inputs.ask(board, asked)
    events.begin(board, [instance for instance, wait in begun if wait.event is not None])


def wake(board: Board, due: Sequence[Instance]) -> None:
    """Let instances go on whose moment has come."""
    asking = [instance for instance in due if instance.state == TaskState.AWAITING_INPUT]
    for instance in due:
        if instance.state != TaskState.AWAITING_INPUT:
            board.queue(instance)
    inputs.expire(board, asking)


def follow(board: Board) -> None:
    """Let tasks go on, or fail, whose triggers have ended, and take what timetables answered."""
    ended, board.ended_workloads = board.ended_workloads, []
    timetables.answered(
        board,
        [each for each in ended if each.workload == Workload.TIMETABLE and each.state == TaskState.SUCCEEDED],
    )
    triggers = [each for each in ended if each.workload == Workload.TRIGGER]
    board.load_instances({each.parent_id for each in triggers if each.parent_id is not None})
    for trigger in triggers:
        task = board.instances[trigger.parent_id or ""]
        if task.state != TaskState.DEFERRED or not (task.waits_for or "").startswith(TRIGGER_PREFIX):
            continue
        if trigger.state == TaskState.SUCCEEDED:
            board.waited.pop(task.id, None)
            board.resume(task, board.results.get(trigger.id))
        elif trigger.state == TaskState.FAILED:
            board.waited.pop(task.id, None)
            text = f"The trigger '{trigger.workload_entry_point}' failed, for which the task waited."
            fail_wait(board, task, TRIGGER_FAILED, text, cause=trigger.failure_message)


def release(board: Board) -> None:
    """Give up what instances waited for that do not wait any more: end their triggers, close their questions."""
    gone: dict[str, str] = {}
    for instance_id, waited in list(board.waited.items()):
        instance = board.instances[instance_id]
        if instance.waits_for is not None and TaskState(instance.state) in _WAITING:
            continue
        del board.waited[instance_id]
        gone[instance_id] = waited
        if instance.waits_for is not None:
            instance.waits_for = None
            board.touch(instance)
    asked = [instance_id for instance_id, waited in gone.items() if waited == INPUT]
    if asked:
        input_requests.cancel_of(board.uow, asked)
        for team in {board.instances[instance_id].team for instance_id in asked}:
            board.uow.hint(input_requests.topic(team))
    _end_triggers(board, [each for each, waited in gone.items() if waited.startswith(TRIGGER_PREFIX)])


def _end_triggers(board: Board, instance_ids: Sequence[str]) -> None:
    rows = task_instances.lock_triggers_of(board.uow, instance_ids)
    triggers = [board.put(instance_of(row)) for row in rows]
    held = []
    for trigger in triggers:
        if TaskState(trigger.state) in LIVE_TASK_STATES and trigger.attempt_id is not None:
            held.append(trigger.attempt_id)
        elif not trigger.ended:
            board.end(trigger, TaskState.CANCELLED)
    ask_to_end(board, held, Event.CANCEL, reason=GIVEN_UP)
    # Nobody waits for them: there is nothing to follow.
    given_up = {each.id for each in triggers}
    board.ended_workloads = [each for each in board.ended_workloads if each.id not in given_up]
