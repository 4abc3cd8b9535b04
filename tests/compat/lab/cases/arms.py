"""Cases of oneofs with arms that an old client does not know."""

from __future__ import annotations

from typing import Final

from tests.compat.lab.case import Case, Fields, Step, case, new, old
from tests.compat.lab.cases.fields import CREATE, GET

APPEND: Final = "LabService/AppendEvent"
LIST: Final = "LabService/ListEvents"


def events(*sent: Fields) -> tuple[Step, ...]:
    """The newest client appends events."""
    return tuple(new(APPEND, {"event": each}) for each in sent)


CASES: Final[tuple[Case, ...]] = (
    case(
        "ArmAdded/both/arms that all know",
        old(APPEND, {"event": {"number": "1", "started": {"by": "ada"}}}),
        *events({"number": "2", "note": "hello"}),
        new(LIST, {}, {"events": [{"started": {"by": "ada"}}, {"note": "hello"}]}),
        old(LIST, {}, {"events": [{"number": "1", "started": {"by": "ada"}}, {"number": "2", "note": "hello"}]}),
    ),
    case(
        "ArmAdded/down/a pause is a note",
        *events({"number": "1", "paused_by": "ada"}),
        old(LIST, {}, {"events": [{"number": "1", "note": "paused by ada"}], "last": {"note": "paused by ada"}}),
        clients="2026-01-01 to 2026-03-01",
    ),
    case(
        "ArmAdded/down/a pause is one to those who know it",
        *events({"number": "1", "paused_by": "ada"}),
        old(LIST, {}, {"events": [{"number": "1", "paused_by": "ada"}]}),
        clients="2026-04-01 to 2026-07-01",
    ),
    case(
        "ArmAdded/down/what has no place is left out of a list and of a field",
        *events({"number": "1", "note": "a"}, {"number": "2", "resumed": {"by": "ada"}}),
        old(LIST, {}, {"events": [{"number": "1", "note": "a"}], "last": None}),
        clients="2026-01-01 to 2026-05-01",
    ),
    case(
        "ArmAdded/down/from between others",
        *events({"number": "1", "resumed": {}}, {"number": "2", "paused_by": "a"}, {"number": "3", "resumed": {}}),
        *events({"number": "4", "note": "b"}),
        old(LIST, {}, {"events": [{"number": "2"}, {"number": "4"}], "last": {"number": "4"}}),
        clients="2026-01-01 to 2026-05-01",
    ),
    case(
        "ArmAdded/down/of an answer itself",
        new(CREATE, {"task": {"task_id": "a", "queue": "q", "state": "STATE_QUEUED"}}),
        new(CREATE, {"task": {"task_id": "b", "queue": "q", "state": "STATE_QUEUED"}}),
        new(GET, {"task_id": "b"}, {"queue_position": "1", "hint": None}),
        old(GET, {"task_id": "b"}, {"task": {"task_id": "b"}, "hint": "1 before it"}),
        clients="2026-01-01 to 2026-06-01",
    ),
    case(
        "ArmAdded/down/an arm that was there",
        new(CREATE, {"task": {"task_id": "a", "queue": "q"}}),
        old(GET, {"task_id": "a"}, {"hint": "not queued"}),
    ),
)
