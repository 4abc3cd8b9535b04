"""Manifests as the SDKs of each release wrote them, and what the server reads in them.

`manifests/<API version>/<language>.binpb` is a serialized `manifest.v1.Manifest`, `<language>.json` the plans that the
server of that day made of it. Both are kept for good: `python -m tests.compat.freeze` writes those of the newest
version.
"""

import dataclasses
import enum
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crosswind.author.bundle import load_bundle
from crosswind.manifest.v1.bundle_pb2 import Manifest
from crosswind.runtime.packed_bundle import read_packed
from crosswind_server import manifests
from crosswind_server.versions.bundles import BundleVersions
from tests.e2e.support.go_bundles import SDK, GoBundles

FOLDER = Path(__file__).with_name("manifests")


def read_plans(manifest: Manifest, versions: BundleVersions) -> dict[str, Any]:
    """The plan of each DAG as plain data, read as the server reads what it has stored."""
    versions.check(manifest.bundle, manifest.api_version)
    plans = {}
    for dag in manifest.dags:
        plan = manifests.read_dag(
            versions.upgrade(manifest.api_version, dag.dag),
            dag_version_id=hashlib.sha256(dag.dag).hexdigest(),
            dag_id=dag.dag_id,
        )
        plans[dag.dag_id] = plain(plan)
    return plans


def plain(value: Any) -> Any:
    """A plan as JSON has it."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.IntEnum):
        return value.value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(each) for each in value)
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return value


def lacking(promised: Any, found: Any, where: str = "") -> Iterator[str]:
    """Where a plan differs from the one of that day; what was added to plans since is none of it."""
    if isinstance(promised, dict) and isinstance(found, dict):
        for name, value in promised.items():
            if name not in found:
                yield f"{where}.{name} is gone"
            else:
                yield from lacking(value, found[name], f"{where}.{name}")
    elif isinstance(promised, list) and isinstance(found, list) and len(promised) == len(found):
        for number, (one, other) in enumerate(zip(promised, found, strict=True)):
            yield from lacking(one, other, f"{where}[{number}]")
    elif promised != found:
        yield f"{where} was {promised!r}, and is {found!r} now"


def write_manifests(version: str, folder: Path, versions: BundleVersions) -> None:
    """Write the manifests of today's SDKs, and their plans, as those of an API version."""
    shutil.copy(FOLDER / "source.py", folder / "frozen.py")
    python = load_bundle(folder / "frozen.py", "frozen")
    go = read_packed(GoBundles(folder).pack(SDK / "internal" / "testbundle", "testbundle"))
    target = FOLDER / version
    target.mkdir(parents=True, exist_ok=True)
    for language, manifest in (("python", python.manifest("v1")), ("go", go.manifest)):
        manifest.sdk.language_version = ""  # of the machine, and not of the SDK
        (target / f"{language}.binpb").write_bytes(manifest.SerializeToString(deterministic=True))
        plans = json.dumps(read_plans(manifest, versions), indent=1)
        (target / f"{language}.json").write_text(plans + "\n")
