"""Whether a task instance may still run, in a run whose version no worker offers any more. [SCHED-3]"""

from __future__ import annotations

from typing import Final

from crosswind_server import manifests
from crosswind_server.domain.plan import DagPlan, VersionPolicy

TASK_REMOVED: Final = "crosswind.TaskRemoved"
VERSION_GONE: Final = "crosswind.VersionGone"
OUTDATED: Final = manifests.failure_message(
    VERSION_GONE, "The DAG has a newer version, whose timetable is asked in place of this one.", retryable=False
)
"""Why the timetable of a version fails that no worker offers any more, serialized."""


def why_not(own: DagPlan, code: DagPlan, task_id: str) -> bytes | None:
    """Why a task of a run that lost its version fails, serialized; None: it runs with the code of another one.

    Args:
        own: the version with which the run began.
        code: the version whose code it goes on with; the same where its own is still offered.
        task_id: the task, of the DAG's own bundle; empty for what belongs to the run.
    """
    if own.dag_version_id == code.dag_version_id:
        return None
    if own.version_policy is VersionPolicy.FAIL:
        then = "it then fails; trigger it anew" if task_id else "what is left of it then fails"
        text = f"No worker offers this run's version any more, and its DAG says that {then}."
        return manifests.failure_message(VERSION_GONE, text, retryable=False)
    if task_id and task_id not in code.by_id:
        text = f"No worker offers this run's version any more, and the newest version has no task '{task_id}'."
        return manifests.failure_message(TASK_REMOVED, text, retryable=False)
    return None
