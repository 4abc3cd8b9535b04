"""Why a call to the server failed, in terms that need no gRPC, so that task processes can raise them.

How a task failed does not belong here: that is a `Failure`, see `runtime/execution.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

ERROR_DOMAIN: Final = "crosswind"

# The gRPC status codes that the SDK itself tells apart, by number: the grpc package is not imported for them.
CANCELLED: Final = 1
UNKNOWN: Final = 2
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
NOT_FOUND: Final = 5
RESOURCE_EXHAUSTED: Final = 8
FAILED_PRECONDITION: Final = 9
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
UNAUTHENTICATED: Final = 16


class CallError(Exception):
    """A call that was refused, or that did not get through.

    Args:
        code: the gRPC status code as a number.
        reason: the name of an `ErrorReason` without its prefix, such as `STALE_LEASE`. Empty: the server named none.
        message: what happened, in a sentence.
        metadata: the things concerned, as the server names them.
    """

    def __init__(
        self, code: int, reason: str = "", message: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code, reason, message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})" if self.reason else self.message or f"gRPC status {self.code}"

    @classmethod
    def from_status(cls, status: bytes) -> CallError:
        """Reads a serialized `google.rpc.Status`. One that cannot be read becomes code UNKNOWN."""
        message = status_pb2.Status()
        try:
            message.ParseFromString(status)
        except DecodeError:
            return cls(UNKNOWN, "", "The error could not be read.")
        reason, metadata = "", {}
        for detail in message.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == ERROR_DOMAIN:
                reason, metadata = info.reason, dict(info.metadata)
                break
        return cls(message.code, reason, message.message, metadata)

    def to_status(self) -> bytes:
        """A serialized `google.rpc.Status` that `from_status` reads as this error."""
        status = status_pb2.Status(code=self.code, message=self.message)
        if self.reason:
            info = error_details_pb2.ErrorInfo(domain=ERROR_DOMAIN, reason=self.reason, metadata=dict(self.metadata))
            status.details.add().Pack(info)
        return bytes(status.SerializeToString())
