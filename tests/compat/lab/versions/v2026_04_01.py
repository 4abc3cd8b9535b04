"""The laboratory's API version 2026-04-01: limits in a message of their own, greater sizes, and pauses."""

from __future__ import annotations

from typing import Final

from crosswind_server.versions.changes import ArmAdded, Change, FieldMoved, FieldWidened, ValidationChanged

VERSION: Final = "2026-04-01"
CHANGES: Final[tuple[Change, ...]] = (
    FieldMoved("lab.v1.Task", "timeout", "limits.timeout", why="Limits are set together."),
    FieldMoved("lab.v1.Task", "max_tries", "limits.max_tries", why="Limits are set together."),
    FieldWidened("lab.v1.Task", "size_bytes", why="Tasks grew beyond 2 GiB."),
    FieldWidened("lab.v1.Step", "offsets", why="So did what they read."),
    ArmAdded(
        "lab.v1.Event",
        "paused_by",
        instead="note",
        by=lambda who: f"paused by {who}",
        why="A pause is an event; to those before it is a note.",
    ),
    ValidationChanged(
        ("/lab.v1.LabService/CreateTask",),
        "long_titles",
        fields=("lab.v1.Task.title",),
        why="A title has at most 12 characters, not 64.",
    ),
)
