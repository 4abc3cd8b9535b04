"""Which versions of bundles workers need not offer any more: neither current nor needed by a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, and_, literal_column, or_, select

from crosswind_server.store import guards
from crosswind_server.store.schema import (
    attempt,
    bundle,
    bundle_offer,
    dag,
    dag_run,
    task_instance,
    worker_bundle,
)
from crosswind_server.store.unit_of_work import UnitOfWork

_t = task_instance.c

_IS_OUTDATED = or_(bundle.c.current_version.is_(None), bundle.c.current_version != worker_bundle.c.version)
_in_current = bundle_offer.alias("in_current")
# New runs begin with what it holds, because the bundle's current version could not read it.
_NEEDED_BY_NEW_RUNS = (
    select(1)
    .select_from(dag)
    .join(
        bundle_offer,
        and_(
            bundle_offer.c.team == dag.c.team,
            bundle_offer.c.bundle == dag.c.bundle,
            bundle_offer.c.offer_key == literal_column("'dag:'").concat(dag.c.current_version_id),
        ),
    )
    .where(
        dag.c.team == worker_bundle.c.team,
        dag.c.bundle == worker_bundle.c.bundle,
        dag.c.active.is_(True),
        bundle_offer.c.version == worker_bundle.c.version,
        ~select(1)
        .where(
            _in_current.c.team == bundle_offer.c.team,
            _in_current.c.bundle == bundle_offer.c.bundle,
            _in_current.c.version == bundle.c.current_version,
            _in_current.c.offer_key == bundle_offer.c.offer_key,
        )
        .exists(),
    )
    .correlate(worker_bundle, bundle)
    .exists()
)
_RETIRABLE = (
    select(worker_bundle.c.instance_id, worker_bundle.c.bundle, worker_bundle.c.version)
    .join(bundle, and_(bundle.c.team == worker_bundle.c.team, bundle.c.name == worker_bundle.c.bundle))
    .where(
        guards.is_among(worker_bundle.c.instance_id, "ids"),
        _IS_OUTDATED,
        ~_NEEDED_BY_NEW_RUNS,
        ~select(1)
        .select_from(attempt)
        .where(
            guards.is_one_of(attempt.c.state, guards.LIVE),
            attempt.c.instance_id == worker_bundle.c.instance_id,
            attempt.c.bundle == worker_bundle.c.bundle,
            attempt.c.bundle_version == worker_bundle.c.version,
        )
        .exists(),
        ~select(1)
        .select_from(bundle_offer)
        .join(dag_run, and_(dag_run.c.team == bundle_offer.c.team, dag_run.c.end_time.is_(None)))
        .where(
            bundle_offer.c.team == worker_bundle.c.team,
            bundle_offer.c.bundle == worker_bundle.c.bundle,
            bundle_offer.c.version == worker_bundle.c.version,
            or_(
                bundle_offer.c.offer_key == literal_column("'dag:'").concat(dag_run.c.code_version_id),
                select(1)
                .where(
                    _t.run_key == dag_run.c.id,
                    _t.offer_key == bundle_offer.c.offer_key,
                    bundle_offer.c.offer_key.like("ref:%@%"),
                    _t.end_time.is_(None),
                )
                .exists(),
            ),
        )
        .exists(),
        # What is left of runs that have ended, such as their callbacks.
        ~select(1)
        .select_from(bundle_offer)
        .join(
            task_instance,
            and_(
                _t.team == bundle_offer.c.team,
                _t.offer_key == bundle_offer.c.offer_key,
                _t.task_index < literal_column("0"),
                _t.workload != literal_column("'timetable'"),
                _t.end_time.is_(None),
            ),
        )
        .where(
            bundle_offer.c.team == worker_bundle.c.team,
            bundle_offer.c.bundle == worker_bundle.c.bundle,
            bundle_offer.c.version == worker_bundle.c.version,
        )
        .exists(),
    )
)

_OUTDATED = (
    select(worker_bundle.c.instance_id)
    .join(bundle, and_(bundle.c.team == worker_bundle.c.team, bundle.c.name == worker_bundle.c.bundle))
    .where(guards.is_among(worker_bundle.c.instance_id, "ids"), _IS_OUTDATED)
    .limit(1)
)


def retirable(uow: UnitOfWork, instance_ids: Collection[str]) -> Sequence[Row[Any]]:
    """Versions that workers offer although they are not current and neither active runs nor new ones need them."""
    if not instance_ids:
        return []
    named = {"ids": list(instance_ids)}
    # Nearly always there are none, which costs two lookups; else all active runs are looked at.
    if uow.execute(_OUTDATED, named).first() is None:
        return []
    return uow.execute(_RETIRABLE, named).all()
