"""Who calls: the token in a call's metadata, and the attempt that a task's call names. [AUTH-1]

Here belong reading the metadata and handing the caller to handlers. What a token says is found by `services.tokens`,
what its holder may call by `authorisation`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.services.access.callers import Caller
from crosswind_server.services.access.tokens import TokenVerifier
from crosswind_server.services.execution.attempt_access import AttemptProof

AUTHORIZATION: Final = "authorization"
ATTEMPT: Final = "crosswind-attempt"
LEASE: Final = "crosswind-lease-bin"

Metadata = dict[str, str | bytes]

_caller: ContextVar[Caller] = ContextVar("crosswind_caller")
_attempt: ContextVar[AttemptProof] = ContextVar("crosswind_attempt")
_api_version: ContextVar[str] = ContextVar("crosswind_api_version")


def caller() -> Caller:
    """The caller of the RPC that is being handled."""
    return _caller.get()


def attempt() -> AttemptProof:
    """The attempt for which a worker forwards a task's call."""
    return _attempt.get()


def api_version() -> str:
    """The API version that the caller's message was written in, to be recorded. Nothing may depend on it. [VER-1]"""
    return _api_version.get()


def set_api_version(version: str) -> None:
    """Hand the API version to the handler, in the task that handles this RPC."""
    _api_version.set(version)


def set_caller(who: Caller) -> None:
    """Hand the caller to the handler, in the task that handles this RPC."""
    _caller.set(who)


def set_attempt(proof: AttemptProof) -> None:
    """Hand the attempt to the handler, in the task that handles this RPC."""
    _attempt.set(proof)


def authenticate(metadata: Metadata, verifier: TokenVerifier) -> Caller:
    """Who calls.

    Raises:
        Refused: TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED or TOKEN_REVOKED.
    """
    header = metadata.get(AUTHORIZATION, "")
    scheme, _, token = str(header).partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(
            Reason.TOKEN_MISSING,
            "The call carries no token; send metadata 'authorization: Bearer <token>'. On the server's machine the"
            " token is in the file access-token of the server's home folder; elsewhere ask an operator.",
        )
    return verifier.verify(token.strip())


def read_attempt(metadata: Metadata, who: Caller) -> AttemptProof:
    """The attempt that a call of TaskService names.

    Raises:
        Refused: INVALID_ARGUMENT, the metadata is missing or malformed.
    """
    attempt_id, lease = metadata.get(ATTEMPT), metadata.get(LEASE)
    if not attempt_id or not isinstance(lease, bytes) or not lease:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            f"A call of TaskService names its attempt in metadata '{ATTEMPT}' (the id) and '{LEASE}' (the lease).",
            metadata={"field": ATTEMPT if not attempt_id else LEASE},
        )
    return AttemptProof(attempt_id=str(attempt_id), lease=lease, team=who.team, instance_id=who.instance_id or "")
