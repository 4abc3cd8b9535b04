import struct
from pathlib import Path

import pytest

from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime.packed_bundle import PackedBundleDamaged, copy_packed, explain_platform, is_packed, read_packed
from tests.unit.worker.plugin_files import pack

PROGRAM = b"\x7fELF" + bytes(range(256)) * 9000  # more than one piece
TRAILER = 8 + 32 + 16


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "kit"
    pack(path, PROGRAM)
    return path


def test_a_bundle_is_read_without_running_it(packed):
    assert is_packed(packed)
    found = read_packed(packed)
    assert found.manifest.bundle == "kit"
    assert len(found.manifest.bundle_version) == 32
    assert found.manifest.sdk.language == "kit"


@pytest.mark.parametrize("content", [b"", b"x", b"#!/bin/sh\n" * 100, b"CROSSWIND-BNDL"])
def test_other_files_are_none(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert not is_packed(path)
    with pytest.raises(PackedBundleDamaged, match="no packed bundle"):
        read_packed(path)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (10, "its checksum is another"),
        (len(PROGRAM) - 1, "its checksum is another"),
        (-TRAILER, "manifest would be larger than the file"),
        (-TRAILER + 7, "its checksum is another"),
        (-TRAILER + 8, "its checksum is another"),
        (-1, "newer than this worker"),
        (-16, "no packed bundle"),
        (len(PROGRAM) + 7, "belongs to another program"),
    ],
    ids=["program", "end-of-program", "length", "length-by-one", "digest", "form", "magic", "version-in-manifest"],
)
def test_a_changed_byte_is_noticed(packed, place, sentence):
    data = bytearray(packed.read_bytes())
    data[place] ^= 0x15
    packed.write_bytes(data)
    with pytest.raises(PackedBundleDamaged, match=sentence):
        read_packed(packed)


@pytest.mark.parametrize("size", [100, len(PROGRAM), len(PROGRAM) + 60, -1])
def test_a_file_that_was_cut_off_is_none(packed, size):
    packed.write_bytes(packed.read_bytes()[:size])
    assert not is_packed(packed)


def test_a_manifest_that_is_none_is_refused(tmp_path):
    path = tmp_path / "kit"
    pack(path, PROGRAM, manifest=bundle_pb2.Manifest(bundle="kit", bundle_version="another"))
    with pytest.raises(PackedBundleDamaged, match="belongs to another program"):
        read_packed(path)


def test_a_copy_is_private_and_stays_when_the_file_is_replaced(packed, tmp_path):
    folder = tmp_path / "copies"
    copy = copy_packed(packed, folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert copy.path.stat().st_mode & 0o777 == 0o500
    assert copy.path.read_bytes() == packed.read_bytes()
    assert copy.path.name.startswith(copy.manifest.bundle_version)
    pack(packed, PROGRAM + b"2")
    copy.check()
    assert copy_packed(packed, folder).manifest.bundle_version != copy.manifest.bundle_version
    assert len(list(folder.iterdir())) == 2


def test_a_copy_that_is_tampered_with_is_noticed(packed, tmp_path):
    copy = copy_packed(packed, tmp_path / "copies")
    copy.path.chmod(0o700)
    data = bytearray(copy.path.read_bytes())
    data[-TRAILER - 2] ^= 1
    copy.path.write_bytes(data)
    with pytest.raises(PackedBundleDamaged, match="checksum differs"):
        copy.check()
    copy.path.unlink()
    with pytest.raises(PackedBundleDamaged, match="No such file"):
        copy.check()


def test_a_damaged_bundle_leaves_no_copy(packed, tmp_path):
    packed.write_bytes(b"x" + packed.read_bytes())
    with pytest.raises(PackedBundleDamaged):
        copy_packed(packed, tmp_path / "copies")
    assert list((tmp_path / "copies").iterdir()) == []


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, machine)


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (elf(62), ""),
        (elf(183), "it was built for aarch64, and this machine is x86_64"),
        (elf(999), "it was built for machine type 999, and this machine is x86_64"),
        (
            b"\x7fELF\x01\x02\x01" + bytes(9) + struct.pack(">HH", 2, 8),
            "it was built for machine type 8, and this machine is x86_64",
        ),
        (b"\xcf\xfa\xed\xfe" + bytes(60), "it was built for macOS, and this machine runs Linux"),
        (b"MZ" + bytes(60), "it was built for Windows, and this machine runs Linux"),
        (b"\x7fELF", "it is no program for Linux"),
        (b"hello", "it is no program for Linux"),
    ],
)
def test_another_platform_is_named(tmp_path, monkeypatch, head, sentence):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    path = tmp_path / "program"
    path.write_bytes(head)
    assert explain_platform(path).endswith(sentence)
    assert bool(explain_platform(path)) is bool(sentence)
