"""Which tasks a task instance waits for, in its own run and in the run before. [SCHED-3]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crosswind_server.domain.decision import Decision, Fact, Past, Step, decide
from crosswind_server.domain.hearing import setups_of, upstream_of
from crosswind_server.domain.plan import DagPlan, PastRule, TaskPlan
from crosswind_server.domain.states import TERMINAL_TASK_STATES, TaskState, WaitingReason
from crosswind_server.services.flow.facts import facts_of
from crosswind_server.store import past_waits, task_instances
from crosswind_server.store import task_listing as rows
from crosswind_server.store.unit_of_work import UnitOfWork

NAMED_AT_MOST = 3


def explain_upstream(
    uow: UnitOfWork, plan: DagPlan, run: Any, waiting: Sequence[Any]
) -> Mapping[str, tuple[WaitingReason, str]]:
    """Say for what each of some instances of a run waits that are WAITING: the reason, and a sentence.

    Args:
        uow: the transaction.
        plan: of the run.
        run: its row.
        waiting: the rows of the instances.
    """
    tasks = {row.id: plan.by_id[row.task_id] for row in waiting if row.task_id in plan.by_id}
    places = {row.id: upstream_of(tasks[row.id], row.map_index) for row in waiting if row.id in tasks}
    guarded = [row for row in waiting if row.id in tasks and tasks[row.id].guards]
    setups = {row.id: setups_of(tasks[row.id], row.map_index) for row in guarded}
    wholes = {(row.task_index, -1) for row in waiting if row.map_index >= 0}
    found = rows.standing_at(uow, run.id, wholes.union(*places.values(), *setups.values()))
    past = [row_id for row_id, task in tasks.items() if task.past is not PastRule.NONE]
    awaited: dict[str, list[Any]] = {}
    for each in past_waits.awaited(uow, past):
        awaited.setdefault(each.instance_id, []).append(each)
    decisions = {
        row.id: _decide(plan, tasks[row.id], run, row, found, awaited=row.id in awaited)
        for row in waiting
        if row.id in tasks
    }
    mapped = [row_id for row_id, decision in decisions.items() if decision.asks is Fact.EARLIER]
    earlier = task_instances.mapped_before(uow, mapped) if mapped else {}
    explained = {}
    for row in waiting:
        decision = decisions.get(row.id)
        pending = _pending(plan, found, places.get(row.id, ()))
        if row.id in awaited:
            names = names_of([each.task_id for each in awaited[row.id]], "task")
            text = f"Waits for {names} of the run '{awaited[row.id][0].run_id}' before it to succeed."
            explained[row.id] = (WaitingReason.PAST, text)
        elif decision is not None and decision.asks is Fact.PAST:
            explained[row.id] = (WaitingReason.PAST, "Waits until the run before it has been looked at.")
        elif decision is not None and decision.asks is Fact.SETUPS and row.id in setups:
            names = names_of(_pending(plan, found, setups[row.id]), "setup")
            explained[row.id] = (WaitingReason.UPSTREAM, f"Waits for {names} to succeed.")
        elif decision is not None and decision.step is Step.WAIT and pending:
            explained[row.id] = (WaitingReason.UPSTREAM, f"Waits for {names_of(pending, 'task')} to end.")
        elif earlier.get(row.id):
            text = "Waits for the attempts of its instances from before it was cleared to end."
            explained[row.id] = (WaitingReason.CANCEL_PENDING, text)
        else:
            explained[row.id] = (WaitingReason.UPSTREAM, "Is about to be made ready.")
    return explained


def _pending(plan: DagPlan, found: Mapping[tuple[int, int], Any], places: Sequence[tuple[int, int]]) -> list[str]:
    """The names of those instances that have not ended."""
    return [
        plan.tasks[index].task_id + (f"[{map_index}]" if map_index >= 0 else "")
        for index, map_index in places
        if (index, map_index) in found and TaskState(found[index, map_index].state) not in TERMINAL_TASK_STATES
    ]


def _decide(
    plan: DagPlan,
    task: TaskPlan,
    run: Any,
    row: Any,
    found: Mapping[tuple[int, int], Any],
    *,
    awaited: bool,
) -> Decision:
    """What the scheduling decision says of an instance by what was read; what else it asks for is not known."""
    past = Past.HELD if awaited else Past.FREE if run.logical_time is None else Past.UNKNOWN
    whole = found.get((row.task_index, -1)) if row.map_index >= 0 else None
    return decide(task, facts_of(plan, task, row, whole=whole, past=past))


def names_of(names: Sequence[str], what: str) -> str:
    """Names for a sentence, at most three of them; with none, "its tasks"."""
    if not names:
        return f"its {what}s"
    shown = ", ".join(f"'{name}'" for name in names[:NAMED_AT_MOST])
    more = len(names) - NAMED_AT_MOST
    return f"{what}{'s' if len(names) > 1 else ''} {shown}" + (f" and {more} more" if more > 0 else "")
