"""Which answer fits a question of a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crosswind_server.domain.errors import Reason, Refused

QUESTION_INVALID: Final = "crosswind.QuestionInvalid"
"""The failure type of a task that asks for fields by what is no JSON Schema."""


def check_answer(
    options: Sequence[str], chosen: Sequence[str], *, multiple: bool, wants_fields: bool, has_fields: bool
) -> None:
    """Checks an answer against its question.

    Args:
        options: to choose from; without any, nothing is chosen.
        chosen: what was chosen: one of the options, or with `multiple` at least one, none of them twice.
        wants_fields: whether the question has fields to fill in.
        has_fields: whether the answer brings them.

    Raises:
        Refused: INVALID_ARGUMENT.
    """
    unknown = [option for option in chosen if option not in options]
    if unknown:
        shown = ", ".join(f"'{option}'" for option in options) or "nothing"
        raise _wrong("chosen_options", f"'{unknown[0][:80]}' is no option of the question; choose from {shown}.")
    if len(set(chosen)) < len(chosen):
        raise _wrong("chosen_options", "An option is chosen twice; name each once.")
    if options and not chosen:
        raise _wrong("chosen_options", "The question has options; choose one of them.")
    if len(chosen) > 1 and not multiple:
        raise _wrong("chosen_options", "The question takes one option; choose one.")
    if wants_fields and not has_fields:
        raise _wrong("fields", "The question has fields to fill in; give `fields`, a JSON object.")
    if has_fields and not wants_fields:
        raise _wrong("fields", "The question has no fields to fill in; leave `fields` out.")


def check_question(options: Sequence[str], default_options: Sequence[str], *, multiple: bool) -> str | None:
    """What is wrong with a question, in one sentence; None: nothing."""
    if len(set(options)) < len(options) or not all(options):
        return "Its options are not all different texts"
    if any(option not in options for option in default_options):
        return "A default option is none of its options"
    if len(default_options) > 1 and not multiple:
        return "It takes one option and has several default ones"
    return None


def _wrong(field: str, message: str) -> Refused:
    return Refused(Reason.INVALID_ARGUMENT, message, metadata={"field": field})
