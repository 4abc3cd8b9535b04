"""Begins the version after the last one: its file, its place in the list, and the SDKs of this checkout speak it."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Final

from codegen.release.records import ROOT, ReleaseError, frozen_versions

_VERSIONS: Final = ROOT / "server" / "src" / "crosswind_server" / "versions"
_SPOKEN: Final = ("sdk_python/src/crosswind", "sdk_go", "tests/e2e/support")
"""Where it is said which version an SDK, or a test's client, speaks: a name such as `API_VERSIONS`, then the date."""

_FILE: Final = '''"""API version {version}."""

from __future__ import annotations

from typing import Final

from crosswind_server.versions.changes import Change

VERSION: Final = "{version}"
CHANGES: Final[tuple[Change, ...]] = ()
'''


def begin(version: str) -> str:
    """Begin a version; returns what to do next.

    Args:
        version: its date.

    Raises:
        ReleaseError: it is no date or not after the last one, or the last one is not frozen.
    """
    modules = sorted(path.stem for path in _VERSIONS.glob("v[0-9]*_*_*.py"))
    last = modules[-1].removeprefix("v").replace("_", "-")
    try:
        date.fromisoformat(version)
    except ValueError:
        raise ReleaseError(f"{version!r} is no date such as 2027-02-10.") from None
    if version <= last:
        raise ReleaseError(f"API version {version} is not after {last}, the last one: name a later date.")
    if last not in frozen_versions():
        raise ReleaseError(
            f"API version {last} is not frozen: it may still change as it is. Freeze it first with `make release-api`."
        )
    module = f"v{version.replace('-', '_')}"
    (_VERSIONS / f"{module}.py").write_text(_FILE.format(version=version))
    changed = [_list(module, modules[-1]), *_speak(version, last)]
    names = "\n".join(f"  {path.relative_to(ROOT)}" for path in changed)
    return (
        f"API version {version} is begun in {(_VERSIONS / module).relative_to(ROOT)}.py. It is also named in\n{names}\n"
        "Change the protos now, run `make gen`, and `make versions-check` says what has to be written into that file."
    )


def _list(module: str, last: str) -> Path:
    """Put it into the list of the server's versions: where it is imported, and in MODULES."""
    path = _VERSIONS / "releases.py"
    text, times = re.subn(rf"\b{last}\b", f"{last}, {module}", path.read_text())
    if times != 2:
        raise ReleaseError(f"{path} does not name {last} twice, in its imports and in MODULES: mend it.")
    path.write_text(text)
    subprocess.run([Path(sys.executable).with_name("ruff"), "format", "--quiet", path], check=True)
    return path


def _speak(version: str, last: str) -> list[Path]:
    """Let the SDKs of this checkout speak it instead of the last one."""
    changed: list[Path] = []
    for folder in _SPOKEN:
        before = len(changed)
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".py", ".go") or path.name.endswith("_test.go") or "gen" in path.parts:
                continue
            text = path.read_text()
            new = re.sub(rf'(?i)(\b(?:api_?versions?|spoken)\b[^"\n]*"){last}"', rf'\g<1>{version}"', text)
            if new != text:
                path.write_text(new)
                changed.append(path)
        if len(changed) == before:
            raise ReleaseError(f"Nothing in {folder} says that it speaks API version {last}: see where.")
    return changed
