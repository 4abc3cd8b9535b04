"""The messages of every version, made from its snapshot, as JSON and as bytes.

Each version has a pool of its own, so that all of them live in one process. Clients do not use these: see `stubs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from tests.compat.lab.history import load_snapshot


@cache
def pool_of(version: str) -> DescriptorPool:
    """All descriptors of a version."""
    pool = descriptor_pool.DescriptorPool()
    for file in load_snapshot(version).file:
        pool.Add(file)
    return pool


@cache
def message_type(version: str, full_name: str) -> type[Message]:
    """A message of a version."""
    found: type[Message] = message_factory.GetMessageClass(pool_of(version).FindMessageTypeByName(full_name))
    return found


@cache
def method_of(version: str, path: str) -> MethodDescriptor:
    """An RPC of a version, by its path `package.Service/Method`. Raises KeyError where it has none."""
    service, _, name = path.rpartition("/")
    return pool_of(version).FindServiceByName(service).methods_by_name[name]


def to_bytes(version: str, full_name: str, fields: Mapping[str, Any]) -> bytes:
    """A message from protobuf's JSON."""
    message = json_format.ParseDict(dict(fields), message_type(version, full_name)())
    data: bytes = message.SerializeToString()
    return data


def to_json(version: str, full_name: str, data: bytes) -> dict[str, Any]:
    """A message as protobuf's JSON, with the fields' own names."""
    message = message_type(version, full_name).FromString(data)
    fields: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return fields
