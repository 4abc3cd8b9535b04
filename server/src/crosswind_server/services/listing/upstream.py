"""Which tasks a task instance waits for, in its own run and in the run before. [SCHED-3]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crosswind_server.domain.plan import DagPlan, PastRule, TaskPlan
from crosswind_server.domain.states import TERMINAL_TASK_STATES, RunState, TaskState, WaitingReason
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
    tasks = {row.id: plan.by_id.get(row.task_id) for row in waiting}
    places = {row.id: _upstream_of(tasks[row.id], row.map_index) for row in waiting}
    states = rows.states_at(uow, run.id, {place for several in places.values() for place in several})
    past = [row.id for row in waiting if _depends_on_past(tasks[row.id])]
    awaited: dict[str, list[Any]] = {}
    for found in past_waits.awaited(uow, past):
        awaited.setdefault(found.instance_id, []).append(found)
    mapped = [row.id for row in waiting if row.map_index < 0 and _is_mapped(tasks[row.id])]
    earlier = task_instances.mapped_before(uow, mapped) if mapped else {}
    explained = {}
    for row in waiting:
        pending = [
            plan.tasks[index].task_id + (f"[{map_index}]" if map_index >= 0 else "")
            for index, map_index in places[row.id]
            if TaskState(states.get((index, map_index), TaskState.REMOVED)) not in TERMINAL_TASK_STATES
        ]
        if row.id in awaited:
            names = names_of([found.task_id for found in awaited[row.id]], "task")
            run_id = awaited[row.id][0].run_id
            explained[row.id] = (
                WaitingReason.PAST,
                f"Waits for {names} of the run '{run_id}' before it to succeed.",
            )
        elif pending:
            explained[row.id] = (WaitingReason.UPSTREAM, f"Waits for {names_of(pending, 'task')} to end.")
        elif earlier.get(row.id):
            text = "Waits for the attempts of its instances from before it was cleared to end."
            explained[row.id] = (WaitingReason.CANCEL_PENDING, text)
        elif run.state == RunState.QUEUED:
            explained[row.id] = (WaitingReason.UPSTREAM, "Waits for its run to begin.")
        elif row.id in past:
            explained[row.id] = (WaitingReason.PAST, "Waits until the run before it has been looked at.")
        else:
            explained[row.id] = (WaitingReason.UPSTREAM, "Is about to be made ready.")
    return explained


def _upstream_of(task: TaskPlan | None, map_index: int) -> list[tuple[int, int]]:
    """Positions and map indexes of what an instance waits for: in a mapped group that of its own index."""
    if task is None:
        return []
    inner = frozenset(task.inner_upstream) if map_index >= 0 else frozenset[int]()
    return [(index, map_index if index in inner else -1) for index in task.upstream]


def _is_mapped(task: TaskPlan | None) -> bool:
    return task is not None and task.mapping is not None


def _depends_on_past(task: TaskPlan | None) -> bool:
    return task is not None and task.past is not PastRule.NONE


def names_of(names: Sequence[str], what: str) -> str:
    """Names for a sentence, at most three of them; with none, "its tasks"."""
    if not names:
        return f"its {what}s"
    shown = ", ".join(f"'{name}'" for name in names[:NAMED_AT_MOST])
    more = len(names) - NAMED_AT_MOST
    return f"{what}{'s' if len(names) > 1 else ''} {shown}" + (f" and {more} more" if more > 0 else "")
