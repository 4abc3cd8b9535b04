"""What `buf breaking` finds between two snapshots, each finding with what it is about.

Here belongs running buf and reading its answer. Whether a finding is explained belongs to `coverage`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from codegen.compat.facts import Difference, Kind

WIRE: Final = frozenset(
    {
        "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED",
        "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED",
        "FIELD_SAME_DEFAULT",
        "FIELD_SAME_ONEOF",
        "FIELD_WIRE_COMPATIBLE_CARDINALITY",
        "FIELD_WIRE_COMPATIBLE_TYPE",
        "FILE_SAME_PACKAGE",
        "MESSAGE_SAME_REQUIRED_FIELDS",
        "RESERVED_ENUM_NO_DELETE",
        "RESERVED_MESSAGE_NO_DELETE",
        "RPC_SAME_CLIENT_STREAMING",
        "RPC_SAME_IDEMPOTENCY_LEVEL",
        "RPC_SAME_REQUEST_TYPE",
        "RPC_SAME_RESPONSE_TYPE",
        "RPC_SAME_SERVER_STREAMING",
    }
)
"""The rules of buf's category WIRE: what breaks them cannot be carried across at all."""

SHOWN_BY: Final[Mapping[str, frozenset[Kind]]] = {
    "ENUM_NO_DELETE": frozenset({Kind.ENUM_REMOVED}),
    "ENUM_VALUE_NO_DELETE": frozenset({Kind.VALUE_REMOVED}),
    "ENUM_VALUE_SAME_NAME": frozenset({Kind.VALUE_RENAMED}),
    "FIELD_NO_DELETE": frozenset({Kind.FIELD_REMOVED}),
    "FIELD_SAME_CARDINALITY": frozenset({Kind.FIELD_RELABELLED, Kind.FIELD_INTO_ONEOF, Kind.FIELD_OUT_OF_ONEOF}),
    "FIELD_SAME_JSON_NAME": frozenset({Kind.FIELD_RENAMED}),
    "FIELD_SAME_NAME": frozenset({Kind.FIELD_RENAMED}),
    "FIELD_SAME_TYPE": frozenset({Kind.FIELD_RETYPED}),
    "MESSAGE_NO_DELETE": frozenset({Kind.MESSAGE_REMOVED, Kind.MESSAGE_RENAMED}),
    "ONEOF_NO_DELETE": frozenset({Kind.ONEOF_REMOVED}),
    "RPC_NO_DELETE": frozenset({Kind.METHOD_REMOVED, Kind.METHOD_MOVED}),
    "SERVICE_NO_DELETE": frozenset({Kind.SERVICE_REMOVED}),
}
"""The differences that show what a rule of buf's category FILE finds. A rule that is not here is never explained."""

_CONFIG: Final = json.dumps({"version": "v2", "breaking": {"use": ["FILE", "WIRE"]}})
_FOUND: Final = 100
"""buf's exit code where it found something, as against 1, where it failed."""
_NAMED: Final = re.compile(r'\b(field|value|message|enum|oneof|rpc|service|name|range) "([^"]*)"', re.IGNORECASE)
_FILE: Final = re.compile(r'file "([^"]+)"')
_TYPES: Final = re.compile(r'changed (?:request |response )?type from "([\w.]+)" to "([\w.]+)"')


@dataclass(frozen=True, slots=True)
class BufFinding:
    """One finding.

    Attributes:
        rule: its id.
        file: the proto.
        text: buf's sentence.
    """

    rule: str
    file: str
    text: str

    @property
    def on_the_wire(self) -> bool:
        """Whether it is one of the category WIRE."""
        return self.rule in WIRE

    @property
    def element(self) -> str:
        """What it names, as far as it says: `Ask.timeout`, `Kind.2`, `S/Do`."""
        names = self._names()
        scope = names.get("message") or names.get("enum") or names.get("service") or ""
        if "rpc" in names:
            return f"{scope}/{names['rpc']}"
        part = names.get("name") or names.get("field") or names.get("value") or names.get("oneof")
        return f"{scope}.{part}" if part else scope or self.file

    @property
    def types(self) -> tuple[str, str] | None:
        """The type before and now, where it says that a type has another name."""
        found = _TYPES.search(self.text)
        return (found[1], found[2]) if found else None

    def is_shown_by(self, difference: Difference) -> bool:
        """Whether a difference is about the same thing, and says what the finding says."""
        if difference.kind not in SHOWN_BY.get(self.rule, ()):
            return False
        names = self._names()
        former = difference.former or difference.element
        if "rpc" in names:
            service, _, method = former.lstrip("/").partition("/")
            return method == names["rpc"] and _is_named(service, names["service"])
        number = names.get("field") or names.get("value")
        if number is not None:
            scope = names.get("message") or names.get("enum") or ""
            return str(difference.number) == number and any(
                _is_named(each.rpartition(".")[0], scope) for each in (former, difference.element)
            )
        if "oneof" in names:
            scope, _, name = former.rpartition(".")
            return name == names["oneof"] and _is_named(scope, names["message"])
        return any(_is_named(former, names[what]) for what in ("message", "enum", "service") if what in names)

    def _names(self) -> Mapping[str, str]:
        return {what.lower(): name for what, name in reversed(_NAMED.findall(self.text))}


def _is_named(full_name: str, name: str) -> bool:
    return f".{full_name}".endswith(f".{name}")


def buf_findings(old: FileDescriptorSet, new: FileDescriptorSet) -> tuple[BufFinding, ...]:
    """All findings of the categories WIRE and FILE; the same pair is compared once a process.

    Raises:
        RuntimeError: buf failed; its words are in the message.
    """
    return _compare(old.SerializeToString(deterministic=True), new.SerializeToString(deterministic=True))


@cache
def _compare(old: bytes, new: bytes) -> tuple[BufFinding, ...]:
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "old.binpb", Path(folder) / "new.binpb"
        for image, content in zip(images, (old, new), strict=True):
            image.write_bytes(content)
        buf = Path(sys.executable).with_name("buf")
        command: list[str | Path] = [buf, "breaking", images[1], "--against", images[0], "--config", _CONFIG]
        done = subprocess.run([*command, "--error-format", "json"], capture_output=True, text=True, check=False)
    if done.returncode not in (0, _FOUND):
        raise RuntimeError(f"buf breaking failed: {done.stderr.strip() or done.stdout.strip()}")
    return tuple(_read(done.stdout.splitlines()))


def _read(lines: Iterable[str]) -> Iterable[BufFinding]:
    for line in lines:
        found = json.loads(line)
        named = _FILE.search(found["message"])  # of a file that is gone there is no path
        yield BufFinding(found["type"], found.get("path") or (named[1] if named else ""), found["message"])
