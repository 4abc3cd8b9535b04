"""Logs of attempts, for people: which attempt is meant, and a part of what it logged. [BYTES-1]"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.states import AttemptState
from crosswind_server.services.execution.logs import LogPiece
from crosswind_server.store import logs, task_listing
from crosswind_server.store.unit_of_work import UnitOfWork

_LIVE: Final = frozenset({AttemptState.ASSIGNED, AttemptState.RUNNING, AttemptState.CANCELLING})
_CHUNKS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LogWanted:
    """Which attempt's log is wanted, and from where on.

    Args:
        attempt_id: that attempt; empty: as `try_number` says.
        try_number: the newest attempt of this try; None: the newest attempt.
        from_sequence: the number of the first record.
        last_records: the last so many records, in place of that; None: as `from_sequence` says.
        grace_us: for how long records of an attempt that has ended may arrive, microseconds.
    """

    attempt_id: str
    try_number: int | None
    from_sequence: int
    last_records: int | None
    grace_us: int


def read_piece(
    uow: UnitOfWork, instance_id: str, wanted: LogWanted, *, of: str, metadata: Mapping[str, str]
) -> LogPiece:
    """Read a part of the log of an instance's attempt. Raises `Refused`: LOG_NOT_FOUND.

    Args:
        of: what the instance is called in a refusal, such as `The task 'a' of run 'r'`.
        metadata: that name it there.
    """
    attempt = task_listing.find_attempt(uow, instance_id, attempt_id=wanted.attempt_id, try_number=wanted.try_number)
    if attempt is None:
        number = wanted.try_number
        which = f"attempt {wanted.attempt_id}" if wanted.attempt_id else f"try {number}" if number else "attempt yet"
        raise Refused(
            Reason.LOG_NOT_FOUND,
            f"{of} has no {which}; wait until it is assigned, or list its attempts.",
            metadata=metadata,
        )
    last = wanted.last_records
    first = wanted.from_sequence if last is None else max(0, attempt.log_next_sequence - last)
    over = AttemptState(attempt.state) not in _LIVE
    closes = attempt.end_time + wanted.grace_us - uow.now if over and attempt.end_time is not None else None
    return LogPiece(
        attempt_id=attempt.id,
        try_number=attempt.try_number,
        from_sequence=first,
        chunks=logs.read_chunks(uow, attempt.id, from_sequence=first, limit=_CHUNKS_AT_ONCE),
        next_sequence=attempt.log_next_sequence,
        dropped=attempt.log_dropped,
        ended=over and (attempt.log_closed or (closes is not None and closes < 0)),
        closes_us=closes,
    )
