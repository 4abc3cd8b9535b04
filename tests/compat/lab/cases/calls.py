"""Cases of RPCs that are elsewhere, gone or new."""

from __future__ import annotations

from typing import Final

from tests.compat.lab.case import Case, Step, case, new, old
from tests.compat.lab.cases.fields import CREATE, GET

FINISH: Final = "LabService/FinishTask"
RECORD: Final = "OutcomeService/RecordOutcome"
COUNT: Final = "LabService/CountTasks"


def task(task_id: str, state: str = "STATE_RUNNING") -> Step:
    """The newest client makes a task."""
    return new(CREATE, {"task": {"task_id": task_id, "queue": "q", "state": state}})


THREE: Final = (task("a", "STATE_FAILED"), task("b"), task("c", "STATE_FAILED"))

CASES: Final[tuple[Case, ...]] = (
    case(
        "MethodMoved/both/a task is finished where it was",
        task("a"),
        old(FINISH, {"task_id": "a", "state": "STATE_FAILED"}, {"task": {"task_id": "a", "state": "STATE_FAILED"}}),
        new(GET, {"task_id": "a"}, {"task": {"state": "STATE_FAILED"}}),
        clients="2026-01-01 to 2026-02-01",
    ),
    case(
        "MessageRenamed/down/the answer of a call that moved",
        old(CREATE, {"task": {"task_id": "a", "queue": "q", "host": "h", "port": 1, "state": "STATE_RUNNING"}}),
        old(FINISH, {"task_id": "a", "state": "STATE_FAILED"}, {"task": {"host": "h", "port": 1, "priority": 5}}),
        clients="2026-02-01",
    ),
    case(
        "MessageRenamed/up/the request of a call that moved",
        task("a"),
        old(FINISH, {"task_id": "a", "state": "STATE_FAILED"}, {"task": {"state": "STATE_FAILED"}}),
        clients="2026-02-01",
    ),
    case(
        "MethodMoved/both/and is finished where it is now",
        task("a"),
        old(RECORD, {"task_id": "a", "state": "STATE_FAILED"}, {"task": {"state": "STATE_FAILED", "priority": 8}}),
        clients="2026-03-01 to 2026-05-01",
    ),
    case(
        "FieldRenamed/up/the outcome of a task",
        task("a"),
        old(RECORD, {"task_id": "a", "state": "STATE_FAILED"}),
        new(GET, {"task_id": "a"}, {"task": {"state": "STATE_FAILED"}}),
        clients="2026-03-01 to 2026-05-01",
    ),
    case(
        "FieldRenamed/down/the task that ended",
        task("a"),
        old(RECORD, {"task_id": "a", "outcome": "STATE_FAILED"}, {"task": {"state": "STATE_FAILED", "priority": 8}}),
        clients="2026-06-01",
    ),
    case(
        "FieldRenamed/both/neither, one version back",
        task("a"),
        old(RECORD, {"task_id": "a", "outcome": "STATE_FAILED"}, {"finished": {"state": "STATE_FAILED"}}),
        clients="2026-07-01",
    ),
    case(
        "MethodRetired/both/tasks are counted",
        *THREE,
        old(COUNT, {}, {"count": 3, "failed": 2}),
        clients="2026-01-01 to 2026-05-01",
    ),
    case(
        "MethodRetired/up/those in one state",
        *THREE,
        old(COUNT, {"in_state": "STATE_RUNNING"}, {"count": 1, "failed": None}),
        clients="2026-03-01 to 2026-05-01",
    ),
    case(
        "FieldRenamed/up/of the request of a call that is gone",
        *THREE,
        old(COUNT, {"state": "STATE_RUNNING"}, {"count": 1, "failed": None}),
        clients="2026-01-01 to 2026-02-01",
    ),
    case(
        "FieldRenamed/down/the total of statistics",
        *THREE,
        old("LabService/GetStatistics", {"states": ["STATE_FAILED"]}, {"total": "2", "failed": "2"}),
        clients="2026-05-01 to 2026-06-01",
    ),
)
