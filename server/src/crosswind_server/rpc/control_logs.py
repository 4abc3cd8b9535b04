"""LogService."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError

from crosswind.control.v1 import logs_pb2, logs_pb2_grpc
from crosswind.execution.v1.logs_pb2 import LogChunk, LogRecord, LogRecords
from crosswind_server.rpc.authentication import caller
from crosswind_server.rpc.calls import ServicerContext
from crosswind_server.rpc.control_tasks import instance_names
from crosswind_server.rpc.messages import invalid, read_or_wait, wait_seconds
from crosswind_server.services.dependencies import Services, UnitOfWork
from crosswind_server.services.execution import logs
from crosswind_server.services.execution.logs import LogPiece
from crosswind_server.services.listing import task_listing, workload_listing
from crosswind_server.services.listing.log_reading import LogWanted
from crosswind_server.timing import LIMITS

_RECORDS_AT_MOST = 1_000
_ANSWER_BYTES = LIMITS.max_message_bytes - 64 * 1024


class LogServicer(logs_pb2_grpc.LogServiceServicer):
    """Logs for people."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ReadLogs(self, request: logs_pb2.ReadLogsRequest, context: ServicerContext) -> logs_pb2.ReadLogsResponse:
        read = _reader(request, caller().team)
        if request.page_size < 0 or request.from_sequence < 0:
            field = "page_size" if request.page_size < 0 else "from_sequence"
            raise invalid(field, f"`{field}` is below 0; leave it out.")
        last = request.last_records if request.WhichOneof("start") == "last_records" else None
        if last is not None and not 1 <= last <= 10_000:
            raise invalid("last_records", "`last_records` lies between 1 and 10,000.")
        wanted = LogWanted(
            attempt_id=request.attempt_id,
            try_number=request.try_number if request.HasField("try_number") else None,
            from_sequence=request.from_sequence,
            last_records=last,
            grace_us=self._services.timing.lease_us,
        )
        piece = await read_or_wait(
            self._services,
            lambda found: [logs.topic(found.attempt_id)],
            lambda uow: read(uow, wanted),
            done=lambda found: bool(found.chunks) or found.ended,
            # A log that was not closed ends with its grace, of which nobody hints.
            look_again=lambda found: None if found.closes_us is None else found.closes_us / 1e6,
            wait=wait_seconds(request.wait),
        )
        return logs_message(piece, limit=min(request.page_size or _RECORDS_AT_MOST, _RECORDS_AT_MOST))


def _reader(request: logs_pb2.ReadLogsRequest, team: str) -> Callable[[UnitOfWork, LogWanted], LogPiece]:
    """What reads the log of the task instance, or of the workload, that a request names."""
    if not request.workload_id:
        names = instance_names(request)
        return lambda uow, wanted: task_listing.read_log(uow, team, **names, wanted=wanted)
    for field in ("dag_id", "run_id", "task_id", "map_index"):
        if request.HasField(field) if field == "map_index" else getattr(request, field):
            raise invalid(field, f"`workload_id` names what is read; leave `{field}` out.")
    return lambda uow, wanted: workload_listing.read_log(uow, team, request.workload_id, wanted)


def logs_message(piece: LogPiece, *, limit: int) -> logs_pb2.ReadLogsResponse:
    """The records of a piece, as many as are allowed and fit."""
    records: list[logs_pb2.NumberedLogRecord] = []
    room = _ANSWER_BYTES
    for chunk in piece.chunks:
        for offset, record in enumerate(_open_chunk(chunk.compression, chunk.data, chunk.record_count)):
            sequence = chunk.first_sequence + offset
            if sequence < piece.from_sequence:
                continue
            numbered = logs_pb2.NumberedLogRecord(
                sequence=sequence, record=record, dropped_before=chunk.dropped if offset == 0 else 0
            )
            room -= numbered.ByteSize() + 8
            if len(records) == limit or (room < 0 and records):
                return _logs_response(piece, records)
            records.append(numbered)
    return _logs_response(piece, records)


def _logs_response(piece: LogPiece, records: Sequence[logs_pb2.NumberedLogRecord]) -> logs_pb2.ReadLogsResponse:
    next_sequence = records[-1].sequence + 1 if records else piece.from_sequence
    return logs_pb2.ReadLogsResponse(
        attempt_id=piece.attempt_id,
        try_number=piece.try_number,
        records=records,
        next_sequence=next_sequence,
        complete=piece.ended and next_sequence >= piece.next_sequence,
        dropped_count=piece.dropped,
    )


def _open_chunk(compression: int, data: bytes, count: int) -> Sequence[LogRecord]:
    """The records of a chunk; one that cannot be opened shows as a line that says so, so that numbers have no gap."""
    try:
        if compression == LogChunk.COMPRESSION_GZIP:
            data = gzip.decompress(data)
        records = list(LogRecords.FromString(data).records)
    except (OSError, EOFError, zlib.error, DecodeError):
        records = []
    unreadable = LogRecord(
        level=LogRecord.LEVEL_WARNING, source=LogRecord.SOURCE_WORKER, message="(this record cannot be read)"
    )
    return [*records[:count], *(unreadable for _ in range(count - len(records)))]
