"""The gRPC server: its options, its address, and the handlers behind it.

Here belongs everything about listening. What a call goes through is in `calls`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from crosswind_server.listening import Listening, StartRefused, is_loopback, split_address
from crosswind_server.rpc.authorisation import RULES, Rule
from crosswind_server.rpc.calls import Answer, Endpoint, Versions, guard
from crosswind_server.rpc.health import Health
from crosswind_server.rpc.unsupported import UNSUPPORTED, refuse_unsupported
from crosswind_server.services.dependencies import Services
from crosswind_server.timing import LIMITS

Register = Callable[[Any], None]
"""Adds a servicer to the server that it is given, as the generated `add_...Servicer_to_server` do."""


class RpcServer:
    """A gRPC server with all methods of all services, health and reflection.

    Args:
        services: what handlers work with.
        versions: the room that knows older API versions.
        version_key: the metadata key that names a call's API version.
        registers: one function a servicer.
        rules: which token opens which method.

    Attributes:
        answers: what answers each method, from bytes to bytes, with everything that a call goes through.
    """

    def __init__(
        self,
        services: Services,
        *,
        versions: Versions,
        version_key: str,
        registers: Sequence[Register],
        rules: Mapping[str, Rule] = RULES,
    ) -> None:
        self.endpoints = {endpoint.method: endpoint for endpoint in collect_endpoints(registers)}
        self.answers = {
            method: guard(method, self.endpoints, services, versions, version_key=version_key, rules=rules)
            for method in (*self.endpoints, *versions.former_methods)
        }
        self._handlers = _Handlers(
            {method: grpc.unary_unary_rpc_method_handler(answer) for method, answer in self.answers.items()}
        )
        self.service_names = sorted({method.split("/")[1] for method in self.endpoints})
        self._health = Health(services, self.service_names)
        self._server: grpc.aio.Server | None = None
        self.address = ""

    async def start(self, listening: Listening) -> str:
        """Listen; returns the address with the port that was taken.

        Raises:
            StartRefused: the address is taken, does not exist, or may not be served without TLS.
        """
        host, port = split_address(listening.address)
        if listening.tls_certificate is None and not is_loopback(host):
            raise StartRefused(
                f"The address {listening.address} can be reached from other machines, and tokens would travel readable;"
                " give --tls-cert and --tls-key, or listen on 127.0.0.1."
            )
        server = grpc.aio.server(options=_options(listening))
        server.add_generic_rpc_handlers((self._handlers,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)
        reflection.enable_server_reflection((*self.service_names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        try:
            if listening.tls_certificate is not None and listening.tls_key is not None:
                credentials = grpc.ssl_server_credentials([(listening.tls_key, listening.tls_certificate)])
                taken = server.add_secure_port(listening.address, credentials)
            else:
                taken = server.add_insecure_port(listening.address)
        except RuntimeError:
            raise StartRefused(_explain_bind(listening.address, host, port)) from None
        await server.start()
        self._server = server
        await self._health.start()
        self.address = f"{listening.address.rpartition(':')[0]}:{taken}"
        return self.address

    async def report_stopping(self) -> None:
        """Answer health checks with NOT_SERVING from now on."""
        await self._health.stop()

    async def stop(self, grace: float) -> None:
        """Take no new call, and give those that run `grace` seconds to end."""
        if self._server is not None:
            await self._server.stop(grace)
            self._server = None


def collect_endpoints(registers: Sequence[Register]) -> Iterator[Endpoint]:
    """The methods of all servicers, those in the table of unsupported ones answered by it."""
    collector = _Collector()
    for register in registers:
        register(collector)
    for method, handler in collector.handlers.items():
        answer: Answer = refuse_unsupported(method) if method in UNSUPPORTED else handler.unary_unary  # type: ignore[assignment]  # an aio servicer's
        decode, encode = handler.request_deserializer, handler.response_serializer
        assert decode is not None
        assert encode is not None
        yield Endpoint(method=method, answer=answer, decode=decode, encode=encode)


class _Collector:
    """Stands in for a server while servicers are added, and keeps their handlers."""

    def __init__(self) -> None:
        self.handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """The same handlers come once more with their names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Keep the handlers of a service."""
        for name, handler in handlers.items():
            self.handlers[f"/{service}/{name}"] = handler


class _Handlers(grpc.GenericRpcHandler):
    """All methods, from bytes to bytes."""

    def __init__(self, by_method: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._by_method = by_method

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a call; None leaves it to health and reflection, or to UNIMPLEMENTED."""
        return self._by_method.get(handler_call_details.method)


# A little above the limit of the protocol, so that a message that is too large meets a refusal that explains it.
_RECEIVE_BYTES: Final = 4 * LIMITS.max_message_bytes


def _options(listening: Listening) -> list[tuple[str, Any]]:
    return [
        # A second server on the port is to be noticed, not to take half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", _RECEIVE_BYTES),
        ("grpc.max_send_message_length", _RECEIVE_BYTES),
        # Without these two an idle client that pings is cut off for "too many pings".
        ("grpc.http2.min_ping_interval_without_data_ms", round(listening.min_ping_interval * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", round(listening.keepalive * 1000)),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def _explain_bind(address: str, host: str, port: int) -> str:
    """Why an address cannot be bound, by trying it once more."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen()
    except OSError as error:
        why = error.strerror or str(error)
    else:
        why = "it was taken for a moment"
    return (
        f"The server cannot listen on {address}: {why}. Stop what uses the port, or choose another with"
        " --address 127.0.0.1:PORT (port 0 takes a free one)."
    )
