"""What workers run beside tasks: triggers, callbacks and timetables; as plans, so that all that runs a task runs them.

Here belongs how one is tried again and what its attempts may answer. When one is made, and what its end leads to,
belongs to the services of its noun.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from crosswind_server.domain.arguments import InputPlan, StoredValue
from crosswind_server.domain.lifecycle import OUTCOMES, Event
from crosswind_server.domain.plan import DagPlan, RetryRule, TaskKind, TaskPlan
from crosswind_server.domain.readiness import TriggerRule
from crosswind_server.domain.retry import RetryPolicy
from crosswind_server.domain.states import Workload

_SECOND_US: Final = 1_000_000

NO_TASK: Final = -1
"""The `task_index` of a workload that is no task."""

TRIGGER_RETRY: Final = RetryPolicy(retries=3, delay_us=2 * _SECOND_US, multiplier=2.0, jitter=0.5)
"""A trigger that fails is run again three times, after 2, 4 and 8 seconds of which half are random."""

TIMETABLE_RETRY: Final = RetryPolicy(
    retries=2**30,
    lost_budget=2**30,
    delay_us=10 * _SECOND_US,
    multiplier=2.0,
    max_delay_us=3_600 * _SECOND_US,
    jitter=0.5,
)
"""A timetable that fails is asked again for as long as it is current, at last once an hour."""

TIMETABLE_TIMEOUT_US: Final = 60 * _SECOND_US
"""So long a timetable may think."""

TRIGGER_FAILED: Final = "crosswind.TriggerFailed"
"""The failure type of a task whose trigger failed; the trigger's own failure is its cause."""

OUTCOME_NOT_ALLOWED: Final = "crosswind.OutcomeNotAllowed"
"""The failure type of a workload that ended as only a task may."""

_ENDS: Final = frozenset({Event.FINISH_SUCCEEDED, Event.FINISH_FAILED, Event.FINISH_CANCELLED})

ALLOWED: Final[Mapping[Workload, frozenset[Event]]] = MappingProxyType(
    {
        Workload.TASK: frozenset(OUTCOMES),
        Workload.TRIGGER: _ENDS | {Event.FINISH_RESCHEDULED},
        Workload.CALLBACK: _ENDS | {Event.FINISH_SKIPPED},
        Workload.TIMETABLE: _ENDS,
    }
)
"""How attempts of each kind may end."""


def plan_workload(
    plan: DagPlan,
    workload: Workload,
    *,
    entry_point: str,
    task_id: str,
    event: str = "",
    arguments: StoredValue | None = None,
) -> TaskPlan:
    """A workload as if it were a task: with the settings of the task that it is for, without place in the graph.

    Args:
        plan: of its run.
        workload: what it is; no task.
        task_id: the task that it is for; empty: it is for the run, and has the settings of the DAG's first task.
        event: what a callback is for.
        arguments: of a trigger: an object of named arguments.
    """
    task = plan.by_id.get(task_id, plan.present[0])
    retry = TRIGGER_RETRY
    rules: tuple[RetryRule, ...] = ()
    timeout_us: int | None = None
    if workload is Workload.TIMETABLE:
        retry, timeout_us = TIMETABLE_RETRY, TIMETABLE_TIMEOUT_US
    elif workload is Workload.CALLBACK:
        retry = RetryPolicy()
        for each in task.callbacks if task_id else plan.callbacks:
            if (each.event.value, each.entry_point) == (event, entry_point):
                retry, rules = each.retry, each.retry_rules
                break
    return replace(
        task,
        index=NO_TASK,
        task_id=task_id,
        entry_point=entry_point,
        kind=TaskKind.NORMAL,
        mapped_group=None,
        upstream=(),
        downstream=(),
        trigger_rule=TriggerRule.ALWAYS,
        inputs=() if arguments is None else (InputPlan(name="", position=None, literal=arguments),),
        mapping=None,
        retry=retry,
        retry_rules=rules,
        execution_timeout_us=timeout_us,
        slots=1,
        callbacks=(),
    )
