"""The words in which the flow tests make values and DAGs."""

import json
from typing import Any

from google.protobuf.duration_pb2 import Duration

from crosswind.manifest.v1 import dag_pb2, retry_pb2, task_pb2
from crosswind.value.v1.value_pb2 import Item, Items, Payload
from crosswind_server import manifests
from crosswind_server.domain.arguments import StoredValue
from crosswind_server.services.execution.contexts import ValueList
from crosswind_server.services.flow.settlement import FailureFacts


def json_payload(value: Any) -> Payload:
    """A value as an SDK sends it: a list as its items."""
    if isinstance(value, list):
        items = [Item(data=json.dumps(item).encode()) for item in value]
        return Payload(encoding="json/utf-8", items=Items(items=items))
    return Payload(encoding="json/utf-8", data=json.dumps(value).encode())


def stored(value: Any) -> StoredValue:
    """The same as the services know it."""
    return manifests.value_of(json_payload(value))


def decode(value: object) -> Any:
    """What a resolved argument holds, as Python values."""
    if isinstance(value, ValueList):
        return [decode(item) for item in value.values]
    if isinstance(value, StoredValue):
        if value.items is not None:
            return [json.loads(item) for item in value.items]
        assert value.data is not None
        return json.loads(value.data)
    return value


def task(task_id: str, *upstream: str, retries: int = 0, delay: float = 0.0, **fields: Any) -> task_pb2.Task:
    """A task that waits for others."""
    made = task_pb2.Task(task_id=task_id, entry_point=f"mod:{task_id}", language="python", **fields)
    made.upstream.extend(task_pb2.Edge(task_id=each_id) for each_id in upstream)
    if retries:
        policy = retry_pb2.RetryPolicy(retries=retries, delay=Duration(seconds=int(delay)))
        made.retry.CopyFrom(policy)
    return made


def reading(made: task_pb2.Task, *task_ids: str) -> task_pb2.Task:
    """The task with the outputs of others as arguments."""
    for position, task_id in enumerate(task_ids):
        made.inputs.add(name=f"arg{position}", position=position, output=task_pb2.Output(task_id=task_id))
    return made


def mapped(made: task_pb2.Task, *sources: Any, combination: str = "CROSS") -> task_pb2.Task:
    """The task mapped over the outputs of tasks (ids) or over literal lists."""
    made.mapping.combination = getattr(task_pb2.Mapping, f"COMBINATION_{combination}")
    for position, source in enumerate(sources):
        item = made.mapping.inputs.add(name=f"item{position}", position=position)
        if isinstance(source, str):
            item.output.task_id = source
        else:
            item.literal.CopyFrom(json_payload(source))
    return made


def dag_of(dag_id: str, *tasks: task_pb2.Task, **fields: Any) -> dag_pb2.Dag:
    """A DAG of tasks."""
    return dag_pb2.Dag(dag_id=dag_id, tasks=tasks, **fields)


def failed(kind: str = "ValueError", **fields: Any) -> FailureFacts:
    """The failure of a task."""
    return FailureFacts(message=manifests.failure_message(kind, "it failed"), types=(kind,), **fields)
