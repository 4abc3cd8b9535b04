"""The figures as a table for people, and as one flat JSON object for machines."""

import json
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.bench.figures import DATABASES, GOALS, Figures, Goal


def write_report(figures: Figures, path: Path) -> None:
    """Write the figures, sorted by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rounded = {name: _rounded(value) for name, value in sorted(figures.items())}
    path.write_text(json.dumps(rounded, indent=2) + "\n")


def show_report(figures: Figures, console: Console) -> None:
    """Print the figures, with one column for each database where they depend on it."""
    table = Table(title="Crosswind on this machine", header_style="bold")
    table.add_column("figure")
    for column in (*DATABASES, "either", "goal"):
        table.add_column(column, justify="right")
    area = ""
    for name in _names(figures):
        if area and area != name.split(".")[0]:
            table.add_section()
        area = name.split(".")[0]
        goal = GOALS.get(name)
        values = [figures.get(f"{database}.{name}") for database in DATABASES]
        # Where the databases have figures of their own, the one without a database repeats one of them.
        plain = figures.get(name) if values == [None] * len(DATABASES) else None
        table.add_row(name, *(_cell(value, goal) for value in (*values, plain)), str(goal or ""))
    console.print(table)


def _names(figures: Figures) -> Iterable[str]:
    """Names without their database, in the order in which they were measured."""
    return dict.fromkeys(_without_database(name) for name in figures)


def _without_database(name: str) -> str:
    first, _, rest = name.partition(".")
    return rest if first in DATABASES else name


def _cell(value: float | None, goal: Goal | None) -> Text:
    if value is None:
        return Text("")
    style = "" if goal is None else "green" if goal.met(value) else "bold red"
    return Text(f"{_rounded(value):,}", style=style)


def _rounded(value: float) -> float | int:
    """Three significant digits are more than such figures hold; whole numbers stay so."""
    if value == int(value) or abs(value) >= 1000:
        return round(value)
    return float(f"{value:.4g}")
