"""Runs that nobody triggers, runs of the past, and bounds in time, with real processes."""

import json
import os
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crosswind.control.v1 import dag_runs_pb2, dags_pb2
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.control import run_state
from tests.e2e.support.scripted_process import ScriptedProcess
from tests.e2e.support.workers import NO_WORKER, PYTHON_SOURCE


def whole_second(shift: int) -> datetime:
    return datetime.fromtimestamp(int(time.time()) + shift, UTC)


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def list_runs(cluster: Cluster, dag_id: str) -> list[dag_runs_pb2.DagRun]:
    """The runs of a DAG, the oldest first."""
    request = dag_runs_pb2.ListDagRunsRequest(dag_id=dag_id, page_size=1_000)
    return list(reversed(cluster.control.call(cluster.control.runs.ListDagRuns, request).dag_runs))


def wait_for_runs(cluster: Cluster, worker: ScriptedProcess, dag_id: str, number: int) -> list[dag_runs_pb2.DagRun]:
    """Wait until so many runs of a DAG have ended; looks again whenever a task has."""
    while True:
        mark = worker.mark()
        runs = list_runs(cluster, dag_id)
        if len([run for run in runs if run_state(run) in ("SUCCEEDED", "FAILED", "CANCELLED")]) >= number:
            return runs
        worker.wait_for("^(ended|dropped) ", since=mark)


def logical_times(runs: list[dag_runs_pb2.DagRun]) -> list[datetime]:
    return [run.logical_time.ToDatetime(tzinfo=UTC) for run in runs]


@NO_WORKER
def test_missed_runs_are_caught_up_each_once_though_the_server_is_killed(each_cluster):
    cluster = each_cluster
    start = whole_second(-20)
    head = f"dag d interval=1s start={text(start)} end={text(start + timedelta(seconds=11))} catchup max_active_runs=2"
    worker = cluster.start_scripted_worker(f"{head} {{ a }}")
    wait_for_runs(cluster, worker, "d", 3)
    cluster.server.kill9()
    cluster.server.start()
    runs = wait_for_runs(cluster, worker, "d", 12)
    assert logical_times(runs) == [start + timedelta(seconds=number) for number in range(12)]
    assert {run_state(run) for run in runs} == {"SUCCEEDED"}
    assert {run.type for run in runs} == {2}
    assert runs[0].run_id == f"scheduled__{text(start)[:-1]}.000000Z"
    assert runs[0].data_interval_end_time.ToDatetime(tzinfo=UTC) == start + timedelta(seconds=1)


@NO_WORKER
def test_days_on_which_clocks_change_are_caught_up(cluster):
    """Europe/Berlin leaves 02:30 out on 2026-03-29 and has it twice on 2026-10-25; both are over by now."""
    night = 'cron="30 2 * * *" zone=Europe/Berlin catchup'
    worker = cluster.start_scripted_worker(
        f"dag spring {night} start=2026-03-27T12:00:00Z end=2026-03-30T12:00:00Z {{ a }}\n"
        f"dag autumn {night} start=2026-10-24T12:00:00Z end=2026-10-26T12:00:00Z {{ b }}"
    )
    spring = wait_for_runs(cluster, worker, "spring", 3)
    assert [text(moment) for moment in logical_times(spring)] == [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-30T00:30:00Z",
    ]
    autumn = wait_for_runs(cluster, worker, "autumn", 2)
    assert [text(moment) for moment in logical_times(autumn)] == ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    ends = [run.data_interval_end_time.ToDatetime(tzinfo=UTC) for run in spring + autumn]
    assert [text(moment) for moment in ends] == [
        "2026-03-29T01:00:00Z",
        "2026-03-30T00:30:00Z",
        "2026-03-31T00:30:00Z",
        "2026-10-26T01:30:00Z",
        "2026-10-27T01:30:00Z",
    ]


@NO_WORKER
def test_a_dag_runs_by_itself_until_it_is_paused(cluster):
    worker = cluster.start_scripted_worker("dag d interval=1s { a }")
    runs = wait_for_runs(cluster, worker, "d", 3)
    moments = logical_times(runs)
    assert moments == sorted(set(moments))
    control = cluster.control
    assert control.dag("d").HasField("next_run_time")
    request = dags_pb2.UpdateDagRequest(dag_id="d", paused=True, request_id=str(uuid.uuid4()))
    assert not control.call(control.dags.UpdateDag, request).dag.HasField("next_run_time")


@NO_WORKER
def test_a_backfill_by_command(each_cluster):
    cluster = each_cluster
    script = (
        'dag d cron="@daily" start=2999-01-01 param.n=1 schema.n={"type":"integer"} { a param=n }\non a failed times=1'
    )
    worker = cluster.start_scripted_worker(script)

    def create(*options: str) -> dict:
        span = ("--from", "2026-03-01", "--to", "2026-03-05")
        done = cluster.command("backfills", "create", "d", *span, *options, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    plan = create("--dry-run")
    assert [each["logical_time"][:10] for each in plan["planned_runs"]] == [f"2026-03-0{day}" for day in range(1, 5)]
    assert list_runs(cluster, "d") == []
    wrong = cluster.command(
        "backfills", "create", "d", "--from", "2026-03-01", "--to", "2026-03-05", "--conf", '{"n":"x"}'
    )
    assert wrong.returncode != 0
    assert "the parameter 'n' must be of type" in wrong.stderr
    made = create("--max-active-runs", "2", "--reverse", "--conf", '{"n": 7}')["backfill"]
    runs = wait_for_runs(cluster, worker, "d", 4)
    assert [moment.day for moment in logical_times(runs)] == [4, 3, 2, 1]
    assert sorted(run_state(run) for run in runs) == ["FAILED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]
    assert {run.backfill_id for run in runs} == {made["backfill_id"]}
    assert worker.arguments_of("a") == {"n": 7}
    mark = worker.mark()
    create("--reprocess", "failed")
    worker.wait_for("^ended a succeeded", since=mark)
    assert {run_state(run) for run in list_runs(cluster, "d")} == {"SUCCEEDED"}


@NO_WORKER
def test_a_run_that_lasts_too_long_is_cancelled_and_fails(each_cluster):
    cluster = each_cluster
    worker = cluster.start_scripted_worker("dag d run_timeout=1s { a; b after=a }\non a wait=never")
    run = cluster.control.trigger("d")
    worker.wait_for("^ended a cancelled")
    assert cluster.control.wait_run("d", run) == "FAILED"
    assert cluster.control.task_states("d", run) == {"a": "CANCELLED", "b": "CANCELLED"}


@NO_WORKER
def test_as_many_runs_go_on_as_may(cluster):
    worker = cluster.start_scripted_worker("dag d max_active_runs=1 { a }\non a wait=go times=1")
    first, second = cluster.control.trigger("d"), cluster.control.trigger("d")
    worker.wait_for("^waits a")
    queued = cluster.control.run("d", second)
    assert (run_state(queued), queued.waiting_reason) == ("QUEUED", 13)
    worker.go("go")
    assert cluster.control.wait_run("d", first) == "SUCCEEDED"
    assert cluster.control.wait_run("d", second) == "SUCCEEDED"


_DAGS = '''
"""Written by the tests."""
from datetime import datetime, timezone

from crosswind import DAG, Param, get_current_context, task


@task
def tell(n: int) -> None:
    context = get_current_context()
    with open({pipe!r}, "a") as pipe:
        pipe.write(f"{{context.run_id}} {{n}}\\n")


with DAG(
    "listed",
    schedule=[datetime.fromtimestamp(moment, timezone.utc) for moment in {moments!r}],
    catchup=True,
    max_active_runs=1,
    params={{"n": Param(3, type="integer", minimum=1)}},
) as dag:
    tell(dag.params["n"])
'''


@PYTHON_SOURCE
def test_a_python_dag_at_listed_times(each_cluster, tmp_path: Path):
    """What an author writes comes through: the times, of which some have passed, the bound and the params."""
    cluster = each_cluster
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    moments = [int(whole_second(shift).timestamp()) for shift in (-3, -2, 4)]
    cluster.dags.mkdir(parents=True, exist_ok=True)
    (cluster.dags / "listed.py").write_text(_DAGS.format(pipe=str(pipe), moments=moments))
    # Opened for both, it is never at its end.
    with os.fdopen(os.open(pipe, os.O_RDWR), "r") as told:
        cluster.start_worker()
        said = [told.readline().split() for _ in moments]
    expected = [f"scheduled__{datetime.fromtimestamp(each, UTC):%Y-%m-%dT%H:%M:%S}.000000Z" for each in moments]
    assert said == [[run_id, "3"] for run_id in expected]
    for run_id in expected:
        assert cluster.control.wait_run("listed", run_id) == "SUCCEEDED"
