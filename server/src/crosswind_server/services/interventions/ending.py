"""Ending task instances and runs by a person's word: marking them, and cancelling single tasks. [LEASE-4]

Here belongs what a word does to the instance that it names. What follows for others is in `progress`, the stopping of a
whole run in `stopping`. Of a mapped task all instances that have not ended are meant; they are worked off in pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server import manifests
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.lifecycle import Event
from crosswind_server.domain.states import LIVE_TASK_STATES, TERMINAL_RUN_STATES, RunState, TaskState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import groups, progress
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.recounting import count_mapped_end, recount
from crosswind_server.services.flow.rows import Instance, Run
from crosswind_server.services.flow.settlement import ask_to_end
from crosswind_server.services.interventions import renewing
from crosswind_server.services.interventions.choosing import task_not_found
from crosswind_server.services.interventions.clearing import lock_open_run, lock_run
from crosswind_server.services.interventions.stopping import stop
from crosswind_server.services.interventions.unwinding import Rest
from crosswind_server.store import clears
from crosswind_server.store.unit_of_work import UnitOfWork

END: Final = "end"
"""Kind of a continuation: end the instances of a mapped task, the subject, from index `position` on. Its detail is the
state that they get, and the reason."""
JUDGE: Final = "judge"
"""Kind of a continuation: let the successors of the subject that have not run count it anew, from `position` on."""

MARKED: Final = "crosswind.Marked"
MARKS: Final = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.SKIPPED})
"""What a person may say of a task instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskName:
    """Names a task instance as people do. Without map index: the only one, or a mapped task with all its instances."""

    team: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None = None


def mark(uow: UnitOfWork, plans: PlanCache, name: TaskName, state: TaskState, *, subject: str) -> None:
    """End a task instance as a person says, and let its successors see it so. A run that had ended is decided anew.

    Of a mapped task every instance that has not ended is ended so; where all have, the task as a whole is. Of an
    instance that had ended before, successors that have not run are judged anew; those that have, and those that ended
    without, stay as they are.

    Args:
        state: one of `MARKS`.

    Raises:
        Refused: RUN_NOT_FOUND, TASK_NOT_FOUND, TASK_RUNNING or RUN_CANCELLING.
    """
    board, run = lock_open_run(uow, plans, team=name.team, dag_id=name.dag_id, run_id=name.run_id)
    instance = _lock(board, run, name)
    if TaskState(instance.state) in LIVE_TASK_STATES or _has_live_instance(board, instance):
        raise Refused(
            Reason.TASK_RUNNING,
            f"The task '{name.task_id}' of run '{run.run_id}' has a live attempt; cancel it, then mark it.",
            metadata={"dag_id": run.dag_id, "run_id": run.run_id, "task_id": name.task_id},
        )
    if RunState(run.state) in TERMINAL_RUN_STATES:
        # It ends again below, as its tasks stand then.
        run.state, run.end_time = RunState.RUNNING.value, None
        run.cancel_requested, run.final_state = False, None
        board.touch_run(run)
    failure = _failure(subject) if state is TaskState.FAILED else None
    if instance.ended:
        _change_end(board, instance, state, failure)
    elif instance.state == TaskState.EXPANDED:
        _end_mapped(board, instance, state, f"Marked by {subject}.", first=0)
    else:
        board.end(instance, state, failure=failure)
    _complete(board, run, subject)
    progress.advance(board)


def cancel(uow: UnitOfWork, plans: PlanCache, name: TaskName, *, subject: str) -> None:
    """Cancel a task instance: at once where no attempt is live, else when that has ended. Repeating it is safe.

    Raises:
        Refused: RUN_NOT_FOUND, TASK_NOT_FOUND or TASK_FINISHED.
    """
    board, run = lock_run(uow, plans, team=name.team, dag_id=name.dag_id, run_id=name.run_id)
    instance = _lock(board, run, name)
    if instance.ended:
        raise Refused(
            Reason.TASK_FINISHED,
            f"The task '{name.task_id}' of run '{run.run_id}' has ended ({instance.state.upper()}); there is nothing to"
            " cancel.",
            metadata={
                "dag_id": run.dag_id,
                "run_id": run.run_id,
                "task_id": name.task_id,
                "state": instance.state.upper(),
            },
        )
    reason = f"Its task was cancelled by {subject}."
    if run.final_state is None:
        if instance.state == TaskState.EXPANDED:
            _end_mapped(board, instance, TaskState.CANCELLED, reason, first=0)
        elif TaskState(instance.state) in LIVE_TASK_STATES:
            _cancel_live(board, [instance], reason)
        else:
            board.end(instance, TaskState.CANCELLED)
    _complete(board, run, subject)
    progress.advance(board)


def mark_run(
    uow: UnitOfWork, plans: PlanCache, *, team: str, dag_id: str, run_id: str, state: RunState, subject: str
) -> None:
    """End a run as a person says, SUCCEEDED or FAILED; one that has ended takes the state at once.

    Raises:
        Refused: RUN_NOT_FOUND or RUN_CANCELLING.
    """
    board, run = lock_open_run(uow, plans, team=team, dag_id=dag_id, run_id=run_id)
    if RunState(run.state) in TERMINAL_RUN_STATES:
        run.state = run.final_state = state.value
        board.touch_run(run)
    else:
        stop(board, run, state, reason=f"The run was marked by {subject}.")
    progress.advance(board)


def _complete(board: Board, run: Run, subject: str) -> None:
    """Let what is still to be made of a new run count what ended before: nobody else would tell it."""
    if run.unmade and run.state == RunState.QUEUED:
        renewing.begin(board, run, Rest(chosen=[], subject=subject), None)


def go_on_ending(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `END`."""
    board.load_instances({piece.subject_id})
    summary = board.instances[piece.subject_id]
    state, queued, reason = piece.detail_json.split(":", 2)
    if summary.state == TaskState.EXPANDED and str(summary.queued_time) == queued:
        _end_mapped(board, summary, TaskState(state), reason, first=piece.position)


def go_on_judging(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `JUDGE`."""
    board.load_instances({piece.subject_id})
    instance = board.instances[piece.subject_id]
    if instance.ended and str(instance.end_time) == piece.detail_json:
        _judge_successors(board, instance, first=piece.position)


def _lock(board: Board, run: Run, name: TaskName) -> Instance:
    task = board.plan_of(run).by_id.get(name.task_id)
    index = -1 if name.map_index is None else name.map_index
    rows = [] if task is None else clears.lock_instance(board.uow, run.id, task.index, index)
    found = board.put_rows(rows)
    if not found or found[0].state == TaskState.REMOVED:
        raise task_not_found(run, name.task_id, name.map_index)
    return found[0]


def _has_live_instance(board: Board, instance: Instance) -> bool:
    return instance.state == TaskState.EXPANDED and clears.has_live(board.uow, instance.id)


def _failure(subject: str) -> bytes:
    return manifests.failure_message(MARKED, f"{subject} said that it failed.", retryable=False)


# --- mapped tasks -----------------------------------------------------------------------------------------------------


def _end_mapped(board: Board, summary: Instance, state: TaskState, reason: str, *, first: int) -> None:
    """End the instances of an expanded task from an index on that have not ended; a piece of them.

    An instance that a worker takes before its piece comes is cancelled where all are, and goes on where all are marked.
    """
    rows = clears.lock_mapped(board.uow, summary.id, first=first, limit=PIECE, states=clears.NOT_ENDED)
    found = board.put_rows(rows)
    live = [each for each in found if TaskState(each.state) in LIVE_TASK_STATES]
    failure = manifests.failure_message(MARKED, reason, retryable=False) if state is TaskState.FAILED else None
    for instance in found:
        if TaskState(instance.state) not in LIVE_TASK_STATES:
            board.end(instance, state, failure=failure)
    if state is TaskState.CANCELLED:
        _cancel_live(board, live, reason)
    position = found[-1].map_index + 1 if found else first
    made = clears.made_until(board.uow, summary.id)
    if len(found) == PIECE or max(position, made) < summary.instances_total:
        detail = f"{state.value}:{summary.queued_time}:{reason}"
        board.leave(END, summary, position, detail_json=detail)


def _cancel_live(board: Board, instances: Sequence[Instance], reason: str) -> None:
    held = [each.attempt_id for each in instances if each.attempt_id is not None]
    ask_to_end(board, held, Event.CANCEL, reason=reason)


# --- ends that are changed --------------------------------------------------------------------------------------------


def _change_end(board: Board, instance: Instance, state: TaskState, failure: bytes | None) -> None:
    """Let an instance have ended otherwise."""
    was = TaskState(instance.state)
    instance.state = state.value
    instance.failure_message = failure
    # An end of its own: whoever is still to be told of the one before is told of this one instead.
    instance.end_time = board.uow.now
    board.touch(instance)
    if instance.map_index < 0:
        _judge_successors(board, instance, first=0)
        return
    key = (instance.run_key, instance.task_index)
    board.load_tasks([key])
    summary = board.tasks[key]
    if summary.state == TaskState.WAITING:
        return
    _judge_inside(board, instance)
    count_mapped_end(summary, was, by=-1)
    count_mapped_end(summary, state)
    board.touch(summary)
    after = progress.mapped_state_of(summary)
    if summary.ended and after.value != summary.state:
        summary.state = after.value
        summary.end_time = board.uow.now
        _judge_successors(board, summary, first=0)


def _judge_inside(board: Board, ended: Instance) -> None:
    """Let those of a mapped group that come after an instance at its index, and have not run, count its end anew."""
    uow = board.uow
    places = [(index, ended.map_index) for index in board.task_of(ended).inner_downstream]
    rows = [row for index, map_index in places for row in clears.lock_instance(uow, ended.run_key, index, map_index)]
    _judge_rows(board, board.put_rows(rows))


def _judge_rows(board: Board, instances: Sequence[Instance]) -> None:
    for instance in instances:
        if instance.state == TaskState.QUEUED and instance.try_number == 0:
            instance.state = TaskState.WAITING.value
            instance.queued_time = None
    for instance in recount(board, instances):
        if instance.state == TaskState.EXPANDED:
            board.leave(groups.REJUDGE, instance)
        else:
            board.judge(instance)


def _judge_successors(board: Board, ended: Instance, *, first: int) -> None:
    """Let the successors that have not run count an end anew; a piece of them."""
    downstream = board.task_of(ended).downstream
    piece = downstream[first : first + PIECE]
    _judge_rows(board, board.put_rows(clears.lock_tasks(board.uow, ended.run_key, piece)))
    if first + len(piece) < len(downstream):
        board.leave(JUDGE, ended, first + len(piece), detail_json=str(ended.end_time))
