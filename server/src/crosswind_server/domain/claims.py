"""What a worker must be and what must be free for a task instance to be given to it, and which one comes first.

Here belong the class of a claim, by which waiting instances are found, and the order among them. What fits when is in
`services.execution.claiming`, the queries are in `store.claims`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

TASKS: Final = "tasks"
TRIGGERS: Final = "triggers"
"""The roles of workers, as they are stored."""

AGE_OF_A_POINT_US: Final = 60_000_000
"""A point of priority weighs as much as so many microseconds of waiting."""
PREFERENCE_US: Final = 5_000_000
"""So long an instance waits for a worker with the labels that it prefers, in microseconds."""
PATIENCE_US: Final = 30_000_000
"""What has waited so long, in microseconds, for slots that are not enough keeps them from what comes after it."""


def rank_of(queued_time: int, priority: int) -> int:
    """The place among what waits: smaller goes first. It never changes while an instance waits, so nothing starves.

    Args:
        queued_time: microseconds since the epoch.
        priority: of the task.
    """
    return queued_time - priority * AGE_OF_A_POINT_US


def left_of(free: int, *, wanted: int, waited_us: int, at_hand: bool) -> int:
    """What of the free slots of a pool is left to those that come after one that is not given any now.

    One that has waited for `PATIENCE_US` keeps what is free and too little for it: else what takes less would come
    first for ever.

    Args:
        free: slots.
        wanted: so many it takes, at least 1.
        waited_us: so long it has waited, in microseconds.
        at_hand: whether somebody could take it this moment, if the slots were enough: then it keeps them if they are.
    """
    if waited_us < PATIENCE_US:
        return free
    if wanted > free:
        return 0
    return free - wanted if at_hand else free


@dataclass(frozen=True, slots=True, order=True)
class LabelPlan:
    """A label that a worker must have, or else should have."""

    key: str
    value: str
    required: bool


@dataclass(frozen=True, kw_only=True)
class ClaimClass:
    """What is alike of instances that any worker could be given, or none: they differ in their rank only.

    Args:
        offer_key: what the worker must offer.
        role: what the worker must do, `TASKS` or `TRIGGERS`.
        slots: what must be free of the worker.
        pool: the pool that bounds it; None: none does.
        pool_slots: what must be free of the pool.
        task_limit: the key of the bound on the task's instances over all runs; None: there is none.
        labels: what the worker must or should have.
    """

    team: str
    offer_key: str
    queue: str
    role: str = TASKS
    slots: int = 1
    pool: str | None = None
    pool_slots: int = 1
    task_limit: str | None = None
    labels: tuple[LabelPlan, ...] = ()

    @cached_property
    def id(self) -> str:
        """A hash of all that, behind the kind of its offer: in every collation `ref` comes after `dag`."""
        content = json.dumps(
            [
                self.team,
                self.offer_key,
                self.queue,
                self.role,
                self.slots,
                self.pool,
                self.pool_slots,
                self.task_limit,
                self.labels_json,
            ]
        )
        return f"{self.offer_key[:3]}-{hashlib.sha256(content.encode()).hexdigest()[:24]}"

    @cached_property
    def labels_json(self) -> str:
        """The labels as they are stored."""
        return json.dumps([[each.key, each.value, each.required] for each in sorted(self.labels)])


def read_labels(labels_json: str) -> tuple[LabelPlan, ...]:
    """The labels of a class, as they are stored."""
    return tuple(LabelPlan(key, value, required) for key, value, required in json.loads(labels_json))


def missing(labels: Iterable[LabelPlan], of_worker: Mapping[str, str], *, required: bool) -> list[LabelPlan]:
    """Which of the required, or else of the preferred labels a worker does not have."""
    return [each for each in labels if each.required is required and of_worker.get(each.key) != each.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTraits:
    """What a worker is, as far as it decides what it may be given."""

    queues: tuple[str, ...]
    roles: tuple[str, ...]
    labels: Mapping[str, str]
    slots: int

    def could_ever_take(self, *, queue: str, role: str, slots: int, labels: Iterable[LabelPlan]) -> bool:
        """Whether it is what an instance needs, whose code it offers; it may have no slots free for it now."""
        serves = queue in self.queues and role in self.roles and slots <= self.slots
        return serves and not missing(labels, self.labels, required=True)


def task_limit_key(dag_id: str, task_id: str) -> str:
    """Names the bound on a task's instances over all runs; neither id contains the slash."""
    return f"{dag_id}/{task_id}"
