"""Pools and the bounds on tasks over all runs: what they allow, and what is taken of them.

What is taken is counted over the live instances that name them, never stored. A claim locks the rows of those that it
counts for, so no two claims count at the same time; an end only makes room, and locks nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, Table, bindparam, delete, func, select

from crosswind_server.store import guards
from crosswind_server.store.schema import pool, task_instance, task_limit
from crosswind_server.store.unit_of_work import UnitOfWork

_t = task_instance.c
_IS_LIVE: Final = guards.is_one_of(_t.state, guards.LIVE)

_POOLS = select(pool.c.name, pool.c.slots).where(
    pool.c.team == bindparam("team"), guards.is_among(pool.c.name, "names")
)
_LIMITS = select(task_limit.c.key.label("name"), task_limit.c.slots).where(
    task_limit.c.team == bindparam("team"), guards.is_among(task_limit.c.key, "names")
)
_POOLS_TAKEN = (
    select(_t.pool.label("name"), func.sum(_t.pool_slots).label("taken"))
    .where(_t.team == bindparam("team"), guards.is_among(_t.pool, "names"))
    .where(_t.pool.is_not(None), guards.is_one_of(_t.state, guards.ASKING), _IS_LIVE)
    .group_by(_t.pool)
)
_LIMITS_TAKEN = (
    select(_t.task_limit.label("name"), func.count().label("taken"))
    .where(_t.team == bindparam("team"), guards.is_among(_t.task_limit, "names"))
    .where(_t.task_limit.is_not(None), _IS_LIVE)
    .group_by(_t.task_limit)
)


@dataclass(slots=True)
class Bound:
    """A pool, or the bound on a task. `locked_elsewhere`: another claim counts for it just now."""

    slots: int
    taken: int = 0
    locked_elsewhere: bool = False

    @property
    def free(self) -> int:
        """Slots that nobody takes; none where there are fewer slots than are taken."""
        return 0 if self.locked_elsewhere else max(0, self.slots - self.taken)


def lock_pools(uow: UnitOfWork, team: str, names: Collection[str]) -> dict[str, Bound]:
    """Lock pools and count what is taken of them; what does not exist is left out."""
    return _lock(uow, pool, _POOLS, _POOLS_TAKEN, team, names)


def lock_limits(uow: UnitOfWork, team: str, keys: Collection[str]) -> dict[str, Bound]:
    """Lock the bounds on tasks and count the instances that are live; what has none is left out."""
    return _lock(uow, task_limit, _LIMITS, _LIMITS_TAKEN, team, keys)


def read_pools(uow: UnitOfWork, team: str, names: Collection[str]) -> dict[str, Bound]:
    """The same without a lock, for people."""
    return _counted(uow, _read(uow, _POOLS, team, names), _POOLS_TAKEN, team)


def read_limits(uow: UnitOfWork, team: str, keys: Collection[str]) -> dict[str, Bound]:
    """The same without a lock, for people."""
    return _counted(uow, _read(uow, _LIMITS, team, keys), _LIMITS_TAKEN, team)


def _lock(
    uow: UnitOfWork, table: Table, found: Select[Any], taken: Select[Any], team: str, names: Collection[str]
) -> dict[str, Bound]:
    # A claim waits for no lock: it may hold runs by then, and whoever has locked this may be about to lock those.
    locked = _read(uow, uow.dialect.claim_rows(found, table), team, names)
    bounds = _counted(uow, locked, taken, team)
    if len(locked) < len(names):
        for name, bound in _read(uow, found, team, [name for name in names if name not in locked]).items():
            bound.locked_elsewhere = True
            bounds[name] = bound
    return bounds


def _read(uow: UnitOfWork, query: Select[Any], team: str, names: Collection[str]) -> dict[str, Bound]:
    rows = uow.execute(query, {"team": team, "names": sorted(names)}) if names else ()
    return {row.name: Bound(row.slots) for row in rows}


def _counted(uow: UnitOfWork, bounds: dict[str, Bound], taken: Select[Any], team: str) -> dict[str, Bound]:
    if bounds:
        for row in uow.execute(taken, {"team": team, "names": sorted(bounds)}):
            bounds[row.name].taken = int(row.taken)
    return bounds


def replace_limits(uow: UnitOfWork, team: str, limits: Mapping[str, Mapping[str, int]]) -> None:
    """Let the bounds on the tasks of DAGs be these: by DAG, then by key."""
    rows = [
        {"team": team, "key": key, "dag_id": dag_id, "slots": slots}
        for dag_id, of_dag in sorted(limits.items())
        for key, slots in sorted(of_dag.items())
    ]
    kept = [row["key"] for row in rows]
    table = task_limit.c
    gone = delete(task_limit).where(table.team == team, table.dag_id.in_(list(limits)), table.key.not_in(kept))
    uow.execute(gone)
    uow.dialect.upsert(task_limit, rows, ["team", "key"])
