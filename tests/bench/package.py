"""What `pip install crosswind-sdk` puts on a machine, and what `import crosswind` takes there."""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures import Figures
from tests.bench.readings import MB
from tests.bench.site import WORKSPACE, BenchFailed
from tests.e2e.support.processes import environment_of

SDK = Path("sdk_python")
IMPORTS = 15
INSTALL_SECONDS = 600
TOOLS = {"pip", "setuptools"}
NAMES = "from crosswind import DAG, Connection, Variable, task, task_group"

# In one go and without the tools that a venv brings: distributions, and bytes of all files with their bytecode.
_SURVEY = """
import importlib.metadata, json, pathlib, sys, sysconfig
tools = set(sys.argv[1:])
site = pathlib.Path(sysconfig.get_path("purelib"))
found = list(importlib.metadata.distributions(path=[str(site)]))
kept = sorted({one.name.lower() for one in found} - tools)
theirs = {file.parts[0] for one in found if one.name.lower() in tools for file in one.files or []}
files = [file for file in site.rglob("*") if file.is_file() and file.relative_to(site).parts[0] not in theirs]
size = sum(file.stat().st_size for file in files)
print(json.dumps({"names": kept, "bytes": size}))
"""
_TIMED = """
import sys, time
begin = time.perf_counter()
exec(compile(sys.argv[1], "timed", "exec"))
print(time.perf_counter() - begin, int(any(name.split(".")[0] == "grpc" for name in sys.modules)))
"""


def measure_package() -> Figures:
    """Build the wheel, install it into a new venv, and import it there in fresh interpreters."""
    WORKSPACE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="sdk-", dir=WORKSPACE)).resolve()
    try:
        python = _install(folder)
        survey = json.loads(_run([python, "-I", "-c", _SURVEY, *sorted(TOOLS)], folder))
        plain, grpc_by_package = _time_import(python, "import crosswind", folder)
        names, grpc_by_names = _time_import(python, NAMES, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "sdk.packages": len(survey["names"]),
        "sdk.megabytes": survey["bytes"] / MB,
        "sdk.import_ms": plain * 1e3,
        "sdk.import_names_ms": names * 1e3,
        "sdk.imports_grpc": float(grpc_by_package or grpc_by_names),
    }


def _install(folder: Path) -> Path:
    """Return the interpreter of a new venv that holds the SDK alone."""
    wheels = folder / "wheels"
    # hatchling is among the development tools, so nothing has to be fetched to build.
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    _run([*build, "--wheel-dir", wheels, SDK.resolve()], folder)
    (wheel,) = wheels.glob("crosswind_sdk-*.whl")
    _run([sys.executable, "-m", "venv", folder / "venv"], folder)
    python = folder / "venv" / "bin" / "python"
    _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel], folder)
    return python


def _time_import(python: Path, statement: str, folder: Path) -> tuple[float, bool]:
    """The median seconds that a statement takes in fresh interpreters, and whether it imported grpc."""
    command: list[str | Path] = [python, "-I", "-c", _TIMED, statement]
    _run(command, folder)  # writes bytecode that pip did not
    answers = [_run(command, folder).split() for _ in range(IMPORTS)]
    return statistics.median(float(seconds) for seconds, _ in answers), any(grpc == "1" for _, grpc in answers)


def _run(command: Sequence[str | Path], folder: Path) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment_of({}, folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if result.returncode != 0:
        raise BenchFailed(
            f"{' '.join(map(str, command[:6]))} ... failed.\n{result.stdout[-2000:]}{result.stderr[-2000:]}"
        )
    return result.stdout
