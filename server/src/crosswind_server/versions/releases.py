"""The API versions of this server: one module each, and the snapshot of every one but the newest.

Here belongs the list. The newest version has no snapshot until it is frozen: it is what the protos say now.
"""

from __future__ import annotations

import importlib.util
import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import Final

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

import crosswind
from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions import v2026_12_01
from crosswind_server.versions.history import History, HistoryBroken, Release

MODULES: Final[tuple[ModuleType, ...]] = (v2026_12_01,)
"""Oldest first. A version that is no longer served is taken off the front."""

REASONS: Final = "crosswind.execution.v1.ErrorReason"
CURRENT: Final = ApiVersion.parse(MODULES[-1].VERSION)
"""The newest version, in which handlers are written."""


@cache
def server_history() -> History:
    """All versions that this server serves."""
    newest = MODULES[-1]
    releases = []
    for module in MODULES:
        version = ApiVersion.parse(module.VERSION)
        load = current_descriptors if module is newest else _snapshot(version)
        releases.append(Release(version, load, () if module is MODULES[0] else module.CHANGES))
    return History(tuple(releases), REASONS)


@cache
def current_descriptors() -> FileDescriptorSet:
    """Every file of the protos as they are now, and what those import."""
    found: dict[str, FileDescriptorProto] = {}
    for name in _stub_modules():
        _collect(importlib.import_module(name).DESCRIPTOR, found)
    return FileDescriptorSet(file=found.values())


def _stub_modules() -> list[str]:
    names = []
    for package in pkgutil.iter_modules(crosswind.__path__, "crosswind."):
        if package.ispkg and (versions := importlib.util.find_spec(f"{package.name}.v1")) is not None:
            found = pkgutil.iter_modules(versions.submodule_search_locations, f"{package.name}.v1.")
            names += [module.name for module in found if module.name.endswith("_pb2")]
    return sorted(names)


def _collect(file: FileDescriptor, found: dict[str, FileDescriptorProto]) -> None:
    """A file after those that it imports."""
    if file.name not in found:
        for dependency in file.dependencies:
            _collect(dependency, found)
        found[file.name] = FileDescriptorProto.FromString(file.serialized_pb)


def _snapshot(version: ApiVersion) -> Callable[[], FileDescriptorSet]:
    def load() -> FileDescriptorSet:
        for path in snapshot_places(version):
            if path.is_file():
                return FileDescriptorSet.FromString(path.read_bytes())
        raise HistoryBroken(f"API version {version} has no snapshot; `make release-api` writes it")

    return load


def snapshot_places(version: ApiVersion) -> Sequence[Traversable]:
    """Where the snapshot of a frozen version may be: in an installed distribution, or in a checkout, where it lives."""
    checkout = Path(__file__).resolve().parents[4]
    return (
        files("crosswind_server.versions") / "released" / f"{version}.binpb",
        checkout / "proto" / "released" / str(version) / "snapshot.binpb",
    )
