"""The log of one attempt: lines out of raw output, masked records, numbered chunks, and what is dropped. [BYTES-1]

Here belongs everything up to a chunk. When chunks are sent belongs to `log_shipping.py`.
"""

from __future__ import annotations

import json
import time
import zlib
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError

from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.execution.v1 import logs_pb2
from crosswind.runtime.masking import Masker

MESSAGE_CHARACTERS: Final = 32 * 1024
CUT: Final = "... (cut)"
STDERR_TAIL_CHARACTERS: Final = 8 * 1024
# Attributes are for a handful of facts; what is longer is a value that belongs elsewhere.
_ATTRIBUTES_CHARACTERS: Final = 16 * 1024
# A chunk is sealed at this size before compression, so that it fits in 256 KiB even where it does not compress.
_SEAL_BYTES: Final = 192 * 1024
# The compressor's start costs more than it saves on less.
_COMPRESS_BYTES: Final = 400


@dataclass
class LogMemory:
    """What the logs of all attempts may take in memory together, in bytes."""

    limit: int = 64 * 1024 * 1024
    used: int = 0


@dataclass
class _Line:
    """A line of raw output that is not complete yet."""

    data: bytearray = field(default_factory=bytearray)
    skipping: bool = False


class AttemptLog:
    """The records of one attempt on their way to the server.

    Args:
        masker: the attempt's secrets.
        memory: shared with the other attempts of the worker.
        limit: what this log may keep, in bytes; beyond it new records are dropped and counted.
    """

    def __init__(self, masker: Masker, memory: LogMemory, *, limit: int = 4 * 1024 * 1024) -> None:
        self.masker = masker
        self._memory = memory
        self._limit = limit
        self._lines = {
            logs_pb2.LogRecord.SOURCE_STDOUT: _Line(),
            logs_pb2.LogRecord.SOURCE_STDERR: _Line(),
        }
        self._open = logs_pb2.LogRecords()
        self._open_bytes = 0
        self._next_sequence = 0  # of the first record in _open
        self._dropped = 0  # just before it
        self._sealed: deque[logs_pb2.LogChunk] = deque()
        self._sealed_bytes = 0
        self._stderr: deque[str] = deque()
        self._stderr_characters = 0
        self.closed = False

    def write_records(self, request: bytes) -> None:
        """Takes a serialized `WriteLogsRequest`; one that cannot be read is dropped."""
        message = bundle_service_pb2.WriteLogsRequest()
        try:
            message.ParseFromString(request)
        except DecodeError:
            self._dropped += 1
            return
        for record in message.records:
            self._add(record)

    def write_output(self, source: logs_pb2.LogRecord.Source, data: bytes) -> None:
        """Takes raw output, cut anywhere, and makes a record of every line that is complete."""
        pending = self._lines[source]
        *complete, rest = data.split(b"\n")
        for part in complete:
            if not pending.skipping:
                pending.data += part
                self._add_line(source, bytes(pending.data), cut=False)
            pending.data.clear()
            pending.skipping = False
        if not pending.skipping:
            pending.data += rest
            # Masking shortens, so that more is kept than a message may hold.
            if len(pending.data) > 2 * MESSAGE_CHARACTERS:
                self._add_line(source, bytes(pending.data), cut=True)
                pending.data.clear()
                pending.skipping = True

    def write_worker(self, message: str, level: logs_pb2.LogRecord.Level = logs_pb2.LogRecord.LEVEL_INFO) -> None:
        """Adds a record of the worker's own."""
        self._add(
            logs_pb2.LogRecord(
                level=level, logger="crosswind.worker", message=message, source=logs_pb2.LogRecord.SOURCE_WORKER
            )
        )

    def stderr_tail(self) -> str:
        """The last lines of standard error, masked."""
        return "\n".join(self._stderr)[-STDERR_TAIL_CHARACTERS:]

    def end_lines(self) -> None:
        """Makes records of lines without an end: the process that wrote them is gone."""
        for source, pending in self._lines.items():
            if pending.data:
                self._add_line(source, bytes(pending.data), cut=False)
                pending.data.clear()

    def end(self) -> None:
        """Seals the last chunk. Nothing is to be added after it."""
        self.end_lines()
        self._seal(last=True)

    def chunks(self) -> list[logs_pb2.LogChunk]:
        """The chunks that the server has not acknowledged, in order."""
        if self._open.records or self._dropped:
            self._seal(last=False)
        return list(self._sealed)

    @property
    def pending(self) -> bool:
        """Whether there is something that the server has not acknowledged."""
        return bool(self._sealed or self._open.records)

    @property
    def sealed_count(self) -> int:
        """Chunks that the server has not acknowledged."""
        return len(self._sealed)

    def acknowledge(self, next_sequence: int) -> None:
        """Forgets what the server has.

        Args:
            next_sequence: the number that it expects next.
        """
        while self._sealed:
            first = self._sealed[0]
            if first.first_sequence + first.record_count > next_sequence:
                return
            self._forget_first()

    def close(self) -> None:
        """Forgets everything: the server takes nothing more."""
        self.closed = True
        while self._sealed:
            self._forget_first()
        self._memory.used -= self._open_bytes
        self._open_bytes = 0
        self._open.Clear()

    def _add_line(self, source: logs_pb2.LogRecord.Source, line: bytes, *, cut: bool) -> None:
        text = line.decode(errors="replace").removesuffix("\r")
        if cut:
            text = self.masker.mask_cut(text)
            text = text[: MESSAGE_CHARACTERS - len(CUT)] + CUT
        record = logs_pb2.LogRecord(message=text, source=source, level=logs_pb2.LogRecord.LEVEL_INFO)
        self._add(record)
        if source == logs_pb2.LogRecord.SOURCE_STDERR:
            self._stderr.append(record.message)
            self._stderr_characters += len(record.message) + 1
            while self._stderr_characters - len(self._stderr[0]) - 1 > STDERR_TAIL_CHARACTERS:
                self._stderr_characters -= len(self._stderr.popleft()) + 1

    def _add(self, record: logs_pb2.LogRecord) -> None:
        # Masked also where it is dropped: the tail of standard error is taken from it.
        record.message = _cut(self.masker.mask(record.message))
        if record.attributes_json:
            record.attributes_json = self.masker.mask_json(record.attributes_json)
            if len(record.attributes_json) > _ATTRIBUTES_CHARACTERS:
                record.attributes_json = json.dumps({"cut": record.attributes_json[:1024]})
        if not record.HasField("time"):
            record.time.FromNanoseconds(time.time_ns())
        size = record.ByteSize() + 8
        if self.closed:
            return
        if not self._has_room(size):
            self._seal_if_any()  # compressed, it takes less
            if not self._has_room(size):
                self._dropped += 1
                return
        if self._dropped or self._open_bytes + size > _SEAL_BYTES:
            self._seal_if_any()
        self._open.records.append(record)
        self._open_bytes += size
        self._memory.used += size

    def _has_room(self, size: int) -> bool:
        kept = self._open_bytes + self._sealed_bytes
        return kept + size <= self._limit and self._memory.used + size <= self._memory.limit

    def _seal_if_any(self) -> None:
        if self._open.records:
            self._seal(last=False)

    def _seal(self, *, last: bool) -> None:
        count = len(self._open.records)
        data = self._open.SerializeToString() if count else b""
        compression = logs_pb2.LogChunk.COMPRESSION_IDENTITY
        if len(data) > _COMPRESS_BYTES:
            compressor = zlib.compressobj(level=3, wbits=31)  # 31: with the header of RFC 1952
            data = compressor.compress(data) + compressor.flush()
            compression = logs_pb2.LogChunk.COMPRESSION_GZIP
        chunk = logs_pb2.LogChunk(
            first_sequence=self._next_sequence,
            record_count=count,
            compression=compression,
            data=data,
            dropped=self._dropped,
            last=last,
        )
        self._next_sequence += count
        self._dropped = 0
        self._memory.used += len(data) - self._open_bytes
        self._open_bytes = 0
        self._open.Clear()
        self._sealed.append(chunk)
        self._sealed_bytes += len(data)

    def _forget_first(self) -> None:
        chunk = self._sealed.popleft()
        self._sealed_bytes -= len(chunk.data)
        self._memory.used -= len(chunk.data)


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE_CHARACTERS else text[: MESSAGE_CHARACTERS - len(CUT)] + CUT
