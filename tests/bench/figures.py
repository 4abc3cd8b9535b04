"""Figures: names and numbers, how several runs become one, and what the project set itself to reach.

A figure's name ends with its unit: `_ms`, `_us`, `_mb` (10^6 bytes), `_per_second`, `_percent`. One that depends on the
database begins with the database's name. How it is measured belongs to the module that measures it; how it is shown to
`report`.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Figures = dict[str, float]

DATABASES: Final = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Goal:
    """What a figure is to reach: at least or at most a number."""

    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether a value reaches it."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


GOALS: Final[Mapping[str, Goal]] = {
    "python.tasks_per_second": Goal(150, at_least=True),
    "python.chain_gap_p50_ms": Goal(20),
    "go.tasks_per_second": Goal(400, at_least=True),
    "go.chain_gap_p50_ms": Goal(10),
    "go.bundle_start_ms": Goal(60),
    "worker.go.rss_mb": Goal(40),
    "flow.large_tasks_per_second": Goal(500, at_least=True),
    "flow.large_transactions_per_task": Goal(5),
    "flow.mapping_tasks_per_second": Goal(500, at_least=True),
    "flow.mapping_transactions_per_task": Goal(5),
    "server.heartbeat128_us_per_attempt": Goal(20),
    "worker.python.task_private_mb": Goal(25),
    "versions.gate20_us": Goal(40),
    "versions.newest_overhead_us": Goal(1),
    "versions.one_back_percent": Goal(5),
    "sdk.packages": Goal(5),
    "sdk.megabytes": Goal(40),
    "sdk.import_ms": Goal(120),
    "sdk.imports_grpc": Goal(0),
}
"""Goals by name without the database."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The linear percentile of values that need not be sorted."""
    if not values:
        raise ValueError("There are no values to take a percentile of.")
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def middle(runs: Sequence[Figures]) -> Figures:
    """The median of each figure over several runs."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: statistics.median(run[name] for run in runs if name in run) for name in names}


def prefixed(prefix: str, figures: Figures) -> Figures:
    """The same figures with a prefix before each name."""
    return {f"{prefix}.{name}": value for name, value in figures.items()}
