"""What the gates choose for a call: nothing at the newest version, and the same way for the same call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import descriptor_pool, json_format, message_factory

from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.changes import Change, MessageRenamed
from crosswind_server.versions.gates import NEGOTIATE, Gates, reason_prefix
from crosswind_server.versions.history import History, Release
from tests.compat.snapshots import compile_protos

OLD = """\
syntax = "proto3";
package small.v1;
import "crosswind/options/v1/options.proto";
message Ask { Step step = 1; repeated Step steps = 2; map<string, Step.Kind> kinds = 3; }
message Step {
  Kind kind = 1;
  enum Kind { KIND_UNSPECIFIED = 0; KIND_A = 1; }
}
service Small { rpc Do(Ask) returns (Ask); }
"""
NEW = OLD.replace("Step", "Stage").replace(
    "KIND_A = 1;",
    'KIND_A = 1; KIND_B = 2 [(crosswind.options.v1.value_since) = "2026-02-01",'
    ' (crosswind.options.v1.fallback) = "KIND_A"];',
)
DO = "/small.v1.Small/Do"
RENAMED: tuple[Change, ...] = (MessageRenamed("small.v1.Step", "small.v1.Stage", why="For a test."),)


@pytest.fixture(scope="module")
def history(tmp_path_factory) -> History:
    snapshots = compile_protos((OLD, NEW), tmp_path_factory.mktemp("protos"))
    return History(
        (
            Release(ApiVersion.parse("2026-01-01"), lambda: snapshots[OLD]),
            Release(ApiVersion.parse("2026-02-01"), lambda: snapshots[NEW], RENAMED),
        ),
        "small.v1.Reason",
    )


def of(release: Release, name: str) -> type[Any]:
    pool = descriptor_pool.DescriptorPool()
    for file in release.descriptors.file:
        pool.Add(file)
    found: type[Any] = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    return found


def test_nothing_is_done_at_the_newest_version(history):
    crossing = Gates(history).choose(DO, "2026-02-01")
    assert (crossing.upgrade, crossing.downgrade, crossing.explain) == (None, None, None)
    assert (crossing.method, crossing.version, crossing.leniencies) == (DO, "2026-02-01", frozenset())


def test_nothing_is_done_where_nothing_changed_for_a_message(history):
    crossing = Gates(history).choose(DO, "2026-01-01")
    assert crossing.upgrade is None  # a renamed message is the same on the wire
    assert crossing.downgrade is not None  # and may hold a value that is new


def test_an_enum_goes_with_the_renamed_message_that_it_is_in(history):
    old, new = history.releases
    sent = of(new, "small.v1.Ask")()
    said = {"step": {"kind": "KIND_B"}, "steps": [{"kind": "KIND_B"}, {"kind": "KIND_A"}], "kinds": {"x": "KIND_B"}}
    json_format.Parse(json.dumps(said), sent)
    downgrade = Gates(history).choose(DO, "2026-01-01").downgrade
    assert downgrade is not None
    received = of(old, "small.v1.Ask").FromString(downgrade(sent.SerializeToString()))
    assert json_format.MessageToDict(received) == json.loads(json.dumps(said).replace("KIND_B", "KIND_A"))


def test_the_same_way_is_chosen_once(history):
    gates = Gates(history)
    assert gates.choose(DO, "2026-01-01") is gates.choose(DO, "2026-01-01")


def test_whatever_is_named_to_negotiate_is_not_kept(history):
    gates = Gates(history)
    ways = {id(gates.choose(NEGOTIATE, named)) for named in (None, "", "tomorrow", "2026-01-01", "x" * 1000)}
    assert len(ways) == 1


def test_the_prefix_of_reasons():
    assert reason_prefix("ErrorReason") == "ERROR_REASON_"
