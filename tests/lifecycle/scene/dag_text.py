"""DAGs as transcripts write them: `dag d max_active_runs=2 { a; b after=a rule=one_failed }`.

Behind the DAG's id stand its options, in braces its tasks and groups, one a line or with `;` between them:

    dag d  name= description= doc= tags=a,b owner=                          for people
           cron="0 2 * * *" zone=Europe/Berlin | interval=1h | once | times=T1,T2 | timetable=entry config={..}
           assets=a & (b | c)  or_cron=".."                                 `alias:x` names an alias
           start= end= catchup paused  run_timeout=1h deadline=queued:1h    deadline from queued, started or logical
           max_active_runs= max_active_tasks= policy=fail                   policy: newest or fail
           param.x=1 param.y schema.x={..}                                  a parameter without value is required
           access=strict variables= connections= dags= callback=failure:entry,deadline:entry
    group g  parent=h  map=.. combine=..
    task a   after=b,c:label rule=one_failed kind=branch entry=name ref=bundle/entry
             reads=b,x:c,y:c.key   param=p,x:p   with.x=5   item=g_input
             map=[1,2] | map=b | map=x:[1],y:b  combine=zip  map_name=template
             retries=2 delay=5m multiplier=2 max_delay= jitter= max_lost= retry=ValueError:no,OSError:10s
             timeout= grace= queue= slots= pool= pool_slots= priority= label=gpu:yes,zone:eu? partition=kill
             isolation=process variables= connections= inlets= outlets= outputs= past=self|downstream
             max_active= max_active_per_run= callback=failure:entry language= setups=a,b fail_run
             name= doc= group=

The word `task` may be left out. A label that ends in `?` is preferred, any other is required.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from crosswind.manifest.v1 import dag_pb2, retry_pb2, schedule_pb2, task_pb2
from tests.lifecycle.scene.text import Arguments, Unreadable, duration, payload, split, timestamp, value_of

_REFERENCES: Final[Mapping[str, Any]] = {
    "queued": dag_pb2.Deadline.REFERENCE_QUEUED,
    "logical": dag_pb2.Deadline.REFERENCE_LOGICAL_TIME,
    "started": dag_pb2.Deadline.REFERENCE_STARTED,
}


def read_dag(head: str, body: str, *, now_us: int) -> dag_pb2.Dag:
    """The DAG that a text describes."""
    arguments = Arguments.parse(head)
    dag = dag_pb2.Dag(dag_id=arguments.word("DAG id"))
    _read_options(dag, arguments, now_us)
    arguments.done()
    for line in split(body, ";\n"):
        if line.startswith("#"):
            continue
        words = Arguments.parse(line)
        if words.words[:1] == ["group"]:
            words.words.pop(0)
            _read_group(dag.groups.add(), words)
        else:
            if words.words[:1] == ["task"] and len(words.words) > 1:
                words.words.pop(0)
            _read_task(dag.tasks.add(), words)
        words.done()
    return dag


def value_named(enum: EnumTypeWrapper, prefix: str, word: str) -> Any:
    """The value of an enum by its short name, such as `one_failed`."""
    return enum.Value(f"{prefix}_{word.upper().replace('-', '_')}")


def _read_options(dag: dag_pb2.Dag, a: Arguments, now_us: int) -> None:
    dag.display_name, dag.description, dag.doc_md = a.get("name"), a.get("description"), a.get("doc")
    dag.tags.extend(a.names("tags"))
    dag.owner = a.get("owner")
    _read_schedule(dag, a, now_us)
    for option, field in (("start", dag.start_time), ("end", dag.end_time)):
        if text := a.get(option):
            field.CopyFrom(timestamp(text, now_us))
    dag.catchup = a.flag("catchup")
    if a.flag("paused"):
        dag.paused_upon_creation = True
    for name in ("max_active_runs", "max_active_tasks"):
        if (number := a.number(name)) is not None:
            setattr(dag, name, number)
    if text := a.get("run_timeout"):
        dag.run_timeout.CopyFrom(duration(text))
    if text := a.get("deadline"):
        reference, _, interval = text.rpartition(":")
        dag.deadline.reference = _REFERENCES[reference or "queued"]
        dag.deadline.interval.CopyFrom(duration(interval))
    if text := a.get("policy"):
        dag.version_policy = value_named(dag_pb2.VersionPolicy, "VERSION_POLICY", text)
    schemas = dict(a.below("schema"))
    for name, text in a.below("param"):
        dag.params.add(name=name, default_value=payload(value_of(text)), json_schema=schemas.pop(name, ""))
    for name, text in schemas.items():
        dag.params.add(name=name, json_schema=text)
    for name in [word.removeprefix("param.") for word in a.words if word.startswith("param.")]:
        a.words.remove(f"param.{name}")
        dag.params.add(name=name)
    if text := a.get("access"):
        dag.access.mode = value_named(dag_pb2.AccessMode, "ACCESS_MODE", text)
        dag.access.variables.extend(a.names("variables"))
        dag.access.connections.extend(a.names("connections"))
        dag.access.dags.extend(a.names("dags"))
    for event, entry_point in _pairs(a.names("callback")):
        dag.callbacks.add(event=value_named(dag_pb2.Callback.Event, "EVENT", event), entry_point=entry_point)


def _read_schedule(dag: dag_pb2.Dag, a: Arguments, now_us: int) -> None:
    zone = a.get("zone")
    if text := a.get("cron"):
        dag.schedule.cron.expression, dag.schedule.cron.time_zone = text, zone
    elif text := a.get("interval"):
        dag.schedule.interval.interval.CopyFrom(duration(text))
    elif a.flag("once"):
        dag.schedule.once.SetInParent()
    elif times := a.names("times"):
        dag.schedule.events.times.extend(timestamp(each, now_us) for each in times)
    elif text := a.get("timetable"):
        dag.schedule.timetable.entry_point = text
        dag.schedule.timetable.config_json = a.get("config")
    elif text := a.get("assets"):
        dag.schedule.assets.condition.CopyFrom(_condition(text))
        if cron := a.get("or_cron"):
            dag.schedule.assets.or_cron.expression, dag.schedule.assets.or_cron.time_zone = cron, zone


def _condition(text: str) -> schedule_pb2.AssetCondition:
    text = text.strip()
    made = schedule_pb2.AssetCondition()
    for operator, name in (("|", "any"), ("&", "all")):
        parts = split(text, operator)
        if len(parts) > 1:
            getattr(made, name).conditions.extend(map(_condition, parts))
            return made
    if text.startswith("("):
        return _condition(text[1:-1])
    made.asset.CopyFrom(asset(text))
    return made


def asset(text: str) -> schedule_pb2.AssetReference:
    """`name`, or `alias:name`."""
    return schedule_pb2.AssetReference(name=text.removeprefix("alias:"), alias=text.startswith("alias:"))


def _read_group(group: dag_pb2.TaskGroup, a: Arguments) -> None:
    group.group_id = a.word("group id")
    group.parent_group_id = a.get("parent")
    if text := a.get("map"):
        _read_mapping(group.mapping, text, a.get("combine"))


def _read_task(task: task_pb2.Task, a: Arguments) -> None:
    task.task_id = a.word("task id")
    task.display_name, task.doc_md = a.get("name"), a.get("doc")
    if reference := a.get("ref"):
        task.reference.bundle, _, task.reference.entry_point = reference.partition("/")
    else:
        task.entry_point = a.get("entry") or f"mod:{task.task_id}"
        task.language = a.get("language", "python")
    if kind := a.get("kind"):
        task.kind = value_named(task_pb2.TaskKind, "TASK_KIND", kind)
    for each in a.names("after"):
        task_id, _, label = each.partition(":")
        task.upstream.add(task_id=task_id, label=label)
    if rule := a.get("rule"):
        task.trigger_rule = value_named(task_pb2.TriggerRule, "TRIGGER_RULE", rule)
    _read_inputs(task, a)
    _read_retry(task, a)
    _read_needs(task, a)
    task.setup_task_ids.extend(a.names("setups"))
    task.on_failure_fail_run = a.flag("fail_run")
    if past := a.get("past"):
        task.depends_on_past = value_named(task_pb2.DependsOnPast, "DEPENDS_ON_PAST", past)
    for trigger, entry_point in _pairs(a.names("callback")):
        task.callbacks.add(
            trigger=value_named(task_pb2.TaskCallback.Trigger, "TRIGGER", trigger), entry_point=entry_point
        )


def _read_inputs(task: task_pb2.Task, a: Arguments) -> None:
    def add(name: str) -> task_pb2.Input:
        return task.inputs.add(name=name, position=len(task.inputs))

    for each in a.names("reads"):
        name, _, source = each.rpartition(":")
        task_id, _, key = source.partition(".")
        add(name or f"arg{len(task.inputs)}").output.CopyFrom(task_pb2.Output(task_id=task_id, key=key))
    for each in a.names("param"):
        name, _, param = each.rpartition(":")
        add(name or param).param = param
    for name, text in a.below("with"):
        add(name).literal.CopyFrom(payload(value_of(text)))
    for each in a.names("item"):
        name, _, item = each.rpartition(":")
        add(name or item).group_item = item
    if text := a.get("map"):
        _read_mapping(task.mapping, text, a.get("combine"))
    task.map_index_template = a.get("map_name")


def _read_mapping(mapping: task_pb2.Mapping, text: str, combination: str) -> None:
    if combination:
        mapping.combination = value_named(task_pb2.Mapping.Combination, "COMBINATION", combination)
    else:
        mapping.combination = task_pb2.Mapping.COMBINATION_CROSS
    for position, each in enumerate(split(text, ",")):
        name, source = "", each
        if not each.startswith("["):
            head, colon, rest = each.partition(":")
            name, source = (head, rest) if colon else ("", each)
        made = mapping.inputs.add(name=name or f"item{position}", position=position)
        if source.startswith("["):
            made.literal.CopyFrom(payload(value_of(source)))
        else:
            made.output.task_id, _, made.output.key = source.partition(".")


def _read_retry(task: task_pb2.Task, a: Arguments) -> None:
    retry = retry_pb2.RetryPolicy()
    for name in ("retries", "max_lost"):
        if (number := a.number(name)) is not None:
            setattr(retry, name, number)
    for name in ("delay", "max_delay"):
        if text := a.get(name):
            getattr(retry, name).CopyFrom(duration(text))
    for name in ("multiplier", "jitter"):
        if text := a.get(name):
            setattr(retry, name, float(text))
    for failure_type, what in _pairs(a.names("retry")):
        rule = retry.rules.add(failure_types=[failure_type])
        if what == "no":
            rule.retry = False
        else:
            rule.delay.CopyFrom(duration(what))
    if retry != retry_pb2.RetryPolicy():
        task.retry.CopyFrom(retry)


def _read_needs(task: task_pb2.Task, a: Arguments) -> None:
    if text := a.get("timeout"):
        task.execution_timeout.CopyFrom(duration(text))
    if text := a.get("grace"):
        task.cancel_grace.CopyFrom(duration(text))
    task.queue, task.pool, task.group_id = a.get("queue"), a.get("pool"), a.get("group")
    numbers = {"slots": "slots", "pool_slots": "pool_slots", "priority": "priority"}
    numbers |= {"max_active": "max_active_instances", "max_active_per_run": "max_active_instances_per_run"}
    for option, field in numbers.items():
        if (number := a.number(option)) is not None:
            setattr(task, field, number)
    for key, value in _pairs(a.names("label")):
        task.worker_labels.add(key=key, value=value.removesuffix("?"), required=not value.endswith("?"))
    if text := a.get("partition"):
        task.on_partition = value_named(task_pb2.PartitionPolicy, "PARTITION_POLICY", text)
    if text := a.get("isolation"):
        task.isolation = value_named(task_pb2.Isolation, "ISOLATION", text)
    task.variables.extend(a.names("variables"))
    task.connections.extend(a.names("connections"))
    task.inlets.extend(map(asset, a.names("inlets")))
    task.outlets.extend(map(asset, a.names("outlets")))
    task.output_names.extend(a.names("outputs"))


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    for word in words:
        if ":" not in word:
            raise Unreadable(f"{word!r} has no colon, as in failure:entry")
    return [(key, value) for key, _, value in (word.partition(":") for word in words)]
