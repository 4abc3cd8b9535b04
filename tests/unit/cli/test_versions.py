"""Versions of DAGs and bundles, and attempts of tasks, on the command line."""

import json

import pytest

from crosswind.control.v1 import bundles_pb2, dag_runs_pb2, dags_pb2, states_pb2, task_instances_pb2
from crosswind.execution.v1 import failure_pb2
from crosswind.manifest.v1 import dag_pb2, task_pb2

OLD, NEW = "aa11" + "0" * 60, "aa22" + "0" * 60


@pytest.fixture
def known(server):
    versions = [
        dags_pb2.DagVersion(dag_id="d", dag_version_id=NEW, version_number=2, current=True, task_count=2),
        dags_pb2.DagVersion(dag_id="d", dag_version_id=OLD, version_number=1, task_count=1),
    ]
    server.answer("DagService/ListDagVersions", dags_pb2.ListDagVersionsResponse(dag_versions=versions))
    manifest = dag_pb2.Dag(dag_id="d", tasks=[task_pb2.Task(task_id="was_there", entry_point="m.was_there")])
    server.answer(
        "DagService/GetDagVersion", dags_pb2.GetDagVersionResponse(dag_version=versions[1], manifest=manifest)
    )
    bundles = [bundles_pb2.BundleVersion(bundle="b", bundle_version=version) for version in (NEW, OLD)]
    server.answer(
        "BundleCatalogService/ListBundleVersions", bundles_pb2.ListBundleVersionsResponse(bundle_versions=bundles)
    )
    changed = bundles_pb2.Bundle(bundle="b", current_version=bundles[1])
    server.answer(
        "BundleCatalogService/SetCurrentBundleVersion", bundles_pb2.SetCurrentBundleVersionResponse(bundle=changed)
    )
    return server


def test_versions_of_a_dag_are_listed_and_shown_by_their_first_characters(known, ask):
    rows = [line.split() for line in ask("dags", "versions", "d").out.splitlines()[1:]]
    assert [row[:3] for row in rows] == [["2", NEW[:12], "yes"], ["1", OLD[:12], "no"]]
    shown = ask("dags", "show", "d", "--version", "aa11").out
    assert "was_there" in shown
    (asked,) = known.requests("DagService/GetDagVersion", dags_pb2.GetDagVersionRequest)
    assert (asked.dag_id, asked.dag_version_id) == ("d", OLD)
    assert json.loads(ask("dags", "show", "d", "--version", OLD, "--output", "json").out)["version_number"] == 1


def test_a_version_that_several_begin_like_is_asked_about(known, ask):
    result = ask("dags", "show", "d", "--version", "aa")
    assert result.code == 2
    assert NEW in result.err
    assert OLD in result.err


def test_a_bundle_goes_back_to_an_older_version(known, ask):
    assert ask("bundles", "versions", "b").out.splitlines()[2].startswith(OLD[:12])
    assert ask("bundles", "use", "b", "aa11").out == f"New runs of b begin with version {OLD[:12]}.\n"
    (asked,) = known.requests(
        "BundleCatalogService/SetCurrentBundleVersion", bundles_pb2.SetCurrentBundleVersionRequest
    )
    assert (asked.bundle, asked.bundle_version) == ("b", OLD)


def test_dags_that_are_gone_are_listed_where_it_is_asked(server, ask):
    server.answer("DagService/ListDags", dags_pb2.ListDagsResponse(dags=[dags_pb2.Dag(dag_id="gone", removed=True)]))
    ask("dags", "list", "--removed", "--output", "json")
    ask("dags", "list", "--output", "json")
    asked = server.requests("DagService/ListDags", dags_pb2.ListDagsRequest)
    assert [each.include_removed for each in asked] == [True, False]


def test_attempts_say_how_and_why_they_ended(server, ask):
    run = dag_runs_pb2.DagRun(dag_id="d", run_id="r1")
    server.answer("DagRunService/GetDagRun", dag_runs_pb2.GetDagRunResponse(dag_run=run))
    attempt = task_instances_pb2.Attempt(try_number=2, state=states_pb2.ATTEMPT_STATE_FAILED, worker="w1")
    attempt.failure.CopyFrom(failure_pb2.Failure(type="OSError", message="disk gone"))
    server.answer("TaskInstanceService/ListAttempts", task_instances_pb2.ListAttemptsResponse(attempts=[attempt]))
    assert ask("tasks", "attempts", "d/r1", "a", "--map-index", "3").out.splitlines()[1].split() == [
        *("2", "failed", "-", "-", "w1", "0", "disk", "gone")
    ]
    (asked,) = server.requests("TaskInstanceService/ListAttempts", task_instances_pb2.ListAttemptsRequest)
    assert (asked.task_id, asked.map_index) == ("a", 3)
