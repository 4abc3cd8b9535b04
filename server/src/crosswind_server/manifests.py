"""From `manifest.v1` messages to the plans that the server works with, and between payloads and stored values.

The one room between rpc and domain that knows these messages: rpc and services use it, nothing below them. What is not
valid is refused with DAG_INVALID, what is valid but cannot be run yet with NOT_SUPPORTED, each in one sentence that
names the task.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NoReturn

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError

from crosswind.execution.v1.failure_pb2 import Failure
from crosswind.manifest.v1 import dag_pb2, retry_pb2, task_pb2
from crosswind.value.v1.value_pb2 import Item, Items, Payload
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.graph import Node, check_id, check_shape
from crosswind_server.domain.plan import (
    RETURN_VALUE,
    AccessPlan,
    Combination,
    CompositePlan,
    DagPlan,
    InputPlan,
    MappedInputPlan,
    MappingPlan,
    OutputPlan,
    ParamPlan,
    Reference,
    RetryRule,
    StoredValue,
    TaskPlan,
    VersionPolicy,
)
from crosswind_server.domain.readiness import TriggerRule
from crosswind_server.domain.retry import DAY_US, RetryPolicy
from crosswind_server.timing import LIMITS

MAX_TASKS: Final = 10_000
_DEFAULT_RETRY_DELAY_US: Final = 300 * 1_000_000
_DEFAULT_CANCEL_GRACE_US: Final = 10 * 1_000_000
_DEFAULT_QUEUE: Final = "default"

_T = task_pb2
_RULES: Final[Mapping[int, TriggerRule]] = {
    _T.TRIGGER_RULE_UNSPECIFIED: TriggerRule.ALL_SUCCESS,
    **{getattr(_T, f"TRIGGER_RULE_{rule.name}"): rule for rule in TriggerRule},
}
_RUNNABLE_KINDS: Final = (_T.TASK_KIND_UNSPECIFIED, _T.TASK_KIND_NORMAL, _T.TASK_KIND_SENSOR)
_COMBINATIONS: Final = {
    _T.Mapping.COMBINATION_UNSPECIFIED: Combination.CROSS,
    _T.Mapping.COMBINATION_CROSS: Combination.CROSS,
    _T.Mapping.COMBINATION_ZIP: Combination.ZIP,
    _T.Mapping.COMBINATION_KEYWORDS: Combination.KEYWORDS,
}


# --- values -----------------------------------------------------------------------------------------------------------


def value_of(payload: Payload, *, limit: int = LIMITS.max_inline_value_bytes, what: str = "The value") -> StoredValue:
    """The value in a payload.

    Args:
        limit: bytes of the value, or of each of its items.
        what: names the value in a refusal.

    Raises:
        Refused: INVALID_ARGUMENT, it is empty or breaks a rule of `Payload`; VALUE_TOO_LARGE; NOT_SUPPORTED, a blob.
    """
    if not 1 <= len(payload.encoding) <= 100:
        _refuse(Reason.INVALID_ARGUMENT, "A payload names its encoding in 1 to 100 characters, such as 'json/utf-8'.")
    if len(payload.metadata) > 16 or any(len(k) + len(v) > 1024 for k, v in payload.metadata.items()):
        _refuse(Reason.INVALID_ARGUMENT, "The metadata of a payload have at most 16 entries of 1 KiB each.")
    content = payload.WhichOneof("content")
    metadata = dict(payload.metadata)
    if content == "data":
        _check_size(len(payload.data), limit, what)
        return StoredValue(encoding=payload.encoding, metadata=metadata, data=payload.data)
    if content == "items":
        items = []
        for number, item in enumerate(payload.items.items):
            if item.WhichOneof("content") != "data":
                _refuse_content(item.WhichOneof("content"), f"Item {number} of a payload")
            _check_size(len(item.data), limit, f"Item {number} of the value")
            items.append(item.data)
        return StoredValue(encoding=payload.encoding, metadata=metadata, items=tuple(items))
    _refuse_content(content, "A payload")


def payload_of(value: StoredValue) -> Payload:
    """The payload that carries a value."""
    if value.items is not None:
        content = Items(items=[Item(data=item) for item in value.items])
        return Payload(encoding=value.encoding, metadata=value.metadata, items=content)
    return Payload(encoding=value.encoding, metadata=value.metadata, data=value.data or b"")


def read_conf(message: bytes) -> Mapping[str, object]:
    """The parameters of a run: a serialized payload that holds a JSON object.

    Raises:
        Refused: INVALID_ARGUMENT or VALUE_TOO_LARGE.
    """
    value = value_of(Payload.FromString(message), what="The conf of a run")
    try:
        if value.encoding != "json/utf-8" or value.data is None:
            raise ValueError
        conf = json.loads(value.data)
        if not isinstance(conf, dict):
            raise ValueError
        return conf
    except ValueError:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            "The conf of a run is a JSON object in the encoding 'json/utf-8', such as {\"month\": 1}.",
            metadata={"field": "conf"},
        ) from None


def param_value(param: ParamPlan, conf: Mapping[str, object]) -> StoredValue | None:
    """The value of a run's parameter: what the run was given, else its default."""
    if param.name not in conf:
        return param.default
    data = json.dumps(conf[param.name], ensure_ascii=False, separators=(",", ":")).encode()
    return StoredValue(encoding="json/utf-8", data=data)


def failure_message(failure_type: str, message: str, *, retryable: bool = True) -> bytes:
    """A failure that the server itself found, serialized."""
    failure = Failure(type=failure_type, message=message)
    if not retryable:
        failure.retryable = False
    return failure.SerializeToString()


def _check_size(size: int, limit: int, what: str) -> None:
    if size > limit:
        raise Refused(
            Reason.VALUE_TOO_LARGE,
            f"{what} has {size:,} bytes, and at most {limit:,} travel inline; pass a path or a key to it instead.",
            metadata={"size_bytes": str(size), "limit_bytes": str(limit)},
        )


def _refuse_content(content: str | None, what: str) -> NoReturn:
    if content == "blob":
        _refuse(
            Reason.NOT_SUPPORTED,
            f"{what} is a blob, which this server does not store; keep the data elsewhere and pass its name.",
        )
    _refuse(Reason.INVALID_ARGUMENT, f"{what} has no content; set `data` or `items`.")


def _refuse(reason: Reason, message: str) -> NoReturn:
    raise Refused(reason, message)


# --- DAGs -------------------------------------------------------------------------------------------------------------


def read_dag(message: bytes, *, dag_version_id: str, dag_id: str | None = None) -> DagPlan:
    """Reads and checks a serialized `manifest.v1.Dag`.

    Args:
        message: the bytes as received.
        dag_version_id: their SHA-256, in hex.
        dag_id: the id beside the bytes, which must be the one inside.

    Raises:
        Refused: DAG_INVALID or NOT_SUPPORTED.
    """
    shown = (dag_id or "?")[:80]
    try:
        dag = dag_pb2.Dag.FromString(message)
    except DecodeError:
        raise Refused(
            Reason.DAG_INVALID,
            f"DAG '{shown}' cannot be read: its bytes are not a serialized manifest.v1.Dag; build the bundle again.",
            metadata={"dag_id": shown},
        ) from None
    reader = _DagReader(dag)
    if dag_id is not None and dag.dag_id != dag_id:
        reader.invalid(f"is announced as '{shown}'; build the bundle again, so that both ids are one")
    return reader.read(dag_version_id)


class _DagReader:
    """Reads one DAG. Every refusal names the DAG, and the task where it is one's."""

    def __init__(self, dag: dag_pb2.Dag) -> None:
        self._dag = dag
        self._name = f"DAG '{dag.dag_id[:80]}'"

    def invalid(self, what: str) -> NoReturn:
        raise Refused(Reason.DAG_INVALID, f"{self._name} {what}.", metadata={"dag_id": self._dag.dag_id[:80]})

    def unsupported(self, what: str, way_out: str) -> NoReturn:
        raise Refused(
            Reason.NOT_SUPPORTED,
            f"{self._name} {what}, which this server does not support yet; {way_out}.",
            metadata={"dag_id": self._dag.dag_id[:80]},
        )

    def read(self, dag_version_id: str) -> DagPlan:
        dag = self._dag
        if not 1 <= len(dag.tasks) <= MAX_TASKS:
            self.invalid(f"has {len(dag.tasks):,} tasks; a DAG has 1 to {MAX_TASKS:,}")
        nodes = [Node(task.task_id, tuple(self._upstream_of(task))) for task in dag.tasks]
        shape = check_shape(dag.dag_id, nodes)
        self._check_dag()
        index = {task.task_id: number for number, task in enumerate(dag.tasks)}
        params = tuple(self._read_params())
        tasks = tuple(
            self._read_task(
                task,
                index=number,
                upstream=tuple(index[task_id] for task_id in dict.fromkeys(node.upstream)),
                downstream=tuple(index[task_id] for task_id in shape.downstream[task.task_id]),
                params=frozenset(param.name for param in params),
            )
            for number, (task, node) in enumerate(zip(dag.tasks, nodes, strict=True))
        )
        access = dag.access
        return DagPlan(
            dag_version_id=dag_version_id,
            dag_id=dag.dag_id,
            tasks=tasks,
            leaves=frozenset(index[task_id] for task_id in shape.leaves),
            params=params,
            access=AccessPlan(
                strict=access.mode == dag_pb2.ACCESS_MODE_STRICT,
                variables=tuple(access.variables),
                connections=tuple(access.connections),
                dags=tuple(access.dags),
            ),
            version_policy=(
                VersionPolicy.FAIL if dag.version_policy == dag_pb2.VERSION_POLICY_FAIL else VersionPolicy.NEWEST
            ),
            paused_upon_creation=dag.paused_upon_creation,
            display_name=dag.display_name,
            description=dag.description,
            has_schedule=dag.HasField("schedule"),
        )

    def _check_dag(self) -> None:
        dag = self._dag
        if dag.HasField("run_timeout"):
            self.unsupported("has a run timeout", "leave `run_timeout` out and give its tasks execution timeouts")
        if dag.HasField("deadline"):
            self.unsupported("has a deadline", "leave `deadline` out")
        if dag.callbacks:
            self.unsupported("has callbacks", "leave `callbacks` out, or write a last task with the rule all_done")
        if dag.HasField("max_active_runs"):
            self.unsupported("bounds its active runs", "leave `max_active_runs` out")
        if dag.HasField("max_active_tasks"):
            self.unsupported("bounds its active tasks", "leave `max_active_tasks` out and bound the worker's slots")
        if len(dag.tags) > 50 or any(len(tag) > 100 for tag in dag.tags):
            self.invalid("has more than 50 tags, or one of more than 100 characters; shorten them")
        if len(dag.doc_md.encode()) > 64 * 1024:
            self.invalid("has documentation of more than 64 KiB; shorten `doc_md`")
        seen: set[str] = set()
        for group in dag.groups:
            if group.HasField("mapping"):
                self.unsupported(f"maps the task group '{group.group_id}'", "map its tasks one by one")
            if group.parent_group_id and group.parent_group_id not in seen:
                self.invalid(f"has the task group '{group.group_id}' before its parent '{group.parent_group_id}'")
            if group.group_id in seen:
                self.invalid(f"has two task groups with the id '{group.group_id}'; rename one of them")
            seen.add(group.group_id)
        for task in dag.tasks:
            if task.group_id and task.group_id not in seen:
                self.invalid(f"has no task group '{task.group_id}' for task '{task.task_id}'; add it")

    def _read_params(self) -> Iterator[ParamPlan]:
        seen: set[str] = set()
        for param in self._dag.params:
            if not param.name or param.name in seen:
                self.invalid(f"has two parameters with the name '{param.name}', or one without; rename one of them")
            seen.add(param.name)
            default = None
            if param.HasField("default_value"):
                default = self._value(param.default_value, f"the default of parameter '{param.name}'")
            yield ParamPlan(param.name, default, param.json_schema, param.description)

    @staticmethod
    def _upstream_of(task: task_pb2.Task) -> Iterator[str]:
        yield from (edge.task_id for edge in task.upstream)
        yield from (output.task_id for output in _outputs_of(task))

    def _read_task(
        self,
        task: task_pb2.Task,
        *,
        index: int,
        upstream: tuple[int, ...],
        downstream: tuple[int, ...],
        params: frozenset[str],
    ) -> TaskPlan:
        name = f"task '{task.task_id}'"
        self._check_task(task, name)
        reference = None
        if task.WhichOneof("target") == "reference":
            if not task.reference.bundle or not task.reference.entry_point:
                self.invalid(f"refers in {name} to another bundle without naming the bundle and the entry point")
            reference = Reference(task.reference.bundle, task.reference.entry_point)
        elif not 1 <= len(task.entry_point) <= 500:
            self.invalid(f"does not say what {name} runs; give it an entry point (1 to 500 characters) or a reference")
        rule = _RULES.get(task.trigger_rule)
        if rule is None:
            self.invalid(f"gives {name} the unknown trigger rule {task.trigger_rule}; use an SDK of this version")
        policy, rules = self._read_retry(task.retry, name)
        return TaskPlan(
            index=index,
            task_id=task.task_id,
            entry_point=reference.entry_point if reference else task.entry_point,
            reference=reference,
            kind=task.kind,
            upstream=upstream,
            downstream=downstream,
            trigger_rule=rule,
            inputs=tuple(self._read_input(each, name, params) for each in task.inputs),
            mapping=self._read_mapping(task.mapping, name) if task.HasField("mapping") else None,
            retry=policy,
            retry_rules=rules,
            execution_timeout_us=(
                self._span(task.execution_timeout, f"the execution timeout of {name}", least=1)
                if task.HasField("execution_timeout")
                else None
            ),
            cancel_grace_us=(
                self._span(task.cancel_grace, f"the cancel grace of {name}")
                if task.HasField("cancel_grace")
                else _DEFAULT_CANCEL_GRACE_US
            ),
            queue=task.queue or _DEFAULT_QUEUE,
            slots=task.slots if task.HasField("slots") else 1,
            priority=task.priority,
            on_partition=task.on_partition,
            isolation=task.isolation,
            variables=tuple(dict.fromkeys(task.variables)),
            connections=tuple(dict.fromkeys(task.connections)),
            language=task.language,
        )

    def _check_task(self, task: task_pb2.Task, name: str) -> None:
        if task.kind not in _RUNNABLE_KINDS:
            kind = {
                _T.TASK_KIND_BRANCH: "branches",
                _T.TASK_KIND_SHORT_CIRCUIT: "short-circuits",
                _T.TASK_KIND_SETUP: "is a setup",
                _T.TASK_KIND_TEARDOWN: "is a teardown",
            }.get(task.kind, "is of an unknown kind")
            self.unsupported(f"has the task '{task.task_id}' that {kind}", "make it an ordinary task")
        if task.pool:
            self.unsupported(f"puts {name} into the pool '{task.pool}'", "leave `pool` out and bound slots")
        if task.depends_on_past:
            self.unsupported(f"lets {name} depend on the run before", "leave `depends_on_past` out")
        if task.HasField("max_active_instances") or task.HasField("max_active_instances_per_run"):
            self.unsupported(f"bounds the active instances of {name}", "leave the bound out and use a queue of its own")
        if task.callbacks:
            self.unsupported(f"gives {name} callbacks", "write them as tasks with a trigger rule")
        if any(label.required for label in task.worker_labels):
            self.unsupported(f"requires worker labels for {name}", "give the task a queue of its own instead")
        if task.setup_task_ids:
            self.invalid(f"names setup tasks for {name}, which is no teardown; remove them")
        if len(task.queue) > 100:
            self.invalid(f"gives {name} a queue of more than 100 characters; shorten it")
        if task.HasField("slots") and not 1 <= task.slots <= 10_000:
            self.invalid(f"gives {name} {task.slots} slots; a task takes 1 to 10,000")

    def _read_input(self, each: task_pb2.Input, name: str, params: frozenset[str]) -> InputPlan:
        shown = f"the argument '{each.name}'" if each.name else f"argument {each.position}"
        position = each.position if each.HasField("position") else None
        if not each.name and position is None:
            self.invalid(f"has an argument of {name} with neither name nor position; give it one")
        match each.WhichOneof("source"):
            case "literal":
                literal = self._value(each.literal, f"{shown} of {name}")
                return InputPlan(name=each.name, position=position, literal=literal)
            case "output":
                return InputPlan(name=each.name, position=position, output=_read_output(each.output))
            case "param":
                if each.param not in params:
                    self.invalid(f"has no parameter '{each.param}' for {shown} of {name}; declare it")
                return InputPlan(name=each.name, position=position, param=each.param)
            case "composite":
                try:
                    json.loads(each.composite.template_json)
                except ValueError:
                    self.invalid(f"builds {shown} of {name} by a template that is not JSON; build it again")
                parts = tuple(_read_output(part) for part in each.composite.parts)
                composite = CompositePlan(each.composite.template_json, parts)
                return InputPlan(name=each.name, position=position, composite=composite)
            case _:
                self.invalid(f"does not say where {shown} of {name} comes from; give it a source")

    def _read_mapping(self, mapping: task_pb2.Mapping, name: str) -> MappingPlan:
        combination = _COMBINATIONS.get(mapping.combination)
        if combination is None:
            self.invalid(f"maps {name} by an unknown combination; build it with an SDK of this version")
        if not mapping.inputs:
            self.invalid(f"maps {name} over nothing; name at least one mapped argument")
        if combination is Combination.KEYWORDS and len(mapping.inputs) != 1:
            self.invalid(f"maps {name} over several lists of keywords; give it one")
        inputs = []
        for each in mapping.inputs:
            position = each.position if each.HasField("position") else None
            if each.WhichOneof("source") == "output":
                if each.output.path:
                    self.unsupported(f"maps {name} over a part of an output", "let a task return that part")
                inputs.append(MappedInputPlan(name=each.name, position=position, output=_read_output(each.output)))
                continue
            literal = self._value(each.literal, f"the list that {name} is mapped over")
            if literal.items is None:
                self.invalid(f"maps {name} over a value that is not sent as items; send the list as items")
            inputs.append(MappedInputPlan(name=each.name, position=position, literal=literal))
        return MappingPlan(combination, tuple(inputs))

    def _read_retry(self, retry: retry_pb2.RetryPolicy, name: str) -> tuple[RetryPolicy, tuple[RetryRule, ...]]:
        if not 0 <= retry.retries <= 1000:
            self.invalid(f"gives {name} {retry.retries} retries; a task has 0 to 1,000")
        what = f"the retry delay of {name}"
        delay = self._span(retry.delay, what) if retry.HasField("delay") else _DEFAULT_RETRY_DELAY_US
        longest = self._span(retry.max_delay, what) if retry.HasField("max_delay") else DAY_US
        try:
            policy = RetryPolicy(
                retries=retry.retries,
                lost_budget=retry.max_lost if retry.HasField("max_lost") else 3,
                delay_us=delay,
                multiplier=retry.multiplier if retry.HasField("multiplier") else 1.0,
                max_delay_us=longest,
                jitter=retry.jitter,
            )
        except ValueError as error:
            self.invalid(f"has a retry policy of {name} that is not valid: {error}")
        rules = []
        for rule in retry.rules:
            if not rule.failure_types:
                self.invalid(f"has a retry rule of {name} without failure types; name at least one")
            delay_us = self._span(rule.delay, what) if rule.HasField("delay") else None
            rules.append(RetryRule(frozenset(rule.failure_types), not rule.HasField("retry") or rule.retry, delay_us))
        return policy, tuple(rules)

    def _value(self, payload: Payload, what: str) -> StoredValue:
        try:
            return value_of(payload)
        except Refused as refused:
            reason = Reason.NOT_SUPPORTED if refused.reason is Reason.NOT_SUPPORTED else Reason.DAG_INVALID
            raise Refused(
                reason, f"{self._name}: {what}: {refused.message}", metadata={"dag_id": self._dag.dag_id[:80]}
            ) from refused

    def _span(self, span: Duration, what: str, *, least: int = 0) -> int:
        microseconds = span.seconds * 1_000_000 + span.nanos // 1000
        if not least <= microseconds <= 3_653 * DAY_US:
            self.invalid(f"sets {what} to {microseconds / 1e6:g} s; it lies between {least / 1e6:g} s and ten years")
        return microseconds


def _outputs_of(task: task_pb2.Task) -> Iterable[task_pb2.Output]:
    for each in task.inputs:
        source = each.WhichOneof("source")
        if source == "output":
            yield each.output
        elif source == "composite":
            yield from each.composite.parts
    for mapped in task.mapping.inputs:
        if mapped.WhichOneof("source") == "output":
            yield mapped.output


def _read_output(output: task_pb2.Output) -> OutputPlan:
    path = tuple(step.SerializeToString() for step in output.path)
    return OutputPlan(output.task_id, output.key or RETURN_VALUE, path)


def check_bundle_name(bundle: str, version: str) -> None:
    """Checks a bundle's name and version. Raises `Refused`: INVALID_ARGUMENT."""
    check_id("bundle name", bundle)
    if not 1 <= len(version) <= 128:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            f"The version of bundle '{bundle}' has 1 to 128 characters; it is a digest of the bundle's source.",
            metadata={"field": "bundle_version"},
        )
