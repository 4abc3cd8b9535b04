"""Clients reach a server that takes its time with a handshake, because it is far away or busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from crosswind.client.control_client import ControlClient
from crosswind.control.v1 import server_pb2
from crosswind.runtime.server_connection import ServerConnection

SLOWNESS_SECONDS = 1.5
"""Longer than any pause between two connections of either client."""


class EmptyAnswers(grpc.GenericRpcHandler):
    """A server that answers every call with an empty message."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        async def answer(request: bytes, context: Any) -> bytes:
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def slow_server() -> AsyncIterator[str]:
    """The address of a server whose first bytes on every connection are late."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((EmptyAnswers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    connections: set[asyncio.Task[None]] = set()

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)
        target.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            # Time is the event here: nothing else is what the client waits for.
            await asyncio.sleep(SLOWNESS_SECONDS)
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(inner_writer)
            await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer), return_exceptions=True)
        finally:
            for each in writers:
                each.close()
            await asyncio.gather(*(each.wait_closed() for each in writers), return_exceptions=True)

    def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(join(reader, writer)))

    proxy = await asyncio.start_server(forward, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    finally:
        proxy.close()
        await server.stop(None)
        for each in connections:
            each.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def test_a_worker_waits_for_a_slow_handshake() -> None:
    async with slow_server() as address:
        connection = ServerConnection(address)
        try:
            assert await connection.send_bytes("/any/Method", b"", timeout=20, metadata=()) == b""
        finally:
            await connection.close()


async def test_a_command_waits_for_a_slow_handshake() -> None:
    def ask(address: str) -> server_pb2.GetServerInfoResponse:
        with ControlClient(address, token="") as client:
            return client.call(client.server.GetServerInfo, server_pb2.GetServerInfoRequest())

    async with slow_server() as address:
        assert await asyncio.to_thread(ask, address) == server_pb2.GetServerInfoResponse()
