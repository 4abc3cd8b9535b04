"""Clearing: chosen task instances of a run run again, with fresh budgets; their attempts and logs are kept.

Here belongs the working off of what `choosing` chose. It goes upstream first, in pieces of bounded size, so that
whatever runs between two pieces finds the tasks before it in their new states; the run does not end before the last
piece. [SCHED-1]
A mapped task that is cleared as a whole is expanded anew; its instances are REMOVED until then. A live attempt is asked
to end first, and its instance waits for that. [LEASE-4]
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.lifecycle import Event
from crosswind_server.domain.states import LIVE_TASK_STATES, TERMINAL_RUN_STATES, RunState, TaskState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import active_runs, alarms, progress, run_limits
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.choosing import (
    ALL,
    FAILED,
    FAILED_STATES,
    UNTOUCHED,
    Choice,
    Cleared,
    ClearTasks,
    choose,
    count,
)
from crosswind_server.services.flow.recounting import count_mapped_end, recount
from crosswind_server.services.flow.resetting import end_silently, revive, wait_again
from crosswind_server.services.flow.rows import Instance, Run
from crosswind_server.services.flow.settlement import ask_to_end
from crosswind_server.store import clears, dags, runs
from crosswind_server.store.unit_of_work import UnitOfWork

CLEAR: Final = "clear"
"""Kind of a continuation: clear the rest of a choice. Its detail is a `_Rest` as JSON."""


@dataclass(slots=True, kw_only=True)
class _Rest:
    """What is still to be cleared, upstream first.

    Args:
        chosen: positions of tasks and which of their instances.
        map_index: of the first task: its instances from this index on are left.
        successor: of the first task: its successors from this place on are still to forget its end.
        reached: when the first task, a mapped one of which some instances are cleared, was come to, microseconds.
    """

    chosen: list[tuple[int, Choice]]
    subject: str
    map_index: int = 0
    successor: int = 0
    reached: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> _Rest:
        rest = cls(**json.loads(text))
        rest.chosen = [(index, choice) for index, choice in rest.chosen]
        return rest


def clear(uow: UnitOfWork, plans: PlanCache, command: ClearTasks) -> Cleared:
    """Clear task instances of a run. The run goes on; one that had ended, as soon as its DAG has a place for it.

    Raises:
        Refused: RUN_NOT_FOUND, TASK_NOT_FOUND or RUN_CANCELLING.
    """
    dag = _lock_dag_of_ended(uow, command)
    board, run = lock_open_run(uow, plans, team=command.team, dag_id=command.dag_id, run_id=command.run_id)
    chosen = choose(board, run, command)
    cleared = count(board, run, chosen)
    if not command.dry_run and cleared.count:
        _begin(board, run, chosen, subject=command.subject, dag=dag)
        progress.advance(board)
    return cleared


def clear_run(board: Board, run: Run, *, dag: Row[Any], only_failed: bool, subject: str) -> int:
    """Clear a run that is on the board and not being cancelled, or only what failed in it and all that depends on that.

    `progress.advance` is to follow. Answers how many instances that are.

    Args:
        dag: its row, locked before the run was.
    """
    command = ClearTasks(team=run.team, dag_id=run.dag_id, run_id=run.run_id, only_failed=only_failed)
    chosen = choose(board, run, command)
    cleared = count(board, run, chosen)
    if cleared.count:
        _begin(board, run, chosen, subject=subject, dag=dag)
    return cleared.count


def go_on(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `CLEAR`."""
    run = board.runs[piece.subject_id]
    run.holds -= 1
    board.touch_run(run)
    if run.final_state is None:
        _work_off(board, run, _Rest.from_json(piece.detail_json))


def lock_open_run(uow: UnitOfWork, plans: PlanCache, *, team: str, dag_id: str, run_id: str) -> tuple[Board, Run]:
    """Lock a run that is not being cancelled. Raises `Refused`: RUN_NOT_FOUND or RUN_CANCELLING."""
    board, run = lock_run(uow, plans, team=team, dag_id=dag_id, run_id=run_id)
    if run.state == RunState.CANCELLING:
        raise Refused(
            Reason.RUN_CANCELLING,
            f"The run '{run_id}' of DAG '{dag_id}' is being cancelled; wait until it has ended, then repeat.",
            metadata={"dag_id": dag_id, "run_id": run_id},
        )
    return board, run


def lock_run(uow: UnitOfWork, plans: PlanCache, *, team: str, dag_id: str, run_id: str) -> tuple[Board, Run]:
    """Lock a run. Raises `Refused`: RUN_NOT_FOUND."""
    found = runs.find(uow, team, dag_id, run_id)
    if found is None:
        raise Refused(
            Reason.RUN_NOT_FOUND,
            f"The DAG '{dag_id[:80]}' has no run '{run_id[:80]}'; list its runs.",
            metadata={"dag_id": dag_id[:80], "run_id": run_id[:80]},
        )
    board = Board(uow, plans)
    board.lock_runs([found.id])
    return board, board.runs[found.id]


# --- working off ------------------------------------------------------------------------------------------------------


def _lock_dag_of_ended(uow: UnitOfWork, command: ClearTasks) -> Row[Any] | None:
    """Lock the DAG of a run that has ended: before the run, since a place may be free for it."""
    found = None if command.dry_run else runs.find(uow, command.team, command.dag_id, command.run_id)
    ended = found is not None and found.end_time is not None
    return dags.lock(uow, command.team, command.dag_id) if ended else None


def _begin(board: Board, run: Run, chosen: Mapping[int, Choice], *, subject: str, dag: Row[Any] | None) -> None:
    if RunState(run.state) in TERMINAL_RUN_STATES:
        reopen(board, run, dag)
    ranks = board.plan_of(run).ranks
    ordered = sorted(chosen.items(), key=lambda each: ranks[each[0]])
    _work_off(board, run, _Rest(chosen=ordered, subject=subject))


def reopen(board: Board, run: Run, dag: Row[Any] | None) -> None:
    """Let a run that had ended go on: at once where its DAG has a place for it, else QUEUED as any other.

    Args:
        dag: its row, locked before the run was; None: it was not, for the run ended only then.
    """
    begins = dag is not None and active_runs.has_place(board, dag, run)
    run.state = (RunState.RUNNING if begins else RunState.QUEUED).value
    run.cancel_requested, run.final_state = False, None
    run.start_time = board.uow.now if begins else None
    run.end_time = None
    board.touch_run(run)
    runs.set_queued_time(board.uow, run.id)
    run_limits.set_for_new(board, [run])
    if begins:
        run_limits.set_for_started(board, [run])


@dataclass(slots=True)
class _Piece:
    """What one piece changes, beside the rows on the board.

    Args:
        waiting: positions of the tasks that wait and come directly after one of the piece that has ended.
        budget: rows that it may still change.
        asked: live attempts that are asked to end.
        undone: ids of tasks whose ends are undone.
        successors: instances that counted such an end.
        forgotten: ids of the instances that were cleared.
        unwritten: their XComs: tasks, with the map indexes of instances, or None where a task has but one.
    """

    waiting: Collection[int]
    budget: int = PIECE
    asked: list[str] = field(default_factory=list)
    undone: set[str] = field(default_factory=set)
    successors: dict[str, Instance] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    unwritten: list[tuple[str, int | None]] = field(default_factory=list)


def _work_off(board: Board, run: Run, rest: _Rest) -> None:
    batch = rest.chosen[:PIECE]
    rows = clears.lock_tasks(board.uow, run.id, [index for index, _ in batch])
    summaries = {each.task_index: each for each in board.put_rows(rows)}
    after = {index for each in summaries.values() if each.ended for index in board.task_of(each).downstream}
    piece = _Piece(waiting=clears.waiting_among(board.uow, run.id, after))
    done = 0
    for index, choice in batch:
        if piece.budget <= 0:
            break
        if index in summaries and not _clear_task(board, piece, summaries[index], choice, rest):
            break
        rest.map_index = rest.successor = rest.reached = 0
        done += 1
    rest.chosen = rest.chosen[done:]
    recount(board, piece.successors.values(), undone=piece.undone)
    # Their instances wait again when they have ended.
    ask_to_end(board, piece.asked, Event.CLEAR, reason=f"Its task was cleared by {rest.subject}.")
    clears.forget(board.uow, run.id, instance_ids=piece.forgotten, written=piece.unwritten)
    if rest.chosen:
        run.holds += 1
        board.touch_run(run)
        board.leave_for(CLEAR, run.id, run.id, detail_json=rest.to_json())
    elif run.state == RunState.QUEUED:
        # It is a candidate from now on, and a place may have become free meanwhile.
        alarms.ask_promotion(board.uow, [(run.team, run.dag_id)])


def _clear_task(board: Board, piece: _Piece, summary: Instance, choice: Choice, rest: _Rest) -> bool:
    """Clear the chosen instances of one task; answers whether all are."""
    mapped = board.task_of(summary).mapping is not None
    if mapped and choice != ALL and summary.instances_total > 0:
        return _clear_some(board, piece, summary, choice, rest)
    state = TaskState(summary.state)
    if choice == FAILED and state not in FAILED_STATES:
        return True
    if state not in UNTOUCHED:
        if state in LIVE_TASK_STATES:
            _note_live(piece, summary)
        elif _forget_end(board, piece, summary, rest):
            piece.forgotten.append(summary.id)
            wait_again(board, summary)
        else:
            return False
        piece.budget -= 1
        if not mapped:
            piece.unwritten.append((summary.task_id, None))
    return not mapped or _remove_instances(board, piece, summary, rest)


def _remove_instances(board: Board, piece: _Piece, summary: Instance, rest: _Rest) -> bool:
    """Remove the instances of a mapped task that is expanded anew once all are removed; answers whether all are, or
    will be as soon as their attempts have ended."""
    rows = clears.lock_mapped(board.uow, summary.id, first=rest.map_index, limit=max(piece.budget, 1))
    found = board.put_rows(rows)
    _forget_ends_inside(board, piece, found)
    for instance in found:
        piece.budget -= 1
        rest.map_index = instance.map_index + 1
        piece.unwritten.append((summary.task_id, instance.map_index))
        if TaskState(instance.state) in LIVE_TASK_STATES:
            _note_live(piece, instance)
        else:
            end_silently(board, instance, TaskState.REMOVED)
            piece.forgotten.append(instance.id)
    if piece.budget <= 0:
        return False
    if summary.state == TaskState.WAITING:
        board.stale[summary.id] = summary
    return True


def _clear_some(board: Board, piece: _Piece, summary: Instance, choice: Choice, rest: _Rest) -> bool:
    """Clear some instances of a mapped task, which is EXPANDED again; answers whether all are."""
    wanted = choice if isinstance(choice, list) else None
    if not rest.reached:
        states = [
            TaskState(row.state) for row in clears.states_of(board.uow, summary.run_key, summary.task_index, wanted)
        ]
        if not any(
            state in (FAILED_STATES if wanted is None else frozenset(TaskState) - UNTOUCHED) for state in states
        ):
            return True
        if not _forget_end(board, piece, summary, rest):
            return False
        if summary.ended:
            summary.state = TaskState.EXPANDED.value
            summary.end_time = None
            board.runs[summary.run_key].unfinished += 1
        # All at once, so that it cannot end between two pieces; see below for what ends after this.
        for state in states:
            if wanted is not None or state in FAILED_STATES:
                count_mapped_end(summary, state, by=-1)
        board.touch(summary)
        rest.reached = board.uow.now
    rows = clears.lock_mapped(
        board.uow,
        summary.id,
        first=rest.map_index,
        limit=max(piece.budget, 1),
        states=FAILED_STATES if wanted is None else None,
        map_indexes=wanted,
    )
    found = board.put_rows(rows)
    _forget_ends_inside(board, piece, found)
    for instance in found:
        piece.budget -= 1
        rest.map_index = instance.map_index + 1
        piece.unwritten.append((summary.task_id, instance.map_index))
        if TaskState(instance.state) in LIVE_TASK_STATES:
            _note_live(piece, instance)
            continue
        if instance.end_time is not None and instance.end_time > rest.reached:
            count_mapped_end(summary, TaskState(instance.state), by=-1)
        revive(board, instance)
        piece.forgotten.append(instance.id)
    return piece.budget > 0


def _forget_end(board: Board, piece: _Piece, ended: Instance, rest: _Rest) -> bool:
    """Let the successors that wait forget the end of a task; answers whether all have."""
    if not ended.ended:
        return True
    downstream = board.task_of(ended).downstream
    places = [place for place, index in enumerate(downstream) if place >= rest.successor and index in piece.waiting]
    taken = places[: max(piece.budget, 1)]
    keys = [(ended.run_key, downstream[place]) for place in taken]
    board.load_tasks(keys)
    piece.successors.update((board.tasks[key].id, board.tasks[key]) for key in keys)
    piece.undone.add(ended.id)
    piece.budget -= len(taken)
    if len(taken) < len(places):
        rest.successor = places[len(taken)]
        return False
    return True


def _forget_ends_inside(board: Board, piece: _Piece, instances: Sequence[Instance]) -> None:
    """Let the instances of a mapped group that wait forget the ends of others of their index."""
    ended = [each for each in instances if each.ended and each.state != TaskState.REMOVED]
    keys = [(each.run_key, index, each.map_index) for each in ended for index in board.task_of(each).inner_downstream]
    board.load_all(keys)
    piece.undone.update(each.id for each in ended)
    for key in keys:
        successor = board.at(*key)
        if successor is not None and successor.state == TaskState.WAITING:
            piece.successors[successor.id] = successor
            piece.budget -= 1


def _note_live(piece: _Piece, instance: Instance) -> None:
    assert instance.attempt_id is not None
    piece.asked.append(instance.attempt_id)
    piece.forgotten.append(instance.id)
