"""What an answer of the newest version becomes to an older client, where the laboratory shows no case of it."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pool, json_format, message_factory

from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.changes import ArmAdded, EnumValueMapped, FieldRenamed
from crosswind_server.versions.gates import Gates
from crosswind_server.versions.history import History, Release
from tests.compat.snapshots import compile_protos

WHY = "For a test."
ANSWER = "small.v1.Answer"
OLD = """\
syntax = "proto3";
package small.v1;
import "crosswind/options/v1/options.proto";
message Answer {
  repeated Kind kinds = 1;
  optional Kind kind = 2;
  string note = 3;
  oneof said { string yes = 4; }
  map<string, Answer> by = 7;
  repeated string names = 8;
  map<string, Kind> map_of_kinds = 9;
}
enum Kind { KIND_UNSPECIFIED = 0; KIND_A = 1; KIND_Z = 2; }
service Small { rpc Do(Answer) returns (Answer); }
"""
NEW = (
    OLD.replace("string yes = 4;", "string yes = 4; string no = 5;")
    .replace("repeated string names = 8;", "repeated string called = 18;")
    .replace("map<string, Kind> map_of_kinds = 9;", "map<string, Kind> kinds_by = 19;")
    .replace(
        "KIND_Z = 2;",
        'KIND_Z = 2; KIND_B = 3 [(crosswind.options.v1.value_since) = "2026-02-01",'
        ' (crosswind.options.v1.fallback) = "KIND_Z"];',
    )
)


@pytest.fixture(scope="module")
def history(tmp_path_factory) -> History:
    snapshots = compile_protos((OLD, NEW), tmp_path_factory.mktemp("protos"))

    def choose(fields: Any) -> str:
        return "KIND_A" if fields["note"] else "KIND_UNSPECIFIED"

    changes = (
        EnumValueMapped(ANSWER, "kinds", "KIND_B", choose, why=WHY),
        EnumValueMapped(ANSWER, "kind", "KIND_B", choose, why=WHY),
        ArmAdded(ANSWER, "no", why=WHY),
        FieldRenamed(ANSWER, "names", "called", why=WHY),
        FieldRenamed(ANSWER, "map_of_kinds", "kinds_by", why=WHY),
    )
    return History(
        (
            Release(ApiVersion.parse("2026-01-01"), lambda: snapshots[OLD]),
            Release(ApiVersion.parse("2026-02-01"), lambda: snapshots[NEW], changes),
        ),
        "small.v1.Reason",
    )


def of(release: Release) -> type[Any]:
    pool = descriptor_pool.DescriptorPool()
    for file in release.descriptors.file:
        pool.Add(file)
    found: type[Any] = message_factory.GetMessageClass(pool.FindMessageTypeByName(ANSWER))
    return found


@pytest.mark.parametrize(
    ("answered", "heard"),
    [
        ({"kinds": ["KIND_B", "KIND_A"], "note": "x"}, {"kinds": ["KIND_A", "KIND_A"], "note": "x"}),
        ({"kinds": ["KIND_Z", "KIND_B"]}, {"kinds": ["KIND_Z", "KIND_UNSPECIFIED"]}),
        ({"kind": "KIND_B"}, {"kind": "KIND_UNSPECIFIED"}),
        ({"kind": "KIND_Z"}, {"kind": "KIND_Z"}),
        ({"note": "x", "no": "never"}, {"note": "x"}),
        ({"note": "x", "yes": "now"}, {"note": "x", "yes": "now"}),
        ({"by": {"a": {"no": "never"}, "b": {"yes": "now"}}}, {"by": {"b": {"yes": "now"}}}),
        (
            {"by": {"a": {"by": {"b": {"kind": "KIND_B", "note": "x"}}}}},
            {"by": {"a": {"by": {"b": {"kind": "KIND_A", "note": "x"}}}}},
        ),
        ({"called": ["a", "b"]}, {"names": ["a", "b"]}),
        ({"kinds_by": {"a": "KIND_A", "b": "KIND_B"}}, {"map_of_kinds": {"a": "KIND_A", "b": "KIND_Z"}}),
    ],
)
def test_an_old_client_hears(history: History, answered: dict[str, Any], heard: dict[str, Any]):
    old, new = history.releases
    downgrade = Gates(history).choose("/small.v1.Small/Do", "2026-01-01").downgrade
    assert downgrade is not None
    answer = json_format.ParseDict(answered, of(new)())
    received = of(old).FromString(downgrade(answer.SerializeToString()))
    assert json_format.MessageToDict(received, preserving_proto_field_name=True) == heard
