"""Bundles and workers of different plugin versions, as go-plugin negotiates them: docs/protocol.md, 9.7."""

from pathlib import Path

import pytest

from crosswind.runtime import plugin_handshake
from crosswind.runtime.packed_bundle import copy_packed
from crosswind.runtime.plugin_executor import PluginExecutor
from crosswind.runtime.plugin_handshake import HandshakeFailed, make_environment, read_handshake
from tests.unit.worker.plugin_files import pack_kit
from tests.unit.worker.test_plugin import result_of, run


async def test_a_bundle_of_an_older_plugin_version_runs_in_a_worker_that_speaks_both(tmp_path, monkeypatch):
    monkeypatch.setattr(plugin_handshake, "PLUGIN_VERSIONS", ("1", "2"))
    pack_kit(tmp_path / "kit")
    executor = PluginExecutor(copy_packed(tmp_path / "kit", tmp_path / "copies"), start_timeout=30.0)
    try:
        environment = result_of(await run(executor, "look_around"))["environment"]
    finally:
        await executor.close()
    assert environment["PLUGIN_PROTOCOL_VERSIONS"] == "1,2"


def test_a_bundle_of_a_newer_plugin_version_is_refused_at_the_handshake():
    with pytest.raises(HandshakeFailed) as refused:
        read_handshake(b"1|2|unix|/folder/socket|grpc|", Path("/folder"))
    assert str(refused.value) == (
        "it serves version 2 of the plugin, and this worker speaks 1: upgrade the older of the two"
    )


def test_a_worker_that_speaks_the_newer_plugin_version_takes_it(monkeypatch):
    monkeypatch.setattr(plugin_handshake, "PLUGIN_VERSIONS", ("1", "2"))
    assert make_environment(Path("/folder"))["PLUGIN_PROTOCOL_VERSIONS"] == "1,2"
    assert read_handshake(b"1|2|unix|/folder/socket|grpc|", Path("/folder")) == "/folder/socket"
