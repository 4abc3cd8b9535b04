"""A clone of this checkout in which a test may release API versions and change protos, with an environment of its own.

What is not committed here is taken along, so that what is tested is what lies here. Nothing is installed anew but the
two distributions, editable: everything else is found in the environment that runs the tests.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from codegen.release.artifacts import install

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 900.0
# Of the make that runs the tests, and of this environment: neither is the clone's business.
_FOREIGN = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


class Scratch:
    """The clone.

    Args:
        folder: where it is made; it does not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if name not in _FOREIGN and not name.startswith("GIT_")
            },
            **{f"GIT_{who}_{what}": "scratch" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self._clone()
        self._equip()

    @property
    def bin(self) -> Path:
        """The programs of its environment."""
        return self.folder / ".venv" / "bin"

    def make(self, *arguments: str) -> str:
        """Run make; returns what it printed.

        Raises:
            AssertionError: it failed.
        """
        done = self.run("make", *arguments)
        assert done.returncode == 0, f"make {' '.join(arguments)}\n{done.stdout}"
        return done.stdout

    def refuse(self, *arguments: str) -> str:
        """Run make, which is to fail; returns what it printed."""
        done = self.run("make", *arguments)
        assert done.returncode != 0, f"make {' '.join(arguments)} was to fail\n{done.stdout}"
        return done.stdout

    def commit(self, message: str) -> None:
        """Commit all there is."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)

    def git(self, *arguments: str, text: str | None = None) -> str:
        """Run git; returns what it printed."""
        done = self.run("git", *arguments, text=text)
        assert done.returncode == 0, f"git {' '.join(arguments)}\n{done.stdout}"
        return done.stdout

    def apply(self, patch: str) -> None:
        """Apply a unified diff, which may be some lines off."""
        self.git("apply", "-C1", "--recount", "-", text=patch)

    def go_build(self, package: str, target: Path) -> Path:
        """Build a command of its Go SDK, with the Go of the tests."""
        done = self.run("go", "build", "-o", str(target), package, folder="sdk_go")
        assert done.returncode == 0, done.stdout
        return target

    def run(self, *command: str, folder: str = ".", text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in it, with both streams in one."""
        return subprocess.run(
            command,
            cwd=self.folder / folder,
            env=self.environment,
            input=text or "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    def _clone(self) -> None:
        subprocess.run(
            ["git", "clone", "--quiet", "--shared", ROOT, self.folder],
            env=self.environment,
            check=True,
            timeout=_SECONDS,
        )
        for name in _listed("--modified", "--others", "--exclude-standard"):
            source, target = ROOT / name, self.folder / name
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
            else:
                target.unlink(missing_ok=True)
        self.commit("Take what is not committed along")

    def _equip(self) -> None:
        """Make its environment as make expects it."""
        venv = self.folder / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=_SECONDS)
        here, there = Path(sys.executable).parent, self.bin
        (site,) = venv.glob("lib/python*/site-packages")
        # Last on the path, and its own .pth files are not read: what is editable here is not found there.
        (site / "zz_tests.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
        for program in here.iterdir():
            if not (there / program.name).exists() and not program.name.startswith(("activate", "crosswind")):
                (there / program.name).symlink_to(program)
        editable: Sequence[str | Path] = ["-e", self.folder / "sdk_python", "-e", self.folder / "server"]
        install(there / "python", ["--no-deps", "--no-build-isolation", *editable])
        generators = ROOT / "build" / "codegen-venv"
        if generators.exists():
            (self.folder / "build").mkdir()
            (self.folder / "build" / "codegen-venv").symlink_to(generators)
            os.utime(self.folder / "codegen" / "requirements.lock", (0, 0))  # older than what is made of it
        (venv / ".installed").touch()


def _listed(*arguments: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=_SECONDS
    )
    return listed.stdout.split("\0")[:-1]
