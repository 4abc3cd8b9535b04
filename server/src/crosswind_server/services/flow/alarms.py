"""The timers of DAGs, runs and backfills: their kinds, their subjects, and how one is set.

Here belongs what others set without knowing what follows. That is in the module of each kind: `active_runs`,
`schedules`, `run_limits`, `backfills`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from crosswind_server.store import timers
from crosswind_server.store.unit_of_work import UnitOfWork

SCHEDULE: Final = "schedule"
"""Of a DAG: its schedule wants a run."""
PROMOTE: Final = "promote"
"""Of a DAG: a run may have room to begin."""
RUN_TIMEOUT: Final = "run_timeout"
"""Of a run: it lasts longer than its DAG allows."""
DEADLINE: Final = "deadline"
"""Of a run: by now it should have ended."""
BACKFILL: Final = "backfill"
"""Of a backfill: it may have runs to create, or be done."""

_LOCKED_BY_ANOTHER_US: Final = 100_000


def subject_of(team: str, dag_id: str) -> str:
    """The subject of a DAG's timers."""
    return f"{team}/{dag_id}"


def dag_of(subject: str) -> tuple[str, str]:
    """Team and id of the DAG that a timer is of: an id has no slash."""
    team, _, dag_id = subject.rpartition("/")
    return team, dag_id


def ask_promotion(uow: UnitOfWork, dags: Iterable[tuple[str, str]], *, soon: bool = False) -> None:
    """Let queued runs of DAGs begin, in a transaction of its own, as many as may.

    Whoever holds the lock of a run must not lock its DAG, so it asks. Asking twice is as asking once.

    Args:
        dags: their teams and ids.
        soon: not at once, but when whoever holds a lock now has gone.
    """
    due = uow.now + (_LOCKED_BY_ANOTHER_US if soon else 0)
    timers.put(uow, PROMOTE, dict.fromkeys(sorted(subject_of(*each) for each in dags), due))


def ask_backfills(uow: UnitOfWork, ids: Collection[str], *, soon: bool = False) -> None:
    """Let backfills create their next runs, or end, in a transaction of their own."""
    due = uow.now + (_LOCKED_BY_ANOTHER_US if soon else 0)
    timers.put(uow, BACKFILL, dict.fromkeys(sorted(ids), due))
