"""What a worker's log says of its server: the truth about what is away."""

from __future__ import annotations

import asyncio
import re

import grpc.aio
import pytest

from crosswind.client.errors import UNAVAILABLE, CallError
from crosswind.runtime.server_connection import ServerConnection

REFUSED = CallError(UNAVAILABLE, "", "failed to connect to all addresses; last error: ipv4: Connection refused")
STOPPING = CallError(UNAVAILABLE, "SERVER_STOPPING", "The server is stopping.")
NO_DATABASE = CallError(UNAVAILABLE, "DATABASE_UNAVAILABLE", "PostgreSQL at db:5432 cannot be used now.")

CONNECTED = r"Connected to the server at 127\.0\.0\.1:1\."
AWAY = r"The server at 127\.0\.0\.1:1 cannot be reached: connection refused; trying again until it answers\."
AGAIN = r"Connected to the server at 127\.0\.0\.1:1 again, after \d\.\d s\."
STOPS = r"The server at 127\.0\.0\.1:1 is stopping; trying again until it answers\."
DATABASE_AWAY = (
    r"The server at 127\.0\.0\.1:1 answers, but cannot use its database now \(DATABASE_UNAVAILABLE\): "
    r"PostgreSQL at db:5432 cannot be used now\. Trying again until it can\."
)
DATABASE_BACK = r"The server at 127\.0\.0\.1:1 can use its database again, after \d\.\d s\."


@pytest.mark.parametrize(
    ("events", "sentences"),
    [
        ((None,), [CONNECTED]),
        ((None, REFUSED, REFUSED, None), [CONNECTED, AWAY, AGAIN]),
        ((None, STOPPING, REFUSED, None), [CONNECTED, STOPS, AGAIN]),
        ((None, NO_DATABASE, NO_DATABASE, None), [CONNECTED, DATABASE_AWAY, DATABASE_BACK]),
        ((NO_DATABASE, None), [DATABASE_AWAY, DATABASE_BACK]),
        ((None, NO_DATABASE, REFUSED, None), [CONNECTED, DATABASE_AWAY, AWAY, AGAIN]),
        ((None, REFUSED, NO_DATABASE, None), [CONNECTED, AWAY, DATABASE_AWAY, DATABASE_BACK]),
    ],
)
async def test_the_log_says_what_is_away(caplog, events, sentences):
    """`None` is a call that got through."""
    caplog.set_level("INFO", logger="crosswind.worker")
    connection = ServerConnection("127.0.0.1:1")
    for event in events:
        if event is None:
            connection._note_up()
        else:
            connection._note_down(event)
    await connection.close()
    assert len(caplog.messages) == len(sentences), caplog.messages
    for message, sentence in zip(caplog.messages, sentences, strict=True):
        assert re.fullmatch(sentence, message), message


async def test_a_connection_that_is_opened_anew_is_another_while_calls_end_on_the_old_one():
    held, let_go = asyncio.Event(), asyncio.Event()

    async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        if request == b"hold":
            held.set()
            await let_go.wait()
        return context.peer().encode()

    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Ask": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Test", handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    connection = ServerConnection(f"127.0.0.1:{port}")

    def ask(request: bytes) -> asyncio.Task[bytes]:
        call = connection.send_bytes("/test.Test/Ask", request, timeout=20.0, metadata=())
        return asyncio.create_task(call)

    holding = ask(b"hold")
    await held.wait()
    connection.reopen(grace=20.0)
    after = await ask(b"")
    let_go.set()
    assert await holding != after
    await connection.close()
    await server.stop(None)
