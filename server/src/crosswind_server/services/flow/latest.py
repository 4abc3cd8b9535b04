"""Latest-only tasks: decided by the server, with no worker, when they would be queued."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crosswind_server.domain.skipping import ALL_DIRECT
from crosswind_server.domain.states import TaskState
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Instance, Run
from crosswind_server.store import dags, runs

_BOUND_TO_TIME: Final = frozenset({"scheduled", "backfill", "asset"})
"""Types of runs that may be outdated; one that a person or a task triggered never is."""


def decide(board: Board, instances: Sequence[Instance]) -> None:
    """Let them succeed, and skip what directly follows them in a run that is not the latest of its DAG's schedule."""
    for instance in instances:
        run = board.runs[instance.run_key]
        skips = None if _is_latest(board, run) else ALL_DIRECT.to_json()
        instance.queued_time = board.uow.now
        board.end(instance, TaskState.SUCCEEDED, skips=skips)


def _is_latest(board: Board, run: Run) -> bool:
    if run.run_type not in _BOUND_TO_TIME:
        return True
    if runs.has_later_scheduled(board.uow, run.id):
        return False
    (dag,) = dags.get(board.uow, run.team, [run.dag_id])
    return dag.next_run_time is None or dag.next_run_time > board.uow.now
