"""The parameters of a run: their defaults and schemas, and their place as arguments of tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from crosswind.author.settings import suggest


class _NoDefault:
    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT: Final = _NoDefault()
"""Stands for a parameter that every run must give."""


class Param:
    """A parameter of a run.

    Args:
        default: its value where a run gives none. Left out: every run must give one.
        description: for people.
        schema: keywords of JSON Schema, draft 2020-12, such as `type="integer", minimum=1`.
    """

    def __init__(self, default: object = NO_DEFAULT, *, description: str = "", **schema: Any) -> None:
        self.default = default
        self.description = description
        self.schema = schema

    def __repr__(self) -> str:
        return f"Param({self.default!r})"


class ParamArg:
    """A parameter as the argument of a task: its value is known when a run is."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<parameter {self.name!r} of the run>"

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is not known while the DAG file is being read; look at it inside a task")

    def __format__(self, spec: str) -> str:
        raise TypeError(f"{self!r} is not known while the DAG file is being read; format it inside a task")


class Params(Mapping[str, Any]):
    """The parameters of a DAG. `dag.params["month"]` is an argument for a task, like another task's result.

    It is a `ParamArg`; type checkers take it for whatever the task wants.
    """

    def __init__(self, params: Mapping[str, object], *, dag_id: str) -> None:
        self.declared = {
            name: value if isinstance(value, Param) else Param(value) for name, value in (params or {}).items()
        }
        self._dag_id = dag_id

    def __getitem__(self, name: str) -> Any:
        if name not in self.declared:
            raise KeyError(f"DAG '{self._dag_id}' has no parameter {name!r}{suggest(name, self.declared)}")
        return ParamArg(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.declared)

    def __len__(self) -> int:
        return len(self.declared)

    def __repr__(self) -> str:
        return f"Params({self.declared!r})"
