"""A bundle that could not be read for reasons that have nothing to do with it is read again, though no file changes."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from crosswind.runtime import bundles
from crosswind.runtime.bundles import BundleSource, WatchedBundles
from crosswind.runtime.zygote_process import ZygoteBroken, ZygoteProcess
from tests.unit.worker.hosts import DAG_FILE


@pytest.mark.parametrize(
    "trouble",
    [
        OSError(24, "Too many open files"),
        ZygoteBroken("no process could be started for it: Cannot allocate memory"),
        ZygoteBroken("importing it ended the process with exit code 137"),
    ],
    ids=str,
)
async def test_what_may_pass_is_tried_again(
    trouble: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn, troubles = ZygoteProcess.spawn, [trouble, trouble]

    async def spawn_at_the_third_time(*arguments: Any, **options: Any) -> ZygoteProcess:
        if troubles:
            raise troubles.pop()
        return await spawn(*arguments, **options)

    monkeypatch.setattr(ZygoteProcess, "spawn", spawn_at_the_third_time)
    monkeypatch.setattr(bundles, "_RESPAWN_SECONDS", (0.0,))
    (tmp_path / "kit.py").write_text(DAG_FILE)
    watched = WatchedBundles([BundleSource(name="kit", path=tmp_path)], import_timeout=30.0)
    running = asyncio.create_task(watched.run())
    try:
        async with asyncio.timeout(20):
            await watched.wait_for_change()
        assert [manifest.bundle for manifest in watched.manifests()] == ["kit"]
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await watched.close()


def test_what_the_code_itself_says_is_not() -> None:
    assert not bundles._may_pass(ZygoteBroken("SyntaxError: invalid syntax", by_code=True))
    assert not bundles._may_pass(FileNotFoundError(2, "No such file or directory"))
