"""The laboratory's versions: snapshots compiled from `protos/`, with what `versions/` says of each."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.history import History, Release
from tests.compat.lab.versions import (
    v2026_01_01,
    v2026_02_01,
    v2026_03_01,
    v2026_04_01,
    v2026_05_01,
    v2026_06_01,
    v2026_07_01,
    v2026_08_01,
)

MODULES: Final[tuple[ModuleType, ...]] = (
    v2026_01_01,
    v2026_02_01,
    v2026_03_01,
    v2026_04_01,
    v2026_05_01,
    v2026_06_01,
    v2026_07_01,
    v2026_08_01,
)
"""Oldest first."""

VERSIONS: Final = tuple(str(module.VERSION) for module in MODULES)
NEWEST: Final = VERSIONS[-1]
REASONS: Final = "lab.v1.ErrorReason"

REPOSITORY: Final = Path(__file__).parents[3]
PROTOS: Final = Path(__file__).parent / "protos"
BUILT: Final = REPOSITORY / "build" / "compat" / "lab"
GENERATORS: Final = REPOSITORY / "build" / "codegen-venv" / "bin" / "python"


@cache
def lab_history() -> History:
    """All versions of the laboratory."""
    releases = (
        Release(ApiVersion.parse(module.VERSION), partial(load_snapshot, module.VERSION), module.CHANGES)
        for module in MODULES
    )
    return History(tuple(releases), REASONS)


@cache
def load_snapshot(version: str) -> FileDescriptorSet:
    """The protos of a version, and what they import."""
    folder = made_once(f"snapshot-{version}", inputs_of(version), partial(_compile, version))
    return FileDescriptorSet.FromString((folder / "snapshot.binpb").read_bytes())


def proto_files(version: str) -> Sequence[str]:
    """The proto files of a version, as they are imported."""
    folder = PROTOS / version
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.proto"))


def inputs_of(version: str) -> list[Path]:
    """Every file that what is generated for a version depends on."""
    folder = PROTOS / version
    lock = REPOSITORY / "codegen" / "requirements.lock"
    options = REPOSITORY / "proto" / "crosswind" / "options" / "v1" / "options.proto"
    return [*(folder / name for name in proto_files(version)), options, lock, Path(__file__)]


def made_once(name: str, inputs: Sequence[Path], make: Callable[[Path], None]) -> Path:
    """A folder below `build/` that is made anew when one of its inputs has changed. One process makes it at a time."""
    digest = hashlib.sha256()
    for path in inputs:
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    folder = BUILT / f"{name}-{digest.hexdigest()[:16]}"
    done = folder / ".done"
    BUILT.mkdir(parents=True, exist_ok=True)
    with (BUILT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            for outdated in BUILT.glob(f"{name}-{'?' * 16}"):
                shutil.rmtree(outdated)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def run_protoc(version: str, *arguments: str | Path) -> None:
    """Run the pinned protoc on a version's protos."""
    assert GENERATORS.exists(), f"{GENERATORS} is missing: `make gen` makes it"
    command = [GENERATORS, "-m", "grpc_tools.protoc", f"-I{PROTOS / version}", f"-I{REPOSITORY / 'proto'}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def _compile(version: str, folder: Path) -> None:
    out = f"--descriptor_set_out={folder / 'snapshot.binpb'}"
    run_protoc(version, "--include_imports", out, *proto_files(version))
