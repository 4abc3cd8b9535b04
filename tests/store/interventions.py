"""What people do to runs and task instances of a `Flow`: clear, mark and cancel."""

from typing import Any

from sqlalchemy import func, select

from crosswind_server.domain.states import RunState, TaskState
from crosswind_server.services.interventions import clearing, ending
from crosswind_server.services.interventions.choosing import Cleared, ClearTasks, TaskSelection
from crosswind_server.services.interventions.ending import TaskName
from crosswind_server.store.group_commit import each
from crosswind_server.store.schema import dag_run, task_instance
from tests.store.flow import TEAM, Flow


def names_of(flow: Flow, run: str) -> dict[str, Any]:
    """How people name a run."""
    row = flow.row(dag_run, run)
    return {"team": TEAM, "dag_id": row.dag_id, "run_id": row.run_id}


def clear(flow: Flow, run: str, *tasks: str | tuple[str, int], **fields: Any) -> Cleared:
    """Clear tasks, instances of mapped ones by task and index, or the whole run where none is named."""
    selections = tuple(TaskSelection(t) if isinstance(t, str) else TaskSelection(*t) for t in tasks) or None
    command = ClearTasks(**{**names_of(flow, run), **fields}, selections=selections, subject="ann")
    return flow.store.write_blocking(each(lambda uow, _: clearing.clear(uow, flow.heart.plans, command)), None)


def mark(flow: Flow, run: str, task_id: str, state: str, map_index: int | None = None) -> None:
    """Say how a task instance ended."""
    name = TaskName(**names_of(flow, run), task_id=task_id, map_index=map_index)
    wanted = TaskState(state)
    flow.store.write_blocking(
        each(lambda uow, _: ending.mark(uow, flow.heart.plans, name, wanted, subject="ann")), None
    )


def mark_run(flow: Flow, run: str, state: str) -> None:
    """Say how a run ended."""
    names, wanted = names_of(flow, run), RunState(state)
    flow.store.write_blocking(
        each(lambda uow, _: ending.mark_run(uow, flow.heart.plans, **names, state=wanted, subject="ann")), None
    )


def cancel_task(flow: Flow, run: str, task_id: str, map_index: int | None = None) -> None:
    """Cancel a task instance."""
    name = TaskName(**names_of(flow, run), task_id=task_id, map_index=map_index)
    flow.store.write_blocking(each(lambda uow, _: ending.cancel(uow, flow.heart.plans, name, subject="ann")), None)


def check_counts(flow: Flow, run: str) -> None:
    """What is counted of a run is what there is."""
    t = task_instance.c
    query = (
        select(func.count()).select_from(task_instance).where(t.run_key == run, t.end_time.is_(None), t.task_index >= 0)
    )
    row = flow.row(dag_run, run)
    assert row.unfinished == flow.store.read_blocking(lambda uow: uow.execute(query).scalar_one())
    assert row.holds == flow.left_behind() or row.holds == 0
