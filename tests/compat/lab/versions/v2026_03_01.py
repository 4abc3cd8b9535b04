"""The laboratory's API version 2026-03-01: units, an address in one piece, and outcomes in a service of their own."""

from __future__ import annotations

from typing import Any, Final

from crosswind_server.versions.changes import (
    MILLISECONDS_TO_DURATION,
    SECONDS_TO_DURATION,
    Change,
    FieldConverted,
    FieldRenamed,
    FieldsMerged,
    MessageRenamed,
    MethodMoved,
)


def merge_address(host: Any, port: Any) -> str:
    """`host:port`."""
    return f"{host}:{port}"


def split_address(address: Any) -> tuple[str, int]:
    """Host and port. What ends with no number, or one that no port field holds, has port 0."""
    host, colon, port = address.rpartition(":")
    number = port.removeprefix("-")
    if not colon or not number.isascii() or not number.isdecimal() or len(number) > 10:
        return address, 0
    return host, int(port)


VERSION: Final = "2026-03-01"
CHANGES: Final[tuple[Change, ...]] = (
    FieldConverted(
        "lab.v1.Task",
        "timeout_seconds",
        "timeout",
        SECONDS_TO_DURATION,
        why="Half a second is a timeout, and a Duration says so without a unit in the name.",
    ),
    FieldConverted("lab.v1.Step", "wait_millis", "wait", MILLISECONDS_TO_DURATION, why="As `Task.timeout`."),
    FieldsMerged(
        "lab.v1.Task",
        ("host", "port"),
        "address",
        merge=merge_address,
        split=split_address,
        why="Nobody used one without the other.",
    ),
    FieldRenamed("lab.v1.CountTasksRequest", "state", "in_state", why="So that a filter reads as one."),
    MethodMoved(
        "/lab.v1.LabService/FinishTask",
        "/lab.v1.OutcomeService/RecordOutcome",
        why="Workers record outcomes, and people do the rest.",
    ),
    MessageRenamed("lab.v1.FinishTaskRequest", "lab.v1.RecordOutcomeRequest", why="Named for the RPC."),
    MessageRenamed("lab.v1.FinishTaskResponse", "lab.v1.RecordOutcomeResponse", why="Named for the RPC."),
)
