"""What a task will return, and the order of tasks.

Here belong `XComArg`, `>>`, `<<` and `chain`. How arguments become inputs is `binding.py`'s.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar

from crosswind.author.errors import DagError
from crosswind.author.locations import find_location

if TYPE_CHECKING:
    from crosswind.author.dag import DAG, TaskNode
    from crosswind.author.groups import TaskGroup

RETURN_VALUE: Final = "return_value"
"""The key of the XCom that a task's result is."""

T = TypeVar("T")


class Dependency:
    """What may stand beside `>>`: the result of a task, or a group of tasks."""

    @property
    def member(self) -> TaskNode | TaskGroup:
        """The task or group that is meant."""
        raise NotImplementedError

    @property
    def dag(self) -> DAG:
        """The DAG that it is in."""
        return self.member.dag

    def set_downstream(self, other: object) -> None:
        """Makes `other`, a result, a group or a list of them, wait for this."""
        for down in _members(other):
            _link(self, down)

    def set_upstream(self, other: object) -> None:
        """Makes this wait for `other`, a result, a group or a list of them."""
        for up in _members(other):
            _link(up, self)

    def __rshift__(self, other: T) -> T:
        self.set_downstream(other)
        return other

    def __lshift__(self, other: T) -> T:
        self.set_upstream(other)
        return other

    def __rrshift__(self, other: object) -> Self:
        self.set_upstream(other)
        return self

    def __rlshift__(self, other: object) -> Self:
        self.set_downstream(other)
        return self


class XComArg(Dependency):
    """What a task will return: an argument for other tasks, known when it has run.

    `result["key"]` and `result[0]` stand for one element of it.
    """

    def __init__(self, node: TaskNode, *, key: str = RETURN_VALUE, path: tuple[int | str, ...] = ()) -> None:
        self.node = node
        self.key = key
        self.path = path

    @property
    def member(self) -> TaskNode:
        """The task."""
        return self.node

    def __getitem__(self, step: int | str) -> XComArg:
        if isinstance(step, bool) or not isinstance(step, int | str):
            raise TypeError(f"{self!r} takes the index of a list or the key of a dict, not {step!r}")
        names_output = isinstance(step, str) and not self.path and self.key == RETURN_VALUE
        if names_output and self.node.settings.get("multiple_outputs") and self.node.mapping is None:
            self.node.output_names[str(step)] = None
            return XComArg(self.node, key=str(step))
        return XComArg(self.node, key=self.key, path=(*self.path, step))

    def __iter__(self) -> Iterator[NoReturn]:
        raise TypeError(f"{self._unknown()}; map a task over it with .expand(...), or loop over it inside a task")

    def __len__(self) -> int:
        raise TypeError(f"{self._unknown()}; take its length inside a task")

    def __bool__(self) -> bool:
        raise TypeError(f"{self._unknown()}; decide by it inside a task")

    def __contains__(self, item: object) -> bool:
        raise TypeError(f"{self._unknown()}; look into it inside a task")

    def __format__(self, spec: str) -> str:
        raise TypeError(f"{self._unknown()}; pass it as an argument and format it inside the task")

    def __repr__(self) -> str:
        steps = "".join(f"[{step!r}]" for step in ((self.key,) if self.key != RETURN_VALUE else ()) + self.path)
        return f"<result of task '{self.node.task_id}'{steps}>"

    def _unknown(self) -> str:
        return f"The result of task '{self.node.task_id}' is not known while the DAG file is being read"


def chain(*items: object) -> None:
    """Makes each item wait for the one before it.

    An item is a result, a group, or a list of them; two lists side by side must be of one length and are linked pair
    by pair.

    Raises:
        ValueError: two lists side by side differ in length.
    """
    for before, after in itertools.pairwise(items):
        if isinstance(before, list | tuple) and isinstance(after, list | tuple):
            if len(before) != len(after):
                raise ValueError(f"chain cannot pair a list of {len(before)} with a list of {len(after)}")
            for up, down in zip(before, after, strict=True):
                chain(up, down)
        else:
            for up in _members(before):
                up.set_downstream(after)


def find_results(value: object) -> Iterable[XComArg]:
    """The results in a structure of lists, tuples and dicts."""
    if isinstance(value, XComArg):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from find_results(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from find_results(item)


def _members(other: object) -> Sequence[Dependency]:
    members: Sequence[Any] = other if isinstance(other, list | tuple) else (other,)
    for member in members:
        if not isinstance(member, Dependency):
            hint = "; call it first" if callable(member) else ""
            raise TypeError(f"{member!r} is not the result of a task, a group, or a list of them{hint}")
    return members


def _link(up: Dependency, down: Dependency) -> None:
    location = find_location()
    if up.dag is not down.dag:
        raise DagError(
            f"'{up.member.label}' is in DAG '{up.dag.dag_id}' and '{down.member.label}' in DAG '{down.dag.dag_id}'; "
            "only tasks of one DAG can wait for each other",
            file=location.file,
            line=location.line,
        )
    up.dag.add_edge(up.member, down.member, location)
