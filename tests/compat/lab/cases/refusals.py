"""Cases of refusals: reasons, their details, and what is not refused to those who did not know better."""

from __future__ import annotations

from typing import Final

from tests.compat.lab.case import Case, case, new, old
from tests.compat.lab.cases.arms import APPEND
from tests.compat.lab.cases.calls import FINISH, RECORD, task
from tests.compat.lab.cases.fields import CREATE, GET

A: Final = {"task_id": "a"}
FAILED: Final = {**A, "state": "STATE_FAILED"}
LONG: Final = "a title of more than twelve"

CASES: Final[tuple[Case, ...]] = (
    case(
        "ReasonChanged/down/a task that has ended was a duplicate",
        task("a", "STATE_SUCCEEDED"),
        old(FINISH, FAILED, refused={"code": "ALREADY_EXISTS", "reason": "ALREADY_DONE", "metadata": {"id": "a"}}),
        clients="2026-01-01",
    ),
    case(
        "ReasonChanged/down/it is a state to those who know it",
        task("a", "STATE_SUCCEEDED"),
        old(
            FINISH,
            FAILED,
            refused={"code": "FAILED_PRECONDITION", "reason": "TASK_FINISHED", "metadata": {"task_id": "a"}},
        ),
        clients="2026-02-01",
    ),
    case(
        "ReasonChanged/down/also where the call is now",
        task("a", "STATE_SUCCEEDED"),
        old(RECORD, A, refused={"code": "FAILED_PRECONDITION", "reason": "TASK_FINISHED"}),
        clients="2026-03-01 to 2026-07-01",
    ),
    case(
        "ReasonChanged/down/everywhere: too many steps were a quota",
        old(
            CREATE,
            {"task": {"task_id": "a", "queue": "q", "steps": [{}, {}, {}, {}]}},
            refused={
                "code": "RESOURCE_EXHAUSTED",
                "reason": "QUOTA_EXCEEDED",
                "message": "A task has at most 3 steps.",
                "metadata": {"limit": "3"},
            },
        ),
        clients="2026-02-01 to 2026-07-01",
    ),
    case(
        "ReasonChanged/down/everywhere: so was a note that is too long",
        old(APPEND, {"event": {"note": "n" * 21}}, refused={"code": "RESOURCE_EXHAUSTED", "reason": "QUOTA_EXCEEDED"}),
        new(APPEND, {"event": {"note": "n" * 21}}, refused={"code": "INVALID_ARGUMENT", "reason": "VALUE_TOO_LARGE"}),
    ),
    case(
        "fallback/down/of a reason, in the call that moved",
        task("a", "STATE_CANCELLING"),
        old(
            FINISH,
            FAILED,
            refused={"code": "FAILED_PRECONDITION", "reason": "TASK_RUNNING", "metadata": {"task_id": "a"}},
        ),
        clients="2026-01-01 to 2026-02-01",
    ),
    case(
        "fallback/down/of a reason, where it is now",
        task("a", "STATE_CANCELLING"),
        old(RECORD, A, refused={"code": "FAILED_PRECONDITION", "reason": "TASK_RUNNING"}),
        clients="2026-03-01 to 2026-04-01",
    ),
    case(
        "fallback/down/of a reason that has another in one call, in another call",
        task("a", "STATE_SUCCEEDED"),
        old(
            CREATE,
            {"task": A},
            refused={"code": "FAILED_PRECONDITION", "reason": "TASK_RUNNING", "metadata": {"task_id": "a"}},
        ),
        clients="2026-01-01",
    ),
    case(
        "fallback/down/to those who know the reason, as it is",
        task("a", "STATE_CANCELLING"),
        old(RECORD, A, refused={"code": "FAILED_PRECONDITION", "reason": "RUN_CANCELLING"}),
        clients="2026-05-01 to 2026-07-01",
    ),
    case(
        "reasons/down/one that never changed",
        old(
            GET,
            {"task_id": "x"},
            refused={"code": "NOT_FOUND", "reason": "TASK_NOT_FOUND", "metadata": {"task_id": "x"}},
        ),
    ),
    case(
        "ValidationChanged/up/a long title is taken from those who may",
        old(CREATE, {"task": {"task_id": "a", "queue": "q", "title": LONG}}, {"task": {"title": LONG}}),
        new(GET, {"task_id": "a"}, {"task": {"title": LONG}}),
        clients="2026-02-01 to 2026-03-01",
    ),
    case(
        "ValidationChanged/up/and refused to others",
        old(
            CREATE,
            {"task": {"task_id": "a", "queue": "q", "title": LONG}},
            refused={"code": "INVALID_ARGUMENT", "reason": "INVALID_ARGUMENT", "metadata": {"field": "task.title"}},
        ),
        clients="2026-04-01 to 2026-07-01",
    ),
    case(
        "ValidationChanged/up/any state ends a task of those who may, in a call that moved",
        task("a"),
        old(FINISH, {"task_id": "a", "state": "STATE_QUEUED"}, {"task": {"state": "STATE_QUEUED"}}),
        clients="2026-01-01",
    ),
    case(
        "ValidationChanged/up/and no task of others",
        task("a"),
        old(FINISH, {"task_id": "a", "state": "STATE_QUEUED"}, refused={"metadata": {"field": "state"}}),
        clients="2026-02-01",
    ),
    case(
        "ValidationChanged/up/a leniency ends with its call",
        old(CREATE, {"task": {"task_id": "a", "queue": "q", "title": LONG}}),
        new(
            CREATE,
            {"task": {"task_id": "b", "queue": "q", "title": LONG}},
            refused={"metadata": {"field": "task.title"}},
        ),
        clients="2026-02-01 to 2026-03-01",
    ),
)
