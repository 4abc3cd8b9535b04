"""How the values of a message's fields look to the functions of a change, and how they are set."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pool, json_format, message_factory

from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.accessors import Accessor, accessor
from crosswind_server.versions.changes import MILLISECONDS_TO_DURATION, MOST_NANOSECONDS, SECONDS_TO_DURATION
from crosswind_server.versions.history import History, Release
from crosswind_server.versions.union import Union
from tests.compat.snapshots import compile_protos

PROTO = """\
syntax = "proto3";
package small.v1;
import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";
message All {
  string text = 1;
  optional string said = 2;
  int32 little = 3;
  uint64 much = 4;
  Kind kind = 5;
  google.protobuf.Duration span = 6;
  google.protobuf.Timestamp moment = 7;
  Inner inner = 8;
  repeated int32 numbers = 9;
  repeated Kind kinds = 10;
  repeated google.protobuf.Duration spans = 11;
  map<string, Kind> kind_by = 12;
  map<string, google.protobuf.Duration> span_by = 13;
  map<int32, string> text_by = 14;
  bool yes = 15;
  bytes raw = 16;
  double part = 17;
  oneof one { string left = 18; int64 right = 19; }
}
message Inner { string name = 1; }
enum Kind { KIND_UNSPECIFIED = 0; KIND_A = 1; }
"""
ALL = "small.v1.All"


class Small:
    """Messages of the one version."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._union: Any = Union(History((release,), "small.v1.Reason")).type_of(ALL)
        pool = descriptor_pool.DescriptorPool()
        for file in release.descriptors.file:
            pool.Add(file)
        self._type: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName(ALL))

    def field(self, name: str) -> Accessor:
        return accessor(self._release, self._release.message(ALL), name)

    def read(self, said: dict[str, Any], name: str) -> Any:
        """The value of a field, in a message from JSON."""
        message = json_format.ParseDict(said, self._type())
        return self.field(name).get(self._union.FromString(message.SerializeToString()))

    def written(self, name: str, value: Any) -> Any:
        """The JSON of a message, of which a field was set."""
        message = self._union()
        self.field(name).put(message, value)
        return json_format.MessageToDict(
            self._type.FromString(message.SerializeToString()), preserving_proto_field_name=True
        )


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Small:
    snapshots = compile_protos([PROTO], tmp_path_factory.mktemp("protos"))
    return Small(Release(ApiVersion.parse("2026-01-01"), lambda: snapshots[PROTO]))


@pytest.mark.parametrize(
    ("name", "said", "value"),
    [
        ("text", "a", "a"),
        ("said", "", ""),
        ("little", -5, -5),
        ("much", str(2**64 - 1), 2**64 - 1),
        ("kind", "KIND_A", "KIND_A"),
        ("kind", 7, 7),
        ("span", "-1.500s", -1_500_000_000),
        ("moment", "1969-12-31T23:59:59.500Z", -500_000_000),
        ("inner", {"name": "a"}, b"\n\x01a"),
        ("numbers", [1, 2], (1, 2)),
        ("kinds", ["KIND_A", 7], ("KIND_A", 7)),
        ("spans", ["1s", "2s"], (10**9, 2 * 10**9)),
        ("kind_by", {"a": "KIND_A"}, {"a": "KIND_A"}),
        ("span_by", {"a": "1s"}, {"a": 10**9}),
        ("text_by", {"1": "a"}, {1: "a"}),
        ("yes", True, True),
        ("raw", "AQI=", b"\x01\x02"),
        ("part", 0.5, 0.5),
        ("left", "a", "a"),
        ("right", "0", 0),
    ],
)
def test_a_value_is_read_and_set(small: Small, name: str, said: Any, value: Any):
    assert small.read({name: said}, name) == value
    assert small.written(name, value) == {name: said}


@pytest.mark.parametrize(
    ("name", "nothing"),
    [("said", None), ("span", None), ("inner", None), ("left", None), ("text", ""), ("numbers", ()), ("kind_by", {})],
)
def test_what_is_absent(small: Small, name: str, nothing: Any):
    assert small.read({}, name) == nothing
    assert small.written(name, None) == {}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("little", 2**40, 2**31 - 1),
        ("little", -(2**40), -(2**31)),
        ("much", -1, None),
        ("kind", "KIND_NEVER_HEARD_OF", None),
        ("span", MOST_NANOSECONDS + 1, "315576000000.999999999s"),
        ("span", -(10**30), "-315576000000.999999999s"),
        ("moment", 10**30, "9999-12-31T23:59:59.999999999Z"),
        ("moment", -(10**30), "0001-01-01T00:00:00Z"),
        ("numbers", [2**40], [2**31 - 1]),
    ],
)
def test_a_value_that_a_field_cannot_hold_is_the_nearest_that_it_can(small: Small, name: str, value: Any, said: Any):
    assert small.written(name, value).get(name) == said


@pytest.mark.parametrize(
    ("conversion", "value", "nanoseconds"),
    [
        (SECONDS_TO_DURATION, 90, 90 * 10**9),
        (SECONDS_TO_DURATION, -(2**31), -(2**31) * 10**9),
        (MILLISECONDS_TO_DURATION, -1500, -1_500_000_000),
        (MILLISECONDS_TO_DURATION, 2**63 - 1, (2**63 - 1) * 10**6),
    ],
)
def test_units(conversion, value: int, nanoseconds: int):
    assert conversion.up(value) == nanoseconds
    assert conversion.down(nanoseconds) == value


@pytest.mark.parametrize(
    ("conversion", "nanoseconds", "value"),
    [
        (SECONDS_TO_DURATION, 1_999_999_999, 1),
        (SECONDS_TO_DURATION, -1_999_999_999, -1),
        (SECONDS_TO_DURATION, 10**30, 2**31 - 1),
        (SECONDS_TO_DURATION, -(10**30), -(2**31)),
        (MILLISECONDS_TO_DURATION, 1_999_999, 1),
        (MILLISECONDS_TO_DURATION, 10**30, 2**63 - 1),
    ],
)
def test_what_a_unit_cannot_say(conversion, nanoseconds: int, value: int):
    assert conversion.down(nanoseconds) == value
