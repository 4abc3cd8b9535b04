"""What authors write beside tasks, run by real workers: triggers, callbacks, timetables. [SCHED-1]

The SDKs cannot say these yet, so their manifests are written by hand; the code is found by its entry point.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crosswind.manifest.v1 import dag_pb2
from crosswind.runtime.packed_bundle import read_packed
from tests.e2e.support.cluster import Cluster, one_task
from tests.e2e.support.control import task_state
from tests.e2e.support.go_bundles import GoBundles, install
from tests.e2e.support.hand_written import Pipe, packed_version, publish, source_version
from tests.e2e.support.workers import NO_WORKER, PYTHON_SOURCE, GoKind

TRIGGERS = '''
"""Written by the tests."""
from crosswind import task


@task
def double(number):
    return 2 * number
'''

DEFERS = """
dag d { wait }
on wait deferred trigger=ENTRY args={"number":21} method=go_on state={"seen":1} times=1
"""


@pytest.mark.timeout(600)  # where nothing of Go has been built yet
def test_a_worker_in_the_triggerer_role_runs_what_a_task_waits_for(cluster: Cluster):
    """A task defers to code of its bundle, which a worker of another role runs, and goes on with what came."""
    if isinstance(cluster.kind, GoKind):
        version, entry_point = packed_version(install(cluster.kind.bundles.kit(), cluster.dags / "kit")), "double"
    else:
        version, entry_point = source_version(cluster, "conditions", TRIGGERS), "conditions:double"
    name, digest = version
    script = DEFERS.replace("ENTRY", entry_point)
    tasks = cluster.start_scripted_worker(script, name="tasks", bundle=name, exact_version=digest)
    run = cluster.control.trigger("d")
    tasks.wait_for("^ended wait deferred")
    # A worker of tasks leaves it alone, though it offers the bundle.
    cluster.control.wait_run(
        "d", run, lambda _: "Waits for its trigger" in cluster.control.task("d", run, "wait").waiting_detail
    )
    cluster.start_worker("triggers", options=["--role", "triggers"])
    resumed = tasks.wait_for("^started wait .*resumption.*").group()
    assert all(part in resumed for part in ('method: \\"go_on\\"', "seen", 'data: \\"42\\"')), resumed
    assert cluster.control.wait_run("d", run) == "SUCCEEDED"
    assert "trigger:" not in tasks.log
    assert cluster.control.attempt_states("d", run, "wait") == ["DEFERRED", "SUCCEEDED"]


CALLED = '''
"""Written by the tests."""
import json

from crosswind import get_current_context, task

PIPE, GO = {pipe!r}, {go!r}


def say(*words):
    with open(PIPE, "a") as pipe:
        pipe.write(json.dumps(words) + "\\n")


@task
def work():
    return 1


@task
def fail():
    raise ValueError("no luck")


@task
def hold():
    with open(GO) as go:
        return go.readline()


@task
def of_task(event, state, task_id, try_number, failure):
    say(event, state, task_id, try_number, failure)


@task
def of_run(event, state, task_id):
    say(event, state, task_id)


@task
def dates(config, last, now, limit, catchup):
    """Four dates, two at a time, from the whole second at which it was first asked."""
    from datetime import timedelta

    say("asked", last is None, limit, catchup)
    step = timedelta(milliseconds=config["step_ms"])
    if last is None:
        return [now.replace(microsecond=0), now.replace(microsecond=0) + step]
    if last.microsecond >= 3_000 * config["step_ms"]:
        return []
    return [(last + step, last + 2 * step), last + 2 * step]


@task
def tell():
    context = get_current_context()
    say(context.run_id, str(context.data_interval_end))
'''


@pytest.fixture
def called(tmp_path: Path):
    """The pipe of `CALLED`."""
    with Pipe(tmp_path / "pipe") as pipe:
        yield pipe


def write_called(cluster: Cluster, pipe: Pipe, go: Path) -> tuple[str, str]:
    return source_version(cluster, "called", CALLED.format(pipe=str(pipe.file), go=str(go)))


@PYTHON_SOURCE
def test_callbacks_are_the_bundles_own_code(each_cluster: Cluster, called: Pipe, tmp_path: Path):
    cluster = each_cluster
    version = write_called(cluster, called, tmp_path / "go")
    publish(
        cluster,
        version,
        "dag fine callback=success:called:of_run,failure:called:of_run "
        "{ a entry=called:work callback=success:called:of_task,failure:called:of_task }",
        "dag bad callback=success:called:of_run,failure:called:of_run "
        "{ a entry=called:fail retries=1 delay=0s callback=retry:called:of_task,failure:called:of_task }",
    )
    cluster.start_worker()
    run = cluster.control.trigger("fine")
    assert cluster.control.wait_run("fine", run) == "SUCCEEDED"
    said = sorted((json.loads(called.line()) for _ in range(2)), key=len)
    assert said == [["success", "succeeded", None], ["success", "succeeded", "a", 1, None]]
    run = cluster.control.trigger("bad")
    assert cluster.control.wait_run("bad", run) == "FAILED"
    said = sorted((json.loads(called.line()) for _ in range(3)), key=lambda each: (len(each), each))
    assert said == [
        ["failure", "failed", None],
        ["failure", "failed", "a", 2, "ValueError: no luck"],
        ["retry", "up_for_retry", "a", 1, "ValueError: no luck"],
    ]


@PYTHON_SOURCE
def test_a_missed_deadline_calls_back_while_the_run_goes_on(cluster: Cluster, called: Pipe, tmp_path: Path):
    go = tmp_path / "go"
    version = write_called(cluster, called, go)
    publish(cluster, version, "dag d deadline=500ms callback=deadline:called:of_run { a entry=called:hold }")
    with Pipe(go):
        cluster.start_worker()
        run = cluster.control.trigger("d")
        assert json.loads(called.line()) == ["deadline", "running", None]
        found = cluster.control.run("d", run)
        assert (found.deadline_missed, task_state(cluster.control.task("d", run, "a"))) == (True, "RUNNING")
        go.write_text("on\n")
    assert cluster.control.wait_run("d", run) == "SUCCEEDED"


@PYTHON_SOURCE
def test_a_timetable_is_asked_for_the_next_dates_until_it_has_none(cluster: Cluster, called: Pipe, tmp_path: Path):
    version = write_called(cluster, called, tmp_path / "go")
    publish(cluster, version, 'dag d timetable=called:dates config={"step_ms":200} catchup { a entry=called:tell }')
    cluster.start_worker()
    asked: list[list[object]] = []
    ran: list[list[str]] = []
    while len(ran) < 4 or len(asked) < 3:
        words = json.loads(called.line())
        (asked if words[0] == "asked" else ran).append(words)
    assert asked == [["asked", True, 100, True], ["asked", False, 100, True], ["asked", False, 100, True]]
    first, *others = sorted(datetime.fromisoformat(run_id.removeprefix("scheduled__")) for run_id, _ in ran)
    assert others == [first + timedelta(milliseconds=200 * number) for number in (1, 2, 3)]
    for run_id, _ in ran:
        assert cluster.control.wait_run("d", run_id) == "SUCCEEDED"
    assert not cluster.control.dag("d").HasField("next_run_time")


@pytest.mark.timeout(600)  # where nothing of Go has been built yet
@NO_WORKER
def test_a_scheduled_bundle_in_go_runs_by_itself(cluster: Cluster, go_bundles: GoBundles):
    """The manifest that the Go SDK wrote, with a schedule, which it cannot say yet: the server creates its runs."""
    cluster.kind = GoKind(go_bundles)
    bundle = cluster.kind.write(one_task("scheduled"), cluster.dags, cluster.stage.path)
    (written,) = read_packed(bundle).manifest.dags
    dag = dag_pb2.Dag.FromString(written.dag)
    moments = [datetime.fromtimestamp(int(datetime.now(UTC).timestamp()) + shift, UTC) for shift in (-3, -2, 1)]
    for moment in moments:
        dag.schedule.events.times.add().FromDatetime(moment)
    dag.catchup = True
    publish(cluster, packed_version(bundle), dag)
    cluster.start_worker()
    for _ in moments:
        cluster.stage.enter("work").succeed(7)
    for moment in moments:
        run_id = f"scheduled__{moment:%Y-%m-%dT%H:%M:%S}.000000Z"
        assert cluster.control.wait_run("scheduled", run_id) == "SUCCEEDED"
        assert cluster.control.xcom("scheduled", run_id, "work") == b"7"
