"""Which class an instance is of: what a worker must be and what must be free for it, in the one place that says so."""

from __future__ import annotations

import functools
from typing import Any

from crosswind_server.domain.claims import TASKS, TRIGGERS, ClaimClass, LabelPlan
from crosswind_server.domain.states import Workload


def class_of(instance: Any, labels: tuple[LabelPlan, ...]) -> ClaimClass:
    """The class of an instance, by what it asks for now.

    Args:
        instance: a `rows.Instance`.
        labels: that its task asks of workers.
    """
    i = instance
    role = TRIGGERS if i.workload == Workload.TRIGGER else TASKS
    return _class_of(i.team, i.offer_key, i.queue, role, i.slots, i.pool, i.pool_slots, i.task_limit, labels)


@functools.lru_cache(maxsize=4096)
def _class_of(
    team: str,
    offer_key: str,
    queue: str,
    role: str,
    slots: int,
    pool: str | None,
    pool_slots: int,
    task_limit: str | None,
    labels: tuple[LabelPlan, ...],
) -> ClaimClass:
    return ClaimClass(
        team=team,
        offer_key=offer_key,
        queue=queue,
        role=role,
        slots=slots,
        pool=pool,
        pool_slots=pool_slots,
        task_limit=task_limit,
        labels=labels,
    )
