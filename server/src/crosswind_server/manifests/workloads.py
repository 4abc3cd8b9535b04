"""What triggers, callbacks and people's answers bring, between messages and the bytes that the server keeps."""

from __future__ import annotations

import json
from collections.abc import Sequence

from crosswind.execution.v1.failure_pb2 import Failure
from crosswind.execution.v1.lease_pb2 import CallbackContext, Resumption, TaskInstanceKey, TimetableContext
from crosswind.manifest.v1.dag_pb2 import Callback
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server.domain.arguments import StoredValue
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.plan import CallbackEvent
from crosswind_server.manifests.schemas import SchemaInvalid, find_misfit
from crosswind_server.manifests.values import read_object, value_of


def resumed(message: bytes | None, event: bytes | None) -> bytes:
    """The resumption of a wait that did not end by its timeout.

    Args:
        message: the resumption that was left, serialized.
        event: what the event brought, a serialized payload.
    """
    resumption = Resumption.FromString(message or b"")
    resumption.timed_out = False
    if event is not None:
        resumption.event.MergeFromString(event)
    return resumption.SerializeToString()


def timed_out(message: bytes | None, event: bytes) -> bytes:
    """The resumption of a wait whose time passed and that goes on with an answer all the same."""
    resumption = Resumption.FromString(message or b"")
    resumption.timed_out = True
    resumption.event.MergeFromString(event)
    return resumption.SerializeToString()


def arguments_of(message: bytes | None) -> StoredValue | None:
    """The arguments of a trigger."""
    return value_of(Payload.FromString(message)) if message else None


def callback_message(
    event: CallbackEvent,
    *,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: int,
    try_number: int,
    failure: bytes | None,
    state: str,
) -> bytes:
    """What a callback is called for, serialized. `task_id` empty: something happened to the run."""
    context = CallbackContext(event=f"EVENT_{event.name}", try_number=try_number if task_id else 0, state=state)
    if task_id:
        key = TaskInstanceKey(dag_id=dag_id, run_id=run_id, task_id=task_id)
        if map_index >= 0:
            key.map_index = map_index
        context.task_instance.CopyFrom(key)
    if failure is not None:
        context.failure.MergeFromString(failure)
    return context.SerializeToString(deterministic=True)


def callback_event(message: bytes | None) -> str:
    """What a callback is called for, by name."""
    event = CallbackContext.FromString(message or b"").event
    return Callback.Event.Name(event).removeprefix("EVENT_").lower()


def timetable_message(
    *,
    config_json: str,
    last_logical_us: int | None,
    last_interval_end_us: int | None,
    start_us: int | None,
    end_us: int | None,
    catchup: bool,
    limit: int,
    now_us: int,
) -> bytes:
    """What a timetable is asked, serialized. Times are microseconds since the epoch."""
    context = TimetableContext(config_json=config_json, catchup=catchup, limit=limit)
    context.now.FromMicroseconds(now_us)
    if last_logical_us is not None:
        context.last_run.logical_time.FromMicroseconds(last_logical_us)
        if last_interval_end_us is not None:
            context.last_run.data_interval_end_time.FromMicroseconds(last_interval_end_us)
    if start_us is not None:
        context.start_time.FromMicroseconds(start_us)
    if end_us is not None:
        context.end_time.FromMicroseconds(end_us)
    return context.SerializeToString(deterministic=True)


def caused_failure(failure_type: str, text: str, cause: bytes | None) -> bytes:
    """A failure that the server itself found, and what caused it, serialized."""
    failure = Failure(type=failure_type, message=text)
    if cause is not None:
        failure.cause.MergeFromString(cause)
    return failure.SerializeToString()


def failure_types(message: bytes | None) -> tuple[str, ...]:
    """The type and base types of a failure."""
    if message is None:
        return ()
    failure = Failure.FromString(message)
    return (failure.type, *failure.base_types)


def answer_payload(chosen: Sequence[str], fields: bytes | None, respondent: str) -> bytes:
    """A person's answer as the task gets it: a JSON object in a serialized payload.

    Args:
        fields: a serialized payload that `check_fields` let pass. Its text stays as it is, so that integers survive.
    """
    text = "null" if fields is None else Payload.FromString(fields).data.decode()
    chosen_text = json.dumps(list(chosen), ensure_ascii=False, separators=(",", ":"))
    who = json.dumps(respondent, ensure_ascii=False)
    data = f'{{"chosen_options":{chosen_text},"fields":{text},"respondent":{who}}}'
    return Payload(encoding="json/utf-8", data=data.encode()).SerializeToString(deterministic=True)


def check_fields(message: bytes, schema: str) -> None:
    """Checks the fields of an answer.

    Args:
        message: a serialized payload.
        schema: JSON Schema of the question.

    Raises:
        Refused: INVALID_ARGUMENT, which names the field and not its value, or VALUE_TOO_LARGE.
    """
    fields = read_object(message, what="`fields`", example='{"amount": 3}', field="fields")
    try:
        found = find_misfit(schema, fields)
    except SchemaInvalid:
        return  # A server that did not look at schemas yet let it pass; the task checks its fields itself.
    if found is not None:
        where = f"fields{found.path}"
        text = f"`{where}` {found.what}, as the question's schema wants it; mend it and answer again."
        raise Refused(Reason.INVALID_ARGUMENT, text, metadata={"field": where})
