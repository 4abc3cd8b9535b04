"""A DAG version as the server works with it: tasks, edges, inputs, mapping and policies, without any protobuf.

Here belong the immutable facts of one DAG version and the questions that they alone answer. Reading them from a
manifest, and refusing what cannot be run, belongs to `crosswind_server.manifests`; values stay closed: they are bytes
in an encoding that the server does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Final

from crosswind_server.domain.arguments import InputPlan, MappingPlan, StoredValue
from crosswind_server.domain.assets import AssetRef, Condition
from crosswind_server.domain.claims import LabelPlan, task_limit_key
from crosswind_server.domain.guarding import with_guards
from crosswind_server.domain.readiness import TriggerRule
from crosswind_server.domain.retry import RetryPolicy
from crosswind_server.domain.schedule import Schedule

DAG_GROUP: Final = -1
"""`task_instance.limit_group` of what only its DAG bounds within a run."""

MAX_INSTANCES: Final = 100_000
"""Of one mapped task in one run."""


@dataclass(frozen=True, slots=True)
class RetryRule:
    """What to do with failures of some types; None leaves the delay to the policy."""

    failure_types: frozenset[str]
    retry: bool
    delay_us: int | None


@dataclass(frozen=True, slots=True)
class Reference:
    """A task that another bundle offers."""

    bundle: str
    entry_point: str

    @property
    def offer_key(self) -> str:
        """What a worker must offer, in any version."""
        return f"ref:{self.bundle}/{self.entry_point}"

    def pinned_key(self, version: str) -> str:
        """What a worker must offer once a version was chosen for the run."""
        return f"ref:{self.bundle}@{version}/{self.entry_point}"

    def is_pinned_by(self, offer_key: str) -> bool:
        """Whether a key names a version of it."""
        return offer_key.startswith(f"ref:{self.bundle}@") and offer_key.endswith(f"/{self.entry_point}")


class CallbackEvent(StrEnum):
    """What an author's callback is called for."""

    SUCCESS = "success"
    FAILURE = "failure"
    RETRY = "retry"
    """A try failed and another follows; of a task instance only."""
    DEADLINE = "deadline"
    """Of a run only."""
    SKIPPED = "skipped"
    """Of a task instance only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackPlan:
    """Code of the bundle that runs after something happened to a run or a task instance."""

    event: CallbackEvent
    entry_point: str
    retry: RetryPolicy
    retry_rules: tuple[RetryRule, ...] = ()


@dataclass(frozen=True, slots=True)
class TimetablePlan:
    """Code of the bundle that says the next dates of a DAG."""

    entry_point: str
    config_json: str = ""


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """A task group that is mapped as a whole.

    Args:
        group_id: its name.
        mapping: over what; its inputs are named, so that the tasks inside can ask for their items.
        sources: positions of the tasks over whose outputs it is mapped; they are upstream of every task inside.
        members: positions of the tasks inside, each before those that it waits for. Instances are made in this order,
            index by index, so that whoever is to be told of an end exists before it.
    """

    group_id: str
    mapping: MappingPlan
    sources: frozenset[int]
    members: tuple[int, ...]


class TaskKind(IntEnum):
    """What a task does to the flow of a run; the numbers are those of `manifest.v1.TaskKind`."""

    UNSPECIFIED = 0
    NORMAL = 1
    BRANCH = 2
    SHORT_CIRCUIT = 3
    SENSOR = 4
    SETUP = 5
    TEARDOWN = 6
    LATEST_ONLY = 7


class PastRule(StrEnum):
    """What of the run before must have ended well before a task runs."""

    NONE = "none"
    SELF = "self"
    DOWNSTREAM = "downstream"
    """The task and its direct downstream tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPlan:
    """One task.

    Args:
        upstream, downstream: positions in `DagPlan.tasks`.
        mapping: how it is mapped, by itself or with the group around it.
        group_ids: the task groups around it, the innermost first.
        mapped_group: the id of the one among them that is mapped as a whole.
        inner_upstream, inner_downstream: those of its neighbours that are in the same mapped group, where each instance
            depends on the one with its own index.
        depth: the longest way to it from a task without upstream.
        setups: for a teardown, positions of the setups whose scope it closes.
        guards: positions of the setups that must have succeeded before it runs, though it is not directly after them.
        inner_guards: those of them that are in the same mapped group, where each instance looks at its own index.
        guarded: positions of the tasks of which it is such a setup. These follow from the rest: see `domain.guarding`.
        on_failure_fail_run: for a teardown, whether its failure fails the run.
        past: what it needs of the run before.
        map_index_template: how its mapped instances are named; empty: by their index.
        gone: it is an empty place: a task of an earlier version, kept without edges; see `domain.renumbering`.
        pool_slots: what it takes of its pool.
        max_active_instances: how many of its instances may be live at once, over all runs; None: any number.
        max_active_instances_per_run: the same within a run.
    """

    index: int
    task_id: str
    entry_point: str
    reference: Reference | None
    kind: TaskKind
    upstream: tuple[int, ...]
    downstream: tuple[int, ...]
    trigger_rule: TriggerRule
    inputs: tuple[InputPlan, ...]
    mapping: MappingPlan | None
    retry: RetryPolicy
    retry_rules: tuple[RetryRule, ...]
    execution_timeout_us: int | None
    cancel_grace_us: int
    queue: str
    slots: int
    priority: int
    on_partition: int
    isolation: int
    variables: tuple[str, ...]
    connections: tuple[str, ...]
    language: str
    pool: str | None = None
    pool_slots: int = 1
    labels: tuple[LabelPlan, ...] = ()
    max_active_instances: int | None = None
    max_active_instances_per_run: int | None = None
    callbacks: tuple[CallbackPlan, ...] = ()
    inlets: tuple[AssetRef, ...] = ()
    outlets: tuple[AssetRef, ...] = ()
    group_ids: tuple[str, ...] = ()
    mapped_group: str | None = None
    inner_upstream: tuple[int, ...] = ()
    inner_downstream: tuple[int, ...] = ()
    depth: int = 0
    setups: tuple[int, ...] = ()
    guards: tuple[int, ...] = ()
    inner_guards: tuple[int, ...] = ()
    guarded: tuple[int, ...] = ()
    on_failure_fail_run: bool = False
    past: PastRule = PastRule.NONE
    map_index_template: str = ""
    gone: bool = False

    @property
    def is_setup(self) -> bool:
        """Whether it makes what the tasks of its scope need."""
        return self.kind == TaskKind.SETUP

    @property
    def is_teardown(self) -> bool:
        """Whether it removes what its setups made."""
        return self.kind == TaskKind.TEARDOWN

    @property
    def outer_downstream(self) -> tuple[int, ...]:
        """Those downstream that wait for all of its instances."""
        inner = frozenset(self.inner_downstream)
        return tuple(index for index in self.downstream if index not in inner)

    def rule_for(self, failure_types: Iterable[str]) -> RetryRule | None:
        """The first rule that names one of the failure's types."""
        types = frozenset(failure_types)
        return next((rule for rule in self.retry_rules if rule.failure_types & types), None)


class VersionPolicy(StrEnum):
    """What happens to a run whose version no worker offers any more. [SCHED-3]"""

    NEWEST = "newest"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPlan:
    """What attempts may reach beyond their own task's data; a name that ends in `*` is a prefix. [AUTH-1]"""

    strict: bool = False
    variables: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()
    dags: tuple[str, ...] = ()

    def grants_variable(self, key: str) -> bool:
        """Whether an attempt may read the variable."""
        return not self.strict or _covers(self.variables, key)

    def grants_connection(self, connection_id: str) -> bool:
        """Whether an attempt may read the connection."""
        return not self.strict or _covers(self.connections, connection_id)

    def grants_dag(self, dag_id: str) -> bool:
        """Whether an attempt may trigger or read another DAG."""
        return not self.strict or _covers(self.dags, dag_id)


def _covers(names: Iterable[str], name: str) -> bool:
    return any(name.startswith(n[:-1]) if n.endswith("*") else n == name for n in names)


@dataclass(frozen=True, slots=True)
class ParamPlan:
    """A parameter of a run; without default the run must give it."""

    name: str
    default: StoredValue | None
    json_schema: str
    description: str


class DeadlineReference(StrEnum):
    """From which moment of a run its deadline counts."""

    QUEUED = "queued"
    LOGICAL_TIME = "logical_time"
    STARTED = "started"


@dataclass(frozen=True, slots=True)
class DeadlinePlan:
    """By when a run should have ended: so many microseconds after a moment of it."""

    reference: DeadlineReference
    interval_us: int


MAX_ACTIVE_RUNS: Final = 16
"""Of a DAG that does not say."""


@dataclass(frozen=True, kw_only=True)
class DagPlan:
    """One DAG version.

    Args:
        dag_version_id: SHA-256 of the manifest's bytes, in hex.
        tasks: in the order of the source; `TaskPlan.index` is the position. In a run that was cleared into another
            version they have their first positions, with empty places; see `domain.renumbering`.
        leaves: positions of the tasks that decide the run's state; see `domain.scopes`.
        groups: the mapped task groups, by id.
        schedule: when it runs by itself; None: only when triggered, or only by assets.
        condition: over the assets on whose events it runs; None: on none.
        max_active_runs: so many of its runs go on at once, but for those of backfills.
        run_timeout_us: a run that lasts longer fails; None: no bound.
        deadline: by when a run should have ended; None: there is none.
        max_active_tasks: how many instances of one run may be live at once; None: any number.
    """

    dag_version_id: str
    dag_id: str
    tasks: tuple[TaskPlan, ...]
    leaves: frozenset[int]
    groups: Mapping[str, GroupPlan] = field(default_factory=dict)
    params: tuple[ParamPlan, ...] = ()
    access: AccessPlan = field(default_factory=AccessPlan)
    version_policy: VersionPolicy = VersionPolicy.NEWEST
    paused_upon_creation: bool = False
    display_name: str = ""
    description: str = ""
    has_schedule: bool = False
    schedule: Schedule | None = None
    condition: Condition | None = None
    max_active_runs: int = MAX_ACTIVE_RUNS
    run_timeout_us: int | None = None
    deadline: DeadlinePlan | None = None
    max_active_tasks: int | None = None
    callbacks: tuple[CallbackPlan, ...] = ()
    timetable: TimetablePlan | None = None

    def __post_init__(self) -> None:
        # Whoever made or renumbered the tasks, these follow from their edges.
        object.__setattr__(self, "tasks", with_guards(self.tasks))

    @cached_property
    def present(self) -> tuple[TaskPlan, ...]:
        """The tasks without the empty places."""
        return tuple(task for task in self.tasks if not task.gone)

    @cached_property
    def by_id(self) -> Mapping[str, TaskPlan]:
        """The tasks by their ids, without the empty places."""
        return {task.task_id: task for task in self.present}

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """The place of each task, by position, in an order in which every task comes after its upstream."""
        order = TopologicalSorter({t.index: t.upstream for t in self.tasks}).static_order()
        places = {index: place for place, index in enumerate(order)}
        return tuple(places[t.index] for t in self.tasks)

    @cached_property
    def roots(self) -> tuple[int, ...]:
        """Positions of the tasks that may run though no other has ended: they are judged when a run begins."""
        untold = {group_id for group_id, group in self.groups.items() if not group.sources}
        return tuple(
            task.index
            for task in self.present
            if not task.upstream or task.trigger_rule is TriggerRule.ALWAYS or task.mapped_group in untold
        )

    @property
    def offer_key(self) -> str:
        """What a worker must offer to run this version's own tasks."""
        return offer_key_of(self.dag_version_id)

    @cached_property
    def task_limits(self) -> Mapping[str, int]:
        """The bounds on tasks over all runs, by `claims.task_limit_key`."""
        return {
            task_limit_key(self.dag_id, task.task_id): task.max_active_instances
            for task in self.present
            if task.max_active_instances is not None
        }

    @cached_property
    def run_limits(self) -> Mapping[int, int]:
        """The bounds on tasks within a run, by position."""
        return {
            task.index: task.max_active_instances_per_run
            for task in self.present
            if task.max_active_instances_per_run is not None
        }

    def limit_group_of(self, task: TaskPlan) -> int | None:
        """What bounds the instances of a task beside others of their run: see `task_instance.limit_group`."""
        # A task that is not mapped has one instance in a run, which no bound on that can keep.
        if task.max_active_instances_per_run is not None and task.mapping is not None:
            return task.index
        return None if self.max_active_tasks is None else DAG_GROUP

    def offer_key_for(self, task: TaskPlan) -> str:
        """What a worker must offer to run a task of it."""
        return task.reference.offer_key if task.reference is not None else self.offer_key


def offer_key_of(dag_version_id: str) -> str:
    """What a worker offers that has the code of a DAG version."""
    return f"dag:{dag_version_id}"
