"""The options of `crosswind.options.v1` say what the protos' comments and the server's code say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from crosswind_server.domain.errors import CODE_OF, Reason
from crosswind_server.versions.annotations import Annotated, annotation

ROOT = Path(__file__).resolve().parents[2]
BUF = Path(sys.executable).with_name("buf")
REFUSAL = re.compile(r"\b([A-Z][A-Z_]+) / ([A-Z][A-Z_]+(?:, [A-Z][A-Z_]+)*)")


@dataclass(frozen=True)
class Commented:
    """Something of a proto with the comment above it, as one line."""

    name: str
    proto: Any
    comment: str


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[FileDescriptorProto]:
    image = tmp_path_factory.mktemp("protos") / "image.binpb"
    subprocess.run([BUF, "build", "-o", image], cwd=ROOT, check=True)
    found = FileDescriptorSet.FromString(image.read_bytes())
    return [file for file in found.file if file.name.startswith("crosswind/")]


def methods(files: list[FileDescriptorProto]) -> Iterator[Commented]:
    for file in files:
        comments = _comments(file)
        for i, service in enumerate(file.service):
            for j, method in enumerate(service.method):
                yield Commented(f"{file.package}.{service.name}.{method.name}", method, comments[6, i, 2, j])


def values(files: list[FileDescriptorProto], enum: str) -> Iterator[Commented]:
    for file in files:
        comments = _comments(file)
        for i, found in enumerate(file.enum_type):
            if f"{file.package}.{found.name}" == enum:
                for j, value in enumerate(found.value):
                    yield Commented(value.name, value, comments[5, i, 2, j])


def _comments(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    return {
        tuple(at.path): " ".join(line.strip() for line in at.leading_comments.splitlines())
        for at in file.source_code_info.location
    }


def reason_of(value: Commented) -> str:
    return value.name.removeprefix("ERROR_REASON_")


def named(comment: str) -> list[tuple[str, str]]:
    """The codes and reasons that an RPC's comment lists, in order."""
    found = []
    for code, reasons in REFUSAL.findall(comment):
        found += [(code, reason) for reason in reasons.split(", ")]
    return found


def test_every_reason_has_the_status_code_that_the_server_sends_and_its_comment_says(files):
    reasons = [each for each in values(files, "crosswind.execution.v1.ErrorReason") if each.proto.number != 0]
    said = {reason_of(each): annotation(each.proto, "status_code") for each in reasons}
    assert said == {str(reason): str(CODE_OF[reason]) for reason in Reason}
    assert said == {reason_of(each): each.comment.split(".")[0] for each in reasons}


def test_every_rpc_has_the_reasons_that_its_comment_lists(files):
    for method in methods(files):
        listed = [reason for _, reason in named(method.comment)]
        assert annotation(method.proto, "reasons") == list(dict.fromkeys(listed)), method.name
        assert set(listed) <= set(Reason), method.name
        assert "Errors: as " not in method.comment, f"{method.name}: list its errors, so that they can be compared"


def test_the_code_beside_a_reason_in_a_comment_is_that_reasons_code(files):
    for method in methods(files):
        # A bundle's process answers its worker, not for a server; the worker acts on the reason.
        if not method.name.startswith("crosswind.bundle."):
            for code, reason in named(method.comment):
                assert CODE_OF[Reason(reason)] == code, f"{method.name} / {reason}"


def test_an_option_that_is_not_set_is_none_and_a_repeated_one_is_empty(files):
    method: Annotated = next(each.proto for each in methods(files) if each.name.endswith("WorkerService.Negotiate"))
    assert annotation(method, "method_since") is None
    assert annotation(method, "reasons") == []
    assert annotation(method, "idempotent") is True


# --- requirements -----------------------------------------------------------------------------------------------------

NOT_REFUSED = {
    # The server sends them.
    "crosswind.execution.v1.Lease.attempt": "answered",
    "crosswind.execution.v1.RegisterWorkerResponse.worker_token": "answered",
    # A bundle's own.
    "crosswind.bundle.v1.CancelTaskRequest.attempt_id": "an unknown attempt is not running, which is answered",
    # Taken as they come.
    "crosswind.execution.v1.AttemptRef.attempt_id": "a heartbeat answers LOST, and logs are closed",
    "crosswind.execution.v1.AttemptRef.lease": "a heartbeat answers LOST, and logs are closed",
    "crosswind.execution.v1.AttemptLogs.attempt": "its logs are closed",
    "crosswind.execution.v1.PollWorkRequest.poll_number": "an old number loses against a newer one",
    "crosswind.execution.v1.GetXComItemRequest.key": "means the caller's own result",
    "crosswind.execution.v1.SliceXComRequest.key": "means the caller's own result",
    "crosswind.manifest.v1.Manifest.bundle": "the offer says it",
    "crosswind.manifest.v1.Manifest.bundle_version": "the offer says it",
    "crosswind.manifest.v1.Sdk.language": "for people",
    "crosswind.manifest.v1.Sdk.version": "for people",
    "crosswind.manifest.v1.OfferedTask.entry_point": "nobody refers to it",
    "crosswind.manifest.v1.SourceError.source": "for people",
    "crosswind.manifest.v1.SourceError.message": "for people",
    "crosswind.manifest.v1.TaskGroup.group_id": "no task is in it",
    # A schedule is kept and shown, and not read by this server.
    "crosswind.manifest.v1.CronSchedule.expression": "not read",
    "crosswind.manifest.v1.IntervalSchedule.interval": "not read",
    "crosswind.manifest.v1.EventListSchedule.times": "not read",
    "crosswind.manifest.v1.AssetSchedule.condition": "not read",
    "crosswind.manifest.v1.AssetReference.name": "not read",
    "crosswind.manifest.v1.TimetableSchedule.entry_point": "not read",
}
"""Fields whose comments say REQUIRED, and that the server takes nevertheless, with what it does then."""


def fields(files: list[FileDescriptorProto]) -> Iterator[Commented]:
    for file in files:
        comments = _comments(file)
        for i, message in enumerate(file.message_type):
            yield from _fields((4, i), message, f"{file.package}.{message.name}", comments)


def _fields(
    path: tuple[int, ...], message: Any, name: str, comments: dict[tuple[int, ...], str]
) -> Iterator[Commented]:
    for i, each in enumerate(message.field):
        yield Commented(f"{name}.{each.name}", each, comments[*path, 2, i])
    for i, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _fields((*path, 3, i), nested, f"{name}.{nested.name}", comments)


def test_a_field_is_required_by_option_where_its_comment_says_so_and_the_server_refuses(files):
    said = {
        each.name for each in fields(files) if re.search(r"REQUIRED(\.( \[[A-Z]+-\d\])*$|, positive)", each.comment)
    }
    options = {each.name for each in fields(files) if annotation(each.proto, "required")}
    assert options | NOT_REFUSED.keys() == said
    assert options & NOT_REFUSED.keys() == set()


def test_a_default_or_a_range_is_in_the_comment_too(files):
    for each in fields(files):
        numbers = set(re.findall(r"\d+(?:\.\d+)?", each.comment.replace(",", "")))
        if each.proto.name == "page_size" and "states.proto" in each.comment:
            continue  # which says it for all listings
        limits = annotation(each.proto, "range")
        if limits is not None:
            ends = {value for _, value in limits.ListFields()}
            missing = {f"{end:g}" for end in ends if f"{end:g}" not in numbers and f"{int(end)}" not in numbers}
            # 0 and 1 go without saying of a length, and a span or a size is said in a larger unit.
            assert missing <= {"0", "1", "3.15619e+08", "262144"}, f"{each.name}: {missing} is not in its comment"
        default = annotation(each.proto, "default_value")
        if default is not None and each.proto.type != each.proto.TYPE_ENUM:  # of an enum, its first value says it
            assert re.search(r"Absent|Empty|\b0: ", each.comment), f"{each.name}: its comment says no default"
