"""The server reads the manifests of every release's SDKs to the plans that it made of them on that day. [VER-1]"""

import hashlib
import json

import pytest

from codegen.release.records import frozen_versions
from crosswind.manifest.v1 import dag_pb2
from crosswind.manifest.v1.bundle_pb2 import Manifest
from crosswind_server.versions.bundles import BundleVersions
from crosswind_server.versions.gates import Gates
from crosswind_server.versions.releases import CURRENT, server_history
from tests.compat.frozen_manifests import FOLDER, lacking, read_plans
from tests.e2e.support.versions import history_of

SERVED = [str(version) for version in server_history().versions]
FROZEN = sorted(file for file in FOLDER.glob("*/*.binpb") if file.parent.name in SERVED)


@pytest.fixture(scope="module")
def versions() -> BundleVersions:
    """The server's."""
    return BundleVersions(Gates(server_history()))


@pytest.mark.parametrize("version", [each for each in frozen_versions() if each in SERVED] or [str(CURRENT)])
def test_there_are_manifests_of_every_frozen_version_in_each_language(version: str) -> None:
    """`python -m tests.compat.freeze` writes them, on the day of a release."""
    assert {file.stem for file in FROZEN if file.parent.name == version} == {"python", "go"}


@pytest.mark.parametrize("file", FROZEN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_manifest_is_read_to_the_plan_that_it_was(versions: BundleVersions, file) -> None:
    manifest = Manifest.FromString(file.read_bytes())
    assert manifest.api_version == file.parent.name
    promised = json.loads(file.with_suffix(".json").read_text())
    found = json.loads(json.dumps(read_plans(manifest, versions)))
    assert found
    assert list(lacking(promised, found)) == []
    for dag in manifest.dags:
        assert found[dag.dag_id]["dag_version_id"] == hashlib.sha256(dag.dag).hexdigest()


@pytest.mark.parametrize("file", FROZEN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_manifest_of_an_older_version_goes_through_the_gates_and_stays_what_it_was(file) -> None:
    """Between versions that are alike, so nothing may be lost on the way."""
    manifest = Manifest.FromString(file.read_bytes())
    later = BundleVersions(Gates(history_of([manifest.api_version, "2099-01-01"])))
    for dag in manifest.dags:
        carried = later.upgrade(manifest.api_version, dag.dag)
        assert dag_pb2.Dag.FromString(carried) == dag_pb2.Dag.FromString(dag.dag)


def test_a_plan_may_have_more_than_it_had_and_nothing_else_instead() -> None:
    promised = {"tasks": [{"id": "a", "slots": 1}]}
    assert list(lacking(promised, {"tasks": [{"id": "a", "slots": 1, "new": True}]})) == []
    assert list(lacking(promised, {"tasks": [{"id": "a", "slots": 2}]})) == [".tasks[0].slots was 1, and is 2 now"]
    assert list(lacking(promised, {"tasks": [{"id": "a"}]})) == [".tasks[0].slots is gone"]
    assert list(lacking(promised, {"tasks": []}))
