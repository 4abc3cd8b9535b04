"""Commands that look: states, runs, attempts, why, xcom, show.

`show run r1 fields=state,note` prints a message of control.v1, or some of its fields. What can be shown: `dag d`,
`run r1`, `task a`, `worker w1`, `pool p`, and the lists `dags`, `runs`, `workers`, `pools`, `backfills`, `inputs`,
`assets`, `asset-events`, `versions d`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.control.v1 import states_pb2, workloads_pb2
from crosswind.manifest.v1 import dag_pb2
from crosswind.value.v1.value_pb2 import Payload
from tests.lifecycle.scene.command import command
from tests.lifecycle.scene.scene import Scene
from tests.lifecycle.scene.text import Arguments, show_moment, show_payload, show_span


def lines_of(message: Message, fields: Iterable[str] = (), indent: str = "") -> Iterator[str]:
    """A message, a field a line: times, spans and values in short."""
    wanted = list(fields)
    for field, value in message.ListFields():
        if wanted and field.name not in wanted:
            continue
        repeated = field.is_repeated
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield f"{indent}{field.name}: " + ", ".join(f"{key}={value[key]}" for key in sorted(value))
            continue
        for each in value if repeated else [value]:
            if isinstance(each, Message) and (shown := _short(each)) is None:
                yield f"{indent}{field.name}"
                yield from lines_of(each, indent=indent + "  ")
            elif isinstance(each, Message):
                yield f"{indent}{field.name}: {shown}"
            elif field.enum_type is not None:
                yield f"{indent}{field.name}: {field.enum_type.values_by_number[each].name}"
            else:
                yield f"{indent}{field.name}: {each!r}" if isinstance(each, bytes) else f"{indent}{field.name}: {each}"


def _short(message: Message) -> str | None:
    if isinstance(message, Timestamp):
        return show_moment(message.ToMicroseconds())
    if isinstance(message, Duration):
        return show_span(message.ToMicroseconds())
    if isinstance(message, Payload):
        return show_payload(message)
    return None


def _word(enum: Any, number: int, prefix: str) -> str:
    return str(enum.Name(number)).removeprefix(prefix + "_").lower()


def _instances(scene: Scene, dag_id: str, run_id: str, **fields: Any) -> Iterator[Any]:
    token = ""
    while True:
        answer = scene.call(
            "TaskInstanceService.ListTaskInstances",
            dag_id=dag_id,
            run_id=run_id,
            page_size=1_000,
            page_token=token,
            **fields,
        )
        yield from answer.task_instances
        token = answer.next_page_token
        if not token:
            return


def _name(instance: Any) -> str:
    return f"{instance.task_id}[{instance.map_index}]" if instance.HasField("map_index") else str(instance.task_id)


def instance_states(scene: Scene, dag_id: str, run_id: str) -> dict[str, str]:
    """The states of all instances of a run, by name."""
    found = _instances(scene, dag_id, run_id)
    return {_name(each): _word(states_pb2.TaskState, each.state, "TASK_STATE") for each in found}


@command("states")
def states(scene: Scene, a: Arguments) -> Iterable[str]:
    """The task instances of a run, one a line: state, why it waits, its try, and when it is due. `states d r1 a`."""
    whole = a.flag("unmapped")
    dag_id, run_id = scene.run(a)
    task_id = a.words.pop(0) if a.words else ""
    for each in _instances(scene, dag_id, run_id, task_id=task_id, exclude_mapped=whole):
        yield f"{_name(each)} {_state(scene, each)}"


def _state(scene: Scene, instance: Any) -> str:
    text = _word(states_pb2.TaskState, instance.state, "TASK_STATE")
    if instance.waiting_reason:
        text += " " + _word(states_pb2.WaitingReason, instance.waiting_reason, "WAITING_REASON")
    if instance.try_number > 1 or (instance.try_number and instance.max_tries > 1):
        text += f" try={instance.try_number}"
    if instance.lost_count:
        text += f" lost={instance.lost_count}"
    if instance.HasField("not_before_time"):
        text += f" due in {show_span(instance.not_before_time.ToMicroseconds() - scene.now_us)}"
    return text


@command("why")
def why(scene: Scene, a: Arguments) -> Iterable[str]:
    """The sentence that says why a task waits, or why it failed: `why r1 a`; without a task, those of all that wait."""
    dag_id, run_id = scene.run(a)
    wanted = a.words.pop(0) if a.words else None
    for each in _instances(scene, dag_id, run_id):
        if wanted in (each.task_id, _name(each)) or (wanted is None and each.waiting_detail):
            said = each.waiting_detail or (f"{each.failure.type}: {each.failure.message}" if each.failure.type else "")
            yield f"{_name(each)} {said or 'nothing'}"


@command("runs")
def runs(scene: Scene, a: Arguments) -> Iterable[str]:
    """The runs, oldest first: state, type, the moment that each stands for and its data interval. `runs d`."""
    dag_id = a.words.pop(0) if a.words else ""
    for run in scene.all_runs():
        if dag_id in ("", run.dag_id):
            text = f"{run.run_id} {_word(states_pb2.RunState, run.state, 'RUN_STATE')}"
            text += f" {_word(states_pb2.RunType, run.type, 'RUN_TYPE')}"
            if run.HasField("logical_time"):
                text += f" {_moment(run.logical_time)}"
            if run.HasField("data_interval_start_time"):
                text += f" {_moment(run.data_interval_start_time)}..{_moment(run.data_interval_end_time)}"
            if run.waiting_reason:
                text += " " + _word(states_pb2.WaitingReason, run.waiting_reason, "WAITING_REASON")
            yield text if dag_id else f"{run.dag_id} {text}"


def _moment(message: Timestamp) -> str:
    return show_moment(message.ToMicroseconds())


@command("attempts")
def attempts(scene: Scene, a: Arguments) -> Iterable[str]:
    """The attempts of a task, one a line: `attempts a`, `attempts r1 a[1]`."""
    dag_id, run_id = scene.run(a)
    task_id, _, index = a.word("task").removesuffix("]").partition("[")
    answer = scene.call(
        "TaskInstanceService.ListAttempts",
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        map_index=int(index) if index else None,
    )
    for each in answer.attempts:
        state = _word(states_pb2.AttemptState, each.state, "ATTEMPT_STATE")
        failure = f" {each.failure.type}" if each.failure.type else ""
        yield f"{each.try_number} {state} on {each.worker}{failure}"


@command("workloads")
def workloads(scene: Scene, a: Arguments) -> Iterable[str]:
    """Triggers, callbacks and timetables, the newest first: `workloads`, `workloads d r1 kind=trigger why`."""
    whole, kinds = a.flag("why"), a.names("kind")
    dag_id = a.words.pop(0) if a.words else ""
    run_id = a.words.pop(0) if a.words else ""
    numbers = [workloads_pb2.WorkloadKind.Value(f"WORKLOAD_KIND_{kind.upper()}") for kind in kinds]
    answer = scene.call("WorkloadService.ListWorkloads", dag_id=dag_id, run_id=run_id, kinds=numbers, page_size=1_000)
    for each in answer.workloads:
        kind = _word(workloads_pb2.WorkloadKind, each.kind, "WORKLOAD_KIND")
        subject = "/".join(filter(None, (each.dag_id, each.run_id, _name(each) if each.task_id else "")))
        event = f" on {_word(dag_pb2.Callback.Event, each.callback_event, 'EVENT')}" if each.callback_event else ""
        failure = f" {each.failure.type}" if each.failure.type else ""
        yield f"{kind} {each.entry_point} of {subject}{event}: {_state(scene, each)}{failure}"
        if whole and each.waiting_detail:
            yield f"  {each.waiting_detail}"


@command("xcom")
def xcom(scene: Scene, a: Arguments) -> Iterable[str]:
    """What a task wrote: `xcom a`, `xcom r1 a[1] key=other`."""
    dag_id, run_id = scene.run(a)
    task_id, _, index = a.word("task").removesuffix("]").partition("[")
    answer = scene.call(
        "XComService.GetXCom",
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        key=a.get("key", "return_value"),
        map_index=int(index) if index else None,
    )
    return lines_of(answer)


@command("show")
def show(scene: Scene, a: Arguments) -> Iterable[str]:
    """A message of control.v1: `show run r1 fields=state,note`."""
    noun = a.word("noun")
    fields = a.names("fields")
    if noun == "run":
        dag_id, run_id = scene.run(a)
        return lines_of(scene.call("DagRunService.GetDagRun", dag_id=dag_id, run_id=run_id).dag_run, fields)
    if noun == "task":
        dag_id, run_id = scene.run(a)
        task_id, _, index = a.word("task").removesuffix("]").partition("[")
        where = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id}
        found = scene.call("TaskInstanceService.GetTaskInstance", map_index=int(index) if index else None, **where)
        return lines_of(found.task_instance, fields)
    single = {
        "dag": ("DagService.GetDag", "dag_id", "dag"),
        "worker": ("WorkerAdminService.GetWorker", "name", "worker"),
        "pool": ("PoolService.GetPool", "name", "pool"),
    }
    if noun in single:
        method, key, field = single[noun]
        return lines_of(getattr(scene.call(method, **{key: a.word(noun)}), field), fields)
    lists = {
        "dags": ("DagService.ListDags", "dags"),
        "workers": ("WorkerAdminService.ListWorkers", "workers"),
        "pools": ("PoolService.ListPools", "pools"),
        "backfills": ("BackfillService.ListBackfills", "backfills"),
        "inputs": ("InputRequestService.ListInputRequests", "input_requests"),
        "assets": ("AssetService.ListAssets", "assets"),
        "asset-events": ("AssetService.ListAssetEvents", "asset_events"),
        "runs": ("DagRunService.ListDagRuns", "dag_runs"),
        "versions": ("DagService.ListDagVersions", "dag_versions"),
    }
    method, field = lists[noun]
    given = {"dag_id": a.word("DAG")} if noun == "versions" else {}
    return _listed(getattr(scene.call(method, **given), field), fields)


def _listed(messages: Iterable[Message], fields: Iterable[str]) -> Iterator[str]:
    wanted = list(fields)
    for each in messages:
        lines = list(lines_of(each, wanted))
        yield "- " + lines[0] if lines else "-"
        yield from ("  " + line for line in lines[1:])
