"""Tasks as authors write them: `@task`, its settings, its calls and their mapping.

Here belongs what is said of a task. How it stands in a DAG is `dag.py`'s, how arguments bind is `binding.py`'s.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from inspect import Signature
from typing import Any, Final, Generic, Never, ParamSpec, Protocol, TypeVar, Unpack, overload

from crosswind.author import binding, context, registry
from crosswind.author.binding import Argument, BoundInput, bind_arguments, bind_input, describe_argument
from crosswind.author.codec import encode_items
from crosswind.author.dag import MappedCall, TaskNode
from crosswind.author.errors import DagError
from crosswind.author.locations import find_location
from crosswind.author.results import XComArg, find_results
from crosswind.author.settings import TaskSettings, check_settings

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Reference:
    """A task that another bundle offers.

    Args:
        bundle: the bundle's name.
        entry_point: the name under which it offers the task.
    """

    bundle: str
    entry_point: str


@dataclass(frozen=True)
class Definition:
    """What is the same of all uses of a task.

    Args:
        name: the function's, or the last part of the reference's entry point.
        function: the author's, as called by the runtime. None for a reference.
        reference: None for a function.
        signature: its parameters without the context's. None: not known.
        context_name: the parameter that takes the context.
    """

    name: str
    function: Callable[..., Any] | None
    reference: Reference | None
    signature: Signature | None
    context_name: str | None


class TaskFunction(Generic[P, R]):
    """A task: call it inside a DAG to add a step, and pass what it returns to other tasks.

    For type checkers a call returns what the function returns, so that the flow of data is checked; at run time it is
    an `XComArg`, which stands for it.
    """

    __name__: str

    def __init__(self, definition: Definition, settings: TaskSettings, *, renamed: bool = False) -> None:
        self.definition = definition
        self.settings = settings
        self._renamed = renamed
        if definition.function is not None:
            functools.update_wrapper(self, definition.function)

    @property
    def function(self) -> Callable[P, R]:
        """The author's function, to call it as it is.

        Raises:
            TypeError: the task is another bundle's.
        """
        if self.definition.function is None:
            raise TypeError(f"{self!r} is a task of another bundle; there is no function to call here")
        return self.definition.function

    @property
    def task_id(self) -> str:
        """Its id, unless it is called more than once in a DAG."""
        return self.settings.get("task_id", self.definition.name)

    @overload
    def __call__(self: TaskFunction[P, Never], *args: P.args, **kwargs: P.kwargs) -> Any: ...  # of one by `ref`
    @overload
    def __call__(self: TaskFunction[P, None], *args: P.args, **kwargs: P.kwargs) -> XComArg: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Adds a step to the DAG. Inside a running task, where there is no DAG to add to, it calls the function.

        Raises:
            TypeError: the arguments do not fit the function's parameters.
            DagError: there is no DAG around.
        """
        if registry.current_dag() is None and context.find_current() is not None:
            return self.function(*args, **kwargs)
        arguments = bind_arguments(self.definition.signature, args, kwargs, task_id=self.task_id)
        return self._add(arguments)

    def partial(self, *args: Any, **kwargs: Any) -> PartialTask[R]:
        """Gives the arguments that are the same for every instance; `.expand()` gives the others."""
        bind_arguments(self.definition.signature, args, kwargs, task_id=self.task_id, complete=False)
        return PartialTask(self, args, kwargs)

    @overload
    def expand(self: TaskFunction[P, Never], *args: Any, **kwargs: Any) -> Any: ...  # of one by `ref`
    @overload
    def expand(self: TaskFunction[P, None], *args: Any, **kwargs: Any) -> XComArg: ...
    @overload
    def expand(self, *args: Any, **kwargs: Any) -> list[R]: ...
    def expand(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a step with an instance for each item; with several arguments, for each combination.

        Args:
            args: lists, or results of tasks that return lists.
            kwargs: likewise, by parameter.

        Returns:
            What stands for the list of the instances' results.
        """
        return PartialTask(self, (), {})._expand(args, kwargs)

    def expand_kwargs(self, items: Any) -> Any:
        """Adds a step with an instance for each dict of arguments in a list, or in a task's result."""
        return PartialTask(self, (), {}).expand_kwargs(items)

    def override(self, **settings: Unpack[TaskSettings]) -> TaskFunction[P, R]:
        """The same task with other settings."""
        checked = check_settings(settings, owner=f"task '{self.task_id}'")
        merged: TaskSettings = {**self.settings, **checked}
        return TaskFunction(self.definition, merged, renamed="task_id" in checked)

    def conflicts_with(self, other: TaskFunction[..., Any]) -> bool:
        """Whether the id that this one was given, and `other` has, can only be a mistake.

        Calling one task twice is none, nor are two functions of one name.
        """
        if self is other or "task_id" not in self.settings:
            return False
        return self._renamed or self.definition is not other.definition

    def _add(self, arguments: Sequence[Argument], mapping: MappedCall | None = None) -> XComArg:
        location = find_location()
        dag = registry.current_dag()
        if dag is None:
            raise DagError(
                f"Task '{self.task_id}' was called outside a DAG; call it inside `with DAG(...):` or a function under "
                f"@dag, or call {self.task_id}.function(...) to run it as it is",
                file=location.file,
                line=location.line,
            )
        inputs = [bind_input(argument, task_id=self.task_id) for argument in arguments]
        return XComArg(TaskNode(self, dag=dag, inputs=inputs, mapping=mapping, location=location))

    def __repr__(self) -> str:
        return f"<task '{self.task_id}'>"


class PartialTask(Generic[R]):
    """A task with some arguments given, waiting for `.expand()`."""

    def __init__(self, task: TaskFunction[..., R], args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        self._task = task
        self._args = args
        self._kwargs = kwargs

    @overload
    def expand(self: PartialTask[Never], *args: Any, **kwargs: Any) -> Any: ...
    @overload
    def expand(self: PartialTask[None], *args: Any, **kwargs: Any) -> XComArg: ...
    @overload
    def expand(self, *args: Any, **kwargs: Any) -> list[R]: ...
    def expand(self, *args: Any, **kwargs: Any) -> Any:
        """See `TaskFunction.expand`. Positional arguments follow those of `partial`."""
        return self._expand(args, kwargs)

    def expand_kwargs(self, items: Any) -> Any:
        """See `TaskFunction.expand_kwargs`."""
        task_id = self._task.task_id
        signature = self._task.definition.signature
        fixed = bind_arguments(signature, self._args, self._kwargs, task_id=task_id, complete=False)
        if isinstance(items, list | tuple):
            for index, item in enumerate(items):
                if not isinstance(item, dict):
                    raise TypeError(f"expand_kwargs of task '{task_id}' needs dicts of arguments; item {index} is none")
                bind_arguments(signature, self._args, {**self._kwargs, **item}, task_id=task_id)
        mapped = _mapped_input(Argument("", None, items), task_id)
        return self._task._add(fixed, MappedCall("keywords", (mapped,)))

    def _expand(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Any:
        task_id = self._task.task_id
        if not args and not kwargs:
            raise TypeError(f"Task '{task_id}': expand() needs at least one list, such as expand(x=[1, 2])")
        twice = sorted(self._kwargs.keys() & kwargs.keys())
        if twice:
            raise TypeError(f"Task '{task_id}': {twice[0]!r} stands in both partial() and expand(); drop one of them")
        marked_args = (*self._args, *(_Mapped(value) for value in args))
        marked_kwargs = {**self._kwargs, **{name: _Mapped(value) for name, value in kwargs.items()}}
        arguments = bind_arguments(self._task.definition.signature, marked_args, marked_kwargs, task_id=task_id)
        fixed = [argument for argument in arguments if not isinstance(argument.value, _Mapped)]
        mapped = [
            _mapped_input(Argument(argument.name, argument.position, argument.value.items), task_id)
            for argument in arguments
            if isinstance(argument.value, _Mapped)
        ]
        return self._task._add(fixed, MappedCall("cross", tuple(mapped)))


@dataclass(frozen=True)
class _Mapped:
    items: object


def _mapped_input(argument: Argument, task_id: str) -> BoundInput:
    items = argument.value
    what = describe_argument(argument, task_id=task_id) if argument.name else f"expand of task '{task_id}'"
    if isinstance(items, XComArg):
        return BoundInput(argument.name, argument.position, items)
    if isinstance(items, range):
        items = list(items)
    if not isinstance(items, list | tuple):
        raise TypeError(f"{what} is mapped, so it needs a list or the result of a task, not {items!r}")
    if any(True for _ in find_results(items)):
        raise TypeError(f"{what} is mapped over a list with results in it; let a task return that list")
    return BoundInput(argument.name, argument.position, encode_items(items, what=what))


class TaskDecoration(Protocol):
    """`task(...)` with settings: put it on a function."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> TaskFunction[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> TaskFunction[P, R]: ...


class TaskDecorator:
    """Makes tasks of functions: `@task`, or `@task(retries=2, ...)`."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> TaskFunction[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> TaskFunction[P, R]: ...
    @overload
    def __call__(self, /, **settings: Unpack[TaskSettings]) -> TaskDecoration: ...
    def __call__(self, function: Any = None, /, **settings: Any) -> Any:
        """See `TaskSettings` for the settings."""
        if function is None:
            return functools.partial(_make_task, settings=settings)
        return _make_task(function, settings=settings)

    def ref(
        self, *, bundle: str, entry_point: str, parameters: Sequence[str] = (), **settings: Unpack[TaskSettings]
    ) -> TaskFunction[..., Any]:
        """A task of another bundle, in whatever language: called and mapped like one of this bundle.

        It waits, when a run comes to it, until a worker offers it.

        Args:
            bundle: the other bundle's name.
            entry_point: the name under which it offers the task.
            parameters: the names of its parameters, in order, so that calls are checked and arguments given by name
                have positions too. Empty: not known.
            settings: as for `@task`; the `task_id` is by default the last part of the entry point.
        """
        if not bundle or not entry_point:
            raise ValueError("a reference needs the bundle's name and the entry point that it offers")
        name = re.split(r"[.:/]", entry_point)[-1]
        checked = check_settings(settings, owner=f"task '{settings.get('task_id', name)}'")
        signature = binding.named_signature(parameters) if parameters else None
        return TaskFunction(Definition(name, None, Reference(bundle, entry_point), signature, None), checked)


def _make_task(function: Any, *, settings: Mapping[str, Any]) -> TaskFunction[..., Any]:
    if isinstance(function, TaskFunction):
        raise TypeError(f"{function!r} is a task already; drop one of the two @task")
    if not inspect.isroutine(function) and not isinstance(function, functools.partial):
        raise TypeError(f"@task stands on functions, and {function!r} is none; settings are given by name")
    name: str = getattr(function, "__name__", "task")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"Task '{name}' yields; a task returns its result, such as a list")
    checked = check_settings(settings, owner=f"task '{settings.get('task_id') or name}'")
    signature, context_name = binding.read_signature(function)
    return TaskFunction(Definition(name, function, None, signature, context_name), checked)


task: Final = TaskDecorator()
"""Makes tasks of functions, see `TaskDecorator`."""

external_task: Final = task.ref
"""Another name of `task.ref`."""
