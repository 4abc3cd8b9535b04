"""What no live worker offers any more: runs in such a version, and callbacks that nobody has taken for long. [SCHED-3]

What becomes of them is decided in `services.interventions.version_policy` and `services.interventions.abandoned`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, literal, literal_column, select, union

from crosswind_server.store import guards, runs, task_instances
from crosswind_server.store.offers import LIVE_OFFERS
from crosswind_server.store.schema import bundle_offer, dag, dag_run, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork

_t = task_instance.c
# Written out, so that the partial index of workloads that have not ended is used.
_IS_OPEN_WORKLOAD: Final = and_(_t.task_index < literal_column("0"), _t.end_time.is_(None))


def _is_offered(team: Any, offer_key: Any) -> ColumnElement[bool]:
    found = select(1).select_from(LIVE_OFFERS)
    return found.where(bundle_offer.c.team == team, bundle_offer.c.offer_key == offer_key).exists()


def lock_runs(uow: UnitOfWork, team: str, bundles: Collection[str], *, limit: int) -> Sequence[Row[Any]]:
    """Lock so many runs of the bundles' DAGs in a version that no live worker offers, though one offers the current
    one: runs that are active, and those that have ended and have workloads beside tasks that have not.

    Answers the columns of a run and the DAG's `current_version_id`.
    """
    of_bundles = and_(dag.c.team == dag_run.c.team, dag.c.dag_id == dag_run.c.dag_id, dag.c.bundle.in_(list(bundles)))
    active = select(dag_run.c.id).join(dag, of_bundles).where(dag_run.c.team == team, dag_run.c.end_time.is_(None))
    left = select(_t.run_key).where(_t.team == team, _IS_OPEN_WORKLOAD, _t.offer_key.like("dag:%"))
    every = union(active.correlate(None), left.correlate(None))
    query = (
        select(*runs.COLUMNS, dag.c.current_version_id)
        .join(dag, of_bundles)
        .where(
            dag_run.c.id.in_(every),
            dag_run.c.code_version_id != dag.c.current_version_id,
            ~_is_offered(team, literal("dag:").concat(dag_run.c.code_version_id)),
            _is_offered(team, literal("dag:").concat(dag.c.current_version_id)),
        )
        .order_by(dag_run.c.id)
        .limit(limit)
    )
    return uow.execute(uow.dialect.lock_rows(query, dag_run)).all()


def runs_with_abandoned(uow: UnitOfWork, *, before: int, limit: int) -> Sequence[str]:
    """So many ended runs with a callback that was ready before a time and that no live worker offers.

    Those of paused DAGs wait for these.
    """
    query = (
        select(_t.run_key)
        .join(dag_run, dag_run.c.id == _t.run_key)
        .join(dag, and_(dag.c.team == dag_run.c.team, dag.c.dag_id == dag_run.c.dag_id))
        .where(_is_abandoned(before), dag_run.c.end_time.is_not(None), dag.c.paused.is_(False))
        .distinct()
        .order_by(_t.run_key)
        .limit(limit)
    )
    return uow.execute(query).scalars().all()


def lock_abandoned(uow: UnitOfWork, run_keys: Collection[str], *, before: int, limit: int) -> Sequence[Row[Any]]:
    """Lock so many of these callbacks, of locked runs. What is being assigned meanwhile is left out."""
    query: Select[Any] = select(*task_instances.COLUMNS).where(
        guards.is_among(_t.run_key, "ids"), _is_abandoned(before)
    )
    locking = uow.dialect.lock_rows(query.order_by(_t.id).limit(limit), task_instance)
    return uow.execute(locking, {"ids": list(run_keys)}).all() if run_keys else []


def _is_abandoned(before: int) -> ColumnElement[bool]:
    return and_(
        _IS_OPEN_WORKLOAD,
        _t.workload == literal_column("'callback'"),
        guards.is_one_of(_t.state, guards.QUEUED),
        _t.queued_time < before,
        ~_is_offered(_t.team, _t.offer_key),
    )
