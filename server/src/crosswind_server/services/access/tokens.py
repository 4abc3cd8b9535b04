"""Tokens: who may call, and as what. [AUTH-1]

Here belong making, recording, verifying and revoking tokens. Which method a token opens belongs to `rpc.authorisation`.

A token is a JWT signed with the deployment's Ed25519 key. The server stores its id and claims, never the token.
"""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.ids import uuid7
from crosswind_server.services.access.callers import Caller, CallerKind, Role
from crosswind_server.services.access.sealing import Sealer
from crosswind_server.store import tokens as rows
from crosswind_server.store.clock import REAL_CLOCK, Clock
from crosswind_server.store.tokens import TokenRow
from crosswind_server.store.unit_of_work import UnitOfWork

SECOND_US: Final = 1_000_000
DAY_US: Final = 86_400 * SECOND_US
WORKER_TOKEN_LIFE_US: Final = DAY_US
GRACE_US: Final = 7 * DAY_US
"""How long the expired token of a known worker instance still registers, heartbeats and finishes. [FIN-1]"""
DEFAULT_LIFE_US: Final = 30 * DAY_US
LONGEST_LIFE_US: Final = 3_653 * DAY_US
TOPIC: Final = "tokens"
"""Hinted when a token was revoked."""

_ISSUER: Final = "crosswind"
_ALGORITHM: Final = "EdDSA"
_SIGNING_KEY: Final = "token_signing"
_CACHE_SIZE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A token that was just made: the only moment in which it is known."""

    token: str
    caller: Caller
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """What is known of a token. Times are microseconds since the epoch."""

    token_id: str
    team: str
    kind: CallerKind
    subject: str
    role: Role | None
    bundles: tuple[str, ...]
    queues: tuple[str, ...]
    created_by: str
    enrolment_token_id: str
    issued_us: int
    expires_us: int | None
    revoked_us: int | None


class TokenSigner:
    """Makes tokens with the deployment's key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def verifier(self) -> TokenVerifier:
        """The verifier of the tokens that this signer makes."""
        return TokenVerifier(self)

    def sign(self, caller: Caller) -> str:
        """The token of a caller."""
        claims: dict[str, Any] = {
            "iss": _ISSUER,
            "jti": caller.token_id,
            "sub": caller.subject,
            "iat": caller.issued_us // SECOND_US,
            "exp": -(-caller.expires_us // SECOND_US),
            "team": caller.team,
            "kind": caller.kind.value,
        }
        if caller.kind is CallerKind.ACCESS:
            claims["role"] = caller.role
        else:
            claims |= {"bundles": caller.bundles, "queues": caller.queues}
        if caller.kind is CallerKind.WORKER:
            claims |= {"instance": caller.instance_id, "enrolment": caller.enrolment_token_id}
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, token: str) -> Caller:
        """What a token says, once its signature was found good; whether it expired is not looked at.

        Raises:
            Refused: TOKEN_INVALID.
        """
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                options={"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "jti", "sub", "iss"]},
            )
            return Caller(
                team=claims["team"],
                subject=claims["sub"],
                kind=CallerKind(claims["kind"]),
                token_id=claims["jti"],
                role=Role(claims["role"]) if "role" in claims else None,
                instance_id=claims.get("instance"),
                enrolment_token_id=claims.get("enrolment"),
                bundles=tuple(claims.get("bundles", ())),
                queues=tuple(claims.get("queues", ())),
                issued_us=claims["iat"] * SECOND_US,
                expires_us=claims["exp"] * SECOND_US,
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            raise Refused(
                Reason.TOKEN_INVALID,
                "The token is not one of this server's; ask an operator for a new one, or check the token file.",
            ) from None


class TokenVerifier:
    """Tells who holds a token. Remembers the tokens that it has verified; belongs to one event loop."""

    def __init__(self, signer: TokenSigner, clock: Clock = REAL_CLOCK) -> None:
        self._signer = signer
        self._clock = clock
        self._known: OrderedDict[str, Caller] = OrderedDict()
        self._revoked: frozenset[str] = frozenset()

    def replace_revoked(self, token_ids: Collection[str]) -> None:
        """Take over the ids of all tokens that are revoked."""
        self._revoked = frozenset(token_ids)

    def verify(self, token: str, *, now_us: int | None = None) -> Caller:
        """Who holds the token; `expired` is True for a worker token within its grace.

        Args:
            token: the JWT.
            now_us: microseconds since the epoch; by default what the verifier's clock says.

        Raises:
            Refused: TOKEN_INVALID, TOKEN_EXPIRED or TOKEN_REVOKED.
        """
        caller = self._known.get(token)
        if caller is None:
            caller = self._signer.read(token)
            self._known[token] = caller
            if len(self._known) > _CACHE_SIZE:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(token)
        if caller.token_id in self._revoked or caller.enrolment_token_id in self._revoked:
            raise Refused(
                Reason.TOKEN_REVOKED,
                f"The token {caller.token_id} of {caller.subject!r} was revoked; ask an operator for a new one.",
                metadata={"token_id": caller.token_id},
            )
        if now_us is None:
            now_us = self._clock.wall_us()
        if now_us < caller.expires_us:
            return caller
        if caller.kind is CallerKind.WORKER and now_us < caller.expires_us + GRACE_US:
            return dataclasses.replace(caller, expired=True)
        raise expired(caller)


def expired(caller: Caller) -> Refused:
    """The refusal of a token that has expired."""
    way_out = {
        CallerKind.ENROLMENT: "make a new one with `crosswind-server token create --kind enrolment`",
        CallerKind.WORKER: "register again with the enrolment token",
        CallerKind.ACCESS: "make a new one with `crosswind-server token create`",
    }[caller.kind]
    return Refused(
        Reason.TOKEN_EXPIRED,
        f"The {caller.kind} token {caller.token_id} of {caller.subject!r} has expired; {way_out}.",
        metadata={"token_id": caller.token_id},
    )


# --- within a transaction ---------------------------------------------------------------------------------------------


def load_signer(uow: UnitOfWork, sealer: Sealer) -> TokenSigner:
    """The signer of this deployment; its key is made at the first start.

    Raises:
        CannotOpen: the key was sealed with another encryption key than this server has.
    """
    place = f"deployment_key:{_SIGNING_KEY}"
    sealed = rows.get_deployment_key(uow, _SIGNING_KEY)
    if sealed is None:
        key = Ed25519PrivateKey.generate()
        raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        rows.add_deployment_key(uow, _SIGNING_KEY, sealer.seal(raw, place))
        sealed = rows.get_deployment_key(uow, _SIGNING_KEY)
        assert sealed is not None
    return TokenSigner(Ed25519PrivateKey.from_private_bytes(sealer.open(sealed, place)))


def issue_worker_token(uow: UnitOfWork, signer: TokenSigner, *, caller: Caller, instance_id: str) -> IssuedToken:
    """Make the token of a worker instance, in exchange for an enrolment token or its own older token."""
    enrolment = caller.token_id if caller.kind is CallerKind.ENROLMENT else caller.enrolment_token_id
    token = dataclasses.replace(
        caller,
        kind=CallerKind.WORKER,
        token_id=str(uuid7(uow.now)),
        role=None,
        instance_id=instance_id,
        enrolment_token_id=enrolment,
        issued_us=uow.now,
        expires_us=uow.now + WORKER_TOKEN_LIFE_US,
        expired=False,
    )
    return _issue(uow, signer, token, created_by=caller.subject)


def needs_renewal(caller: Caller, now_us: int) -> bool:
    """Whether a token is past half of its life."""
    return now_us - caller.issued_us > (caller.expires_us - caller.issued_us) // 2


def create_enrolment_token(
    uow: UnitOfWork,
    signer: TokenSigner,
    *,
    team: str,
    subject: str,
    bundles: Sequence[str],
    queues: Sequence[str],
    life_us: int = DEFAULT_LIFE_US,
    created_by: str = "",
) -> IssuedToken:
    """Make a token with which workers register. Raises `Refused`: INVALID_ARGUMENT."""
    if not bundles:
        raise invalid("bundles", "An enrolment token names the bundles that its workers may publish; '*' means any.")
    for field, patterns in (("bundles", bundles), ("queues", queues)):
        if len(patterns) > 100 or any(not 1 <= len(p) <= 250 or "*" in p[:-1] for p in patterns):
            raise invalid(field, f"`{field}` holds at most 100 names; a `*` may only end one.")
    caller = Caller(
        team=team,
        subject=subject,
        kind=CallerKind.ENROLMENT,
        token_id=str(uuid7(uow.now)),
        bundles=tuple(bundles),
        queues=tuple(queues) or ("*",),
        issued_us=uow.now,
        expires_us=uow.now + _checked_life(life_us),
    )
    return _issue(uow, signer, caller, created_by=created_by)


def check_owners(uow: UnitOfWork, team: str, subject: str, bundles: Sequence[str]) -> None:
    """Check that nobody else publishes one of the bundles. Raises `Refused`: BUNDLE_NOT_OWNED. [WORKER-1]"""
    taken = rows.list_bundles_of_others(uow, team, subject, [name for name in bundles if not name.endswith("*")])
    if taken:
        name, owner = taken[0]
        raise Refused(
            Reason.BUNDLE_NOT_OWNED,
            f"The bundle '{name}' is published by '{owner}'; make the token for that subject, or rename the bundle.",
            metadata={"bundle": name, "owner": owner},
        )


def create_access_token(
    uow: UnitOfWork,
    signer: TokenSigner,
    *,
    team: str,
    subject: str,
    role: Role,
    life_us: int = DEFAULT_LIFE_US,
    created_by: str = "",
) -> IssuedToken:
    """Make a token for a person or an API client. Raises `Refused`: INVALID_ARGUMENT."""
    caller = Caller(
        team=team,
        subject=subject,
        kind=CallerKind.ACCESS,
        token_id=str(uuid7(uow.now)),
        role=role,
        issued_us=uow.now,
        expires_us=uow.now + _checked_life(life_us),
    )
    return _issue(uow, signer, caller, created_by=created_by)


def list_tokens(
    uow: UnitOfWork,
    team: str,
    *,
    kinds: Collection[CallerKind] = (),
    subject: str = "",
    include_ended: bool = False,
    before_id: str | None = None,
    limit: int = 100,
) -> Sequence[TokenInfo]:
    """List a team's tokens, made last first. A worker token counts as revoked when its enrolment token is."""
    found = rows.list_tokens(
        uow,
        team,
        kinds=[kind.value for kind in kinds],
        subject=subject,
        include_ended=include_ended,
        before_id=before_id,
        limit=limit,
    )
    return _infos(uow, team, found)


def revoke_token(uow: UnitOfWork, team: str, token_id: str) -> TokenInfo:
    """Revoke a token, and with an enrolment token the worker tokens that were exchanged for it.

    Raises:
        Refused: TOKEN_NOT_FOUND.
    """
    row = rows.revoke_token(uow, team, token_id)
    if row is None:
        raise Refused(
            Reason.TOKEN_NOT_FOUND,
            f"Team '{team}' has no token {token_id!r}; list them with `crosswind-server token list`.",
            metadata={"token_id": token_id},
        )
    uow.hint(TOPIC)
    return _infos(uow, team, [row])[0]


def read_revoked(uow: UnitOfWork) -> Sequence[str]:
    """The ids of all revoked tokens that would be accepted otherwise."""
    return rows.list_revoked_ids(uow, expired_after=uow.now - GRACE_US)


def invalid(field: str, message: str) -> Refused:
    """The refusal of a field."""
    return Refused(Reason.INVALID_ARGUMENT, message, metadata={"field": field})


def _checked_life(life_us: int) -> int:
    if not SECOND_US <= life_us <= LONGEST_LIFE_US:
        raise invalid("ttl", "A token lasts from 1 second to 10 years.")
    return life_us


def _issue(uow: UnitOfWork, signer: TokenSigner, caller: Caller, *, created_by: str) -> IssuedToken:
    if not 1 <= len(caller.subject) <= 250:
        raise invalid("subject", "The subject of a token has 1 to 250 characters.")
    claims: Mapping[str, object] = {
        "role": caller.role,
        "bundles": caller.bundles,
        "queues": caller.queues,
        "instance_id": caller.instance_id,
        "enrolment_token_id": caller.enrolment_token_id,
        "created_by": created_by,
    }
    rows.insert_token(
        uow,
        TokenRow(
            id=caller.token_id,
            team=caller.team,
            kind=caller.kind.value,
            subject=caller.subject,
            claims_json=json.dumps(claims, separators=(",", ":")),
            issued_time=caller.issued_us,
            expire_time=caller.expires_us,
            revoked_time=None,
        ),
    )
    return IssuedToken(token=signer.sign(caller), caller=caller, created_by=created_by)


def _infos(uow: UnitOfWork, team: str, found: Sequence[TokenRow]) -> Sequence[TokenInfo]:
    infos = [_info(row) for row in found]
    parents = {
        row.id: row.revoked_time
        for row in rows.get_tokens(uow, team, {i.enrolment_token_id for i in infos if i.enrolment_token_id})
    }
    return [
        dataclasses.replace(info, revoked_us=parents[info.enrolment_token_id])
        if info.revoked_us is None and parents.get(info.enrolment_token_id)
        else info
        for info in infos
    ]


def _info(row: TokenRow) -> TokenInfo:
    claims = json.loads(row.claims_json)
    return TokenInfo(
        token_id=row.id,
        team=row.team,
        kind=CallerKind(row.kind),
        subject=row.subject,
        role=Role(claims["role"]) if claims.get("role") else None,
        bundles=tuple(claims.get("bundles", ())),
        queues=tuple(claims.get("queues", ())),
        created_by=claims.get("created_by", ""),
        enrolment_token_id=claims.get("enrolment_token_id") or "",
        issued_us=row.issued_time,
        expires_us=row.expire_time,
        revoked_us=row.revoked_time,
    )
