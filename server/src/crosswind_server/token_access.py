"""Where the token commands work: on the database itself, or through the server that has it.

Here belong the two ways and the choice between them. What a token is belongs to `services.tokens`.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.client.tls import read_tls
from crosswind.control.v1 import tokens_pb2, tokens_pb2_grpc
from crosswind_server.app import DEFAULT_TEAM, LOAD_SIGNER, make_sealer
from crosswind_server.domain.errors import Refused
from crosswind_server.domain.version import METADATA_KEY
from crosswind_server.exits import CommandFailed
from crosswind_server.home import SERVER_FILE, Home
from crosswind_server.services.access import tokens
from crosswind_server.services.access.callers import CallerKind, Role
from crosswind_server.services.access.tokens import TokenInfo
from crosswind_server.settings import ServerSettings
from crosswind_server.store.engine import Store
from crosswind_server.store.errors import DatabaseInUse
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.versions.releases import CURRENT

_TIMEOUT_S = 20.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WantedToken:
    """A token to make; `role` for an access token, `bundles` and `queues` for an enrolment token."""

    kind: CallerKind
    subject: str
    team: str
    life_us: int
    role: Role = Role.VIEWER
    bundles: tuple[str, ...] = ("*",)
    queues: tuple[str, ...] = ()


class TokenAccess(ABC):
    """What the token commands can do."""

    @abstractmethod
    def create(self, wanted: WantedToken) -> str:
        """Make a token and answer it."""

    @abstractmethod
    def list(self, team: str, *, include_ended: bool) -> Sequence[TokenInfo]:
        """All tokens of a team, made last first."""

    @abstractmethod
    def revoke(self, team: str, token_id: str) -> None:
        """Revoke a token."""


def open_access(settings: ServerSettings, team: str) -> TokenAccess:
    """The database where it is free, else the server that has it, or for a team that it does not serve this machine
    the database beside it. Raises `StoreError` or `CommandFailed`.
    """
    home = Home(settings.home)
    try:
        return _Direct(Store.open(settings.db, readers=1, refusals=(Refused,)), settings, home)
    except DatabaseInUse as error:
        if team == DEFAULT_TEAM:
            return _Remote(home.folder / SERVER_FILE, str(error))
    # The server's token for this machine is one of the default team, and a token reaches no other team.
    return _Direct(Store.open(settings.db, readers=1, exclusive=False, refusals=(Refused,)), settings, home)


class _Direct(TokenAccess):
    def __init__(self, store: Store, settings: ServerSettings, home: Home) -> None:
        self._store = store
        self._signer = store.write_blocking(LOAD_SIGNER, make_sealer(settings, home))

    def create(self, wanted: WantedToken) -> str:
        def make(uow: UnitOfWork, _: None) -> str:
            if wanted.kind is CallerKind.ACCESS:
                return tokens.create_access_token(
                    uow,
                    self._signer,
                    team=wanted.team,
                    subject=wanted.subject,
                    role=wanted.role,
                    life_us=wanted.life_us,
                ).token
            tokens.check_owners(uow, wanted.team, wanted.subject, wanted.bundles)
            return tokens.create_enrolment_token(
                uow,
                self._signer,
                team=wanted.team,
                subject=wanted.subject,
                bundles=wanted.bundles,
                queues=wanted.queues,
                life_us=wanted.life_us,
            ).token

        token: str = self._write(make)
        return token

    def list(self, team: str, *, include_ended: bool) -> Sequence[TokenInfo]:
        with self._store:
            return self._store.read_blocking(
                lambda uow: tokens.list_tokens(uow, team, include_ended=include_ended, limit=1_000_000)
            )

    def revoke(self, team: str, token_id: str) -> None:
        self._write(lambda uow, _: tokens.revoke_token(uow, team, token_id))

    def _write(self, act: Any) -> Any:
        with self._store:
            return self._store.write_blocking(each(act), None)


class _Remote(TokenAccess):
    """For the default team only."""

    def __init__(self, server_file: Path, in_use: str) -> None:
        try:
            facts = json.loads(server_file.read_text())
            self._token = Path(facts["access_token_file"]).read_text().strip()
            self._address = str(facts["address"])
            certificate = facts.get("tls_certificate_file")
            name = str(facts.get("tls_server_name", ""))
            self._tls = read_tls(Path(certificate), server_name=name) if certificate else None
        except (OSError, ValueError, KeyError, TypeError):
            raise CommandFailed(
                f"{in_use} The command would ask that server, but {server_file} does not say how to reach it; give"
                " --home as that server has it."
            ) from None

    def create(self, wanted: WantedToken) -> str:
        ttl = Duration(seconds=wanted.life_us // 1_000_000)
        if wanted.kind is CallerKind.ACCESS:
            role = f"ROLE_{wanted.role.value.upper()}"
            access = tokens_pb2.CreateAccessTokenRequest(
                subject=wanted.subject, role=role, ttl=ttl, request_id=str(uuid.uuid4())
            )
            return str(self._call("CreateAccessToken", access).token)
        enrolment = tokens_pb2.CreateEnrolmentTokenRequest(
            subject=wanted.subject,
            bundles=wanted.bundles,
            queues=wanted.queues,
            ttl=ttl,
            request_id=str(uuid.uuid4()),
        )
        return str(self._call("CreateEnrolmentToken", enrolment).token)

    def list(self, team: str, *, include_ended: bool) -> Sequence[TokenInfo]:
        found: list[TokenInfo] = []
        token = ""
        while True:
            request = tokens_pb2.ListTokensRequest(include_ended=include_ended, page_size=1000, page_token=token)
            page = self._call("ListTokens", request)
            found += [_info(message, team) for message in page.tokens]
            token = page.next_page_token
            if not token:
                return found

    def revoke(self, team: str, token_id: str) -> None:
        self._call("RevokeToken", tokens_pb2.RevokeTokenRequest(token_id=token_id, request_id=str(uuid.uuid4())))

    def _call(self, method: str, request: Any) -> Any:
        metadata = (("authorization", f"Bearer {self._token}"), (METADATA_KEY, str(CURRENT)))
        try:
            with self._channel() as channel:
                stub = tokens_pb2_grpc.TokenServiceStub(channel)
                return getattr(stub, method)(request, metadata=metadata, timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            raise CommandFailed(f"The server at {self._address} answers: {error.details()}") from None

    def _channel(self) -> grpc.Channel:
        if self._tls is None:
            return grpc.insecure_channel(self._address)
        credentials = grpc.ssl_channel_credentials(self._tls.root_certificates)
        return grpc.secure_channel(self._address, credentials, options=self._tls.options)


def _info(message: tokens_pb2.TokenInfo, team: str) -> TokenInfo:
    kind = tokens_pb2.TokenKind.Name(message.kind).removeprefix("TOKEN_KIND_").lower()
    role = tokens_pb2.Role.Name(message.role).removeprefix("ROLE_").lower()
    return TokenInfo(
        token_id=message.token_id,
        team=team,
        kind=CallerKind(kind),
        subject=message.subject,
        role=None if role == "unspecified" else Role(role),
        bundles=tuple(message.bundles),
        queues=tuple(message.queues),
        created_by=message.created_by,
        enrolment_token_id=message.enrolment_token_id,
        issued_us=_microseconds(message.create_time),
        expires_us=_microseconds(message.expire_time) if message.HasField("expire_time") else None,
        revoked_us=_microseconds(message.revoke_time) if message.HasField("revoke_time") else None,
    )


def _microseconds(time: Timestamp) -> int:
    return time.seconds * 1_000_000 + time.nanos // 1000


def time_text(microseconds: int | None) -> str:
    """A time for people, in their zone; empty for none."""
    if microseconds is None:
        return ""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
