"""Callbacks of runs that have ended which nobody can run any more: after a week they fail, and say so. [SCHED-3]

Looked at once an hour. Where a worker offers the DAG's current version, `version_policy` has decided before.
"""

from __future__ import annotations

from typing import Final

from crosswind_server import manifests
from crosswind_server.domain.states import TaskState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow import progress
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.flow.lost_versions import VERSION_GONE
from crosswind_server.store import stranded
from crosswind_server.store.unit_of_work import UnitOfWork

KEPT_DAYS: Final = 7
"""For so long a callback waits, ready, for a worker that offers its DAG's version."""
_KEPT_US: Final = KEPT_DAYS * 86_400_000_000
_AWAY_US: Final = 1_800_000_000
"""A worker that is away for less may just be starting again: then one look has found it away, and the next does not."""


class AbandonedCallbacks:
    """The looking, in transactions that somebody else commits.

    Args:
        plans: the DAG versions.
    """

    def __init__(self, plans: PlanCache) -> None:
        self._plans = plans
        # Runs with such callbacks, and when the first look without a break found them.
        self._seen: dict[str, int] = {}

    def look(self, uow: UnitOfWork) -> int:
        """Let the callbacks fail that were found before; answers how many."""
        before = uow.now - _KEPT_US
        found = stranded.runs_with_abandoned(uow, before=before, limit=PIECE)
        self._seen = {run_key: self._seen.get(run_key, uow.now) for run_key in found}
        due = [run_key for run_key, since in self._seen.items() if uow.now - since >= _AWAY_US]
        if not due:
            return 0
        board = Board(uow, self._plans)
        board.lock_runs(due)
        abandoned = board.put_rows(stranded.lock_abandoned(uow, list(board.runs), before=before, limit=PIECE))
        for callback in abandoned:
            text = (
                f"No worker has offered the version of the DAG that has '{callback.workload_entry_point}' for"
                f" {KEPT_DAYS} days since the callback was ready."
            )
            failure = manifests.failure_message(VERSION_GONE, text, retryable=False)
            board.end(callback, TaskState.FAILED, failure=failure)
        progress.advance(board)
        return len(abandoned)
