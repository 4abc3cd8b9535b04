"""What a task needs of the run before its own: which tasks there must have ended well, and what that means."""

from __future__ import annotations

from typing import Final

from crosswind_server.domain.plan import DagPlan, PastRule, TaskPlan
from crosswind_server.domain.states import TaskState

GOOD_ENDS: Final = frozenset({TaskState.SUCCEEDED, TaskState.SKIPPED})
"""How a task in the run before must have ended to hold nobody back."""


def needed_before(task: TaskPlan, before: DagPlan) -> tuple[int, ...]:
    """Positions of the tasks of the run before that a task depends on, by that run's plan; none if it lacks the task.

    Args:
        task: of the later run.
        before: the plan of the run before.
    """
    there = before.by_id.get(task.task_id)
    if task.past is PastRule.NONE or there is None:
        return ()
    return (there.index, *there.downstream) if task.past is PastRule.DOWNSTREAM else (there.index,)
