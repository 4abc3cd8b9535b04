"""Runs of DAGs, as a running task sees them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crosswind.author.context import require_current
from crosswind.author.schedules import as_utc


def trigger_dag_run(
    dag_id: str, *, conf: Mapping[str, Any] | None = None, run_id: str = "", logical_date: datetime | None = None
) -> str:
    """Starts a run of a DAG.

    Args:
        dag_id: the DAG.
        conf: parameters of the run.
        run_id: its id. Empty: the server makes one.
        logical_date: the moment that it stands for; without a time zone it is UTC.

    Returns:
        The run's id.

    Raises:
        NoTaskError: no task runs.
        UnsupportedValue: a parameter cannot be written as JSON.
    """
    from crosswind.author.codec import JSON, Encoded, encode_json
    from crosswind.author.payloads import to_payload

    task = require_current(f"trigger_dag_run({dag_id!r})")
    payload = None
    if conf is not None:
        payload = to_payload(Encoded(JSON, encode_json(dict(conf), what=f"the conf for DAG '{dag_id}'")))
    moment = None if logical_date is None else as_utc(logical_date)
    return task.runtime.trigger_dag_run(dag_id, run_id=run_id, conf=payload, logical_time=moment)


def get_dag_run_state(dag_id: str, run_id: str) -> str | None:
    """The state of a run, such as "running" or "succeeded". None: there is no such run.

    Raises:
        NoTaskError: no task runs.
    """
    found = require_current(f"get_dag_run_state({dag_id!r}, ...)").runtime.get_dag_run(dag_id, run_id)
    return None if found is None else found.state


def get_task_states(dag_id: str | None = None, run_id: str | None = None) -> dict[str, list[str]]:
    """The states of the task instances of a run, by task; a mapped task has one for each instance.

    Args:
        dag_id: None: this DAG.
        run_id: None: this run.

    Raises:
        NoTaskError: no task runs.
    """
    states: dict[str, list[str]] = {}
    for instance in require_current("get_task_states()").runtime.get_task_states(dag_id=dag_id, run_id=run_id):
        states.setdefault(instance.key.task_id, []).append(instance.state)
    return states
