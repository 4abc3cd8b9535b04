"""`make bench`: measure Crosswind with real processes, print a table, write `build/bench/latest.json`.

It reports; nothing depends on a time, and a figure that misses its goal is only red. The exit code is 1 where a figure
could not be taken.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.bench import calls, flow, schedules
from tests.bench.calls import measure_calls
from tests.bench.figures import DATABASES, Figures, middle, prefixed
from tests.bench.flow import measure_flow
from tests.bench.memory import measure_memory
from tests.bench.package import measure_package
from tests.bench.pipelines import measure_go_pipelines, measure_pipelines
from tests.bench.report import show_report, write_report
from tests.bench.schedules import measure_schedules
from tests.bench.site import WORKSPACE, Site, open_site
from tests.bench.versions import measure_versions

LATEST: Final = WORKSPACE / "latest.json"
PACKAGE: Final = "sdk"
VERSIONS: Final = "versions"
ALONE: Final = (VERSIONS, PACKAGE)
"""What is measured without a server of ours on a database."""


@dataclass(frozen=True)
class Scenario:
    """Something to measure on a server of its own, started with these settings."""

    measure: Callable[[Site], Figures]
    settings: Mapping[str, str] = field(default_factory=dict)


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "pipelines": Scenario(measure_pipelines),
    "go": Scenario(measure_go_pipelines),
    "calls": Scenario(measure_calls, calls.SETTINGS),
    "flow": Scenario(measure_flow, flow.SETTINGS),
    "schedules": Scenario(measure_schedules, schedules.SETTINGS),
    "memory": Scenario(measure_memory),
}


def main() -> int:
    """Measure what was asked for; return the exit code."""
    options = _parse()
    console = Console()
    errors = Console(stderr=True)
    figures: Figures = {}
    failed = False
    chosen: list[str] = options.only or [*SCENARIOS, *ALONE]
    databases = DATABASES if options.database == "both" else (options.database,)
    steps: list[tuple[str, Callable[[], Figures]]] = []
    for name, scenario in SCENARIOS.items():
        if name in chosen:
            steps += [(f"{name} on {database}", _step(scenario, database)) for database in databases]
    if VERSIONS in chosen:
        steps.append(("API versions", measure_versions))
    if PACKAGE in chosen:
        steps.append(("the installed SDK", measure_package))

    for title, measure in steps:
        begin = time.monotonic()
        try:
            with errors.status(f"Measuring {title} ..."):
                measured = middle([measure() for _ in range(options.repeat)])
        except Exception as error:
            errors.print(f"[red]✗[/red] {title}: {error}", highlight=False)
            if options.traceback:
                errors.print_exception()
            failed = True
            continue
        errors.print(f"[green]✓[/green] {title} [dim]{time.monotonic() - begin:.1f} s[/dim]", highlight=False)
        figures |= measured
    # The servers' and workers' figures hardly depend on the database: their plain names repeat the first one's.
    for name in list(figures):
        database, _, plain = name.partition(".")
        if database in DATABASES and plain.startswith(("server.", "worker.")):
            figures.setdefault(plain, figures[name])

    show_report(figures, console)
    write_report(figures, options.output)
    console.print(f"Written to {options.output}", highlight=False)
    return 1 if failed else 0


def _step(scenario: Scenario, database: str) -> Callable[[], Figures]:
    def measure() -> Figures:
        with open_site(database, settings=scenario.settings) as site:
            return prefixed(database, scenario.measure(site))

    return measure


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=[*SCENARIOS, *ALONE], help="measure only this; repeatable")
    parser.add_argument("--database", choices=[*DATABASES, "both"], default="both")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="take the median of N runs")
    parser.add_argument("--output", type=Path, default=LATEST, help="default: %(default)s")
    parser.add_argument("--traceback", action="store_true", help="show where a measurement failed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
