"""Commands of authors and operators: dag, trigger, pause, cancel, clear, mark, backfill, event, pool and the like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf import text_format

from crosswind.control.v1 import backfills_pb2, states_pb2, task_instances_pb2
from crosswind.manifest.v1 import dag_pb2
from tests.lifecycle.scene.command import command
from tests.lifecycle.scene.dag_text import read_dag, value_named
from tests.lifecycle.scene.scene import Scene
from tests.lifecycle.scene.server import find_method
from tests.lifecycle.scene.showing import lines_of
from tests.lifecycle.scene.text import (
    Arguments,
    Unreadable,
    cut_braces,
    duration,
    payload,
    show_moment,
    timestamp,
    value_of,
)


@command("dag")
def dag(scene: Scene, a: Arguments) -> Iterable[str]:
    """Defines a DAG; see `dag_text`."""
    head, body = cut_braces(a.raw)
    made = read_dag(head, body, now_us=scene.now_us)
    scene.dags[made.dag_id] = made
    return ()


@command("manifest")
def manifest(scene: Scene, a: Arguments) -> Iterable[str]:
    """Defines a DAG from the text form of its message."""
    made = text_format.Parse(a.raw, dag_pb2.Dag())
    scene.dags[made.dag_id] = made
    return ()


@command("undefine")
def undefine(scene: Scene, a: Arguments) -> Iterable[str]:
    """The next version that is published lacks a DAG."""
    del scene.dags[a.word("DAG")]
    return ()


@command("trigger")
def trigger(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody starts a run: `trigger d r1 conf={"x":1} logical=T note=".."`; without an id the server makes one."""
    dag_id = a.word("DAG")
    run_id = a.words.pop(0) if a.words else ""
    conf, logical = a.get("conf"), a.get("logical")
    answer = scene.call(
        "DagRunService.TriggerDagRun",
        dag_id=dag_id,
        run_id=run_id,
        conf=payload(value_of(conf)) if conf else None,
        logical_time=timestamp(logical, scene.now_us) if logical else None,
        note=a.get("note"),
        request_id=a.get("request"),
    )
    scene.note_run(dag_id, answer.dag_run.run_id)
    return () if run_id else [answer.dag_run.run_id]


@command("pause")
def pause(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody pauses a DAG."""
    scene.call("DagService.UpdateDag", dag_id=a.word("DAG"), paused=True)
    return ()


@command("unpause")
def unpause(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody lets a DAG go on."""
    scene.call("DagService.UpdateDag", dag_id=a.word("DAG"), paused=False)
    return ()


def _task(text: str) -> dict[str, Any]:
    """The fields that name `a` or `a[1]`."""
    task_id, _, index = text.removesuffix("]").partition("[")
    return {"task_id": task_id, "map_index": int(index) if index else None}


@command("cancel")
def cancel(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody cancels a run, or a task of it: `cancel r1`, `cancel r1 a[1]`."""
    dag_id, run_id = scene.run(a)
    if a.words:
        task = _task(a.word("task"))
        scene.call("TaskInstanceService.CancelTaskInstance", dag_id=dag_id, run_id=run_id, **task)
    else:
        scene.call("DagRunService.CancelDagRun", dag_id=dag_id, run_id=run_id)
    return ()


@command("clear")
def clear(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody clears a run, or tasks of it: `clear r1`, `clear r1 a b[1] downstream upstream only_failed dry_run`.

    Of a whole run: `only_failed`, `newest` for the newest version, `dry_run`.
    """
    flags: dict[str, Any] = {
        name: a.flag(word)
        for name, word in (
            ("include_downstream", "downstream"),
            ("include_upstream", "upstream"),
            ("only_failed", "only_failed"),
            ("use_current_version", "newest"),
            ("dry_run", "dry_run"),
        )
    }
    dag_id, run_id = scene.run(a)
    if a.words:
        selection = task_instances_pb2.ClearTaskInstancesRequest.TaskSelection
        chosen = [selection(**_task(a.word("task"))) for _ in list(a.words)]
        del flags["use_current_version"]
        answer = scene.call(
            "TaskInstanceService.ClearTaskInstances", dag_id=dag_id, run_id=run_id, selections=chosen, **flags
        )
        yield f"cleared {answer.cleared_count}: {', '.join(answer.task_ids)}"
    else:
        del flags["include_downstream"], flags["include_upstream"]
        answer = scene.call("DagRunService.ClearDagRun", dag_id=dag_id, run_id=run_id, **flags)
        yield f"cleared {answer.cleared_count}"


@command("mark")
def mark(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody says how a run or a task ended: `mark r1 failed`, `mark r1 a[1] succeeded`."""
    dag_id, run_id = scene.run(a)
    if len(a.words) > 1:
        task = _task(a.word("task"))
        state = value_named(states_pb2.TaskState, "TASK_STATE", a.word("state"))
        scene.call("TaskInstanceService.SetTaskInstanceState", dag_id=dag_id, run_id=run_id, state=state, **task)
    else:
        state = value_named(states_pb2.RunState, "RUN_STATE", a.word("state"))
        scene.call("DagRunService.SetDagRunState", dag_id=dag_id, run_id=run_id, state=state)
    return ()


@command("backfill")
def backfill(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody has the past run: `backfill d from=T to=T reprocess=failed max_active_runs=2 reverse dry_run`."""
    conf, policy = a.get("conf"), a.get("reprocess")
    answer = scene.call(
        "BackfillService.CreateBackfill",
        dag_id=a.word("DAG"),
        start_time=timestamp(a.get("from"), scene.now_us),
        end_time=timestamp(a.get("to"), scene.now_us),
        conf=payload(value_of(conf)) if conf else None,
        reverse=a.flag("reverse"),
        dry_run=a.flag("dry_run"),
        max_active_runs=a.number("max_active_runs"),
        reprocess_policy=value_named(backfills_pb2.ReprocessPolicy, "REPROCESS_POLICY", policy) if policy else None,
    )
    if answer.backfill.backfill_id:
        yield f"backfill {answer.backfill.backfill_id}"
    for planned in answer.planned_runs:
        has = f" {planned.existing_run_id}" if planned.existing_run_id else ""
        yield f"planned {show_moment(planned.logical_time.ToMicroseconds())}{has}"


@command("event")
def event(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody delivers an event: `event NAME payload={..} dag=d run=r1 keep=1h`."""
    value, keep = a.get("payload"), a.get("keep")
    answer = scene.call(
        "EventService.DeliverEvent",
        name=a.word("event's name"),
        payload=payload(value_of(value)) if value else None,
        dag_id=a.get("dag"),
        run_id=a.get("run"),
        keep=duration(keep) if keep else None,
    )
    return [f"delivered {answer.delivered_count}"]


@command("answer")
def answer(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody answers the open question of a task: `answer a choose=yes,no fields={..}`, or one by its id."""
    fields, who = a.get("fields"), a.word("task")
    asked = scene.call("InputRequestService.ListInputRequests").input_requests
    found = [
        each.input_request_id
        for each in asked
        if who in (each.task_id, f"{each.task_id}[{each.map_index}]", f"{each.run_id}/{each.task_id}")
    ]
    scene.call(
        "InputRequestService.AnswerInputRequest",
        input_request_id=found[-1] if found else who,
        chosen_options=a.names("choose"),
        fields=payload(value_of(fields)) if fields else None,
    )
    return ()


@command("emit")
def emit(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody says that an asset changed: `emit ASSET partition=.. extra={..}`."""
    extra = a.get("extra")
    scene.call(
        "AssetService.CreateAssetEvent",
        asset_name=a.word("asset"),
        partition_key=a.get("partition"),
        extra=payload(value_of(extra)) if extra else None,
    )
    return ()


@command("pool")
def pool(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody makes a pool, or changes it: `pool p slots=3`, `pool p delete`."""
    name = a.word("pool")
    if a.flag("delete"):
        scene.call("PoolService.DeletePool", name=name)
    else:
        scene.call("PoolService.SetPool", name=name, slots=a.number("slots"))
    return ()


@command("variable")
def variable(scene: Scene, a: Arguments) -> Iterable[str]:
    """Somebody sets a variable: `variable key value`."""
    scene.call("VariableService.SetVariable", key=a.word("key"), value=a.word("value"))
    return ()


@command("call")
def call(scene: Scene, a: Arguments) -> Iterable[str]:
    """Any RPC with an administrator's token: `call Service.Method field: value ...`; prints the answer."""
    method, _, text = scene.names.resolve(a.raw).strip().partition(" ")
    _, request_type, _ = find_method(method)
    return lines_of(scene.server.call(method, text_format.Parse(text, request_type())))


@command("ask")
def ask(scene: Scene, a: Arguments) -> Iterable[str]:
    """An RPC of a task under its lease: `ask a TaskService.GetXCom key { .. }`; prints the answer."""
    name, _, rest = scene.names.resolve(a.raw).strip().partition(" ")
    method, _, text = rest.partition(" ")
    for worker in scene.workers.values():
        held = worker.find(name)
        if held is not None:
            attempt = held.lease.attempt
            metadata: dict[str, str | bytes] = {"crosswind-attempt": attempt.attempt_id}
            metadata["crosswind-lease-bin"] = attempt.lease
            _, request_type, _ = find_method(method)
            request = text_format.Parse(text, request_type())
            return lines_of(scene.server.call(method, request, token=worker.token, metadata=metadata))
    raise Unreadable(f"Nobody holds an attempt of {name}.")
