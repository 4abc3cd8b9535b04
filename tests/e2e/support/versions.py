"""Servers of other API versions than this source has, and bundles whose manifests say other versions.

Nothing changes from one of these versions to the next: how messages that do change are carried is for the laboratory.
"""

import contextlib
import hashlib
import os
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from crosswind.manifest.v1.bundle_pb2 import Manifest
from crosswind_server.app import RunningServer, serve_in_thread
from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.history import History, Release
from crosswind_server.versions.releases import REASONS, current_descriptors
from tests.e2e.support.dags import DagSpec
from tests.e2e.support.servers import Pace
from tests.e2e.support.workers import GoKind, WorkerKind

_SPEAKING = """
import sys
from crosswind import api_versions
api_versions.API_VERSIONS = {versions!r}
from crosswind.runtime.worker_command import main
sys.exit(main())
"""
_MAGIC = b"CROSSWIND-BNDL/1"
_TRAILER_BYTES = 8 + 32 + len(_MAGIC)


def history_of(versions: Sequence[str]) -> History:
    """A history of versions that are all alike, oldest first."""
    releases = [Release(ApiVersion.parse(version), current_descriptors) for version in versions]
    return History(tuple(releases), REASONS)


class SpeakingKind(WorkerKind):
    """A kind's worker as its SDK would be that names other API versions.

    Args:
        kind: the language.
        versions: newest first.
    """

    name = "speaking"

    def __init__(self, kind: WorkerKind, *versions: str) -> None:
        self._kind = kind
        self._versions = versions

    def write(self, dag: DagSpec, folder: Path, stage: Path) -> Path:
        """See `WorkerKind`."""
        return self._kind.write(dag, folder, stage)

    def spoil(self, dag_id: str, folder: Path) -> str:
        """See `WorkerKind`."""
        return self._kind.spoil(dag_id, folder)

    def command(self, *, dags: Path, options: Sequence[str | Path]) -> list[str | Path]:
        """The command."""
        program: list[str | Path] = [sys.executable, "-c", _SPEAKING.format(versions=self._versions)]
        if isinstance(self._kind, GoKind):
            program = [self._kind.bundles.worker_speaking(*self._versions)]
        return [*program, "--dags", dags, *options]


@contextlib.contextmanager
def serving(versions: Sequence[str] | History | None, folder: Path, **settings: Any) -> Iterator[RunningServer]:
    """A server of some versions, or of its own; its database, and files with its tokens, are in the folder."""
    history = versions if versions is None or isinstance(versions, History) else history_of(versions)
    folder.mkdir(parents=True, exist_ok=True)
    with serve_in_thread(
        f"sqlite:///{folder / 'crosswind.db'}",
        history=history,
        encryption_key="c29tZSBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyEhISE=",
        **{name: getattr(Pace(), name) for name in Pace.__dataclass_fields__},
        **settings,
    ) as server:
        for name, token in (("enrolment-token", server.enrolment_token), ("access-token", server.access_token)):
            (folder / name).write_text(token)
        yield server


def counted_calls(metrics_address: str) -> dict[tuple[str, str], int]:
    """How many calls a server took, by API version and outcome, as its metrics say."""
    with urllib.request.urlopen(f"http://{metrics_address}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found = {}
    for line in text.splitlines():
        if line.startswith("crosswind_calls_total{"):
            labels, _, number = line.removeprefix("crosswind_calls_total{").rpartition("} ")
            version, outcome = (part.partition("=")[2].strip('"') for part in labels.split(","))
            found[version, outcome] = int(float(number))
    return found


def say_version(bundle: Path, target: Path, *, name: str, api_version: str) -> Path:
    """Write a packed bundle again, as another program with another name and a manifest of another API version."""
    packed = bundle.read_bytes()
    trailer = packed[-_TRAILER_BYTES:]
    assert trailer.endswith(_MAGIC)
    size = int.from_bytes(trailer[:8], "big")
    program = packed[: -_TRAILER_BYTES - size]
    manifest = Manifest.FromString(packed[-_TRAILER_BYTES - size : -_TRAILER_BYTES])
    assert manifest.bundle_version == hashlib.sha256(program).hexdigest()[:32]
    program += f"{name} {api_version}".encode()  # behind what is executed
    digest = hashlib.sha256(program)
    manifest.bundle, manifest.api_version, manifest.bundle_version = name, api_version, digest.hexdigest()[:32]
    content = manifest.SerializeToString()
    half = target.with_name(f".{target.name}.half")
    half.write_bytes(program + content + len(content).to_bytes(8, "big") + digest.digest() + _MAGIC)
    os.chmod(half, 0o755)
    return half.replace(target)
