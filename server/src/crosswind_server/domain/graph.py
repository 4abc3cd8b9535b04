"""The shape of a DAG: ids, edges, depths.

Here belongs what must hold of any DAG before it is stored. What its tasks do, and whether their manifests are
complete, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Final

from crosswind_server.domain.errors import Reason, Refused

MAX_ID_LENGTH: Final = 250
_ID: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_ID_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class Node:
    """A task and the ids of the tasks that it waits for, as its author wrote them."""

    task_id: str
    upstream: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A valid DAG.

    Args:
        depths: the longest way from a task without upstream, 0 for such a task; in an order in which every task
            comes after its upstream.
        downstream: the tasks that wait for each task, in the order in which they were written.
        leaves: tasks that nobody waits for.
    """

    depths: Mapping[str, int]
    downstream: Mapping[str, tuple[str, ...]]
    leaves: frozenset[str]


def check_id(kind: str, value: str) -> str:
    """Returns `value` if it may name a DAG, a task, a run and the like.

    Args:
        kind: what it names, for the sentence, such as "task id".

    Raises:
        Refused: INVALID_ARGUMENT.
    """
    if _ID.fullmatch(value):
        return value
    shown = value if len(value) <= 80 else value[:77] + "..."
    raise Refused(
        Reason.INVALID_ARGUMENT,
        f"The {kind} {shown!r} is not valid; use 1 to {MAX_ID_LENGTH} letters, digits, '_', '-' and '.'.",
        metadata={"kind": kind, "id": shown},
    )


def check_shape(dag_id: str, nodes: Iterable[Node]) -> Shape:
    """Checks ids, duplicates, unknown upstream tasks and cycles.

    Raises:
        Refused: DAG_INVALID, with a sentence that names the DAG and the first task at fault, or the whole cycle.
    """
    try:
        check_id("DAG id", dag_id)
        upstream: dict[str, tuple[str, ...]] = {}
        for node in nodes:
            check_id("task id", node.task_id)
            if node.task_id in upstream:
                raise _invalid(dag_id, f"has two tasks with the id '{node.task_id}'; rename one of them")
            upstream[node.task_id] = tuple(dict.fromkeys(node.upstream))
    except Refused as refused:
        if refused.reason is Reason.DAG_INVALID:
            raise
        raise Refused(
            Reason.DAG_INVALID, f"DAG {dag_id[:80]!r}: {refused.message}", metadata={"dag_id": dag_id[:80]}
        ) from refused

    downstream: dict[str, list[str]] = {task_id: [] for task_id in upstream}
    for task_id, needs in upstream.items():
        for need in needs:
            if need not in upstream:
                raise _invalid(
                    dag_id, f"has no task '{need[:80]}' for task '{task_id}' to wait for; add it or drop the dependency"
                )
            downstream[need].append(task_id)
    try:
        order = tuple(TopologicalSorter(upstream).static_order())
    except CycleError as error:
        # graphlib lists the cycle so that each task is upstream of the next, the first repeated at the end.
        path = " -> ".join(error.args[1])
        raise _invalid(dag_id, f"has a cycle: {path}; remove one of these dependencies") from error
    depths: dict[str, int] = {}
    for task_id in order:
        depths[task_id] = 1 + max((depths[need] for need in upstream[task_id]), default=-1)
    return Shape(
        depths=depths,
        downstream={task_id: tuple(after) for task_id, after in downstream.items()},
        leaves=frozenset(task_id for task_id, after in downstream.items() if not after),
    )


def _invalid(dag_id: str, what: str) -> Refused:
    return Refused(Reason.DAG_INVALID, f"DAG '{dag_id}' {what}.", metadata={"dag_id": dag_id})
