"""Clients of a version: programs around its generated stubs, and one within this process.

All answer alike, so that one case runs with each of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

from crosswind_server.domain.version import METADATA_KEY
from crosswind_server.rpc.authorisation import Rule
from crosswind_server.rpc.calls import RawAnswer, guard
from crosswind_server.rpc.errors import DETAILS_KEY
from crosswind_server.rpc.server import collect_endpoints
from crosswind_server.services.call_counts import CallCounts
from crosswind_server.services.dependencies import Services
from crosswind_server.versions.gates import Gates
from tests.compat.lab.history import VERSIONS
from tests.compat.lab.messages import method_of, to_bytes, to_json
from tests.compat.lab.service import RULES, SCOPE, registers
from tests.compat.lab.stubs import go_clients, python_stubs

LANGUAGES: Final = ("python", "go")
_PYTHON_CLIENT: Final = Path(__file__).parent / "python_client.py"


@dataclass(frozen=True)
class Answer:
    """What a client hears.

    Attributes:
        code: the name of the status code.
        response: the message as protobuf's JSON, where the code is OK.
        reason: of the refusal's ErrorInfo, as `message` and `metadata`.
    """

    code: str
    response: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class Client(Protocol):
    """A client of one version, which its messages are written in."""

    def call(self, method: str, request: Mapping[str, Any], metadata: Mapping[str, str]) -> Answer:
        """Make a call.

        Args:
            method: `package.Service/Method`, as the client's version has it.
            request: protobuf's JSON.
            metadata: of the call.
        """


class ProcessClient:
    """A program around the generated stubs of a version.

    Args:
        language: `python` or `go`.
        version: whose stubs.
        address: of the server.
    """

    def __init__(self, language: str, version: str, address: str) -> None:
        command: list[str | Path]
        if language == "python":
            command = [sys.executable, "-P", _PYTHON_CLIENT, address]
        else:
            command = [go_clients() / version, address]
        environment = {**os.environ, "PYTHONPATH": str(python_stubs(version)), "GRPC_VERBOSITY": "ERROR"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, bufsize=1
        )

    def call(self, method: str, request: Mapping[str, Any], metadata: Mapping[str, str]) -> Answer:
        """See `Client`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"method": method, "request": request, "metadata": metadata}), file=self._process.stdin)
        line = self._process.stdout.readline()
        assert line, f"the client ended with exit code {self._process.wait(10)}; see its stderr above"
        return Answer(**json.loads(line))

    def close(self) -> None:
        """End the program."""
        self._process.communicate(timeout=10)


class Clients:
    """The programs of one language, each started when it is first needed.

    Args:
        language: `python` or `go`.
        address: of the server.
        metadata: of every call.
    """

    def __init__(self, language: str, address: str, metadata: Mapping[str, str]) -> None:
        self._language = language
        self._address = address
        self._running: dict[str, ProcessClient] = {}
        self.metadata = metadata

    def of(self, version: str) -> Client:
        """The one of a version."""
        if version not in self._running:
            self._running[version] = ProcessClient(self._language, version, self._address)
        return self._running[version]

    def close(self) -> None:
        """End all programs."""
        for client in self._running.values():
            client.close()


class DirectClients:
    """Clients without a socket: from bytes to bytes through the guard of the real handlers.

    Args:
        gates: what carries their messages across.
    """

    def __init__(self, gates: Gates) -> None:
        endpoints = {endpoint.method: endpoint for endpoint in collect_endpoints(registers())}
        open_to_all = dict.fromkeys(RULES, Rule.ANYONE)
        services = cast(Services, _FewServices())
        self._guarded: Mapping[str, RawAnswer] = {
            path: guard(path, endpoints, services, gates, version_key=METADATA_KEY, rules=open_to_all)
            for path in (*endpoints, *gates.former_methods)
        }
        self.metadata: Mapping[str, str] = {}

    def of(self, version: str) -> Client:
        """The one of a version."""
        return DirectClient(version, self._guarded)

    def caller(self, method: str, request: bytes, metadata: Mapping[str, str]) -> Callable[[], bytes]:
        """A call by its bytes alone, to be made as often as one likes."""
        answer, context = self._guarded[f"/{method}"], cast(Any, _Context(metadata))
        return lambda: _run(cast(Coroutine[Any, Any, bytes], answer(request, context)))


class DirectClient:
    """See `DirectClients`."""

    def __init__(self, version: str, guarded: Mapping[str, RawAnswer]) -> None:
        self._version = version
        self._guarded = guarded

    def call(self, method: str, request: Mapping[str, Any], metadata: Mapping[str, str]) -> Answer:
        """See `Client`."""
        rpc = method_of(self._version, method)
        sent = to_bytes(self._version, rpc.input_type.full_name, request)
        answer = self._guarded.get(f"/{method}")
        if answer is None:
            return Answer("UNIMPLEMENTED", message="Method not found!")
        try:
            received = _run(cast(Coroutine[Any, Any, bytes], answer(sent, cast(Any, _Context(metadata)))))
        except _Ended as ended:
            return ended.answer
        return Answer("OK", to_json(self._version, rpc.output_type.full_name, received))


class _FewServices:
    """What the guard works with. It needs no verifier of tokens where every method is open to all."""

    def __init__(self) -> None:
        self.verifier = None
        self.calls = CallCounts()


class _Context:
    def __init__(self, metadata: Mapping[str, str]) -> None:
        self._metadata = tuple(metadata.items())

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any) -> NoReturn:
        status = status_pb2.Status.FromString(dict(trailing_metadata)[DETAILS_KEY])
        info = error_details_pb2.ErrorInfo()
        status.details[0].Unpack(info)
        raise _Ended(Answer(code.name, {}, info.reason, details, dict(info.metadata)))


class _Ended(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.answer = answer


def _run(call: Coroutine[Any, Any, bytes]) -> bytes:
    """The result of a call that waits for nothing."""
    try:
        call.send(None)
    except StopIteration as done:
        received: bytes = done.value
        return received
    raise AssertionError("the laboratory's handlers wait for nothing")


def metadata_of(version: str, scope: str, **others: str) -> dict[str, str]:
    """What a client of a version sends with each call about some tasks."""
    return {METADATA_KEY: version, SCOPE: scope, **others}


def older_than_newest() -> tuple[str, ...]:
    """The versions whose messages cross gates."""
    return VERSIONS[:-1]
