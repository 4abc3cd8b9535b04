"""What people can always read: every version of a DAG with the labels of its edges, the notes of runs, and the whole of
a run whose bundle nobody offers any more, or whose DAG its bundle no longer has.

Everything goes through tokens, API version and handlers of a server, on each database.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from crosswind.execution.v1.logs_pb2 import LogChunk, LogRecord, LogRecords
from crosswind.execution.v1.worker_service_pb2 import AppendLogsRequest, AttemptLogs
from crosswind.manifest.v1 import dag_pb2
from tests.lifecycle.scene import controlling, passing, showing, working  # noqa: F401  # they register the commands
from tests.lifecycle.scene.scene import Scene


@pytest.fixture(params=["sqlite", "postgresql"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("migrated_postgres_url")
    made = Scene(url)
    yield made
    made.close()


def play(scene: Scene, *commands: str) -> None:
    """Execute commands, none of which is refused."""
    for command in commands:
        printed = scene.execute(command)
        assert not any(text.startswith("error") for text in printed), (command, printed)


def labels(dag: dag_pb2.Dag) -> dict[tuple[str, str], str]:
    """The labels of a DAG's edges, from one task to another."""
    return {(edge.task_id, task.task_id): edge.label for task in dag.tasks for edge in task.upstream}


def test_every_version_of_a_dag_is_shown_with_the_labels_of_its_edges(scene: Scene):
    play(scene, "worker w1", 'dag d { a; b after="a:if late"; c after=a,b:then }', "publish")
    first = {("a", "b"): "if late", ("a", "c"): "", ("b", "c"): "then"}
    play(scene, "dag d { a; b after=a:always }", "publish", "dag d { b }", "publish")
    versions = scene.call("DagService.ListDagVersions", dag_id="d").dag_versions
    assert [(each.version_number, each.current, each.task_count) for each in versions] == [
        (3, True, 1),
        (2, False, 2),
        (1, False, 3),
    ]
    shown = [
        scene.call("DagService.GetDagVersion", dag_id="d", dag_version_id=each.dag_version_id) for each in versions
    ]
    assert [labels(each.manifest) for each in shown] == [{}, {("a", "b"): "always"}, first]
    assert [each.dag_version for each in shown] == list(versions)
    current = scene.call("DagService.GetDag", dag_id="d", include_manifest=True)
    assert (labels(current.manifest), current.dag.dag_version_id) == ({}, versions[0].dag_version_id)
    # Of a run the version with which it began, though others came.
    play(scene, "trigger d r1", "dag d { a; b after=a:now }", "publish")
    run = scene.call("DagRunService.GetDagRun", dag_id="d", run_id="r1").dag_run
    of_run = scene.call("DagService.GetDagVersion", dag_id="d", dag_version_id=run.dag_version_id)
    assert (of_run.dag_version.version_number, labels(of_run.manifest)) == (3, {})


def test_a_note_is_given_changed_listed_and_removed(scene: Scene):
    play(scene, "worker w1", "dag d { a }", "publish", 'trigger d r1 note="why it was begun"')

    def notes() -> list[str]:
        (listed,) = scene.call("DagRunService.ListDagRuns").dag_runs
        return [listed.note, scene.call("DagRunService.GetDagRun", dag_id="d", run_id="r1").dag_run.note]

    assert notes() == ["why it was begun"] * 2
    before = scene.call("DagRunService.GetDagRun", dag_id="d", run_id="r1").dag_run.revision
    changed = scene.call("DagRunService.UpdateDagRun", dag_id="d", run_id="r1", note="x" * 4096).dag_run
    assert (changed.note, changed.revision != before, notes()) == ("x" * 4096, True, ["x" * 4096] * 2)
    play(scene, "work")
    scene.call("DagRunService.UpdateDagRun", dag_id="d", run_id="r1")
    assert notes() == ["x" * 4096] * 2  # absent: unchanged
    scene.call("DagRunService.UpdateDagRun", dag_id="d", run_id="r1", note="")
    assert notes() == ["", ""]
    printed = scene.execute(f'call DagRunService.UpdateDagRun dag_id: "d" run_id: "r1" note: "{"x" * 4097}"')
    assert printed[-1].startswith("error INVALID_ARGUMENT/INVALID_ARGUMENT The note of a run has at most 4 KiB")


def append_log(scene: Scene, name: str, text: str) -> None:
    """The worker sends a line of an attempt that it holds."""
    worker = scene.workers["w1"]
    held = worker.find(name)
    assert held is not None
    data = LogRecords(records=[LogRecord(message=text)]).SerializeToString()
    chunk = LogChunk(record_count=1, compression=LogChunk.COMPRESSION_IDENTITY, data=data, last=True)
    logs = AttemptLogs(attempt=held.lease.attempt, chunks=[chunk])
    scene.server.call("WorkerService.AppendLogs", AppendLogsRequest(logs=[logs]), token=worker.token)


def read_all(scene: Scene) -> dict[str, Any]:
    """All that people can read of the run `r1`, its attempts' logs and its values included."""
    run = {"dag_id": "d", "run_id": "r1"}
    read: dict[str, Any] = {
        "runs": scene.call("DagRunService.ListDagRuns", dag_id="d"),
        "run": scene.call("DagRunService.GetDagRun", **run),
        "tasks": scene.call("TaskInstanceService.ListTaskInstances", **run),
        "versions": [
            scene.call("DagService.GetDagVersion", dag_id="d", dag_version_id=each.dag_version_id).manifest
            for each in scene.call("DagService.ListDagVersions", dag_id="d").dag_versions
        ],
        "xcoms": scene.call("XComService.ListXComs", **run),
        "value": scene.call("XComService.GetXCom", **run, task_id="a", key="return_value"),
        "workloads": scene.call("WorkloadService.ListWorkloads", **run),
    }
    for task in read["tasks"].task_instances:
        where = {**run, "task_id": task.task_id, "map_index": task.map_index if task.HasField("map_index") else None}
        read[f"task {task.task_id} {task.map_index}"] = scene.call("TaskInstanceService.GetTaskInstance", **where)
        attempts = scene.call("TaskInstanceService.ListAttempts", **where)
        read[f"attempts {task.task_id} {task.map_index}"] = attempts
        for attempt in attempts.attempts:
            read[attempt.attempt_id] = scene.call("LogService.ReadLogs", **where, attempt_id=attempt.attempt_id)
    for workload in read["workloads"].workloads:
        read[workload.workload_id] = scene.call("LogService.ReadLogs", workload_id=workload.workload_id)
    return read


def play_run(scene: Scene) -> dict[str, Any]:
    """A run with values, logs, a mapped task, a failure and a callback; what people read of it."""
    play(
        scene,
        "worker w1",
        "dag d { a; m map=[1,2]; f callback=failure:mod:alarm }",
        "publish",
        'trigger d r1 note="kept"',
        "on f failed type=ValueError",
        "poll w1",
        "start a",
    )
    append_log(scene, "a", "what a said")
    # Until no log can grow any more, also of attempts that did not say what their last record was.
    play(scene, "finish a result=[1,2,3] xcom.more=4", "work", "advance 1m")
    whole = read_all(scene)
    assert whole["run"].dag_run.note == "kept"
    assert [each.task_id for each in whole["tasks"].task_instances] == ["a", "m", "m", "m", "f"]
    (attempt,) = whole["attempts a 0"].attempts
    assert [each.record.message for each in whole[attempt.attempt_id].records] == ["what a said"]
    assert sorted(each.key for each in whole["xcoms"].xcoms if each.task_id == "a") == ["more", "return_value"]
    assert [each.entry_point for each in whole["workloads"].workloads] == ["mod:alarm"]
    return whole


def test_a_run_stays_as_it_was_when_nobody_offers_its_bundle_any_more(scene: Scene):
    before = play_run(scene)
    play(scene, "deregister w1", "restart", "advance 30d")
    shown = scene.call("DagService.GetDag", dag_id="d", include_manifest=True)
    assert (shown.dag.offered, shown.dag.removed, shown.manifest) == (False, False, before["versions"][0])
    assert read_all(scene) == before


def test_a_run_stays_as_it_was_when_its_dag_is_deleted_from_its_bundle(scene: Scene):
    before = play_run(scene)
    del scene.dags["d"]
    play(scene, "dag other { x }", "publish", "poll w1", "advance 30d")
    shown = scene.call("DagService.GetDag", dag_id="d", include_manifest=True)
    assert (shown.dag.removed, shown.manifest) == (True, before["versions"][0])
    assert [each.dag_id for each in scene.call("DagService.ListDags").dags] == ["other"]
    assert read_all(scene) == before
