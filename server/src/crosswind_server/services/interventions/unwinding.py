"""Unwinding: chosen task instances of a run wait again as if they had never run, in pieces of bounded size. [SCHED-1]

Here belongs what becomes of each of them. It goes upstream first, so that whatever runs between two pieces finds the
tasks before it in their new states. A mapped task that is cleared as a whole is expanded anew; its instances are
REMOVED until then. A live attempt is asked to end first, and its instance waits for that. [LEASE-4]
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field

from crosswind_server.domain.lifecycle import Event
from crosswind_server.domain.states import LIVE_TASK_STATES, TaskState
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.recounting import count_mapped_end, recount
from crosswind_server.services.flow.resetting import end_silently, revive, wait_again
from crosswind_server.services.flow.rows import Instance, Run
from crosswind_server.services.flow.settlement import ask_to_end
from crosswind_server.services.interventions.choosing import ALL, FAILED, FAILED_STATES, UNTOUCHED, Choice
from crosswind_server.store import clears


@dataclass(slots=True, kw_only=True)
class Rest:
    """What is still to be unwound, upstream first.

    Args:
        subject: who wants it, for the logs of tasks that are ended by it.
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
        """As it is left for a later transaction."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Rest:
        """As it was left."""
        rest = cls(**json.loads(text))
        rest.chosen = [(index, choice) for index, choice in rest.chosen]
        return rest


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
    budget: int
    asked: list[str] = field(default_factory=list)
    undone: set[str] = field(default_factory=set)
    successors: dict[str, Instance] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    unwritten: list[tuple[str, int | None]] = field(default_factory=list)


def work_off(board: Board, run: Run, rest: Rest, *, budget: int = PIECE) -> int:
    """Unwind a piece of what is left; answers what is left of the budget of rows. `rest` says what is still left."""
    batch = rest.chosen[:PIECE]
    rows = clears.lock_tasks(board.uow, run.id, [index for index, _ in batch])
    summaries = {each.task_index: each for each in board.put_rows(rows)}
    after = {index for each in summaries.values() if each.ended for index in board.task_of(each).downstream}
    piece = _Piece(waiting=clears.waiting_among(board.uow, run.id, after), budget=budget)
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
    return piece.budget


def _clear_task(board: Board, piece: _Piece, summary: Instance, choice: Choice, rest: Rest) -> bool:
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


def _remove_instances(board: Board, piece: _Piece, summary: Instance, rest: Rest) -> bool:
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


def _clear_some(board: Board, piece: _Piece, summary: Instance, choice: Choice, rest: Rest) -> bool:
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


def _forget_end(board: Board, piece: _Piece, ended: Instance, rest: Rest) -> bool:
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
