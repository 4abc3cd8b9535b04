"""What a worker could be given: queued task instances by the classes that it fits, best first. [SCHED-3]

An instance is claimed by locking it and skipping those that another server has locked; its run is not locked. Which
are taken is decided in `services.execution.claiming`; pools and other bounds are in `bounds`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
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
    claim_class,
    dag,
    dag_run,
    dag_version,
    task_instance,
    worker_bundle,
)
from crosswind_server.store.unit_of_work import UnitOfWork

_t = task_instance.c
_q = task_instance.alias("waiting").c
_c = claim_class.c
_IS_CLAIMABLE = and_(guards.is_one_of(_t.state, guards.QUEUED), ~_t.held)

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
_REFERENCES: Final[ColumnElement[str]] = literal_column("'ref'", String)
"""In every collation what belongs to references, `ref...`, comes behind it, and what to DAGs, `dag...`, before it."""


def _best_rank() -> ScalarSelect[int]:
    """The rank of the best instance of a class that waits: a value, which PostgreSQL does not turn into a join with
    all that is queued, as it would an EXISTS."""
    queued = task_instance.alias().c
    return (
        select(queued.rank)
        .where(guards.is_one_of(queued.state, guards.QUEUED), ~queued.held)
        .where(queued.team == _c.team, queued.claim_class == _c.id)
        .order_by(queued.rank)
        .limit(1)
        .correlate(claim_class)
        .scalar_subquery()
    )


def _first_waiting(*bounds: Callable[[ColumnElement[str]], ColumnElement[bool]]) -> ScalarSelect[str]:
    """The first class within bounds of which an instance waits."""
    queued = task_instance.alias().c
    return (
        select(queued.claim_class)
        .where(guards.is_one_of(queued.state, guards.QUEUED), ~queued.held, queued.team == bindparam("team"))
        .where(*(bound(queued.claim_class) for bound in bounds))
        .order_by(queued.claim_class)
        .limit(1)
        .scalar_subquery()
    )


def _waiting_references() -> CTE:
    """The classes of references of which an instance waits, each found by one step along the claim's index."""
    classes = select(_first_waiting(lambda key: key >= _REFERENCES).label("id")).cte("waiting_class", recursive=True)
    following = _first_waiting(lambda key: key > classes.c.id)
    return classes.union_all(select(following).where(classes.c.id.is_not(None)))


def _offers_of_worker(offers: FromClause, *conditions: ColumnElement[bool]) -> Select[Any]:
    version, name = worker_bundle.c.version, worker_bundle.c.bundle
    return (
        select(
            *_c,
            _best_rank().label("best_rank"),
            name.label("bundle"),
            version.label("version"),
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
        .where(worker_bundle.c.instance_id == bindparam("instance_id"))
        .where(guards.is_among(_c.queue, "queues"), guards.is_among(_c.role, "roles"), *conditions)
    )


def _wanted() -> Select[Any]:
    of_worker = and_(
        bundle_offer.c.team == worker_bundle.c.team,
        bundle_offer.c.bundle == worker_bundle.c.bundle,
        bundle_offer.c.version == worker_bundle.c.version,
    )
    of_offer = and_(_c.team == bundle_offer.c.team, _c.offer_key == bundle_offer.c.offer_key)
    dags = _offers_of_worker(
        worker_bundle.join(bundle_offer, and_(of_worker, bundle_offer.c.offer_key < _REFERENCES)).join(
            claim_class, of_offer
        ),
        ~_paused_dag,
    )
    # Again a value: joined, PostgreSQL would begin with all that the worker offers.
    waiting = _waiting_references()
    is_offered = (
        select(bundle_offer.c.offer_key)
        .where(of_worker, bundle_offer.c.offer_key == _c.offer_key)
        .correlate(worker_bundle, claim_class)
        .scalar_subquery()
        .is_not(None)
    )
    references = _offers_of_worker(
        waiting.join(claim_class, _c.id == waiting.c.id).join(worker_bundle, true()), is_offered
    )
    # One select around both, since only such statements are prepared.
    found = union_all(dags, references).subquery("found").c
    columns = [column for column in found if column.name not in ("is_current", "created_time")]
    return select(*columns).where(found.best_rank.is_not(None)).order_by(found.is_current, found.created_time)


_WANTED = _wanted()


def wanted_classes(
    uow: UnitOfWork, team: str, instance_id: str, *, queues: Collection[str], roles: Collection[str]
) -> Sequence[Row[Any]]:
    """Which classes of what a worker offers somebody waits in, by queue and role.

    Answers the columns of a class, the rank of the best of it, and `bundle` and `version` in which the worker has it:
    a row for each version, the newest last, or the bundle's current one. Costs a probe of the claim's index for each
    class of the DAGs that the worker offers, and one step for each class of references that waits: of the tasks that a
    bundle offers by reference there are many, and few are referred to.
    """
    named = {"team": team, "instance_id": instance_id, "queues": list(queues), "roles": list(roles)}
    return uow.execute(_WANTED, named).all()


@functools.cache
def _best(dags: int, references: int) -> Select[Any]:
    """The best instances of so many classes of each kind."""
    branches: list[Select[Any]] = []
    for number in range(dags + references):
        best = select(_t.id, _t.rank, _t.queued_time, _t.claim_class).where(
            _IS_CLAIMABLE,
            _t.team == bindparam("team"),
            _t.claim_class == bindparam(f"class_{number}"),
        )
        if number >= dags:
            # The class says nothing of the DAG that refers.
            best = (
                best.join(dag_run, dag_run.c.id == _t.run_key)
                .join(dag, and_(dag.c.team == dag_run.c.team, dag.c.dag_id == dag_run.c.dag_id))
                .where(dag.c.paused.is_(False))
            )
        most = bindparam(f"most_{number}", type_=BigInteger())
        branches.append(select(best.order_by(_t.rank, _t.id).limit(most).subquery(f"best_{number}")))
    together = union_all(*branches).subquery("best")
    return select(together).order_by(together.c.rank, together.c.id)


def find_best(uow: UnitOfWork, team: str, most: Sequence[tuple[str, int]]) -> Sequence[Row[Any]]:
    """The best instances of classes that wait: `id`, `rank`, `queued_time` and `claim_class`, by their rank.

    Reads no more than it answers, whatever waits behind, but for instances of paused DAGs that wait for a reference.

    Args:
        most: a class, and how many of it, at least 1.
    """
    dags = [each for each in most if each[0] < "ref"]
    references = [each for each in most if each[0] >= "ref"]
    parameters: dict[str, Any] = {"team": team}
    shape = _rounded(len(dags)), _rounded(len(references))
    # So that there are few statements, each is for more classes than are asked for: nothing has the empty one.
    padded = [*dags, *[("", 0)] * (shape[0] - len(dags)), *references, *[("", 0)] * (shape[1] - len(references))]
    for number, (class_id, count) in enumerate(padded):
        parameters |= {f"class_{number}": class_id, f"most_{number}": count}
    return uow.execute(_best(*shape), parameters).all() if most else []


def _rounded(count: int) -> int:
    return 1 << (count - 1).bit_length() if count else 0


_best_id = (
    select(_q.id)
    .where(guards.is_one_of(_q.state, guards.QUEUED), ~_q.held, _q.team == _c.team, _q.claim_class == _c.id)
    .order_by(_q.rank)
    .limit(1)
    .correlate(claim_class)
    .scalar_subquery()
)
_weighed = (
    select(claim_class, _best_id.label("best_id"))
    .where(_c.team == bindparam("team"), guards.is_among(_c.pool, "pools"), _c.pool_slots > literal_column("1"))
    .subquery("weighed")
)
_PATIENT = (
    select(*_weighed.c, _t.task_id, _t.rank, _t.queued_time)
    .join(task_instance, _t.id == _weighed.c.best_id)
    .join(dag_run, dag_run.c.id == _t.run_key)
    .join(dag, and_(dag.c.team == dag_run.c.team, dag.c.dag_id == dag_run.c.dag_id))
    .where(_t.queued_time <= bindparam("since"), dag.c.paused.is_(False), dag_run.c.final_state.is_(None))
    .order_by(_t.rank, _t.id)
    .limit(bindparam("most"))
)


def patient_of_pools(
    uow: UnitOfWork, team: str, pools: Collection[str], *, since: int, most: int
) -> Sequence[Row[Any]]:
    """What has waited long for several slots of pools, whoever it is for: the best of each class, best first.

    Answers the columns of a class, and `best_id`, `task_id`, `rank` and `queued_time` of the instance. Costs a probe of
    the claim's index for each class that takes several slots of a pool.

    Args:
        since: only what is queued since this time, in microseconds, or longer.
        most: so many at most.
    """
    named = {"team": team, "pools": list(pools), "since": since, "most": most}
    return uow.execute(_PATIENT, named).all() if pools else []


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
    # Where somebody stops a run, what waits of it is about to end, and where it is cleared into another version, to
    # change; but its callbacks are for what happened before.
    .where(
        guards.is_among(_t.id, "ids"),
        guards.checked(_IS_CLAIMABLE),
        or_(
            and_(dag_run.c.final_state.is_(None), dag_run.c.renewing.is_(False)),
            _t.task_index < literal_column("0"),
        ),
    )
    .order_by(_t.rank, _t.id)
)


def lock(uow: UnitOfWork, ids: Collection[str]) -> Sequence[Row[Any]]:
    """Lock instances that still wait, best first, and skip those that are locked or whose run is being stopped.

    Behind those there may be others, and what another server has locked may be left by it, without any hint. Answers
    the columns of an instance, the code version and DAG of its run, and of its last attempt `last_state` and
    `last_started`.
    """
    return uow.execute(uow.dialect.claim_rows(_CLAIMED, task_instance), {"ids": list(ids)}).all() if ids else []


def assign(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Give locked instances to workers: rows with `id` and the columns of an assignment."""
    uow.dialect.update_values(task_instance, ["id"], _ASSIGNMENT, rows, where=_IS_CLAIMABLE)
