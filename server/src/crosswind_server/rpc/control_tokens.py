"""TokenService."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from crosswind.control.v1 import tokens_pb2, tokens_pb2_grpc
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.messages import change, invalid, read_page, required, span_us, timestamp
from crosswind_server.services.access import tokens
from crosswind_server.services.access.callers import Caller, CallerKind, Role
from crosswind_server.services.dependencies import Services, UnitOfWork

_KINDS = {
    tokens_pb2.TOKEN_KIND_ENROLMENT: CallerKind.ENROLMENT,
    tokens_pb2.TOKEN_KIND_WORKER: CallerKind.WORKER,
    tokens_pb2.TOKEN_KIND_ACCESS: CallerKind.ACCESS,
}
_KIND_NUMBERS = {kind: number for number, kind in _KINDS.items()}
_ROLES = {
    tokens_pb2.ROLE_VIEWER: Role.VIEWER,
    tokens_pb2.ROLE_OPERATOR: Role.OPERATOR,
    tokens_pb2.ROLE_ADMIN: Role.ADMIN,
}
_ROLE_NUMBERS = {role: number for number, role in _ROLES.items()}


class TokenServicer(tokens_pb2_grpc.TokenServiceServicer):
    """Tokens for administrators."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def CreateEnrolmentToken(
        self, request: tokens_pb2.CreateEnrolmentTokenRequest, context: ServicerContext
    ) -> tokens_pb2.CreateEnrolmentTokenResponse:
        who, signer = caller(), self._services.signer
        if request.team and request.team != who.team:
            raise Refused(
                Reason.PERMISSION_DENIED,
                f"This token is of team '{who.team}' and makes no tokens for team '{request.team}'; make it on the"
                " server's machine with `crosswind-server token create --team`.",
                metadata={"team": request.team},
            )
        life_us = _life(request.ttl, request.HasField("ttl"))

        def act(uow: UnitOfWork) -> tokens_pb2.CreateEnrolmentTokenResponse:
            tokens.check_owners(uow, who.team, request.subject, tuple(request.bundles))
            issued = tokens.create_enrolment_token(
                uow,
                signer,
                team=who.team,
                subject=request.subject,
                bundles=request.bundles,
                queues=request.queues,
                life_us=life_us,
                created_by=who.subject,
            )
            return tokens_pb2.CreateEnrolmentTokenResponse(token=issued.token, info=_issued_message(issued))

        return await change(self._services, request, tokens_pb2.CreateEnrolmentTokenResponse, act)

    async def CreateAccessToken(
        self, request: tokens_pb2.CreateAccessTokenRequest, context: ServicerContext
    ) -> tokens_pb2.CreateAccessTokenResponse:
        who, signer, role = caller(), self._services.signer, _ROLES.get(request.role)
        if role is None:
            raise invalid("role", "`role` is missing; give ROLE_VIEWER, ROLE_OPERATOR or ROLE_ADMIN.")
        life_us = _life(request.ttl, request.HasField("ttl"))

        def act(uow: UnitOfWork) -> tokens_pb2.CreateAccessTokenResponse:
            issued = tokens.create_access_token(
                uow, signer, team=who.team, subject=request.subject, role=role, life_us=life_us, created_by=who.subject
            )
            return tokens_pb2.CreateAccessTokenResponse(token=issued.token, info=_issued_message(issued))

        return await change(self._services, request, tokens_pb2.CreateAccessTokenResponse, act)

    async def ListTokens(
        self, request: tokens_pb2.ListTokensRequest, context: ServicerContext
    ) -> tokens_pb2.ListTokensResponse:
        team = caller().team
        page = read_page(request, team)
        before = str(page.after[0]) if page.after else None
        kinds = []
        for kind in request.kinds:
            if kind not in _KINDS:
                raise invalid("kinds", "`kinds` holds TOKEN_KIND_ENROLMENT, TOKEN_KIND_WORKER or TOKEN_KIND_ACCESS.")
            kinds.append(_KINDS[kind])
        rows = await self._services.store.read(
            lambda uow: tokens.list_tokens(
                uow,
                team,
                kinds=kinds,
                subject=request.subject,
                include_ended=request.include_ended,
                before_id=before,
                limit=page.limit,
            )
        )
        shown, token = page.split(rows, lambda row: [row.token_id])
        return tokens_pb2.ListTokensResponse(tokens=map(_info_message, shown), next_page_token=token)

    async def RevokeToken(
        self, request: tokens_pb2.RevokeTokenRequest, context: ServicerContext
    ) -> tokens_pb2.RevokeTokenResponse:
        team, token_id = caller().team, required(request.token_id, "token_id")

        def act(uow: UnitOfWork) -> tokens_pb2.RevokeTokenResponse:
            return tokens_pb2.RevokeTokenResponse(info=_info_message(tokens.revoke_token(uow, team, token_id)))

        response = await change(self._services, request, tokens_pb2.RevokeTokenResponse, act)
        # The answer promises that this server refuses the token from now on; others learn it by the hint.
        self._services.verifier.replace_revoked(await self._services.store.read(tokens.read_revoked))
        return response


def _life(ttl: Duration, given: bool) -> int:
    return span_us(ttl) if given else tokens.DEFAULT_LIFE_US


def _issued_message(issued: tokens.IssuedToken) -> tokens_pb2.TokenInfo:
    who: Caller = issued.caller
    return tokens_pb2.TokenInfo(
        token_id=who.token_id,
        kind=_KIND_NUMBERS[who.kind],
        subject=who.subject,
        role=_ROLE_NUMBERS[who.role] if who.role else tokens_pb2.ROLE_UNSPECIFIED,
        bundles=who.bundles,
        queues=who.queues,
        created_by=issued.created_by,
        create_time=timestamp(who.issued_us),
        expire_time=timestamp(who.expires_us),
    )


def _info_message(info: tokens.TokenInfo) -> tokens_pb2.TokenInfo:
    return tokens_pb2.TokenInfo(
        token_id=info.token_id,
        kind=_KIND_NUMBERS[info.kind],
        subject=info.subject,
        role=_ROLE_NUMBERS[info.role] if info.role else tokens_pb2.ROLE_UNSPECIFIED,
        bundles=info.bundles,
        queues=info.queues,
        created_by=info.created_by,
        enrolment_token_id=info.enrolment_token_id,
        create_time=timestamp(info.issued_us),
        expire_time=timestamp(info.expires_us),
        revoke_time=timestamp(info.revoked_us),
    )
