"""What is said when a call is refused: a code, a reason, a sentence and details.

Here belong the vocabulary of refusals and the one exception that carries it. Turning it into a gRPC status with
`google.rpc.ErrorInfo` belongs to `rpc`; deciding when to refuse belongs to the module of the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Code(StrEnum):
    """gRPC status codes by their canonical names, so that the rules need no gRPC."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    UNAUTHENTICATED = "UNAUTHENTICATED"


class Reason(StrEnum):
    """Why a call was refused. The proto enum `ErrorReason` has the same names."""

    # Attempts and leases
    STALE_LEASE = "STALE_LEASE"
    OUTCOME_CONFLICT = "OUTCOME_CONFLICT"
    ATTEMPT_NOT_STARTED = "ATTEMPT_NOT_STARTED"
    ATTEMPT_CANCELLING = "ATTEMPT_CANCELLING"
    UNKNOWN_ATTEMPT = "UNKNOWN_ATTEMPT"
    # Workers and bundles
    WORKER_NAME_IN_USE = "WORKER_NAME_IN_USE"
    WORKER_SUPERSEDED = "WORKER_SUPERSEDED"
    WORKER_UNKNOWN = "WORKER_UNKNOWN"
    BUNDLE_NOT_OWNED = "BUNDLE_NOT_OWNED"
    POLL_SUPERSEDED = "POLL_SUPERSEDED"
    # Who is calling, and in which version
    TOKEN_MISSING = "TOKEN_MISSING"
    TOKEN_INVALID = "TOKEN_INVALID"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    TOKEN_REVOKED = "TOKEN_REVOKED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    API_VERSION_MISSING = "API_VERSION_MISSING"
    API_VERSION_MALFORMED = "API_VERSION_MALFORMED"
    API_VERSION_UNKNOWN = "API_VERSION_UNKNOWN"
    CLIENT_TOO_OLD = "CLIENT_TOO_OLD"
    CLIENT_TOO_NEW = "CLIENT_TOO_NEW"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    # The request itself
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    VALUE_TOO_LARGE = "VALUE_TOO_LARGE"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    # What it names
    DAG_NOT_FOUND = "DAG_NOT_FOUND"
    DAG_INVALID = "DAG_INVALID"
    DAG_PAUSED = "DAG_PAUSED"
    DAG_OWNED_BY_OTHER_BUNDLE = "DAG_OWNED_BY_OTHER_BUNDLE"
    RUN_NOT_FOUND = "RUN_NOT_FOUND"
    RUN_EXISTS = "RUN_EXISTS"
    RUN_FINISHED = "RUN_FINISHED"
    TASK_NOT_FOUND = "TASK_NOT_FOUND"
    VARIABLE_NOT_FOUND = "VARIABLE_NOT_FOUND"
    CONNECTION_NOT_FOUND = "CONNECTION_NOT_FOUND"
    XCOM_NOT_FOUND = "XCOM_NOT_FOUND"
    LOG_NOT_FOUND = "LOG_NOT_FOUND"
    WORKER_NOT_FOUND = "WORKER_NOT_FOUND"
    DAG_VERSION_NOT_FOUND = "DAG_VERSION_NOT_FOUND"
    BUNDLE_NOT_FOUND = "BUNDLE_NOT_FOUND"
    BUNDLE_VERSION_NOT_FOUND = "BUNDLE_VERSION_NOT_FOUND"
    POOL_NOT_FOUND = "POOL_NOT_FOUND"
    ASSET_NOT_FOUND = "ASSET_NOT_FOUND"
    BACKFILL_NOT_FOUND = "BACKFILL_NOT_FOUND"
    INPUT_REQUEST_NOT_FOUND = "INPUT_REQUEST_NOT_FOUND"
    TOKEN_NOT_FOUND = "TOKEN_NOT_FOUND"
    WORKLOAD_NOT_FOUND = "WORKLOAD_NOT_FOUND"
    # The state that it is in
    RUN_CANCELLING = "RUN_CANCELLING"
    TASK_RUNNING = "TASK_RUNNING"
    TASK_FINISHED = "TASK_FINISHED"
    INPUT_REQUEST_CLOSED = "INPUT_REQUEST_CLOSED"
    DAG_NOT_SCHEDULED = "DAG_NOT_SCHEDULED"
    CONF_INVALID = "CONF_INVALID"
    STATE_CHANGED = "STATE_CHANGED"
    WORKER_LOST = "WORKER_LOST"
    # The server
    SERVER_STOPPING = "SERVER_STOPPING"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    INTERNAL = "INTERNAL"


CODE_OF: Mapping[Reason, Code] = MappingProxyType(
    {
        Reason.STALE_LEASE: Code.FAILED_PRECONDITION,
        Reason.OUTCOME_CONFLICT: Code.ABORTED,
        Reason.ATTEMPT_NOT_STARTED: Code.FAILED_PRECONDITION,
        Reason.ATTEMPT_CANCELLING: Code.FAILED_PRECONDITION,
        Reason.UNKNOWN_ATTEMPT: Code.NOT_FOUND,
        Reason.WORKER_NAME_IN_USE: Code.ALREADY_EXISTS,
        Reason.WORKER_SUPERSEDED: Code.FAILED_PRECONDITION,
        Reason.WORKER_UNKNOWN: Code.NOT_FOUND,
        Reason.BUNDLE_NOT_OWNED: Code.PERMISSION_DENIED,
        Reason.POLL_SUPERSEDED: Code.ABORTED,
        Reason.TOKEN_MISSING: Code.UNAUTHENTICATED,
        Reason.TOKEN_INVALID: Code.UNAUTHENTICATED,
        Reason.TOKEN_EXPIRED: Code.UNAUTHENTICATED,
        Reason.TOKEN_REVOKED: Code.UNAUTHENTICATED,
        Reason.PERMISSION_DENIED: Code.PERMISSION_DENIED,
        Reason.API_VERSION_MISSING: Code.INVALID_ARGUMENT,
        Reason.API_VERSION_MALFORMED: Code.INVALID_ARGUMENT,
        Reason.API_VERSION_UNKNOWN: Code.INVALID_ARGUMENT,
        Reason.CLIENT_TOO_OLD: Code.FAILED_PRECONDITION,
        Reason.CLIENT_TOO_NEW: Code.FAILED_PRECONDITION,
        Reason.NOT_SUPPORTED: Code.UNIMPLEMENTED,
        Reason.INVALID_ARGUMENT: Code.INVALID_ARGUMENT,
        # Never RESOURCE_EXHAUSTED, which naive clients retry for ever: a value does not shrink by waiting.
        Reason.VALUE_TOO_LARGE: Code.INVALID_ARGUMENT,
        Reason.MESSAGE_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
        Reason.PAGE_TOKEN_INVALID: Code.INVALID_ARGUMENT,
        Reason.REQUEST_ID_REUSED: Code.ALREADY_EXISTS,
        Reason.DAG_NOT_FOUND: Code.NOT_FOUND,
        Reason.DAG_INVALID: Code.INVALID_ARGUMENT,
        Reason.DAG_PAUSED: Code.FAILED_PRECONDITION,
        Reason.DAG_OWNED_BY_OTHER_BUNDLE: Code.ALREADY_EXISTS,
        Reason.RUN_NOT_FOUND: Code.NOT_FOUND,
        Reason.RUN_EXISTS: Code.ALREADY_EXISTS,
        Reason.RUN_FINISHED: Code.FAILED_PRECONDITION,
        Reason.TASK_NOT_FOUND: Code.NOT_FOUND,
        Reason.VARIABLE_NOT_FOUND: Code.NOT_FOUND,
        Reason.CONNECTION_NOT_FOUND: Code.NOT_FOUND,
        Reason.XCOM_NOT_FOUND: Code.NOT_FOUND,
        Reason.LOG_NOT_FOUND: Code.NOT_FOUND,
        Reason.WORKER_NOT_FOUND: Code.NOT_FOUND,
        Reason.DAG_VERSION_NOT_FOUND: Code.NOT_FOUND,
        Reason.BUNDLE_NOT_FOUND: Code.NOT_FOUND,
        Reason.BUNDLE_VERSION_NOT_FOUND: Code.NOT_FOUND,
        Reason.POOL_NOT_FOUND: Code.NOT_FOUND,
        Reason.ASSET_NOT_FOUND: Code.NOT_FOUND,
        Reason.BACKFILL_NOT_FOUND: Code.NOT_FOUND,
        Reason.INPUT_REQUEST_NOT_FOUND: Code.NOT_FOUND,
        Reason.TOKEN_NOT_FOUND: Code.NOT_FOUND,
        Reason.WORKLOAD_NOT_FOUND: Code.NOT_FOUND,
        Reason.RUN_CANCELLING: Code.FAILED_PRECONDITION,
        Reason.TASK_RUNNING: Code.FAILED_PRECONDITION,
        Reason.TASK_FINISHED: Code.FAILED_PRECONDITION,
        Reason.INPUT_REQUEST_CLOSED: Code.FAILED_PRECONDITION,
        Reason.DAG_NOT_SCHEDULED: Code.FAILED_PRECONDITION,
        Reason.CONF_INVALID: Code.INVALID_ARGUMENT,
        Reason.STATE_CHANGED: Code.ABORTED,
        Reason.WORKER_LOST: Code.FAILED_PRECONDITION,
        Reason.SERVER_STOPPING: Code.UNAVAILABLE,
        Reason.DATABASE_UNAVAILABLE: Code.UNAVAILABLE,
        Reason.INTERNAL: Code.INTERNAL,
    }
)
"""The status code of every reason: one reason never travels under two codes."""


class Refused(Exception):
    """A call that the rules refuse.

    Args:
        reason: which rule refused it.
        message: a sentence that names the thing and the way out.
        metadata: details for `ErrorInfo.metadata`, such as the id of the attempt.
    """

    def __init__(self, reason: Reason, message: str, *, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = CODE_OF[reason]
        self.message = message
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))

    def __str__(self) -> str:
        return f"{self.code}/{self.reason}: {self.message}"
