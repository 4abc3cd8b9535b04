"""What is written of the versions wrongly is found when a server starts, and not by a client."""

from __future__ import annotations

import re

import pytest

from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.changes import (
    SECONDS_TO_DURATION,
    ArmAdded,
    Change,
    DefaultChanged,
    EnumValueMapped,
    FieldConverted,
    FieldMoved,
    FieldRemoved,
    FieldRenamed,
    FieldRequired,
    FieldsMerged,
    FieldSplit,
    FieldWidened,
    FreeChange,
    MessageRenamed,
    MethodMoved,
    MethodRetired,
)
from crosswind_server.versions.gates import Gates
from crosswind_server.versions.history import History, HistoryBroken, Release
from tests.compat.snapshots import compile_protos

WHY = "For a test."
ASK = "small.v1.Ask"
OLD = """\
syntax = "proto3";
package small.v1;
import "crosswind/options/v1/options.proto";
message Ask {
  string title = 1;
  int32 seconds = 2;
  optional int32 priority = 3 [(crosswind.options.v1.default_value) = "5"];
  optional Kind mood = 4 [(crosswind.options.v1.default_value) = "KIND_A"];
  Kind kind = 5;
  Limits limits = 6;
  repeated Limits many = 7;
  oneof what { string left = 8; }
}
message Limits { int32 tries = 1; }
enum Kind { KIND_UNSPECIFIED = 0; KIND_A = 1; }
service Small { rpc Do(Ask) returns (Ask); rpc Count(Ask) returns (Ask); }
"""
VALUE = 'KIND_B = 2 [(crosswind.options.v1.value_since) = "2026-02-01", (crosswind.options.v1.fallback) = "%s"];'
NEW = OLD.replace("KIND_A = 1;", "KIND_A = 1; " + VALUE % "KIND_A")


def changed(old: str, new: str) -> str:
    assert old in NEW
    return NEW.replace(old, new)


BROKEN: dict[str, tuple[str, tuple[Change, ...], str]] = {
    "a field that the old version has not": (
        NEW,
        (FieldRenamed(ASK, "name", "title", why=WHY),),
        "small.v1.Ask has no field name in API version 2026-01-01",
    ),
    "a field that the new version has not": (
        NEW,
        (FieldRenamed(ASK, "title", "name", why=WHY),),
        "small.v1.Ask has no field name in API version 2026-02-01",
    ),
    "a message that there is not": (
        NEW,
        (FieldRequired("small.v1.Asked", "title", "x", why=WHY),),
        "API version 2026-02-01 has no message small.v1.Asked",
    ),
    "a conversion on one number": (
        NEW,
        (FieldConverted(ASK, "seconds", "seconds", SECONDS_TO_DURATION, why=WHY),),
        "small.v1.Ask.seconds is converted and keeps its number; give it another",
    ),
    "a text that is widened": (NEW, (FieldWidened(ASK, "title", why=WHY),), "title is no integer"),
    "a split of what is not there": (
        NEW,
        (FieldSplit(ASK, "name", ("title",), split=lambda name: (name,), join=str, why=WHY),),
        "small.v1.Ask has no field name in API version 2026-01-01",
    ),
    "a merger into what is not there": (
        NEW,
        (FieldsMerged(ASK, ("title",), "name", merge=str, split=lambda name: (name,), why=WHY),),
        "small.v1.Ask has no field name in API version 2026-02-01",
    ),
    "a removed field that was never there": (
        NEW,
        (FieldRemoved(ASK, "name", why=WHY),),
        "small.v1.Ask has no field name in API version 2026-01-01",
    ),
    "a move into a list": (
        NEW,
        (FieldMoved(ASK, "seconds", "many.tries", why=WHY),),
        "small.v1.Ask holds no message many in API version 2026-02-01",
    ),
    "a move into a text": (
        NEW,
        (FieldMoved(ASK, "seconds", "title.tries", why=WHY),),
        "small.v1.Ask holds no message title in API version 2026-02-01",
    ),
    "a move to a field that is not there": (
        NEW,
        (FieldMoved(ASK, "seconds", "limits.seconds", why=WHY),),
        "small.v1.Limits has no field seconds in API version 2026-02-01",
    ),
    "another default of what is always there": (
        NEW,
        (DefaultChanged(ASK, "seconds", why=WHY),),
        "small.v1.Ask.seconds changes its default and cannot be absent; make it optional",
    ),
    "a default that is not written": (
        changed('priority = 3 [(crosswind.options.v1.default_value) = "5"]', "priority = 3"),
        (DefaultChanged(ASK, "priority", why=WHY),),
        "priority has no option default_value",
    ),
    "a default that is no number": (
        changed('"5"', '"five"'),
        (DefaultChanged(ASK, "priority", why=WHY),),
        "the default_value 'five' of priority is none of its type",
    ),
    "a value without a fallback": (
        changed(VALUE % "KIND_A", "KIND_B = 2;"),
        (),
        "small.v1.Kind.KIND_B is new in API version 2026-02-01 and has no fallback to a value before",
    ),
    "a fallback to a value that is not there": (
        changed(VALUE % "KIND_A", VALUE % "KIND_C"),
        (),
        "small.v1.Kind.KIND_B is new in API version 2026-02-01 and has no fallback to a value before",
    ),
    "a fallback to itself": (
        changed(VALUE % "KIND_A", VALUE % "KIND_B"),
        (),
        "small.v1.Kind.KIND_B is new in API version 2026-02-01 and has no fallback to a value before",
    ),
    "two fallbacks to one another": (
        changed(VALUE % "KIND_A", VALUE % "KIND_C" + (VALUE % "KIND_B").replace("KIND_B = 2", "KIND_C = 3")),
        (),
        "small.v1.Kind.KIND_B is new in API version 2026-02-01 and has no fallback to a value before",
    ),
    "a mapped value that is not there": (
        NEW,
        (EnumValueMapped(ASK, "kind", "KIND_C", lambda fields: "KIND_A", why=WHY),),
        "small.v1.Ask.kind has no value KIND_C in API version 2026-02-01",
    ),
    "a mapped value of what is no enum": (
        NEW,
        (EnumValueMapped(ASK, "title", "KIND_B", lambda fields: "KIND_A", why=WHY),),
        "small.v1.Ask.title has no value KIND_B in API version 2026-02-01",
    ),
    "a mapped value in a field that is renumbered": (
        changed("Kind kind = 5;", "Kind kind = 15;"),
        (EnumValueMapped(ASK, "kind", "KIND_B", lambda fields: "KIND_A", why=WHY),),
        "small.v1.Ask.kind maps a value and is renumbered; list the rename apart",
    ),
    "an arm that is not there": (
        NEW,
        (ArmAdded(ASK, "right", why=WHY),),
        "small.v1.Ask has no field right in API version 2026-02-01",
    ),
    "an arm instead that the old version has not": (
        changed("string left = 8;", "string left = 8; string right = 9; string other = 10;"),
        (ArmAdded(ASK, "right", instead="other", why=WHY),),
        "small.v1.Ask has no field other in API version 2026-01-01",
    ),
    "free code over a message that is not there": (
        NEW,
        (FreeChange("small.v1.Asked", (), lambda fields: {}, lambda fields: {}, why=WHY),),
        "API version 2026-01-01 has no message small.v1.Asked",
    ),
    "a rename of a message that is not there": (
        NEW,
        (MessageRenamed("small.v1.Ask", "small.v1.Asked", why=WHY),),
        "API version 2026-02-01 has no message small.v1.Asked",
    ),
    "an RPC that is gone without a word": (
        changed("rpc Count(Ask) returns (Ask);", ""),
        (),
        "The RPC small.v1.Small/Count of API version 2026-01-01 leads to small.v1.Small/Count, which 2026-02-01 has"
        " not; list it as MethodMoved or MethodRetired",
    ),
    "an RPC that moved to where none is": (
        changed("rpc Count(Ask) returns (Ask);", ""),
        (MethodMoved("/small.v1.Small/Count", "/small.v1.Other/Count", why=WHY),),
        "The RPC small.v1.Small/Count of API version 2026-01-01 leads to small.v1.Other/Count, which 2026-02-01 has"
        " not; list it as MethodMoved or MethodRetired",
    ),
    "an RPC that is served through one that there is not": (
        changed("rpc Count(Ask) returns (Ask);", ""),
        (
            MethodRetired(
                "/small.v1.Small/Count",
                "/small.v1.Small/Sum",
                request=lambda fields: fields,
                response=lambda fields: fields,
                why=WHY,
            ),
        ),
        "The RPC small.v1.Small/Count of API version 2026-01-01 leads to small.v1.Small/Sum, which 2026-02-01 has"
        " not; list it as MethodMoved or MethodRetired",
    ),
}


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    """The snapshot of every text, all compiled at once."""
    return compile_protos({OLD, NEW, *(text for text, _, _ in BROKEN.values())}, tmp_path_factory.mktemp("protos"))


def history(snapshots, text: str, changes: tuple[Change, ...]) -> History:
    old = Release(ApiVersion.parse("2026-01-01"), lambda: snapshots[OLD])
    new = Release(ApiVersion.parse("2026-02-01"), lambda: snapshots[text], changes)
    return History((old, new), "small.v1.Reason")


@pytest.mark.parametrize("name", BROKEN)
def test_a_server_does_not_start_with(name: str, snapshots):
    text, changes, sentence = BROKEN[name]
    with pytest.raises(HistoryBroken, match=f"^{re.escape(sentence)}$"):
        Gates(history(snapshots, text, changes))


def test_it_starts_with_what_these_were_made_of(snapshots):
    assert str(Gates(history(snapshots, NEW, ())).served) == "2026-01-01 to 2026-02-01"


def release(version: str, *changes: Change) -> Release:
    return Release(ApiVersion.parse(version), lambda: pytest.fail("nobody asked"), changes)


@pytest.mark.parametrize(
    ("releases", "sentence"),
    [
        ((), "API versions are not in order: there are none"),
        (
            (release("2026-02-01"), release("2026-01-01")),
            "API versions are not in order: 2026-02-01, 2026-01-01",
        ),
        (
            (release("2026-02-01"), release("2026-02-01")),
            "API versions are not in order: 2026-02-01, 2026-02-01",
        ),
        (
            (release("2026-02-01", FieldRenamed(ASK, "a", "b", why=WHY)),),
            "API version 2026-02-01 is the first, and has changes: there is nothing before it",
        ),
    ],
)
def test_no_history_is_made_of(releases: tuple[Release, ...], sentence: str):
    with pytest.raises(HistoryBroken, match=f"^{re.escape(sentence)}$"):
        History(releases, "small.v1.Reason")
