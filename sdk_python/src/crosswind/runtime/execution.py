"""Runs one attempt of a task: inputs in, the author's function, the outcome out.

Here belongs what happens in the task's own process, thread or wherever it runs. How the request came and where the
answer goes is not known here.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.author.binding import Argument, call_arguments
from crosswind.author.bundle import LoadedBundle
from crosswind.author.codec import encode_result
from crosswind.author.context import DEFAULT_MAX_VALUE_BYTES, Context, CurrentTask, TaskRuntime, check_size, run_as
from crosswind.author.errors import Skip, TaskCancelled, UnreadableValue, UnsupportedValue, ValueTooLarge
from crosswind.author.params import NO_DEFAULT
from crosswind.author.payloads import from_payload, take_path, to_payload
from crosswind.author.tasks import TaskFunction
from crosswind.author.templates import fill_template
from crosswind.bundle.v1.bundle_service_pb2 import RunTaskRequest, RunTaskResponse
from crosswind.client.channel import Channel
from crosswind.execution.v1.failure_pb2 import Failure
from crosswind.execution.v1.lease_pb2 import WORKLOAD_TIMETABLE, InputValue, TaskContext
from crosswind.execution.v1.outcome_pb2 import Cancelled, Failed, Outcome, Skipped, Succeeded
from crosswind.execution.v1.xcom_pb2 import XComWrite
from crosswind.runtime.failures import format_for_log, make_failure, system_failure
from crosswind.runtime.workloads import read_dates, told

_MAX_XCOMS: Final = 1000
_log = logging.getLogger("crosswind.task")


_signature_of: Final = functools.cache(inspect.signature)


def prepare(loaded: LoadedBundle) -> None:
    """Does once what each attempt would do again, for those whose processes are forked afterwards."""
    for task in loaded.entry_points.values():
        with suppress(TypeError, ValueError):  # the attempt that needs it says what is wrong
            _signature_of(task.function)
            if inspect.iscoroutinefunction(task.function):
                importlib.import_module("asyncio")


def run_attempt(
    loaded: LoadedBundle, request: RunTaskRequest, runtime: TaskRuntime, logs: logging.Handler | Channel | None = None
) -> RunTaskResponse:
    """Runs an attempt to its end. Never raises: whatever happens is the outcome.

    Args:
        loaded: the bundle that has the task.
        request: what to run, with its inputs.
        runtime: carries what the task asks.
        logs: a handler that takes the records of `logging` while the task runs. Anything else: `logging` is left as
            the caller has set it up.
    """
    try:
        with _handling(logs if isinstance(logs, logging.Handler) else None):
            outcome = _run(loaded, request, runtime)
    except (TaskCancelled, KeyboardInterrupt):
        outcome = Outcome(cancelled=Cancelled(how="exited"))
    except BaseException as error:
        outcome = _failed(make_failure(error))
    return RunTaskResponse(outcome=outcome)


def _run(loaded: LoadedBundle, request: RunTaskRequest, runtime: TaskRuntime) -> Outcome:
    given = request.context
    task = loaded.entry_points.get(given.entry_point)
    if task is None:
        return _report(_entry_point_missing(loaded, given.entry_point))
    try:
        arguments = [argument for value in given.inputs for argument in _read_arguments(value, runtime)]
        arguments += told(given, _signature_of(task.function))
        current = _make_current(loaded, request, runtime)
    except UnreadableValue as error:
        return _report(system_failure("InputNotReadable", f"Task '{given.task_instance.task_id}': {error}"))
    with run_as(current):
        return _call(task, arguments, current, loaded, given)


def _call(
    task: TaskFunction[..., Any],
    arguments: list[Argument],
    current: CurrentTask,
    loaded: LoadedBundle,
    given: TaskContext,
) -> Outcome:
    context = current.context
    function = task.function
    try:
        args, kwargs = call_arguments(
            _signature_of(function), arguments, context_name=task.definition.context_name, context=context
        )
    except TypeError as error:
        failure = make_failure(TypeError(f"Task '{context.task_id}': {error}"))
        failure.retryable = False
        return _report(failure)
    try:
        result = function(*args, **kwargs)
        if inspect.iscoroutine(result):
            # Here, because it would make each process larger whose task is no coroutine.
            import asyncio

            result = asyncio.run(result)
        if given.workload == WORKLOAD_TIMETABLE:
            return _dates(result, given)
        return _succeeded(result, current, outputs=_has_outputs(task, context, loaded))
    except Skip as error:
        _log.info("Skipped: %s", error)
        return Outcome(skipped=Skipped(reason=str(error).encode(errors="replace").decode()))
    except (TaskCancelled, KeyboardInterrupt):
        _log.warning("The task was cancelled and has ended")
        return Outcome(cancelled=Cancelled(how="exited"))
    except ValueTooLarge as error:
        return _report(system_failure("ValueTooLarge", str(error), retryable=False))
    except SystemExit as error:
        if error.code in (None, 0):
            return _succeeded(None, current, outputs=False)
        return _report(_exited(error), error)
    except BaseException as error:
        return _report(make_failure(error), error)


def _dates(result: object, given: TaskContext) -> Outcome:
    try:
        return Outcome(succeeded=Succeeded(next_runs=read_dates(result, limit=given.timetable.limit)))
    except UnsupportedValue as error:
        return _report(system_failure("ValueNotEncodable", str(error), retryable=False))


def _succeeded(result: object, current: CurrentTask, *, outputs: bool) -> Outcome:
    task_id = current.context.task_id
    xcoms: list[XComWrite] = []
    try:
        if outputs:
            xcoms = _outputs(result, current)
        if result is None:
            return Outcome(succeeded=Succeeded(), xcoms=xcoms)
        what = f"the result of task '{task_id}'"
        encoded = encode_result(result, what=what)
        check_size(encoded.size, current.max_value_bytes, what=what)
    except UnsupportedValue as error:
        return _report(system_failure("ValueNotEncodable", str(error), retryable=False))
    return Outcome(succeeded=Succeeded(result=to_payload(encoded)), xcoms=xcoms)


def _outputs(result: object, current: CurrentTask) -> list[XComWrite]:
    task_id = current.context.task_id
    if not isinstance(result, dict) or not all(isinstance(key, str) and key for key in result):
        raise UnsupportedValue(
            f"Task '{task_id}' has multiple_outputs, so it must return a dict with texts as keys, not "
            f"{type(result).__qualname__}."
        )
    if len(result) > _MAX_XCOMS:
        raise UnsupportedValue(f"Task '{task_id}' returned {len(result)} outputs, and at most {_MAX_XCOMS} are kept.")
    xcoms: list[XComWrite] = []
    for key, value in result.items():
        what = f"output '{key}' of task '{task_id}'"
        encoded = encode_result(value, what=what)
        check_size(encoded.size, current.max_value_bytes, what=what)
        xcoms.append(XComWrite(key=key, value=to_payload(encoded)))
    return xcoms


def _has_outputs(task: TaskFunction[..., Any], context: Context, loaded: LoadedBundle) -> bool:
    """Whether each key of the result is an XCom of its own: as the DAG says, or for another bundle's DAG the task."""
    dag = loaded.dags.get(context.dag_id)
    node = dag.tasks.get(context.task_id) if dag is not None else None
    settings = node.settings if node is not None and node.task is task else task.settings
    return bool(settings.get("multiple_outputs"))


def _read_arguments(value: InputValue, runtime: TaskRuntime) -> Iterator[Argument]:
    """The argument that an input gives; the many that an object of named arguments gives.

    Raises:
        UnreadableValue: see `_read_input`; or an input with neither name nor position is no object.
    """
    found = _read_input(value, runtime)
    if value.name or value.HasField("position"):
        yield Argument(value.name, value.position if value.HasField("position") else None, found)
    elif isinstance(found, dict):
        yield from (Argument(name, None, item) for name, item in found.items())
    else:
        raise UnreadableValue(
            f"it is mapped by expand_kwargs() and was given a {type(found).__name__}; each item is a dict of arguments"
        )


def _read_input(value: InputValue, runtime: TaskRuntime) -> Any:
    """The value of an argument.

    Raises:
        UnreadableValue: it cannot be decoded, or has no such element.
    """
    kind = value.WhichOneof("value")
    found: Any = None
    if kind == "payload":
        found = from_payload(value.payload)
    elif kind == "list":
        found = [from_payload(payload) for payload in value.list.payloads]
    elif kind == "reference":
        answer = runtime.get_xcom(value.reference)
        if answer is not None and answer.HasField("list"):
            found = [from_payload(payload) for payload in answer.list.payloads]
        elif answer is not None:
            found = from_payload(answer.value)
    elif kind == "composite":
        parts = value.composite.parts
        # Each place gets a value of its own: two places of one part are not one object.
        found = fill_template(value.composite.template_json, lambda number: _read_part(parts, number, runtime))
    return take_path(found, value.path)


def _read_part(parts: Any, number: int, runtime: TaskRuntime) -> Any:
    if not 0 <= number < len(parts):
        raise UnreadableValue(f"A structure names part {number}, and there are only {len(parts)}")
    return _read_input(parts[number], runtime)


def _make_current(loaded: LoadedBundle, request: RunTaskRequest, runtime: TaskRuntime) -> CurrentTask:
    given = request.context
    run = given.run
    conf = from_payload(run.conf) if run.HasField("conf") else None
    conf = {} if conf is None else conf
    if not isinstance(conf, dict):
        raise UnreadableValue(f"the parameters of run '{run.run_id}' are not a JSON object")
    key = given.task_instance
    context = Context(
        dag_id=key.dag_id,
        run_id=key.run_id,
        task_id=key.task_id,
        map_index=key.map_index if key.HasField("map_index") else None,
        try_number=given.try_number,
        max_tries=given.max_tries,
        attempt_id=given.attempt_id,
        logical_date=_moment(run.logical_time) if run.HasField("logical_time") else None,
        data_interval_start=_moment(run.data_interval_start_time) if run.HasField("data_interval_start_time") else None,
        data_interval_end=_moment(run.data_interval_end_time) if run.HasField("data_interval_end_time") else None,
        run_type=run.run_type,
        conf=conf,
        params={**_default_params(loaded, key.dag_id), **conf},
    )
    return CurrentTask(
        context,
        runtime,
        max_value_bytes=request.max_inline_value_bytes or DEFAULT_MAX_VALUE_BYTES,
        variables={variable.key: variable.value for variable in given.variables},
        connections={connection.connection_id: connection for connection in given.connections},
    )


def _default_params(loaded: LoadedBundle, dag_id: str) -> Mapping[str, Any]:
    dag = loaded.dags.get(dag_id)
    if dag is None:
        return {}
    declared = dag.params.declared
    return {name: param.default for name, param in declared.items() if param.default is not NO_DEFAULT}


def _moment(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


def _entry_point_missing(loaded: LoadedBundle, name: str) -> Failure:
    broken = f"; {loaded.problems[0]}" if loaded.problems else ""
    return system_failure(
        "EntryPointMissing", f"Bundle '{loaded.name}' at version {loaded.version} has no task '{name}'{broken}"
    )


def _exited(error: SystemExit) -> Failure:
    failure = make_failure(error)
    if isinstance(error.code, int):
        failure.message = f"The task called sys.exit({error.code})"
    return failure


def _report(failure: Failure, error: BaseException | None = None) -> Outcome:
    """A failed outcome, which the task's log tells too."""
    if error is None:
        _log.error("%s: %s", failure.type, failure.message)
    else:
        _log.error("%s", format_for_log(error))
    return _failed(failure)


def _failed(failure: Failure) -> Outcome:
    return Outcome(failed=Failed(failure=failure))


@contextmanager
def _handling(handler: logging.Handler | None) -> Iterator[None]:
    """Sends the root logger's records, from INFO on, to a handler for the block."""
    if handler is None:
        yield
        return
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    if level in (logging.NOTSET, logging.WARNING):
        root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
