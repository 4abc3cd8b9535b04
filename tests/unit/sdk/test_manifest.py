"""The manifest of DAGs. `goldens/*.txtpb` are rewritten by running with CROSSWIND_WRITE_GOLDENS=1."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from crosswind import DAG, Access, Cron, Param, TriggerRule, task
from crosswind.api_versions import newest
from crosswind.author.manifest import make_dag
from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind.manifest.v1.bundle_pb2 import Manifest
from crosswind.manifest.v1.dag_pb2 import Dag

GOLDENS = Path(__file__).parent / "goldens"
MAKE_MANIFEST = """
import sys
from pathlib import Path
from typing import Any
from crosswind.author.bundle import load_bundle
loaded = load_bundle(Path(sys.argv[1]), "flights")
sys.stdout.buffer.write(loaded.manifest("v1").SerializeToString(deterministic=True))
"""


def make_manifest(seed: str) -> bytes:
    """The manifest as a process of its own makes it."""
    return subprocess.run(
        [sys.executable, "-c", MAKE_MANIFEST, GOLDENS / "flights.py"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    ).stdout


def test_a_dag_becomes_the_manifest_that_was_agreed():
    manifest = Manifest.FromString(make_manifest("0"))
    text = "".join(
        f"# DAG {stored.dag_id}\n{text_format.MessageToString(Dag.FromString(stored.dag))}" for stored in manifest.dags
    )
    text += f"# Offered\n{text_format.MessageToString(Manifest(offered_tasks=manifest.offered_tasks))}"
    golden = GOLDENS / "flights.txtpb"
    if os.environ.get("CROSSWIND_WRITE_GOLDENS"):
        golden.write_text(text)
    assert text == golden.read_text()
    assert (manifest.bundle, manifest.bundle_version, manifest.api_version) == ("flights", "v1", newest())
    assert (manifest.sdk.language, manifest.sdk.language_version) == ("python", sys.version.split()[0])


def test_the_same_source_gives_the_same_bytes_in_every_process():
    assert len({make_manifest(seed) for seed in ("0", "1", "4711")}) == 1


def one_task(**settings: Any) -> task_pb2.Task:
    with DAG("d") as dag:
        task(lambda: None).override(task_id="t", **settings)()
    return make_dag(dag, root=Path(__file__).parent).tasks[0]


@pytest.mark.parametrize("rule", list(TriggerRule))
def test_each_trigger_rule_has_its_value(rule):
    assert one_task(trigger_rule=str(rule)).trigger_rule == task_pb2.TriggerRule.Value(f"TRIGGER_RULE_{rule.name}")


def test_what_is_not_said_is_absent():
    message = one_task()
    said = {field.name for field, _ in message.ListFields()}
    assert said == {"task_id", "entry_point", "kind", "language"}
    with DAG("d") as dag:
        task(lambda: None).override(task_id="t")()
    said = {field.name for field, _ in make_dag(dag, root=Path("/")).ListFields()}
    assert said == {"dag_id", "tasks", "version_policy", "source_location"}


def test_settings_of_a_task():
    message = one_task(
        retry_exponential_backoff=1.5,
        max_retry_delay=timedelta(minutes=1),
        max_lost=0,
        cancel_grace=2.5,
        pool_slots=2,
        priority_weight=-1,
        isolation="shared",
        worker_labels={"gpu": "yes", "arch": "arm"},
        depends_on_past=True,
        max_active_tis_per_dag=3,
        max_active_tis_per_dagrun=4,
        map_index_template="{{ x }}",
    )
    assert message.retry.multiplier == 1.5
    assert message.retry.max_delay.seconds == 60
    assert message.retry.HasField("max_lost")
    assert message.cancel_grace.ToTimedelta() == timedelta(seconds=2.5)
    assert (message.pool_slots, message.priority) == (2, -1)
    assert message.isolation == task_pb2.ISOLATION_SHARED
    assert [(label.key, label.value, label.required) for label in message.worker_labels] == [
        ("arch", "arm", True),
        ("gpu", "yes", True),
    ]
    assert message.depends_on_past == task_pb2.DEPENDS_ON_PAST_SELF
    assert (message.max_active_instances, message.max_active_instances_per_run) == (3, 4)
    assert message.map_index_template == "{{ x }}"


def test_settings_of_a_dag():
    with DAG(
        "d",
        schedule=Cron("@daily", "Europe/Berlin"),
        catchup=True,
        params={"n": Param(3, type="integer", minimum=1, description="how many"), "must": Param(type="string")},
        access=Access(variables=["a_*"], connections=["c"], dags=["other"]),
        version_policy="fail",
        is_paused_upon_creation=False,
        display_name="D",
    ) as dag:
        task(lambda: None).override(task_id="t")()
    message = make_dag(dag, root=Path(__file__).parent)
    assert (message.schedule.cron.expression, message.schedule.cron.time_zone) == ("@daily", "Europe/Berlin")
    assert message.catchup
    assert message.HasField("paused_upon_creation")
    assert not message.paused_upon_creation
    number, must = message.params
    assert (number.name, number.default_value.data, number.description) == ("n", b"3", "how many")
    assert number.json_schema == '{"minimum":1,"type":"integer"}'
    assert not must.HasField("default_value")
    assert message.access.mode == dag_pb2.ACCESS_MODE_STRICT
    assert list(message.access.variables) == ["a_*"]
    assert message.version_policy == dag_pb2.VERSION_POLICY_FAIL
    assert message.source_location.startswith("test_manifest.py:")
