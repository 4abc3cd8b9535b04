"""The laboratory's API version 2026-06-01: what nobody used is gone, steps are stages, counts come from statistics."""

from __future__ import annotations

from typing import Final

from crosswind_server.versions.changes import (
    ArmAdded,
    Change,
    FieldRemoved,
    FieldRenamed,
    Fields,
    MessageRenamed,
    MethodRetired,
)


def ask_for_statistics(fields: Fields) -> Fields:
    """A count of one state, or of all, as a request for statistics."""
    return {} if fields["in_state"] == "STATE_UNSPECIFIED" else {"states": (fields["in_state"],)}


def count(fields: Fields) -> Fields:
    """Statistics as counts."""
    return {"count": fields["total"], "failed": fields["failed"]}


VERSION: Final = "2026-06-01"
CHANGES: Final[tuple[Change, ...]] = (
    FieldRemoved("lab.v1.Task", "comment", why="Comments are kept elsewhere."),
    FieldRemoved("lab.v1.Task", "rank", answer=7, why="Ranks are gone; clients before always read the middle one."),
    MessageRenamed("lab.v1.Step", "lab.v1.Stage", why="A step is what a DAG calls a stage."),
    MethodRetired(
        "/lab.v1.LabService/CountTasks",
        "/lab.v1.LabService/GetStatistics",
        request=ask_for_statistics,
        response=count,
        why="Statistics answer more.",
    ),
    FieldRenamed("lab.v1.RecordOutcomeRequest", "state", "outcome", why="A state is what a task is in before it ends."),
    ArmAdded("lab.v1.Event", "resumed", why="To those before there is no such event."),
)
