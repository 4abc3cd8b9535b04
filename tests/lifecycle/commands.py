"""The command language of the lifecycle transcripts, parsed. What the commands do is in `world.py` and `twin.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SECOND = 1_000_000


@dataclass(frozen=True)
class Command:
    """`verb positional ... key=value ...`."""

    verb: str
    names: tuple[str, ...]
    options: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Command:
        verb, *words = text.split()
        names = tuple(word for word in words if "=" not in word)
        options = dict(word.split("=", 1) for word in words if "=" in word)
        return cls(verb, names, options)

    def seconds(self, key: str) -> int | None:
        """A span such as `31s`, in microseconds."""
        return span(self.options[key]) if key in self.options else None


def span(text: str) -> int:
    return int(float(text.removesuffix("s")) * SECOND)


@dataclass(frozen=True)
class Brought:
    """An outcome that a newcomer brings along: `a#1:succeeded:o1`."""

    attempt: str
    kind: str
    outcome: str

    @classmethod
    def parse(cls, text: str) -> tuple[Brought, ...]:
        return tuple(cls(*item.split(":")) for item in text.split(",") if item)


TaskView = tuple[str, int, int, int, int | None]
"""State, tries, failures, losses, not before (microseconds)."""
AttemptView = tuple[str, int, str | None]
"""State, deliveries, outcome id."""


@dataclass(frozen=True)
class Snapshot:
    """What world and twin must agree on after every command."""

    tasks: Mapping[str, TaskView]
    attempts: Mapping[str, AttemptView]
    workers: Mapping[str, str]
