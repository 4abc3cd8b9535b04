"""What the worker does about the server's answers to outcomes, logs and offers; the answers are scripted."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from crosswind.client.errors import FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED, CallError
from crosswind.execution.v1 import lease_pb2, logs_pb2, outcome_pb2
from crosswind.execution.v1 import worker_service_pb2 as service
from crosswind.manifest.v1 import bundle_pb2
from crosswind.runtime.attempt_log import AttemptLog, LogMemory
from crosswind.runtime.delivery import Delivery
from crosswind.runtime.log_shipping import LogShipper
from crosswind.runtime.masking import Masker
from crosswind.runtime.negotiation import unasked
from crosswind.runtime.outcomes import OutcomeStore
from crosswind.runtime.publishing import split_manifest


class ScriptedCalls:
    """`ServerCalls` whose answers come from a function; what it raises is a refusal."""

    def __init__(self, answer: Callable[[str, Any], Any], *, max_message_bytes: int = 4 << 20) -> None:
        self._answer = answer
        self.calls: list[tuple[str, Any]] = []
        self.connection = self
        self.agreement = unasked()
        self.limits = service.Limits(max_message_bytes=max_message_bytes)
        self.timing = service.Timing(log_flush_interval=Duration(nanos=1_000_000))

    async def repeat(self, rpc: Any, request: Any, *, timeout: float = 0) -> Any:
        copy = type(request)()
        copy.CopyFrom(request)
        self.calls.append((rpc.name, copy))
        await asyncio.sleep(0)
        return self._answer(rpc.name, request)


def make_request() -> service.FinishAttemptRequest:
    return service.FinishAttemptRequest(
        attempt=lease_pb2.AttemptRef(attempt_id=str(uuid.uuid4()), lease=b"l" * 16),
        outcome_id=str(uuid.uuid4()),
        outcome=outcome_pb2.Outcome(succeeded=outcome_pb2.Succeeded()),
    )


def make_store(folder: Any) -> OutcomeStore:
    return OutcomeStore(folder, sync=False, warn=pytest.fail)


async def test_an_acknowledged_outcome_is_forgotten(tmp_path):
    calls = ScriptedCalls(lambda name, request: service.FinishAttemptResponse(next_log_sequence=3))
    delivery = Delivery(calls, make_store(tmp_path), "instance")  # type: ignore[arg-type]  # scripted
    answer = await delivery.deliver(make_request())
    assert answer is not None
    assert answer.next_log_sequence == 3
    assert delivery.pending == {}
    assert make_store(tmp_path).load() == []


@pytest.mark.parametrize("reason", ["STALE_LEASE", "OUTCOME_CONFLICT", "UNKNOWN_ATTEMPT"])
async def test_a_refused_outcome_is_dropped(tmp_path, reason):
    def refuse(name: str, request: Any) -> Any:
        raise CallError(FAILED_PRECONDITION, reason, "no")

    delivery = Delivery(ScriptedCalls(refuse), make_store(tmp_path), "instance")  # type: ignore[arg-type]  # scripted
    assert await delivery.deliver(make_request()) is None
    assert delivery.pending == {}
    assert make_store(tmp_path).load() == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (CallError(INVALID_ARGUMENT, "VALUE_TOO_LARGE", "too large"), "crosswind.ValueTooLarge"),
        (CallError(UNIMPLEMENTED, "NOT_SUPPORTED", "not yet"), "crosswind.OutcomeNotSupported"),
        (CallError(INVALID_ARGUMENT, "INVALID_ARGUMENT", "no such branch"), "crosswind.OutcomeRefused"),
    ],
)
async def test_a_refused_content_becomes_a_failure_under_the_same_id(tmp_path, error, kind):
    def answer(name: str, request: service.FinishAttemptRequest) -> Any:
        if request.outcome.HasField("succeeded"):
            raise error
        return service.FinishAttemptResponse()

    calls = ScriptedCalls(answer)
    delivery = Delivery(calls, make_store(tmp_path), "instance")  # type: ignore[arg-type]  # scripted
    assert await delivery.deliver(make_request()) is not None
    (_, first), (_, second) = calls.calls
    assert first.outcome_id == second.outcome_id
    assert second.outcome.failed.failure.type == kind
    assert second.outcome.failed.failure.message == error.message


async def test_an_attempt_that_has_not_started_is_started_first(tmp_path):
    started: list[str] = []

    def answer(name: str, request: Any) -> Any:
        if name == "StartAttempt":
            started.append(request.attempt.attempt_id)
            return service.StartAttemptResponse()
        if not started:
            raise CallError(FAILED_PRECONDITION, "ATTEMPT_NOT_STARTED", "start it")
        return service.FinishAttemptResponse()

    calls = ScriptedCalls(answer)
    delivery = Delivery(calls, make_store(tmp_path), "instance")  # type: ignore[arg-type]  # scripted
    assert await delivery.deliver(make_request()) is not None
    assert [name for name, _ in calls.calls] == ["FinishAttempt", "StartAttempt", "FinishAttempt"]


async def test_what_an_earlier_process_kept_is_delivered(tmp_path):
    store = make_store(tmp_path)
    requests = [make_request() for _ in range(40)]
    for request in requests:
        store.keep(request)
    calls = ScriptedCalls(lambda name, request: service.FinishAttemptResponse())
    delivery = Delivery(calls, make_store(tmp_path), "instance")  # type: ignore[arg-type]  # scripted
    assert delivery.pending.keys() == {request.attempt.attempt_id for request in requests}
    await delivery.deliver_restored()
    assert {request.outcome_id for _, request in calls.calls} == {request.outcome_id for request in requests}
    assert delivery.pending == {}
    assert make_store(tmp_path).load() == []


class LogServer:
    """Takes chunks as the protocol says: in order, again without harm; optionally forgets every second call."""

    def __init__(self, *, forgetful: bool = False) -> None:
        self.next: dict[str, int] = {}
        self.closed: set[str] = set()
        self._forgetful = forgetful
        self._calls = 0
        self.complete = asyncio.Event()

    def answer(self, name: str, request: service.AppendLogsRequest) -> service.AppendLogsResponse:
        self._calls += 1
        response = service.AppendLogsResponse()
        for logs in request.logs:
            attempt_id = logs.attempt.attempt_id
            expected = self.next.get(attempt_id, 0)
            if not (self._forgetful and self._calls % 2):
                for chunk in logs.chunks:
                    if chunk.first_sequence == expected:
                        expected += chunk.record_count
                        if chunk.last:
                            self.complete.set()
            self.next[attempt_id] = expected
            response.results.add(next_sequence=expected, closed=attempt_id in self.closed)
        return response


def add_log(shipper: LogShipper, attempt_id: str) -> AttemptLog:
    log = AttemptLog(Masker(), LogMemory())
    shipper.add(lease_pb2.AttemptRef(attempt_id=attempt_id), log)
    return log


def write(log: AttemptLog, count: int) -> None:
    for number in range(count):
        log.write_output(logs_pb2.LogRecord.SOURCE_STDOUT, f"line {number}\n".encode())


async def test_one_call_ships_the_logs_of_all_attempts():
    server = LogServer()
    calls = ScriptedCalls(server.answer)
    shipper = LogShipper(calls)  # type: ignore[arg-type]  # scripted
    logs = [add_log(shipper, str(number)) for number in range(5)]
    for log in logs:
        write(log, 3)
    await shipper.flush()
    assert len(calls.calls) == 1
    assert server.next == {str(number): 3 for number in range(5)}
    assert not any(log.pending for log in logs)
    await shipper.flush()
    assert len(calls.calls) == 1


async def test_what_the_server_did_not_take_is_sent_again():
    server = LogServer(forgetful=True)
    calls = ScriptedCalls(server.answer)
    shipper = LogShipper(calls)  # type: ignore[arg-type]  # scripted
    log = add_log(shipper, "a")
    write(log, 3)
    await shipper.flush()
    assert log.pending
    write(log, 2)
    await shipper.flush()
    assert server.next == {"a": 5}
    assert not log.pending


async def test_more_than_a_message_takes_goes_in_several():
    server = LogServer()
    calls = ScriptedCalls(server.answer, max_message_bytes=64 * 1024 + 1000)
    shipper = LogShipper(calls)  # type: ignore[arg-type]  # scripted
    logs = [add_log(shipper, str(number)) for number in range(6)]
    for log in logs:
        write(log, 10)
    await shipper.flush()
    assert len(calls.calls) > 1
    assert server.next == {str(number): 10 for number in range(6)}


async def test_a_closed_log_does_not_stop_the_others():
    server = LogServer()
    server.closed.add("closed")
    shipper = LogShipper(ScriptedCalls(server.answer))  # type: ignore[arg-type]  # scripted
    closed, other = add_log(shipper, "closed"), add_log(shipper, "other")
    write(closed, 1)
    write(other, 1)
    await shipper.flush()
    assert closed.closed
    assert not closed.pending
    assert server.next["other"] == 1


async def test_a_discharged_log_is_shipped_to_its_end():
    server = LogServer()
    calls = ScriptedCalls(server.answer)
    shipper = LogShipper(calls)  # type: ignore[arg-type]  # scripted
    log = add_log(shipper, "a")
    write(log, 4)
    log.end()
    shipper.discharge("a")
    running = asyncio.create_task(shipper.run())
    async with asyncio.timeout(10):
        await server.complete.wait()
    running.cancel()
    assert not log.pending
    assert server.next == {"a": 4}
    assert calls.calls[-1][1].logs[0].chunks[-1].last


async def test_logs_that_the_server_refuses_are_dropped():
    def refuse(name: str, request: Any) -> Any:
        raise CallError(NOT_FOUND, "UNKNOWN_ATTEMPT", "no")

    shipper = LogShipper(ScriptedCalls(refuse))  # type: ignore[arg-type]  # scripted
    log = add_log(shipper, "a")
    write(log, 1)
    await shipper.flush()
    assert log.closed


def test_a_large_manifest_goes_in_parts():
    manifest = bundle_pb2.Manifest(bundle="b", bundle_version="v", api_version="2026-12-01")
    manifest.sdk.language = "python"
    manifest.source_errors.add(source="x.py", message="broken")
    for number in range(20):
        manifest.dags.add(dag_id=f"d{number}", dag=bytes(1000))
    parts = list(split_manifest(manifest, 5000))
    assert len(parts) > 1
    assert [part.more for part in parts] == [True] * (len(parts) - 1) + [False]
    assert all(part.ByteSize() <= 5100 for part in parts)
    assert [dag.dag_id for part in parts for dag in part.manifest.dags] == [f"d{number}" for number in range(20)]
    assert sum(len(part.manifest.source_errors) for part in parts) == 1
    assert {(part.manifest.bundle, part.manifest.bundle_version, part.manifest.sdk.language) for part in parts} == {
        ("b", "v", "python")
    }
    (whole,) = split_manifest(manifest, 1 << 20)
    assert whole.manifest == manifest
    assert not whole.more
