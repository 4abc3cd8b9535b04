"""DAG runs for people and for tasks that look at them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.states import RunState
from crosswind_server.services.listing.waiting import Waiting, explain_queued_run
from crosswind_server.store import run_listing as rows
from crosswind_server.store.run_listing import RunFilter
from crosswind_server.store.unit_of_work import UnitOfWork

__all__ = [
    "ListedRun",
    "RunFilter",
    "find_previous",
    "find_run",
    "get_run",
    "list_instance_states",
    "list_runs",
    "run_not_found",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """A run with what a list shows of it. Times are microseconds since the epoch."""

    key: str
    dag_id: str
    run_id: str
    run_type: str
    state: str
    dag_version_id: str
    bundle: str
    bundle_version: str
    conf_message: bytes | None
    logical_us: int | None
    interval_start_us: int | None
    interval_end_us: int | None
    queued_us: int
    start_us: int | None
    end_us: int | None
    note: str
    triggered_by: str
    revision: int
    task_counts: Mapping[str, int]
    backfill_id: str
    partition_key: str
    deadline_us: int | None
    deadline_missed: bool
    waiting: Waiting | None


def topic(run_key: str) -> str:
    """What is hinted when a run's revision changes."""
    return f"run:{run_key}"


def list_runs(
    uow: UnitOfWork, team: str, wanted: RunFilter, *, before_id: str | None, limit: int
) -> Sequence[ListedRun]:
    """List runs, created last first."""
    return _complete(uow, rows.list_runs(uow, team, wanted, before_id=before_id, limit=limit))


def get_run(uow: UnitOfWork, team: str, dag_id: str, run_id: str) -> ListedRun:
    """One run. Raises `Refused`: RUN_NOT_FOUND."""
    return _complete(uow, [find_run(uow, team, dag_id, run_id)])[0]


def find_previous(uow: UnitOfWork, team: str, dag_id: str, run_id: str, *, state: str | None) -> ListedRun | None:
    """The run before a run, or the one before it in a state; None: there is none. Raises `Refused`: RUN_NOT_FOUND."""
    row = rows.previous_run(uow, find_run(uow, team, dag_id, run_id), state)
    return None if row is None else _complete(uow, [row])[0]


def find_run(uow: UnitOfWork, team: str, dag_id: str, run_id: str) -> Any:
    """The row of one run. Raises `Refused`: RUN_NOT_FOUND."""
    row = rows.get_run(uow, team, dag_id, run_id)
    if row is None:
        raise run_not_found(dag_id, run_id)
    return row


def set_note(uow: UnitOfWork, team: str, dag_id: str, run_id: str, *, note: str | None) -> ListedRun:
    """Change the note of a run; None leaves it. Raises `Refused`: RUN_NOT_FOUND or INVALID_ARGUMENT."""
    row = find_run(uow, team, dag_id, run_id)
    if note is not None:
        check_note(note)
        rows.set_note(uow, row.id, note)
        uow.hint(topic(row.id))
    return get_run(uow, team, dag_id, run_id)


def check_note(note: str) -> None:
    """Raises `Refused`: INVALID_ARGUMENT."""
    if len(note.encode()) > 4 * 1024:
        raise Refused(
            Reason.INVALID_ARGUMENT, "The note of a run has at most 4 KiB; shorten it.", metadata={"field": "note"}
        )


def list_instance_states(
    uow: UnitOfWork, run_key: str, *, task_ids: Collection[str], after: tuple[int, int] | None, limit: int
) -> Sequence[Any]:
    """List `task_index`, `task_id`, `map_index` and `state` of a run's task instances, in that order."""
    return rows.list_instance_states(uow, run_key, task_ids=task_ids, after=after, limit=limit)


def run_not_found(dag_id: str, run_id: str) -> Refused:
    """The refusal of a run that is not there."""
    return Refused(
        Reason.RUN_NOT_FOUND,
        f"The DAG '{dag_id}' has no run '{run_id}'; `crosswind runs list` shows the runs.",
        metadata={"dag_id": dag_id, "run_id": run_id},
    )


def _complete(uow: UnitOfWork, found: Sequence[Any]) -> Sequence[ListedRun]:
    keys = [row.id for row in found]
    counts = rows.count_tasks(uow, keys)
    versions = rows.first_bundle_versions(uow, keys)
    paused = rows.paused_dags(uow, [(row.team, row.dag_id) for row in found if row.state == RunState.QUEUED])
    return [
        ListedRun(
            key=row.id,
            dag_id=row.dag_id,
            run_id=row.run_id,
            run_type=row.run_type,
            state=row.state,
            dag_version_id=row.code_version_id,
            bundle=row.bundle or "",
            bundle_version=versions.get(row.id, ""),
            conf_message=row.conf_message,
            logical_us=row.logical_time,
            interval_start_us=row.data_interval_start,
            interval_end_us=row.data_interval_end,
            queued_us=row.queued_time,
            start_us=row.start_time,
            end_us=row.end_time,
            note=row.note,
            triggered_by=row.triggered_by,
            revision=row.revision,
            task_counts=counts.get(row.id, {}),
            backfill_id=row.backfill_id or "",
            partition_key=row.partition_key,
            deadline_us=row.deadline_time,
            deadline_missed=row.deadline_missed,
            waiting=explain_queued_run(row, paused=(row.team, row.dag_id) in paused)
            if row.state == RunState.QUEUED
            else None,
        )
        for row in found
    ]
