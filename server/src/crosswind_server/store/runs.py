"""DAG runs: finding, locking, adding and changing them. What a run's state means belongs to the domain."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, Update, and_, bindparam, insert, literal_column, or_, select, update

from crosswind_server.store import guards
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import attempt, dag_run, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork

COLUMNS: Final = (
    dag_run.c.id,
    dag_run.c.team,
    dag_run.c.dag_id,
    dag_run.c.run_id,
    dag_run.c.run_type,
    dag_run.c.state,
    dag_run.c.dag_version_id,
    dag_run.c.code_version_id,
    dag_run.c.unfinished,
    dag_run.c.cancel_requested,
    dag_run.c.start_time,
    dag_run.c.end_time,
    dag_run.c.final_state,
    dag_run.c.holds,
    dag_run.c.numbering_json,
    dag_run.c.logical_time,
    dag_run.c.backfill_id,
    dag_run.c.deadline_time,
    dag_run.c.unmade,
    dag_run.c.awaited,
    dag_run.c.renewing,
)
"""What the scheduling of a run needs, in the order of `services.flow.rows.Run`."""

_BY_ID = select(*COLUMNS).where(guards.is_among(dag_run.c.id, "ids"))
_OF_ATTEMPTS = select(*COLUMNS).where(
    dag_run.c.id.in_(select(attempt.c.run_key).where(guards.is_among(attempt.c.id, "ids")))
)

_OF_MOMENTS = select(dag_run.c.team, dag_run.c.dag_id, dag_run.c.logical_time).where(
    dag_run.c.team == bindparam("team"),
    guards.is_among(dag_run.c.dag_id, "dag_ids"),
    guards.is_among(dag_run.c.logical_time, "moments"),
)

_other = dag_run.alias("other")
_NEXT_REVISION: Final = {"revision": dag_run.c.revision + 1}
_FREE_TO_CLAIM = select(dag_run.c.id).where(guards.is_among(dag_run.c.id, "ids"))
_FREE = select(dag_run.c.id).where(guards.is_among(dag_run.c.id, "ids")).correlate(None)


def lock(uow: UnitOfWork, ids: Collection[str]) -> Sequence[Row[Any]]:
    """Lock runs, in the order of their ids; who changes anything in a run locks it first."""
    return uow.execute(uow.dialect.lock_rows(_BY_ID, dag_run), {"ids": list(ids)}).all() if ids else []


def claim(uow: UnitOfWork, ids: Collection[str]) -> frozenset[str]:
    """Lock those of the runs that nobody else has locked; their ids. It waits for no lock."""
    return frozenset(uow.execute(uow.dialect.claim_rows(_FREE_TO_CLAIM, dag_run), {"ids": sorted(ids)}).scalars())


def lock_of_attempts(uow: UnitOfWork, attempt_ids: Collection[str]) -> Sequence[Row[Any]]:
    """Lock the runs to which attempts belong. The attempts are to be read after this, never before."""
    if not attempt_ids:
        return []
    return uow.execute(uow.dialect.lock_rows(_OF_ATTEMPTS, dag_run), {"ids": list(attempt_ids)}).all()


def find(uow: UnitOfWork, team: str, dag_id: str, run_id: str) -> Row[Any] | None:
    """One run by its readable id, not locked."""
    named = and_(dag_run.c.team == team, dag_run.c.dag_id == dag_id, dag_run.c.run_id == run_id)
    return uow.execute(select(*COLUMNS).where(named)).one_or_none()


def add(uow: UnitOfWork, values: RowValues) -> None:
    """Add a run."""
    uow.execute(insert(dag_run), dict(values))


def add_all(uow: UnitOfWork, rows: Sequence[RowValues]) -> frozenset[str]:
    """Add runs, but for those whose readable id their DAG has already; answers the ids of those that were added."""
    added = uow.dialect.insert_ignore(dag_run, rows, ["team", "dag_id", "run_id"], returning=["id"])
    return frozenset(row.id for row in added)


def add_once(uow: UnitOfWork, values: RowValues) -> None:
    """Add a run, unless its DAG has one of that id."""
    uow.dialect.insert_ignore(dag_run, [values], ["team", "dag_id", "run_id"])


def has_open_workload(uow: UnitOfWork, run_key: str) -> bool:
    """Whether a workload beside tasks of a locked run has not ended."""
    query = select(task_instance.c.id).where(
        task_instance.c.run_key == run_key, task_instance.c.task_index < 0, task_instance.c.end_time.is_(None)
    )
    return uow.execute(query.limit(1)).first() is not None


def change(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Change runs that are locked, and raise their revisions."""
    columns = [name for name in rows[0] if name != "id"] if rows else []
    uow.dialect.update_values(dag_run, ["id"], columns, rows, set_all=_NEXT_REVISION)


def set_version(uow: UnitOfWork, run_key: str, dag_version_id: str, numbering_json: str | None) -> None:
    """Let a locked run go on with another version of its DAG."""
    values = {"dag_version_id": dag_version_id, "numbering_json": numbering_json}
    uow.execute(update(dag_run).values(values).where(dag_run.c.id == run_key))


def set_queued_time(uow: UnitOfWork, run_key: str) -> None:
    """Say that a locked run was cleared now."""
    uow.execute(update(dag_run).values(queued_time=uow.now, deadline_missed=False).where(dag_run.c.id == run_key))


@functools.lru_cache(maxsize=4)
def _touching(free: Select[Any]) -> Update:
    return update(dag_run).where(dag_run.c.id.in_(free)).values(_NEXT_REVISION)


def touch_unlocked(uow: UnitOfWork, ids: Collection[str]) -> None:
    """Raise the revisions of runs whose task instances were assigned.

    An assignment does not lock the run, so it must not wait for one: a run that somebody else has locked is about to
    get a new revision anyway.
    """
    uow.execute(_touching(uow.dialect.claim_rows(_FREE, dag_run)), {"ids": list(ids)})


def miss_deadlines(uow: UnitOfWork, ids: Collection[str]) -> None:
    """Note that locked runs have not ended by their deadlines."""
    if ids:
        uow.execute(update(dag_run).values(deadline_missed=True).where(dag_run.c.id.in_(list(ids))))


_BAD = (
    select(task_instance.c.id)
    .where(
        task_instance.c.run_key == bindparam("run_key"),
        guards.is_among(task_instance.c.task_index, "indexes"),
        task_instance.c.map_index == -1,
        guards.is_one_of(task_instance.c.state, ("failed", "upstream_failed", "cancelled")),
    )
    .limit(1)
)


def any_is_bad(uow: UnitOfWork, run_key: str, indexes: Collection[int]) -> bool:
    """Whether one of some tasks of a run failed, failed by its upstream or was cancelled; a mapped one as a whole."""
    return bool(indexes) and uow.execute(_BAD, {"run_key": run_key, "indexes": list(indexes)}).first() is not None


_PREVIOUS = (
    select(_other.c.id)
    .join(dag_run, and_(_other.c.team == dag_run.c.team, _other.c.dag_id == dag_run.c.dag_id))
    .where(dag_run.c.id == bindparam("run_key"), _other.c.logical_time < dag_run.c.logical_time)
    .order_by(_other.c.logical_time.desc(), _other.c.id.desc())
    .limit(1)
)


def find_moments(uow: UnitOfWork, wanted: Collection[tuple[str, str, int]]) -> frozenset[tuple[str, str, int]]:
    """Those of some moments, each with its team and DAG, for which there is a run; the DAGs are locked."""
    found: set[tuple[str, str, int]] = set()
    for team in sorted({team for team, _, _ in wanted}):
        of_team = [each for each in wanted if each[0] == team]
        values = {"team": team, "dag_ids": [each[1] for each in of_team], "moments": [each[2] for each in of_team]}
        found.update((row.team, row.dag_id, row.logical_time) for row in uow.execute(_OF_MOMENTS, values))
    return frozenset(found)


def find_previous(uow: UnitOfWork, run_key: str) -> str | None:
    """The run of the same DAG with the greatest logical time before a run's own; None: there is none."""
    found: str | None = uow.execute(_PREVIOUS, {"run_key": run_key}).scalar_one_or_none()
    return found


# A run without logical time is as late as the moment at which it was queued.
_LATER = (
    select(_other.c.id)
    .join(dag_run, and_(_other.c.team == dag_run.c.team, _other.c.dag_id == dag_run.c.dag_id))
    .where(
        dag_run.c.id == bindparam("run_key"),
        _other.c.run_type == literal_column("'scheduled'"),
        _other.c.id != dag_run.c.id,
        or_(
            _other.c.logical_time > dag_run.c.logical_time,
            and_(dag_run.c.logical_time.is_(None), _other.c.queued_time > dag_run.c.queued_time),
        ),
    )
    .limit(1)
)


def has_later_scheduled(uow: UnitOfWork, run_key: str) -> bool:
    """Whether the DAG of a run has a scheduled run that is later."""
    return uow.execute(_LATER, {"run_key": run_key}).first() is not None


_FACTS = select(
    dag_run.c.id,
    dag_run.c.conf_message,
    dag_run.c.logical_time,
    dag_run.c.data_interval_start,
    dag_run.c.data_interval_end,
    dag_run.c.partition_key,
).where(guards.is_among(dag_run.c.id, "ids"))


def facts(uow: UnitOfWork, ids: Collection[str]) -> Sequence[Row[Any]]:
    """What tasks are told of their runs beside what scheduling needs; it never changes."""
    return uow.execute(_FACTS, {"ids": list(ids)}).all() if ids else []
