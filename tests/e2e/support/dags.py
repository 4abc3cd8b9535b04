"""DAGs for tests, said in terms of what a task does; each language's writer turns them into its source.

A test says `TaskSpec("load", after=("extract",), retries=1)` and never in which language. The writers are `python_dags`
and, for Go, the bundle in `go_puppets`.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Does:
    """What a task does.

    Args:
        perform: come to the stage and obey (see `puppets`); else return at once.
        value: what it returns without performing.
        note: append a line `<task> <map_index> <try>` to this file first.
    """

    perform: bool = True
    value: int | list[int] = 0
    note: Path | None = None


PERFORM = Does()


@dataclass(frozen=True)
class TaskSpec:
    """A task.

    Args:
        name: its id.
        after: tasks whose results it takes as arguments, in order.
        does: what it does.
        retries: further tries after a failure.
        retry_delay: between tries, in seconds.
        cancel_grace: between TERM and KILL, in seconds.
        over: a task, or numbers, that it is mapped over; the item is its first argument.
        timeout: how long a try may last, in seconds; None for as long as it takes.
        on_partition: `continue` or `kill`.
        alone: in a process of its own, which in some languages every task is.
    """

    name: str
    after: tuple[str, ...] = ()
    does: Does = PERFORM
    retries: int = 0
    retry_delay: float = 0.05
    cancel_grace: float = 10.0
    over: str | tuple[int, ...] | None = None
    timeout: float | None = None
    on_partition: str = "continue"
    alone: bool = True


@dataclass(frozen=True)
class DagSpec:
    """A DAG. `version` does nothing but change its source."""

    dag_id: str
    tasks: tuple[TaskSpec, ...]
    version: int = 1
