"""An old Go bundle in a newer worker, with the newest server: its tasks' calls cross gates, and nobody else's do.

The server has a made-up older version. The descriptors of both are those of today, since the bundle is built of
today's SDK and only says that it is older; what differs is what the gates make of a call. So every change that is seen
was made on calls that the worker forwarded under the bundle's own version, with the bytes of the bundle.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crosswind.api_versions import newest
from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.changes import Fields, FreeChange, ReasonChanged
from crosswind_server.versions.history import History, Release
from crosswind_server.versions.releases import REASONS, current_descriptors
from tests.e2e.support.cluster import one_task
from tests.e2e.support.control import Control
from tests.e2e.support.go_bundles import GoBundles, install
from tests.e2e.support.puppets import Puppet, Stage
from tests.e2e.support.versions import say_version, serving
from tests.e2e.support.workers import GoKind, PythonKind, WorkerKind, WorkerProcess

OLD, NOW = "2020-10-01", newest()
TASKS = "crosswind.execution.v1"

pytestmark = pytest.mark.timeout(600)  # the first one builds programs


def nothing(_fields: Fields) -> Fields:
    return {}


HISTORY = History(
    (
        Release(ApiVersion.parse(OLD), current_descriptors),
        Release(
            ApiVersion.parse(NOW),
            current_descriptors,
            (
                FreeChange(
                    f"{TASKS}.GetVariableRequest",
                    (),
                    upgrade=lambda fields: {"key": f"legacy_{fields['key']}"},
                    downgrade=nothing,
                    why="Names have a prefix now.",
                ),
                FreeChange(
                    f"{TASKS}.Variable",
                    (),
                    upgrade=nothing,
                    downgrade=lambda fields: {"value": f"{fields['value']}, as it was"},
                    why="Values are shorter now.",
                ),
                ReasonChanged(
                    f"/{TASKS}.TaskService/GetVariable",
                    new="VARIABLE_NOT_FOUND",
                    old="PERMISSION_DENIED",
                    code="PERMISSION_DENIED",
                    why="Nobody is told of what is not there, formerly.",
                ),
            ),
        ),
    ),
    REASONS,
)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> GoBundles:
    return GoBundles(tmp_path_factory.mktemp("forwarding"))


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    """What a test starts, closed with it."""
    with contextlib.ExitStack() as stack:
        yield stack


def perform(control: Control, stage: Stage, dag_id: str) -> tuple[str, Puppet]:
    """A run whose task has come to the stage."""
    run_id = control.trigger(dag_id, conf=json.dumps({"stage": str(stage.path)}).encode())
    return run_id, stage.enter("work")


@pytest.mark.parametrize("language", ["python", "go"])
def test_calls_of_an_old_bundle_cross_gates_and_those_of_its_worker_do_not(
    language: str, opened: contextlib.ExitStack, bundles: GoBundles, tmp_path: Path
) -> None:
    stage = opened.enter_context(Stage())
    old = say_version(bundles.kit(), tmp_path / "kit.bundle", name="kit", api_version=OLD)
    new = install(bundles.puppets(one_task(), stage.path), tmp_path / "one.bundle")
    server = opened.enter_context(serving(HISTORY, tmp_path))
    kind: WorkerKind = PythonKind() if language == "python" else GoKind(bundles)
    (tmp_path / "dags").mkdir()
    worker = WorkerProcess(
        kind,
        server.address,
        tmp_path / "enrolment-token",
        dags=tmp_path / "dags",
        folder=tmp_path / "worker",
        options=["--bundle", old, "--bundle", new],
    )
    opened.callback(worker.close)
    worker.start()
    worker.wait_for(r"On offer: .*kit \w+, one \w+")
    control = Control(server.address, server.access_token)
    opened.callback(control.close)
    for key in ("place", "legacy_place"):
        control.set_variable(key, f"the {key}", public=True)

    run_id, puppet = perform(control, stage, "one")
    assert puppet.order("get_variable", key="place") == "the place"
    puppet.succeed(1)
    assert control.wait_run("one", run_id) == "SUCCEEDED"

    run_id, puppet = perform(control, stage, "kit")
    assert puppet.order("get_variable", key="place") == "the legacy_place, as it was"
    puppet.begin("get_variable", key="legacy_place")  # which there is, but not with the prefix twice
    assert control.wait_run("kit", run_id) == "FAILED"
    # The server's sentence: of the reason that it knows, the SDK would say its own.
    said = control.task("kit", run_id, "work").failure.message
    assert said.startswith("Team 'default' has no variable 'legacy_legacy_place'")
