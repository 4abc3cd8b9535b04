"""A bundle's process as another language might write it: go-plugin's handshake and `BundleService`, with bare gRPC.

Run by itself as a program; tests pack it with `pack_kit` of `plugin_files.py`. The entry point says what a task does.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from crosswind.bundle.v1 import bundle_service_pb2 as bundle
from crosswind.client.errors import CallError
from crosswind.execution.v1 import logs_pb2, outcome_pb2, task_service_pb2
from crosswind.value.v1 import value_pb2

SERVICE = "/crosswind.bundle.v1.BundleService/"
TASK_SERVICE = "/crosswind.execution.v1.TaskService/"
running: dict[str, threading.Event] = {}
stdio: list[bytes] = []
stdio_grown = threading.Condition()
is_closing = threading.Event()


class Host:
    """The worker, as a task calls it."""

    def __init__(self, request: bundle.RunTaskRequest) -> None:
        self.key = request.callback_key
        self.channel = grpc.insecure_channel(request.callback_address)

    def call(self, method: str, message: bytes, *, key: str | None = None, timeout: float | None = 20) -> bytes:
        metadata = (("crosswind-attempt-key", self.key if key is None else key),)
        call: Any = self.channel.unary_unary(method)
        return call(message, metadata=metadata, timeout=timeout)

    def get_variable(self, name: str, **options) -> str:
        request = task_service_pb2.GetVariableRequest(key=name)
        answer = self.call(TASK_SERVICE + "GetVariable", request.SerializeToString(), **options)
        return task_service_pb2.GetVariableResponse.FromString(answer).variable.value

    def log(self, message: str) -> None:
        record = logs_pb2.LogRecord(message=message, level=logs_pb2.LogRecord.LEVEL_INFO, logger="kit")
        request = bundle.WriteLogsRequest(records=[record])
        self.call("/crosswind.bundle.v1.HostService/WriteLogs", request.SerializeToString())


def describe(error: Any) -> dict:
    """What a task sees of a refused call."""
    details = next((value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"), b"")
    found = CallError.from_status(details)
    return {"code": error.code().name, "reason": found.reason, "message": error.details()}


def refusal_of(call) -> dict:
    try:
        call()
    except grpc.RpcError as error:
        return describe(error)
    return {}


def run(request: bundle.RunTaskRequest, cancelled: threading.Event):
    """A task; returns its result."""
    host = Host(request)
    name = request.context.entry_point
    if name == "succeed":
        host.log("logged")
        return {"pid": os.getpid(), "value": host.get_variable("v0")}
    if name == "look_around":
        return {"environment": dict(os.environ), "folder": os.getcwd(), "address": request.callback_address}
    if name == "ask":
        unknown = "/crosswind.control.v1.VariableService/ListVariables"
        return {
            "missing": refusal_of(lambda: host.get_variable("missing")),
            "no key": refusal_of(lambda: host.get_variable("v0", key="")),
            "wrong key": refusal_of(lambda: host.get_variable("v0", key="x" * 43)),
            "late": refusal_of(lambda: host.get_variable("never", timeout=0.2)),
            "other service": refusal_of(lambda: host.call(unknown, b"")),
        }
    if name == "leave_a_call_behind":
        threading.Thread(target=late_call, args=(host,), daemon=True).start()
        cancelled.wait()
        return None
    if name == "print":
        print("to the descriptor", flush=True)
        print("error to the descriptor, without an end", file=sys.stderr, end="", flush=True)
        write_stdio(1, b"streamed, in ")
        write_stdio(1, b"two pieces\n")
        write_stdio(2, b"an error, streamed\n")
        return None
    if name == "print_secret":
        print("the secret is", host.get_variable("secret"), file=sys.stderr, flush=True)
        return None
    if name == "wait":
        host.log("waiting")
        cancelled.wait()
        return None
    if name == "ignore":
        host.log("waiting")
        threading.Event().wait()
    if name == "exit":
        print("last words", file=sys.stderr, flush=True)
        os._exit(7)
    if name == "panic":
        print("panic: runtime error: index out of range [3] with length 3\n\ngoroutine 7 [running]:", file=sys.stderr)
        sys.stderr.flush()
        os._exit(2)
    if name == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "leave_processes_behind":
        same = subprocess.Popen(["sleep", "600"])
        other = subprocess.Popen(["sleep", "600"], start_new_session=True)
        shell = "setsid sleep 600 >/dev/null 2>&1 & echo $!"
        orphan = int(subprocess.run(["sh", "-c", shell], capture_output=True, check=True).stdout)
        host.log(f"{os.getpid()} {same.pid} {other.pid} {orphan}")
        cancelled.wait()
        return None
    if name == "large":
        return "x" * (5 << 20)
    if name == "too_large":
        return "x" * (65 << 20)
    raise LookupError(name)


def late_call(host: Host) -> None:
    problem = refusal_of(lambda: host.get_variable("never"))
    print("the call that was left behind:", problem["code"], flush=True)


def write_stdio(channel: int, data: bytes) -> None:
    with stdio_grown:
        stdio.append(bytes((0x08, channel, 0x12, len(data))) + data)
        stdio_grown.notify_all()


def run_task(message: bytes, context: grpc.ServicerContext) -> bytes:
    request = bundle.RunTaskRequest.FromString(message)
    assert ("crosswind-api-version", "2026-12-01") in context.invocation_metadata()
    if request.context.entry_point == "close":
        is_closing.set()
    if is_closing.is_set():
        refuse(context, CallError(9, "SERVER_STOPPING", "The process is closed to new tasks."))
    if request.context.entry_point == "odd":
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "It likes it not")
    cancelled = running[request.context.attempt_id] = threading.Event()
    try:
        result = run(request, cancelled)
    except LookupError as error:
        refuse(context, CallError(5, "TASK_NOT_FOUND", f"The bundle has no task {error}."))
    finally:
        del running[request.context.attempt_id]
    if cancelled.is_set():
        outcome = outcome_pb2.Outcome(cancelled=outcome_pb2.Cancelled(how="exited"))
    else:
        payload = value_pb2.Payload(encoding="json/utf-8", data=json.dumps(result).encode())
        outcome = outcome_pb2.Outcome(succeeded=outcome_pb2.Succeeded(result=payload))
    return bundle.RunTaskResponse(outcome=outcome).SerializeToString()


def refuse(context: grpc.ServicerContext, error: CallError) -> None:
    context.set_trailing_metadata((("grpc-status-details-bin", error.to_status()),))
    code = next(code for code in grpc.StatusCode if code.value[0] == error.code)
    context.abort(code, error.message)


def cancel_task(message: bytes, context: grpc.ServicerContext) -> bytes:
    request = bundle.CancelTaskRequest.FromString(message)
    found = running.get(request.attempt_id)
    if found is not None:
        found.set()
    return bundle.CancelTaskResponse(running=found is not None).SerializeToString()


def stream_stdio(message: bytes, context: grpc.ServicerContext):
    while True:
        with stdio_grown:
            stdio_grown.wait_for(lambda: stdio)
            data = stdio.pop(0)
        yield data


def main() -> None:
    assert os.environ["CROSSWIND_BUNDLE_COOKIE"] == "9d1c4c1e-6d1a-4ef1-9a3f-4f0a5d8a7c0b"
    assert "1" in os.environ["PLUGIN_PROTOCOL_VERSIONS"].split(",")
    server = grpc.server(
        ThreadPoolExecutor(20),
        options=[("grpc.max_send_message_length", 1 << 30), ("grpc.max_receive_message_length", 1 << 30)],
    )
    methods: dict[str, Any] = {
        SERVICE + "RunTask": grpc.unary_unary_rpc_method_handler(run_task),
        SERVICE + "CancelTask": grpc.unary_unary_rpc_method_handler(cancel_task),
        "/plugin.GRPCStdio/StreamStdio": grpc.unary_stream_rpc_method_handler(stream_stdio),
    }
    if len(sys.argv) > 1:  # a bundle that serves none of go-plugin's own services is one too
        del methods["/plugin.GRPCStdio/StreamStdio"]
    else:
        methods["/plugin.GRPCController/Shutdown"] = grpc.unary_unary_rpc_method_handler(lambda *_: os._exit(0))

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details):
            return methods.get(details.method)

    server.add_generic_rpc_handlers((Handlers(),))
    folder = os.environ["PLUGIN_UNIX_SOCKET_DIR"]
    path = tempfile.mktemp(prefix="plugin", dir=folder)
    server.add_insecure_port(f"unix://{path}")
    server.start()
    print(f"1|1|unix|{path}|grpc|", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
