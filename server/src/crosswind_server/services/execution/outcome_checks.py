"""What an outcome brings that cannot be taken as it is: refused before anything is written, or a failure instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crosswind_server import manifests
from crosswind_server.domain.arguments import StoredValue
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.inputs import QUESTION_INVALID
from crosswind_server.services.flow.settlement import FailureFacts
from crosswind_server.services.flow.waiting import Question

MAX_XCOMS: Final = 1_000


def failure_of(kind: str, text: str) -> FailureFacts:
    """A failure that the server found, after which nothing is tried again."""
    return FailureFacts(message=manifests.failure_message(kind, text, retryable=False), types=(kind,), retryable=False)


def find_wrong_schema(question: Question) -> FailureFacts | None:
    """The failure of a task that asks for fields by what is no JSON Schema; None: it may ask."""
    if not question.fields_schema_json:
        return None
    try:
        manifests.check_schema(question.fields_schema_json, whole=True)
    except manifests.SchemaInvalid as error:
        text = f"The schema of the fields that the task asks for is no JSON Schema of draft 2020-12: {error}; mend it."
        return failure_of(QUESTION_INVALID, text)
    return None


def check_values(values: Sequence[tuple[str, StoredValue]]) -> None:
    """Check the XComs of an outcome before anything is written. Raises `Refused`: INVALID_ARGUMENT."""
    if len(values) > MAX_XCOMS:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            f"An outcome writes at most {MAX_XCOMS:,} XComs, not {len(values):,}; write fewer.",
            metadata={"field": "outcome.xcoms"},
        )
    for key, _ in values:
        if not 1 <= len(key) <= 250:
            raise Refused(
                Reason.INVALID_ARGUMENT,
                f"The XCom key {key[:80]!r} is not valid; a key has 1 to 250 characters.",
                metadata={"field": "outcome.xcoms.key"},
            )
