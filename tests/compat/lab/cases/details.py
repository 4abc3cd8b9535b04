"""Cases of the fields that a refusal names: an old client reads its own names of them."""

from __future__ import annotations

from typing import Any, Final

from tests.compat.lab.case import Case, Step, case, new, old
from tests.compat.lab.cases.calls import RECORD, task
from tests.compat.lab.cases.fields import CREATE


def refused_for(field: str, **sent: Any) -> Step:
    """An old client makes a task that is refused for a field."""
    request = {"task": {"task_id": "t", **sent}}
    return old(CREATE, request, refused={"reason": "INVALID_ARGUMENT", "metadata": {"field": field}})


LONG: Final = "a." * 20 + "example"
LATE: Final[Any] = {"name": "b", "wait_millis": "-5000"}

CASES: Final[tuple[Case, ...]] = (
    case(
        "FieldMoved/down/the name of a field that is refused, where it was at first",
        refused_for("task.max_tries", max_tries=-1, queue="q"),
        clients="2026-02-01 to 2026-03-01",
    ),
    case(
        "FieldMoved/down/and where it was then",
        refused_for("task.limits.max_tries", limits={"max_tries": -1}, queue="q"),
        clients="2026-04-01 to 2026-06-01",
    ),
    case(
        "FieldMoved/down/and where it is",
        refused_for("task.retries.limit", retries={"limit": -1}, queue="q"),
        clients="2026-07-01",
    ),
    case(
        "FieldRenamed/down/the name of a field that is refused",
        refused_for("task.address", address=LONG, queue="q"),
        clients="2026-03-01 to 2026-07-01",
    ),
    case(
        "FieldsMerged/down/the first of the fields that one is made of",
        refused_for("task.host", host=LONG),
        clients="2026-01-01",
    ),
    case(
        "FieldConverted/down/the name of a field that is refused, in a list",
        refused_for("task.steps[1].wait_millis", steps=[{"name": "a"}, LATE], queue="q"),
        clients="2026-02-01",
    ),
    case(
        "FieldRenamed/down/the name of a field of a request that moved",
        task("a"),
        old(RECORD, {"task_id": "a", "state": "STATE_QUEUED"}, refused={"metadata": {"field": "state"}}),
        new(RECORD, {"task_id": "a", "outcome": "STATE_QUEUED"}, refused={"metadata": {"field": "outcome"}}),
        clients="2026-03-01 to 2026-05-01",
    ),
)
