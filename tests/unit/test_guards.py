"""The sets of states in SQL are those of the rules."""

from crosswind_server.domain import lifecycle, states
from crosswind_server.store import guards


def test_the_guards_of_attempts_are_what_the_table_of_the_lifecycle_says():
    assert set(guards.ASSIGNED) == lifecycle.STARTABLE == lifecycle.REDELIVERABLE == lifecycle.RETURNABLE
    assert set(guards.LEASED) == lifecycle.EXPIRABLE == lifecycle.EXTENDED_BY_HEARTBEAT
    assert set(guards.LIVE) == lifecycle.LIVE


def test_the_guards_of_task_instances_and_workers_are_the_sets_of_the_domain():
    assert set(guards.IDLE) == states.IDLE_TASK_STATES
    assert set(guards.LIVE_WORKERS) == states.LIVE_WORKER_STATES
    assert set(guards.QUEUED) == {states.TaskState.QUEUED}
