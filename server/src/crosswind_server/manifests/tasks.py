"""From `manifest.v1.Task` messages to task plans."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from crosswind.manifest.v1 import dag_pb2, retry_pb2, task_pb2
from crosswind_server.domain.arguments import CompositePlan, GroupItemPlan, InputPlan
from crosswind_server.domain.claims import LabelPlan
from crosswind_server.domain.plan import CallbackEvent, CallbackPlan, PastRule, Reference, RetryRule, TaskKind, TaskPlan
from crosswind_server.domain.readiness import TriggerRule
from crosswind_server.domain.retry import DAY_US, RetryPolicy
from crosswind_server.manifests.assets import read_references
from crosswind_server.manifests.groups import GroupReader
from crosswind_server.manifests.mappings import outputs_of_mapping, read_mapping, read_output, read_path
from crosswind_server.manifests.refusals import Refusals

_DEFAULT_RETRY_DELAY_US: Final = 300 * 1_000_000
_DEFAULT_CANCEL_GRACE_US: Final = 10 * 1_000_000
_DEFAULT_QUEUE: Final = "default"

MAX_TEMPLATE: Final = 1_000
"""Characters of a template for the names of mapped instances."""

_T = task_pb2
_RULES: Final[Mapping[int, TriggerRule]] = {
    _T.TRIGGER_RULE_UNSPECIFIED: TriggerRule.ALL_SUCCESS,
    **{getattr(_T, f"TRIGGER_RULE_{rule.name}"): rule for rule in TriggerRule},
}
_KINDS: Final[Mapping[int, TaskKind]] = {getattr(_T, f"TASK_KIND_{kind.name}"): kind for kind in TaskKind}
_PAST: Final[Mapping[int, PastRule]] = {
    _T.DEPENDS_ON_PAST_UNSPECIFIED: PastRule.NONE,
    _T.DEPENDS_ON_PAST_SELF: PastRule.SELF,
    _T.DEPENDS_ON_PAST_DOWNSTREAM: PastRule.DOWNSTREAM,
}
_RUN_EVENTS: Final[Mapping[int, CallbackEvent]] = {
    dag_pb2.Callback.EVENT_SUCCESS: CallbackEvent.SUCCESS,
    dag_pb2.Callback.EVENT_FAILURE: CallbackEvent.FAILURE,
    dag_pb2.Callback.EVENT_DEADLINE: CallbackEvent.DEADLINE,
}
_TASK_EVENTS: Final[Mapping[int, CallbackEvent]] = {
    _T.TaskCallback.TRIGGER_SUCCESS: CallbackEvent.SUCCESS,
    _T.TaskCallback.TRIGGER_FAILURE: CallbackEvent.FAILURE,
    _T.TaskCallback.TRIGGER_RETRY: CallbackEvent.RETRY,
    _T.TaskCallback.TRIGGER_SKIPPED: CallbackEvent.SKIPPED,
}
MAX_CALLBACKS: Final = 20
"""Of a task, and of a DAG's runs."""


def upstream_of(task: task_pb2.Task) -> Iterator[str]:
    """The tasks before it: those that it names, whose outputs it reads, and whose scope it closes."""
    yield from (edge.task_id for edge in task.upstream)
    yield from (output.task_id for output in _outputs_of(task))
    yield from task.setup_task_ids


class TaskReader:
    """Reads the tasks of one DAG. Every refusal names the task.

    Args:
        dag: refuses.
        groups: of the DAG.
        tasks: all of them, by id.
    """

    def __init__(self, dag: Refusals, groups: GroupReader, tasks: Mapping[str, task_pb2.Task]) -> None:
        self._dag = dag
        self._groups = groups
        self._tasks = tasks
        self._index = {task_id: index for index, task_id in enumerate(tasks)}
        self._inside: dict[str | None, set[int]] = {}
        for index, task in enumerate(tasks.values()):
            self._inside.setdefault(groups.mapped_around(task.group_id), set()).add(index)

    def read(
        self,
        task: task_pb2.Task,
        *,
        index: int,
        upstream: tuple[int, ...],
        downstream: tuple[int, ...],
        depth: int,
        params: frozenset[str],
    ) -> TaskPlan:
        name = f"task '{task.task_id}'"
        kind = _KINDS.get(task.kind)
        if kind is None:
            self._dag.invalid(f"gives {name} the unknown kind {task.kind}; use an SDK of this version")
        self._check_task(task, name)
        mapped_group = self._groups.mapped_around(task.group_id)
        inside = self._inside[mapped_group] if mapped_group is not None else frozenset()
        reference = None
        if task.WhichOneof("target") == "reference":
            if not task.reference.bundle or not task.reference.entry_point:
                self._dag.invalid(f"refers in {name} to another bundle without naming the bundle and the entry point")
            reference = Reference(task.reference.bundle, task.reference.entry_point)
        elif not 1 <= len(task.entry_point) <= 500 and kind is not TaskKind.LATEST_ONLY:
            self._dag.invalid(
                f"does not say what {name} runs; give it an entry point (1 to 500 characters) or a reference"
            )
        rule = _RULES.get(task.trigger_rule)
        if rule is None:
            self._dag.invalid(f"gives {name} the unknown trigger rule {task.trigger_rule}; use an SDK of this version")
        policy, rules = self._read_retry(task.retry, name)
        return TaskPlan(
            index=index,
            task_id=task.task_id,
            entry_point=reference.entry_point if reference else task.entry_point,
            reference=reference,
            kind=kind,
            upstream=upstream,
            downstream=downstream,
            trigger_rule=rule,
            inputs=tuple(self._read_input(each, name, params) for each in task.inputs),
            mapping=(
                read_mapping(self._dag, task.mapping, name)
                if task.HasField("mapping")
                else self._groups.mapping_around(task.group_id)
            ),
            retry=policy,
            retry_rules=rules,
            execution_timeout_us=(
                self._dag.span(task.execution_timeout, f"the execution timeout of {name}", least=1)
                if task.HasField("execution_timeout")
                else None
            ),
            cancel_grace_us=(
                self._dag.span(task.cancel_grace, f"the cancel grace of {name}")
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
            pool=task.pool or None,
            pool_slots=task.pool_slots if task.HasField("pool_slots") else 1,
            labels=tuple(LabelPlan(each.key, each.value, each.required) for each in task.worker_labels),
            max_active_instances=task.max_active_instances if task.HasField("max_active_instances") else None,
            max_active_instances_per_run=(
                task.max_active_instances_per_run if task.HasField("max_active_instances_per_run") else None
            ),
            callbacks=self._read_callbacks(task.callbacks, name),
            group_ids=tuple(self._groups.around(task.group_id)),
            mapped_group=mapped_group,
            inner_upstream=tuple(each for each in upstream if each in inside),
            inner_downstream=tuple(each for each in downstream if each in inside),
            depth=depth,
            setups=tuple(dict.fromkeys(self._index[task_id] for task_id in task.setup_task_ids)),
            on_failure_fail_run=task.on_failure_fail_run,
            past=_PAST[task.depends_on_past],
            map_index_template=task.map_index_template,
            inlets=read_references(self._dag, task.inlets, f"inlets of {name}"),
            outlets=read_references(self._dag, task.outlets, f"outlets of {name}"),
        )

    def read_run_callbacks(self, callbacks: Sequence[dag_pb2.Callback]) -> tuple[CallbackPlan, ...]:
        """The callbacks of a DAG's runs."""
        found = []
        for each in callbacks:
            event = _RUN_EVENTS.get(each.event)
            if event is None:
                self._dag.invalid(
                    "has a callback for what does not happen to a run; runs succeed, fail and miss a deadline"
                )
            policy, rules = self._read_retry(each.retry, "a callback")
            found.append(self._callback(event, each.entry_point, "its runs", policy, rules))
        return self._bounded(found, "its runs")

    def _read_callbacks(self, callbacks: Sequence[task_pb2.TaskCallback], name: str) -> tuple[CallbackPlan, ...]:
        found = []
        for each in callbacks:
            event = _TASK_EVENTS.get(each.trigger)
            if event is None:
                self._dag.invalid(f"has a callback of {name} for no event; say which outcome calls it")
            found.append(self._callback(event, each.entry_point, name, RetryPolicy(), ()))
        return self._bounded(found, name)

    def _callback(
        self, event: CallbackEvent, entry_point: str, name: str, policy: RetryPolicy, rules: tuple[RetryRule, ...]
    ) -> CallbackPlan:
        if not 1 <= len(entry_point) <= 500:
            self._dag.invalid(f"has a callback of {name} without code; give it an entry point of 1 to 500 characters")
        return CallbackPlan(event=event, entry_point=entry_point, retry=policy, retry_rules=rules)

    def _bounded(self, callbacks: Sequence[CallbackPlan], name: str) -> tuple[CallbackPlan, ...]:
        if len(callbacks) > MAX_CALLBACKS:
            self._dag.invalid(f"gives {name} {len(callbacks)} callbacks; at most {MAX_CALLBACKS} are possible")
        return tuple(callbacks)

    def _check_task(self, task: task_pb2.Task, name: str) -> None:
        if task.depends_on_past not in _PAST:
            self._dag.invalid(f"lets {name} depend on the past in an unknown way; use an SDK of this version")
        if task.kind == _T.TASK_KIND_LATEST_ONLY and task.HasField("mapping"):
            self._dag.invalid(f"maps {name}, which the server decides; map the tasks after it")
        if len(task.map_index_template) > MAX_TEMPLATE:
            self._dag.invalid(f"names the instances of {name} by a template of more than {MAX_TEMPLATE} characters")
        if task.setup_task_ids and task.kind != _T.TASK_KIND_TEARDOWN:
            self._dag.invalid(f"names setup tasks for {name}, which is no teardown; remove them")
        for setup_id in task.setup_task_ids:
            if self._tasks[setup_id].kind != _T.TASK_KIND_SETUP:
                self._dag.invalid(f"lets {name} tear down what '{setup_id}' sets up, which is no setup; make it one")
        if len(task.queue) > 100:
            self._dag.invalid(f"gives {name} a queue of more than 100 characters; shorten it")
        if task.HasField("slots") and not 1 <= task.slots <= 10_000:
            self._dag.invalid(f"gives {name} {task.slots} slots; a task takes 1 to 10,000")
        self._check_bounds(task, name)

    def _check_bounds(self, task: task_pb2.Task, name: str) -> None:
        if len(task.pool) > 250:
            self._dag.invalid(f"puts {name} into a pool of more than 250 characters; shorten its name")
        if task.HasField("pool_slots") and not 1 <= task.pool_slots <= 10_000:
            self._dag.invalid(f"gives {name} {task.pool_slots} slots of its pool; a task takes 1 to 10,000")
        for field in ("max_active_instances", "max_active_instances_per_run"):
            if task.HasField(field) and getattr(task, field) < 1:
                self._dag.invalid(f"gives {name} `{field}` {getattr(task, field)}; at least one instance may be active")
        if len(task.worker_labels) > 50:
            self._dag.invalid(f"asks for {len(task.worker_labels)} worker labels for {name}; a task has at most 50")
        asked: dict[tuple[str, bool], str] = {}
        for label in task.worker_labels:
            if not 1 <= len(label.key) <= 100 or not 1 <= len(label.value) <= 250:
                self._dag.invalid(
                    f"asks for the worker label '{label.key[:80]}' for {name}; a label has a key of 1 to 100 "
                    "characters and a value of 1 to 250"
                )
            if asked.setdefault((label.key, label.required), label.value) != label.value:
                self._dag.invalid(f"asks for two values of the worker label '{label.key}' for {name}; remove one")

    def _read_input(self, each: task_pb2.Input, name: str, params: frozenset[str]) -> InputPlan:
        shown = f"the argument '{each.name}'" if each.name else f"argument {each.position}"
        position = each.position if each.HasField("position") else None
        if not each.name and position is None:
            self._dag.invalid(f"has an argument of {name} with neither name nor position; give it one")
        match each.WhichOneof("source"):
            case "literal":
                literal = self._dag.value(each.literal, f"{shown} of {name}")
                return InputPlan(name=each.name, position=position, literal=literal)
            case "output":
                return InputPlan(name=each.name, position=position, output=read_output(each.output))
            case "param":
                if each.param not in params:
                    self._dag.invalid(f"has no parameter '{each.param}' for {shown} of {name}; declare it")
                return InputPlan(name=each.name, position=position, param=each.param)
            case "group_item":
                item = GroupItemPlan(each.group_item, read_path(each.group_item_path))
                return InputPlan(name=each.name, position=position, group_item=item)
            case "composite":
                try:
                    json.loads(each.composite.template_json)
                except ValueError:
                    self._dag.invalid(f"builds {shown} of {name} by a template that is not JSON; build it again")
                parts = tuple(read_output(part) for part in each.composite.parts)
                composite = CompositePlan(each.composite.template_json, parts)
                return InputPlan(name=each.name, position=position, composite=composite)
            case _:
                self._dag.invalid(f"does not say where {shown} of {name} comes from; give it a source")

    def _read_retry(self, retry: retry_pb2.RetryPolicy, name: str) -> tuple[RetryPolicy, tuple[RetryRule, ...]]:
        if not 0 <= retry.retries <= 1000:
            self._dag.invalid(f"gives {name} {retry.retries} retries; a task has 0 to 1,000")
        what = f"the retry delay of {name}"
        delay = self._dag.span(retry.delay, what) if retry.HasField("delay") else _DEFAULT_RETRY_DELAY_US
        longest = self._dag.span(retry.max_delay, what) if retry.HasField("max_delay") else DAY_US
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
            self._dag.invalid(f"has a retry policy of {name} that is not valid: {error}")
        rules = []
        for rule in retry.rules:
            if not rule.failure_types:
                self._dag.invalid(f"has a retry rule of {name} without failure types; name at least one")
            delay_us = self._dag.span(rule.delay, what) if rule.HasField("delay") else None
            rules.append(RetryRule(frozenset(rule.failure_types), not rule.HasField("retry") or rule.retry, delay_us))
        return policy, tuple(rules)


def _outputs_of(task: task_pb2.Task) -> Iterable[task_pb2.Output]:
    for each in task.inputs:
        source = each.WhichOneof("source")
        if source == "output":
            yield each.output
        elif source == "composite":
            yield from each.composite.parts
    yield from outputs_of_mapping(task.mapping)
