"""Questions of tasks to people: adding, finding, answering and closing them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, select, update

from crosswind_server.store import guards, task_instances
from crosswind_server.store.dialect import RowValues
from crosswind_server.store.schema import dag_run, input_request, task_instance
from crosswind_server.store.unit_of_work import UnitOfWork

_r = input_request.c
_IS_OPEN = guards.is_one_of(_r.state, ("open",))
_LISTED = (
    select(
        input_request,
        dag_run.c.dag_id,
        dag_run.c.run_id,
        task_instance.c.task_id,
        task_instances.SUBJECT_MAP_INDEX.label("map_index"),
    )
    .join(task_instance, task_instance.c.id == _r.task_instance_id)
    .join(dag_run, dag_run.c.id == _r.run_key)
)


def topic(team: str) -> str:
    """What is hinted when a team's open requests change."""
    return f"inputs:{team}"


def add(uow: UnitOfWork, rows: Sequence[RowValues]) -> None:
    """Add requests. The database refuses a second open one of a task instance."""
    uow.dialect.insert_many(input_request, rows)


def get(uow: UnitOfWork, request_id: str, team: str) -> Row[Any] | None:
    """A request with the names of its task instance."""
    return uow.execute(_LISTED.where(_r.id == request_id, _r.team == team)).one_or_none()


def list_all(
    uow: UnitOfWork,
    team: str,
    *,
    states: Collection[str],
    dag_id: str,
    run_id: str,
    after_id: str | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """List requests in some states, the oldest first, with the names of their task instances."""
    query = _LISTED.where(_r.team == team)
    query = query.where(_IS_OPEN) if set(states) == {"open"} else query.where(_r.state.in_(sorted(states)))
    if dag_id:
        query = query.where(dag_run.c.dag_id == dag_id)
    if run_id:
        query = query.where(dag_run.c.run_id == run_id)
    if after_id is not None:
        query = query.where(_r.id > after_id)
    return uow.execute(query.order_by(_r.id).limit(limit)).all()


def open_of(uow: UnitOfWork, instance_ids: Collection[str]) -> Sequence[Row[Any]]:
    """The open requests of task instances of locked runs."""
    query = select(input_request).where(guards.is_among(_r.task_instance_id, "ids"), _IS_OPEN)
    return uow.execute(query, {"ids": list(instance_ids)}).all() if instance_ids else []


def newest_of(uow: UnitOfWork, instance_id: str) -> Row[Any] | None:
    """The newest request of a task instance, whatever its state."""
    query = select(input_request).where(_r.task_instance_id == instance_id).order_by(_r.id.desc()).limit(1)
    return uow.execute(query).one_or_none()


def close(uow: UnitOfWork, rows: Sequence[RowValues]) -> int:
    """Close open requests: rows with `id`, `state` and, for all of them or none, the answer. Answers how many."""
    columns = [name for name in rows[0] if name != "id"] if rows else []
    return uow.dialect.update_and_count(input_request, ["id"], columns, rows, where=_IS_OPEN)


def cancel_of(uow: UnitOfWork, instance_ids: Collection[str]) -> None:
    """Cancel the open requests of task instances of locked runs."""
    if instance_ids:
        uow.execute(
            update(input_request)
            .values(state="cancelled")
            .where(guards.is_among(_r.task_instance_id, "ids"), _IS_OPEN),
            {"ids": list(instance_ids)},
        )
