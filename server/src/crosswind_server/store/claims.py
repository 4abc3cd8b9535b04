"""What a worker could be given: queued task instances by what the worker offers, best first. [SCHED-3]

An instance is claimed by locking it and skipping those that another server has locked; its run is not locked. How many
are taken and what an assignment is belongs to `services.execution.polling`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Row,
    ScalarSelect,
    Select,
    String,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from crosswind_server.store import guards, task_instances
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import (
    attempt,
    bundle,
    bundle_offer,
    bundle_version,
    dag,
    dag_run,
    dag_version,
    task_instance,
    worker_bundle,
)
from crosswind_server.store.unit_of_work import UnitOfWork

_t = task_instance.c
_IS_QUEUED = guards.is_one_of(_t.state, guards.QUEUED)

_ASSIGNMENT = ("state", "attempt_id", "worker_name", "language", "bundle_version", "try_number")

_paused_dag = (
    select(1)
    .select_from(dag_version)
    .join(dag, and_(dag.c.team == dag_version.c.team, dag.c.dag_id == dag_version.c.dag_id))
    .where(
        dag_version.c.team == bundle_offer.c.team,
        dag_version.c.dag_version_id == func.substr(bundle_offer.c.offer_key, 5),
        dag.c.paused.is_(True),
    )
    .exists()
)
# A value and no EXISTS, which PostgreSQL would turn into a join with all that is queued.
_queued_for_it = (
    select(_t.id)
    .where(_IS_QUEUED, _t.team == bundle_offer.c.team, _t.offer_key == bundle_offer.c.offer_key)
    .where(guards.is_among(_t.queue, "queues"))
    .limit(1)
    .scalar_subquery()
    .is_not(None)
)
_REFERENCES: Final[ColumnElement[str]] = literal_column("'ref'", String)
"""In every collation the keys of references, `ref:...`, come behind it, and those of DAGs, `dag:...`, before it."""


def _first_queued(*bounds: Callable[[ColumnElement[str]], ColumnElement[bool]]) -> ScalarSelect[str]:
    """The first offer key within bounds for which an instance is queued."""
    queued = task_instance.alias().c
    return (
        select(queued.offer_key)
        .where(guards.is_one_of(queued.state, guards.QUEUED), queued.team == bindparam("team"))
        .where(*(bound(queued.offer_key) for bound in bounds))
        .order_by(queued.offer_key)
        .limit(1)
        .scalar_subquery()
    )


def _queued_references() -> CTE:
    """The keys of references for which an instance is queued, each found by one step along the claim's index."""
    keys = select(_first_queued(lambda key: key >= _REFERENCES).label("offer_key")).cte("queued_key", recursive=True)
    following = _first_queued(lambda key: key > keys.c.offer_key)
    return keys.union_all(select(following).where(keys.c.offer_key.is_not(None)))


def _offers_of_worker(offers: FromClause, key: ColumnElement[str], *conditions: ColumnElement[bool]) -> Select[Any]:
    version, name = worker_bundle.c.version, worker_bundle.c.bundle
    return (
        select(
            key.label("offer_key"),
            name,
            version,
            # An unchanged DAG is in several versions: one that came back by an edit is older than that it replaced.
            case((bundle.c.current_version == version, literal_column("1")), else_=literal_column("0")).label(
                "is_current"
            ),
            bundle_version.c.created_time,
        )
        .select_from(offers)
        .join(
            bundle_version,
            and_(
                bundle_version.c.team == worker_bundle.c.team,
                bundle_version.c.bundle == name,
                bundle_version.c.version == version,
            ),
        )
        .join(bundle, and_(bundle.c.team == worker_bundle.c.team, bundle.c.name == name))
        .where(worker_bundle.c.instance_id == bindparam("instance_id"), *conditions)
    )


def _wanted() -> Select[Any]:
    of_worker = and_(
        bundle_offer.c.team == worker_bundle.c.team,
        bundle_offer.c.bundle == worker_bundle.c.bundle,
        bundle_offer.c.version == worker_bundle.c.version,
    )
    dags = _offers_of_worker(
        worker_bundle.join(bundle_offer, and_(of_worker, bundle_offer.c.offer_key < _REFERENCES)),
        bundle_offer.c.offer_key,
        _queued_for_it,
        ~_paused_dag,
    )
    # Whatever the queue, and again a value: joined, PostgreSQL would begin with all that the worker offers.
    keys = _queued_references()
    is_offered = (
        select(bundle_offer.c.offer_key)
        .where(of_worker, bundle_offer.c.offer_key == keys.c.offer_key)
        .correlate(worker_bundle, keys)
        .scalar_subquery()
        .is_not(None)
    )
    references = _offers_of_worker(keys.join(worker_bundle, true()), keys.c.offer_key, is_offered)
    # One select around both, since only such statements are prepared.
    found = union_all(dags, references).subquery("found").c
    return select(found.offer_key, found.bundle, found.version).order_by(found.is_current, found.created_time)


_WANTED = _wanted()


def wanted_offers(
    uow: UnitOfWork, team: str, instance_id: str, queues: Collection[str]
) -> dict[str, list[tuple[str, str]]]:
    """Which of a worker's offers somebody waits for: the bundles and versions by offer key: the newest last, or the
    bundle's current one.

    Costs a probe of the claim's index for each DAG that the worker offers, and one for each reference that waits: of
    the tasks that a bundle offers by reference there are many, and few are referred to.
    """
    offers: dict[str, list[tuple[str, str]]] = {}
    for row in uow.execute(_WANTED, {"team": team, "instance_id": instance_id, "queues": list(queues)}):
        offers.setdefault(row.offer_key, []).append((row.bundle, row.version))
    return offers


@functools.cache
def _best_ids(sources: int) -> Select[Any]:
    """The ids of the best instances of so many pairs of an offer and a queue."""
    branches: list[Select[Any]] = []
    for number in range(sources):
        best = (
            select(_t.id, _t.priority, _t.queued_time)
            .join(dag_run, dag_run.c.id == _t.run_key)
            .join(dag, and_(dag.c.team == dag_run.c.team, dag.c.dag_id == dag_run.c.dag_id))
            .where(
                _IS_QUEUED,
                _t.team == bindparam("team"),
                _t.offer_key == bindparam(f"offer_{number}"),
                _t.queue == bindparam(f"queue_{number}"),
                _t.slots <= bindparam("slots"),
                dag.c.paused.is_(False),
                # Somebody stops it: what waits of it is about to end.
                dag_run.c.final_state.is_(None),
            )
            .order_by(_t.priority.desc(), _t.queued_time, _t.id)
            .limit(bindparam("most"))
            .subquery(f"best_{number}")
        )
        branches.append(select(best))
    together = union_all(*branches).subquery("best")
    order = (together.c.priority.desc(), together.c.queued_time, together.c.id)
    return select(together.c.id).order_by(*order).limit(bindparam("most"))


_CLAIMED = (
    select(
        *task_instances.COLUMNS,
        dag_run.c.dag_id,
        dag_run.c.run_id,
        dag_run.c.code_version_id,
        attempt.c.state.label("last_state"),
        case((attempt.c.start_time.is_not(None), literal_column("1")), else_=literal_column("0")).label("last_started"),
    )
    .join(dag_run, dag_run.c.id == _t.run_key)
    .outerjoin(attempt, attempt.c.id == _t.attempt_id)
    .where(guards.is_among(_t.id, "ids"), guards.checked(_IS_QUEUED))
    .order_by(_t.priority.desc(), _t.queued_time, _t.id)
)


def lock_best(
    uow: UnitOfWork, team: str, *, offer_keys: Collection[str], queues: Collection[str], slots: int, limit: int
) -> tuple[Sequence[Row[Any]], bool]:
    """Lock queued instances that want one of the offers, best first, and skip those that are locked.

    Reads at most `limit` rows of each offer and queue, whatever waits behind them. Answers the columns of an instance,
    the code version and DAG of its run, and of its last attempt `last_state` and `last_started`; and whether some were
    skipped. What another server has locked may be left by it, and there may be more behind, without any hint.

    Args:
        slots: an instance that takes more is left.
        limit: the most rows.
    """
    pairs = [(offer_key, queue) for offer_key in sorted(offer_keys) for queue in sorted(queues)]
    parameters: dict[str, Any] = {"team": team, "slots": slots, "most": limit}
    for number, (offer_key, queue) in enumerate(pairs):
        parameters |= {f"offer_{number}": offer_key, f"queue_{number}": queue}
    found = uow.execute(_best_ids(len(pairs)), parameters).scalars().all()
    if not found:
        return [], False
    locked = uow.execute(uow.dialect.claim_rows(_CLAIMED, task_instance), {"ids": list(found)}).all()
    return locked, len(locked) < len(found)


def assign(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Give locked instances to workers: rows with `id` and the columns of an assignment."""
    uow.dialect.update_values(task_instance, ["id"], _ASSIGNMENT, rows, where=_IS_QUEUED)


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
