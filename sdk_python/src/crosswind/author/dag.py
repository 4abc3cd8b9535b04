"""DAGs and the steps in them.

Here belong the graph, its names and its checks. What authors say of a single task is `tasks.py`'s, what a manifest says
is `manifest.py`'s.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast, overload

from crosswind.author import registry
from crosswind.author.binding import BoundInput, CompositeArg
from crosswind.author.errors import DagCycle, DagError, DuplicateTask
from crosswind.author.groups import TaskGroup
from crosswind.author.locations import Location, find_location
from crosswind.author.params import Param, Params
from crosswind.author.results import XComArg
from crosswind.author.schedules import Schedule, as_utc, read_schedule
from crosswind.author.settings import Access, Span, TaskSettings, as_span, check_settings

if TYPE_CHECKING:
    from types import TracebackType

    from crosswind.author.tasks import TaskFunction

_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,250}")
MAX_TASKS: Final = 10_000


@dataclass(frozen=True)
class MappedCall:
    """How a step is mapped.

    Args:
        combination: how the items of several inputs combine.
        inputs: where the items come from.
    """

    combination: Literal["cross", "zip", "keywords"]
    inputs: tuple[BoundInput, ...]


@dataclass(frozen=True)
class Edge:
    """`up >> down`, and where it was written."""

    up: TaskNode | TaskGroup
    down: TaskNode | TaskGroup
    location: Location


class TaskNode:
    """A step of a DAG: one call of a task.

    Args:
        task: what was called.
        dag: the DAG to add it to.
        inputs: its arguments.
        mapping: None: it is not mapped.
        location: where the call stands.
    """

    def __init__(
        self,
        task: TaskFunction[..., Any],
        *,
        dag: DAG,
        inputs: Sequence[BoundInput],
        mapping: MappedCall | None,
        location: Location,
    ) -> None:
        self.task = task
        self.dag = dag
        self.inputs = tuple(inputs)
        self.mapping = mapping
        self.location = location
        self.group = dag.open_groups[-1] if dag.open_groups else None
        self.output_names: dict[str, None] = {}
        inherited: dict[str, Any] = {**dag.default_args}
        groups: list[TaskGroup] = []
        group = self.group
        while group is not None:
            groups.append(group)
            group = group.parent
        for group in reversed(groups):
            inherited |= group.default_args
        self.settings = cast(TaskSettings, {**inherited, **task.settings})
        self.task_id = dag.add_task(self)

    @property
    def label(self) -> str:
        """Its full name."""
        return self.task_id

    def data_upstream(self) -> list[TaskNode]:
        """The steps whose outputs are inputs, in the order of the inputs."""
        nodes: dict[TaskNode, None] = {}
        for bound in (*self.inputs, *(self.mapping.inputs if self.mapping else ())):
            if isinstance(bound.source, XComArg):
                nodes[bound.source.node] = None
            elif isinstance(bound.source, CompositeArg):
                nodes.update((part.node, None) for part in bound.source.parts)
        return list(nodes)

    def __repr__(self) -> str:
        return f"<step '{self.task_id}' of DAG '{self.dag.dag_id}'>"


class DAG:
    """A directed acyclic graph of tasks: `with DAG("flights", schedule="@daily"):`, and call tasks inside.

    Args:
        dag_id: name, unique in a team: letters, digits, `_`, `-` and `.`.
        description: one sentence for lists.
        schedule: when it runs by itself: a cron expression or name such as "@daily", "@once", a timedelta, a `Cron`
            with its time zone, or a list of datetimes. None: only when triggered.
        start_date: first moment of scheduled runs. One without a time zone is UTC.
        end_date: last moment of scheduled runs.
        catchup: whether missed intervals since `start_date` are run.
        tags: labels for search.
        params: the parameters of a run: defaults, or `Param` with a schema.
        default_args: settings of its tasks.
        max_active_runs: runs at the same time at most. None: 16.
        max_active_tasks: task instances of one run at the same time at most. None: no bound.
        dagrun_timeout: a run that lasts longer fails.
        owner: who is to be asked about it.
        doc_md: documentation, Markdown.
        access: what its tasks may reach. None: everything of the team.
        version_policy: what happens to a run whose version no worker offers any more: it goes on with the newest one,
            or it fails.
        is_paused_upon_creation: whether it starts paused when it is published for the first time.
        display_name: what people see instead of the id.

    Raises:
        DagError: the id or the schedule is not valid.
    """

    def __init__(
        self,
        dag_id: str,
        *,
        description: str = "",
        schedule: Schedule | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        catchup: bool = False,
        tags: Sequence[str] = (),
        params: Mapping[str, object] | None = None,
        default_args: Mapping[str, Any] | None = None,
        max_active_runs: int | None = None,
        max_active_tasks: int | None = None,
        dagrun_timeout: Span | None = None,
        owner: str = "",
        doc_md: str | None = None,
        access: Access | None = None,
        version_policy: Literal["newest", "fail"] = "newest",
        is_paused_upon_creation: bool | None = None,
        display_name: str = "",
    ) -> None:
        self.location = find_location()
        check_id("DAG id", dag_id, self.location)
        defaults = dict(default_args or {})
        # Where Airflow's authors keep these three.
        owner = owner or defaults.pop("owner", "")
        start_date = start_date or defaults.pop("start_date", None)
        end_date = end_date or defaults.pop("end_date", None)
        for name in ("owner", "start_date", "end_date"):
            defaults.pop(name, None)
        for name, bound in (("max_active_runs", max_active_runs), ("max_active_tasks", max_active_tasks)):
            if bound is not None and bound < 1:
                raise self._error(f"DAG '{dag_id}' has {name}={bound}; it must be at least 1")
        if version_policy not in ("newest", "fail"):
            raise self._error(f"DAG '{dag_id}' has version_policy={version_policy!r}; use 'newest' or 'fail'")
        self.dag_id = dag_id
        self.description = description
        try:
            self.schedule = read_schedule(schedule, dag_id=dag_id, start_date=start_date)
        except DagError as error:
            raise self._error(str(error)) from None
        self.start_date = None if start_date is None else as_utc(start_date)
        self.end_date = None if end_date is None else as_utc(end_date)
        self.catchup = catchup
        self.tags = (tags,) if isinstance(tags, str) else tuple(tags)
        self.params = Params(params or {}, dag_id=dag_id)
        self.default_args: TaskSettings = check_settings(defaults, owner=f"default_args of DAG '{dag_id}'")
        self.max_active_runs = max_active_runs
        self.max_active_tasks = max_active_tasks
        self.dagrun_timeout = (
            None if dagrun_timeout is None else as_span(dagrun_timeout, what=f"dagrun_timeout of DAG '{dag_id}'")
        )
        self.owner = owner
        self.doc_md = doc_md or ""
        self.access = access
        self.version_policy = version_policy
        self.is_paused_upon_creation = is_paused_upon_creation
        self.display_name = display_name
        self.tasks: dict[str, TaskNode] = {}
        self.groups: dict[str, TaskGroup] = {}
        self.open_groups: list[TaskGroup] = []
        self.edges: list[Edge] = []
        registry.add_dag(self)

    def __enter__(self) -> Self:
        registry.open_dag(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        registry.close_dag(self)
        if kind is None:
            self.check()

    def add_task(self, node: TaskNode) -> str:
        """Adds a step and answers its full id.

        Calling a task again makes `task__1`, `task__2` and so on.

        Raises:
            DuplicateTask: another task was given the id before.
        """
        prefix = f"{node.group.group_id}." if node.group else ""
        task_id = prefix + node.task.task_id
        check_id("task id", task_id, node.location)
        taken = self.tasks.get(task_id)
        if taken is not None and node.task.conflicts_with(taken.task):
            raise DuplicateTask(
                f"DAG '{self.dag_id}' has the task id '{task_id}' twice, at {taken.location} and {node.location}; "
                "give one of them another task_id",
                file=node.location.file,
                line=node.location.line,
            )
        task_id = _make_unique(task_id, self.tasks.keys() | self.groups.keys())
        self.tasks[task_id] = node
        return task_id

    def add_group(self, group: TaskGroup, group_id: str, *, unique: bool) -> str:
        """Adds a group and answers its full id; `unique` makes `group__1` of a name that is taken.

        Raises:
            DuplicateTask: the name is taken.
        """
        full = f"{group.parent.group_id}.{group_id}" if group.parent else group_id
        check_id("group id", full, group.location)
        taken = self.tasks.keys() | self.groups.keys()
        if full in taken and not unique:
            raise DuplicateTask(
                f"DAG '{self.dag_id}' has the id '{full}' twice, among its tasks and groups; rename one of them",
                file=group.location.file,
                line=group.location.line,
            )
        full = _make_unique(full, taken)
        self.groups[full] = group
        return full

    def add_edge(self, up: TaskNode | TaskGroup, down: TaskNode | TaskGroup, location: Location) -> None:
        """Makes `down` wait for `up`."""
        self.edges.append(Edge(up, down, location))

    def upstream(self) -> dict[TaskNode, dict[TaskNode, Location]]:
        """The steps that each step waits for, with where that was written.

        First come those whose outputs it takes, then those by `>>` in the order of the source.

        Raises:
            DagError: an edge leads to a group without tasks.
        """
        waits: dict[TaskNode, dict[TaskNode, Location]] = {
            node: dict.fromkeys(node.data_upstream(), node.location) for node in self.tasks.values()
        }
        # Innermost first, so that a group's first and last tasks are known when something is put beside it.
        for edge in sorted(self.edges, key=_depth, reverse=True):
            for down in self._ends(edge.down, waits, first=True, edge=edge):
                for up in self._ends(edge.up, waits, first=False, edge=edge):
                    waits[down].setdefault(up, edge.location)
        return waits

    def check(self) -> None:
        """Checks what only the whole graph shows.

        Raises:
            DagCycle: tasks wait for each other; the sentence names them.
            DagError: there are no tasks, or too many, or an output is another DAG's.
        """
        if not self.tasks:
            raise self._error(f"DAG '{self.dag_id}' has no tasks; call at least one inside it")
        if len(self.tasks) > MAX_TASKS:
            raise self._error(
                f"DAG '{self.dag_id}' has {len(self.tasks)} tasks, and at most {MAX_TASKS} are allowed; map a task "
                "over a list with .expand(...)"
            )
        if len(self.tags) > 50 or any(len(tag) > 100 for tag in self.tags):
            raise self._error(
                f"DAG '{self.dag_id}' has more than 50 tags, or one of more than 100 characters; drop some"
            )
        if len(self.doc_md.encode()) > 64 * 1024:
            raise self._error(f"DAG '{self.dag_id}' has documentation of more than 64 KiB; shorten doc_md")
        for node in self.tasks.values():
            for up in node.data_upstream():
                if up.dag is not self:
                    raise DagError(
                        f"Task '{node.task_id}' of DAG '{self.dag_id}' takes the result of task '{up.task_id}' of DAG "
                        f"'{up.dag.dag_id}'; pass results within one DAG",
                        file=node.location.file,
                        line=node.location.line,
                    )
        waits = self.upstream()
        try:
            TopologicalSorter(waits).prepare()
        except CycleError as error:
            # graphlib lists the cycle so that each is upstream of the next, the first repeated at the end.
            cycle: list[TaskNode] = error.args[1]
            last = max((waits[down][up] for up, down in itertools.pairwise(cycle)), key=lambda place: place.line)
            raise DagCycle(
                f"DAG '{self.dag_id}' has a cycle: {' -> '.join(node.task_id for node in cycle)}; "
                f"remove one of these dependencies, such as the one at {last}",
                file=last.file,
                line=last.line,
            ) from None

    def _ends(
        self,
        member: TaskNode | TaskGroup,
        waits: Mapping[TaskNode, Mapping[TaskNode, Location]],
        *,
        first: bool,
        edge: Edge,
    ) -> list[TaskNode]:
        if isinstance(member, TaskNode):
            return [member]
        inside = {node: None for node in self.tasks.values() if member.holds(node.group)}
        if not inside:
            raise DagError(
                f"Task group '{member.group_id}' of DAG '{self.dag_id}' has no tasks, so nothing can wait for it; "
                "call a task inside it",
                file=edge.location.file,
                line=edge.location.line,
            )
        if first:
            return [node for node in inside if not any(up in inside for up in waits[node])]
        waited_for = {up for node in inside for up in waits[node]}
        return [node for node in inside if node not in waited_for]

    def _error(self, message: str) -> DagError:
        return DagError(message, file=self.location.file, line=self.location.line)

    def __repr__(self) -> str:
        return f"<DAG '{self.dag_id}'>"


def check_id(kind: str, value: str, location: Location) -> None:
    """Checks that `value` may name a DAG, a task or a group.

    Raises:
        DagError: it may not.
    """
    if not _ID.fullmatch(str(value)):
        raise DagError(
            f"The {kind} {value!r} is not valid; use 1 to 250 letters, digits, '_', '-' and '.'",
            file=location.file,
            line=location.line,
        )


def _make_unique(name: str, taken: set[str]) -> str:
    number, unique = 0, name
    while unique in taken:
        number += 1
        unique = f"{name}__{number}"
    return unique


def _depth(edge: Edge) -> int:
    """How deep the inner end of an edge lies among groups; steps are deepest."""

    def depth(member: TaskNode | TaskGroup) -> int:
        if isinstance(member, TaskNode):
            return 1_000
        count, group = 0, member.parent
        while group is not None:
            count, group = count + 1, group.parent
        return count

    return min(depth(edge.up), depth(edge.down))


class DagFunction:
    """A function whose call makes a DAG of the tasks that it calls."""

    def __init__(self, function: Callable[..., object], dag_id: str, settings: Mapping[str, Any]) -> None:
        self.function = function
        self._dag_id = dag_id
        self._settings = settings
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> DAG:
        """Makes the DAG. The arguments are the defaults of its parameters; a run must give those without one."""
        parameters = inspect.signature(self.function).parameters
        bound = inspect.signature(self.function).bind_partial(*args, **kwargs)
        params: dict[str, object] = {**(self._settings.get("params") or {})}
        for name, parameter in parameters.items():
            if name in bound.arguments:
                params[name] = bound.arguments[name]
            elif name not in params:
                params[name] = Param() if parameter.default is inspect.Parameter.empty else parameter.default
        with DAG(self._dag_id, **{**self._settings, "params": params}) as made:
            self.function(**{name: made.params[name] for name in parameters})
        return made


@overload
def dag(function: Callable[..., object], /) -> DagFunction: ...
@overload
def dag(*, dag_id: str | None = None, **settings: Any) -> Callable[[Callable[..., object]], DagFunction]: ...
def dag(function: Any = None, /, *, dag_id: str | None = None, **settings: Any) -> Any:
    """Makes a DAG of a function that calls tasks; call the function once to make it.

    Its parameters are the parameters of a run.

    Args:
        function: the function.
        dag_id: by default the function's name.
        settings: see `DAG`.
    """

    def decorate(function: Callable[..., object]) -> DagFunction:
        doc = inspect.getdoc(function) or ""
        return DagFunction(function, dag_id or function.__name__, {"doc_md": doc, **settings})

    return decorate if function is None else decorate(function)
