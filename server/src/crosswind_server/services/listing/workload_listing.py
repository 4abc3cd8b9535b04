"""Workloads beside tasks for people: triggers, callbacks and timetables, and why they wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from crosswind_server import manifests
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.ids import PageKey
from crosswind_server.domain.states import Workload
from crosswind_server.services.execution.logs import LogPiece
from crosswind_server.services.listing import log_reading
from crosswind_server.services.listing.log_reading import LogWanted
from crosswind_server.services.listing.run_listing import find_run
from crosswind_server.services.listing.waiting import Waiting, explain_workloads
from crosswind_server.store import task_listing, workload_listing
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.store.workload_listing import WorkloadFilter

KINDS: Final = tuple(each.value for each in Workload if each is not Workload.TASK)
"""What a workload beside tasks can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedWorkload:
    """A workload: its row, what a callback is called for, and why it waits. A timetable has no run that people see."""

    row: Any
    run_id: str
    bundle: str
    event: str
    max_tries: int
    waiting: Waiting | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadsWanted:
    """Which workloads are wanted; empty means any. `run_id` needs `dag_id`."""

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    kinds: tuple[str, ...] = ()
    states: tuple[str, ...] = ()


def list_workloads(
    uow: UnitOfWork, team: str, wanted: WorkloadsWanted, *, after: PageKey, limit: int
) -> Sequence[ListedWorkload]:
    """List workloads, the newest first. Raises `Refused`: RUN_NOT_FOUND.

    Args:
        after: what `page_key` says of the last one of the page before; None: the first page.
    """
    narrowed = WorkloadFilter(dag_id=wanted.dag_id, task_id=wanted.task_id, kinds=wanted.kinds, states=wanted.states)
    if wanted.run_id:
        run = find_run(uow, team, wanted.dag_id, wanted.run_id)
        before = int(after) if after is not None else None
        rows = workload_listing.list_of_run(uow, run.id, narrowed, before=before, limit=limit)
    else:
        before_id = str(after) if after is not None else None
        rows = workload_listing.list_of_team(uow, team, narrowed, before_id=before_id, limit=limit)
    return _complete(uow, team, rows)


def page_key(listed: ListedWorkload, wanted: WorkloadsWanted) -> PageKey:
    """Where a workload stands in the listing."""
    key: PageKey = listed.row.map_index if wanted.run_id else listed.row.id
    return key


def get_workload(uow: UnitOfWork, team: str, workload_id: str) -> ListedWorkload:
    """One workload. Raises `Refused`: WORKLOAD_NOT_FOUND."""
    return _complete(uow, team, [_find(uow, team, workload_id)])[0]


def list_attempts(uow: UnitOfWork, team: str, workload_id: str, *, before_id: str | None, limit: int) -> Sequence[Any]:
    """List the attempts of a workload, the newest first. Raises `Refused`: WORKLOAD_NOT_FOUND."""
    row = _find(uow, team, workload_id)
    return task_listing.list_attempts(uow, row.id, before_id=before_id, limit=limit)


def read_log(uow: UnitOfWork, team: str, workload_id: str, wanted: LogWanted) -> LogPiece:
    """Read a part of the log of a workload's attempt. Raises `Refused`: WORKLOAD_NOT_FOUND or LOG_NOT_FOUND."""
    row = _find(uow, team, workload_id)
    metadata = {"workload_id": workload_id}
    return log_reading.read_piece(uow, row.id, wanted, of=f"The workload {workload_id}", metadata=metadata)


def _find(uow: UnitOfWork, team: str, workload_id: str) -> Any:
    row = workload_listing.get(uow, team, workload_id)
    if row is None:
        raise Refused(
            Reason.WORKLOAD_NOT_FOUND,
            f"There is no workload '{workload_id}'; `crosswind workloads list` shows them.",
            metadata={"workload_id": workload_id},
        )
    return row


def _complete(uow: UnitOfWork, team: str, rows: Sequence[Any]) -> Sequence[ListedWorkload]:
    waiting = explain_workloads(uow, team, rows)
    return [
        ListedWorkload(
            row=row,
            # The run that holds what a timetable was asked is none to anybody.
            run_id="" if row.workload == Workload.TIMETABLE else row.run_id,
            bundle=_bundle_of(row),
            event=manifests.callback_event(row.workload_message) if row.workload == Workload.CALLBACK else "",
            max_tries=0 if row.workload == Workload.TIMETABLE else row.max_tries,
            waiting=waiting.get(row.id),
        )
        for row in rows
    ]


def _bundle_of(row: Any) -> str:
    kind, _, name = row.offer_key.partition(":")
    return name.partition("/")[0].partition("@")[0] if kind == "ref" else row.bundle or ""
