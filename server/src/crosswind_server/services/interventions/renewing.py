"""Runs that are cleared into the current version of their DAG: their task instances follow them. [SCHED-1]

A run changes its version at once, and its instances in pieces: those of new tasks are made, those of tasks that are
gone are REMOVED, what is cleared waits again, what nobody holds wants the other code, and all that waits counts its
upstream tasks anew, since edges may be others. Until then nothing of the run is judged or assigned (`run.renewing`),
and what ends meanwhile is told as ever; so it makes no difference when each piece comes. At last all that waits is
judged.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server import manifests
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.lifecycle import Event
from crosswind_server.domain.plan import offer_key_of
from crosswind_server.domain.renumbering import MAX_PLACES, MAX_VERSIONS, changed_in_kind, versions_of
from crosswind_server.domain.states import LIVE_TASK_STATES, RunState, TaskState
from crosswind_server.services.flow import alarms, groups, run_limits
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.recounting import recount
from crosswind_server.services.flow.resetting import end_silently, wait_again
from crosswind_server.services.flow.rows import Instance, Run, new_instance
from crosswind_server.services.flow.settlement import ask_to_end
from crosswind_server.services.interventions.unwinding import Rest, work_off
from crosswind_server.store import attempts, clears, dags, runs, task_instances

RENEW: Final = "renew"
"""Kind of a continuation: let the rest of a run, the subject, follow it into its version. Its detail is a `_Renewal` as
JSON."""


@dataclass(frozen=True, slots=True)
class VersionChange:
    """What a change of versions means to tasks, by their numbers.

    Args:
        anew: those whose instances mean something else now; they are cleared in any case.
        unmapped: those among them that were mapped and are no more.
    """

    anew: frozenset[int]
    unmapped: frozenset[int]


class _Phase(StrEnum):
    """What is being done to a run, in this order."""

    TASKS = "tasks"
    CLEAR = "clear"
    FOLLOW = "follow"
    RECALL = "recall"
    RECOUNT = "recount"
    JUDGE = "judge"


@dataclass(slots=True, kw_only=True)
class _Renewal:
    """What is still to be done.

    Args:
        version: into which the run was cleared; if it is another one by now, nothing but the clear is left to do.
        place: of the task that comes next in the first phase.
        map_index: its instances from this index on are still to be removed.
        unmapped: see `VersionChange`.
        after: the instance that was looked at last in the phases that look at all.
        rest: what is still to be cleared, as JSON.
    """

    version: str
    subject: str
    phase: str = _Phase.TASKS
    place: int = 0
    map_index: int = 0
    unmapped: list[int] = field(default_factory=list)
    after: str = ""
    rest: str = ""

    @classmethod
    def from_json(cls, text: str) -> _Renewal:
        return cls(**json.loads(text))

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


def change_version(board: Board, run: Run) -> VersionChange | None:
    """Let a run that is on the board have the current version of its DAG; None: it has it already.

    Nothing is written: `begin` follows, or the board is thrown away.

    Raises:
        Refused: DAG_NOT_FOUND, CONF_INVALID or VALUE_TOO_LARGE.
    """
    found = dags.get(board.uow, run.team, [run.dag_id])
    if not found or not found[0].active:
        raise Refused(
            Reason.DAG_NOT_FOUND,
            f"The DAG '{run.dag_id}' has no current version, because its bundle no longer has it; clear the run "
            "without changing its version.",
            metadata={"dag_id": run.dag_id},
        )
    current = found[0].current_version_id
    if current == run.dag_version_id == run.code_version_id:
        return None
    (facts,) = runs.facts(board.uow, [run.id])
    conf = manifests.read_conf(facts.conf_message) if facts.conf_message is not None else {}
    manifests.check_conf(board.plans.get(board.uow, current), conf)
    before = board.plan_of(run)
    earlier = json.loads(run.numbering_json) if run.numbering_json is not None else []
    numbering = versions_of(board.plans.get(board.uow, each) for each in (*earlier, run.dag_version_id))
    after = board.plans.numbered(board.uow, current, numbering)
    if len(after.tasks) > MAX_PLACES or len(numbering) > MAX_VERSIONS:
        raise Refused(
            Reason.VALUE_TOO_LARGE,
            f"The run '{run.run_id}' of DAG '{run.dag_id}' had too many tasks of too many versions: at most "
            f"{MAX_PLACES:,} and {MAX_VERSIONS} are possible; trigger a new run instead.",
            metadata={"dag_id": run.dag_id, "run_id": run.run_id},
        )
    alone = after is board.plans.get(board.uow, current)
    run.dag_version_id = run.code_version_id = current
    run.numbering_json = None if alone else json.dumps(numbering)
    anew = changed_in_kind(before, after)
    no_more = (index for index in anew if before.tasks[index].mapping and not after.tasks[index].mapping)
    return VersionChange(anew, frozenset(no_more))


def begin(board: Board, run: Run, rest: Rest, change: VersionChange | None) -> None:
    """Let the instances of a run follow it, a piece of them at once; `progress.advance` is to follow.

    Args:
        run: it has not ended.
        rest: what is to be cleared.
        change: None: its version is as it was, and the instances of some of its tasks were never made.
    """
    runs.set_version(board.uow, run.id, run.dag_version_id, run.numbering_json)
    run_limits.set_anew(board, run)
    run.renewing, run.unmade = True, 0
    run.holds += 1
    board.touch_run(run)
    unmapped = sorted(change.unmapped) if change is not None else []
    renewal = _Renewal(version=run.dag_version_id, subject=rest.subject, unmapped=unmapped, rest=rest.to_json())
    _work_off(board, run, renewal)


def go_on(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `RENEW`."""
    run = board.runs[piece.subject_id]
    renewal = _Renewal.from_json(piece.detail_json)
    if run.final_state is not None:
        # What is not made yet is made when somebody clears it: `renewing` says so.
        run.holds -= 1
        board.touch_run(run)
        return
    if renewal.version != run.dag_version_id:
        # It was cleared into yet another version, which sees to all but what was to be cleared.
        _clear_only(board, run, renewal)
        return
    _work_off(board, run, renewal)


def _clear_only(board: Board, run: Run, renewal: _Renewal) -> None:
    rest = Rest.from_json(renewal.rest)
    work_off(board, run, rest)
    renewal.rest = rest.to_json()
    if rest.chosen:
        board.leave_for(RENEW, run.id, run.id, detail_json=renewal.to_json())
    else:
        run.holds -= 1
        board.touch_run(run)


def _work_off(board: Board, run: Run, renewal: _Renewal) -> None:
    budget = PIECE
    phases = list(_Phase)
    for phase in phases[phases.index(_Phase(renewal.phase)) :]:
        renewal.phase = phase
        left = _STEPS[phase](board, run, renewal, budget) if budget > 0 else None
        if left is None:
            board.leave_for(RENEW, run.id, run.id, detail_json=renewal.to_json())
            return
        budget = left
    run.holds -= 1
    board.touch_run(run)
    if run.state == RunState.QUEUED:
        alarms.ask_promotion(board.uow, [(run.team, run.dag_id)])


# --- the phases: each answers what it left of the budget, or None where it left something to do -----------------------


@dataclass(slots=True)
class _Removed:
    """What a piece takes away: live attempts that are asked to end, instances, and the XComs of tasks."""

    asked: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    unwritten: list[tuple[str, int | None]] = field(default_factory=list)


def _see_to_tasks(board: Board, run: Run, renewal: _Renewal, budget: int) -> int | None:
    """Make the instances of new tasks, remove those of tasks that are gone, and let the others want what theirs do."""
    plan = board.plan_of(run)
    places = range(renewal.place, min(len(plan.tasks), renewal.place + PIECE))
    found = {each.task_index: each for each in board.put_rows(clears.lock_tasks(board.uow, run.id, places))}
    removed, unmapped = _Removed(), frozenset(renewal.unmapped)
    for place in places:
        if budget <= 0:
            break
        task, known = plan.tasks[place], found.get(place)
        if known is not None and (task.gone or place in unmapped):
            budget -= _remove_mapped(board, known, renewal, removed, budget)
            if budget <= 0:
                break
        if known is None and not task.gone:
            board.add(new_instance(run, task, now=board.uow.now, offer_key=plan.offer_key_for(task)))
            budget -= 1
        elif known is not None:
            budget -= _see_to_one(board, known, removed, gone=task.gone)
        renewal.place, renewal.map_index = place + 1, 0
    ask_to_end(
        board,
        removed.asked,
        Event.CLEAR,
        reason=f"Its run was cleared by {renewal.subject} into a version of its DAG that does not have it.",
    )
    clears.forget(board.uow, run.id, instance_ids=removed.forgotten, written=removed.unwritten)
    return budget if renewal.place == len(plan.tasks) else None


def _see_to_one(board: Board, known: Instance, removed: _Removed, *, gone: bool) -> int:
    """What becomes of a task's own row; answers how many rows that changed."""
    state = TaskState(known.state)
    if gone and state is TaskState.REMOVED:
        return 0
    if gone or state is TaskState.REMOVED:
        if not known.instances_total:
            removed.unwritten.append((known.task_id, None))
        removed.forgotten.append(known.id)
    if gone and state in LIVE_TASK_STATES:
        assert known.attempt_id is not None
        removed.asked.append(known.attempt_id)
    elif gone:
        end_silently(board, known, TaskState.REMOVED)
    elif state is TaskState.REMOVED:
        wait_again(board, known)  # The version before did not have it, and one before that did.
    elif known.ended or state in LIVE_TASK_STATES:
        return 0
    else:
        board.renew(known)
        if state is TaskState.QUEUED and known.first_start_time is None:
            # By other edges it may not be ready any more.
            known.state = TaskState.WAITING.value
            known.queued_time = None
            board.touch(known)
    return 1


def _remove_mapped(board: Board, whole: Instance, renewal: _Renewal, removed: _Removed, budget: int) -> int:
    """Remove the instances of a task that is mapped no more; answers how many rows that changed."""
    if not whole.instances_total:
        return 0
    rows = clears.lock_mapped(board.uow, whole.id, first=renewal.map_index, limit=budget)
    for instance in board.put_rows(rows):
        renewal.map_index = instance.map_index + 1
        removed.forgotten.append(instance.id)
        removed.unwritten.append((whole.task_id, instance.map_index))
        if TaskState(instance.state) in LIVE_TASK_STATES:
            assert instance.attempt_id is not None
            removed.asked.append(instance.attempt_id)
        else:
            end_silently(board, instance, TaskState.REMOVED)
    return len(rows)


def _clear(board: Board, run: Run, renewal: _Renewal, budget: int) -> int | None:
    rest = Rest.from_json(renewal.rest)
    budget = work_off(board, run, rest, budget=budget)
    renewal.rest = rest.to_json()
    return None if rest.chosen else budget


def _follow(board: Board, run: Run, renewal: _Renewal, budget: int) -> int | None:
    """Let what nobody holds want the code of the version; what somebody holds does when it is tried again."""
    board.flush()
    rows, more = task_instances.lock_idle_elsewhere(board.uow, run.id, offer_key_of(run.code_version_id), budget)
    for instance in board.put_rows(rows):
        board.follow_code(instance)
    return None if more else budget - len(rows)


def _recall(board: Board, run: Run, renewal: _Renewal, budget: int) -> int | None:
    """Take back what was assigned with the earlier code and has not started."""
    ids = attempts.assigned_ids(board.uow, run.id, budget)
    ask_to_end(board, ids, Event.CLEAR, reason=f"Its run was cleared by {renewal.subject} into another version.")
    return None if len(ids) == budget else budget - len(ids)


def _recount(board: Board, run: Run, renewal: _Renewal, budget: int) -> int | None:
    """Let all that waits count its upstream tasks anew, and then let the run go on."""
    found = _look_at(board, run, renewal, ("waiting", "expanded"), budget)
    recount(board, found)
    if len(found) == budget:
        return None
    renewal.after = ""
    run.renewing = False
    board.touch_run(run)
    board.admit_in(run.id)
    board.uow.hint(f"work:{run.team}")
    return budget - len(found)


def _judge(board: Board, run: Run, renewal: _Renewal, budget: int) -> int | None:
    if not renewal.after:
        for group in board.plan_of(run).groups.values():
            budget = groups.begin(board, run, group, budget=budget)
    if budget <= 0:
        return None
    found = _look_at(board, run, renewal, ("waiting",), budget)
    for instance in found:
        board.judge(instance)
    return None if len(found) == budget else budget - len(found)


def _look_at(board: Board, run: Run, renewal: _Renewal, states: tuple[str, ...], limit: int) -> Collection[Instance]:
    """The next instances in some states, by their ids."""
    board.flush()
    rows = task_instances.unsettled(board.uow, run.id, states, after=renewal.after, limit=limit)
    found = board.put_rows(rows)
    if found:
        renewal.after = found[-1].id
    return found


_STEPS: Final = {
    _Phase.TASKS: _see_to_tasks,
    _Phase.CLEAR: _clear,
    _Phase.FOLLOW: _follow,
    _Phase.RECALL: _recall,
    _Phase.RECOUNT: _recount,
    _Phase.JUDGE: _judge,
}
