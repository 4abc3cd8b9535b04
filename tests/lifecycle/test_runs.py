"""Plays every transcript of runs on the real server, over each database; see `tests/lifecycle/scene`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lifecycle.scene import controlling, mixing, passing, showing, working  # noqa: F401  # they register the commands
from tests.lifecycle.scene.command import read_blocks, write_block
from tests.lifecycle.scene.scene import Scene
from tests.store.witness import rows_of_tables

FOLDER = Path(__file__).parent / "runs"
TRANSCRIPTS = sorted(FOLDER.glob("*.txt"))


_seen: dict[Path, set[tuple[str, str, str]]] = {}
"""What happened in each transcript, in the words of `domain.transitions`."""


@pytest.fixture(params=["sqlite", "postgresql"])
def scene(request: pytest.FixtureRequest):
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("migrated_postgres_url")
    made = Scene(url)
    yield made
    made.close()


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_prints_what_is_written(path: Path, scene: Scene):
    parts = []
    for block in read_blocks(path.read_text(encoding="utf-8")):
        printed = scene.play(block)
        if os.environ.get("CROSSWIND_REWRITE"):
            parts.append(write_block(block, printed))
        else:
            assert printed == list(block.expected), "\n".join([path.name, *block.commands])
    _seen.setdefault(path, set()).update(scene.check().rows)
    if parts:
        path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def test_all_that_the_tables_allow_happens_somewhere():
    for path in TRANSCRIPTS:
        if path not in _seen:
            scene = Scene("sqlite://")
            try:
                for block in read_blocks(path.read_text(encoding="utf-8")):
                    scene.play(block)
                _seen[path] = scene.check().rows
            finally:
                scene.close()
    unseen = sorted(rows_of_tables() - set().union(*_seen.values()))
    assert not unseen, f"no transcript shows {unseen}"
