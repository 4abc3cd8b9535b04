"""The worker's end of a task's channel, without a worker: it answers real messages of `TaskService` from memory.

The values that it holds are what a test puts there; it is no server, and no test of rules may rest on it.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from crosswind.client.errors import NOT_FOUND, RESOURCE_EXHAUSTED, CallError
from crosswind.execution.v1 import task_service_pb2 as service
from crosswind.execution.v1.lease_pb2 import Connection, Variable
from crosswind.execution.v1.xcom_pb2 import XComKey
from crosswind.value.v1.value_pb2 import Payload

PREFIX = "/crosswind.execution.v1.TaskService/"


class MemoryChannel:
    """A `Channel` that answers from memory.

    Args:
        variables: by key.
        connections: by id.
        xcoms: by (task id, key).
    """

    def __init__(
        self,
        *,
        variables: dict[str, str] | None = None,
        connections: dict[str, Connection] | None = None,
        xcoms: dict[tuple[str, str], Payload] | None = None,
    ) -> None:
        self.variables = variables or {}
        self.connections = connections or {}
        self.xcoms = xcoms or {}
        self.requests: list[Message] = []
        self.too_large: set[str] = set()

    def call(self, method: str, request: bytes, timeout: float | None) -> bytes:
        name = method.removeprefix(PREFIX)
        message = getattr(service, f"{name}Request").FromString(request)
        self.requests.append(message)
        if "request_id" in message.DESCRIPTOR.fields_by_name:
            assert message.request_id
        handler: Callable[[Any], Message] = getattr(self, f"_{name}")
        return bytes(handler(message).SerializeToString())

    def notify(self, method: str, notice: bytes) -> None:
        raise AssertionError(f"nothing was to be sent to {method}")

    def _GetVariable(self, request: service.GetVariableRequest) -> Message:
        if request.key not in self.variables:
            raise CallError(NOT_FOUND, "VARIABLE_NOT_FOUND", f"no {request.key}")
        return service.GetVariableResponse(variable=Variable(key=request.key, value=self.variables[request.key]))

    def _SetVariable(self, request: service.SetVariableRequest) -> Message:
        self.variables[request.key] = request.value
        return service.SetVariableResponse()

    def _DeleteVariable(self, request: service.DeleteVariableRequest) -> Message:
        return service.DeleteVariableResponse(existed=self.variables.pop(request.key, None) is not None)

    def _GetConnection(self, request: service.GetConnectionRequest) -> Message:
        if request.connection_id not in self.connections:
            raise CallError(NOT_FOUND, "CONNECTION_NOT_FOUND", "none")
        return service.GetConnectionResponse(connection=self.connections[request.connection_id])

    def _GetXCom(self, request: service.GetXComRequest) -> Message:
        if request.key.task_id in self.too_large:
            raise CallError(RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", "too large")
        return service.GetXComResponse(value=self._stored(request.key))

    def _GetXComItem(self, request: service.GetXComItemRequest) -> Message:
        stored = self._stored(request.key)
        try:
            item = stored.items.items[request.index]
        except IndexError:
            raise CallError(NOT_FOUND, "XCOM_NOT_FOUND", "no such item") from None
        return service.GetXComItemResponse(value=Payload(encoding=stored.encoding, data=item.data))

    def _SliceXCom(self, request: service.SliceXComRequest) -> Message:
        stored = self._stored(request.key)
        items = stored.items.items[request.start : request.start + 2]  # a server may answer fewer than asked
        values = [Payload(encoding=stored.encoding, data=item.data) for item in items]
        return service.SliceXComResponse(values=values, total_size=len(stored.items.items))

    def _SetXCom(self, request: service.SetXComRequest) -> Message:
        self.xcoms["", request.key] = request.value
        return service.SetXComResponse()

    def _DeleteXCom(self, request: service.DeleteXComRequest) -> Message:
        return service.DeleteXComResponse(existed=self.xcoms.pop(("", request.key), None) is not None)

    def _ListXComs(self, request: service.ListXComsRequest) -> Message:
        names = sorted(self.xcoms)
        at = int(request.page_token or 0)
        answer = service.ListXComsResponse(next_page_token=str(at + 1) if at + 1 < len(names) else "")
        for task_id, key in names[at : at + 1]:
            answer.xcoms.add().key.MergeFrom(XComKey(task_id=task_id, key=key))
        return answer

    def _TriggerDagRun(self, request: service.TriggerDagRunRequest) -> Message:
        return service.TriggerDagRunResponse(run_id=request.run_id or "made")

    def _GetDagRun(self, request: service.GetDagRunRequest) -> Message:
        if request.run_id != "r1":
            raise CallError(NOT_FOUND, "RUN_NOT_FOUND", "none")
        return service.GetDagRunResponse(state="running")

    def _GetTaskStates(self, request: service.GetTaskStatesRequest) -> Message:
        answer = service.GetTaskStatesResponse(next_page_token="" if request.page_token else "more")
        answer.instances.add(state="failed" if request.page_token else "succeeded").key.task_id = "t"
        return answer

    def _GetState(self, request: service.GetStateRequest) -> Message:
        return service.GetStateResponse()

    def _SetState(self, request: service.SetStateRequest) -> Message:
        return service.SetStateResponse()

    def _GetPreviousDagRun(self, request: service.GetPreviousDagRunRequest) -> Message:
        return service.GetPreviousDagRunResponse()

    def _stored(self, key: Any) -> Payload:
        stored = self.xcoms.get((key.task_id, key.key))
        if stored is None:
            raise CallError(NOT_FOUND, "XCOM_NOT_FOUND", "none")
        return stored
