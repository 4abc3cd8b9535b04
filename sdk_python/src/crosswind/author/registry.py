"""The DAGs that a file defines, and the one that is being written.

Here belongs what lasts while DAG files are read, and nothing else: a DAG that nobody collects is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crosswind.author.dag import DAG

_open_dags: list[DAG] = []
_collectors: list[list[DAG]] = []


def current_dag() -> DAG | None:
    """The DAG whose `with` block is being run."""
    return _open_dags[-1] if _open_dags else None


def open_dag(dag: DAG) -> None:
    """Makes a DAG the one that tasks are added to."""
    _open_dags.append(dag)


def close_dag(dag: DAG) -> None:
    """Ends what `open_dag` began."""
    _open_dags.remove(dag)


def add_dag(dag: DAG) -> None:
    """Hands a new DAG to whoever collects."""
    if _collectors:
        _collectors[-1].append(dag)


@contextmanager
def collect_dags() -> Iterator[list[DAG]]:
    """Collects the DAGs that are made within the block, in order."""
    collected: list[DAG] = []
    open_before = list(_open_dags)
    _open_dags.clear()
    _collectors.append(collected)
    try:
        yield collected
    finally:
        _collectors.remove(collected)
        _open_dags[:] = open_before


def is_reading() -> bool:
    """Whether DAG files are being read."""
    return bool(_collectors)
