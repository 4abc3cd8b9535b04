"""How many runs of DAGs go on, and which of those that are queued is the oldest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, bindparam, func, literal_column, select

from crosswind_server.store import guards, runs
from crosswind_server.store.schema import backfill, dag_run
from crosswind_server.store.unit_of_work import UnitOfWork

_r = dag_run.c
_OF_DAG: Final = (_r.team == bindparam("team"), _r.dag_id == bindparam("dag_id"))
_IN_BOUND: Final[ColumnElement[bool]] = _r.backfill_id.is_(None)
"""Runs of a backfill have a bound of their own."""

_GOING = (
    select(func.count())
    .select_from(dag_run)
    .where(*_OF_DAG, guards.is_one_of(_r.state, guards.GOING_RUNS), guards.checked(_IN_BOUND))
)
_ACTIVE = (
    select(_r.dag_id, func.count().label("number"))
    .where(
        _r.team == bindparam("team"),
        guards.is_among(_r.dag_id, "dag_ids"),
        _r.end_time.is_(None),
        guards.checked(_IN_BOUND),
    )
    .group_by(_r.dag_id)
)


_WITH_QUEUED = (
    select(_r.dag_id)
    .where(
        _r.team == bindparam("team"), guards.is_among(_r.dag_id, "dag_ids"), guards.is_one_of(_r.state, guards.QUEUED)
    )
    .distinct()
)


_other = dag_run.alias("other").c


def _going_of(backfill_id: ColumnElement[Any]) -> Select[Any]:
    # Those that have not ended are found by an index of theirs.
    active = (_other.backfill_id == backfill_id, _other.end_time.is_(None))
    return select(func.count()).where(*active, guards.checked(guards.is_one_of(_other.state, guards.GOING_RUNS)))


_GOING_OF_BACKFILL = _going_of(bindparam("backfill_id"))
# One whose instances are not all made, or changed, is no candidate yet.
_CANDIDATE: Final = (
    *_OF_DAG,
    guards.is_one_of(_r.state, guards.QUEUED),
    guards.checked(_r.unmade == 0),
    guards.checked(_r.holds == 0),
)
_OLDEST = select(_r.id).where(*_CANDIDATE, guards.checked(_IN_BOUND)).order_by(_r.id).limit(bindparam("most"))
_free = (backfill.c.max_active_runs - _going_of(_r.backfill_id).correlate(dag_run).scalar_subquery()).label("free")
_OLDEST_OF_BACKFILLS = (
    select(_r.id, _r.backfill_id, _free)
    .join(backfill, backfill.c.id == _r.backfill_id)
    .where(*_CANDIDATE, _free > literal_column("0"))
    .order_by(_r.id)
    .limit(bindparam("most"))
)
_QUEUED = select(*runs.COLUMNS).where(
    guards.is_among(_r.id, "ids"), guards.checked(guards.is_one_of(_r.state, guards.QUEUED))
)


def count_going(uow: UnitOfWork, team: str, dag_id: str) -> int:
    """How many runs of a DAG go on, but for those of backfills."""
    number: int = uow.execute(_GOING, {"team": team, "dag_id": dag_id}).scalar_one()
    return number


def count_active(uow: UnitOfWork, team: str, dag_ids: Collection[str]) -> Mapping[str, int]:
    """How many runs of DAGs have not ended, but for those of backfills; DAGs without any are left out."""
    if not dag_ids:
        return {}
    rows = uow.execute(_ACTIVE, {"team": team, "dag_ids": list(dag_ids)})
    return {row.dag_id: row.number for row in rows}


def with_queued(uow: UnitOfWork, team: str, dag_ids: Collection[str]) -> Sequence[str]:
    """Which of the DAGs have runs that are queued."""
    return uow.execute(_WITH_QUEUED, {"team": team, "dag_ids": list(dag_ids)}).scalars().all() if dag_ids else []


def count_going_of_backfill(uow: UnitOfWork, backfill_id: str) -> int:
    """How many runs of a backfill go on."""
    number: int = uow.execute(_GOING_OF_BACKFILL, {"backfill_id": backfill_id}).scalar_one()
    return number


def oldest_queued(uow: UnitOfWork, team: str, dag_id: str, *, most: int) -> Sequence[str]:
    """The ids of the oldest queued runs of a DAG, so many at most, whose instances are all made; but for backfills'."""
    return uow.execute(_OLDEST, {"team": team, "dag_id": dag_id, "most": most}).scalars().all()


def oldest_of_backfills(uow: UnitOfWork, team: str, dag_id: str, *, most: int) -> Sequence[Row[Any]]:
    """The oldest such runs of a DAG's backfills that have room: `id`, `backfill_id`, and how many of that may begin,
    `free`."""
    return uow.execute(_OLDEST_OF_BACKFILLS, {"team": team, "dag_id": dag_id, "most": most}).all()


def claim_queued(uow: UnitOfWork, ids: Collection[str]) -> Sequence[Row[Any]]:
    """Lock runs that are still queued, and skip those that somebody else has locked; the columns of a run."""
    return uow.execute(uow.dialect.claim_rows(_QUEUED, dag_run), {"ids": list(ids)}).all() if ids else []
