"""DAGs as a manifest: the language-neutral description that the server stores and schedules.

Here belongs the translation of `DAG` and its steps into `manifest.v1`. The same source gives the same bytes, at every
start and on every machine. Where DAGs come from is `bundle.py`'s.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.author.binding import BoundInput, CompositeArg
from crosswind.author.codec import Encoded, encode
from crosswind.author.dag import DAG, TaskNode
from crosswind.author.errors import DagError
from crosswind.author.groups import TaskGroup
from crosswind.author.locations import Location
from crosswind.author.params import NO_DEFAULT, Param, ParamArg
from crosswind.author.payloads import to_payload
from crosswind.author.results import RETURN_VALUE, XComArg
from crosswind.author.schedules import Cron, Once, PlainSchedule
from crosswind.author.settings import Access, RetryRule, TaskSettings, as_span
from crosswind.manifest.v1 import dag_pb2, retry_pb2, schedule_pb2, task_pb2

_ACCESS_MODES: Final = {"open": dag_pb2.ACCESS_MODE_OPEN, "strict": dag_pb2.ACCESS_MODE_STRICT}
_VERSION_POLICIES: Final = {"newest": dag_pb2.VERSION_POLICY_NEWEST, "fail": dag_pb2.VERSION_POLICY_FAIL}
_PARTITION_POLICIES: Final = {
    "continue": task_pb2.PARTITION_POLICY_CONTINUE,
    "kill": task_pb2.PARTITION_POLICY_KILL,
}
_ISOLATIONS: Final = {"process": task_pb2.ISOLATION_PROCESS, "shared": task_pb2.ISOLATION_SHARED}
_COMBINATIONS: Final = {
    "cross": task_pb2.Mapping.COMBINATION_CROSS,
    "zip": task_pb2.Mapping.COMBINATION_ZIP,
    "keywords": task_pb2.Mapping.COMBINATION_KEYWORDS,
}


def make_dag(dag: DAG, *, root: Path) -> dag_pb2.Dag:
    """The message for a DAG.

    Args:
        root: the bundle's folder, to which source locations are relative.

    Raises:
        DagError: the DAG is not valid.
        UnsupportedValue: a parameter's default cannot be written as JSON.
    """
    dag.check()
    upstream = dag.upstream()
    message = dag_pb2.Dag(
        dag_id=dag.dag_id,
        display_name=dag.display_name,
        description=dag.description,
        doc_md=dag.doc_md,
        tags=dag.tags,
        owner=dag.owner,
        schedule=_schedule(dag.schedule),
        start_time=_timestamp(dag.start_date),
        end_time=_timestamp(dag.end_date),
        catchup=dag.catchup,
        params=[_param(dag, name, param) for name, param in dag.params.declared.items()],
        max_active_runs=dag.max_active_runs,
        max_active_tasks=dag.max_active_tasks,
        run_timeout=_duration(dag.dagrun_timeout),
        tasks=[_task(node, upstream[node]) for node in dag.tasks.values()],
        groups=[_group(group) for group in dag.groups.values()],
        access=_access(dag.access),
        version_policy=_VERSION_POLICIES[dag.version_policy],
        source_location=_source_location(dag.location, root),
    )
    if dag.is_paused_upon_creation is not None:
        message.paused_upon_creation = dag.is_paused_upon_creation
    return message


def entry_point(node: TaskNode) -> str:
    """The name by which the bundle finds a step's function again."""
    return f"{node.dag.dag_id}.{node.task_id}"


def _task(node: TaskNode, upstream: Iterable[TaskNode]) -> task_pb2.Task:
    settings = node.settings
    definition = node.task.definition
    reference = definition.reference
    task = task_pb2.Task(
        task_id=node.task_id,
        display_name=settings.get("display_name", ""),
        doc_md=settings.get("doc_md") or inspect.getdoc(definition.function) or "",
        kind=task_pb2.TASK_KIND_NORMAL,
        upstream=[task_pb2.Edge(task_id=up.task_id) for up in upstream],
        trigger_rule=_trigger_rule(settings),
        inputs=[_input(node, bound) for bound in node.inputs],
        mapping=_mapping(node),
        retry=_retry(node),
        execution_timeout=_duration(settings.get("execution_timeout")),
        cancel_grace=_duration(settings.get("cancel_grace")),
        queue=settings.get("queue", ""),
        slots=settings.get("slots"),
        pool=settings.get("pool", ""),
        pool_slots=settings.get("pool_slots"),
        priority=settings.get("priority_weight"),
        worker_labels=[
            task_pb2.LabelSelector(key=key, value=value, required=True)
            for key, value in sorted(settings.get("worker_labels", {}).items())
        ],
        group_id=node.group.group_id if node.group else "",
        on_partition=_PARTITION_POLICIES[settings["on_partition"]] if "on_partition" in settings else None,
        isolation=_ISOLATIONS[settings["isolation"]] if "isolation" in settings else None,
        variables=settings.get("variables", ()),
        connections=settings.get("connections", ()),
        output_names=_output_names(node),
        depends_on_past=task_pb2.DEPENDS_ON_PAST_SELF if settings.get("depends_on_past") else None,
        max_active_instances=settings.get("max_active_tis_per_dag"),
        max_active_instances_per_run=settings.get("max_active_tis_per_dagrun"),
        language="" if reference else "python",
        map_index_template=settings.get("map_index_template", ""),
    )
    if reference is None:
        task.entry_point = entry_point(node)
    else:
        task.reference.bundle = reference.bundle
        task.reference.entry_point = reference.entry_point
    return task


def _trigger_rule(settings: TaskSettings) -> task_pb2.TriggerRule | None:
    rule = settings.get("trigger_rule")
    if rule is None:
        return None
    return cast(task_pb2.TriggerRule, task_pb2.TriggerRule.Value(f"TRIGGER_RULE_{str(rule).upper()}"))


def _retry(node: TaskNode) -> retry_pb2.RetryPolicy | None:
    settings = node.settings
    backoff = settings.get("retry_exponential_backoff", False)
    multiplier = 2.0 if backoff is True else None if backoff is False else float(backoff)
    policy = retry_pb2.RetryPolicy(
        retries=settings.get("retries"),
        delay=_duration(settings.get("retry_delay")),
        multiplier=multiplier,
        max_delay=_duration(settings.get("max_retry_delay")),
        jitter=settings.get("retry_jitter"),
        rules=[_retry_rule(rule, node) for rule in settings.get("retry_rules", ())],
        max_lost=settings.get("max_lost"),
    )
    return policy if policy.ByteSize() else None


def _retry_rule(rule: RetryRule, node: TaskNode) -> retry_pb2.RetryRule:
    if not rule.failure_types or isinstance(rule.failure_types, str):
        raise DagError(
            f"A retry rule of task '{node.task_id}' needs a list of failure types, such as ['ValueError']",
            file=node.location.file,
            line=node.location.line,
        )
    return retry_pb2.RetryRule(
        failure_types=rule.failure_types,
        retry=rule.retry,
        delay=None if rule.delay is None else _duration(as_span(rule.delay, what=f"a retry rule of '{node.task_id}'")),
    )


def _input(node: TaskNode, bound: BoundInput) -> task_pb2.Input:
    message = task_pb2.Input(name=bound.name, position=bound.position)
    source = bound.source
    if isinstance(source, Encoded):
        message.literal.CopyFrom(to_payload(source))
    elif isinstance(source, XComArg):
        message.output.CopyFrom(_output(source))
    elif isinstance(source, ParamArg):
        if source.name not in node.dag.params:
            raise DagError(
                f"Task '{node.task_id}' takes the parameter '{source.name}', which DAG '{node.dag.dag_id}' has not",
                file=node.location.file,
                line=node.location.line,
            )
        message.param = source.name
    elif isinstance(source, CompositeArg):
        message.composite.template_json = source.template_json
        message.composite.parts.extend(_output(part) for part in source.parts)
    return message


def _mapping(node: TaskNode) -> task_pb2.Mapping | None:
    if node.mapping is None:
        return None
    return task_pb2.Mapping(
        combination=_COMBINATIONS[node.mapping.combination],
        inputs=[_mapped_input(bound) for bound in node.mapping.inputs],
    )


def _mapped_input(bound: BoundInput) -> task_pb2.MappedInput:
    message = task_pb2.MappedInput(name=bound.name, position=bound.position)
    if isinstance(bound.source, Encoded):
        message.literal.CopyFrom(to_payload(bound.source))
    elif isinstance(bound.source, XComArg):
        message.output.CopyFrom(_output(bound.source))
    return message


def _output(result: XComArg) -> task_pb2.Output:
    return task_pb2.Output(
        task_id=result.node.task_id,
        key="" if result.key == RETURN_VALUE else result.key,
        path=[
            task_pb2.Output.PathStep(index=step) if isinstance(step, int) else task_pb2.Output.PathStep(name=step)
            for step in result.path
        ],
    )


def _output_names(node: TaskNode) -> list[str]:
    """The names that others in the DAG use; a dict may have more, which nobody can know before it is there."""
    return list(node.output_names) if node.settings.get("multiple_outputs") else []


def _group(group: TaskGroup) -> dag_pb2.TaskGroup:
    parent = group.parent.group_id if group.parent else ""
    return dag_pb2.TaskGroup(group_id=group.group_id, parent_group_id=parent, description=group.description)


def _param(dag: DAG, name: str, param: Param) -> dag_pb2.Param:
    what = f"the default of parameter '{name}' of DAG '{dag.dag_id}'"
    return dag_pb2.Param(
        name=name,
        default_value=None if param.default is NO_DEFAULT else to_payload(encode(param.default, what=what)),
        json_schema=_schema_text(param.schema),
        description=param.description,
    )


def _schema_text(schema: Mapping[str, object]) -> str:
    return json.dumps(schema, sort_keys=True, ensure_ascii=False, separators=(",", ":")) if schema else ""


def _access(access: Access | None) -> dag_pb2.Access | None:
    if access is None:
        return None
    return dag_pb2.Access(
        mode=_ACCESS_MODES[access.mode],
        variables=access.variables,
        connections=access.connections,
        dags=access.dags,
    )


def _schedule(schedule: PlainSchedule | None) -> schedule_pb2.Schedule | None:
    if schedule is None:
        return None
    if isinstance(schedule, Cron):
        cron = schedule_pb2.CronSchedule(expression=schedule.expression, time_zone=schedule.time_zone)
        return schedule_pb2.Schedule(cron=cron)
    if isinstance(schedule, Once):
        return schedule_pb2.Schedule(once=schedule_pb2.OnceSchedule())
    if isinstance(schedule, timedelta):
        return schedule_pb2.Schedule(interval=schedule_pb2.IntervalSchedule(interval=_duration(schedule)))
    times = [moment for moment in map(_timestamp, schedule) if moment is not None]
    return schedule_pb2.Schedule(events=schedule_pb2.EventListSchedule(times=times))


def _duration(span: timedelta | float | None) -> Duration | None:
    if span is None:
        return None
    message = Duration()
    message.FromTimedelta(span if isinstance(span, timedelta) else timedelta(seconds=span))
    return message


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def _source_location(location: Location, root: Path) -> str:
    return f"{relative_source(location.file, root)}:{location.line}"


def relative_source(file: str, root: Path) -> str:
    """A source file relative to its bundle, so that it reads the same on every machine."""
    path = os.path.relpath(os.path.realpath(file), os.path.realpath(root))
    return os.path.basename(file) if path.startswith(os.pardir) else Path(path).as_posix()
