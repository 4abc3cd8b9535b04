"""What commands print: tables for people, JSON for machines. Answers go to stdout, everything else to stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.measure import Measurement
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
NOTHING = "-"
HEADINGS = {
    "task_id": "task",
    "dag_id": "dag",
    "map_index": "map",
    "map_label": "name",
    "version_number": "version",
    "try_number": "try",
    "waiting_reason": "waits for",
    "waiting_detail": "waits for",
    "task_count": "tasks",
    "latest_run_id": "latest run",
    "latest_run_state": "its state",
    "connection_id": "id",
    "conn_type": "type",
    "has_password": "password",
    "has_extra": "extra",
    "token_id": "id",
    "memory_bytes": "memory",
}
RIGID = frozenset(
    {"state", "duration", "try_number", "map_index", "slots", "paused", "offered", "kind", "role", "type"}
)
DIGESTS = frozenset({"dag_version_id", "bundle_version", "code_version_id"})
FOLDED = frozenset({"waiting_detail"})
"""What is folded, and never left out where it says something."""
DIGEST_SHOWN = 12  # characters; JSON has the whole
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
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    output: Output,
    spare: Sequence[str] = (),
    empty: str = "Nothing to list.",
) -> None:
    """Prints a listing: all fields of the rows as JSON, or the named columns as a table.

    Args:
        rows: objects as `rows.to_object` makes them.
        columns: the fields that the table shows.
        output: which of both.
        spare: columns that a terminal which is too narrow goes without, in this order.
        empty: what is said, on stderr, in place of an empty table.
    """
    listed = list(rows)
    if output is Output.JSON:
        print_json(listed)
    elif listed:
        print_table(make_table(listed, fit_columns(listed, columns, spare=spare)))
    else:
        note(empty)


def fit_columns(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, spare: Sequence[str]) -> Sequence[str]:
    """The columns that fit the terminal; first it goes without spare ones that are empty throughout."""
    if not sys.stdout.isatty():
        return columns
    console = Console()
    unbounded = console.options.update(max_width=PIPE_WIDTH)
    kept = list(columns)
    empty = [name for name in spare if all(make_cell(name, row).plain == NOTHING for row in rows)]
    for name in [*empty, *(name for name in spare if name not in empty and name not in FOLDED)]:
        if Measurement.get(console, unbounded, make_table(rows, kept)).maximum <= console.width:
            break
        kept.remove(name)
    return kept


def make_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    """The named fields of objects as a table; `duration` is the time from `start_time` to `end_time` or now."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    cells = [[make_cell(column, row) for column in columns] for row in rows]
    for index, column in enumerate(columns):
        heading = HEADINGS.get(column, column.removesuffix("_time").replace("_", " "))
        width = max((row[index].cell_len for row in cells), default=0)
        # Where the terminal is too narrow, texts are folded, never a time or a state.
        table.add_column(heading, overflow="fold", min_width=width if is_rigid(column) else None)
    for row in cells:
        table.add_row(*row)
    return table


def is_rigid(column: str) -> bool:
    """Whether a column reads badly when it is folded."""
    return column in RIGID or column.endswith(("_time", "_state", "_count"))


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
            table.add_row(name.replace("_", " "), make_cell(name, row))
    print_table(table)


def make_cell(column: str, row: Mapping[str, Any]) -> Text:
    """A field as a cell of a table."""
    if column == "duration":
        return Text(span_text(row.get("start_time"), row.get("end_time")))
    text = cell_text(column, row.get(column))
    if column == "state" or column.endswith("_state"):
        return Text(text, style=STATE_STYLES.get(text, ""))
    return Text(text)


def cell_text(column: str, value: Any) -> str:
    """A field as text: local times, `yes` and `no`, lists with commas, short versions."""
    if value is None or value == []:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column.endswith("_time") and isinstance(value, str):
        return datetime.fromisoformat(value).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if column in DIGESTS and isinstance(value, str):
        return value[:DIGEST_SHOWN]
    if column.endswith("_bytes") and isinstance(value, int):
        return bytes_text(value)
    if isinstance(value, list):
        return ", ".join(item if isinstance(item, str) else cell_text("", item) for item in value)
    if isinstance(value, dict):
        if value.keys() == {"state", "count"}:
            return f"{value['state']} {value['count']}"
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def span_text(start: str | None, end: str | None) -> str:
    """How long something took, or has taken until now, from its times."""
    if start is None:
        return NOTHING
    until = datetime.now(UTC) if end is None else datetime.fromisoformat(end)
    return duration_text((until - datetime.fromisoformat(start)).total_seconds())


def duration_text(seconds: float) -> str:
    """A span of time for people; one below 0, as clocks that differ make it, is 0."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def bytes_text(size: int) -> str:
    """A number of bytes for people."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}" if size < 1000 * factor else f"{size / factor:.0f} {unit}"
    return f"{size} B"
