"""What a running task asks of the server, as messages of `TaskService` over a channel.

Here belongs the service's client. What the values mean is `author`'s, how calls travel is `channel.py`'s.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.bundle.v1.bundle_service_pb2 import RunTaskRequest
from crosswind.client.channel import Channel
from crosswind.client.errors import INVALID_ARGUMENT, CallError
from crosswind.execution.v1 import task_service_pb2 as service
from crosswind.execution.v1.lease_pb2 import Connection, PayloadList
from crosswind.execution.v1.outcome_pb2 import StateWrite
from crosswind.execution.v1.xcom_pb2 import XComInfo, XComKey
from crosswind.value.v1.value_pb2 import Payload

_SERVICE: Final = "/crosswind.execution.v1.TaskService/"
_PAGE: Final = 1000

Answer = TypeVar("Answer", bound=Message)


class TaskClient:
    """Asks the server for one attempt. What is not there is None; everything else that goes wrong is a `CallError`.

    Calls wait as long as the task may run: the worker repeats them while the server cannot be reached.

    Args:
        channel: carries the calls.
        request: what the worker sent, for the limit of inline values. None: no limit of our own.
    """

    def __init__(self, channel: Channel, request: RunTaskRequest | None = None) -> None:
        self._channel = channel
        self._max_value_bytes = request.max_inline_value_bytes if request is not None else 0

    def get_variable(self, key: str) -> str | None:
        """A variable's value."""
        request = service.GetVariableRequest(key=key)
        found = self._find("GetVariable", request, service.GetVariableResponse, missing="VARIABLE_NOT_FOUND")
        return None if found is None else found.variable.value

    def set_variable(self, key: str, value: str, *, description: str | None = None, public: bool | None = None) -> None:
        """Writes a variable. None leaves the description, or whether it is public, as it is."""
        request = service.SetVariableRequest(key=key, value=value, request_id=_new_id())
        if description is not None:
            request.description = description
        if public is not None:
            request.public = public
        self._call("SetVariable", request, service.SetVariableResponse)

    def delete_variable(self, key: str) -> bool:
        """Deletes a variable. Returns whether it was there."""
        request = service.DeleteVariableRequest(key=key, request_id=_new_id())
        return self._call("DeleteVariable", request, service.DeleteVariableResponse).existed

    def get_connection(self, connection_id: str) -> Connection | None:
        """A connection."""
        request = service.GetConnectionRequest(connection_id=connection_id)
        found = self._find("GetConnection", request, service.GetConnectionResponse, missing="CONNECTION_NOT_FOUND")
        return None if found is None else found.connection

    def get_xcom(self, key: XComKey) -> service.GetXComResponse | None:
        """An XCom, whole; one that does not fit into a message is read in pieces."""
        request = service.GetXComRequest(key=key)
        try:
            return self._find("GetXCom", request, service.GetXComResponse, missing="XCOM_NOT_FOUND")
        except CallError as error:
            if error.reason != "MESSAGE_TOO_LARGE":
                raise
        return self._read_in_pieces(key)

    def get_xcom_item(self, key: XComKey, index: int) -> Payload | None:
        """One item of an XCom that is a list; a negative index counts from the end."""
        request = service.GetXComItemRequest(key=key, index=index)
        found = self._find("GetXComItem", request, service.GetXComItemResponse, missing="XCOM_NOT_FOUND")
        return None if found is None else found.value

    def slice_xcom(self, key: XComKey, *, start: int, limit: int | None = None) -> tuple[Sequence[Payload], int] | None:
        """Items from `start`, perhaps fewer than `limit`, and the number of items in all."""
        request = service.SliceXComRequest(key=key, start=start)
        if limit is not None:
            request.limit = limit
        found = self._find("SliceXCom", request, service.SliceXComResponse, missing="XCOM_NOT_FOUND")
        return None if found is None else (found.values, found.total_size)

    def set_xcom(self, key: str, value: Payload) -> None:
        """Writes an XCom of the task's own."""
        self._check_size(value, f"XCom '{key}'")
        request = service.SetXComRequest(key=key, value=value, request_id=_new_id())
        self._call("SetXCom", request, service.SetXComResponse)

    def delete_xcom(self, key: str) -> bool:
        """Deletes an XCom of the task's own. Returns whether it was there."""
        request = service.DeleteXComRequest(key=key, request_id=_new_id())
        return self._call("DeleteXCom", request, service.DeleteXComResponse).existed

    def list_xcoms(self, filter: XComKey) -> Sequence[XComInfo]:
        """The XComs that match the present parts of a key, without their values; all pages."""
        request = service.ListXComsRequest(filter=filter, page_size=_PAGE)
        xcoms: list[XComInfo] = []
        while True:
            page = self._call("ListXComs", request, service.ListXComsResponse)
            xcoms += page.xcoms
            if not page.next_page_token:
                return xcoms
            request.page_token = page.next_page_token

    def trigger_dag_run(
        self, dag_id: str, *, run_id: str = "", conf: Payload | None = None, logical_time: datetime | None = None
    ) -> str:
        """Starts a run. Returns its id."""
        request = service.TriggerDagRunRequest(dag_id=dag_id, run_id=run_id, conf=conf, request_id=_new_id())
        if logical_time is not None:
            moment = Timestamp()
            moment.FromDatetime(logical_time.astimezone(UTC))
            request.logical_time.CopyFrom(moment)
        return self._call("TriggerDagRun", request, service.TriggerDagRunResponse).run_id

    def get_dag_run(self, dag_id: str | None = None, run_id: str | None = None) -> service.GetDagRunResponse | None:
        """A run and its state."""
        request = service.GetDagRunRequest(dag_id=dag_id, run_id=run_id)
        return self._find("GetDagRun", request, service.GetDagRunResponse, missing="RUN_NOT_FOUND")

    def get_previous_dag_run(self, state: str | None = None) -> service.GetPreviousDagRunResponse | None:
        """The run before the caller's, by logical time."""
        request = service.GetPreviousDagRunRequest(state=state)
        found = self._call("GetPreviousDagRun", request, service.GetPreviousDagRunResponse)
        return found if found.HasField("run") else None

    def get_task_states(
        self, *, dag_id: str | None = None, run_id: str | None = None, task_ids: Sequence[str] = ()
    ) -> Sequence[service.GetTaskStatesResponse.InstanceState]:
        """The states of task instances; all pages."""
        request = service.GetTaskStatesRequest(dag_id=dag_id, run_id=run_id, task_ids=task_ids, page_size=_PAGE)
        states: list[service.GetTaskStatesResponse.InstanceState] = []
        while True:
            page = self._call("GetTaskStates", request, service.GetTaskStatesResponse)
            states += page.instances
            if not page.next_page_token:
                return states
            request.page_token = page.next_page_token

    def get_state(self, key: str) -> service.GetStateResponse | None:
        """An entry of the task instance's own state, which outlives its tries."""
        found = self._call("GetState", service.GetStateRequest(key=key), service.GetStateResponse)
        return found if found.HasField("value") else None

    def set_state(self, key: str, value: Payload | None, *, time_to_live: timedelta | None = None) -> None:
        """Writes an entry of the task instance's own state; None deletes it."""
        write = StateWrite(key=key, value=value)
        if value is not None:
            self._check_size(value, f"state '{key}'")
        if time_to_live is not None:
            span = Duration()
            span.FromTimedelta(time_to_live)
            write.time_to_live.CopyFrom(span)
        self._call("SetState", service.SetStateRequest(write=write, request_id=_new_id()), service.SetStateResponse)

    def _call(self, method: str, request: Message, answer: type[Answer]) -> Answer:
        return answer.FromString(self._channel.call(_SERVICE + method, request.SerializeToString(), None))

    def _find(self, method: str, request: Message, answer: type[Answer], *, missing: str) -> Answer | None:
        try:
            return self._call(method, request, answer)
        except CallError as error:
            if error.reason == missing:
                return None
            raise

    def _read_in_pieces(self, key: XComKey) -> service.GetXComResponse | None:
        payloads: list[Payload] = []
        while True:
            page = self.slice_xcom(key, start=len(payloads))
            if page is None:
                return None
            values, total = page
            payloads += values
            if not values or len(payloads) >= total:
                return service.GetXComResponse(list=PayloadList(payloads=payloads))

    def _check_size(self, value: Payload, what: str) -> None:
        size = value.ByteSize()
        # A message around the value takes a few bytes for each item; the server counts the content alone.
        if self._max_value_bytes and size > 2 * self._max_value_bytes + 1024:
            raise CallError(
                INVALID_ARGUMENT,
                "VALUE_TOO_LARGE",
                f"The {what} takes {size:,} bytes, and at most {self._max_value_bytes:,} travel inline",
            )


def _new_id() -> str:
    return str(uuid.uuid4())
