"""What commands print: tables for people, JSON for machines. Answers go to stdout, everything else to stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STATE_STYLES = {
    "running": "cyan",
    "assigned": "cyan",
    "active": "green",
    "succeeded": "green",
    "failed": "bold red",
    "upstream_failed": "red",
    "lost": "red",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "up_for_retry": "yellow",
    "skipped": "dim",
    "waiting": "dim",
    "removed": "dim",
}
PIPE_WIDTH = 4000  # columns; in a pipe nothing is cut or wrapped


class Output(StrEnum):
    """How a command prints its answer."""

    TABLE = "table"
    JSON = "json"


def print_table(table: Table) -> None:
    """Prints a table to stdout; in a pipe nothing is cut, and no line ends in blanks."""
    if sys.stdout.isatty():
        Console().print(table)
        return
    console = Console(width=PIPE_WIDTH, color_system=None)
    with console.capture() as capture:
        console.print(table)
    print_line("\n".join(line.rstrip() for line in capture.get().splitlines()))


def stderr_console() -> Console:
    """The console for progress and notes."""
    return Console(stderr=True) if sys.stderr.isatty() else Console(stderr=True, width=PIPE_WIDTH, soft_wrap=True)


def print_json(value: Any) -> None:
    """Prints one JSON value, machine-clean."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_json_line(value: Any) -> None:
    """Prints one JSON value on one line and hands it on at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """Prints a line as it is."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Says something on stderr that is not the answer."""
    print(text, file=sys.stderr, flush=True)


def print_rows(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, output: Output, empty: str = "Nothing to list."
) -> None:
    """Prints a listing: all fields of the rows as JSON, or the named columns as a table.

    Args:
        rows: objects as `rows.to_object` makes them.
        columns: the fields that the table shows.
        output: which of both.
        empty: what is said, on stderr, in place of an empty table.
    """
    listed = list(rows)
    if output is Output.JSON:
        print_json(listed)
    elif listed:
        print_table(make_table(listed, columns))
    else:
        note(empty)


def make_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    """The named fields of objects as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(make_cell(column, row.get(column)) for column in columns))
    return table


def print_object(row: Mapping[str, Any], *, output: Output) -> None:
    """Prints one thing: all its fields as JSON, or those that are set, one a line."""
    if output is Output.JSON:
        print_json(row)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in row.items():
        if value is not None and value not in ([], {}):
            table.add_row(name.replace("_", " "), make_cell(name, value))
    print_table(table)


def make_cell(column: str, value: Any) -> Text:
    """A field as a cell of a table."""
    text = cell_text(column, value)
    if column == "state" or column.endswith("_state"):
        return Text(text, style=STATE_STYLES.get(text, ""))
    return Text(text)


def cell_text(column: str, value: Any) -> str:
    """A field as text: short times, `yes` and `no`, lists with commas."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column.endswith("_time") and isinstance(value, str):
        return datetime.fromisoformat(value).strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, list):
        return ", ".join(item if isinstance(item, str) else cell_text("", item) for item in value)
    if isinstance(value, dict):
        if value.keys() == {"state", "count"}:
            return f"{value['count']} {value['state']}"
        return json.dumps(value, ensure_ascii=False)
    return str(value)
