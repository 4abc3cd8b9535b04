"""A whole release in a scratch clone: freeze, change fields as CONTRIBUTING.md says, and run what was frozen.

The clone's server speaks the changed protocol. The SDKs that were frozen before know nothing of it, and run their
pipelines on it as before: with values between tasks, a variable, a connection, logs and a retry.
"""

import contextlib
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crosswind.cli.rows import decode_payload
from crosswind.control.v1.xcoms_pb2 import GetXComRequest
from tests.compat.frozen import FrozenSdk, start_worker
from tests.compat.scratch import ROOT, Scratch
from tests.compat.walk_through import Block, apply_edits, read_blocks
from tests.e2e.support.control import Control
from tests.e2e.support.processes import Process
from tests.e2e.support.servers import Pace, ServerProcess

CHANGES = Path(__file__).parent / "scratch_changes"
OLD, NEW = "2026-12-01", "2027-02-10"
VERSION_FILE = f"server/src/crosswind_server/versions/v{NEW.replace('-', '_')}.py"
FLIGHTS = "UA,10\nUA,20\nAA,-4\nB6,30\nB6,31\n"
RANKING = ["B6 30.5 minutes from db.example", "UA 15.0 minutes from db.example", "AA -4.0 minutes from db.example"]
PAUSE_SECONDS = 1.5  # three heartbeats of the tests' server

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    """A clone in which nothing was done yet."""
    return Scratch(tmp_path_factory.mktemp("scratch") / "clone")


@pytest.fixture(scope="module")
def released(scratch: Scratch, tmp_path_factory: pytest.TempPathFactory) -> FrozenSdk:
    """The clone's version frozen, and its SDKs built again from what is kept."""
    _freeze(scratch)
    scratch.make("rebuild-release", f"VERSION={OLD}")
    return FrozenSdk(scratch.folder / "build" / "released" / OLD, tmp_path_factory.mktemp("frozen"))


@pytest.fixture(scope="module")
def changed(scratch: Scratch, released: FrozenSdk) -> Scratch:
    """The clone one version further: the page's change, and one of most other kinds."""
    _walk_through(scratch)
    _change_further(scratch)
    return scratch


def _freeze(scratch: Scratch) -> None:
    draft = scratch.folder / "draft.txt"
    draft.touch()
    assert "draft.txt; what is frozen must be found again" in scratch.refuse("release-api")
    draft.unlink()
    assert f"{OLD} is not frozen: it may still change as it is" in scratch.refuse("next-version", f"VERSION={NEW}")
    said = scratch.make("release-api")
    assert f"API version {OLD} is frozen in proto/released/{OLD}" in said
    assert not (scratch.folder / "proto" / "released" / "provisional.binpb").exists()
    kept = sum(path.stat().st_size for path in (scratch.folder / "proto" / "released" / OLD).iterdir())
    assert kept < 1 << 20, "what is kept of a version lies in every clone for ever"
    scratch.commit(f"Freeze API version {OLD}")
    assert "is frozen already" in scratch.make("release-api")
    _try_to_change_what_is_frozen(scratch)
    _find_snapshot_in_wheel(scratch)


def _try_to_change_what_is_frozen(scratch: Scratch) -> None:
    """Edit the protos without a new version, and what is kept of the frozen one: neither passes."""
    first_edit = next(block for block in read_blocks(ROOT / "CONTRIBUTING.md") if block.language == "diff")
    apply_edits(first_edit.text, scratch.folder)
    for target in ("release-check", "release-api"):
        said = scratch.refuse(target)
        assert f"{OLD} is frozen, and proto/crosswind/execution/v1/worker_service.proto no longer say" in said
        assert "begin a new version with `make next-version" in said
    scratch.git("checkout", "--quiet", ".")
    with (scratch.folder / "proto" / "released" / OLD / "sdk.lock").open("a") as lock:
        lock.write("# unpinned\n")
    for target in ("release-check", "rebuild-release"):
        assert "sdk.lock is not the file that was frozen" in scratch.refuse(target, f"VERSION={OLD}")
    scratch.git("checkout", "--quiet", ".")
    assert f"{OLD} is not after {OLD}, the last one" in scratch.refuse("next-version", f"VERSION={OLD}")
    assert "API version 2026-12-02 is not frozen" in scratch.refuse("rebuild-release", "VERSION=2026-12-02")


def _find_snapshot_in_wheel(scratch: Scratch) -> None:
    """A server that is installed finds what a checkout finds."""
    wheels = scratch.folder / "build" / "wheels"
    done = scratch.run(
        *(str(scratch.bin / "python"), "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheels)),
        folder="server",
    )
    assert done.returncode == 0, done.stdout
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as files:
        inside = files.read(f"crosswind_server/versions/released/{OLD}.binpb")
    assert inside == (scratch.folder / "proto" / "released" / OLD / "snapshot.binpb").read_bytes()


def _walk_through(scratch: Scratch) -> None:
    """Do what CONTRIBUTING.md says, and hold its commands to what it says that they answer."""
    blocks = read_blocks(ROOT / "CONTRIBUTING.md")
    assert {block.language for block in blocks} == {"sh", "diff", "text", "python"}
    for block, following in zip(blocks, [*blocks[1:], Block("", "")], strict=True):
        if block.language == "diff":
            apply_edits(block.text, scratch.folder)
        elif block.language == "python":
            (scratch.folder / VERSION_FILE).write_text(block.text)
        elif block.language == "sh":
            commands = block.lines
            for number, command in enumerate(commands, start=1):
                program, *arguments = command.split("#")[0].split()
                assert program == "make", command
                if following.language == "text" and number == len(commands):
                    said = scratch.refuse(*arguments)
                    assert [line for line in following.lines if line not in said] == [], said
                else:
                    scratch.make(*arguments)


def _change_further(scratch: Scratch) -> None:
    apply_edits((CHANGES / "further.diff").read_text(), scratch.folder)
    scratch.make("gen")
    said = scratch.refuse("versions-check")
    scratch.commit("Change more than is covered")
    assert said_lines(said) <= said_lines(scratch.refuse("release-api"))
    for element in (
        "crosswind.execution.v1.RegisterWorkerRequest.platform",
        "crosswind.execution.v1.WorkerUsage.load",
        "crosswind.control.v1.Worker.load",
    ):
        assert f"{element} " in said, said
    assert "poll_number" not in said
    (scratch.folder / VERSION_FILE).write_text((CHANGES / Path(VERSION_FILE).name).read_text())
    scratch.make("gen")
    scratch.make("versions-check")
    scratch.make("release-check")
    scratch.make("proto-check")


def said_lines(said: str) -> set[str]:
    """The findings in what a check said."""
    lines = {line.strip(" *") for line in said.splitlines()}
    return {line for line in lines if line.startswith("crosswind/")}


@dataclass
class Deployment:
    """The changed server with a client that was frozen before."""

    server: ServerProcess
    sdk: FrozenSdk
    control: Control

    def run(self, dag_id: str, run_id: str) -> None:
        """Run a pipeline as a person with the frozen command does, and look at all that it left."""
        conf = json.dumps({"flights": FLIGHTS, "pause": PAUSE_SECONDS})
        target = ("dags", "trigger", dag_id, "--run-id", run_id, "--conf", conf, "--wait")
        assert self.sdk.command(self.server, *target)["state"] == "succeeded"
        assert self.xcom(dag_id, run_id, "return_value") == RANKING
        assert self.xcom(dag_id, run_id, "count") == len(RANKING)
        assert self.control.attempt_states(dag_id, run_id, "summary") == ["FAILED", "SUCCEEDED"]
        for index in range(3):
            assert self.control.attempt_states(dag_id, run_id, "delay", index) == ["SUCCEEDED"]
        logs = self.sdk.try_command(self.server, "tasks", "logs", f"{dag_id}/{run_id}", "summary")
        assert "Ranked the carriers" in logs.stdout, logs

    def poll_numbers(self) -> dict[str, int]:
        """The number of each worker's last poll, which no call shows."""
        file = self.server.database_url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            return dict(database.execute("SELECT name, poll_number FROM worker"))

    def xcom(self, dag_id: str, run_id: str, key: str) -> Any:
        """A value that the last task of a run left."""
        request = GetXComRequest(dag_id=dag_id, run_id=run_id, task_id="summary", key=key)
        return decode_payload(self.control.call(self.control.xcoms.GetXCom, request).value)

    def workers_of(self, dag_id: str, run_id: str) -> set[str]:
        """The workers that ran the last task of a run."""
        return {attempt.worker for attempt in self.control.attempts(dag_id, run_id, "summary")}


@pytest.fixture
def deployment(changed: Scratch, released: FrozenSdk, tmp_path: Path) -> Iterator[Deployment]:
    server = ServerProcess(
        f"sqlite:///{tmp_path / 'crosswind.db'}",
        tmp_path / "server",
        pace=Pace(),
        program=changed.bin / "crosswind-server",
    )
    with server:
        control = server.control()
        released.command(server, "variables", "set", "release_unit", "minutes", "--public")
        released.command(server, "connections", "set", "warehouse", "postgres://reader@db.example:5432/flights")
        yield Deployment(server, released, control)
        control.close()


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """Where a test puts its processes: they are ended with it."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        print(process.tail())
        process.close()


def test_frozen_sdks_run_their_pipelines_on_the_changed_server(deployment, released, changed, started, tmp_path):
    server = deployment.server
    in_python, in_go = ("--dags", released.dags), ("--bundle", released.bundle)
    python = released.bin / "crosswind-worker"
    started.append(start_worker(python, server, tmp_path / "python", *in_python, offers="dags"))
    started.append(start_worker(released.go_worker, server, tmp_path / "go", *in_go, offers="release_bundle"))
    deployment.run("release_python", "frozen")
    deployment.run("release_go", "frozen")
    assert deployment.workers_of("release_python", "frozen") == {"python"}
    assert deployment.workers_of("release_go", "frozen") == {"go"}
    listed = {worker["name"]: worker for worker in released.command(server, "workers", "list")}
    assert {name: (worker["state"], worker["api_version"]) for name, worker in listed.items()} == {
        "python": ("active", OLD),
        "go": ("active", OLD),
    }
    # What they say in heartbeats and polls has arrived, and comes back as their commands know it.
    assert all(worker["load"] > 0 and "load_percent" not in worker for worker in listed.values()), listed
    assert deployment.poll_numbers().keys() == {"python", "go"}
    assert all(number > 0 for number in deployment.poll_numbers().values())

    # An old Go bundle in newer workers: forwarded under its own version, in which a variable is not found as before.
    _stop(started.pop())
    newest = changed.go_build("./cmd/crosswind-go-worker", tmp_path / "crosswind-go-worker")
    for name, program in (("newer-go", newest), ("newer-python", changed.bin / "crosswind-worker")):
        started.append(start_worker(program, server, tmp_path / name, *in_go, offers="release_bundle"))
        deployment.run("release_go", name)
        assert deployment.workers_of("release_go", name) == {name}
        (newer,) = [each for each in released.command(server, "workers", "list") if each["name"] == name]
        assert (newer["state"], newer["api_version"]) == ("active", NEW)
        assert [bundle["api_version"] for bundle in newer["bundles"]] == [OLD]
        _stop(started.pop())


def _stop(worker: Process) -> None:
    worker.terminate()
    assert worker.wait() == 0
