"""What API versions cost: a message that crosses many gates, a call at the newest version, a call one version back.

The first two are of functions within this process. The last one is of calls over a socket to the laboratory of
`tests/compat`, whose handlers do next to nothing, by turns in one version and the other, because a ratio holds on a
busy machine too.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory

from crosswind_server.versions.gates import Gates
from crosswind_server.versions.history import History, Release
from tests.bench.figures import Figures
from tests.bench.long_history import ASK, GATES, METHOD, long_history, version
from tests.compat.lab.clients import DirectClients, metadata_of
from tests.compat.lab.history import NEWEST, VERSIONS, lab_history
from tests.compat.lab.messages import message_type, method_of, to_bytes

ROUNDS: Final = 40
CROSSINGS: Final = 200
PAIRS: Final = 2000
WARM_UP: Final = 200
ONE_BACK: Final = VERSIONS[-2]
GET: Final = "lab.v1.LabService/GetTask"
CREATE: Final = "lab.v1.LabService/CreateTask"
TASK: Final = {
    "task_id": "extract",
    "queue": "q",
    "title": "extract",
    "limits": {"timeout": "90s"},
    "retries": {"limit": 3},
    "steps": [{"name": "a", "wait": "1s"}, {"name": "b", "state": "STATE_RUNNING"}],
    "tags": {"env": "prod"},
    "priority": 4,
}


def measure_versions() -> Figures:
    """Measure all three."""
    figures = {f"versions.{name}": value for name, value in (*_gates().items(), *_newest().items())}
    return figures | {f"versions.{name}": value for name, value in _one_back().items()}


def _gates() -> Figures:
    """A message of the oldest version of a long history to the newest, and one of the newest back."""
    history = long_history()
    crossing = Gates(history).choose(METHOD, version(0))
    assert crossing.upgrade is not None
    assert crossing.downgrade is not None
    pool = descriptor_pool.DescriptorPool()
    for file in history.releases[0].descriptors.file:
        pool.Add(file)
    message: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName(ASK))(task_id="extract")
    for field in message.DESCRIPTOR.fields:
        if field.name.startswith("old"):
            setattr(message, field.name, 90 if field.cpp_type == field.CPPTYPE_INT32 else "Ada Lovelace")
    for _ in range(3):
        item = message.items.add()
        for field in item.DESCRIPTOR.fields:
            setattr(item, field.name, "x")
    old: bytes = message.SerializeToString()
    new = crossing.upgrade(old)
    up, down = _microseconds(crossing.upgrade, old), _microseconds(crossing.downgrade, new)
    return {f"gate{GATES}_us": max(up, down), f"gate{GATES}_up_us": up, f"gate{GATES}_down_us": down}


def _newest() -> Figures:
    """A whole call at the newest version, in a server with all versions and in one that has no other."""
    history = lab_history()
    last = history.releases[-1]
    alone = History((Release(last.version, last.load),), history.reasons)
    calls = [_direct_call(Gates(each)) for each in (alone, history)]
    plain, among_others = _by_turns(calls)
    return {"newest_call_us": among_others, "newest_overhead_us": max(0.0, among_others - plain)}


def _direct_call(gates: Gates) -> Callable[[], object]:
    clients = DirectClients(gates)
    metadata = metadata_of(NEWEST, "bench")
    clients.of(NEWEST).call(CREATE, {"task": TASK}, metadata)
    return clients.caller(GET, to_bytes(NEWEST, "lab.v1.GetTaskRequest", {"task_id": TASK["task_id"]}), metadata)


def _by_turns(calls: list[Callable[[], object]]) -> list[float]:
    """Microseconds of each: of the fastest of many rounds, by turns, whatever else the machine does."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, times in zip(calls, taken, strict=True):
            times.append(_seconds(call, CROSSINGS))
    return [min(times) / CROSSINGS * 1e6 for times in taken]


def _microseconds(carry: Callable[[bytes], bytes], data: bytes) -> float:
    return _by_turns([lambda: carry(data)])[0]


def _seconds(call: Callable[[], object], times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - begin


def _one_back() -> Figures:
    """Calls over a socket, one version back and at the newest."""
    command = [sys.executable, "-m", "tests.compat.lab"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        lab = json.loads(process.stdout.readline())
        try:
            return asyncio.run(_compare(lab["address"], lab["metadata"]))
        finally:
            process.stdin.close()


async def _compare(address: str, metadata: dict[str, str]) -> Figures:
    """Calls whose request and response both cross; the response alone of a call that reads."""
    async with grpc.aio.insecure_channel(address) as channel:
        old, new = (_Caller(channel, speaks, metadata) for speaks in (ONE_BACK, NEWEST))
        taken: dict[tuple[str, _Caller], list[float]] = {}
        for number in range(WARM_UP + PAIRS):
            for caller in (old, new) if number % 2 else (new, old):
                task = f"{number} of {id(caller)}"
                for name, call in (("write", caller.create), ("read", caller.get)):
                    begin = time.perf_counter()
                    await call(task)
                    taken.setdefault((name, caller), []).append(time.perf_counter() - begin)
    figures: Figures = {}
    for name in ("write", "read"):
        slow, fast = (statistics.median(taken[name, caller][WARM_UP:]) for caller in (old, new))
        figures |= {f"newest_{name}_us": fast * 1e6, f"one_back_{name}_percent": (slow / fast - 1) * 100}
    return figures | {"one_back_percent": max(value for name, value in figures.items() if name.endswith("_percent"))}


class _Caller:
    """A client of one version."""

    def __init__(self, channel: grpc.aio.Channel, speaks: str, metadata: dict[str, str]) -> None:
        self._version = speaks
        self._metadata = tuple({**metadata, **metadata_of(speaks, "bench")}.items())
        self._create, self._created = self._prepare(channel, CREATE, {"task": TASK})
        self._get, self._got = self._prepare(channel, GET, {})

    def _prepare(self, channel: grpc.aio.Channel, path: str, fields: dict[str, Any]) -> tuple[Any, Any]:
        """The call, as a stub has it, and its message, in which only the id of the task is to be set."""
        method = method_of(self._version, path)
        request, response = (
            message_type(self._version, each.full_name) for each in (method.input_type, method.output_type)
        )
        call = channel.unary_unary(
            f"/{path}", request_serializer=request.SerializeToString, response_deserializer=response.FromString
        )
        return call, json_format.ParseDict(fields, request())

    async def create(self, task_id: str) -> None:
        self._created.task.task_id = task_id
        await self._create(self._created, metadata=self._metadata)

    async def get(self, task_id: str) -> None:
        self._got.task_id = task_id
        await self._get(self._got, metadata=self._metadata)
