"""TaskService: the state store of task instances and assets."""

from __future__ import annotations

from crosswind.execution.v1 import task_service_pb2 as messages
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server import manifests
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.landing_messages import read_state_write
from crosswind_server.rpc.messages import invalid, required
from crosswind_server.rpc.task_door import TaskDoor
from crosswind_server.services.catalog.asset_relations import identify
from crosswind_server.services.dependencies import UnitOfWork
from crosswind_server.services.execution import state_store
from crosswind_server.services.execution.attempt_access import AttemptScope
from crosswind_server.services.listing import asset_listing


class StateCalls(TaskDoor):
    """Values that outlive a try."""

    async def GetState(self, request: messages.GetStateRequest, context: ServicerContext) -> messages.GetStateResponse:
        key = state_store.check_key(required(request.key, "key"), "key")
        owner = _asset_of(request.owner)

        def read(uow: UnitOfWork, scope: AttemptScope) -> state_store.StateValue | None:
            if owner is None:
                return state_store.read(uow, scope.attempt.task_instance_id, key)
            asset_id = asset_listing.find_id(uow, scope.team, owner.name)
            return None if asset_id is None else state_store.read(uow, asset_id, key)

        found = await self._read(read)
        if found is None:
            return messages.GetStateResponse()
        return messages.GetStateResponse(value=Payload.FromString(found.value), revision=found.revision)

    async def SetState(self, request: messages.SetStateRequest, context: ServicerContext) -> messages.SetStateResponse:
        if not request.HasField("write"):
            raise invalid("write", "`write` is missing; give it.")
        write = read_state_write(request.write, "write")
        owner = _asset_of(request.owner)
        expected = request.expected_revision if request.HasField("expected_revision") else None

        def act(uow: UnitOfWork, scope: AttemptScope) -> messages.SetStateResponse:
            owner_id = scope.attempt.task_instance_id
            if owner is not None:
                owner_id = identify(uow, scope.team, [owner])[owner.name]
            revision = state_store.write(uow, owner_id, write, expected_revision=expected)
            return messages.SetStateResponse(revision=revision)

        return await self._change(request, messages.SetStateResponse, act)


def _asset_of(owner: messages.StateOwner) -> manifests.AssetRef | None:
    """The asset that owns a state; None: the calling task instance does."""
    if owner.WhichOneof("owner") != "asset":
        return None
    return manifests.check_reference(owner.asset, "owner.asset")
