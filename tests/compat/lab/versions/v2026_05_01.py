"""The laboratory's API version 2026-05-01: names in two parts, another default, tasks that are skipped."""

from __future__ import annotations

from typing import Any, Final

from crosswind_server.versions.changes import Change, DefaultChanged, EnumValueMapped, FieldSplit, Lossy


def split_name(author: Any) -> tuple[str, str]:
    """The first word, and the others."""
    given, _, family = author.strip().partition(" ")
    return given, family.strip()


def join_name(given: Any, family: Any) -> str:
    """Both with a space between."""
    return f"{given} {family}".strip()


VERSION: Final = "2026-05-01"
CHANGES: Final[tuple[Change, ...]] = (
    FieldSplit(
        "lab.v1.Task",
        "author",
        ("given_name", "family_name"),
        split=split_name,
        join=join_name,
        lossy=Lossy(
            "Spaces around the name, and all but one after its first word, are dropped.",
            lambda values: (join_name(*split_name(values[0])),),
        ),
        why="People sort by family names.",
    ),
    DefaultChanged("lab.v1.Task", "priority", why="Most tasks are not urgent."),
    EnumValueMapped(
        "lab.v1.Task",
        "state",
        "STATE_SKIPPED",
        lambda fields: "STATE_SUCCEEDED" if fields["steps"] else "STATE_QUEUED",
        why="A task can be skipped. To those before it succeeded, or never began where it has nothing to do.",
    ),
)
