"""The running task: what it may ask, and what it knows of itself.

Here belong the seam to whatever runs a task (`TaskRuntime`), the context that tasks read, and finding it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from crosswind.author.errors import NoTaskError, ValueTooLarge, XComNotFound
from crosswind.author.registry import is_reading
from crosswind.author.results import RETURN_VALUE

if TYPE_CHECKING:
    from crosswind.execution.v1.lease_pb2 import Connection as ConnectionMessage
    from crosswind.execution.v1.task_service_pb2 import (
        GetDagRunResponse,
        GetPreviousDagRunResponse,
        GetStateResponse,
        GetTaskStatesResponse,
        GetXComResponse,
    )
    from crosswind.execution.v1.xcom_pb2 import XComInfo, XComKey
    from crosswind.value.v1.value_pb2 import Payload


DEFAULT_MAX_VALUE_BYTES: Final = 1024 * 1024


def check_size(size: int, limit: int, *, what: str) -> None:
    """Checks that a value may travel between tasks.

    Args:
        size: of the encoded value, in bytes.
        limit: in bytes.
        what: names the value in the sentence.

    Raises:
        ValueTooLarge: it may not.
    """
    if size > limit:
        raise ValueTooLarge(
            f"{what[0].upper()}{what[1:]} takes {size:,} bytes, and at most {limit:,} travel between tasks; write it "
            "to a file or an object store and pass on where it lies"
        )


class TaskRuntime(Protocol):
    """What a running task may ask of the server, whoever carries the question.

    What is not there is None. Everything else that goes wrong is the carrier's exception.
    """

    def get_variable(self, key: str) -> str | None:
        """A variable's value."""

    def set_variable(self, key: str, value: str, *, description: str | None = None, public: bool | None = None) -> None:
        """Writes a variable. None leaves the description, or whether it is public, as it is."""

    def delete_variable(self, key: str) -> bool:
        """Deletes a variable. Returns whether it was there."""

    def get_connection(self, connection_id: str) -> ConnectionMessage | None:
        """A connection."""

    def get_xcom(self, key: XComKey) -> GetXComResponse | None:
        """An XCom, whole."""

    def get_xcom_item(self, key: XComKey, index: int) -> Payload | None:
        """One item of an XCom that is a list; a negative index counts from the end."""

    def slice_xcom(self, key: XComKey, *, start: int, limit: int | None = None) -> tuple[Sequence[Payload], int] | None:
        """Items from `start`, perhaps fewer than `limit`, and the number of items in all."""

    def set_xcom(self, key: str, value: Payload) -> None:
        """Writes an XCom of the task's own."""

    def delete_xcom(self, key: str) -> bool:
        """Deletes an XCom of the task's own. Returns whether it was there."""

    def list_xcoms(self, filter: XComKey) -> Sequence[XComInfo]:
        """The XComs that match the present parts of a key, without their values."""

    def trigger_dag_run(
        self, dag_id: str, *, run_id: str = "", conf: Payload | None = None, logical_time: datetime | None = None
    ) -> str:
        """Starts a run. Returns its id."""

    def get_dag_run(self, dag_id: str | None = None, run_id: str | None = None) -> GetDagRunResponse | None:
        """A run and its state."""

    def get_previous_dag_run(self, state: str | None = None) -> GetPreviousDagRunResponse | None:
        """The run before the caller's, by logical time."""

    def get_task_states(
        self, *, dag_id: str | None = None, run_id: str | None = None, task_ids: Sequence[str] = ()
    ) -> Sequence[GetTaskStatesResponse.InstanceState]:
        """The states of task instances."""

    def get_state(self, key: str) -> GetStateResponse | None:
        """An entry of the task instance's own state, which outlives its tries."""

    def set_state(self, key: str, value: Payload | None, *, time_to_live: timedelta | None = None) -> None:
        """Writes an entry of the task instance's own state; None deletes it."""


class TaskInstance:
    """The running task instance, for its XComs."""

    def __init__(self, current: CurrentTask) -> None:
        self._current = current

    def xcom_push(self, key: str, value: object) -> None:
        """Writes an XCom beside the result.

        Raises:
            UnsupportedValue: the value cannot be written.
            ValueTooLarge: it is over the limit.
        """
        from crosswind.author.codec import encode_result
        from crosswind.author.payloads import to_payload

        what = f"XCom '{key}' of task '{self._current.context.task_id}'"
        encoded = encode_result(value, what=what)
        check_size(encoded.size, self._current.max_value_bytes, what=what)
        self._current.runtime.set_xcom(key, to_payload(encoded))

    def xcom_pull(
        self,
        task_ids: str | Sequence[str] | None = None,
        key: str = RETURN_VALUE,
        *,
        dag_id: str | None = None,
        run_id: str | None = None,
        map_indexes: int | None = None,
        default: object = None,
    ) -> Any:
        """Reads what a task wrote.

        Args:
            task_ids: the task, or a list of tasks for a list of values. None: this task.
            key: of the XCom; by default the task's result.
            dag_id: None: this DAG.
            run_id: None: this run.
            map_indexes: the instance of a mapped task. None: the list of all its instances' values.
            default: stands for what is not there.
        """
        if task_ids is not None and not isinstance(task_ids, str):
            pull = [
                self.xcom_pull(one, key, dag_id=dag_id, run_id=run_id, map_indexes=map_indexes, default=default)
                for one in task_ids
            ]
            return pull
        from crosswind.author.payloads import from_payload

        found = self._current.runtime.get_xcom(self._key(task_ids, key, dag_id, run_id, map_indexes))
        if found is None:
            return default
        if found.HasField("list"):
            return [from_payload(payload) for payload in found.list.payloads]
        return from_payload(found.value)

    def xcom_item(self, task_id: str, index: int, key: str = RETURN_VALUE) -> Any:
        """Reads one item of a list that a task wrote, and only that.

        Raises:
            XComNotFound: there is no such XCom or item.
        """
        from crosswind.author.payloads import from_payload

        found = self._current.runtime.get_xcom_item(self._key(task_id, key, None, None, None), index)
        if found is None:
            raise XComNotFound(f"Task '{task_id}' has written no item {index} under '{key}' in this run")
        return from_payload(found)

    def xcom_items(self, task_id: str, key: str = RETURN_VALUE, *, start: int = 0) -> Iterator[Any]:
        """Reads a list that a task wrote piece by piece, for lists too large to hold.

        Raises:
            XComNotFound: there is no such XCom.
        """
        from crosswind.author.payloads import from_payload

        while True:
            page = self._current.runtime.slice_xcom(self._key(task_id, key, None, None, None), start=start)
            if page is None:
                raise XComNotFound(f"Task '{task_id}' has written no list under '{key}' in this run")
            values, total = page
            for value in values:
                yield from_payload(value)
            start += len(values)
            if not values or start >= total:
                return

    def _key(
        self, task_id: str | None, key: str, dag_id: str | None, run_id: str | None, map_index: int | None
    ) -> XComKey:
        from crosswind.execution.v1.xcom_pb2 import XComKey

        context = self._current.context
        if task_id is None and map_index is None:
            map_index = context.map_index
        return XComKey(dag_id=dag_id, run_id=run_id, task_id=task_id or context.task_id, map_index=map_index, key=key)

    def __repr__(self) -> str:
        context = self._current.context
        index = "" if context.map_index is None else f"[{context.map_index}]"
        return f"<task instance {context.dag_id}.{context.task_id}{index} of run '{context.run_id}'>"


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a running task knows of itself. `context["run_id"]` is `context.run_id`.

    Args:
        dag_id: the DAG.
        run_id: the run.
        task_id: the task.
        map_index: the instance of a mapped task, from 0. None: the task is not mapped.
        try_number: number of the try, from 1.
        max_tries: tries that the retry policy allows in all.
        attempt_id: id of the attempt, good as an idempotency key for outside systems.
        logical_date: the moment that the run stands for, UTC. None: it stands for none.
        data_interval_start: the span of data that the run covers, UTC. None: none.
        data_interval_end: see `data_interval_start`.
        run_type: how the run came to be: "manual", "scheduled", "backfill", "asset".
        conf: the run's parameters as given.
        params: the run's parameters, with the DAG's defaults.
        ti: the task instance, for its XComs.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None
    try_number: int
    max_tries: int
    attempt_id: str
    logical_date: datetime | None
    data_interval_start: datetime | None
    data_interval_end: datetime | None
    run_type: str
    conf: Mapping[str, Any]
    params: Mapping[str, Any]
    ti: TaskInstance = field(init=False, repr=False, compare=False)

    @property
    def task_instance(self) -> TaskInstance:
        """Another name of `ti`."""
        return self.ti

    @property
    def ds(self) -> str | None:
        """The logical date as `2026-12-01`."""
        return None if self.logical_date is None else self.logical_date.date().isoformat()

    def __getitem__(self, name: str) -> Any:
        if name not in _CONTEXT_NAMES:
            raise KeyError(f"the context has no {name!r}; it has {', '.join(sorted(_CONTEXT_NAMES))}")
        return getattr(self, name)


_CONTEXT_NAMES: Final = frozenset({*(item.name for item in dataclasses.fields(Context)), "task_instance", "ds"})


@dataclass
class CurrentTask:
    """The task that runs, and what it has been given.

    Args:
        context: what it knows of itself.
        runtime: what carries its questions.
        max_value_bytes: the largest value that travels between tasks.
        variables: values of variables that came with its start.
        connections: connections that came with its start.
    """

    context: Context
    runtime: TaskRuntime
    max_value_bytes: int = DEFAULT_MAX_VALUE_BYTES
    variables: dict[str, str] = field(default_factory=dict)
    connections: dict[str, ConnectionMessage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self.context, "ti", TaskInstance(self))


current: Final[ContextVar[CurrentTask | None]] = ContextVar("crosswind_current_task", default=None)
_running: Final[list[CurrentTask]] = []


@contextmanager
def run_as(task: CurrentTask) -> Iterator[None]:
    """Makes `task` the one that runs, for the block."""
    token = current.set(task)
    _running.append(task)
    try:
        yield
    finally:
        _running.remove(task)
        current.reset(token)


def find_current() -> CurrentTask | None:
    """The task that runs. A thread that a task started finds it too, where it is the only one in the process."""
    task = current.get()
    if task is None and len(_running) == 1:
        return _running[0]
    return task


def require_current(call: str) -> CurrentTask:
    """The task that runs.

    Args:
        call: what was called, for the sentence, such as "Variable.get('x')".

    Raises:
        NoTaskError: no task runs.
    """
    task = find_current()
    if task is None:
        when = "while the DAG file was being read" if is_reading() else "outside a running task"
        raise NoTaskError(f"{call} was called {when}, where there is no server to ask; call it inside a task")
    return task


def get_current_context() -> Context:
    """What the running task knows of itself.

    Raises:
        NoTaskError: no task runs.
    """
    return require_current("get_current_context()").context
