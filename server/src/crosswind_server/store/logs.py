"""Queries of log chunks, which are stored as they came."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from crosswind_server.store.guards import is_among
from crosswind_server.store.schema import attempt, log_chunk
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """How far an attempt's log has come. `end_time` is in microseconds since the epoch."""

    attempt_id: str
    lease: bytes
    instance_id: str
    team: str
    end_time: int | None
    next_sequence: int
    dropped: int
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRow:
    """A chunk of an attempt's log."""

    attempt_id: str
    first_sequence: int
    record_count: int
    compression: int
    data: bytes
    dropped: int


_STATES = select(
    attempt.c.id,
    attempt.c.lease,
    attempt.c.instance_id,
    attempt.c.team,
    attempt.c.end_time,
    attempt.c.log_next_sequence,
    attempt.c.log_dropped,
    attempt.c.log_closed,
).where(is_among(attempt.c.id, "ids"))


def lock_log_states(uow: UnitOfWork, attempt_ids: Collection[str]) -> Sequence[LogState]:
    """Read how far the logs of attempts have come, and keep others from appending until this transaction ends."""
    if not attempt_ids:
        return ()
    return [
        LogState(
            attempt_id=row.id,
            lease=bytes(row.lease),
            instance_id=row.instance_id,
            team=row.team,
            end_time=row.end_time,
            next_sequence=row.log_next_sequence,
            dropped=row.log_dropped,
            closed=row.log_closed,
        )
        for row in uow.execute(uow.dialect.lock_rows(_STATES, attempt), {"ids": list(attempt_ids)})
    ]


_EMPTY = (
    select(log_chunk.c.attempt_id, log_chunk.c.first_sequence, log_chunk.c.dropped)
    .join(attempt, attempt.c.id == log_chunk.c.attempt_id)
    .where(
        is_among(log_chunk.c.attempt_id, "ids"),
        log_chunk.c.first_sequence == attempt.c.log_next_sequence,
        log_chunk.c.record_count == 0,
    )
)


def list_empty_chunks(uow: UnitOfWork, attempt_ids: Collection[str]) -> dict[tuple[str, int], int]:
    """Find the chunks without records that stand at the end of logs: their dropped counts, by attempt and sequence."""
    if not attempt_ids:
        return {}
    found = uow.execute(_EMPTY, {"ids": list(attempt_ids)})
    return {(row.attempt_id, row.first_sequence): row.dropped for row in found}


def put_chunks(uow: UnitOfWork, rows: Sequence[ChunkRow]) -> None:
    """Store chunks; one that follows an empty chunk at the same number takes its place."""
    values = [
        {
            "attempt_id": row.attempt_id,
            "first_sequence": row.first_sequence,
            "record_count": row.record_count,
            "compression": row.compression,
            "data": row.data,
            "dropped": row.dropped,
        }
        for row in rows
    ]
    uow.dialect.upsert(log_chunk, values, ["attempt_id", "first_sequence"])


def advance_logs(uow: UnitOfWork, states: Sequence[LogState]) -> None:
    """Write down how far logs have come."""
    uow.dialect.update_values(
        attempt,
        ["id"],
        ["log_next_sequence", "log_dropped", "log_closed"],
        [
            {
                "id": state.attempt_id,
                "log_next_sequence": state.next_sequence,
                "log_dropped": state.dropped,
                "log_closed": state.closed,
            }
            for state in states
        ],
    )


def read_chunks(uow: UnitOfWork, attempt_id: str, *, from_sequence: int, limit: int) -> Sequence[ChunkRow]:
    """Read the chunks that hold records from a number on, in order."""
    table = log_chunk.c
    query = (
        select(log_chunk)
        .where(table.attempt_id == attempt_id, table.first_sequence + table.record_count > from_sequence)
        .order_by(table.first_sequence)
        .limit(limit)
    )
    return [ChunkRow(**{**row, "data": bytes(row["data"])}) for row in uow.execute(query).mappings()]
