"""Every illegal request has a reason of its own and changes nothing: the whole database is compared before and after.

The cases are commands of `tests/lifecycle/scene`, so each goes through tokens, API version and handlers of a server.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest
from sqlalchemy import select

from crosswind.execution.v1 import task_service_pb2
from crosswind.execution.v1.outcome_pb2 import AssetEvent, Outcome, StateWrite, Succeeded
from crosswind.execution.v1.worker_service_pb2 import FinishAttemptRequest
from crosswind.manifest.v1.schedule_pb2 import AssetReference
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server.store.schema import metadata
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.lifecycle.scene import controlling, passing, showing, working  # noqa: F401  # they register the commands
from tests.lifecycle.scene.scene import Scene
from tests.lifecycle.scene.server import CallRefused

_TASK: Final = 'dag_id: "d" run_id: "live" task_id: "{}"'
_WORKLOAD: Final = 'call WorkloadService.{} workload_id: "00000000-0000-4000-8000-000000000000"'
_LOG: Final = 'call LogService.ReadLogs workload_id: "00000000-0000-4000-8000-000000000000" {}'
_TOO_LARGE: Final = "x" * 2_000_000

# What there is: a run that has ended, one that is alive (`a` runs, `b` waits, `m` is expanded), one that is being
# cancelled, a paused DAG, and an attempt whose task was cleared while it ran.
SETTING: Final = """
worker lost
silent lost
advance 10m
worker left
deregister left
worker w1 slots=50
dag d { a; b after=a; m map=[1,2]; z }
dag p paused { a }
dag needy param.month { a }
dag one { a }
dag asking { q }
dag nightly cron="@daily" start=2999-01-01T00:00Z { a }
publish
trigger d done
work
trigger one over
poll w1
start a
finish a
trigger asking asked
poll w1
start q
finish q awaiting_input fields={"required":["amount"]}
trigger d going
poll w1
start d/going/a
start d/going/z
cancel going
trigger one cleared
poll w1
start one/cleared/a
clear cleared a
trigger d live
poll w1
start live/a
run live/z
""".strip().splitlines()


def _call(method: str, fields: str) -> str:
    return f"call {method} {fields}"


CASES: Final[list[tuple[str, str]]] = [
    # Runs
    ("trigger nothing r", "NOT_FOUND/DAG_NOT_FOUND"),
    ("trigger p r", "FAILED_PRECONDITION/DAG_PAUSED"),
    ("trigger d done", "ALREADY_EXISTS/RUN_EXISTS"),
    ("trigger needy r", "INVALID_ARGUMENT/CONF_INVALID"),
    (_call("DagRunService.TriggerDagRun", 'dag_id: "d" run_id: "a b"'), "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    (_call("DagRunService.CancelDagRun", 'dag_id: "d" run_id: "none"'), "NOT_FOUND/RUN_NOT_FOUND"),
    ("cancel done", "FAILED_PRECONDITION/RUN_FINISHED"),
    ("clear going", "FAILED_PRECONDITION/RUN_CANCELLING"),
    (_call("DagRunService.ClearDagRun", 'dag_id: "d" run_id: "none"'), "NOT_FOUND/RUN_NOT_FOUND"),
    ("mark going failed", "FAILED_PRECONDITION/RUN_CANCELLING"),
    (
        _call("DagRunService.SetDagRunState", 'dag_id: "d" run_id: "none" state: RUN_STATE_FAILED'),
        "NOT_FOUND/RUN_NOT_FOUND",
    ),
    (
        _call("DagRunService.SetDagRunState", 'dag_id: "d" run_id: "live" state: RUN_STATE_RUNNING'),
        "INVALID_ARGUMENT/INVALID_ARGUMENT",
    ),
    (_call("DagRunService.UpdateDagRun", 'dag_id: "d" run_id: "none" note: "n"'), "NOT_FOUND/RUN_NOT_FOUND"),
    # Task instances
    ("clear live nothing", "NOT_FOUND/TASK_NOT_FOUND"),
    ("clear live m[7]", "NOT_FOUND/TASK_NOT_FOUND"),
    ("clear live a[0]", "NOT_FOUND/TASK_NOT_FOUND"),
    ("clear going a", "FAILED_PRECONDITION/RUN_CANCELLING"),
    (
        _call("TaskInstanceService.ClearTaskInstances", 'dag_id: "d" run_id: "live"'),
        "INVALID_ARGUMENT/INVALID_ARGUMENT",
    ),
    ("mark live a succeeded", "FAILED_PRECONDITION/TASK_RUNNING"),
    ("mark live m succeeded", "FAILED_PRECONDITION/TASK_RUNNING"),
    ("mark live nothing failed", "NOT_FOUND/TASK_NOT_FOUND"),
    ("mark going b skipped", "FAILED_PRECONDITION/RUN_CANCELLING"),
    (
        _call("TaskInstanceService.SetTaskInstanceState", _TASK.format("b") + " state: TASK_STATE_RUNNING"),
        "INVALID_ARGUMENT/INVALID_ARGUMENT",
    ),
    ("cancel live z", "FAILED_PRECONDITION/TASK_FINISHED"),
    ("cancel done m", "FAILED_PRECONDITION/TASK_FINISHED"),
    ("cancel live nothing", "NOT_FOUND/TASK_NOT_FOUND"),
    # Attempts: of a task that was cleared, and of a run that is being cancelled, nothing but the end is taken
    (
        'ask one/cleared/a TaskService.SetXCom key: "k" value { encoding: "json/utf-8" data: "1" }',
        "FAILED_PRECONDITION/ATTEMPT_CANCELLING",
    ),
    (
        'ask one/cleared/a TaskService.EmitAssetEvent event { asset { name: "x" } }',
        "FAILED_PRECONDITION/ATTEMPT_CANCELLING",
    ),
    (
        'ask going/a TaskService.SetState write { key: "k" value { encoding: "json/utf-8" data: "1" } }',
        "FAILED_PRECONDITION/ATTEMPT_CANCELLING",
    ),
    ('ask going/a TaskService.TriggerDagRun dag_id: "d"', "FAILED_PRECONDITION/ATTEMPT_CANCELLING"),
    # What a live task asks wrongly
    (
        'ask live/a TaskService.SetState write { key: "" value { encoding: "json/utf-8" data: "1" } }',
        "INVALID_ARGUMENT/INVALID_ARGUMENT",
    ),
    (
        'ask live/a TaskService.SetState write { key: "k" value { encoding: "json/utf-8" data: "1" } }'
        " expected_revision: 5",
        "ABORTED/STATE_CHANGED",
    ),
    (
        'ask live/a TaskService.SetState write { key: "k" value { encoding: "b" data: "' + _TOO_LARGE + '" } }',
        "INVALID_ARGUMENT/VALUE_TOO_LARGE",
    ),
    (
        'ask live/a TaskService.EmitAssetEvent event { asset { name: "" } }',
        "INVALID_ARGUMENT/INVALID_ARGUMENT",
    ),
    ('ask live/a TaskService.TriggerDagRun dag_id: "p"', "FAILED_PRECONDITION/DAG_PAUSED"),
    # Workloads beside tasks
    (_WORKLOAD.format("GetWorkload"), "NOT_FOUND/WORKLOAD_NOT_FOUND"),
    (_WORKLOAD.format("ListWorkloadAttempts"), "NOT_FOUND/WORKLOAD_NOT_FOUND"),
    (_LOG.format(""), "NOT_FOUND/WORKLOAD_NOT_FOUND"),
    (_LOG.format('dag_id: "d"'), "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    (_LOG.format("map_index: 0"), "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    ('call LogService.ReadLogs dag_id: "d" run_id: "live"', "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    ('call WorkloadService.ListWorkloads dag_id: "d" run_id: "none"', "NOT_FOUND/RUN_NOT_FOUND"),
    ('call WorkloadService.ListWorkloads run_id: "live"', "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    ('call WorkloadService.ListWorkloads dag_id: "d" task_id: "a"', "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    ("call WorkloadService.ListWorkloads kinds: WORKLOAD_KIND_UNSPECIFIED", "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    ("call WorkloadService.ListWorkloads states: TASK_STATE_UNSPECIFIED", "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    # Assets
    ("emit nothing", "NOT_FOUND/ASSET_NOT_FOUND"),
    ('call AssetService.ListAssetEvents asset_name: "nothing"', "NOT_FOUND/ASSET_NOT_FOUND"),
    # DAGs, backfills, inputs, workers and what else has names
    ("pause nothing", "NOT_FOUND/DAG_NOT_FOUND"),
    (
        _call("BackfillService.CancelBackfill", 'backfill_id: "00000000-0000-4000-8000-000000000000"'),
        "NOT_FOUND/BACKFILL_NOT_FOUND",
    ),
    ("backfill d from=2026-01-01T00:00Z to=2026-01-02T00:00Z", "FAILED_PRECONDITION/DAG_NOT_SCHEDULED"),
    ("backfill nightly from=2998-01-01T00:00Z to=2998-01-02T00:00Z", "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    ("backfill nightly from=2026-01-02T00:00Z to=2026-01-02T00:00Z", "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    ("backfill nothing from=2026-01-01T00:00Z to=2026-01-02T00:00Z", "NOT_FOUND/DAG_NOT_FOUND"),
    (
        'call BackfillService.GetBackfill backfill_id: "00000000-0000-4000-8000-000000000000"',
        "NOT_FOUND/BACKFILL_NOT_FOUND",
    ),
    (_call("PoolService.DeletePool", 'name: "nothing"'), "NOT_FOUND/POOL_NOT_FOUND"),
    ('call PoolService.GetPool name: "nothing"', "NOT_FOUND/POOL_NOT_FOUND"),
    (_call("PoolService.SetPool", 'name: "nothing" description: "d"'), "NOT_FOUND/POOL_NOT_FOUND"),
    (_call("PoolService.SetPool", 'name: "less" slots: -1'), "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    ('call BundleCatalogService.ListBundleVersions bundle: "nothing"', "NOT_FOUND/BUNDLE_NOT_FOUND"),
    (
        _call("BundleCatalogService.SetCurrentBundleVersion", 'bundle: "nothing" bundle_version: "x"'),
        "NOT_FOUND/BUNDLE_NOT_FOUND",
    ),
    (
        _call("BundleCatalogService.SetCurrentBundleVersion", 'bundle: "flows" bundle_version: "x"'),
        "NOT_FOUND/BUNDLE_VERSION_NOT_FOUND",
    ),
    ('call LogService.ReadLogs dag_id: "d" run_id: "live" task_id: "b"', "NOT_FOUND/LOG_NOT_FOUND"),
    ('call XComService.GetXCom dag_id: "d" run_id: "live" task_id: "b"', "NOT_FOUND/XCOM_NOT_FOUND"),
    ('call VariableService.GetVariable key: "nothing"', "NOT_FOUND/VARIABLE_NOT_FOUND"),
    (_call("VariableService.DeleteVariable", 'key: "nothing"'), "NOT_FOUND/VARIABLE_NOT_FOUND"),
    ('call ConnectionService.GetConnection connection_id: "nothing"', "NOT_FOUND/CONNECTION_NOT_FOUND"),
    (_call("TokenService.RevokeToken", 'token_id: "nothing"'), "NOT_FOUND/TOKEN_NOT_FOUND"),
    (_call("EventService.DeliverEvent", 'name: ""'), "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    (_call("EventService.DeliverEvent", 'name: "n" run_id: "live"'), "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    ('call DagRunService.ListDagRuns page_token: "no token"', "INVALID_ARGUMENT/PAGE_TOKEN_INVALID"),
    (_call("WorkerAdminService.PauseWorker", 'name: "nothing" paused: true'), "NOT_FOUND/WORKER_NOT_FOUND"),
    (_call("WorkerAdminService.MoveWorker", 'name: "nothing"'), "NOT_FOUND/WORKER_NOT_FOUND"),
    ('call DagService.GetDagVersion dag_id: "d" dag_version_id: "x"', "NOT_FOUND/DAG_VERSION_NOT_FOUND"),
    (_call("WorkerAdminService.DrainWorker", 'name: "nothing"'), "NOT_FOUND/WORKER_NOT_FOUND"),
    (
        _call("InputRequestService.AnswerInputRequest", 'input_request_id: "00000000-0000-4000-8000-000000000000"'),
        "NOT_FOUND/INPUT_REQUEST_NOT_FOUND",
    ),
    ("answer q", "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    ("answer q fields={}", "INVALID_ARGUMENT/INVALID_ARGUMENT"),
    *(
        (_call(f"WorkerAdminService.{method}", f'name: "{name}"'), reason)
        for method in ("DrainWorker", "MoveWorker")
        for name, reason in (("lost", "FAILED_PRECONDITION/WORKER_LOST"), ("left", "NOT_FOUND/WORKER_NOT_FOUND"))
    ),
]


def dump(scene: Scene) -> dict[str, list[Any]]:
    """All rows of all tables."""

    def read(uow: UnitOfWork) -> dict[str, list[Any]]:
        return {
            table.name: sorted((tuple(row) for row in uow.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }

    return scene.server.store.read_blocking(read)


@pytest.fixture(params=["sqlite", "postgresql"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("migrated_postgres_url")
    made = Scene(url)
    for line in SETTING:
        printed = made.execute(line)
        assert not any(text.startswith("error") for text in printed), (line, printed)
    yield made
    made.close()


def test_each_is_refused_with_its_reason_and_changes_nothing(scene: Scene):
    wrong = []
    before = dump(scene)
    for command, reason in CASES:
        printed = scene.execute(command)
        if not printed or not printed[-1].startswith(f"error {reason} "):
            wrong.append((command[:120], reason, [text[:200] for text in printed]))
        after = dump(scene)
        changed = [name for name in before if before[name] != after[name]]
        if changed:
            wrong.append((command[:120], "changes", changed))
        before = after
    assert wrong == []


def test_nothing_is_taken_from_an_attempt_that_has_ended(scene: Scene):
    """[LEASE-1] [FIN-1]"""
    worker = scene.workers["w1"]
    held = worker.find("live/a")
    assert held is not None
    scene.execute("finish live/a")
    attempt = held.lease.attempt
    metadata: dict[str, str | bytes] = {
        "crosswind-attempt": attempt.attempt_id,
        "crosswind-lease-bin": attempt.lease,
    }
    value = Payload(encoding="json/utf-8", data=b"1")
    event = AssetEvent(asset=AssetReference(name="orders"))
    before = dump(scene)
    for method, message in [
        ("TaskService.SetXCom", task_service_pb2.SetXComRequest(key="k", value=value)),
        ("TaskService.SetState", task_service_pb2.SetStateRequest(write=StateWrite(key="k", value=value))),
        ("TaskService.EmitAssetEvent", task_service_pb2.EmitAssetEventRequest(event=event)),
        ("TaskService.TriggerDagRun", task_service_pb2.TriggerDagRunRequest(dag_id="d")),
    ]:
        with pytest.raises(CallRefused) as refused:
            scene.server.call(method, message, token=worker.token, metadata=metadata)
        assert (method, refused.value.reason) == (method, "STALE_LEASE")
    again = FinishAttemptRequest(
        attempt=attempt, outcome_id=str(uuid.uuid4()), outcome=Outcome(succeeded=Succeeded(), asset_events=[event])
    )
    with pytest.raises(CallRefused) as refused:
        scene.server.call("WorkerService.FinishAttempt", again, token=worker.token)
    assert refused.value.reason == "OUTCOME_CONFLICT"
    assert dump(scene) == before
