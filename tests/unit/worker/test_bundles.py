"""Packed bundles among the watched ones: what is offered, replaced, retired and told."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from crosswind.runtime.bundles import BundleSource, WatchedBundles
from crosswind.runtime.executor import ExecutorGone, TaskEnd
from tests.unit.worker.hosts import RecordingHost, make_request
from tests.unit.worker.plugin_files import pack, pack_kit, script
from tests.unit.worker.test_plugin import result_of


@pytest_asyncio.fixture
async def watched(tmp_path: Path) -> AsyncIterator[WatchedBundles]:
    """The bundle kit, once it is on offer."""
    pack_kit(tmp_path / "kit", mark="first")
    left_behind = tmp_path / "copies" / "left-behind"
    left_behind.parent.mkdir()
    left_behind.touch()
    source = BundleSource(name="kit", path=tmp_path / "kit", packed=True)
    bundles = WatchedBundles([source], import_timeout=30.0, copies=tmp_path / "copies")
    running = asyncio.create_task(bundles.run())
    await change(bundles)
    assert not left_behind.exists()
    yield bundles
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await bundles.close()
    assert list((tmp_path / "copies").iterdir()) == []


async def change(bundles: WatchedBundles) -> None:
    async with asyncio.timeout(20):
        await bundles.wait_for_change()


def versions(bundles: WatchedBundles) -> list[str]:
    return [manifest.bundle_version for manifest in bundles.manifests()]


async def run(bundles: WatchedBundles, version: str, name: str, host: RecordingHost | None = None) -> TaskEnd:
    executor = await bundles.find_executor("kit", version)
    request = make_request(name)
    request.context.entry_point = name
    async with asyncio.timeout(30):
        end = await executor.start(request, host or RecordingHost()).wait()
    bundles.sweep()
    return end


async def test_a_replaced_file_is_a_new_version_beside_the_old_one(watched, tmp_path):
    (first,) = versions(watched)
    assert watched.take_observed() == {}
    old = result_of(await run(watched, first, "succeed"))["pid"]
    second = pack_kit(tmp_path / "kit", mark="second")
    await change(watched)
    assert versions(watched) == [first, second]
    assert watched.take_observed() == {"kit": second}
    assert result_of(await run(watched, second, "succeed"))["pid"] != old
    assert result_of(await run(watched, first, "succeed"))["value"] == "value of v0"
    watched.retire("kit", second)  # the newest one stays
    watched.retire("kit", first)
    await change(watched)
    assert versions(watched) == [second]
    with pytest.raises(ExecutorGone, match="does not have version"):
        await watched.find_executor("kit", first)
    assert len(list((tmp_path / "copies").iterdir())) == 1


async def test_a_version_that_comes_back_is_the_same(watched, tmp_path):
    (first,) = versions(watched)
    second = pack_kit(tmp_path / "kit", mark="second")
    await change(watched)
    watched.take_observed()
    assert pack_kit(tmp_path / "kit", mark="first") == first
    await change(watched)
    assert versions(watched) == [second, first]
    assert watched.take_observed() == {"kit": first}
    assert result_of(await run(watched, first, "succeed"))["value"] == "value of v0"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.write_bytes(b"x" + path.read_bytes()), "it is damaged: its checksum is another"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "it is no packed bundle"),
        (lambda path: pack(path, script("exit 0"), bundle="other"), "it is the bundle other now"),
        (lambda path: path.unlink(), "No such file"),
    ],
    ids=["damaged", "cut-off", "another", "gone"],
)
async def test_a_file_that_cannot_be_read_leaves_the_version_before(watched, tmp_path, caplog, spoil, sentence):
    (first,) = versions(watched)
    told = asyncio.Event()

    def look(record: logging.LogRecord) -> bool:
        if "could not be read" in record.getMessage():
            told.set()
        return True

    caplog.handler.addFilter(look)
    spoil(tmp_path / "kit")
    async with asyncio.timeout(20):
        await told.wait()
    assert sentence in caplog.text
    assert f"version {first[:8]} stays on offer" in caplog.text
    assert result_of(await run(watched, first, "succeed"))["value"] == "value of v0"


async def test_without_a_state_folder_copies_are_temporary(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    version = pack_kit(tmp_path / "kit")
    bundles = WatchedBundles([BundleSource(name="kit", path=tmp_path / "kit", packed=True)], import_timeout=30.0)
    running = asyncio.create_task(bundles.run())
    await change(bundles)
    (folder,) = tmp_path.glob("crosswind-bundles-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert result_of(await run(bundles, version, "succeed"))["value"] == "value of v0"
    running.cancel()
    await bundles.close()
    assert not folder.exists()
