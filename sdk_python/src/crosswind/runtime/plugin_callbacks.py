"""The gRPC server to which tasks of one bundle process call back: `TaskService` and `HostService`, on a Unix socket.

Messages of `TaskService` pass as bytes, whatever the method. Which attempt calls is said by a key that it alone was
given; nothing else is served. Starting the process belongs to `plugin_process.py`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import grpc
import grpc.aio

from crosswind.client.errors import CANCELLED, UNAUTHENTICATED, CallError
from crosswind.runtime.executor import TaskHost
from crosswind.runtime.task_process import TASK_SERVICE, WRITE_LOGS, note_defect

KEY: Final = "crosswind-attempt-key"
MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Bounds a message between worker and bundle: well over what a server lets through."""
_STATUS_DETAILS: Final = "grpc-status-details-bin"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

_Context = grpc.aio.ServicerContext[bytes, bytes]
_Answer = Callable[["_Session", bytes, _Context], Awaitable[bytes]]


class _Session:
    """What one attempt may do here, until its task has ended."""

    def __init__(self, host: TaskHost) -> None:
        self.host = host
        self.calls: set[asyncio.Task[bytes]] = set()


class CallbackServer:
    """The server of one bundle process."""

    def __init__(self) -> None:
        self.address = ""
        """For `RunTaskRequest.callback_address`."""
        self._sessions: dict[str, _Session] = {}
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                ("grpc.max_send_message_length", MESSAGE_BYTES),
            ]
        )
        self._server.add_generic_rpc_handlers((_Handlers(self._sessions),))

    async def start(self, folder: Path) -> None:
        """Serves on a socket in a folder that nobody else can enter.

        Raises:
            RuntimeError: the socket could not be made.
        """
        self.address = f"unix://{folder / 'worker'}"
        self._server.add_insecure_port(self.address)
        await self._server.start()

    def admit(self, host: TaskHost) -> str:
        """Begins to serve an attempt. Returns its key."""
        key = secrets.token_urlsafe(32)
        self._sessions[key] = _Session(host)
        return key

    def dismiss(self, key: str) -> None:
        """Ends it: calls that are under way are given up, others are refused."""
        for call in self._sessions.pop(key).calls:
            call.cancel()

    async def stop(self) -> None:
        """Ends all calls."""
        await self._server.stop(None)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, sessions: dict[str, _Session]) -> None:
        self._sessions = sessions

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a method. None: it is not served."""
        method = details.method
        if method == WRITE_LOGS:
            return self._handler(method, _write_logs)
        if method.startswith(TASK_SERVICE):
            return self._handler(method, lambda session, request, context: _forward(session, method, request, context))
        return None

    def _handler(self, method: str, answer: _Answer) -> grpc.RpcMethodHandler[Any, Any]:
        async def handle(request: bytes, context: _Context) -> bytes:
            session = self._sessions.get(_key_of(context))
            if session is None:
                await _abort(
                    context,
                    CallError(
                        UNAUTHENTICATED,
                        "PERMISSION_DENIED",
                        f"This call names no attempt that runs: send the key of RunTask as metadata {KEY}, and call "
                        f"only until RunTask has been answered.",
                    ),
                )
            try:
                return await answer(session, request, context)
            except CallError as error:
                problem = error
            except Exception as error:
                problem = note_defect(method, error)
            await _abort(context, problem)

        return grpc.unary_unary_rpc_method_handler(handle)


async def _write_logs(session: _Session, request: bytes, context: _Context) -> bytes:
    session.host.write_logs(request)
    return b""


async def _forward(session: _Session, method: str, request: bytes, context: _Context) -> bytes:
    call = asyncio.ensure_future(session.host.forward(method, request, context.time_remaining()))
    session.calls.add(call)
    try:
        return await call
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            call.cancel()
            raise
        raise CallError(CANCELLED, "", "The task that made this call has ended.") from None
    finally:
        session.calls.discard(call)


def _key_of(context: _Context) -> str:
    for name, value in context.invocation_metadata() or ():
        if name == KEY and isinstance(value, str):
            return value
    return ""


async def _abort(context: _Context, error: CallError) -> NoReturn:
    await context.abort(
        _CODES.get(error.code, grpc.StatusCode.UNKNOWN),
        error.message,
        trailing_metadata=((_STATUS_DETAILS, error.to_status()),),
    )
    raise AssertionError("abort returned")
