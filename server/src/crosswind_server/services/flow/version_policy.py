"""What happens to runs whose version no live worker offers any more. [SCHED-3]

Looked at whenever offers change. While no live worker offers the DAG's current version either, runs wait.
"""

from __future__ import annotations

from collections.abc import Collection

from crosswind_server import manifests
from crosswind_server.domain.plan import VersionPolicy, offer_key_of
from crosswind_server.domain.states import TaskState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import progress
from crosswind_server.services.flow.board import Board, Run, instance_of
from crosswind_server.services.flow.settlement import removed
from crosswind_server.store import runs, task_instances
from crosswind_server.store.unit_of_work import UnitOfWork

VERSION_GONE = "crosswind.VersionGone"


def apply(uow: UnitOfWork, plans: PlanCache, *, team: str, bundles: Collection[str]) -> None:
    """Let the stranded runs of the bundles' DAGs go on with the current version, or fail, as their DAGs say."""
    if not bundles:
        return
    stranded = runs.lock_stranded(uow, team, bundles)
    if not stranded:
        return
    board = Board(uow, plans)
    current: dict[str, str] = {}
    for row in stranded:
        values = tuple(row)
        run = Run(*values[: len(runs.COLUMNS)])
        board.runs[run.id] = run
        current[run.id] = row.current_version_id
    for row in task_instances.lock_idle_of_runs(uow, list(board.runs)):
        instance = board.put(instance_of(row))
        run = board.runs[instance.run_key]
        own = instance.offer_key.startswith("dag:") and instance.state != TaskState.EXPANDED
        if not own:
            continue
        if board.plan_of(run).version_policy is VersionPolicy.FAIL:
            text = "No worker offers this run's version any more, and its DAG says that it then fails; trigger it anew."
            failure = manifests.failure_message(VERSION_GONE, text, retryable=False)
            board.end(instance, TaskState.FAILED, failure=failure)
        elif instance.task_index >= 0 and instance.task_id not in plans.get(uow, current[run.id]).by_id:
            board.end(instance, TaskState.FAILED, failure=removed(instance.task_id))
        else:
            instance.offer_key = offer_key_of(current[run.id])
            board.touch(instance)
    for run in board.runs.values():
        run.code_version_id = current[run.id]
        board.touch_run(run)
    progress.advance(board, causes=len(board.instances))
    uow.hint(f"work:{team}")
