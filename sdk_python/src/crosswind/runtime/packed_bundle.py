"""Packed bundles: files of a program and, behind it, the manifest of what it offers.

Here belongs the format: recognising, reading, checking and copying such files, all without running them. What runs them
is `plugin_process.py`. The format is in docs/protocol.md, "Bundles as plugins".
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from google.protobuf.message import DecodeError

from crosswind.manifest.v1 import bundle_pb2

MAGIC: Final = b"CROSSWIND-BNDL/1"
_FAMILY: Final = b"CROSSWIND-BNDL/"
_TRAILER: Final = struct.Struct(">Q32s16s")  # length of the manifest, digest of the program, magic
_VERSION_BYTES: Final = 16  # of the digest, of which the version is made
_PIECE: Final = 1024 * 1024
_MACHINES: Final = {3: "x86", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv"}
_OTHER_SYSTEMS: Final = {b"\xcf\xfa\xed\xfe": "macOS", b"\xca\xfe\xba\xbe": "macOS", b"MZ": "Windows"}


class PackedBundleDamaged(Exception):
    """A file is no packed bundle that could be run; the message says why, in a sentence without a full stop."""


@dataclass(frozen=True, kw_only=True)
class PackedBundle:
    """A packed bundle on disk, found to be whole.

    Args:
        path: the file.
        manifest: what it offers.
        file_digest: SHA-256 of the whole file.
    """

    path: Path
    manifest: bundle_pb2.Manifest
    file_digest: bytes

    def check(self) -> None:
        """Makes sure that the file is still what was read.

        Raises:
            PackedBundleDamaged: it is not.
        """
        try:
            with self.path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise PackedBundleDamaged(f"its copy {self.path} cannot be read: {error.strerror}") from error
        if found != self.file_digest:
            raise PackedBundleDamaged(f"its copy {self.path} is not what was copied: its checksum differs")


def is_packed(path: Path) -> bool:
    """Whether a file ends as packed bundles do, of this version of the format or another.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < _TRAILER.size:
            return False
        file.seek(size - len(MAGIC))
        return file.read().startswith(_FAMILY)


def read_packed(path: Path) -> PackedBundle:
    """Reads and checks a packed bundle.

    Raises:
        PackedBundleDamaged: it is none, or damaged.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return _read(path, file, None)


def copy_packed(path: Path, folder: Path) -> PackedBundle:
    """Copies a packed bundle into a folder, so that what runs stays when the file is replaced.

    The copy is checked while it is written, and is there whole or not at all.

    Args:
        path: the bundle.
        folder: nobody else's. It is made if need be, 0700.

    Returns:
        The copy, 0500.

    Raises:
        PackedBundleDamaged: it is none, or damaged.
        OSError: it cannot be read, or the folder not written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=folder)
    new = Path(name)
    try:
        with open(descriptor, "wb") as copy, path.open("rb") as file:
            found = _read(path, file, copy)
        new.chmod(0o500)
        # A version may come back while its copy of before is about to be removed.
        final = folder / f"{found.manifest.bundle_version}-{secrets.token_hex(4)}"
        new.rename(final)
    finally:
        new.unlink(missing_ok=True)
    return PackedBundle(path=final, manifest=found.manifest, file_digest=found.file_digest)


def explain_platform(path: Path) -> str:
    """For whom a program was built that this machine cannot run, in a few words; empty where that is not the matter."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        return ""
    here = platform.machine()
    if head.startswith(b"\x7fELF") and len(head) >= 20:
        order = ">" if head[5:6] == b"\x02" else "<"
        number = struct.unpack_from(f"{order}H", head, 18)[0]
        machine = _MACHINES.get(number, f"machine type {number}")
        return "" if here.startswith(machine) else f"it was built for {machine}, and this machine is {here}"
    for magic, system in _OTHER_SYSTEMS.items():
        if head.startswith(magic):
            return f"it was built for {system}, and this machine runs Linux"
    return "it is no program for Linux"


def _read(path: Path, file: BinaryIO, copy: BinaryIO | None) -> PackedBundle:
    """Reads a bundle once, from its beginning, and writes what was read into the copy."""
    size = file.seek(0, os.SEEK_END)
    if size < _TRAILER.size:
        raise PackedBundleDamaged("it is no packed bundle: it is shorter than the end of one")
    file.seek(size - _TRAILER.size)
    length, digest, magic = _TRAILER.unpack(file.read(_TRAILER.size))
    if magic != MAGIC:
        if magic.startswith(_FAMILY):
            form = magic.removeprefix(_FAMILY).decode(errors="replace")
            raise PackedBundleDamaged(f"it is packed in form {form}, which is newer than this worker: upgrade it")
        raise PackedBundleDamaged("it is no packed bundle: make one with crosswind-go-pack")
    program_size = size - _TRAILER.size - length
    if program_size <= 0:
        raise PackedBundleDamaged("it is damaged: its manifest would be larger than the file; pack or copy it again")
    file.seek(0)
    whole = hashlib.sha256()
    program = hashlib.sha256()
    manifest_bytes = bytearray()
    position = 0
    while piece := file.read(_PIECE):
        whole.update(piece)
        if copy is not None:
            copy.write(piece)
        program.update(piece[: max(0, program_size - position)])
        begin, end = (min(max(0, place - position), len(piece)) for place in (program_size, program_size + length))
        manifest_bytes += piece[begin:end]
        position += len(piece)
    if program.digest() != digest or position != size:
        raise PackedBundleDamaged(
            "it is damaged: its checksum is another than when it was packed; pack or copy it again"
        )
    manifest = bundle_pb2.Manifest()
    try:
        manifest.ParseFromString(bytes(manifest_bytes))
    except DecodeError:
        raise PackedBundleDamaged("it is damaged: its manifest cannot be read; pack or copy it again") from None
    if not manifest.bundle or manifest.bundle_version != digest[:_VERSION_BYTES].hex():
        raise PackedBundleDamaged("it is damaged: its manifest belongs to another program; pack it again")
    return PackedBundle(path=path, manifest=manifest, file_digest=whole.digest())
