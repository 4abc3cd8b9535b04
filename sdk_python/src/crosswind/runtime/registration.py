"""Negotiating with a server and registering there, again whenever the server forgot or the token expired. [WORKER-1]

What is offered belongs to `bundles.py`, what is sent afterwards to `worker.py`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crosswind import __version__, api_versions
from crosswind.client.errors import UNAUTHENTICATED, CallError
from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime.negotiation import NoCommonVersion, agree, concerns_own_version
from crosswind.runtime.server_connection import RequestT, ResponseT, Rpc, ServerConnection, is_repeatable
from crosswind.runtime.state_folder import InstanceNote, StateFolder

NEGOTIATE = Rpc[service.NegotiateRequest, service.NegotiateResponse]("Negotiate", service.NegotiateResponse)
REGISTER = Rpc[service.RegisterWorkerRequest, service.RegisterWorkerResponse](
    "RegisterWorker", service.RegisterWorkerResponse
)
_CALL_SECONDS = 15.0
_log = logging.getLogger("crosswind.worker")


class WorkerRefused(Exception):
    """The server will not have this worker; the message is one sentence with the way out."""


@dataclass(frozen=True, kw_only=True)
class WorkerIdentity:
    """What a worker says of itself.

    Args:
        name: unique among live workers of a team.
        slots: tasks at the same time.
        queues: that it serves. Empty: `default`.
        roles: what it does, "tasks" and "triggers". Empty: tasks.
        labels: that tasks select by.
        enrolment_token_file: read at every registration that needs it. None: there is only `enrolment_token`.
        enrolment_token: the token itself, for a worker inside another program. Empty: none.
        instance_id: UUID text, made anew for every process.
    """

    name: str
    slots: int
    queues: Sequence[str] = ()
    roles: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    enrolment_token_file: Path | None = None
    enrolment_token: str = ""
    instance_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Registration:
    """Registers a worker, once at a time.

    Args:
        connection: gets the token, the timing and the limits.
        identity: of the worker.
        folder: keeps the token for the next worker. None: nothing does.
        offers: the versions of bundles that are ready, asked at every registration.
        held: ids of the previous instance's attempts whose outcomes are still kept.
        on_registered: takes the answer of every registration.
    """

    def __init__(
        self,
        connection: ServerConnection,
        identity: WorkerIdentity,
        *,
        folder: StateFolder | None,
        offers: Callable[[], list[service.BundleOffer]],
        held: Callable[[], list[str]],
        on_registered: Callable[[service.RegisterWorkerResponse], None],
    ) -> None:
        self._connection = connection
        self._identity = identity
        self._folder = folder
        self._offers = offers
        self._held = held
        self._on_registered = on_registered
        self._lock = asyncio.Lock()
        self._count = 0
        previous = None if folder is None else folder.previous
        self._previous_id = "" if previous is None else previous.instance_id
        self._previous_token = "" if previous is None else previous.token

    async def negotiate(self) -> bool:
        """Asks what the server speaks, for as long as it takes to reach it.

        Returns:
            Whether that is something else than before.

        Raises:
            WorkerRefused: it speaks none of this worker's versions.
        """
        request = service.NegotiateRequest(
            api_versions=api_versions.API_VERSIONS, client=f"crosswind-sdk-python/{__version__}"
        )
        before = self._connection.agreement
        try:
            answer = await self._repeat(NEGOTIATE, request)
            agreement = agree(answer, self._connection.address)
        except CallError as error:
            raise self._refusal(error) from None
        except NoCommonVersion as error:
            raise WorkerRefused(str(error)) from None
        self._connection.agreement = agreement
        return agreement != before

    async def register(self) -> None:
        """Registers, for as long as it takes to reach the server.

        Raises:
            WorkerRefused: the server will not have this worker.
        """
        async with self._lock:
            await self._register()

    async def negotiate_again(self) -> None:
        """Asks again what the server speaks, and registers again where that has changed: it may be another one now.

        Raises:
            WorkerRefused: the server will not have this worker any more.
        """
        async with self._lock:
            if await self.negotiate():
                _log.info(
                    "The server at %s serves other API versions than before; registering again, in version %s.",
                    self._connection.address,
                    self._connection.agreement.api_version,
                )
                await self._register()

    async def renew(self, failed_token: str) -> None:
        """Registers again after a call with `failed_token` was refused, unless somebody else has done it meanwhile.

        Raises:
            WorkerRefused: the server will not have this worker any more.
        """
        count = self._count
        async with self._lock:
            if self._count != count or self._connection.token != failed_token:
                return
            _log.info("Registering again.")
            await self._register()

    def note_token(self, token: str) -> None:
        """Takes over a renewed worker token."""
        self._connection.token = token
        if self._folder is not None:
            try:
                self._folder.note(
                    InstanceNote(
                        name=self._identity.name,
                        server=self._connection.address,
                        instance_id=self._identity.instance_id,
                        token=token,
                    )
                )
            except OSError as error:
                _log.warning(
                    "The worker's token could not be written to %s (%s); after a restart this worker cannot take its "
                    "own place at once.",
                    self._folder.path,
                    error.strerror,
                )

    async def _register(self) -> None:
        attempts = list(self._tokens())
        if not attempts:
            raise WorkerRefused(
                "This worker has no token: name a file that holds an enrolment token with --token-file "
                "(`crosswind-server token` makes one)."
            )
        for number, (token, request) in enumerate(attempts, 1):
            try:
                answer = await self._send(request, token)
            except CallError as error:
                if error.code == UNAUTHENTICATED and number < len(attempts):
                    continue
                raise self._refusal(error) from None
            self._connection.adopt(answer.timing, answer.limits)
            self._count += 1
            self._previous_id = self._previous_token = ""
            self.note_token(answer.worker_token)
            self._on_registered(answer)
            return

    def _tokens(self) -> list[tuple[str, service.RegisterWorkerRequest]]:
        """The tokens to try, each with its request."""
        attempts = []
        current = self._connection.token if self._count else ""
        enrolment = self._enrolment_token()
        plain = self._request()
        if self._previous_token and self._previous_id:
            superseding = self._request()
            superseding.previous_instance_id = self._previous_id
            superseding.previous_token = self._previous_token
            superseding.held_attempt_ids.extend(self._held())
            attempts.append((enrolment or self._previous_token, superseding))
        if current:
            attempts.append((current, plain))
        if enrolment:
            attempts.append((enrolment, plain))
        return attempts

    def _enrolment_token(self) -> str:
        path = self._identity.enrolment_token_file
        if path is None:
            return self._identity.enrolment_token
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            if self._count or self._previous_token:
                return ""  # the worker's own token may do
            what = error.strerror if isinstance(error, OSError) else "it is not text"
            raise WorkerRefused(
                f"The token file {path} cannot be read: {what}. Name another with --token-file."
            ) from error
        if not token:
            raise WorkerRefused(f"The token file {path} is empty: put an enrolment token in it.")
        return token

    def _request(self) -> service.RegisterWorkerRequest:
        identity = self._identity
        return service.RegisterWorkerRequest(
            name=identity.name,
            instance_id=identity.instance_id,
            sdk=bundle_pb2.Sdk(language="python", language_version=platform.python_version(), version=__version__),
            runtimes=["python"],
            queues=list(identity.queues),
            roles=[f"WORKER_ROLE_{role.upper()}" for role in identity.roles],
            slots=identity.slots,
            labels=dict(identity.labels),
            bundles=self._offers(),
            host=socket.gethostname(),
            process_id=os.getpid(),
        )

    async def _send(self, request: service.RegisterWorkerRequest, token: str) -> service.RegisterWorkerResponse:
        failures = 0
        while True:
            try:
                return await self._repeat(REGISTER, request, token=token)
            except CallError as error:
                if not concerns_own_version(error):
                    raise
                # Another server answers than the one that was asked, as during a rolling upgrade.
                failures += 1
                await self._connection.wait_for_retry(failures)
                await self.negotiate()

    async def _repeat(self, rpc: Rpc[RequestT, ResponseT], request: RequestT, *, token: str = "") -> ResponseT:
        failures = 0
        while True:
            try:
                return await self._connection.send(rpc, request, timeout=_CALL_SECONDS, token=token)
            except CallError as error:
                if not is_repeatable(error):
                    raise
                failures += 1
                await self._connection.wait_for_retry(failures)

    def _refusal(self, error: CallError) -> WorkerRefused:
        address, name = self._connection.address, self._identity.name
        token = self._identity.enrolment_token_file
        where = f"the token in {token}" if token is not None else "this worker's token"
        sentence = error.message.rstrip(".") or f"gRPC status {error.code}"
        match error.reason:
            case "WORKER_NAME_IN_USE":
                return WorkerRefused(
                    f"A live worker at {address} is named {name} already: choose another name with "
                    f"--name, or stop that worker first."
                )
            case "TOKEN_EXPIRED":
                return WorkerRefused(
                    f"The server at {address} says that {where} has expired: ask an operator for a new one."
                )
            case "TOKEN_INVALID" | "TOKEN_MISSING":
                return WorkerRefused(f"The server at {address} does not know {where}: ask its operator for one.")
            case "TOKEN_REVOKED":
                return WorkerRefused(f"The server at {address} has revoked {where}: ask an operator for a new one.")
            case _:
                return WorkerRefused(f"The server at {address} refuses this worker: {sentence}.")
