"""Queries of tokens and of the deployment's keys. What a token means is decided in `services.tokens`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, insert, or_, select, update

from crosswind_server.store.records import read_record
from crosswind_server.store.schema import bundle, deployment_key, token
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token without the token itself. Times are microseconds since the epoch."""

    id: str
    team: str
    kind: str
    subject: str
    claims_json: str
    issued_time: int
    expire_time: int | None
    revoked_time: int | None


def insert_token(uow: UnitOfWork, row: TokenRow) -> None:
    """Record a token that was made."""
    uow.execute(
        insert(token).values(
            id=row.id,
            team=row.team,
            kind=row.kind,
            subject=row.subject,
            claims_json=row.claims_json,
            issued_time=row.issued_time,
            expire_time=row.expire_time,
            revoked_time=row.revoked_time,
        )
    )


def list_tokens(
    uow: UnitOfWork,
    team: str,
    *,
    kinds: Collection[str],
    subject: str,
    include_ended: bool,
    before_id: str | None,
    limit: int,
) -> Sequence[TokenRow]:
    """List a team's tokens, made last first, from the one after `before_id` on."""
    query = select(token).where(token.c.team == team)
    if kinds:
        query = query.where(token.c.kind.in_(list(kinds)))
    if subject:
        query = query.where(token.c.subject == subject)
    if not include_ended:
        alive = or_(token.c.expire_time.is_(None), token.c.expire_time > uow.now)
        query = query.where(and_(token.c.revoked_time.is_(None), alive))
    if before_id is not None:
        query = query.where(token.c.id < before_id)
    return [
        read_record(TokenRow, row) for row in uow.execute(query.order_by(token.c.id.desc()).limit(limit)).mappings()
    ]


def get_tokens(uow: UnitOfWork, team: str, ids: Collection[str]) -> Sequence[TokenRow]:
    """Read tokens of a team by their ids."""
    if not ids:
        return ()
    query = select(token).where(token.c.team == team, token.c.id.in_(list(ids)))
    return [read_record(TokenRow, row) for row in uow.execute(query).mappings()]


def revoke_token(uow: UnitOfWork, team: str, token_id: str) -> TokenRow | None:
    """Revoke a token if it is not revoked yet; returns it as it is now, None if the team has none of this id."""
    uow.execute(
        update(token)
        .where(token.c.team == team, token.c.id == token_id, token.c.revoked_time.is_(None))
        .values(revoked_time=uow.now)
    )
    rows = get_tokens(uow, team, [token_id])
    return rows[0] if rows else None


def list_revoked_ids(uow: UnitOfWork, *, expired_after: int) -> Sequence[str]:
    """List the ids of revoked tokens that had not expired by the given time: older ones are refused as expired.

    Enrolment tokens stay in the list for ever, because the worker tokens exchanged for them outlive them.
    """
    still_counts = or_(token.c.kind == "enrolment", token.c.expire_time.is_(None), token.c.expire_time > expired_after)
    query = select(token.c.id).where(token.c.revoked_time.is_not(None), still_counts)
    return [row.id for row in uow.execute(query)]


def list_bundles_of_others(
    uow: UnitOfWork, team: str, subject: str, names: Collection[str]
) -> Sequence[tuple[str, str]]:
    """List those of the named bundles that another subject publishes, with that subject."""
    if not names:
        return ()
    query = select(bundle.c.name, bundle.c.owner).where(
        bundle.c.team == team, bundle.c.name.in_(list(names)), bundle.c.owner != subject
    )
    return [(row.name, row.owner) for row in uow.execute(query.order_by(bundle.c.name))]


def get_deployment_key(uow: UnitOfWork, name: str) -> bytes | None:
    """Read a sealed key of the deployment."""
    sealed = uow.execute(select(deployment_key.c.key_sealed).where(deployment_key.c.name == name)).scalar()
    return None if sealed is None else bytes(sealed)


def add_deployment_key(uow: UnitOfWork, name: str, key_sealed: bytes) -> None:
    """Store a sealed key of the deployment, unless another server was faster."""
    uow.dialect.insert_ignore(
        deployment_key, [{"name": name, "key_sealed": key_sealed, "created_time": uow.now}], ["name"]
    )
