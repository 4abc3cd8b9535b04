"""The committed provisional image refuses what would break a client that was built from it."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = ROOT / "proto" / "released" / "provisional.binpb"
BUF = Path(sys.executable).with_name("buf")
# What buf exits with when it found something, as against when it failed (1).
FOUND = 100


@dataclass(frozen=True)
class Field:
    """A field that is in the image and occurs once in its proto, so that text can be replaced safely."""

    path: str
    name: str
    pattern: re.Pattern[str]


def find_field() -> Field:
    assert SNAPSHOT.exists(), f"{SNAPSHOT} is missing: run `make proto-snapshot` and commit it."
    image = FileDescriptorSet.FromString(SNAPSHOT.read_bytes())
    ours = [file for file in image.file if file.name.startswith("crosswind/execution/")]
    for file in sorted(ours, key=lambda file: file.name):
        if field := find_field_in(file):
            return field
    raise AssertionError("No field of the image was found in proto/crosswind/execution/.")


def find_field_in(file: FileDescriptorProto) -> Field | None:
    text = (ROOT / "proto" / file.name).read_text()
    for message in file.message_type:
        for field in message.field:
            # Deleting the only arm of a oneof would not compile, which is another failure than a breaking change.
            if field.HasField("oneof_index"):
                continue
            pattern = re.compile(rf"(?m)^(\s+(?:repeated )?[\w.]+ {field.name} = ){field.number}\b([^;]*;)")
            if len(pattern.findall(text)) == 1:
                return Field(path=file.name, name=field.name, pattern=pattern)
    return None


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A copy of everything that buf reads."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    return tmp_path


def compare(module: Path) -> subprocess.CompletedProcess[str]:
    subprocess.run([BUF, "build"], cwd=module, check=True)
    return subprocess.run([BUF, "breaking", "--against", SNAPSHOT], cwd=module, capture_output=True, text=True)


def mutate(module: Path, field: Field, replacement: str) -> None:
    path = module / "proto" / field.path
    before = path.read_text()
    after = field.pattern.sub(replacement, before)
    assert after != before
    path.write_text(after)


def test_the_committed_protos_break_nothing(module):
    result = compare(module)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("replacement", "finding"),
    [
        pytest.param(r"\g<1>9999\g<2>", "changed|deleted", id="renumbered"),
        pytest.param("", "deleted", id="deleted"),
    ],
)
def test_a_changed_field_is_found(module, replacement, finding):
    field = find_field()
    mutate(module, field, replacement)
    result = compare(module)
    assert result.returncode == FOUND, result.stdout + result.stderr
    assert re.search(rf'"{field.name}".*({finding})|({finding}).*"{field.name}"', result.stdout), result.stdout
