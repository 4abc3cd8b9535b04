"""Who calls: what a verified token says about its holder.

Here belongs the answer of authentication, as services read it. Verifying tokens belongs to `tokens`, which method a
caller may use to `rpc.authorisation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CallerKind(StrEnum):
    """What the token is for."""

    ENROLMENT = "enrolment"
    """Workers register with it."""
    WORKER = "worker"
    """One worker instance calls with it."""
    ACCESS = "access"
    """A person or an API client calls with it."""


class Role(StrEnum):
    """What the holder of an access token may do; each role may all that the one before may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        """Whether this role may all that the other may."""
        return _RANK[self] >= _RANK[other]


_RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The holder of a verified token.

    Args:
        team: to which everything belongs that the caller names.
        subject: who holds it; the owner of the bundles that a worker publishes.
        kind: what the token is for.
        token_id: the id of the token, not a secret.
        role: of an access token.
        instance_id: of a worker token: the worker instance that it was made for.
        enrolment_token_id: of a worker token: the enrolment token that it was exchanged for.
        bundles: that it may publish; an entry that ends in `*` is a prefix.
        queues: that it may serve; an entry that ends in `*` is a prefix.
        issued_us: when the token was made, in microseconds since the epoch.
        expires_us: when the token expires.
        expired: True for a worker token within its seven days of grace. [FIN-1]
    """

    team: str
    subject: str
    kind: CallerKind
    token_id: str
    role: Role | None = None
    instance_id: str | None = None
    enrolment_token_id: str | None = None
    bundles: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    issued_us: int = 0
    expires_us: int = 0
    expired: bool = False

    def may_publish(self, bundle: str) -> bool:
        """Whether the token names the bundle. [WORKER-1]"""
        return covers(self.bundles, bundle)

    def may_serve(self, queue: str) -> bool:
        """Whether the token names the queue."""
        return covers(self.queues, queue)


def covers(patterns: tuple[str, ...], name: str) -> bool:
    """Whether a name is one of the patterns; a pattern that ends in `*` is a prefix."""
    return any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns)
