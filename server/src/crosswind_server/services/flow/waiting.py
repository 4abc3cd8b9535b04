"""What a task says that it waits for: the plain facts of a wait, as its outcome names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVENT_PREFIX: Final = "event:"
TRIGGER_PREFIX: Final = "trigger:"
INPUT: Final = "input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a task asks people.

    Args:
        options: to choose from; empty: there is nothing to choose.
        default_options: chosen when the time passes; empty: the try fails then.
        multiple: whether several may be chosen.
        fields_schema_json: a JSON Schema of the fields to fill in; empty: there are none.
        respondents: who may answer; empty: anyone of the team.
    """

    subject: str
    body: str = ""
    options: tuple[str, ...] = ()
    default_options: tuple[str, ...] = ()
    multiple: bool = False
    fields_schema_json: str = ""
    respondents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What a task waits for beside a moment; one of the three.

    Args:
        event: the name of an event.
        trigger: the entry point of a trigger.
        arguments: of the trigger, a serialized payload; None: none.
        question: to people.
    """

    event: str | None = None
    trigger: str | None = None
    arguments: bytes | None = None
    question: Question | None = None

    @property
    def key(self) -> str:
        """How a task instance says what it waits for."""
        if self.event is not None:
            return f"{EVENT_PREFIX}{self.event}"
        return INPUT if self.trigger is None else f"{TRIGGER_PREFIX}{self.trigger}"
