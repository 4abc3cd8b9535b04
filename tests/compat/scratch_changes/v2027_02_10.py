"""API version 2027-02-10: one change of most kinds, made in a scratch clone by the tests."""

from __future__ import annotations

from typing import Final

from crosswind_server.versions.changes import (
    Change,
    Conversion,
    FieldConverted,
    FieldRenamed,
    FieldRequired,
    Lossy,
    ReasonChanged,
)

VERSION: Final = "2027-02-10"

_LOAD: Final = Conversion(
    # Total: what was sent may be negative, infinite or no number at all.
    up=lambda load: round(100 * min(load, 1e6)) if load > 0 else 0,
    down=lambda percent: percent / 100,
    lossy=Lossy(
        "A load is kept in hundredths, and none is below 0.",
        lambda values: (round(100 * min(values[0], 1e6)) / 100 if values[0] > 0 else 0.0,),
    ),
)

CHANGES: Final[tuple[Change, ...]] = (
    FieldRenamed(
        "crosswind.execution.v1.PollWorkRequest",
        "poll_number",
        "sequence",
        why="Log chunks call the number that grows with every message a sequence too.",
    ),
    FieldConverted(
        "crosswind.execution.v1.WorkerUsage",
        "load",
        "load_percent",
        _LOAD,
        why="The server keeps hundredths, and a float promises more.",
    ),
    FieldConverted(
        "crosswind.control.v1.Worker",
        "load",
        "load_percent",
        _LOAD,
        why="It is what the worker says in its heartbeats, in the same unit.",
    ),
    FieldRequired(
        "crosswind.execution.v1.RegisterWorkerRequest",
        "platform",
        "linux/unknown",
        why="Bundles in Go run on one platform only. All SDKs until then ran on Linux.",
    ),
    ReasonChanged(
        None,
        "NO_SUCH_VARIABLE",
        "VARIABLE_NOT_FOUND",
        "NOT_FOUND",
        why="It says what is so, and not that somebody looked.",
    ),
)
