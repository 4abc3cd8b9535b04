"""The states of the database as the enums of the protocol, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from crosswind.control.v1 import states_pb2
from crosswind_server.domain.states import WaitingReason
from crosswind_server.rpc.messages import invalid

_PREFIXES = {
    "RunState": "RUN_STATE_",
    "RunType": "RUN_TYPE_",
    "TaskState": "TASK_STATE_",
    "AttemptState": "ATTEMPT_STATE_",
    "WorkerState": "WORKER_STATE_",
}
_NUMBERS: Mapping[str, Mapping[str, int]] = {
    name: {
        value.name.removeprefix(prefix).lower(): value.number
        for value in states_pb2.DESCRIPTOR.enum_types_by_name[name].values
        if value.number
    }
    for name, prefix in _PREFIXES.items()
}
_TEXTS: Mapping[str, Mapping[int, str]] = {
    name: {number: text for text, number in numbers.items()} for name, numbers in _NUMBERS.items()
}


def run_state(state: str) -> states_pb2.RunState:
    """The state of a run; an empty one is UNSPECIFIED."""
    return cast("states_pb2.RunState", _NUMBERS["RunState"].get(state, 0))


def run_type(kind: str) -> states_pb2.RunType:
    """What created a run."""
    return cast("states_pb2.RunType", _NUMBERS["RunType"].get(kind, 0))


def task_state(state: str) -> states_pb2.TaskState:
    """The state of a task instance."""
    return cast("states_pb2.TaskState", _NUMBERS["TaskState"].get(state, 0))


def attempt_state(state: str) -> states_pb2.AttemptState:
    """The state of an attempt."""
    return cast("states_pb2.AttemptState", _NUMBERS["AttemptState"].get(state, 0))


def worker_state(state: str) -> states_pb2.WorkerState:
    """The state of a worker instance."""
    return cast("states_pb2.WorkerState", _NUMBERS["WorkerState"].get(state, 0))


def waiting_reason(reason: WaitingReason) -> states_pb2.WaitingReason:
    """Why a task instance waits; one that the protocol does not name is UNSPECIFIED."""
    name = f"WAITING_REASON_{reason.name}"
    known = states_pb2.DESCRIPTOR.enum_types_by_name["WaitingReason"].values_by_name
    return cast("states_pb2.WaitingReason", known[name].number if name in known else 0)


def wanted(enum: str, numbers: Iterable[int], field: str) -> tuple[str, ...]:
    """The states of a filter. Raises `Refused`: INVALID_ARGUMENT, one is unknown or UNSPECIFIED."""
    texts = _TEXTS[enum]
    found = []
    for number in numbers:
        if number not in texts:
            raise invalid(field, f"`{field}` holds {number}, which is no value of {enum}; leave it out for any.")
        found.append(texts[number])
    return tuple(found)


def state_counts(counts: Mapping[str, int]) -> Sequence[states_pb2.TaskStateCount]:
    """Counts of task instances by state, in the order of the states."""
    numbers = {task_state(state): count for state, count in counts.items()}
    return [states_pb2.TaskStateCount(state=state, count=numbers[state]) for state in sorted(numbers)]
