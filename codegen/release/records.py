"""What is kept of a frozen version, in `proto/released/<date>/`: all that is needed to build its artifacts again.

| file | what it is |
|---|---|
| `snapshot.binpb` | every proto and what they import, as a FileDescriptorSet without comments |
| `source.tar.xz` | the source of both SDKs, of the bundle, and the protos |
| `sdk.lock` | what the Python SDK ran with that day, with hashes |
| `build.lock` | what builds the artifacts, Go included, with hashes; Go modules are in the source's `go.sum` |
| `release.json` | the hash of each of these files, and of each artifact that is built from them |

Here belong the layout and the reading and writing of the record. The artifacts themselves are never kept.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
RELEASED: Final = ROOT / "proto" / "released"
PROVISIONAL: Final = RELEASED / "provisional.binpb"
SNAPSHOT: Final = "snapshot.binpb"
SOURCE: Final = "source.tar.xz"
SDK_LOCK: Final = "sdk.lock"
BUILD_LOCK: Final = "build.lock"
RECORD: Final = "release.json"
KEPT: Final = (SNAPSHOT, SOURCE, SDK_LOCK, BUILD_LOCK)
SOURCES: Final = ("proto/crosswind", "sdk_python", "sdk_go", "tests/compat/release_pipeline")
"""What the source archive holds, of what git tracks."""

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class ReleaseError(Exception):
    """What was asked cannot be done; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """One frozen version.

    Attributes:
        version: its date.
        commit: the commit that the source was taken from.
        source_date_epoch: the time of that commit, in seconds, which everything built from it carries.
        platform: what the binaries are for, as Go says it: `linux/amd64`.
        python: what built the wheel, with the version of zlib, which decides how it is compressed.
        files: SHA-256 of each file kept, by its name.
        artifacts: SHA-256 of each artifact, by its name.
    """

    version: str
    commit: str
    source_date_epoch: int
    platform: str
    python: str
    files: Mapping[str, str]
    artifacts: Mapping[str, str]

    def write(self, folder: Path) -> None:
        """Write it into the folder of its version."""
        (folder / RECORD).write_text(json.dumps(asdict(self), indent=2) + "\n")


def read_record(version: str, released: Path = RELEASED) -> Record:
    """The record of a frozen version, whose files are what they were.

    Raises:
        ReleaseError: there is none, or a file is missing or another one by now.
    """
    folder = released / version
    if not (folder / RECORD).is_file():
        known = ", ".join(frozen_versions(released)) or "none yet"
        raise ReleaseError(f"API version {version} is not frozen; these are: {known}.")
    record = Record(**json.loads((folder / RECORD).read_text()))
    for name, digest in record.files.items():
        if not (folder / name).is_file():
            raise ReleaseError(f"{folder / name} is missing; a frozen version never changes: restore it from git.")
        if sha256(folder / name) != digest:
            raise ReleaseError(
                f"{folder / name} is not the file that was frozen; a frozen version never changes: restore it from git."
            )
    return record


def frozen_versions(released: Path = RELEASED) -> Sequence[str]:
    """The versions that are frozen, oldest first."""
    if not released.is_dir():
        return []
    return sorted(path.name for path in released.iterdir() if path.is_dir() and _DATE.fullmatch(path.name))


def sha256(path: Path) -> str:
    """The digest of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_archive(target: Path, root: Path, names: Sequence[str], *, epoch: int) -> None:
    """Pack files so that the same ones always give the same bytes: sorted, owned by nobody, all of one time."""
    with lzma.open(target, "wb", preset=9) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name in sorted(names):
            path = root / name
            info = tarfile.TarInfo(name)
            info.mtime = epoch
            if path.is_symlink():
                info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
                archive.addfile(info)
                continue
            info.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            info.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(info, file)


def unpack_archive(archive: Path, target: Path) -> None:
    """Unpack what `write_archive` wrote."""
    with tarfile.open(archive, "r:xz") as packed:
        packed.extractall(target, filter="data")
