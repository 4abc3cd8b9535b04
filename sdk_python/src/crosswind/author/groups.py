"""Named groups of tasks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, overload

from crosswind.author.errors import DagError
from crosswind.author.locations import Location, find_location
from crosswind.author.registry import current_dag
from crosswind.author.results import Dependency
from crosswind.author.settings import TaskSettings, check_settings

if TYPE_CHECKING:
    from types import TracebackType

    from crosswind.author.dag import DAG

P = ParamSpec("P")
R = TypeVar("R")


class TaskGroup(Dependency):
    """A group of tasks, made by `with task_group("name"):` inside a DAG.

    A task in it is named `group.task`. `group >> other` puts `other` behind the group's last tasks.

    Args:
        group_id: name in the DAG, or in the group around it.
        description: for people.
        default_args: settings of the tasks in it, before those of the DAG.
    """

    def __init__(
        self, group_id: str, *, description: str = "", default_args: TaskSettings | None = None, unique: bool = False
    ) -> None:
        self.location: Location = find_location()
        dag = current_dag()
        if dag is None:
            raise DagError(
                f"Task group '{group_id}' is outside a DAG; put it inside `with DAG(...):`",
                file=self.location.file,
                line=self.location.line,
            )
        self._dag = dag
        self.parent = dag.open_groups[-1] if dag.open_groups else None
        self.description = description
        self.default_args = check_settings(default_args or {}, owner=f"task group '{group_id}'")
        self.group_id = dag.add_group(self, group_id, unique=unique)

    @property
    def member(self) -> TaskGroup:
        """The group itself."""
        return self

    @property
    def dag(self) -> DAG:
        """The DAG that it is in."""
        return self._dag

    @property
    def label(self) -> str:
        """Its full name."""
        return self.group_id

    def holds(self, group: TaskGroup | None) -> bool:
        """Whether a group is this one or inside it."""
        while group is not None and group is not self:
            group = group.parent
        return group is self

    def __enter__(self) -> Self:
        self._dag.open_groups.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._dag.open_groups.remove(self)

    def __repr__(self) -> str:
        return f"<task group '{self.group_id}'>"


class TaskGroupFunction(Generic[P, R]):
    """A function whose calls make groups of the tasks that it calls."""

    def __init__(self, function: Callable[P, R], group_id: str, **settings: Any) -> None:
        self.function = function
        self._group_id = group_id
        self._settings = settings
        functools.update_wrapper(self, function)

    @overload
    def __call__(self: TaskGroupFunction[P, None], *args: P.args, **kwargs: P.kwargs) -> TaskGroup: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Makes a group. Returns what the function returns, or the group where that is None."""
        with TaskGroup(self._group_id, unique=True, **self._settings) as group:
            result = self.function(*args, **kwargs)
        return group if result is None else result


class TaskGroupDecoration:
    """`task_group(...)` with arguments: put it on a function, or use it as `with task_group(...):`."""

    def __init__(self, group_id: str | None, **settings: Any) -> None:
        self._group_id = group_id
        self._settings = settings
        self._group: TaskGroup | None = None

    def __call__(self, function: Callable[P, R]) -> TaskGroupFunction[P, R]:
        group_id = self._group_id or function.__name__
        settings = {"description": (function.__doc__ or "").strip().partition("\n")[0], **self._settings}
        return TaskGroupFunction(function, group_id, **settings)

    def __enter__(self) -> TaskGroup:
        if self._group_id is None:
            raise TypeError("a task group needs a name; write `with task_group('name'):`")
        self._group = TaskGroup(self._group_id, **self._settings)
        return self._group.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._group is not None
        self._group.__exit__(kind, error, traceback)


@overload
def task_group(function: Callable[P, R], /) -> TaskGroupFunction[P, R]: ...
@overload
def task_group(
    group_id: str | None = None, /, *, description: str = "", default_args: TaskSettings | None = None
) -> TaskGroupDecoration: ...
@overload
def task_group(
    *, group_id: str, description: str = "", default_args: TaskSettings | None = None
) -> TaskGroupDecoration: ...
def task_group(first: Any = None, /, *, group_id: str | None = None, **settings: Any) -> Any:
    """Groups tasks: `@task_group` on a function, or `with task_group("name") as group:`.

    Args:
        first: the function, or the name. By default the function's name.
        group_id: the name.
        settings: see `TaskGroup`.
    """
    if callable(first):
        return TaskGroupDecoration(None)(first)
    return TaskGroupDecoration(first if group_id is None else group_id, **{k: v for k, v in settings.items() if v})
