"""Bounds within a run: which of its instances that could run may be claimed. [SCHED-3]

An instance that something bounds beside others of its run is queued and held. Whenever such an instance changed, those
that take part are counted, and the best of the held ones are admitted up to the bounds: so nothing has to be kept
right, and it costs the bound and not what waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Row

from crosswind_server.domain.plan import DAG_GROUP, DagPlan
from crosswind_server.store import admissions
from crosswind_server.store.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from crosswind_server.services.flow.board import Board

ADMIT: Final = "admit"
"""Kind of a continuation: admit more instances of a run, which is its subject."""
_MOST_GROUPS: Final = 64


@dataclass(frozen=True, slots=True)
class Admission:
    """What was admitted, by id, and the runs in which more could be."""

    ids: frozenset[str]
    unfinished: frozenset[str]


def admit(uow: UnitOfWork, plans: Mapping[str, DagPlan], *, most: int) -> Admission:
    """Admit held instances of locked runs, the best first, as many as the bounds allow.

    Args:
        plans: of the runs, by key.
        most: so many at once, over all runs.
    """
    held = admissions.held_groups(uow, plans)
    if not held:
        return Admission(frozenset(), frozenset())
    active = admissions.count_active(uow, {row.run_key for row in held})
    taken: dict[str, int] = {}
    for (run_key, _), number in active.items():
        taken[run_key] = taken.get(run_key, 0) + number
    room_of_run: dict[str, int] = {}
    room_of_group: dict[tuple[str, int], int] = {}
    asked: dict[str, int] = {}
    for row in sorted(held, key=lambda row: row.best_rank):
        plan, key = plans[row.run_key], (row.run_key, row.limit_group)
        of_run = most if plan.max_active_tasks is None else plan.max_active_tasks - taken.get(row.run_key, 0)
        # What a task's own bound was before its run was cleared into another version may be none any more.
        bound = None if row.limit_group == DAG_GROUP else plan.run_limits.get(row.limit_group)
        of_group = most if bound is None else bound - active.get(key, 0)
        # Of the groups that share a bound, the best in so many of them hold the best of all.
        if of_run > asked.get(row.run_key, 0) and of_group > 0 and len(room_of_group) < _MOST_GROUPS:
            room_of_run[row.run_key] = of_run
            room_of_group[key] = min(of_run, of_group, most)
            if plan.max_active_tasks is not None:
                asked[row.run_key] = asked.get(row.run_key, 0) + 1
    ids: list[str] = []
    unfinished: set[str] = set()
    if len(room_of_group) == _MOST_GROUPS:
        unfinished.update(run_key for run_key, _ in room_of_group)
    for row in admissions.best_held(uow, room_of_group):
        if room_of_run[row.run_key] <= 0:
            continue
        if len(ids) == most:
            unfinished.add(row.run_key)
            continue
        room_of_run[row.run_key] -= 1
        ids.append(row.id)
    if len(ids) == most:
        unfinished.update(run_key for run_key, room in room_of_run.items() if room > 0)
    if ids:
        admissions.admit(uow, ids)
    return Admission(frozenset(ids), frozenset(unfinished))


def go_on(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `ADMIT`."""
    board.admit_in(piece.subject_id)
