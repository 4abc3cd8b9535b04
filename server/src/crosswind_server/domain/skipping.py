"""What a task that succeeded skips: the choice of a branch, and short circuits.

Here belongs which successors are skipped, how that is written down with the task that ended, and how the choices of a
mapped task's instances become one. Telling the successors is `services.flow.progress`'s.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from crosswind_server.domain.plan import DagPlan, TaskPlan

BRANCH_INVALID: Final = "crosswind.BranchInvalid"
"""Type of the failure of an attempt whose branch names what it cannot follow."""


class UnknownBranch(ValueError):
    """A branch follows an id that names neither a direct downstream task nor a group that holds one."""

    def __init__(self, followed: str) -> None:
        super().__init__(followed)
        self.followed = followed


@dataclass(frozen=True, slots=True)
class Skips:
    """Which successors of a task are skipped when they are told that it ended. A teardown never is.

    Args:
        successors: positions of direct downstream tasks; None: all of them.
        cascade: whether all that comes after them is skipped too, whatever the trigger rules.
        itself: of a task that has been expanded: its instances that still wait are skipped themselves.
    """

    successors: frozenset[int] | None = None
    cascade: bool = False
    itself: bool = False

    def covers(self, task: TaskPlan) -> bool:
        """Whether a direct downstream task is skipped."""
        return not task.is_teardown and (self.successors is None or task.index in self.successors)

    def and_also(self, other: Skips) -> Skips:
        """What two instances of one mapped task skip together: what both do."""
        if self.successors is None or other.successors is None:
            successors = other.successors if self.successors is None else self.successors
        else:
            successors = self.successors & other.successors
        return Skips(successors, self.cascade and other.cascade)

    @property
    def onward(self) -> str | None:
        """What a task that is skipped so skips in turn, as stored; None: its successors go by their trigger rules."""
        return EVERYTHING.to_json() if self.cascade else None

    def to_json(self) -> str:
        """The text that is stored."""
        skip = None if self.successors is None else sorted(self.successors)
        facts: dict[str, object] = {"skip": skip, "cascade": self.cascade}
        if self.itself:
            facts["itself"] = True
        return json.dumps(facts, separators=(",", ":"))

    @staticmethod
    @functools.lru_cache(maxsize=256)
    def from_json(text: str) -> Skips:
        """What was stored."""
        facts = json.loads(text)
        successors = None if facts["skip"] is None else frozenset(facts["skip"])
        return Skips(successors, facts["cascade"], facts.get("itself", False))


def read_skips(text: str | None) -> Skips | None:
    """What was stored with a task instance; None: it skips nothing."""
    return None if text is None else Skips.from_json(text)


ALL_DIRECT: Final = Skips()
"""All direct downstream tasks; the trigger rules decide what becomes of the others."""
EVERYTHING: Final = Skips(cascade=True)
"""All that is downstream."""

_BOUND_TO_TIME: Final = frozenset({"scheduled", "backfill", "asset"})


def may_be_outdated(run_type: str) -> bool:
    """Whether runs of a type may be outdated, for a latest-only task; one that somebody triggered never is."""
    return run_type in _BOUND_TO_TIME


def is_outdated(*, has_later_run: bool, next_run_time: int | None, now: int) -> bool:
    """Whether a run that may be is not the latest of its DAG's schedule: a latest-only task skips what follows it.

    Args:
        has_later_run: whether the DAG has a scheduled run that is later.
        next_run_time: when the next scheduled run of the DAG is due; None: there is none.
        now: the time.
    """
    return has_later_run or (next_run_time is not None and next_run_time <= now)


def skipped_by_branch(plan: DagPlan, task: TaskPlan, follow_ids: Collection[str]) -> Skips | None:
    """What a branch skips that follows some tasks or groups; None: nothing.

    A direct downstream task is skipped unless it is followed, or comes after one that is.

    Raises:
        UnknownBranch: an id names neither a direct downstream task nor a group that holds one.
    """
    followed: set[int] = set()
    for name in follow_ids:
        chosen = [index for index in task.downstream if _is_named(plan.tasks[index], name)]
        if not chosen:
            raise UnknownBranch(name)
        followed.update(chosen)
    skipped = frozenset(task.downstream) - followed
    if not skipped:
        return None
    skipped -= _reached(plan, followed, skipped)
    return Skips(skipped) if skipped else None


def _is_named(task: TaskPlan, name: str) -> bool:
    return task.task_id == name or name in task.group_ids


def _reached(plan: DagPlan, sources: Collection[int], wanted: frozenset[int]) -> set[int]:
    """Those of the wanted tasks that come after the sources; looks no deeper than the deepest of them."""
    deepest = max(plan.tasks[index].depth for index in wanted)
    seen = set(sources)
    open_ends = list(sources)
    while open_ends:
        for index in plan.tasks[open_ends.pop()].downstream:
            if index not in seen and plan.tasks[index].depth <= deepest:
                seen.add(index)
                open_ends.append(index)
    return seen & wanted


def merge(so_far: str | None, of_instance: str | None, *, first: bool) -> str | None:
    """What a mapped task skips, after one more of its instances succeeded: what all of them do.

    Args:
        so_far: of the instances before, as stored.
        of_instance: of this one.
        first: it is the first that succeeded.
    """
    if first or so_far == of_instance:
        return of_instance
    if so_far is None or of_instance is None:
        return None
    return Skips.from_json(so_far).and_also(Skips.from_json(of_instance)).to_json()
