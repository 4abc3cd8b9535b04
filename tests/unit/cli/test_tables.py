"""Tables for people: what is in their cells, and what a narrow terminal goes without."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from crosswind.cli.output import Output, bytes_text, duration_text, fit_columns, make_cell, print_object, print_rows

START, END = "2026-12-01T06:00:00.000000Z", "2026-12-01T07:02:03.900000Z"


@pytest.fixture(autouse=True)
def zone() -> Iterator[None]:
    """Tables are local: here two hours before UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "XYZ-2")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes standard output a terminal of a width, in colours."""

    def make(width: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        for name in ("NO_COLOR", "TERM"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm-256color")

    return make


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("start_time", START, "2026-12-01 08:00:00"),
        ("start_time", None, "-"),
        ("queues", [], "-"),
        ("queues", ["a", "b"], "a, b"),
        ("paused", True, "yes"),
        (
            "task_counts",
            [{"state": "succeeded", "count": 3}, {"state": "running", "count": 1}],
            "succeeded 3, running 1",
        ),
        ("dag_version_id", "0123456789abcdef", "0123456789ab"),
        ("memory_bytes", 108_400_000, "108 MB"),
        ("slots", 0, "0"),
    ],
)
def test_a_cell_is_for_people(column, value, text):
    assert make_cell(column, {column: value}).plain == text


def test_a_duration_is_from_start_to_end():
    assert make_cell("duration", {"start_time": START, "end_time": END}).plain == "1 h 02 min"
    assert make_cell("duration", {"start_time": None, "end_time": END}).plain == "-"
    assert make_cell("duration", {"start_time": START, "end_time": None}).plain != "-"
    assert [duration_text(seconds) for seconds in (-1, 0.04, 59.9, 61, 7260)] == [
        "0.0 s",
        "0.0 s",
        "59.9 s",
        "1 min 01 s",
        "2 h 01 min",
    ]
    assert [bytes_text(size) for size in (0, 999, 1_500, 2_500_000_000)] == ["0 B", "999 B", "1.5 kB", "2.5 GB"]


ROWS = [{"dag_id": "d", "run_id": "r" * 30, "state": "failed", "type": None, "start_time": START, "end_time": END}]
COLUMNS = ("dag_id", "run_id", "state", "type", "start_time", "duration")


@pytest.mark.parametrize(
    ("width", "without"), [(120, ()), (80, ("type",)), (60, ("type", "start_time")), (10, ("type", "start_time"))]
)
def test_a_narrow_terminal_goes_without_spare_columns_and_first_without_empty_ones(terminal, width, without):
    terminal(width)
    kept = fit_columns(ROWS, COLUMNS, spare=("start_time", "type"))
    assert kept == [name for name in COLUMNS if name not in without]


def test_why_something_waits_is_folded_and_only_left_out_where_nothing_does(terminal):
    terminal(40)
    columns = ("state", "waiting_detail", "worker")
    says = [{"state": "queued", "waiting_detail": "There is no pool 'db'; make it with `crosswind pools set`."}]
    assert fit_columns(says, columns, spare=("worker", "waiting_detail")) == ["state", "waiting_detail"]
    names = [{"state": "running", "waiting_detail": None, "worker": "w" * 25}]
    assert fit_columns(names, columns, spare=("waiting_detail", "worker")) == ["state", "worker"]


def test_a_pipe_gets_every_column_uncut_and_a_terminal_colours_states(terminal, capsys):
    print_rows(ROWS, COLUMNS, output=Output.TABLE, spare=("type",))
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["dag", "run", "id", "state", "type", "start", "duration"]
    assert line.split() == ["d", "r" * 30, "failed", "-", "2026-12-01", "08:00:00", "1", "h", "02", "min"]
    terminal(200)
    print_rows(ROWS, COLUMNS, output=Output.TABLE, spare=("type",))
    assert "\x1b[1;31mfailed" in capsys.readouterr().out


def test_one_thing_is_shown_without_what_is_not_set(capsys):
    print_object({"state": "running", "note": None, "tags": [], "revision": 1}, output=Output.TABLE)
    assert capsys.readouterr().out.splitlines() == ["state     running", "revision  1"]
