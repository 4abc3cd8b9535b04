"""The state store: values that a task instance keeps across its tries, or that tasks keep about an asset.

A task instance's values are kept by retries, deferrals and reschedules; a clear deletes them, since what runs then
begins anew. Those of an asset stay. A value may expire: from that moment on it is not there, and a timer deletes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.store import state_values, timers
from crosswind_server.store.unit_of_work import UnitOfWork

EXPIRE: Final = "state_expiry"
"""Kind of a timer: a value expires. The subject is its owner and its key, divided by a slash."""
MAX_WRITES: Final = 100
"""Of one outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateWrite:
    """A value to keep.

    Args:
        value: a serialized payload; None: the key is deleted.
        time_to_live_us: how long it is kept, in microseconds; None: as long as its owner.
    """

    key: str
    value: bytes | None
    time_to_live_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateValue:
    """A value that is there: a serialized payload, and the number of the write."""

    value: bytes
    revision: int


def check_key(key: str, field: str) -> str:
    """Raises `Refused`: INVALID_ARGUMENT."""
    if not 1 <= len(key) <= 250:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            "A key of the state store has 1 to 250 characters; choose another.",
            metadata={"field": field},
        )
    return key


def read(uow: UnitOfWork, owner_id: str, key: str) -> StateValue | None:
    """A value; None where there is none, or it has expired."""
    row = state_values.get(uow, owner_id, key)
    return None if row is None else StateValue(value=bytes(row.value_message), revision=row.revision)


def write(uow: UnitOfWork, owner_id: str, change: StateWrite, *, expected_revision: int | None) -> int:
    """Write or delete a value; answers its revision, 0 where it was deleted.

    Args:
        expected_revision: only over this one; 0: only where there is none; None: over anything.

    Raises:
        Refused: STATE_CHANGED.
    """
    row = state_values.lock(uow, owner_id, change.key)
    revision = _next_revision(uow, 0 if row is None else row.revision)
    if row is None and change.value is not None:
        new = _row(uow, owner_id, change, change.value, revision)
        if expected_revision in (None, 0) and state_values.add(uow, new):
            _set_timers(uow, [(owner_id, change)])
            return revision
        # Somebody was faster, or another value is expected than none.
        row = state_values.lock(uow, owner_id, change.key)
    there = row is not None and (row.expire_time is None or row.expire_time > uow.now)
    current = row.revision if row is not None and there else 0
    if expected_revision is not None and expected_revision != current:
        raise Refused(
            Reason.STATE_CHANGED,
            f"The value '{change.key}' has the revision {current} and not {expected_revision}; read it again.",
            metadata={"key": change.key, "revision": str(current)},
        )
    if change.value is None:
        state_values.remove(uow, [(owner_id, change.key)])
        timers.drop(uow, EXPIRE, [_subject(owner_id, change.key)])
        return 0
    revision = _next_revision(uow, 0 if row is None else row.revision)
    state_values.put(uow, [_row(uow, owner_id, change, change.value, revision)])
    _set_timers(uow, [(owner_id, change)])
    return revision


def write_all(uow: UnitOfWork, writes: Sequence[tuple[str, StateWrite]]) -> None:
    """Write values of owners over whatever is there, the last of each name."""
    last = {(owner_id, change.key): change for owner_id, change in writes}
    gone = [name for name, change in last.items() if change.value is None]
    state_values.remove(uow, gone)
    rows = [
        _row(uow, owner_id, change, change.value, _next_revision(uow, 0))
        for (owner_id, _), change in last.items()
        if change.value is not None
    ]
    state_values.put(uow, rows)
    _set_timers(uow, [(owner_id, change) for (owner_id, _), change in last.items()])


def expire(uow: UnitOfWork, subjects: Sequence[str]) -> None:
    """Delete values whose time has come."""
    names = [subject.split("/", 1) for subject in subjects]
    state_values.remove_expired(uow, [(owner_id, key) for owner_id, key in names])


def _next_revision(uow: UnitOfWork, last: int) -> int:
    # By the clock, so that it grows over a deletion too, and nobody takes a new value for the one that he read.
    return max(uow.now, last + 1)


def _row(uow: UnitOfWork, owner_id: str, change: StateWrite, value: bytes, revision: int) -> dict[str, object]:
    return {
        "owner_id": owner_id,
        "key": change.key,
        "value_message": value,
        "revision": revision,
        "write_time": uow.now,
        "expire_time": None if change.time_to_live_us is None else uow.now + change.time_to_live_us,
    }


def _set_timers(uow: UnitOfWork, writes: Sequence[tuple[str, StateWrite]]) -> None:
    due = {
        _subject(owner_id, change.key): uow.now + change.time_to_live_us
        for owner_id, change in writes
        if change.value is not None and change.time_to_live_us is not None
    }
    timers.put(uow, EXPIRE, due)
    kept = [_subject(owner_id, change.key) for owner_id, change in writes]
    timers.drop(uow, EXPIRE, [subject for subject in kept if subject not in due])


def _subject(owner_id: str, key: str) -> str:
    return f"{owner_id}/{key}"
