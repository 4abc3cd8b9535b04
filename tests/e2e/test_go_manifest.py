"""What crosswind-go-pack writes: read by the Python worker, and taken by the server."""

import hashlib
import subprocess

import pytest

from crosswind.api_versions import newest
from crosswind.manifest.v1 import bundle_pb2, dag_pb2
from crosswind.runtime.packed_bundle import read_packed
from crosswind_server.domain.plan import DagPlan, VersionPolicy
from crosswind_server.domain.readiness import TriggerRule
from crosswind_server.manifests import check_bundle_name, read_dag
from tests.e2e.support.go_bundles import SDK, GoBundles


@pytest.fixture(scope="module")
def manifest(go_bundles: GoBundles) -> bundle_pb2.Manifest:
    return read_packed(go_bundles.pack(SDK / "internal" / "testbundle", "testbundle")).manifest


def plan_of(manifest: bundle_pb2.Manifest, dag_id: str) -> DagPlan:
    [message] = [each.dag for each in manifest.dags if each.dag_id == dag_id]
    return read_dag(message, dag_version_id=hashlib.sha256(message).hexdigest(), dag_id=dag_id)


def test_server_takes_the_bundle_and_every_dag(manifest: bundle_pb2.Manifest):
    check_bundle_name(manifest.bundle, manifest.bundle_version)
    assert [each.dag_id for each in manifest.dags] == ["tutorial_dag", "go_pipeline", "every_option"]
    for each in manifest.dags:
        plan = plan_of(manifest, each.dag_id)
        assert {task.language for task in plan.tasks} <= {"go", ""}
    assert manifest.api_version == newest()
    assert manifest.sdk.language == "go"
    assert not manifest.source_errors


def test_server_reads_data_as_the_author_wrote_it(manifest: bundle_pb2.Manifest):
    numbers, scale, total, tell = plan_of(manifest, "go_pipeline").tasks
    assert numbers.inputs[0].literal is not None
    assert numbers.inputs[0].literal.data == b"4"
    assert scale.mapping is not None
    assert scale.mapping.inputs[0].output is not None
    assert (scale.mapping.inputs[0].position, scale.mapping.inputs[0].output.task_id) == (0, "numbers")
    assert (scale.inputs[0].position, scale.inputs[0].param) == (1, "factor")
    assert (total.upstream, tell.upstream) == ((scale.index,), (total.index,))
    assert [(each.name, each.position) for each in tell.inputs] == [("total", 0), ("word", 1)]


def test_server_reads_every_option(manifest: bundle_pb2.Manifest):
    plan = plan_of(manifest, "every_option")
    first, mapped, other, tell, last = plan.tasks
    assert plan.access.strict
    assert (plan.access.variables, plan.access.connections, plan.access.dags) == (
        ("my_*",), ("warehouse",), ("go_pipeline",),
    )  # fmt: skip
    assert plan.paused_upon_creation
    assert plan.version_policy is VersionPolicy.FAIL
    assert [(param.name, param.default and param.default.data) for param in plan.params] == [
        ("month", b"1"), ("plain", b"null"), ("year", None),
    ]  # fmt: skip
    assert (first.retry.retries, first.retry.multiplier, first.retry.jitter, first.retry.lost_budget) == (
        3,
        2.0,
        0.5,
        1,
    )
    assert [(sorted(rule.failure_types), rule.retry, rule.delay_us) for rule in first.retry_rules] == [
        (["*fs.PathError"], False, None), (["panic"], True, 60_000_000),
    ]  # fmt: skip
    assert (first.execution_timeout_us, first.cancel_grace_us) == (3_600_000_000, 1_000_000)
    assert (first.queue, first.slots, first.priority) == ("big", 2, -1)
    assert (first.variables, first.connections) == (("my_variable",), ("warehouse",))
    assert mapped.trigger_rule is TriggerRule.ALL_DONE
    assert mapped.mapping is not None
    assert [each.literal and each.literal.items for each in mapped.mapping.inputs] == [None, (b"1", b"2")]
    assert (mapped.queue, mapped.retry.retries) == ("go", 1)
    assert other.reference is not None
    assert (other.reference.bundle, other.reference.entry_point) == ("python_bundle", "module:load")
    assert set(tell.upstream) == {first.index, other.index}
    assert (set(last.upstream), last.inputs) == ({first.index, other.index}, ())


def test_tasks_are_offered_by_name(manifest: bundle_pb2.Manifest):
    offered = {each.entry_point: list(each.parameter_names) for each in manifest.offered_tasks}
    assert offered["transform"] == []
    assert offered["tell"] == ["total", "word"]
    assert "crash" in offered


def test_same_source_packs_to_the_same_dags(go_bundles: GoBundles, manifest: bundle_pb2.Manifest):
    again = read_packed(go_bundles.pack(SDK / "internal" / "testbundle", "testbundle-again", "--", "-ldflags", "-s"))
    assert again.manifest.dags == manifest.dags
    assert dag_pb2.Dag.FromString(again.manifest.dags[0].dag).source_location.startswith("main.go:")


def test_show_reads_without_running(go_bundles: GoBundles, manifest: bundle_pb2.Manifest):
    bundle = go_bundles.pack(SDK / "internal" / "testbundle", "testbundle")
    done = subprocess.run(
        [go_bundles.command("crosswind-go-pack"), "show", bundle], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"bundle      go-test\nversion     {manifest.bundle_version}\n")
