"""A manifest of an older API version, in which names, units and the message itself were others. [VER-1]"""

import hashlib
from functools import partial
from typing import Any

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet

from crosswind_server.domain.plan import DagPlan
from crosswind_server.domain.version import ApiVersion
from crosswind_server.services.catalog import dag_listing
from crosswind_server.services.catalog.bundles import Manifest, Offer, PublishBundle
from crosswind_server.services.heart import Heart
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import Timing
from crosswind_server.versions.bundles import BundleVersions
from crosswind_server.versions.changes import SECONDS_TO_DURATION, FieldConverted, FieldRenamed, MessageRenamed
from crosswind_server.versions.gates import Gates
from crosswind_server.versions.history import History, Release
from crosswind_server.versions.releases import REASONS, current_descriptors
from tests.store.flow import TEAM, Flow

OLD, NEW = "2026-12-01", "2099-03-01"
DAG, TASK = "crosswind.manifest.v1.Dag", "crosswind.manifest.v1.Task"
FORMER = "crosswind.manifest.v1.Plan"


def former_descriptors() -> FileDescriptorSet:
    """Today's protos as they might have been: Dag was Plan, its description a summary, a timeout whole seconds."""
    found = FileDescriptorSet()
    found.CopyFrom(current_descriptors())
    for file in found.file:
        for message in file.message_type:
            _rename_type(message)
            if f"{file.package}.{message.name}" == DAG:
                message.name = "Plan"
                description = _field(message, "description")
                description.name, description.json_name, description.number = "summary", "summary", 998
            elif f"{file.package}.{message.name}" == TASK:
                timeout = _field(message, "execution_timeout")
                timeout.Clear()
                timeout.name, timeout.json_name, timeout.number = "timeout_seconds", "timeoutSeconds", 999
                timeout.type, timeout.label = FieldDescriptorProto.TYPE_INT32, FieldDescriptorProto.LABEL_OPTIONAL
    return found


def _field(message: DescriptorProto, name: str) -> FieldDescriptorProto:
    return next(field for field in message.field if field.name == name)


def _rename_type(message: DescriptorProto) -> None:
    for field in message.field:
        if field.type_name == f".{DAG}":
            field.type_name = f".{FORMER}"
    for nested in message.nested_type:
        _rename_type(nested)


CHANGES = (
    MessageRenamed(FORMER, DAG, why="A DAG is called one."),
    FieldRenamed(DAG, "summary", "description", why="It is longer than a summary."),
    FieldConverted(TASK, "timeout_seconds", "execution_timeout", SECONDS_TO_DURATION, why="Shorter ones are needed."),
)


@pytest.fixture(scope="module")
def versions() -> BundleVersions:
    """Those of a server that has both."""
    releases = (
        Release(ApiVersion.parse(OLD), former_descriptors),
        Release(ApiVersion.parse(NEW), current_descriptors, CHANGES),
    )
    return BundleVersions(Gates(History(releases, REASONS)))


@pytest.fixture(scope="module")
def former() -> bytes:
    """A DAG as an SDK of the older version serializes it."""
    pool = descriptor_pool.DescriptorPool()
    for file in former_descriptors().file:
        pool.Add(file)
    plan: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName(FORMER))
    message = plan(dag_id="old", summary="What it does")
    message.tasks.add(task_id="t", entry_point="t", timeout_seconds=90)
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def get_plan(heart: Heart, version_id: str, uow: UnitOfWork) -> DagPlan:
    return heart.plans.get(uow, version_id)


def test_it_is_understood_when_it_is_published_and_whenever_it_is_read_again(
    flow: Flow, versions: BundleVersions, former: bytes
) -> None:
    flow.heart = Heart(flow.store, Timing(), versions=versions)
    worker = flow.register()
    manifest = Manifest(
        api_version=OLD,
        language="python",
        language_version="3.11",
        sdk_version="0.1.0",
        dags=(("old", former),),
        offered_entry_points=(),
        source_errors=(),
    )
    offer = Offer(bundle="b", version="v1", manifest=manifest)
    command = PublishBundle(caller=worker.caller, instance_id=worker.instance_id, offer=offer)
    assert flow.store.write_blocking(flow.heart.publish, command).refused == ()
    version_id = hashlib.sha256(former).hexdigest()
    again = Heart(flow.store, Timing(), versions=versions)  # a server that starts anew has no plan in memory
    for heart in (flow.heart, again):
        plan = flow.store.read_blocking(partial(get_plan, heart, version_id))
        assert (plan.dag_version_id, plan.description) == (version_id, "What it does")
        assert plan.tasks[0].execution_timeout_us == 90_000_000
    listed = flow.store.read_blocking(lambda uow: dag_listing.get_dag(uow, versions, TEAM, "old"))
    assert listed.dag_version_id == version_id
    assert b"What it does" in listed.message
    assert versions.upgrade(NEW, listed.message) == listed.message
    key = flow.trigger("old")
    (lease,) = flow.take(worker)
    assert flow.start(lease, worker).task.execution_timeout_us == 90_000_000
    flow.finish(lease)
    assert flow.states(key) == {"t": "succeeded"}


def test_bytes_that_are_no_dag_are_refused_as_such_in_every_version(flow: Flow, versions: BundleVersions) -> None:
    flow.heart = Heart(flow.store, Timing(), versions=versions)
    worker = flow.register()
    manifest = Manifest(
        api_version=OLD,
        language="python",
        language_version="3.11",
        sdk_version="0.1.0",
        dags=(("broken", b"\xff\xff"),),
        offered_entry_points=(),
        source_errors=(),
    )
    offer = Offer(bundle="b", version="v1", manifest=manifest)
    command = PublishBundle(caller=worker.caller, instance_id=worker.instance_id, offer=offer)
    result = flow.store.write_blocking(flow.heart.publish, command)
    assert [(each.dag_id, each.reason.value) for each in result.refused] == [("broken", "DAG_INVALID")]
