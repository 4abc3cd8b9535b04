"""docs/versions.md is what the versions say, and every kind of change is said in it; the laboratory's page shows how.

`REWRITE_PAGES=1 pytest tests/compat/test_changelog.py` writes the laboratory's page anew, to be read before it is
committed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from codegen.compat import __main__ as command
from codegen.compat.changelog import changelog
from codegen.compat.growing import Growing
from crosswind_server.versions import changes
from crosswind_server.versions.history import History, Release
from crosswind_server.versions.releases import server_history
from tests.compat.lab.history import lab_history

PAGE = Path(__file__).parent / "lab" / "versions.md"
ROOT = Path(__file__).resolve().parents[2]
GROWING = Growing({"lab.v1.GetTaskResponse": "somebody reads it on the way"}, {}, {})


def test_the_page_is_what_the_versions_say():
    assert command.PAGE.read_text() == changelog(server_history()), "run `make gen`"


def test_the_first_version_says_that_it_is_the_first():
    only = History(server_history().releases[:1], server_history().reasons)
    first = str(only.releases[0].version)
    assert f"## {first}\n\nThe first version: there is nothing before it" in changelog(only)


def test_the_page_of_the_laboratory_is_as_it_was_read():
    page = changelog(lab_history(), GROWING)
    if os.environ.get("REWRITE_PAGES"):
        PAGE.write_text(page)
    assert page == PAGE.read_text()


def test_the_laboratory_has_every_kind_of_change_so_that_its_page_says_each():
    kinds = {type(change).__name__ for release in lab_history().releases for change in release.changes}
    assert kinds == {kind.__name__ for kind in changes.Change.__subclasses__()}


def test_the_page_says_why_and_what_older_clients_see_of_every_change():
    page = " ".join(PAGE.read_text().split())
    for release in lab_history().releases:
        for change in release.changes:
            assert change.why in page, change
            lossy = getattr(change, "lossy", None) or getattr(getattr(change, "by", None), "lossy", None)
            assert lossy is None or lossy.sentence in page, change


def test_every_new_value_says_what_older_clients_receive():
    page = PAGE.read_text()
    for old, new in zip(lab_history().releases, lab_history().releases[1:], strict=False):
        for name, enum in new.enums.items():
            for value in enum.value:
                if name in old.enums and all(value.name != each.name for each in old.enums[name].value):
                    assert value.name.removeprefix("ERROR_REASON_") in page


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_finds_nothing_in_the_versions_of_this_server():
    done = subprocess.run(
        [sys.executable, "-m", "codegen.compat", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(": every difference is covered\n")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The command with a history in which a rename is not declared, and a page of its own."""
    history = lab_history()
    second = history.releases[1]
    kept = tuple(each for each in second.changes if not isinstance(each, changes.FieldRenamed))
    undeclared = Release(second.version, second.load, kept)
    monkeypatch.setattr(command, "server_history", lambda: History((history.releases[0], undeclared), history.reasons))
    page = tmp_path / "versions.md"
    monkeypatch.setattr(command, "PAGE", page)
    return page


def test_the_check_fails_and_names_file_field_and_what_to_write(broken, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compat", "--check"])
    assert command.main() == 1
    said = capsys.readouterr().err
    assert 'Write FieldRenamed("lab.v1.Task", "version_id", "dag_version_id") into CHANGES.' in said
    assert "* lab/v1/tasks.proto: lab.v1.Task.dag_version_id was renamed from version_id" in said


def test_what_is_not_covered_does_not_stop_the_generation_of_stubs(broken, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compat"])
    assert command.main() == 0
    assert not broken.exists()
    assert "`make versions-check` says which" in capsys.readouterr().out


def test_a_page_that_was_edited_is_found(monkeypatch, tmp_path, capsys):
    page = tmp_path / "versions.md"
    page.write_text(command.PAGE.read_text() + "More.\n")
    monkeypatch.setattr(command, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["compat", "--check"])
    assert command.main() == 1
    assert "Run `make gen` and commit it" in capsys.readouterr().err
