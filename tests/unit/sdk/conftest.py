"""Bundles written and read by tests. What a test reads is forgotten at its end."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crosswind.author.bundle import LoadedBundle, load_bundle

Load = Callable[..., LoadedBundle]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Writes files into a folder and reads it: `load("source")`, or `load({"a.py": "source"})`."""
    path, modules = list(sys.path), set(sys.modules)

    def read(files: str | dict[str, str], name: str = "tested") -> LoadedBundle:
        folder = tmp_path / f"bundle{len(list(tmp_path.glob('bundle*')))}"
        folder.mkdir()
        for file, source in ({"dags.py": files} if isinstance(files, str) else files).items():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(source)
        return load_bundle(folder, name)

    yield read
    sys.path[:] = path
    for module in set(sys.modules) - modules:
        if str(tmp_path) in (getattr(sys.modules[module], "__file__", None) or ""):
            del sys.modules[module]
