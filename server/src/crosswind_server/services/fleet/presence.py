"""Whether a worker instance may call: known, and neither replaced nor gone. [WORKER-1]"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.states import WorkerState
from crosswind_server.store import workers
from crosswind_server.store.unit_of_work import UnitOfWork

_ENDED = frozenset({WorkerState.SUPERSEDED, WorkerState.GONE})


def refusal_of(row: Row[Any] | None, *, team: str, instance_id: str) -> Refused | None:
    """Why a worker instance may not call, None if it may."""
    if row is None or row.team != team:
        return Refused(
            Reason.WORKER_UNKNOWN,
            f"The worker instance {instance_id!r} is not registered; register it first.",
            metadata={"instance_id": instance_id},
        )
    if WorkerState(row.state) in _ENDED:
        return Refused(
            Reason.WORKER_SUPERSEDED,
            f"The worker '{row.name}' has a newer instance, or said goodbye; end all tasks of this one and stop it.",
            metadata={"worker": row.name, "instance_id": instance_id, "state": row.state},
        )
    return None


def require_live(uow: UnitOfWork, team: str, instance_id: str) -> Row[Any]:
    """The worker instance.

    Raises:
        Refused: WORKER_UNKNOWN or WORKER_SUPERSEDED.
    """
    row = workers.get(uow, [instance_id]).get(instance_id)
    refusal = refusal_of(row, team=team, instance_id=instance_id)
    if refusal is not None:
        raise refusal
    assert row is not None
    return row
