"""Calls of people to a server: `control.v1` over gRPC, with a token, and refusals as one sentence.

What a worker and its tasks call is elsewhere; so is finding the server (`discovery.py`) and showing answers (`cli/`).
"""

import random
import time
import uuid
from collections.abc import Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from crosswind import api_versions
from crosswind.client.dialling import dialling_options
from crosswind.client.tls import Tls, explain_handshake
from crosswind.control.v1 import (
    assets_pb2_grpc,
    backfills_pb2_grpc,
    bundles_pb2_grpc,
    connections_pb2_grpc,
    dag_runs_pb2_grpc,
    dags_pb2_grpc,
    events_pb2_grpc,
    input_requests_pb2_grpc,
    logs_pb2_grpc,
    pools_pb2_grpc,
    server_pb2_grpc,
    task_instances_pb2_grpc,
    tokens_pb2_grpc,
    variables_pb2_grpc,
    workers_pb2_grpc,
    workloads_pb2_grpc,
    xcoms_pb2_grpc,
)

VERSION_REASONS = ("CLIENT_TOO_OLD", "CLIENT_TOO_NEW", "API_VERSION_UNKNOWN")
CALL_SECONDS = 30.0
PAGE_SIZE = 500
BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_LONGEST_SECONDS = 2.0
CHANGE_PATIENCE_SECONDS = 2.0
MESSAGE_BYTES = 4 * 1024 * 1024
_REPEATED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
"""Codes of a call that met no server, or one that was just stopping: gRPC ends it as cancelled then."""

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


class ControlError(Exception):
    """A call that the server refused, or that did not reach it. `str()` is one sentence for people.

    ControlError
    ├── ServerUnreachable   nothing answers, or what answers is no Crosswind server
    └── TokenRefused        the token is missing, wrong, expired, revoked, or its role does not allow the call

    Args:
        message: the sentence.
        code: the gRPC status code.
        reason: an `ErrorReason` without its prefix, such as `DAG_NOT_FOUND`; empty where the server named none.
        metadata: what the refusal concerns, such as `{"field": "conf"}`.
    """

    def __init__(
        self, message: str, *, code: grpc.StatusCode, reason: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))


class ServerUnreachable(ControlError):
    """Nothing answers at the address, or what answers is no Crosswind server."""


class TokenRefused(ControlError):
    """The token is missing, wrong, expired or revoked, or its role does not allow the call."""


class _Paged(Protocol):
    """A request of a listing."""

    page_size: int
    page_token: str


def new_request_id() -> str:
    """A fresh `request_id`: makes a change safe to repeat, so it is made once a change, not once a try."""
    return str(uuid.uuid4())


class ControlClient:
    """A connection to one server. Made at once, opened with the first call; a context manager that closes it.

    The services are attributes, and their methods are called through `call`:

        with ControlClient("127.0.0.1:8090", token=token) as client:
            client.call(client.dags.GetDag, GetDagRequest(dag_id="flights"))

    Args:
        address: `host:port`.
        token: an access token. Empty: calls are sent without, and refused.
        tls: whom to trust. None: no TLS.
    """

    def __init__(self, address: str, *, token: str, tls: Tls | None = None) -> None:
        self.address = address
        self._speaks_tls = tls is not None
        self._token = token
        self._api_version = api_versions.newest()
        options: list[tuple[str, str | int]] = [
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
            *dialling_options(first=BACKOFF_FIRST_SECONDS, longest=BACKOFF_LONGEST_SECONDS),
        ]
        if tls is None:
            self._channel = grpc.insecure_channel(address, options=options)
        else:
            credentials = grpc.ssl_channel_credentials(tls.root_certificates or None)
            self._channel = grpc.secure_channel(address, credentials, options=[*options, *tls.options])
        self.backfills = backfills_pb2_grpc.BackfillServiceStub(self._channel)
        self.assets = assets_pb2_grpc.AssetServiceStub(self._channel)
        self.events = events_pb2_grpc.EventServiceStub(self._channel)
        self.input_requests = input_requests_pb2_grpc.InputRequestServiceStub(self._channel)
        self.bundles = bundles_pb2_grpc.BundleCatalogServiceStub(self._channel)
        self.connections = connections_pb2_grpc.ConnectionServiceStub(self._channel)
        self.dag_runs = dag_runs_pb2_grpc.DagRunServiceStub(self._channel)
        self.dags = dags_pb2_grpc.DagServiceStub(self._channel)
        self.logs = logs_pb2_grpc.LogServiceStub(self._channel)
        self.server = server_pb2_grpc.ServerServiceStub(self._channel)
        self.task_instances = task_instances_pb2_grpc.TaskInstanceServiceStub(self._channel)
        self.tokens = tokens_pb2_grpc.TokenServiceStub(self._channel)
        self.pools = pools_pb2_grpc.PoolServiceStub(self._channel)
        self.variables = variables_pb2_grpc.VariableServiceStub(self._channel)
        self.workers = workers_pb2_grpc.WorkerAdminServiceStub(self._channel)
        self.workloads = workloads_pb2_grpc.WorkloadServiceStub(self._channel)
        self.xcoms = xcoms_pb2_grpc.XComServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[RequestT, ResponseT]",
        request: RequestT,
        *,
        wait: float = 0.0,
        patience: float | None = None,
    ) -> ResponseT:
        """Makes one call.

        Args:
            method: a method of one of the services.
            request: what is asked; its `request_id`, where it has one, makes it safe to repeat.
            wait: seconds that the request lets the server wait for something to say.
            patience: seconds for which a call is repeated, with a growing and random delay, while the server or its
                database cannot be reached. None: not at all for a question; a moment for a change, which may have
                happened although its answer was lost, and would happen twice if its caller had to ask anew.

        Raises:
            ServerUnreachable: nothing answers within `patience`.
            TokenRefused: the token does not allow the call.
            ControlError: the server refused the call for another reason.
        """
        if patience is None:
            patience = CHANGE_PATIENCE_SECONDS if "request_id" in request.DESCRIPTOR.fields_by_name else 0.0
        give_up = time.monotonic() + patience
        delay = BACKOFF_FIRST_SECONDS
        negotiated = False
        while True:
            try:
                return method(request, timeout=wait + CALL_SECONDS, metadata=self._metadata())
            except grpc.RpcError as problem:
                error = describe_error(problem, self.address)
                if error.reason in VERSION_REASONS and not negotiated:
                    negotiated = True
                    if self._negotiate():
                        continue
                if error.code not in _REPEATED or time.monotonic() >= give_up:
                    raise self._explain_handshake(error, problem) from None
            time.sleep(random.uniform(0, delay))  # full jitter, so that many clients do not return at once
            delay = min(2 * delay, BACKOFF_LONGEST_SECONDS)

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        version = ("crosswind-api-version", self._api_version)
        return (version, ("authorization", f"Bearer {self._token}")) if self._token else (version,)

    def _negotiate(self) -> bool:
        """Asks which of this SDK's API versions the server serves; returns whether it is another than the one used."""
        if len(api_versions.API_VERSIONS) == 1:
            return False
        # Here, because hardly any command needs it.
        from crosswind.execution.v1 import worker_service_pb2, worker_service_pb2_grpc

        ask = worker_service_pb2_grpc.WorkerServiceStub(self._channel).Negotiate
        request = worker_service_pb2.NegotiateRequest(api_versions=api_versions.API_VERSIONS)
        try:
            chosen = ask(request, timeout=CALL_SECONDS).chosen_api_version
        except grpc.RpcError:
            return False
        if chosen in ("", self._api_version):
            return False
        self._api_version = chosen
        return True

    def _explain_handshake(self, error: ControlError, problem: grpc.RpcError) -> ControlError:
        if error.code is not grpc.StatusCode.UNAVAILABLE or error.reason:
            return error
        details = cast(grpc.Call, problem).details() or ""
        clause = explain_handshake(self.address, details, tls=self._speaks_tls)
        if clause is None:
            return error
        return ServerUnreachable(f"The server at {self.address} {clause}.", code=error.code)

    def list_rows(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Any, Any]",
        request: Any,
        field: str,
        *,
        limit: int | None = None,
        patience: float = 0.0,
    ) -> Iterator[Any]:
        """Yields the rows of a listing, page after page.

        Args:
            method: the listing.
            request: its request; the paging fields are set here.
            field: the field of the answer that holds the rows.
            limit: at most this many rows. None: all.
            patience: see `call`.

        Raises:
            ControlError: as `call`.
        """
        paged: _Paged = request
        while limit is None or limit > 0:
            paged.page_size = PAGE_SIZE if limit is None else min(limit, PAGE_SIZE)
            page = self.call(method, request, patience=patience)
            rows = getattr(page, field)
            yield from rows
            if not page.next_page_token:
                return
            paged.page_token = page.next_page_token
            if limit is not None:
                limit -= len(rows)


def describe_error(problem: grpc.RpcError, address: str) -> ControlError:
    """Turns the error of a call into one sentence with its reason."""
    call = cast(grpc.Call, problem)  # what grpc raises from a call is both; its types do not say so
    code, message = call.code(), call.details() or ""
    info = _error_info(call)
    if info is not None:
        kind: type[ControlError] = ControlError
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            kind = TokenRefused
        elif code is grpc.StatusCode.UNAVAILABLE:
            kind = ServerUnreachable
        message = explain_version(address, info.reason, info.metadata) or message
        return kind(message, code=code, reason=info.reason, metadata=info.metadata)
    # Without ErrorInfo it was not a Crosswind server that answered, if anything did.
    if code is grpc.StatusCode.UNAVAILABLE:
        return ServerUnreachable(
            f"No Crosswind server answers at {address}: start one with `crosswind-server start`, "
            "or name another address with --server.",
            code=code,
        )
    if code is grpc.StatusCode.CANCELLED:
        return ServerUnreachable(
            f"The server at {address} stopped before it answered: try again in a moment.", code=code
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ServerUnreachable(
            f"The server at {address} did not answer in time: look at its log, then try again.", code=code
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ServerUnreachable(
            f"What answers at {address} is not a Crosswind server, or one that is too old: "
            "name another address with --server.",
            code=code,
        )
    return ControlError(f"The call to {address} failed with {code.name}: {message}", code=code)


def explain_version(address: str, reason: str, metadata: Mapping[str, str]) -> str:
    """What is to be done where a server and this SDK have no API version in common. Empty: that is not the matter."""
    if reason not in VERSION_REASONS:
        return ""
    served = api_versions.range_text((metadata.get("server_oldest", "?"), metadata.get("server_newest", "?")))
    way_out = {
        "CLIENT_TOO_OLD": "upgrade crosswind-sdk",
        "CLIENT_TOO_NEW": "upgrade the server, or install an older crosswind-sdk",
    }.get(reason, "install a crosswind-sdk that speaks a version of the server's")
    return (
        f"This command speaks API version {api_versions.range_text(api_versions.API_VERSIONS)}, and the server at "
        f"{address} serves {served}: {way_out}."
    )


def _error_info(call: grpc.Call) -> error_details_pb2.ErrorInfo | None:
    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value if isinstance(value, bytes) else value.encode())
            for detail in status.details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info) and info.domain == "crosswind":
                    return info
    return None
