"""Go bundles for tests: built and packed once for a whole run, with the commands that users have."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.support.dags import DagSpec

REPOSITORY = Path(__file__).parents[3]
SDK = REPOSITORY / "sdk_go"
KIT = REPOSITORY / "tests" / "e2e" / "go_kit"
PUPPETS = Path(__file__).parent / "go_puppets"
FLIGHTS = REPOSITORY / "examples" / "flights" / "go"
_BUILD_SECONDS = 600.0


class GoBundles:
    """Packs bundles into a folder, each once.

    Args:
        folder: for commands and bundles.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def kit(self, version: int = 1) -> Path:
        """The bundle of `tests/e2e/go_kit`."""
        return self.pack(KIT, f"kit-{version}", "--", "-ldflags", f"-s -w -X main.version={version}")

    def kit_speaking(self, *versions: str) -> Path:
        """The same, as an SDK builds it that names these API versions, newest first."""
        return self.pack(KIT, f"kit-{versions[0]}", "--", "-ldflags", _speaking(versions))

    def worker_speaking(self, *versions: str) -> Path:
        """The worker, as an SDK builds it that names these API versions, newest first."""
        name = "crosswind-go-worker"
        return self._build(f"{name}-{versions[0]}", SDK, f"./cmd/{name}", "-ldflags", _speaking(versions))

    def flights(self) -> Path:
        """The bundle of the example."""
        return self.pack(FLIGHTS, "flights_go.bundle")

    def puppets(self, dag: DagSpec, stage: Path) -> Path:
        """The bundle of a test's DAG: the puppets' binary, the DAG behind it, packed."""
        binary = self._build("puppets", PUPPETS, ".", "-trimpath", "-ldflags", "-s -w")
        said = json.dumps({**dataclasses.asdict(dag), "stage": stage}, default=str).encode()
        bundle = self._folder / f"{dag.dag_id}-{hashlib.sha256(said).hexdigest()[:16]}.bundle"
        if not bundle.exists():
            with_dag = bundle.with_suffix("")
            with with_dag.open("wb") as file:
                file.write(binary.read_bytes() + said + len(said).to_bytes(8, "big") + b"PUPPETS!")
            with_dag.chmod(0o755)
            _run([self.command("crosswind-go-pack"), "--binary", with_dag, "-o", bundle], self._folder)
            with_dag.unlink()
        return bundle

    def pack(self, source: Path, name: str, *flags: str) -> Path:
        """The packed bundle of a folder with a main package.

        Args:
            source: the folder.
            name: of the file.
            flags: further ones of crosswind-go-pack.
        """
        bundle = self._folder / name
        if not bundle.exists():
            _run([self.command("crosswind-go-pack"), ".", "-o", bundle, *flags], source)
        return bundle

    def command(self, name: str) -> Path:
        """One of the Go SDK's commands."""
        return self._build(name, SDK, f"./cmd/{name}")

    def _build(self, name: str, source: Path, package: str, *flags: str) -> Path:
        program = self._folder / name
        if not program.exists():
            _run(["go", "build", "-o", program, *flags, package], source)
        return program


def _speaking(versions: Sequence[str]) -> str:
    return f"-s -w -X crosswind.dev/go/internal/apiversion.spoken={','.join(versions)}"


def install(bundle: Path, place: Path) -> Path:
    """Put a bundle, at once, where a worker watches."""
    half = place.with_name(f".{place.name}.half")
    shutil.copy2(bundle, half)
    return half.replace(place)


def _run(command: list[str | Path], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
