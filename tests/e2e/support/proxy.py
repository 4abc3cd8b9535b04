"""A proxy that knows RPCs: it forwards every unary call as bytes, and can hold, drop or cut chosen ones.

Synchronous, with a thread a call, so that a test holds a call by not returning from it. Toxiproxy and the like see
only bytes and cannot drop "the reply of the second FinishAttempt".
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn, Self

import grpc

from crosswind.client.dialling import dialling_options
from tests.e2e.support.processes import PATIENCE

_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    *dialling_options(first=0.05, longest=0.2),
    ("grpc.so_reuseport", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.keepalive_permit_without_calls", 1),
]


Which = Callable[[bytes], bool]


class Fault:
    """What is to happen to a call, once: it is stopped at a point until the test lets it go on.

    Args:
        method: the RPC's short name, such as `FinishAttempt`.
        nth: which call of it from now on, from 1.
        before: stop it before the server has seen it; else when the server has processed it and before its reply.
        drop: after the release, answer UNAVAILABLE instead of going on; a request dropped `before` never arrives.
        which: only messages, requests `before` and replies else, that fit count.
    """

    def __init__(self, method: str, *, nth: int, before: bool, drop: bool, which: Which | None) -> None:
        self.method = method
        self.which = which
        self.before = before
        self.drop = drop
        self.remaining = nth
        self._reached = threading.Event()
        self._released = threading.Event()

    def wait_reached(self, *, seconds: float = PATIENCE) -> None:
        """Wait until the call is at its point."""
        assert self._reached.wait(seconds), f"No {self.method} came to its point within {seconds:g} s."

    def release(self) -> None:
        """Let the call go on, or be dropped."""
        self._released.set()

    @property
    def reached(self) -> bool:
        """Whether the call has come to its point."""
        return self._reached.is_set()

    def stop_here(self) -> None:
        """Called by the proxy: wait for the release."""
        self._reached.set()
        self._released.wait(4 * PATIENCE)


class FaultProxy:
    """Forwards to one server, which may come and go at its address. A context manager."""

    def __init__(self, upstream: str) -> None:
        self._channel = grpc.insecure_channel(upstream, options=_OPTIONS)
        self._lock = threading.Lock()
        self._counted = threading.Condition(self._lock)
        self._faults: list[Fault] = []
        self._counts: dict[str, int] = {}
        self._cut = False
        self._open: set[grpc.Future] = set()
        self._server = grpc.server(
            ThreadPoolExecutor(64, thread_name_prefix="proxy"), handlers=[_Handlers(self._forward)], options=_OPTIONS
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.release()
        self.cut()
        self._server.stop(0).wait()
        self._channel.close()

    def drop_reply(self, method: str, *, nth: int = 1, which: Which | None = None) -> Fault:
        """Lose the nth reply from now on: the server has processed the call, the client sees UNAVAILABLE."""
        fault = self.hold_reply(method, nth=nth, drop=True, which=which)
        fault.release()
        return fault

    def hold_request(self, method: str, *, nth: int = 1, drop: bool = False, which: Which | None = None) -> Fault:
        """Stop a call before the server sees it."""
        return self._add(Fault(method, nth=nth, before=True, drop=drop, which=which))

    def hold_reply(self, method: str, *, nth: int = 1, drop: bool = False, which: Which | None = None) -> Fault:
        """Stop a call that the server has processed, before its reply."""
        return self._add(Fault(method, nth=nth, before=False, drop=drop, which=which))

    def cut(self) -> None:
        """Break every open call, and answer UNAVAILABLE to new ones until `mend`."""
        with self._lock:
            self._cut = True
            calls = list(self._open)
        for call in calls:
            call.cancel()

    def mend(self) -> None:
        """Forward again."""
        with self._lock:
            self._cut = False

    def count(self, method: str) -> int:
        """How many calls of an RPC came, by its short name."""
        with self._lock:
            return self._counts.get(method, 0)

    def wait_count(self, method: str, count: int, *, seconds: float = PATIENCE) -> None:
        """Wait until so many calls of an RPC have come."""
        with self._counted:
            came = self._counted.wait_for(lambda: self._counts.get(method, 0) >= count, seconds)
        assert came, f"{self.count(method)} and not {count} calls of {method} came within {seconds:g} s."

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def _stop_where_due(self, method: str, message: bytes, context: grpc.ServicerContext, *, before: bool) -> None:
        with self._lock:
            due = None
            for fault in self._faults:
                fits = fault.method == method and fault.before is before
                if due is None and fits and (fault.which is None or fault.which(message)):
                    fault.remaining -= 1
                    due = fault if fault.remaining == 0 else None
            self._faults = [fault for fault in self._faults if fault.remaining > 0]
        if due is not None:
            due.stop_here()
            if due.drop:
                _lose(context)

    def _forward(self, path: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        method = path.rsplit("/", 1)[-1]
        with self._lock:
            self._counts[method] = self._counts.get(method, 0) + 1
            self._counted.notify_all()
        self._stop_where_due(method, request, context, before=True)
        forward: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(path)
        call = forward.future(
            request, metadata=_passed_on(context.invocation_metadata()), timeout=context.time_remaining()
        )
        with self._lock:
            self._open.add(call)
            cut = self._cut
        if cut:
            call.cancel()
        context.add_callback(lambda: _cancel(call))
        try:
            reply = bytes(call.result())
        except grpc.FutureCancelledError:
            _lose(context)
        except grpc.RpcError as error:
            self._stop_where_due(method, b"", context, before=False)
            context.set_trailing_metadata(_passed_on(error.trailing_metadata() or ()))
            context.abort(error.code(), error.details() or "")
        finally:
            with self._lock:
                self._open.discard(call)
        self._stop_where_due(method, reply, context, before=False)
        context.set_trailing_metadata(_passed_on(call.trailing_metadata() or ()))
        return reply


def _lose(context: grpc.ServicerContext) -> NoReturn:
    context.abort(grpc.StatusCode.UNAVAILABLE, "the proxy lost it")
    raise AssertionError("abort raises")


def _cancel(call: grpc.Future) -> None:
    call.cancel()


def _passed_on(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    own = ("user-agent", "te", "content-type", "grpc-timeout")
    return tuple((key, value) for key, value in metadata if key not in own)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, forward: Callable[[str, bytes, grpc.ServicerContext], bytes]) -> None:
        self._forward = forward

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        path = handler_call_details.method
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._forward(path, request, context))
