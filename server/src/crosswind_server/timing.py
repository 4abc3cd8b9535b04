"""Every duration and limit that the server keeps, and tells its workers. [LEASE-3]

Here belong the numbers and what must hold between them. Where an operator sets them belongs to `settings`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Durations, in seconds.

    Args:
        heartbeat_interval: between a worker's heartbeats.
        lease_duration: a lease that is not extended expires after this.
        start_deadline: from the poll's answer to the start of the attempt.
        poll_wait: a poll without work is answered after this.
        keepalive_interval: between HTTP/2 pings of a client that sends any.
        backoff_initial: the first delay of a client that cannot reach the server.
        backoff_max: the longest such delay.
        log_flush_interval: a log chunk is shipped at the latest after this.
        move_away_grace: so long at most a stopping server that said "move away" goes on for workers that hold attempts.
        longest_sleep: the timekeeper looks at its clock at least this often.
    """

    heartbeat_interval: float = 5.0
    lease_duration: float = 30.0
    start_deadline: float = 10.0
    poll_wait: float = 20.0
    keepalive_interval: float = 20.0
    backoff_initial: float = 0.2
    backoff_max: float = 15.0
    log_flush_interval: float = 0.5
    move_away_grace: float = 5.0
    longest_sleep: float = 10.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"The duration {name} must be greater than 0 seconds.")
        if self.lease_duration < 2 * self.heartbeat_interval:
            raise ValueError(
                f"A lease of {self.lease_duration:g} s does not outlive one missed heartbeat of "
                f"{self.heartbeat_interval:g} s; make it at least twice as long."
            )

    @property
    def heartbeat_us(self) -> int:
        """`heartbeat_interval` in microseconds."""
        return round(self.heartbeat_interval * SECOND_US)

    @property
    def lease_us(self) -> int:
        """`lease_duration` in microseconds."""
        return round(self.lease_duration * SECOND_US)

    @property
    def look_interval(self) -> float:
        """The timekeeper looks at its clock at least this often, in seconds: what is due later needs no hint."""
        return min(self.longest_sleep, self.start_deadline, self.lease_duration)

    @property
    def absence_us(self) -> int:
        """A server that was late by more may have left so many heartbeats unheard that leases ran out. [LEASE-3]

        After a shorter while, whoever sent heartbeats in time has as much again to get one through.
        """
        return (self.lease_us - self.heartbeat_us) // 2

    @property
    def start_deadline_us(self) -> int:
        """`start_deadline` in microseconds."""
        return round(self.start_deadline * SECOND_US)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes, in bytes; see `Limits` of the protocol."""

    max_message_bytes: int = 4 * 1024 * 1024
    max_inline_value_bytes: int = 1024 * 1024
    max_blob_bytes: int = 0
    max_log_chunk_bytes: int = 256 * 1024
    max_context_value_bytes: int = 2 * 1024 * 1024
    """Values that ride along with one start; what is beyond is named, and the task reads it."""


LIMITS: Final = Limits()
