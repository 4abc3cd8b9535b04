"""The one query behind every call of a task: the attempt that it names, and where it stands. [AUTH-1]"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from crosswind_server.store import task_instances
from crosswind_server.store.schema import attempt, dag_run, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """An attempt with its task instance and run."""

    attempt_id: str
    lease: bytes
    state: str
    instance_id: str
    team: str
    task_instance_id: str
    run_key: str
    task_id: str
    map_index: int
    task_index: int
    dag_id: str
    run_id: str
    dag_version_id: str


_ATTEMPT = (
    select(
        attempt.c.id.label("attempt_id"),
        attempt.c.lease,
        attempt.c.state,
        attempt.c.instance_id,
        attempt.c.team,
        attempt.c.task_instance_id,
        attempt.c.run_key,
        task_instance.c.task_id,
        task_instances.SUBJECT_MAP_INDEX.label("map_index"),
        task_instance.c.task_index,
        dag_run.c.dag_id,
        dag_run.c.run_id,
        dag_run.c.dag_version_id,
    )
    .join(task_instance, task_instance.c.id == attempt.c.task_instance_id)
    .join(dag_run, dag_run.c.id == attempt.c.run_key)
    .where(attempt.c.id == bindparam("wanted"))
)
_LOCKED_ATTEMPT = _ATTEMPT.with_for_update(of=attempt, read=True)


def get_attempt(uow: UnitOfWork, attempt_id: str, *, lock: bool) -> AttemptRow | None:
    """Read an attempt; `lock` keeps it from ending until the transaction does, so that the lease holds to its end."""
    found = uow.execute(_LOCKED_ATTEMPT if lock else _ATTEMPT, {"wanted": attempt_id})
    row = found.mappings().first()
    return None if row is None else AttemptRow(**{**row, "lease": bytes(row["lease"])})
