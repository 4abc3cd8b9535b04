"""Logs of attempts: taking chunks from workers, and reading them back. [BYTES-1]

Here belong the order of chunks and the closing of a log. What is inside a chunk is known to who writes and reads it.
"""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.store import logs as rows
from crosswind_server.store.logs import ChunkRow, LogState
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import LIMITS

COMPRESSIONS: Final = (1, 2)
"""The numbers of the compressions that the protocol names."""


def topic(attempt_id: str) -> str:
    """What is hinted when an attempt's log grows or closes."""
    return f"logs:{attempt_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """Consecutive records of one attempt; see `LogChunk` of the protocol."""

    first_sequence: int
    record_count: int
    compression: int
    data: bytes
    dropped: int = 0
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptChunks:
    """Chunks of one attempt, in order, and the proof that the sender may append them."""

    attempt_id: str
    lease: bytes
    instance_id: str
    team: str
    chunks: tuple[LogChunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogResult:
    """What became of an attempt's chunks: the number expected next, and whether nothing more is accepted."""

    next_sequence: int
    closed: bool


_NOTHING: Final = LogResult(next_sequence=0, closed=True)


def check_chunks(chunks: Sequence[LogChunk]) -> None:
    """Check what a sender can know. Raises `Refused`: INVALID_ARGUMENT."""
    for chunk in chunks:
        problem = None
        if chunk.first_sequence < 0 or chunk.record_count < 0 or chunk.dropped < 0:
            problem = "has a number below 0"
        elif len(chunk.data) > LIMITS.max_log_chunk_bytes:
            problem = f"has {len(chunk.data)} bytes; at most {LIMITS.max_log_chunk_bytes} are allowed"
        elif chunk.record_count and chunk.compression not in COMPRESSIONS:
            problem = "does not say how it is compressed"
        elif not chunk.record_count and chunk.data:
            problem = "holds data, but says that it has no record"
        if problem:
            raise Refused(
                Reason.INVALID_ARGUMENT,
                f"The log chunk that begins with record {chunk.first_sequence} {problem}.",
                metadata={"field": "chunks"},
            )


def append_logs(
    uow: UnitOfWork, requests: Sequence[Sequence[AttemptChunks]], *, grace_us: int
) -> Sequence[Sequence[LogResult]]:
    """Append chunks of many attempts; the results are aligned with the requests.

    A chunk that is there already is skipped, one past the number expected next is not stored, and neither are those
    after it. A log that is closed, unknown or under another lease answers `closed`.

    Args:
        uow: the transaction.
        requests: each the attempts of one call.
        grace_us: how long after its end an attempt's log still takes records.
    """
    wanted = {each.attempt_id for request in requests for each in request}
    states = {state.attempt_id: state for state in rows.lock_log_states(uow, sorted(wanted))}
    appender = _Appender(uow, states, grace_us=grace_us)
    results = [[appender.append(each) for each in request] for request in requests]
    appender.write()
    return results


class _Appender:
    """Decides about chunks in memory, and writes what was decided in a few statements."""

    def __init__(self, uow: UnitOfWork, states: dict[str, LogState], *, grace_us: int) -> None:
        self._uow = uow
        self._states = states
        self._grace_us = grace_us
        # Only a log that dropped records can end with a chunk that holds none.
        self._empty = rows.list_empty_chunks(uow, [each for each, state in states.items() if state.dropped])
        self._chunks: dict[tuple[str, int], ChunkRow] = {}
        self._changed: set[str] = set()

    def append(self, sent: AttemptChunks) -> LogResult:
        state = self._states.get(sent.attempt_id)
        if state is None or state.team != sent.team or state.instance_id != sent.instance_id:
            return _NOTHING
        late = state.end_time is not None and state.end_time + self._grace_us < self._uow.now
        if not hmac.compare_digest(state.lease, sent.lease) or state.closed or late:
            return LogResult(next_sequence=state.next_sequence, closed=True)
        for chunk in sent.chunks:
            if chunk.first_sequence > state.next_sequence:
                break
            state = self._take(state, chunk)
        self._states[sent.attempt_id] = state
        return LogResult(next_sequence=state.next_sequence, closed=state.closed)

    def write(self) -> None:
        rows.put_chunks(self._uow, list(self._chunks.values()))
        rows.advance_logs(self._uow, [self._states[attempt_id] for attempt_id in sorted(self._changed)])
        for attempt_id in sorted(self._changed):
            self._uow.hint(topic(attempt_id))

    def _take(self, state: LogState, chunk: LogChunk) -> LogState:
        place = (state.attempt_id, chunk.first_sequence)
        known_empty = self._empty.get(place)
        is_next = chunk.first_sequence == state.next_sequence
        if is_next and (chunk.record_count or known_empty is None):
            if chunk.record_count or chunk.dropped:
                # An empty chunk reports records dropped before the ones that take its place.
                self._chunks[place] = ChunkRow(
                    attempt_id=state.attempt_id,
                    first_sequence=chunk.first_sequence,
                    record_count=chunk.record_count,
                    compression=chunk.compression,
                    data=chunk.data,
                    dropped=chunk.dropped + (known_empty or 0),
                )
                if not chunk.record_count:
                    self._empty[place] = chunk.dropped
            state = dataclasses.replace(
                state,
                next_sequence=state.next_sequence + chunk.record_count,
                dropped=state.dropped + chunk.dropped,
            )
            self._changed.add(state.attempt_id)
        if chunk.last and chunk.first_sequence + chunk.record_count == state.next_sequence:
            state = dataclasses.replace(state, closed=True)
            self._changed.add(state.attempt_id)
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPiece:
    """A part of an attempt's log.

    Args:
        attempt_id: the attempt that was read.
        try_number: its number.
        from_sequence: the number of the first record wanted.
        chunks: those that hold records from there on; the first may begin before it.
        next_sequence: one more than the number of the last record that there is.
        dropped: records of the attempt that were dropped.
        ended: whether no record will ever come that is not here.
        closes_us: when the grace of an attempt that has ended is over, in microseconds from now.
    """

    attempt_id: str
    try_number: int
    from_sequence: int
    chunks: Sequence[ChunkRow]
    next_sequence: int
    dropped: int
    ended: bool
    closes_us: int | None
