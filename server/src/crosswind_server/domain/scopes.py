"""Setup and teardown: when a teardown runs, and which tasks decide how a run ends."""

from __future__ import annotations

from collections.abc import Sequence

from crosswind_server.domain.plan import TaskPlan
from crosswind_server.domain.readiness import Counts, Readiness


def judge_teardown(upstream: Counts, setups: Counts | None) -> Readiness:
    """What a teardown does, as Airflow's `ALL_DONE_SETUP_SUCCESS`; its trigger rule is ignored.

    It waits until all its upstream tasks, the setups among them, have ended. Then it runs if a setup succeeded, for
    there is something to remove; it is skipped if all were skipped. One without setups runs.

    Args:
        upstream: how its upstream tasks ended.
        setups: how its setups ended; None where they are not known because not all upstream tasks have ended.
    """
    if upstream.done < upstream.total:
        return Readiness.WAIT
    assert setups is not None
    if setups.total == 0 or setups.succeeded:
        return Readiness.RUN
    return Readiness.SKIP if setups.skipped == setups.total else Readiness.UPSTREAM_FAILED


def deciding(tasks: Sequence[TaskPlan]) -> frozenset[int]:
    """Positions of the tasks that decide a run's state: as in Airflow, the leaves of the DAG without its teardowns.

    A teardown counts only where its failure is to fail the run.
    """

    def is_ignored(task: TaskPlan) -> bool:
        return task.is_teardown and not task.on_failure_fail_run

    return frozenset(
        task.index
        for task in tasks
        if not is_ignored(task) and all(is_ignored(tasks[index]) for index in task.downstream)
    )
