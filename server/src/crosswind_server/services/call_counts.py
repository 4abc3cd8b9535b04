"""How many calls a server process took, by API version and outcome: counted with each call, read by the metrics."""

from __future__ import annotations

from collections.abc import Mapping


class CallCounts:
    """Counts that only grow, until the process ends. Counted in the event loop's thread, read in any."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def count(self, api_version: str, outcome: str) -> None:
        """Count a call.

        Args:
            api_version: that it was made in; empty where there is none, or none that is served.
            outcome: `OK`, or the code and the reason of its refusal.
        """
        key = (api_version, outcome)
        self._counts[key] = self._counts.get(key, 0) + 1

    def read(self) -> Mapping[tuple[str, str], int]:
        """The counts by API version and outcome."""
        return self._counts.copy()
