"""The door of TaskService: every call enters by its attempt's lease, in the transaction that answers it. [AUTH-1]"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from crosswind_server.rpc.authentication import attempt
from crosswind_server.rpc.messages import change
from crosswind_server.services.dependencies import Services, UnitOfWork
from crosswind_server.services.execution.attempt_access import AttemptScope, enter

M = TypeVar("M", bound=Message)
R = TypeVar("R")


class TaskDoor:
    """What the parts of the servicer share."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._plans = services.heart.plans

    async def _read(self, read: Callable[[UnitOfWork, AttemptScope], R]) -> R:
        proof, plans = attempt(), self._plans
        return await self._services.store.read(lambda uow: read(uow, enter(uow, plans, proof, writing=False)))

    async def _change(
        self, request: Message, response_type: type[M], act: Callable[[UnitOfWork, AttemptScope], M]
    ) -> M:
        proof, plans = attempt(), self._plans
        scopes: list[AttemptScope] = []

        def check(uow: UnitOfWork) -> None:
            # Before the answer that was given first, too: a task whose lease was revoked learns nothing any more.
            scopes[:] = [enter(uow, plans, proof, writing=True)]

        return await change(
            self._services, request, response_type, lambda uow: act(uow, scopes[0]), check=check, team=proof.team
        )


def run_of(named: Any, scope: AttemptScope) -> tuple[str, str]:
    """DAG and run that a message names, the caller's where it names none."""
    dag_id = named.dag_id if named.HasField("dag_id") else scope.attempt.dag_id
    return dag_id, named.run_id if named.HasField("run_id") else scope.attempt.run_id
