"""Cases of enum values that an old client does not know."""

from __future__ import annotations

from typing import Final

from tests.compat.lab.case import Case, case
from tests.compat.lab.cases.fields import created_by_new, created_by_old

CASES: Final[tuple[Case, ...]] = (
    case(
        "fallback/down/a deferred task runs",
        *created_by_new({"state": "STATE_DEFERRED"}, {"state": "STATE_RUNNING"}),
        clients="2026-01-01",
    ),
    case(
        "fallback/down/to those who know it, it is deferred",
        *created_by_new({"state": "STATE_DEFERRED"}, {"state": "STATE_DEFERRED"}),
        clients="2026-02-01 to 2026-07-01",
    ),
    case(
        "fallback/down/a task that is being cancelled runs",
        *created_by_new({"state": "STATE_CANCELLING"}, {"state": "STATE_RUNNING"}),
        clients="2026-01-01 to 2026-04-01",
    ),
    case(
        "fallback/down/a skipped step has failed",
        *created_by_new({"steps": [{"state": "STATE_SKIPPED"}]}, {"steps": [{"state": "STATE_FAILED"}]}),
        clients="2026-01-01 to 2026-04-01",
    ),
    case(
        "fallback/down/in a map",
        *created_by_new(
            {"step_states": {"a": "STATE_SKIPPED", "b": "STATE_QUEUED"}},
            {"step_states": {"a": "STATE_FAILED", "b": "STATE_QUEUED"}},
        ),
        clients="2026-01-01 to 2026-04-01",
    ),
    case(
        "fallback/down/an aborted task was skipped",
        *created_by_new({"state": "STATE_ABORTED"}, {"state": "STATE_SKIPPED"}),
        clients="2026-05-01",
    ),
    case(
        "fallback/down/from one version to the next",
        *created_by_new({"steps": [{"state": "STATE_ABORTED"}]}, {"steps": [{"state": "STATE_FAILED"}]}),
        clients="2026-01-01 to 2026-04-01",
    ),
    case(
        "fallback/both/a number that nobody knows stays",
        *created_by_old({"state": 99, "queue": "q"}, {"state": 99}),
        clients="2026-02-01 to 2026-07-01",
    ),
    case(
        "EnumValueMapped/down/a skipped task with steps succeeded",
        *created_by_new({"state": "STATE_SKIPPED", "steps": [{"name": "a"}]}, {"state": "STATE_SUCCEEDED"}),
        clients="2026-01-01 to 2026-04-01",
    ),
    case(
        "EnumValueMapped/down/one without waits",
        *created_by_new({"state": "STATE_SKIPPED"}, {"state": "STATE_QUEUED"}),
        clients="2026-01-01 to 2026-04-01",
    ),
    case(
        "EnumValueMapped/down/after the fallback of a later version",
        *created_by_new({"state": "STATE_ABORTED"}, {"state": "STATE_QUEUED"}),
        clients="2026-01-01 to 2026-04-01",
    ),
)
