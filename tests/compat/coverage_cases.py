"""What a small proto becomes in its next version, what is declared of it and what is found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

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
    ReasonChanged,
    ValidationChanged,
)

VERSION: Final = "2026-02-01"
BASE: Final = """\
syntax = "proto3";
package small.v1;
import "crosswind/options/v1/options.proto";
import "google/protobuf/duration.proto";
message Ask {
  string title = 1 [(crosswind.options.v1.range) = {max_length: 20}];
  string version_id = 2 [(crosswind.options.v1.required) = true];
  optional int32 timeout_seconds = 3 [
    (crosswind.options.v1.default_value) = "30",
    (crosswind.options.v1.range) = {minimum: 1, maximum: 3600}
  ];
  optional int32 priority = 4 [(crosswind.options.v1.default_value) = "5"];
  Kind kind = 5;
  oneof pick { string left = 6; string right = 7; }
  Limits limits = 8;
  string secret = 9 [(crosswind.options.v1.sensitive) = true];
  string full_name = 10;
  int32 size = 11;
}
message Limits { int32 tries = 1; }
message Answer {
  string note = 1;
  oneof said { string yes = 2; string no = 3; }
  Kind kind = 4;
  repeated Step steps = 5;
}
message Step { string name = 1; }
message Sealed { string inside = 1; }
message GoneAsk { string name = 1; }
message GoneAnswer { Mood mood = 1; }
enum Mood { MOOD_UNSPECIFIED = 0; MOOD_GOOD = 1; }
enum Kind { KIND_UNSPECIFIED = 0; KIND_A = 1; KIND_B = 2; }
enum ErrorReason {
  ERROR_REASON_UNSPECIFIED = 0;
  ERROR_REASON_STALE = 1 [(crosswind.options.v1.status_code) = "ABORTED"];
  ERROR_REASON_FULL = 2 [(crosswind.options.v1.status_code) = "RESOURCE_EXHAUSTED"];
}
service SmallService {
  rpc Do(Ask) returns (Answer) {
    option (crosswind.options.v1.idempotent) = true;
    option (crosswind.options.v1.reasons) = "STALE";
  }
  rpc Leave(GoneAsk) returns (GoneAnswer);
}
"""
OPTION: Final = "(crosswind.options.v1."


@dataclass(frozen=True)
class Case:
    """One step from the small proto to the next version.

    Attributes:
        edits: what is replaced in its text, in order.
        changes: the CHANGES of the next version.
        found: parts of the sentences that are found, one sentence each; none where all is covered.
    """

    edits: tuple[tuple[str, str], ...] = ()
    changes: tuple[Change, ...] = ()
    found: tuple[str, ...] = ()
    text: str = field(init=False)

    def __post_init__(self) -> None:
        text = BASE
        for old, new in self.edits:
            assert text.count(old) == 1, f"{old!r} is in the text {text.count(old)} times"
            text = text.replace(old, new)
        object.__setattr__(self, "text", text)


def since(date: str = VERSION, option: str = "since") -> str:
    return f'[{OPTION}{option}) = "{date}"]'


def value(fallback: str, date: str = VERSION, code: str = "") -> str:
    code = f', {OPTION}status_code) = "{code}"' if code else ""
    return f'[{OPTION}value_since) = "{date}", {OPTION}fallback) = "{fallback}"{code}]'


def drop(text: str, reserved: str, message: str = "Ask") -> tuple[tuple[str, str], ...]:
    return (text, ""), (f"message {message} {{", f"message {message} {{ reserved {reserved};")


WHY: Final[dict[str, Any]] = {"why": "Because."}
SIZE: Final = "  int32 size = 11;\n"
NAME: Final = "  string full_name = 10;\n"
TIMEOUT: Final = BASE[BASE.index("  optional int32 timeout_seconds") : BASE.index("  optional int32 priority")]
GONE: Final = drop(SIZE, '11; reserved "size"')
LEAVE: Final = "  rpc Leave(GoneAsk) returns (GoneAnswer);\n"
ASK: Final = "small.v1.Ask"
DO: Final = "/small.v1.SmallService/Do"


def duration(default: str, most: str) -> str:
    return (
        f'  google.protobuf.Duration timeout = 20 [{OPTION}default_value) = "{default}",'
        f" {OPTION}range) = {{minimum: 1, maximum: {most}}}];\n"
    )


def converted(default: str, most: str) -> tuple[tuple[str, str], ...]:
    return (*drop(TIMEOUT, '3; reserved "timeout_seconds"'), (SIZE, SIZE + duration(default, most)))


def _split(text: Any) -> tuple[str, str]:
    given, _, family = str(text).partition(" ")
    return given, family


def _join(given: Any, family: Any) -> str:
    return f"{given} {family}"


PARTS: Final = (
    *drop(NAME, '10; reserved "full_name"'),
    (SIZE, SIZE + "  string given = 20;\n  string family = 21;\n"),
)
RENAMED_REASON: Final = ("  ERROR_REASON_STALE = 1", "  ERROR_REASON_OUTDATED = 1")
NEW_REASON: Final = (
    "  ERROR_REASON_FULL = 2",
    f"  ERROR_REASON_BUSY = 3 {value('ERROR_REASON_FULL', code='UNAVAILABLE')};\n  ERROR_REASON_FULL = 2",
)
BUSY: Final = ('reasons) = "STALE";', f'reasons) = "STALE"; option {OPTION}reasons) = "BUSY";')
MOVED_TRIES: Final = (*drop("int32 tries = 1;", '1; reserved "tries"', "Limits"),)

CASES: Final = {
    "nothing": Case(),
    # --- added
    "field-added": Case(((SIZE, SIZE + f"string x = 20 {since()};"),)),
    "field-added-without-since": Case(
        ((SIZE, SIZE + "string x = 20;"),), (), ("Ask.x is a new field in API version 2026-02-01, and nothing covers",)
    ),
    "field-added-with-another-date": Case(
        ((SIZE, SIZE + f"string x = 20 {since('2026-01-01')};"),), (), ('says since = "2026-01-01". Write since',)
    ),
    "field-of-a-new-message-needs-no-since": Case(
        ((SIZE, SIZE + f"New x = 20 {since()};"), ("message Step", "message New { string a = 1; }\nmessage Step"))
    ),
    "field-of-a-new-message-says-another-date": Case(
        (("message Step", f"message New {{ string a = 1 {since('2026-01-01')}; }}\nmessage Step"),),
        (),
        ('small.v1.New.a is new in API version 2026-02-01, and says since "2026-01-01"',),
    ),
    "value-added": Case((("KIND_B = 2;", f"KIND_B = 2; KIND_C = 3 {value('KIND_B')};"),)),
    "value-added-with-a-chain-of-fallbacks": Case(
        (("KIND_B = 2;", f"KIND_B = 2; KIND_C = 3 {value('KIND_D')}; KIND_D = 4 {value('KIND_A')};"),)
    ),
    "value-added-without-fallback": Case(
        (("KIND_B = 2;", f"KIND_B = 2; KIND_C = 3 {since(option='value_since')};"),),
        (),
        ("small.v1.Kind.KIND_C is a new value in API version 2026-02-01 and has no fallback",),
    ),
    "value-added-with-a-fallback-to-itself": Case(
        (("KIND_B = 2;", f"KIND_B = 2; KIND_C = 3 {value('KIND_C')};"),), (), ("which leads to none that was there",)
    ),
    "value-added-without-date": Case(
        (("KIND_B = 2;", f'KIND_B = 2; KIND_C = 3 [{OPTION}fallback) = "KIND_A"];'),), (), ("nothing says since when",)
    ),
    "value-mapped-by-its-message": Case(
        (("KIND_B = 2;", f"KIND_B = 2; KIND_C = 3 {value('KIND_B')};"),),
        (EnumValueMapped("small.v1.Answer", "kind", "KIND_C", lambda fields: "KIND_A", **WHY),),
    ),
    "method-added": Case(
        ((LEAVE, LEAVE + f'rpc New(Ask) returns (Answer) {{ option {OPTION}method_since) = "{VERSION}"; }}'),)
    ),
    "method-added-without-date": Case(
        ((LEAVE, LEAVE + "rpc New(Ask) returns (Answer);"),), (), ("/small.v1.SmallService/New is a new RPC in API",)
    ),
    "arm-added": Case(
        (("string no = 3;", f"string no = 3; string maybe = 20 {since()};"),),
        (ArmAdded("small.v1.Answer", "maybe", "no", **WHY),),
    ),
    "arm-added-that-old-clients-would-not-see": Case(
        (("string no = 3;", f"string no = 3; string maybe = 20 {since()};"),),
        (),
        ('ArmAdded("small.v1.Answer", "maybe"',),
    ),
    "oneof-added": Case(((SIZE, SIZE + f"  oneof more {{ string x = 20 {since()}; }}\n"),)),
    "arm-added-to-a-request": Case((("string right = 7;", f"string right = 7; string both = 20 {since()};"),)),
    "deprecated": Case(((SIZE, f"  int32 size = 11 {since(option='deprecated_since')};\n"),)),
    "deprecated-since-another-date": Case(
        ((SIZE, f"  int32 size = 11 {since('2026-01-15', 'deprecated_since')};\n"),),
        (),
        ('small.v1.Ask.size says that it is deprecated since "2026-01-15"',),
    ),
    "since-of-what-was-there": Case(
        ((SIZE, f"  int32 size = 11 {since()};\n"),), (), ("small.v1.Ask.size says another origin than before",)
    ),
    # --- fields
    "renamed": Case(
        (("version_id = 2", "dag_version_id = 2"),), (FieldRenamed(ASK, "version_id", "dag_version_id", **WHY),)
    ),
    "renamed-undeclared": Case(
        (("version_id = 2", "dag_version_id = 2"),),
        (),
        ('Write FieldRenamed("small.v1.Ask", "version_id", "dag_version_id")',),
    ),
    "renumbered": Case((*GONE, ("10;\n", "10;\n  int32 bytes = 20;\n")), (FieldRenamed(ASK, "size", "bytes", **WHY),)),
    "renumbered-as-another-type": Case(
        (*GONE, ("10;\n", "10;\n  string bytes = 20;\n")),
        (FieldRenamed(ASK, "size", "bytes", **WHY),),
        ("small.v1.Ask.bytes has another type (int32 before, string now)",),
    ),
    "removed": Case(GONE, (FieldRemoved(ASK, "size", **WHY),)),
    "removed-undeclared": Case(GONE, (), ('Write FieldRemoved("small.v1.Ask", "size") into CHANGES',)),
    "removed-and-not-reserved": Case(
        ((SIZE, ""),), (FieldRemoved(ASK, "size", **WHY),), ('Write `reserved` for 11 and "size" into the message',)
    ),
    "removed-and-its-name-not-reserved": Case(
        drop(SIZE, "11"), (FieldRemoved(ASK, "size", **WHY),), ('Write `reserved` for "size" into the message',)
    ),
    "converted": Case(
        converted("30s", "3600"), (FieldConverted(ASK, "timeout_seconds", "timeout", SECONDS_TO_DURATION, **WHY),)
    ),
    "converted-with-another-default": Case(
        converted("60s", "3600"),
        (FieldConverted(ASK, "timeout_seconds", "timeout", SECONDS_TO_DURATION, **WHY),),
        ("small.v1.Ask.timeout has another default_value (30000000000 before, 60000000000 now)",),
    ),
    "converted-with-a-narrower-range": Case(
        converted("30s", "60"),
        (FieldConverted(ASK, "timeout_seconds", "timeout", SECONDS_TO_DURATION, **WHY),),
        ("small.v1.Ask.timeout has a narrower range (1 to 3600 before, 1 to 60 now)",),
    ),
    "widened": Case(((SIZE, "int64 size = 11;"),), (FieldWidened(ASK, "size", **WHY),)),
    "widened-undeclared": Case(((SIZE, "int64 size = 11;"),), (), ('Write FieldWidened("small.v1.Ask", "size")',)),
    "retyped": Case(
        ((SIZE, "string size = 11;"),),
        (FieldWidened(ASK, "size", **WHY),),
        ('FieldConverted("small.v1.Ask", "size", ...)', "breaks the wire", "explains no difference"),
    ),
    "presence-gained": Case(
        ((SIZE, "optional int32 size = 11;"),), (), ("Ask.size has another presence or is repeated",)
    ),
    "into-a-oneof": Case(
        ((SIZE, ""), ("string right = 7;", "string right = 7; int32 size = 11;")),
        (),
        ("small.v1.Ask.size was moved into a oneof", "breaks the wire"),
    ),
    "split": Case(PARTS, (FieldSplit(ASK, "full_name", ("given", "family"), _split, _join, **WHY),)),
    "merged": Case(
        (
            *drop("string left = 6; string right = 7;", '6, 7; reserved "left", "right"'),
            ("oneof pick {  }", "string both = 20;"),
        ),
        (FieldsMerged(ASK, ("left", "right"), "both", _join, _split, **WHY),),
    ),
    "moved": Case(
        (*GONE, ("int32 tries = 1;", f"int32 tries = 1; int32 size = 20 {since()};")),
        (FieldMoved(ASK, "size", "limits.size", **WHY),),
    ),
    "moved-out-of-what-holds-nothing-else": Case(
        (
            *drop("  Limits limits = 8;\n", '8; reserved "limits"'),
            ("message Limits { int32 tries = 1; }\n", ""),
            (SIZE, SIZE + "int32 tries = 20;"),
        ),
        (FieldMoved(ASK, "limits.tries", "tries", **WHY),),
    ),
    "required-new": Case(
        ((SIZE, SIZE + f"string queue = 20 [{OPTION}required) = true];"),),
        (FieldRequired(ASK, "queue", "default", **WHY),),
    ),
    "required-new-undeclared": Case(
        ((SIZE, SIZE + f'string queue = 20 [{OPTION}required) = true, {OPTION}since) = "{VERSION}"];'),),
        (),
        ('Write FieldRequired("small.v1.Ask", "queue", default=...)',),
    ),
    "required-in-an-answer": Case((("string note = 1;", f"string note = 1 [{OPTION}required) = true];"),)),
    "required-no-more": Case(((f"2 [{OPTION}required) = true]", "2"),)),
    "default-changed": Case((('"5"', '"3"'),), (DefaultChanged(ASK, "priority", **WHY),)),
    "default-changed-undeclared": Case(
        (('"5"', '"3"'),), (), ("small.v1.Ask.priority has another default_value (5 before, 3 now)",)
    ),
    "narrowed": Case(
        (("length: 20", "length: 10"),), (ValidationChanged((DO,), "long_titles", (f"{ASK}.title",), **WHY),)
    ),
    "narrowed-undeclared": Case(
        (("length: 20", "length: 10"),), (), ("Ask.title has a narrower range (length to 20 before",)
    ),
    "widened-range": Case((("length: 20", "length: 30"),)),
    "no-secret-any-more": Case(
        ((f" [{OPTION}sensitive) = true]", ""),), (), ("small.v1.Ask.secret changed the option sensitive",)
    ),
    "no-secret-by-free-code": Case(
        ((f" [{OPTION}sensitive) = true]", ""),), (FreeChange(ASK, (f"{ASK}.secret",), dict, dict, **WHY),)
    ),
    # --- enums and reasons
    "value-removed": Case(
        ((" KIND_B = 2;", ' reserved 2; reserved "KIND_B";'),), (), ("small.v1.Kind.KIND_B was removed in API version",)
    ),
    "value-removed-by-free-code": Case(
        ((" KIND_B = 2;", ' reserved 2; reserved "KIND_B";'),),
        (FreeChange(ASK, ("small.v1.Kind.KIND_B",), dict, dict, **WHY),),
    ),
    "value-renamed": Case((("KIND_B = 2;", "KIND_BEE = 2;"),), (), ("small.v1.Kind.KIND_BEE was renamed from KIND_B",)),
    "fallback-rewritten": Case(
        (("KIND_B = 2;", f"KIND_B = 2 {value('KIND_A')};"),), (), ("says another origin than before",)
    ),
    "reason-renamed": Case(
        (RENAMED_REASON, ('reasons) = "STALE"', 'reasons) = "OUTDATED"')),
        (ReasonChanged(None, "OUTDATED", "STALE", "ABORTED", **WHY),),
    ),
    "reason-renamed-under-another-code-than-before": Case(
        (RENAMED_REASON, ('reasons) = "STALE"', 'reasons) = "OUTDATED"')),
        (ReasonChanged(None, "OUTDATED", "STALE", "NOT_FOUND", **WHY),),
        ("STALE travelled under ABORTED, and the change says NOT_FOUND", "OUTDATED was renamed", "Do OUTDATED refuses"),
    ),
    "reason-new-with-fallback": Case((NEW_REASON, BUSY)),
    "reason-that-was-known": Case(
        (('reasons) = "STALE";', f'reasons) = "STALE"; option {OPTION}reasons) = "FULL";'),),
        (),
        ('Write ReasonChanged("/small.v1.SmallService/Do", "FULL", ...)',),
    ),
    "reason-of-a-stricter-check": Case(
        (('reasons) = "STALE";', f'reasons) = "STALE"; option {OPTION}reasons) = "FULL";'),),
        (ValidationChanged((DO,), "overflow", **WHY),),
    ),
    "status-code-changed": Case(
        (('"ABORTED"', '"NOT_FOUND"'),), (ReasonChanged(None, "STALE", "STALE", "ABORTED", **WHY),)
    ),
    "status-code-changed-undeclared": Case(
        (('"ABORTED"', '"NOT_FOUND"'),), (), ("STALE has another status_code (ABORTED before",)
    ),
    # --- messages and methods
    "message-renamed": Case(
        (("message Step", "message Stage"), ("repeated Step", "repeated Stage")),
        (MessageRenamed("small.v1.Step", "small.v1.Stage", **WHY),),
    ),
    "message-renamed-undeclared": Case(
        (("message Step", "message Stage"), ("repeated Step", "repeated Stage")),
        (),
        ("small.v1.Answer.steps has another type", "breaks the wire"),
    ),
    "unused-message-removed": Case(
        (("message Sealed { string inside = 1; }\n", ""),), (), ("small.v1.Sealed was removed",)
    ),
    "method-moved": Case(
        ((LEAVE, ""), ("service SmallService", "service OtherService {\n" + LEAVE + "}\nservice SmallService")),
        (MethodMoved("/small.v1.SmallService/Leave", "/small.v1.OtherService/Leave", **WHY),),
    ),
    "method-retired": Case(((LEAVE, ""),), (MethodRetired("/small.v1.SmallService/Leave", DO, dict, dict, **WHY),)),
    "method-removed": Case(((LEAVE, ""),), (), ("/small.v1.SmallService/Leave was removed in API version 2026-02-01",)),
    "method-retired-with-its-messages": Case(
        (
            (LEAVE, ""),
            ("message GoneAsk { string name = 1; }\n", ""),
            ("message GoneAnswer { Mood mood = 1; }\n", ""),
            ("enum Mood { MOOD_UNSPECIFIED = 0; MOOD_GOOD = 1; }\n", ""),
        ),
        (MethodRetired("/small.v1.SmallService/Leave", DO, dict, dict, **WHY),),
    ),
    "another-answer": Case(
        ((LEAVE, LEAVE.replace("GoneAnswer", "Step")),), (), ("answers another response", "breaks the wire")
    ),
    "idempotent-no-more": Case(
        ((f"    option {OPTION}idempotent) = true;\n", ""),), (), ("Do may be repeated no more",)
    ),
    "idempotent-by-now": Case(((LEAVE, LEAVE.replace(";", f" {{ option {OPTION}idempotent) = true; }}")),)),
    "enum-added": Case(
        ((SIZE, SIZE + f"New x = 20 {since()};"), ("enum Mood", "enum New { NEW_UNSPECIFIED = 0; }\nenum Mood"))
    ),
    "unused-enum-removed": Case(
        (
            ("enum Mood { MOOD_UNSPECIFIED = 0; MOOD_GOOD = 1; }\n", ""),
            ("Mood mood = 1;", 'reserved 1; reserved "mood";'),
        ),
        (FieldRemoved("small.v1.GoneAnswer", "mood", **WHY),),
    ),
    "service-renamed": Case(
        (("service SmallService", "service OtherService"),),
        (
            MethodMoved(DO, "/small.v1.OtherService/Do", **WHY),
            MethodMoved("/small.v1.SmallService/Leave", "/small.v1.OtherService/Leave", **WHY),
        ),
    ),
    "another-request": Case(
        ((LEAVE, LEAVE.replace("GoneAsk", "Step")),), (), ("takes another request", "breaks the wire")
    ),
    "streams": Case(
        ((LEAVE, LEAVE.replace("(GoneAsk", "(stream GoneAsk")),), (), ("streams otherwise", "breaks the wire")
    ),
    "out-of-a-oneof": Case(
        (("string left = 6; ", ""), (SIZE, SIZE + "string left = 6;\n")),
        (),
        ("Ask.left was moved out of a oneof", "breaks the wire"),
    ),
    "value-removed-and-not-reserved": Case(
        ((" KIND_B = 2;", ""),),
        (FreeChange(ASK, ("small.v1.Kind.KIND_B",), dict, dict, **WHY),),
        ('Write `reserved` for 2 and "KIND_B" into the enum',),
    ),
    "reason-no-more": Case(((f'    option {OPTION}reasons) = "STALE";\n', ""),)),
    # --- changes
    "stale-change": Case(
        (), (FieldRemoved(ASK, "size", **WHY),), ("explains no difference between 2026-01-01 and 2026-02-01",)
    ),
    "change-of-what-is-not-there": Case(
        (), (FieldRenamed(ASK, "sise", "size", **WHY),), ("small.v1.Ask has no field sise in API version 2026-01-01",)
    ),
    "free-change-that-covers-too-much": Case(
        GONE,
        (FreeChange(ASK, (f"{ASK}.size", f"{ASK}.title"), dict, dict, **WHY),),
        ("covers small.v1.Ask.title, which does not differ",),
    ),
    "source-only": Case(
        (("package small.v1;", 'package small.v1;\noption java_package = "x";'),),
        (),
        ("No change can say this (FILE_SAME_JAVA",),
    ),
}
