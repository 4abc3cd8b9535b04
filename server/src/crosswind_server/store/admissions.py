"""Bounds within runs: how many instances take part in one, and which of those that are held come next.

Everything is counted when it is asked, along an index that has the active instances only, and another one of the held
ones; so nothing has to be kept right. Whoever asks has locked the runs.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Row,
    ScalarSelect,
    Select,
    bindparam,
    func,
    select,
    union_all,
    update,
)

from crosswind_server.store import guards
from crosswind_server.store.schema import dag_run, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork

_t = task_instance.c

_ACTIVE = (
    select(_t.run_key, _t.limit_group, func.count().label("number"))
    .where(guards.is_among(_t.run_key, "run_keys"), _t.limit_group.is_not(None), ~_t.held)
    .where(guards.is_one_of(_t.state, guards.ASKING))
    .group_by(_t.run_key, _t.limit_group)
)


def count_active(uow: UnitOfWork, run_keys: Collection[str]) -> dict[tuple[str, int], int]:
    """How many instances are live or claimable, by run and group."""
    rows = uow.execute(_ACTIVE, {"run_keys": list(run_keys)})
    return {(row.run_key, row.limit_group): row.number for row in rows}


def _next_group(run_key: ColumnElement[str], *after: ColumnElement[int]) -> ScalarSelect[int]:
    held = task_instance.alias().c
    return (
        select(held.limit_group)
        .where(guards.is_one_of(held.state, guards.QUEUED), held.held, held.run_key == run_key)
        .where(held.limit_group.is_not(None), *(held.limit_group > group for group in after))
        .order_by(held.limit_group)
        .limit(1)
        .scalar_subquery()
    )


def _groups() -> CTE:
    """The groups of runs in which an instance is held, each found by one step along the index."""
    first = select(dag_run.c.id.label("run_key"), _next_group(dag_run.c.id).label("limit_group"))
    groups = first.where(guards.is_among(dag_run.c.id, "run_keys")).cte("held_group", recursive=True)
    following = _next_group(groups.c.run_key, groups.c.limit_group)
    return groups.union_all(select(groups.c.run_key, following).where(groups.c.limit_group.is_not(None)))


def _held_groups() -> Select[Any]:
    groups = _groups()
    held = task_instance.alias().c
    best = (
        select(held.rank)
        .where(guards.is_one_of(held.state, guards.QUEUED), held.held)
        .where(held.run_key == groups.c.run_key, held.limit_group == groups.c.limit_group)
        .order_by(held.rank)
        .limit(1)
        .scalar_subquery()
    )
    return select(groups.c.run_key, groups.c.limit_group, best.label("best_rank")).where(
        groups.c.limit_group.is_not(None)
    )


_HELD_GROUPS = _held_groups()


def held_groups(uow: UnitOfWork, run_keys: Collection[str]) -> Sequence[Row[Any]]:
    """The groups in which instances are held: `run_key`, `limit_group`, and `best_rank` of the best of them."""
    return uow.execute(_HELD_GROUPS, {"run_keys": list(run_keys)}).all()


@functools.cache
def _best(groups: int) -> Select[Any]:
    branches: list[Select[Any]] = []
    for number in range(groups):
        of_group = (
            select(_t.id, _t.run_key, _t.limit_group, _t.rank)
            .where(guards.is_one_of(_t.state, guards.QUEUED), _t.held)
            .where(_t.run_key == bindparam(f"run_{number}"))
            .where(_t.limit_group == bindparam(f"group_{number}", type_=Integer()))
            .order_by(_t.rank, _t.id)
            .limit(bindparam(f"most_{number}", type_=BigInteger()))
        )
        branches.append(select(of_group.subquery(f"held_{number}")))
    together = union_all(*branches).subquery("held")
    return select(together).order_by(together.c.rank, together.c.id)


def best_held(uow: UnitOfWork, most: Mapping[tuple[str, int], int]) -> Sequence[Row[Any]]:
    """The best held instances of groups: `id`, `run_key`, `limit_group` and `rank`, by their rank.

    Args:
        most: so many of each, by run and group.
    """
    if not most:
        return ()
    # So that there are few statements, each is for more groups than are asked for: no run has the empty key.
    shape = 1 << (len(most) - 1).bit_length()
    parameters: dict[str, Any] = {}
    padded = [*most.items(), *[(("", 0), 0)] * (shape - len(most))]
    for number, ((run_key, group), count) in enumerate(padded):
        parameters |= {f"run_{number}": run_key, f"group_{number}": group, f"most_{number}": count}
    return uow.execute(_best(shape), parameters).all()


_ADMITTED = update(task_instance).values(held=False).where(guards.is_among(_t.id, "ids"))


def admit(uow: UnitOfWork, ids: Collection[str]) -> None:
    """Make held instances claimable."""
    uow.execute(_ADMITTED, {"ids": list(ids)})
