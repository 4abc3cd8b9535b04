"""What is kept of a frozen API version: archives of the same bytes, and records that notice what was changed."""

import os
from pathlib import Path

import pytest

from codegen.release.records import (
    KEPT,
    Record,
    ReleaseError,
    frozen_versions,
    read_record,
    sha256,
    unpack_archive,
    write_archive,
)

EPOCH = 1_800_000_000


def write_tree(root: Path, *, umask: int) -> list[str]:
    """A tree with a program and a link, as a checkout with another umask has it."""
    before = os.umask(umask)
    try:
        (root / "folder").mkdir(parents=True)
        (root / "folder" / "text").write_text("words")
        (root / "run.sh").write_text("#!/bin/sh\n")
        (root / "run.sh").chmod(0o777 & ~umask)
        (root / "link").symlink_to("run.sh")
    finally:
        os.umask(before)
    return ["run.sh", "link", "folder/text"]


def test_archives_of_the_same_files_are_the_same(tmp_path):
    digests = set()
    for number, umask in enumerate((0o022, 0o077)):
        root = tmp_path / str(number)
        names = write_tree(root, umask=umask)
        os.utime(root / "folder" / "text", (number, number))
        write_archive(tmp_path / f"{number}.tar.xz", root, names[::-1] if number else names, epoch=EPOCH)
        digests.add(sha256(tmp_path / f"{number}.tar.xz"))
    assert len(digests) == 1


def test_an_archive_unpacks_to_what_was_packed(tmp_path):
    names = write_tree(tmp_path / "tree", umask=0o022)
    write_archive(tmp_path / "tree.tar.xz", tmp_path / "tree", names, epoch=EPOCH)
    unpack_archive(tmp_path / "tree.tar.xz", tmp_path / "again")
    again = tmp_path / "again"
    assert (again / "folder" / "text").read_text() == "words"
    assert os.access(again / "run.sh", os.X_OK)
    assert not os.access(again / "folder" / "text", os.X_OK)
    assert (again / "link").readlink() == Path("run.sh")
    assert (again / "run.sh").stat().st_mtime == EPOCH


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A folder with the version 2026-12-01 in it."""
    folder = tmp_path / "2026-12-01"
    folder.mkdir()
    for name in KEPT:
        (folder / name).write_text(name)
    files = {name: sha256(folder / name) for name in KEPT}
    Record("2026-12-01", "c0ffee", EPOCH, "linux/amd64", "3.11, zlib 1.3", files, {"worker": "00"}).write(folder)
    (tmp_path / "provisional.binpb").touch()
    (tmp_path / "drafts").mkdir()
    return tmp_path


def test_a_record_is_read_as_it_was_written(released):
    record = read_record("2026-12-01", released)
    assert (record.source_date_epoch, record.artifacts) == (EPOCH, {"worker": "00"})
    assert frozen_versions(released) == ["2026-12-01"]


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_file_that_is_another_or_missing_is_named(released, name):
    file = released / "2026-12-01" / name
    file.write_text("changed")
    with pytest.raises(ReleaseError, match=rf"{name} is not the file that was frozen; .* restore it from git"):
        read_record("2026-12-01", released)
    file.unlink()
    with pytest.raises(ReleaseError, match=rf"{name} is missing; .* restore it from git"):
        read_record("2026-12-01", released)


def test_a_version_that_is_not_frozen_is_refused_with_those_that_are(released):
    with pytest.raises(ReleaseError, match=r"API version 2027-02-10 is not frozen; these are: 2026-12-01\."):
        read_record("2027-02-10", released)
