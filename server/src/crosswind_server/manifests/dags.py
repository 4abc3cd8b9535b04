"""From `manifest.v1.Dag` messages to DAG plans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError

from crosswind.manifest.v1 import dag_pb2
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.graph import Node, check_id, check_shape
from crosswind_server.domain.plan import (
    MAX_ACTIVE_RUNS,
    AccessPlan,
    DagPlan,
    DeadlinePlan,
    DeadlineReference,
    ParamPlan,
    TimetablePlan,
    VersionPolicy,
)
from crosswind_server.domain.scopes import deciding
from crosswind_server.manifests.assets import read_condition
from crosswind_server.manifests.groups import GroupReader
from crosswind_server.manifests.params import ParamInvalid, check_param
from crosswind_server.manifests.refusals import Refusals
from crosswind_server.manifests.schedules import read_schedule
from crosswind_server.manifests.tasks import TaskReader, upstream_of

MAX_TASKS: Final = 10_000
_REFERENCES: Final = {
    dag_pb2.Deadline.REFERENCE_UNSPECIFIED: DeadlineReference.QUEUED,
    dag_pb2.Deadline.REFERENCE_QUEUED: DeadlineReference.QUEUED,
    dag_pb2.Deadline.REFERENCE_LOGICAL_TIME: DeadlineReference.LOGICAL_TIME,
    dag_pb2.Deadline.REFERENCE_STARTED: DeadlineReference.STARTED,
}


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


class _DagReader(Refusals):
    """Reads one DAG. Every refusal names the DAG, and the task where it is one's."""

    def __init__(self, dag: dag_pb2.Dag) -> None:
        super().__init__(dag.dag_id)
        self._dag = dag

    def read(self, dag_version_id: str) -> DagPlan:
        dag = self._dag
        if not 1 <= len(dag.tasks) <= MAX_TASKS:
            self.invalid(f"has {len(dag.tasks):,} tasks; a DAG has 1 to {MAX_TASKS:,}")
        groups = GroupReader(self, dag.groups, dag.tasks)
        nodes = [Node(task.task_id, (*upstream_of(task), *groups.sources_around(task.group_id))) for task in dag.tasks]
        shape = check_shape(dag.dag_id, nodes)
        self._check_dag()
        index = {task.task_id: number for number, task in enumerate(dag.tasks)}
        params = tuple(self._read_params())
        tasks_reader = TaskReader(self, groups, {task.task_id: task for task in dag.tasks})
        tasks = tuple(
            tasks_reader.read(
                task,
                index=number,
                upstream=tuple(index[task_id] for task_id in dict.fromkeys(node.upstream)),
                downstream=tuple(index[task_id] for task_id in shape.downstream[task.task_id]),
                depth=shape.depths[task.task_id],
                params=frozenset(param.name for param in params),
            )
            for number, (task, node) in enumerate(zip(dag.tasks, nodes, strict=True))
        )
        access = dag.access
        return DagPlan(
            dag_version_id=dag_version_id,
            dag_id=dag.dag_id,
            tasks=tasks,
            leaves=deciding(tasks),
            groups=groups.plans(tasks),
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
            schedule=read_schedule(self, dag),
            condition=read_condition(self, dag),
            max_active_runs=self._read_max_active_runs(),
            run_timeout_us=self.span(dag.run_timeout, "its run timeout", least=1)
            if dag.HasField("run_timeout")
            else None,
            deadline=self._read_deadline(),
            max_active_tasks=dag.max_active_tasks if dag.HasField("max_active_tasks") else None,
            callbacks=tasks_reader.read_run_callbacks(dag.callbacks),
            timetable=self._read_timetable(),
        )

    def _check_dag(self) -> None:
        dag = self._dag
        if dag.HasField("max_active_tasks") and dag.max_active_tasks < 1:
            self.invalid(f"has `max_active_tasks` {dag.max_active_tasks}; at least one task may be active")
        if len(dag.tags) > 50 or any(len(tag) > 100 for tag in dag.tags):
            self.invalid("has more than 50 tags, or one of more than 100 characters; shorten them")
        if len(dag.doc_md.encode()) > 64 * 1024:
            self.invalid("has documentation of more than 64 KiB; shorten `doc_md`")

    def _read_max_active_runs(self) -> int:
        if not self._dag.HasField("max_active_runs"):
            return MAX_ACTIVE_RUNS
        if not 1 <= self._dag.max_active_runs <= 1_000:
            self.invalid(f"lets {self._dag.max_active_runs:,} runs be active at once; it lets 1 to 1,000")
        return self._dag.max_active_runs

    def _read_deadline(self) -> DeadlinePlan | None:
        if not self._dag.HasField("deadline"):
            return None
        reference = _REFERENCES.get(self._dag.deadline.reference)
        if reference is None:
            self.invalid("counts its deadline from an unknown moment; build it with an SDK of this version")
        return DeadlinePlan(reference, self.span(self._dag.deadline.interval, "its deadline", least=1))

    def _read_timetable(self) -> TimetablePlan | None:
        if self._dag.schedule.WhichOneof("kind") != "timetable":
            return None
        timetable = self._dag.schedule.timetable
        if not 1 <= len(timetable.entry_point) <= 500:
            self.invalid("has a timetable without code; give it an entry point of 1 to 500 characters")
        return TimetablePlan(timetable.entry_point, timetable.config_json)

    def _read_params(self) -> Iterator[ParamPlan]:
        seen: set[str] = set()
        for param in self._dag.params:
            if not param.name or param.name in seen:
                self.invalid(f"has two parameters with the name '{param.name}', or one without; rename one of them")
            seen.add(param.name)
            default = None
            if param.HasField("default_value"):
                default = self.value(param.default_value, f"the default of parameter '{param.name}'")
            plan = ParamPlan(param.name, default, param.json_schema, param.description)
            try:
                check_param(plan)
            except ParamInvalid as error:
                self.invalid(f"has the parameter '{param.name[:80]}', which {error}")
            if default is None and self._dag.HasField("schedule"):
                self.invalid(f"has a schedule and the parameter '{param.name[:80]}' without a default; give it one")
            yield plan


def check_bundle_name(bundle: str, version: str) -> None:
    """Checks a bundle's name and version. Raises `Refused`: INVALID_ARGUMENT."""
    check_id("bundle name", bundle)
    if not 1 <= len(version) <= 128:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            f"The version of bundle '{bundle}' has 1 to 128 characters; it is a digest of the bundle's source.",
            metadata={"field": "bundle_version"},
        )
