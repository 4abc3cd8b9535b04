"""Packed bundles for tests, made of any program: what crosswind-go-pack does, written again from the document."""

import hashlib
import struct
import sys
from pathlib import Path

from crosswind.manifest.v1 import bundle_pb2

KIT = Path(__file__).with_name("plugin_kit.py")


def pack(path: Path, program: bytes, *, bundle: str = "kit", manifest: bundle_pb2.Manifest | None = None) -> str:
    """Write a packed bundle, at once. Returns its version."""
    digest = hashlib.sha256(program).digest()
    version = digest[:16].hex()
    described = manifest or bundle_pb2.Manifest(
        bundle=bundle, bundle_version=version, api_version="2026-12-01", sdk=bundle_pb2.Sdk(language="kit", version="1")
    )
    data = described.SerializeToString()
    whole = program + data + struct.pack(">Q", len(data)) + digest + b"CROSSWIND-BNDL/1"
    half = path.with_name(f".{path.name}.half")
    half.write_bytes(whole)
    half.chmod(0o755)
    half.replace(path)
    return version


def script(text: str) -> bytes:
    """A program that a shell runs, and which ends before what is packed behind it."""
    return f"#!/bin/sh\n{text}\nexit 0\n".encode()


def pack_kit(path: Path, *arguments: str, mark: str = "") -> str:
    """Write `plugin_kit.py` as a packed bundle. Another mark makes another version."""
    return pack(path, script(f"# {mark}\nexec {sys.executable} {KIT} {' '.join(arguments)}"))
