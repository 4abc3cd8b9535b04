"""When leases and start deadlines are overdue, and when the server may act on it.

Here belong the comparisons with a clock that lead to an EXPIRE or START_DEADLINE event. They are made by the sweep
that commits the event, never by a call that writes under a lease. [LEASE-3]
"""

from __future__ import annotations


def may_expire(now_monotonic: float, accepting_since: float | None, lease_duration: float) -> bool:
    """Whether this server may expire leases and start deadlines yet.

    Args:
        now_monotonic: the server's monotonic clock, in seconds.
        accepting_since: on the same clock, since when it has accepted heartbeats without a break: it resets when the
            server starts and when its database comes back. None while it accepts none.
        lease_duration: in seconds.
    """
    return accepting_since is not None and now_monotonic - accepting_since >= lease_duration


def overdue(*, due_us: int, now_us: int) -> bool:
    """Whether a deadline has passed. The instant of the deadline itself still belongs to the worker."""
    return now_us > due_us
