"""What runs beside tasks, as plans: its own retries and bounds, its task's place among workers, none in the graph."""

import pytest
from google.protobuf.duration_pb2 import Duration

from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind_server.domain.lifecycle import OUTCOMES, Event
from crosswind_server.domain.plan import DagPlan
from crosswind_server.domain.readiness import TriggerRule
from crosswind_server.domain.states import Workload
from crosswind_server.domain.workloads import (
    ALLOWED,
    NO_TASK,
    TIMETABLE_RETRY,
    TIMETABLE_TIMEOUT_US,
    TRIGGER_RETRY,
    plan_workload,
)
from crosswind_server.manifests import read_dag


@pytest.fixture(scope="module")
def plan() -> DagPlan:
    first = task_pb2.Task(task_id="first", entry_point="m:first", queue="here")
    second = task_pb2.Task(
        task_id="second",
        entry_point="m:second",
        queue="there",
        slots=3,
        upstream=[task_pb2.Edge(task_id="first")],
        execution_timeout=Duration(seconds=9),
    )
    dag = dag_pb2.Dag(dag_id="d", tasks=[first, second])
    return read_dag(dag.SerializeToString(), dag_version_id="v")


BESIDE = [Workload.TRIGGER, Workload.CALLBACK, Workload.TIMETABLE]


@pytest.mark.parametrize("workload", BESIDE)
def test_it_has_no_place_in_the_graph_and_takes_one_slot(plan: DagPlan, workload: Workload):
    made = plan_workload(plan, workload, entry_point="m:beside", task_id="second")
    assert (made.index, made.task_id, made.entry_point) == (NO_TASK, "second", "m:beside")
    assert (made.upstream, made.downstream, made.trigger_rule) == ((), (), TriggerRule.ALWAYS)
    assert (made.slots, made.callbacks, made.mapping, made.inputs) == (1, (), None, ())


@pytest.mark.parametrize("workload", BESIDE)
@pytest.mark.parametrize(("task_id", "queue"), [("second", "there"), ("first", "here"), ("", "here")])
def test_it_goes_where_its_task_goes_and_that_of_a_run_where_the_first_does(
    plan: DagPlan, workload: Workload, task_id: str, queue: str
):
    assert plan_workload(plan, workload, entry_point="m:beside", task_id=task_id).queue == queue


def test_each_is_tried_again_in_its_own_way(plan: DagPlan):
    made = {each: plan_workload(plan, each, entry_point="m:beside", task_id="second") for each in BESIDE}
    assert made[Workload.TRIGGER].retry == TRIGGER_RETRY
    assert made[Workload.TIMETABLE].retry == TIMETABLE_RETRY
    assert made[Workload.CALLBACK].retry.retries == 0
    # The timeout of the task is about the task.
    assert {each: plan_.execution_timeout_us for each, plan_ in made.items()} == {
        Workload.TRIGGER: None,
        Workload.CALLBACK: None,
        Workload.TIMETABLE: TIMETABLE_TIMEOUT_US,
    }


def test_only_tasks_give_their_slots_away_to_wait_for_something():
    assert ALLOWED[Workload.TASK] == frozenset(OUTCOMES)
    for workload in BESIDE:
        assert ALLOWED[workload] < ALLOWED[Workload.TASK]
        assert not ALLOWED[workload] & {Event.FINISH_DEFERRED, Event.FINISH_AWAITING_INPUT}
    assert [each for each in BESIDE if Event.FINISH_RESCHEDULED in ALLOWED[each]] == [Workload.TRIGGER]
    assert [each for each in BESIDE if Event.FINISH_SKIPPED in ALLOWED[each]] == [Workload.CALLBACK]
