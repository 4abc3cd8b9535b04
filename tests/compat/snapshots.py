"""Snapshots of small protos, given as text: many are compiled by one process of the pinned protoc."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT: Final = Path(__file__).resolve().parents[2]
GENERATORS: Final = ROOT / "build" / "codegen-venv" / "bin" / "python"
FILE: Final = "small/v1/small.proto"
_LOOP: Final = """
import json, pathlib, sys
import grpc_tools
from grpc_tools import protoc
include = pathlib.Path(grpc_tools.__file__).parent / "_proto"
for arguments in json.load(sys.stdin):
    if protoc.main(["protoc", f"-I{include}", *arguments]) != 0:
        sys.exit(arguments[0])
"""


def compile_protos(texts: Iterable[str], folder: Path) -> Mapping[str, FileDescriptorSet]:
    """The snapshot of each text, which is one file of the package `small.v1`."""
    assert GENERATORS.exists(), f"{GENERATORS} is missing: `make gen` makes it"
    runs, images = [], {}
    for text in texts:
        place = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
        images[text] = place / "image.binpb"
        (place / FILE).parent.mkdir(parents=True)
        (place / FILE).write_text(text)
        runs.append(
            [f"-I{place}", f"-I{ROOT / 'proto'}", "--include_imports", f"--descriptor_set_out={images[text]}", FILE]
        )
    command: list[str | Path] = [GENERATORS, "-c", _LOOP]
    done = subprocess.run(command, input=json.dumps(runs), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return {text: FileDescriptorSet.FromString(image.read_bytes()) for text, image in images.items()}
