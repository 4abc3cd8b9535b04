"""Refusals as gRPC statuses: a code, a sentence and one `google.rpc.ErrorInfo`.

Here belongs the translation. When to refuse is decided in `domain` and `services`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.services.dependencies import StoreUnavailable

DOMAIN = "crosswind"
DETAILS_KEY = "grpc-status-details-bin"


def refusal_of(error: Exception) -> Refused | None:
    """The refusal that an expected error stands for; None for a defect."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, StoreUnavailable):
        return Refused(Reason.DATABASE_UNAVAILABLE, f"{error} The call may be repeated as it is.")
    return None


def defect(incident_id: str) -> Refused:
    """What a caller learns of a defect: an id to look for in the server's log, and nothing else."""
    return Refused(
        Reason.INTERNAL,
        f"The server has a defect; its operator finds it in the log under {incident_id}.",
        metadata={"incident_id": incident_id},
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal as a client of some API version reads it.

    Args:
        code: the name of a gRPC status code.
        reason: the reason in that version.
        message: the sentence.
        metadata: of the ErrorInfo.
    """

    code: str
    reason: str
    message: str
    metadata: Mapping[str, str]

    @classmethod
    def of(cls, refused: Refused) -> Problem:
        """A refusal in the newest version."""
        return cls(refused.code.value, refused.reason.value, refused.message, refused.metadata)


def status_details(problem: Problem) -> bytes:
    """The serialized `google.rpc.Status` with one ErrorInfo."""
    info = ErrorInfo(reason=problem.reason, domain=DOMAIN, metadata=dict(problem.metadata))
    packed = AnyMessage()
    packed.Pack(info)
    status = Status(code=grpc.StatusCode[problem.code].value[0], message=problem.message, details=[packed])
    details: bytes = status.SerializeToString()
    return details


async def abort(context: grpc.aio.ServicerContext[object, object], problem: Problem) -> NoReturn:
    """End the call with a refusal."""
    await context.abort(
        grpc.StatusCode[problem.code], problem.message, trailing_metadata=((DETAILS_KEY, status_details(problem)),)
    )
    raise AssertionError("abort returned")
