"""The SDKs of a frozen API version as users have them: a venv with the wheel, a worker's binary, a packed bundle."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from codegen.release.artifacts import GO_BUNDLE, GO_WORKER, PYTHON_DAG, install
from codegen.release.records import SDK_LOCK
from tests.e2e.support.processes import Process, run
from tests.e2e.support.servers import ServerProcess


class FrozenSdk:
    """What was built of a version.

    Args:
        artifacts: the folder that `make rebuild-release` wrote.
        folder: for its venv and the folder of DAGs.
    """

    def __init__(self, artifacts: Path, folder: Path) -> None:
        self.go_worker = artifacts / GO_WORKER
        self.bundle = artifacts / GO_BUNDLE
        self.dags = folder / "dags"
        self.dags.mkdir(parents=True)
        (self.dags / PYTHON_DAG).write_bytes((artifacts / PYTHON_DAG).read_bytes())
        venv = folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        self.bin = venv / "bin"
        (wheel,) = artifacts.glob("*.whl")
        install(self.bin / "python", ["--require-hashes", "-r", artifacts / SDK_LOCK])
        install(self.bin / "python", ["--no-deps", wheel])

    def command(self, server: ServerProcess, *arguments: str | Path) -> Any:
        """Run the people's command beside a server; returns what it answered, as JSON.

        Raises:
            AssertionError: it failed.
        """
        done = self.try_command(server, *arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def try_command(self, server: ServerProcess, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run it, whatever comes of it."""
        return run([self.bin / "crosswind", *arguments, "--output", "json"], folder=server.folder)


def start_worker(program: Path, server: ServerProcess, folder: Path, *options: str | Path, offers: str) -> Process:
    """Start a worker and return when it offers a bundle. Its name is that of its folder."""
    folder.mkdir()
    common = ["--server", server.address, "--token-file", server.enrolment_token_file, "--state-dir", folder / "state"]
    command = [str(part) for part in [program, *common, "--name", folder.name, *options]]
    worker = Process(folder.name, command, folder=folder).start()
    worker.wait_for(rf"On offer: .*\b{offers}\b")
    return worker
