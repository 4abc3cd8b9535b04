"""The clocks by which a store, and what runs over it, goes: the database's, and this process's monotonic one. [LEASE-3]

Here belongs reading them. A test that plays with time opens its store with a clock of its own.
"""

from __future__ import annotations

import time
from typing import Final


class Clock:
    """The real clocks. A subclass may go by other ones."""

    def of_transaction(self, database_us: int) -> int:
        """The `now` of a transaction, microseconds since 1970 UTC, where the database's clock says `database_us`."""
        return database_us

    def wall_us(self) -> int:
        """This machine's time, microseconds since 1970 UTC: for what is judged without a transaction."""
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        """Seconds that never go back, since an arbitrary moment."""
        return time.monotonic()


REAL_CLOCK: Final = Clock()
