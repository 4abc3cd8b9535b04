"""What a scripted task is given, what it asks of `TaskService` under its lease, and how its worker says both.

A call is its RPC and the text form of its request: `call.read=GetState{key:"k"}`; a `request_id` is made where it needs
one. Messages are said as JSON, with the values that their payloads hold: `answered NAME read {"value": 7, ..}`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from crosswind.execution.v1 import lease_pb2, task_service_pb2
from crosswind.value.v1.value_pb2 import Payload
from tests.lifecycle.scene.text import Unreadable, show_payload

_SERVICE = task_service_pb2.DESCRIPTOR.services_by_name["TaskService"]


def read_call(text: str) -> tuple[str, Any]:
    """The name of the RPC that a text calls, and the request."""
    found = re.fullmatch(r"(\w+)\{(.*)\}", text, re.DOTALL)
    if found is None or found[1] not in _SERVICE.methods_by_name:
        raise Unreadable(f'{text!r} is no call of `TaskService`, such as GetState{{key:"k"}}')
    method = _SERVICE.methods_by_name[found[1]]
    request: Any = getattr(task_service_pb2, method.input_type.name)()
    text_format.Parse(found[2], request)
    if "request_id" in method.input_type.fields_by_name and not request.request_id:
        request.request_id = str(uuid.uuid4())
    return method.name, request


def metadata_under(lease: lease_pb2.Lease) -> tuple[tuple[str, str | bytes], ...]:
    """What a worker adds to a task's call."""
    ref = lease.attempt
    return (("crosswind-attempt", ref.attempt_id), ("crosswind-lease-bin", ref.lease))


def shown(message: Message) -> Any:
    """A message as JSON has it, with payloads as the values in them."""
    if isinstance(message, Payload):
        return json.loads(_text(message))
    if message.DESCRIPTOR.full_name.startswith("google.protobuf."):
        return json_format.MessageToDict(message)
    return {field.name: _shown_field(field, value) for field, value in message.ListFields()}


def described(context: lease_pb2.TaskContext) -> Mapping[str, Any]:
    """What a task is given, as far as it says something: arguments by name, and what it resumes with."""
    found: dict[str, Any] = {}
    for each in context.inputs:
        kind = each.WhichOneof("value")
        if kind == "payload":
            found[each.name or str(each.position)] = json.loads(_text(each.payload))
        elif kind == "list":
            found[each.name or str(each.position)] = [json.loads(_text(item)) for item in each.list.payloads]
        else:
            found[each.name or str(each.position)] = kind
    for field in ("resumption", "callback", "timetable"):
        if context.HasField(field):
            found[field] = text_format.MessageToString(getattr(context, field), as_one_line=True)
    if context.map_index_name:
        found["map_index_name"] = context.map_index_name
    return found


def _shown_field(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is None:
        return list(value) if field.is_repeated else value
    return [shown(each) for each in value] if field.is_repeated else shown(value)


def _text(payload: Payload) -> str:
    return "null" if payload.WhichOneof("content") is None else show_payload(payload)
