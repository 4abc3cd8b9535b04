"""Triggers, callbacks and timetables, notes of runs and labels of edges, on the command line."""

import json

import grpc
import pytest

from crosswind.control.v1 import dag_runs_pb2, dags_pb2, logs_pb2, states_pb2, task_instances_pb2, workloads_pb2
from crosswind.execution.v1 import failure_pb2
from crosswind.manifest.v1 import dag_pb2, task_pb2
from tests.unit.cli.canned_server import Refusal
from tests.unit.cli.test_answers import log_page, run_in

SERVICE = "WorkloadService"
ALARM = workloads_pb2.Workload(
    workload_id="w1",
    kind=workloads_pb2.WORKLOAD_KIND_CALLBACK,
    dag_id="flights",
    run_id="r1",
    task_id="extract",
    callback_event=dag_pb2.Callback.EVENT_FAILURE,
    entry_point="calls:alarm",
    state=states_pb2.TASK_STATE_FAILED,
    failure=failure_pb2.Failure(type="OSError", message="the pager is off"),
)


def got(state: states_pb2.TaskState) -> workloads_pb2.GetWorkloadResponse:
    """The callback in another state."""
    changed = workloads_pb2.Workload()
    changed.CopyFrom(ALARM)
    changed.state = state
    return workloads_pb2.GetWorkloadResponse(workload=changed)


@pytest.fixture
def called(server):
    server.answer(f"{SERVICE}/ListWorkloads", workloads_pb2.ListWorkloadsResponse(workloads=[ALARM]))
    server.answer(f"{SERVICE}/GetWorkload", got(states_pb2.TASK_STATE_FAILED))
    attempts = [task_instances_pb2.Attempt(attempt_id="a1", try_number=1, state=states_pb2.ATTEMPT_STATE_FAILED)]
    server.answer(f"{SERVICE}/ListWorkloadAttempts", workloads_pb2.ListWorkloadAttemptsResponse(attempts=attempts))
    server.answer("DagRunService/GetDagRun", run_in(states_pb2.RUN_STATE_FAILED, 1))
    return server


def test_workloads_are_listed_by_kind_state_and_run(called, ask):
    table = ask("workloads", "list", "--kind", "callback", "--state", "failed", "--run", "flights/r1").out
    for shown in ("w1", "callback", "failure", "calls:alarm", "failed", "flights", "r1", "extract"):
        assert shown in table
    (asked,) = called.requests(f"{SERVICE}/ListWorkloads", workloads_pb2.ListWorkloadsRequest)
    assert (asked.dag_id, asked.run_id) == ("flights", "r1")
    assert list(asked.kinds) == [workloads_pb2.WORKLOAD_KIND_CALLBACK]
    assert list(asked.states) == [states_pb2.TASK_STATE_FAILED]
    (row,) = json.loads(ask("workloads", "list", "--output", "json").out)
    assert (row["kind"], row["callback_event"], row["state"]) == ("callback", "failure", "failed")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kind", "task"], "use one of trigger, callback, timetable"),
        (["--state", "broken"], "`broken` is no state: use one of waiting, queued"),
        (["--task", "extract"], "say which with --run"),
        (["flights", "--run", "flights/r1"], "leave the argument out"),
    ],
)
def test_a_filter_that_cannot_be_is_explained(called, ask, arguments, said):
    result = ask("workloads", "list", *arguments)
    assert (result.code, said in result.err) == (2, True), result.err


def test_a_workload_is_shown_with_its_failure_and_its_attempts(called, ask):
    out = ask("workloads", "show", "w1").out
    assert "OSError: the pager is off" in out
    assert "a1" in out
    shown = json.loads(ask("workloads", "show", "w1", "--output", "json").out)
    assert (shown["failure"]["type"], [each["state"] for each in shown["attempts"]]) == ("OSError", ["failed"])


def test_the_log_is_followed_from_before_the_assignment_to_the_end(called, ask):
    none = Refusal(grpc.StatusCode.NOT_FOUND, "LOG_NOT_FOUND", "There is no attempt yet.")
    called.answer("LogService/ReadLogs", none, log_page(0, "one"), log_page(1, "two", complete=True))
    called.answer(f"{SERVICE}/GetWorkload", got(states_pb2.TASK_STATE_QUEUED))
    nothing = workloads_pb2.ListWorkloadAttemptsResponse()
    attempts = [task_instances_pb2.Attempt(attempt_id="a1")]
    assigned = workloads_pb2.ListWorkloadAttemptsResponse(attempts=attempts)
    called.answer(f"{SERVICE}/ListWorkloadAttempts", nothing, assigned)
    called.answer(
        "DagRunService/GetDagRun", run_in(states_pb2.RUN_STATE_FAILED, 1), run_in(states_pb2.RUN_STATE_FAILED, 2)
    )
    result = ask("workloads", "logs", "w1", "--follow", "--output", "json")
    assert [json.loads(line)["message"] for line in result.out.splitlines()] == ["one", "two"]
    waited = called.requests("DagRunService/GetDagRun", dag_runs_pb2.GetDagRunRequest)
    assert waited[1].known_revision == 1
    asked = called.requests("LogService/ReadLogs", logs_pb2.ReadLogsRequest)
    assert [(each.workload_id, each.dag_id, each.attempt_id) for each in asked] == [
        ("w1", "", ""),
        ("w1", "", ""),
        ("w1", "", "a1"),
    ]


def test_the_log_of_what_ended_without_an_attempt_is_not_waited_for(called, ask):
    called.answer("LogService/ReadLogs", Refusal(grpc.StatusCode.NOT_FOUND, "LOG_NOT_FOUND", "It has no attempt yet."))
    called.answer(f"{SERVICE}/GetWorkload", got(states_pb2.TASK_STATE_CANCELLED))
    called.answer(f"{SERVICE}/ListWorkloadAttempts", workloads_pb2.ListWorkloadAttemptsResponse())
    result = ask("workloads", "logs", "w1", "--follow")
    assert (result.code, "It has no attempt yet." in result.err) == (1, True)


@pytest.mark.parametrize(("note", "said"), [("why", "changed"), ("", "removed")])
def test_a_run_is_given_a_note(called, ask, note, said):
    run = dag_runs_pb2.DagRun(dag_id="flights", run_id="r1", note=note)
    called.answer("DagRunService/UpdateDagRun", dag_runs_pb2.UpdateDagRunResponse(dag_run=run))
    assert ask("runs", "note", "flights/r1", note).out == f"The note of flights/r1 is {said}.\n"
    (asked,) = called.requests("DagRunService/UpdateDagRun", dag_runs_pb2.UpdateDagRunRequest)
    assert (asked.HasField("note"), asked.note) == (True, note)


def test_the_labels_of_edges_are_shown(server, ask):
    tasks = [
        task_pb2.Task(task_id="a", entry_point="m.a"),
        task_pb2.Task(task_id="b", upstream=[task_pb2.Edge(task_id="a", label="if late")]),
        task_pb2.Task(task_id="c", upstream=[task_pb2.Edge(task_id="a"), task_pb2.Edge(task_id="b", label="then")]),
    ]
    answer = dags_pb2.GetDagResponse(dag=dags_pb2.Dag(dag_id="d"), manifest=dag_pb2.Dag(dag_id="d", tasks=tasks))
    server.answer("DagService/GetDag", answer)
    out = ask("dags", "show", "d").out
    assert "a (if late)" in out
    assert "a, b (then)" in out
    shown = json.loads(ask("dags", "show", "d", "--output", "json").out)
    assert shown["manifest"]["tasks"][1]["upstream"] == [{"task_id": "a", "label": "if late"}]
