"""Which task instances wait for tasks of an earlier run to end well. Who changes them has locked that run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, delete, select

from crosswind_server.store import guards
from crosswind_server.store.schema import dag_run, past_wait
from crosswind_server.store.unit_of_work import UnitOfWork

_w = past_wait.c


def add(uow: UnitOfWork, awaited_run_key: str, task_ids: Collection[str], *, instance_id: str, run_key: str) -> None:
    """Note that an instance waits for tasks of an earlier run; what was noted before stays."""
    rows = [
        {"awaited_run_key": awaited_run_key, "task_id": task_id, "instance_id": instance_id, "run_key": run_key}
        for task_id in task_ids
    ]
    uow.dialect.insert_ignore(past_wait, rows, ["awaited_run_key", "task_id", "instance_id"])


def take(uow: UnitOfWork, awaited_run_key: str, task_ids: Collection[str]) -> Sequence[Row[Any]]:
    """Which instances wait for one of the tasks; they are forgotten."""
    named = (_w.awaited_run_key == awaited_run_key, guards.is_among(_w.task_id, "task_ids"))
    query = select(_w.instance_id, _w.run_key).where(*named).distinct()
    rows = uow.execute(query, {"task_ids": list(task_ids)}).all()
    if rows:
        uow.execute(delete(past_wait).where(*named), {"task_ids": list(task_ids)})
    return rows


def awaited(uow: UnitOfWork, instance_ids: Collection[str]) -> Sequence[Row[Any]]:
    """For what of which earlier run instances wait: `instance_id`, `task_id` and `run_id`."""
    if not instance_ids:
        return []
    query = (
        select(_w.instance_id, _w.task_id, dag_run.c.run_id)
        .join(dag_run, dag_run.c.id == _w.awaited_run_key)
        .where(guards.is_among(_w.instance_id, "ids"))
        .order_by(_w.instance_id, _w.task_id)
    )
    return uow.execute(query, {"ids": list(instance_ids)}).all()
