"""The laboratory's API version 2026-07-01: labels are tags, and retries are no limit."""

from __future__ import annotations

from typing import Final

from crosswind_server.versions.changes import (
    ArmAdded,
    Change,
    FieldMoved,
    FieldRenamed,
    Fields,
    FreeChange,
    Lossy,
    Values,
)


def tag(fields: Fields) -> Fields:
    """Labels `key=value` as tags; the last of a key counts, and what has no `=` has an empty value."""
    return {"labels": (), "tags": {key: value for key, _, value in (text.partition("=") for text in fields["labels"])}}


def label(fields: Fields) -> Fields:
    """Tags as labels, by their keys."""
    return {"labels": tuple(f"{key}={value}" for key, value in sorted(fields["tags"].items()))}


def relabel(values: Values) -> Values:
    """What labels have become on their way through tags."""
    return (label(tag({"labels": values[0]}))["labels"],)


VERSION: Final = "2026-07-01"
CHANGES: Final[tuple[Change, ...]] = (
    FreeChange(
        "lab.v1.Task",
        covers=("lab.v1.Task.labels", "lab.v1.Task.tags"),
        upgrade=lambda fields: {name: value for name, value in tag(fields).items() if name == "tags"},
        downgrade=label,
        reads=("labels",),
        lossy=Lossy("Labels are sorted, every key appears once, and each has a `=`.", relabel),
        why="A label is a key and a value.",
    ),
    FieldMoved("lab.v1.Task", "limits.max_tries", "retries.limit", why="Retries have settings of their own."),
    FieldRenamed("lab.v1.GetStatisticsResponse", "total", "tasks", why="It says what is counted."),
    FieldRenamed("lab.v1.RecordOutcomeResponse", "task", "finished", why="It is a task that has ended."),
    ArmAdded(
        "lab.v1.GetTaskResponse",
        "queue_position",
        instead="hint",
        by=lambda position: f"{position} before it",
        why="A number is easier to read than a hint.",
    ),
)
