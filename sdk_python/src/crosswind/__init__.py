"""Crosswind for Python: what authors of DAGs and tasks import.

Importing it never imports grpc, and nothing else before it is asked for: each name is loaded when it is first used.
"""

from __future__ import annotations

# Type checkers know the name; importing it from typing would take most of the time that this module takes.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from crosswind.author.codec import register_codec
    from crosswind.author.connections import Connection
    from crosswind.author.context import Context, TaskInstance, get_current_context
    from crosswind.author.dag import DAG, dag
    from crosswind.author.errors import (
        ConnectionNotFound,
        CrosswindError,
        DagCycle,
        DagError,
        DuplicateDag,
        DuplicateTask,
        NoTaskError,
        Retry,
        Skip,
        SkipTask,
        TaskCancelled,
        TaskFailed,
        UnreadableValue,
        UnsupportedValue,
        ValueTooLarge,
        VariableNotFound,
        XComNotFound,
    )
    from crosswind.author.groups import TaskGroup, task_group
    from crosswind.author.params import Param, Params
    from crosswind.author.results import XComArg, chain
    from crosswind.author.runs import get_dag_run_state, get_task_states, trigger_dag_run
    from crosswind.author.schedules import Cron
    from crosswind.author.settings import Access, RetryRule, TriggerRule
    from crosswind.author.tasks import external_task, task
    from crosswind.author.variables import Variable

__version__ = "0.1.0"

_HOMES = {
    "codec": ["register_codec"],
    "connections": ["Connection"],
    "context": ["Context", "TaskInstance", "get_current_context"],
    "dag": ["DAG", "dag"],
    "errors": [
        "ConnectionNotFound", "CrosswindError", "DagCycle", "DagError", "DuplicateDag", "DuplicateTask", "NoTaskError",
        "Retry", "Skip", "SkipTask", "TaskCancelled", "TaskFailed", "UnreadableValue", "UnsupportedValue",
        "ValueTooLarge", "VariableNotFound", "XComNotFound",
    ],
    "groups": ["TaskGroup", "task_group"],
    "params": ["Param", "Params"],
    "results": ["XComArg", "chain"],
    "runs": ["get_dag_run_state", "get_task_states", "trigger_dag_run"],
    "schedules": ["Cron"],
    "settings": ["Access", "RetryRule", "TriggerRule"],
    "tasks": ["external_task", "task"],
    "variables": ["Variable"],
}  # fmt: skip
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Access", "Connection", "ConnectionNotFound", "Context", "Cron", "CrosswindError", "DAG", "DagCycle",
    "DagError", "DuplicateDag", "DuplicateTask", "NoTaskError", "Param", "Params", "Retry", "RetryRule", "Skip",
    "SkipTask", "TaskCancelled", "TaskFailed", "TaskGroup", "TaskInstance", "TriggerRule", "UnreadableValue",
    "UnsupportedValue", "ValueTooLarge", "Variable", "VariableNotFound", "XComArg", "XComNotFound", "chain", "dag",
    "external_task", "get_current_context", "get_dag_run_state", "get_task_states", "register_codec", "task",
    "task_group", "trigger_dag_run",
]  # fmt: skip


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'crosswind' has no attribute {name!r}")
    # Here, because a program that only imports the package should not pay for it.
    import importlib

    value = getattr(importlib.import_module(f"crosswind.author.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
