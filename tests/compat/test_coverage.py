"""Every difference between two API versions is covered by an option or a change, or found by name. [VER-1]"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from codegen.compat.buf_findings import SHOWN_BY, WIRE
from codegen.compat.correspondence import Neighbours
from codegen.compat.coverage import uncovered, uncovered_without
from codegen.compat.differences import differences
from codegen.compat.facts import Kind
from codegen.compat.growing import SERVER, Growing
from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.changes import Change, FieldRenamed, MessageRenamed, MethodRetired
from crosswind_server.versions.history import History, HistoryBroken, Release
from crosswind_server.versions.releases import server_history
from tests.compat.coverage_cases import BASE, CASES, VERSION, WHY, Case
from tests.compat.lab.history import lab_history
from tests.compat.snapshots import FILE, compile_protos

NOTHING = Growing({}, {}, {})


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, FileDescriptorSet]:
    texts = {BASE, *(case.text for case in CASES.values())}
    return compile_protos(sorted(texts), tmp_path_factory.mktemp("snapshots"))


def history(
    snapshots: Mapping[str, FileDescriptorSet], case: Case, changes: tuple[Change, ...] | None = None
) -> History:
    first = Release(ApiVersion.parse("2026-01-01"), lambda: snapshots[BASE])
    declared = case.changes if changes is None else changes
    second = Release(ApiVersion.parse(VERSION), lambda: snapshots[case.text], declared)
    return History((first, second), "small.v1.ErrorReason")


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_covered_is_named(name, snapshots):
    case = CASES[name]
    sentences = [str(finding) for finding in uncovered(history(snapshots, case), NOTHING)]
    for part in case.found:
        assert any(part in sentence for sentence in sentences), "\n".join(sentences) or "nothing was found"
    strays = [each for each in sentences if not any(part in each for part in case.found)]
    assert strays == []


def test_a_finding_names_file_version_and_element(snapshots):
    (finding,) = uncovered(history(snapshots, CASES["renamed-undeclared"]), NOTHING)
    assert (finding.file, finding.version, finding.element) == (FILE, VERSION, "small.v1.Ask.dag_version_id")
    assert str(finding).startswith(f"{FILE}: small.v1.Ask.dag_version_id was renamed from version_id")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.changes and not case.found])
def test_what_a_change_covers_is_found_without_it(name, snapshots):
    case = CASES[name]
    whole = history(snapshots, case)
    for change in case.changes:
        found = uncovered_without(whole, change, NOTHING)
        # A new value that its message maps has a fallback beside.
        assert bool(found) is (name != "value-mapped-by-its-message"), name


def test_every_kind_of_difference_is_shown_by_a_case(snapshots):
    found = set()
    for case in CASES.values():
        first, second = history(snapshots, case).releases
        try:
            found |= {each.kind for each in differences(Neighbours(first, second, "small.v1.ErrorReason"))}
        except HistoryBroken:
            continue
    assert set(Kind) - found == set()


def test_a_file_that_is_gone_is_covered_with_what_it_had(snapshots):
    extra = FileDescriptorProto(name="small/v1/extra.proto", package="small.v1", syntax="proto3")
    extra.message_type.add(name="PingRequest")
    extra.message_type.add(name="PingResponse")
    extra.service.add(name="ExtraService").method.add(
        name="Ping", input_type=".small.v1.PingRequest", output_type=".small.v1.PingResponse"
    )
    before = FileDescriptorSet(file=[*snapshots[BASE].file, extra])
    path = "/small.v1.ExtraService/Ping"
    retired = MethodRetired(path, "/small.v1.SmallService/Do", dict, dict, **WHY)
    for changes, elements in (((retired,), []), ((), [path])):
        first = Release(ApiVersion.parse("2026-01-01"), lambda: before)
        second = Release(ApiVersion.parse(VERSION), lambda: snapshots[BASE], changes)
        found = uncovered(History((first, second), "small.v1.ErrorReason"), NOTHING)
        assert [each.element for each in found] == elements, found


# --- what only ever grows ---------------------------------------------------------------------------------------------

GROWING = Growing({"small.v1.Answer": "a worker reads it"}, {"/small.v1.SmallService/Leave": "it is asked first"}, {})


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("message-renamed", "small.v1.Stage"),
        ("method-moved", "/small.v1.OtherService/Leave"),
        ("value-removed-by-free-code", "small.v1.Kind.KIND_B"),
        ("required-in-an-answer", "small.v1.Answer.note"),
    ],
)
def test_no_change_covers_what_only_ever_grows(name, element, snapshots):
    assert uncovered(history(snapshots, CASES[name]), NOTHING) == []
    found = uncovered(history(snapshots, CASES[name]), GROWING)
    assert element in {each.element for each in found}
    assert all("only ever grows" in each.sentence for each in found if each.element == element)


@pytest.mark.parametrize("name", ["value-added", "arm-added", "renamed", "widened", "method-added"])
def test_what_only_ever_grows_may_grow_and_the_rest_may_change(name, snapshots):
    assert uncovered(history(snapshots, CASES[name]), GROWING) == []


def test_what_only_ever_grows_is_there():
    newest = server_history().releases[-1]
    assert SERVER.messages.keys() <= newest.messages.keys()
    assert SERVER.methods.keys() <= newest.methods.keys()
    elements = SERVER.elements(newest)
    assert {"crosswind.bundle.v1.Frame", "crosswind.value.v1.Payload", "crosswind.execution.v1.Limits"} <= set(elements)
    assert "crosswind.execution.v1.RegisterWorkerRequest" not in elements


# --- whole histories --------------------------------------------------------------------------------------------------


def test_the_servers_versions_are_covered():
    assert [str(each) for each in uncovered(server_history())] == []


def test_the_laboratorys_versions_are_covered():
    assert [str(each) for each in uncovered(lab_history(), NOTHING)] == []


def test_a_date_in_the_first_version_may_not_be_later_than_it(snapshots):
    first = Release(ApiVersion.parse("2026-01-01"), lambda: snapshots[CASES["field-added"].text])
    (finding,) = uncovered(History((first,), "small.v1.ErrorReason"), NOTHING)
    assert finding.element == "small.v1.Ask.x"
    assert 'says since "2026-02-01", and is in API version 2026-01-01 already' in finding.sentence


def test_a_renamed_message_that_is_not_there_is_found(snapshots):
    changes = (MessageRenamed("small.v1.Ask", "small.v1.Question", **WHY),)
    (finding,) = uncovered(history(snapshots, CASES["nothing"], changes), NOTHING)
    assert "has no message small.v1.Question" in finding.sentence


def test_two_changes_of_one_field_are_judged_apart(snapshots):
    case = CASES["renamed"]
    stale = FieldRenamed("small.v1.Ask", "full_name", "full_name", **WHY)
    found = uncovered(history(snapshots, case, (*case.changes, stale)), NOTHING)
    assert [each.sentence.split(" in the CHANGES")[0] for each in found] == [
        'FieldRenamed("small.v1.Ask", "full_name", "full_name")'
    ]


# --- buf --------------------------------------------------------------------------------------------------------------


def test_the_rules_of_buf_are_those_that_are_known():
    buf = Path(sys.executable).with_name("buf")
    command: list[str | Path] = [buf, "config", "ls-breaking-rules", "--version", "v2", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rules = [json.loads(line) for line in done.stdout.splitlines()]
    assert {rule["id"] for rule in rules if "WIRE" in rule["categories"]} == set(WIRE)
    assert set(SHOWN_BY) <= {rule["id"] for rule in rules if "FILE" in rule["categories"]} - WIRE
