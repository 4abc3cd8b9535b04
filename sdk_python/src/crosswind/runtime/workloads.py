"""What callbacks and timetables are told and answer. A trigger gets its arguments as a task does."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.author.binding import Argument
from crosswind.author.errors import UnsupportedValue
from crosswind.execution.v1.lease_pb2 import WORKLOAD_CALLBACK, WORKLOAD_TIMETABLE, NextRun, TaskContext
from crosswind.manifest.v1.dag_pb2 import Callback


def told(context: TaskContext, signature: inspect.Signature) -> Iterator[Argument]:
    """What a callback or a timetable is told, as far as its parameters ask for it by name.

    A callback: `event`, such as "failure"; `task_id`, `map_index`, `try_number` and `failure`, a text, of the task
    instance that it is for, None for a run; `state`. A timetable: `config`, from its JSON; `last`, what its last run
    stands for, or None; `start` and `end`, the DAG's bounds, or None; `catchup`, `limit` and `now`.
    """
    facts: Mapping[str, Any] = {}
    if context.workload == WORKLOAD_CALLBACK:
        facts = _of_callback(context)
    elif context.workload == WORKLOAD_TIMETABLE:
        facts = _of_timetable(context)
    yield from (Argument(name, None, value) for name, value in facts.items() if name in signature.parameters)


def _of_callback(context: TaskContext) -> Mapping[str, Any]:
    callback = context.callback
    key = callback.task_instance if callback.HasField("task_instance") else None
    return {
        "event": Callback.Event.Name(callback.event).removeprefix("EVENT_").lower(),
        "task_id": key.task_id if key is not None else None,
        "map_index": key.map_index if key is not None and key.HasField("map_index") else None,
        "try_number": callback.try_number if key is not None else None,
        "failure": f"{callback.failure.type}: {callback.failure.message}" if callback.HasField("failure") else None,
        "state": callback.state,
    }


def _of_timetable(context: TaskContext) -> Mapping[str, Any]:
    asked = context.timetable
    return {
        "config": json.loads(asked.config_json) if asked.config_json else None,
        "last": _moment(asked.last_run.logical_time) if asked.HasField("last_run") else None,
        "start": _moment(asked.start_time) if asked.HasField("start_time") else None,
        "end": _moment(asked.end_time) if asked.HasField("end_time") else None,
        "catchup": asked.catchup,
        "limit": asked.limit,
        "now": _moment(asked.now),
    }


def read_dates(result: object, *, limit: int) -> list[NextRun]:
    """What a timetable returned: an iterable of moments, or of pairs that are data intervals; the first `limit` count.

    Raises:
        UnsupportedValue: it is something else, or a moment has no time zone.
    """
    if result is None:
        return []
    if not isinstance(result, Iterable):
        raise UnsupportedValue(f"A timetable returns a list of moments, not a {type(result).__qualname__}.")
    runs: list[NextRun] = []
    for each in result:
        if len(runs) == limit:
            break
        run = NextRun()
        if isinstance(each, tuple) and len(each) == 2:
            _put(run.logical_time, each[0])
            _put(run.data_interval_start_time, each[0])
            _put(run.data_interval_end_time, each[1])
        else:
            _put(run.logical_time, each)
        runs.append(run)
    return runs


def _put(to: Timestamp, moment: object) -> None:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise UnsupportedValue(f"A timetable returns moments with a time zone, or pairs of them, not {moment!r}.")
    to.FromDatetime(moment.astimezone(UTC))


def _moment(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)
