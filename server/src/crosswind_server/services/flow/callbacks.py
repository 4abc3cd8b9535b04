"""Callbacks: an author's code that runs after something happened to a run or a task instance. [SCHED-1]

Here belongs their making, in the transaction of what they are for, and in pieces where they are many. They are
workloads of their own: they neither delay nor decide the run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server import manifests
from crosswind_server.domain.plan import CallbackEvent
from crosswind_server.domain.states import RunState, TaskState, Workload
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.rows import Instance, Run, new_workload

CALL_BACK: Final = "call back"
"""Kind of a continuation: make the callbacks of the subject for the event in its detail."""

_OF_ENDS: Final = {
    TaskState.SUCCEEDED: CallbackEvent.SUCCESS,
    TaskState.FAILED: CallbackEvent.FAILURE,
    TaskState.SKIPPED: CallbackEvent.SKIPPED,
}
"""A task that failed upstream never ran, and one that was cancelled was ended by a person: neither calls back."""

_OF_RUN_ENDS: Final = {RunState.SUCCEEDED: CallbackEvent.SUCCESS, RunState.FAILED: CallbackEvent.FAILURE}


def of_ended(board: Board, ended: Sequence[Instance]) -> None:
    """Make the callbacks of task instances that ended; of a mapped task those of its instances."""
    for instance in ended:
        event = _OF_ENDS.get(TaskState(instance.state))
        if event is not None and not instance.instances_total:
            of_instance(board, instance, event)


def of_instance(board: Board, instance: Instance, event: CallbackEvent) -> None:
    """Make the callbacks of a task instance for an event, or leave them for later where there are many already."""
    wanted = [each for each in board.task_of(instance).callbacks if each.event is event]
    if not wanted:
        return
    if board.callbacks_made >= PIECE:
        detail = {"event": event.value, "try_number": instance.try_number, "state": instance.state}
        board.leave(CALL_BACK, instance, detail_json=json.dumps(detail))
        return
    _make(board, instance, event, try_number=instance.try_number, state=instance.state)


def go_on(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `CALL_BACK`."""
    board.load_instances({piece.subject_id})
    detail = json.loads(piece.detail_json)
    instance = board.instances[piece.subject_id]
    _make(board, instance, CallbackEvent(detail["event"]), try_number=detail["try_number"], state=detail["state"])


def _make(board: Board, instance: Instance, event: CallbackEvent, *, try_number: int, state: str) -> None:
    run = board.runs[instance.run_key]
    failed = event in (CallbackEvent.FAILURE, CallbackEvent.RETRY)
    message = manifests.callback_message(
        event,
        dag_id=run.dag_id,
        run_id=run.run_id,
        task_id=instance.task_id,
        map_index=instance.map_index,
        try_number=try_number,
        failure=instance.failure_message if failed else None,
        state=state,
    )
    for each in board.task_of(instance).callbacks:
        if each.event is event:
            _add(board, run, each.entry_point, message, instance)


def of_run_end(board: Board, run: Run) -> None:
    """Make the callbacks of a run that ended."""
    event = _OF_RUN_ENDS.get(RunState(run.state))
    if event is not None:
        of_run(board, run, event)


def of_run(board: Board, run: Run, event: CallbackEvent) -> None:
    """Make the callbacks of a run for an event."""
    wanted = [each for each in board.plan_of(run).callbacks if each.event is event]
    if not wanted:
        return
    message = manifests.callback_message(
        event,
        dag_id=run.dag_id,
        run_id=run.run_id,
        task_id="",
        map_index=-1,
        try_number=0,
        failure=None,
        state=run.state,
    )
    for each in wanted:
        _add(board, run, each.entry_point, message, None)


def _add(board: Board, run: Run, entry_point: str, message: bytes, subject: Instance | None) -> None:
    board.callbacks_made += 1
    board.add(
        new_workload(
            run,
            Workload.CALLBACK,
            now=board.uow.now,
            plan=board.plan_of(run),
            entry_point=entry_point,
            message=message,
            subject=subject,
        )
    )
