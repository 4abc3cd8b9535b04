import io
import json
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.control.v1 import (
    bundles_pb2,
    connections_pb2,
    dag_runs_pb2,
    dags_pb2,
    logs_pb2,
    states_pb2,
    task_instances_pb2,
    tokens_pb2,
    variables_pb2,
    workers_pb2,
)
from crosswind.execution.v1 import failure_pb2
from crosswind.execution.v1 import logs_pb2 as log_records
from tests.unit.cli.canned_server import Refusal

RUN = dag_runs_pb2.DagRun(dag_id="flights", run_id="r1", state=states_pb2.RUN_STATE_RUNNING, revision=1)
SIX = Timestamp(seconds=1796104800)  # 2026-12-01 06:00 UTC


def run_in(state: Any, revision: int) -> dag_runs_pb2.GetDagRunResponse:
    run = dag_runs_pb2.DagRun(dag_id="flights", run_id="r1", revision=revision, queued_time=SIX, end_time=SIX)
    run.state = state
    return dag_runs_pb2.GetDagRunResponse(dag_run=run)


def task(task_id: str, state: Any, **fields: Any) -> task_instances_pb2.TaskInstance:
    return task_instances_pb2.TaskInstance(dag_id="flights", run_id="r1", task_id=task_id, state=state, **fields)


@pytest.fixture
def one_run(server):
    server.answer("DagRunService/GetDagRun", dag_runs_pb2.GetDagRunResponse(dag_run=RUN))
    return server


def test_tasks_as_json(one_run, ask):
    tasks = [
        task("extract", states_pb2.TASK_STATE_SUCCEEDED, try_number=1, queued_time=SIX, start_time=SIX, end_time=SIX)
    ]
    tasks[0].worker, tasks[0].language = "w1", "python"
    tasks.append(task("stats", states_pb2.TASK_STATE_EXPANDED, mapped=True, mapped_total=1))
    waits = states_pb2.WAITING_REASON_NO_WORKER
    tasks.append(task("stats", states_pb2.TASK_STATE_QUEUED, mapped=True, map_index=0, waiting_reason=waits))
    tasks.append(task("report", states_pb2.TASK_STATE_UP_FOR_RETRY, mapped=True, mapped_total=0))
    one_run.answer(
        "TaskInstanceService/ListTaskInstances", task_instances_pb2.ListTaskInstancesResponse(task_instances=tasks)
    )
    result = ask("tasks", "list", "flights/r1", "--output", "json")
    assert result.code == 0
    names = ["task_id", "map_index", "try_number", "state", "waiting_reason", "queued_time", "start_time", "end_time"]
    names += ["worker", "language"]
    rows = json.loads(result.out)
    assert [list(row)[:10] for row in rows] == [names] * 3
    six = "2026-12-01T06:00:00.000000Z"
    assert [list(row.values())[:10] for row in rows] == [
        ["extract", None, 1, "succeeded", None, six, six, six, "w1", "python"],
        ["stats", 0, 0, "queued", "no_worker", None, None, None, None, None],
        ["report", None, 0, "up_for_retry", None, None, None, None, None, None],
    ]
    with_summaries = ask("tasks", "list", "flights/r1", "--output", "json", "--summaries")
    assert [row["state"] for row in json.loads(with_summaries.out)] == [
        "succeeded",
        "expanded",
        "queued",
        "up_for_retry",
    ]


def test_tasks_say_in_a_sentence_what_they_wait_for_and_what_their_instances_are_called(one_run, ask):
    waits = task("stats", states_pb2.TASK_STATE_QUEUED, mapped=True, map_index=0, map_label="Oslo")
    waits.waiting_reason, waits.waiting_detail = states_pb2.WAITING_REASON_POOL, "There is no pool 'db'."
    one_run.answer(
        "TaskInstanceService/ListTaskInstances", task_instances_pb2.ListTaskInstancesResponse(task_instances=[waits])
    )
    assert ask("tasks", "list", "flights/r1").out.splitlines()[1].split()[:9] == [
        *("stats", "0", "Oslo", "0", "queued"),
        *("There", "is", "no", "pool"),
    ]


def test_workers_are_seen_to_be_paused_and_busy(server, ask):
    worker = workers_pb2.Worker(name="w1", paused=True, used_slots=3, slots=8, state=states_pb2.WORKER_STATE_ACTIVE)
    server.answer("WorkerAdminService/ListWorkers", workers_pb2.ListWorkersResponse(workers=[worker]))
    heading, line = ask("workers", "list").out.splitlines()
    assert heading.split()[:6] == ["name", "state", "paused", "used", "slots", "slots"]
    assert line.split()[:5] == ["w1", "active", "yes", "3", "8"]


def test_table_shows_what_json_has(server, ask):
    server.answer("DagService/ListDags", dags_pb2.ListDagsResponse(dags=[dags_pb2.Dag(dag_id="d" * 200, paused=True)]))
    table = ask("dags", "list").out
    assert table.splitlines()[0].split()[:3] == ["dag", "bundle", "paused"]
    assert table.splitlines()[1].split()[:3] == ["d" * 200, "-", "yes"]


def test_empty_listing_is_an_empty_json_list_and_a_hint(server, ask):
    server.answer("DagService/ListDags", dags_pb2.ListDagsResponse())
    assert json.loads(ask("dags", "list", "--output", "json").out) == []
    table = ask("dags", "list")
    assert table.out == ""
    assert "crosswind-worker --dags" in table.err


def test_dags_list_says_what_could_not_be_read_and_what_stays_because_of_it(server, ask):
    problem = bundles_pb2.BundleProblem(source="a.py", line=3, message="It has a syntax error.")
    broken = bundles_pb2.BundleVersion(bundle="flows", bundle_version="v2", problems=[problem])
    other = bundles_pb2.BundleVersion(bundle="other", bundle_version="o1", problems=[problem])
    server.answer(
        "BundleCatalogService/ListBundles",
        bundles_pb2.ListBundlesResponse(
            bundles=[
                bundles_pb2.Bundle(bundle="flows", current_version=broken),
                bundles_pb2.Bundle(bundle="other", current_version=other),
            ]
        ),
    )
    dags = [
        dags_pb2.Dag(dag_id="a", bundle="flows", bundle_version="v1"),
        dags_pb2.Dag(dag_id="b", bundle="flows", bundle_version="v2"),
    ]
    server.answer("DagService/ListDags", dags_pb2.ListDagsResponse(dags=dags))
    stays = "flows: a stays as it was last, in version v1."
    told = "a.py:3: It has a syntax error."
    assert ask("dags", "list").err.splitlines() == [f"flows: {told}", f"other: {told}", stays]
    assert ask("dags", "list", "--bundle", "flows").err.splitlines() == [f"flows: {told}", stays]
    assert ask("dags", "list", "--output", "json").err == ""


def test_listing_reads_every_page(server, ask):
    page = dags_pb2.ListDagsResponse
    first = page(dags=[dags_pb2.Dag(dag_id="a")], next_page_token="more")
    server.answer("DagService/ListDags", first, page(dags=[dags_pb2.Dag(dag_id="b")]))
    rows = json.loads(ask("dags", "list", "--tag", "t", "--output", "json").out)
    assert [row["dag_id"] for row in rows] == ["a", "b"]
    asked = server.requests("DagService/ListDags", dags_pb2.ListDagsRequest)
    assert [one.page_token for one in asked] == ["", "more"]
    assert [list(one.tags) for one in asked] == [["t"], ["t"]]


def test_limit_stops_in_the_middle_of_a_listing(server, ask):
    page = dag_runs_pb2.ListDagRunsResponse(dag_runs=[RUN], next_page_token="more")
    server.answer("DagRunService/ListDagRuns", page)
    assert len(json.loads(ask("runs", "list", "--limit", "1", "--output", "json").out)) == 1
    (asked,) = server.requests("DagRunService/ListDagRuns", dag_runs_pb2.ListDagRunsRequest)
    assert asked.page_size == 1


def test_run_alone_is_found_or_asked_about(server, ask):
    other = dag_runs_pb2.DagRun(dag_id="other", run_id="r1")
    page = dag_runs_pb2.ListDagRunsResponse
    server.answer("TaskInstanceService/ListTaskInstances", task_instances_pb2.ListTaskInstancesResponse())
    server.answer("DagRunService/ListDagRuns", page(dag_runs=[RUN]), page(dag_runs=[RUN, other]), page())
    assert ask("tasks", "list", "r1").code == 0
    several = ask("tasks", "list", "r1")
    assert (several.code, several.err) == (2, "Several DAGs have a run `r1`: say which of flights/r1, other/r1.\n")
    none = ask("tasks", "list", "r1")
    assert (none.code, none.err) == (1, "There is no run `r1`: `crosswind runs list` shows the runs.\n")
    asked = server.requests("DagRunService/ListDagRuns", dag_runs_pb2.ListDagRunsRequest)
    assert [one.run_id for one in asked] == ["r1", "r1", "r1"]


@pytest.mark.parametrize(("reference", "dag_id"), [("latest", ""), ("flights/latest", "flights")])
def test_latest_run(server, ask, reference, dag_id):
    server.answer("DagRunService/ListDagRuns", dag_runs_pb2.ListDagRunsResponse(dag_runs=[RUN]))
    server.answer("TaskInstanceService/ListTaskInstances", task_instances_pb2.ListTaskInstancesResponse())
    assert ask("tasks", "list", reference).code == 0
    (asked,) = server.requests("DagRunService/ListDagRuns", dag_runs_pb2.ListDagRunsRequest)
    assert (asked.dag_id, asked.page_size) == (dag_id, 1)
    (listed,) = server.requests("TaskInstanceService/ListTaskInstances", task_instances_pb2.ListTaskInstancesRequest)
    assert (listed.dag_id, listed.run_id) == ("flights", "r1")


@pytest.mark.parametrize("reference", ["", "/r1", "flights/"])
def test_reference_that_names_no_run(ask, reference):
    result = ask("runs", "show", reference)
    assert result.code == 2
    assert "DAG_ID/RUN_ID" in result.err


def trigger_that_ends(server, state) -> None:
    server.answer("DagRunService/TriggerDagRun", dag_runs_pb2.TriggerDagRunResponse(dag_run=RUN))
    server.answer("DagRunService/GetDagRun", run_in(states_pb2.RUN_STATE_RUNNING, 2), run_in(state, 3))
    failed = task("stats", states_pb2.TASK_STATE_FAILED, mapped=True, map_index=3)
    failed.failure.CopyFrom(failure_pb2.Failure(type="ValueError", message="no\nflights"))
    server.answer(
        "TaskInstanceService/ListTaskInstances", task_instances_pb2.ListTaskInstancesResponse(task_instances=[failed])
    )


def test_trigger_waits_by_revision_and_fails_with_the_run(server, ask):
    trigger_that_ends(server, states_pb2.RUN_STATE_FAILED)
    result = ask("dags", "trigger", "flights", "--wait", "--conf", '{"day": 9007199254740993}')
    assert result.code == 1
    assert result.out == "flights/r1 failed after 0.0 s.\n"
    assert "stats[3] failed: ValueError: no flights" in result.err
    assert "crosswind tasks logs flights/r1 stats --map-index 3" in result.err
    waited = server.requests("DagRunService/GetDagRun", dag_runs_pb2.GetDagRunRequest)
    assert [one.known_revision for one in waited] == [1, 2]
    assert all(one.wait.seconds > 0 for one in waited)
    (triggered,) = server.requests("DagRunService/TriggerDagRun", dag_runs_pb2.TriggerDagRunRequest)
    assert (triggered.conf.encoding, triggered.conf.data) == ("json/utf-8", b'{"day": 9007199254740993}')
    assert len(triggered.request_id) == 36


def test_trigger_says_for_which_moment(server, ask):
    server.answer("DagRunService/TriggerDagRun", dag_runs_pb2.TriggerDagRunResponse(dag_run=RUN))
    assert ask("dags", "trigger", "flights", "--logical-time", "2026-12-01T07:00+01:00").code == 0
    (triggered,) = server.requests("DagRunService/TriggerDagRun", dag_runs_pb2.TriggerDagRunRequest)
    assert triggered.logical_time == SIX
    assert ask("dags", "trigger", "flights", "--logical-time", "soon").code == 2


def test_trigger_that_waits_prints_clean_json(server, ask):
    trigger_that_ends(server, states_pb2.RUN_STATE_SUCCEEDED)
    result = ask("dags", "trigger", "flights", "--wait", "--output", "json")
    assert result.code == 0
    assert json.loads(result.out)["state"] == "succeeded"
    assert "run flights/r1 succeeded" in result.err


def test_watching_outlives_a_restart_of_the_server(server, ask):
    trigger_that_ends(server, states_pb2.RUN_STATE_SUCCEEDED)
    stopping = Refusal(grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING", "The server is stopping.")
    server.answer("DagRunService/GetDagRun", stopping, stopping, run_in(states_pb2.RUN_STATE_SUCCEEDED, 3))
    assert ask("dags", "trigger", "flights", "--wait").code == 0


def test_interrupted_watch_says_how_to_cancel(server, ask, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("crosswind.cli.runs.watch_run", interrupt)
    server.answer("DagRunService/TriggerDagRun", dag_runs_pb2.TriggerDagRunResponse(dag_run=RUN))
    result = ask("dags", "trigger", "flights", "--wait")
    assert result.code == 130
    assert "crosswind runs cancel flights/r1" in result.err


def log_page(first: int, *messages: str, complete: bool = False, dropped: int = 0) -> logs_pb2.ReadLogsResponse:
    records = [
        logs_pb2.NumberedLogRecord(
            sequence=first + index, record=log_records.LogRecord(time=SIX, level="LEVEL_WARNING", message=message)
        )
        for index, message in enumerate(messages)
    ]
    return logs_pb2.ReadLogsResponse(
        attempt_id="a1", records=records, next_sequence=first + len(messages), complete=complete, dropped_count=dropped
    )


def test_log_is_read_to_its_present_end(one_run, ask):
    one_run.answer("LogService/ReadLogs", log_page(0, "one", "two"), log_page(2))
    result = ask("tasks", "logs", "flights/r1", "extract", "--try", "2")
    assert result.out.splitlines() == [
        "2026-12-01T06:00:00.000000Z WARNING task: one",
        "2026-12-01T06:00:00.000000Z WARNING task: two",
    ]
    first, second = one_run.requests("LogService/ReadLogs", logs_pb2.ReadLogsRequest)
    assert (first.try_number, first.attempt_id, first.HasField("map_index")) == (2, "", False)
    assert (second.attempt_id, second.from_sequence, second.HasField("wait")) == ("a1", 2, False)


def test_log_is_followed_from_before_the_start_to_the_end(one_run, ask):
    none = Refusal(grpc.StatusCode.NOT_FOUND, "LOG_NOT_FOUND", "There is no attempt yet.")
    pages = [none, log_page(0, "one"), log_page(1), log_page(1, "two", complete=True, dropped=7)]
    one_run.answer("LogService/ReadLogs", *pages)
    one_run.answer(
        "DagRunService/GetDagRun",
        dag_runs_pb2.GetDagRunResponse(dag_run=RUN),
        run_in(states_pb2.RUN_STATE_RUNNING, 2),
    )
    ended = task("extract", states_pb2.TASK_STATE_SUCCEEDED)
    one_run.answer(
        "TaskInstanceService/GetTaskInstance", task_instances_pb2.GetTaskInstanceResponse(task_instance=ended)
    )
    attempts = [task_instances_pb2.Attempt(attempt_id=name) for name in ("a1", "a0")]
    one_run.answer("TaskInstanceService/ListAttempts", task_instances_pb2.ListAttemptsResponse(attempts=attempts))
    result = ask("tasks", "logs", "flights/r1", "extract", "--follow", "--output", "json")
    assert [json.loads(line)["message"] for line in result.out.splitlines()] == ["one", "two"]
    assert "7 records of this log were dropped" in result.err
    waited = one_run.requests("DagRunService/GetDagRun", dag_runs_pb2.GetDagRunRequest)
    assert waited[1].known_revision == 1
    assert len(one_run.asked["/crosswind.control.v1.LogService/ReadLogs"]) == len(pages)


def test_log_of_a_mapped_task_asks_which_instance(one_run, ask):
    one_run.answer("LogService/ReadLogs", Refusal(grpc.StatusCode.NOT_FOUND, "LOG_NOT_FOUND", "no log"))
    summary = task("stats", states_pb2.TASK_STATE_EXPANDED, mapped=True, mapped_total=16)
    one_run.answer(
        "TaskInstanceService/GetTaskInstance", task_instances_pb2.GetTaskInstanceResponse(task_instance=summary)
    )
    result = ask("tasks", "logs", "flights/r1", "stats")
    assert result.code == 1
    assert "--map-index, 0 to 15" in result.err


def test_variable_is_printed_as_it_is(server, ask):
    value = variables_pb2.Variable(key="k", value=' {"a": [1]} ')
    server.answer("VariableService/GetVariable", variables_pb2.GetVariableResponse(variable=value))
    assert ask("variables", "get", "k").out == ' {"a": [1]} \n'
    assert json.loads(ask("variables", "get", "k", "--output", "json").out)["value"] == ' {"a": [1]} '


@pytest.mark.parametrize(
    ("arguments", "value", "public"),
    [
        (["plain"], "plain", None),
        ([], "piped", None),
        (["-", "--public"], "piped", True),
        (["--file", "FILE", "--secret"], "filed", False),
        ([""], "", None),
    ],
)
def test_variable_is_set(server, ask, monkeypatch, tmp_path, arguments, value, public):
    monkeypatch.setattr("sys.stdin", io.StringIO("piped\n"))
    (tmp_path / "FILE").write_text("filed\n")
    arguments = [str(tmp_path / "FILE") if one == "FILE" else one for one in arguments]
    server.answer("VariableService/SetVariable", variables_pb2.SetVariableResponse(created=True))
    result = ask("variables", "set", "k", *arguments)
    assert (result.code, result.out) == (0, "k is created.\n")
    (asked,) = server.requests("VariableService/SetVariable", variables_pb2.SetVariableRequest)
    assert (asked.key, asked.value, asked.HasField("value")) == ("k", value, True)
    assert (asked.public if asked.HasField("public") else None) is public


def test_token_goes_to_a_private_new_file(server, ask, tmp_path):
    made = tokens_pb2.CreateAccessTokenResponse(token="secret-jwt", info=tokens_pb2.TokenInfo(token_id="t1"))
    server.answer("TokenService/CreateAccessToken", made)
    file = tmp_path / "ann"
    result = ask("tokens", "create", "ann", "--role", "viewer", "--ttl", "12h", "--to-file", str(file))
    assert result.code == 0
    assert "secret-jwt" not in result.out
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("secret-jwt\n", 0o600)
    (asked,) = server.requests("TokenService/CreateAccessToken", tokens_pb2.CreateAccessTokenRequest)
    assert (asked.subject, asked.role, asked.ttl.seconds) == ("ann", tokens_pb2.ROLE_VIEWER, 43200)
    again = ask("tokens", "create", "ann", "--role", "viewer", "--to-file", str(file))
    assert again.code == 1
    assert "is there already" in again.err


def test_connection_hides_its_secrets(server, ask):
    connection = connections_pb2.Connection(connection_id="db", conn_type="postgres", password="hunter2", port=5432)
    server.answer("ConnectionService/GetConnection", connections_pb2.GetConnectionResponse(connection=connection))
    for output in ("table", "json"):
        assert "hunter2" not in ask("connections", "get", "db", "--output", output).out
        assert "hunter2" in ask("connections", "get", "db", "--output", output, "--show-secrets").out
