"""A gRPC server on loopback that answers what a test says and keeps what it was asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True)
class Refusal:
    """A refused call; without a reason it is gRPC that ended it."""

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: dict[str, str] = field(default_factory=dict)


Reply = Message | Refusal


class CannedServer(grpc.GenericRpcHandler):
    """Answers each method with the replies that were given for it, one after the other; the last one for ever."""

    def __init__(self) -> None:
        self.asked: dict[str, list[bytes]] = defaultdict(list)
        self.metadata: list[dict[str, str]] = []
        self._replies: dict[str, list[Reply | Callable[[bytes], Reply]]] = {}
        self._server = grpc.server(ThreadPoolExecutor(4), handlers=[self])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def answer(self, method: str, *replies: Reply | Callable[[bytes], Reply]) -> None:
        """Say what `Service/Method` answers."""
        self._replies[f"/crosswind.control.v1.{method}"] = list(replies)

    def requests(self, method: str, kind: type[Any]) -> list[Any]:
        """What `Service/Method` was asked."""
        return [kind.FromString(data) for data in self.asked[f"/crosswind.control.v1.{method}"]]

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        method = handler_call_details.method
        replies = self._replies.get(method)
        if replies is None:
            return None

        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.asked[method].append(request)
            self.metadata.append({key: str(value) for key, value in context.invocation_metadata()})
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
            if callable(reply):
                reply = reply(request)
            if isinstance(reply, Refusal) and not reply.reason:
                context.abort(reply.code, reply.message)
            if isinstance(reply, Refusal):
                _refuse(context, reply)
                raise AssertionError("abort raises")
            return reply.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(handle)


def _refuse(context: grpc.ServicerContext, refusal: Refusal) -> None:
    info = error_details_pb2.ErrorInfo(domain="crosswind", reason=refusal.reason, metadata=refusal.metadata)
    detail = AnyMessage()
    detail.Pack(info)
    status = status_pb2.Status(code=refusal.code.value[0], message=refusal.message, details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(refusal.code, refusal.message)
