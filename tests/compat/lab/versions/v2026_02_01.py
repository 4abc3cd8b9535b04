"""The laboratory's API version 2026-02-01: renames, a requirement, and who may finish a task how."""

from __future__ import annotations

from typing import Final

from crosswind_server.versions.changes import Change, FieldRenamed, FieldRequired, ReasonChanged, ValidationChanged

VERSION: Final = "2026-02-01"
CHANGES: Final[tuple[Change, ...]] = (
    FieldRenamed(
        "lab.v1.Task", "version_id", "dag_version_id", why="A task has several versions now; this is its DAG's."
    ),
    FieldRenamed("lab.v1.Task", "owner", "author", why="Who wrote a task need not own it."),
    FieldRequired("lab.v1.Task", "queue", "default", why="Every task is in a queue; those before were in `default`."),
    ReasonChanged(
        "/lab.v1.LabService/FinishTask",
        new="TASK_FINISHED",
        old="ALREADY_DONE",
        code="ALREADY_EXISTS",
        metadata={"task_id": "id"},
        why="A task that has ended is a state, not a duplicate.",
    ),
    ValidationChanged(
        ("/lab.v1.LabService/FinishTask",),
        "any_final_state",
        why="A task ends in a state that is an end; clients before could say any.",
    ),
)
