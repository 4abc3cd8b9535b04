"""Latest-only tasks: decided by the server, with no worker, when they would be queued."""

from __future__ import annotations

from collections.abc import Sequence

from crosswind_server.domain.skipping import ALL_DIRECT, is_outdated, may_be_outdated
from crosswind_server.domain.states import TaskState
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Instance, Run
from crosswind_server.store import dags, runs


def decide(board: Board, instances: Sequence[Instance]) -> None:
    """Let them succeed, and skip what directly follows them in a run that is not the latest of its DAG's schedule."""
    for instance in instances:
        run = board.runs[instance.run_key]
        skips = ALL_DIRECT.to_json() if _is_outdated(board, run) else None
        instance.queued_time = board.uow.now
        board.end(instance, TaskState.SUCCEEDED, skips=skips)


def _is_outdated(board: Board, run: Run) -> bool:
    if not may_be_outdated(run.run_type):
        return False
    if runs.has_later_scheduled(board.uow, run.id):
        return True
    (dag,) = dags.get(board.uow, run.team, [run.dag_id])
    return is_outdated(has_later_run=False, next_run_time=dag.next_run_time, now=board.uow.now)
