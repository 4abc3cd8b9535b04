"""Questions of tasks, for people and for the tasks themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from crosswind_server.store import input_requests
from crosswind_server.store.unit_of_work import UnitOfWork

STATES: Final = ("open", "answered", "expired", "cancelled")
"""What a question can be."""


def topic(team: str) -> str:
    """What is hinted when a team's questions change."""
    return input_requests.topic(team)


def list_requests(
    uow: UnitOfWork,
    team: str,
    *,
    states: Collection[str],
    dag_id: str,
    run_id: str,
    after_id: str | None,
    limit: int,
) -> Sequence[Any]:
    """List questions in some states, the oldest first."""
    return input_requests.list_all(
        uow, team, states=states, dag_id=dag_id, run_id=run_id, after_id=after_id, limit=limit
    )


def newest_answer(uow: UnitOfWork, instance_id: str) -> Any | None:
    """The newest question of a task instance, where it has an answer; None: it has none."""
    row = input_requests.newest_of(uow, instance_id)
    return row if row is not None and row.answer_time is not None else None
