"""Cases of changes inside messages that are held by others: in lists, in maps, in messages of their own type."""

from __future__ import annotations

from typing import Final

from tests.compat.lab.case import Case, case, new, old
from tests.compat.lab.cases.fields import CREATE, created_by_new, created_by_old

CASES: Final[tuple[Case, ...]] = (
    case(
        "FieldConverted/both/in a list",
        *created_by_old(
            {"steps": [{"name": "a", "wait_millis": "1500"}], "queue": "q"}, {"steps": [{"wait": "1.500s"}]}
        ),
        clients="2026-02-01",
    ),
    case(
        "FieldConverted/both/in a map",
        *created_by_old({"named_steps": {"a": {"wait_millis": "250"}}}, {"named_steps": {"a": {"wait": "0.250s"}}}),
        clients="2026-01-01",
    ),
    case(
        "FieldConverted/both/in a message of its own type",
        *created_by_old(
            {"steps": [{"wait_millis": "1", "substeps": [{"substeps": [{"wait_millis": "2"}]}]}]},
            {"steps": [{"wait": "0.001s", "substeps": [{"substeps": [{"wait": "0.002s"}]}]}]},
        ),
        clients="2026-01-01",
    ),
    case(
        "MessageRenamed/both/a step is a stage",
        *created_by_old(
            {"steps": [{"name": "a", "wait": "1s", "offsets": ["7"]}], "queue": "q"},
            {"steps": [{"name": "a", "wait": "1s", "offsets": ["7"]}]},
        ),
        clients="2026-04-01 to 2026-05-01",
    ),
    case(
        "MessageRenamed/both/and is carried on under its new name",
        *created_by_old(
            {"steps": [{"name": "a", "wait_millis": "1000", "offsets": [7]}]},
            {"steps": [{"name": "a", "wait": "1s", "offsets": ["7"]}]},
        ),
        clients="2026-01-01",
    ),
    case(
        "MessageRenamed/down/values that a stage has and a step had not",
        *created_by_new(
            {"named_steps": {"a": {"state": "STATE_ABORTED"}}}, {"named_steps": {"a": {"state": "STATE_FAILED"}}}
        ),
        clients="2026-01-01 to 2026-04-01",
    ),
    case(
        "FieldRenamed/both/in every task of a list",
        old(CREATE, {"task": {"task_id": "a", "owner": "Ada", "host": "h", "port": 1, "timeout_seconds": 2}}),
        old(CREATE, {"task": {"task_id": "b", "owner": "Bob", "labels": ["x=y"], "max_tries": 3}}),
        new(
            "LabService/ListTasks",
            {},
            {
                "tasks": [
                    {"given_name": "Ada", "endpoint": "h:1", "limits": {"timeout": "2s"}},
                    {"given_name": "Bob", "tags": {"x": "y"}, "retries": {"limit": 3}},
                ]
            },
        ),
        old(
            "LabService/ListTasks",
            {},
            {
                "tasks": [
                    {"owner": "Ada", "host": "h", "port": 1, "timeout_seconds": 2, "priority": 5, "rank": 7},
                    {"owner": "Bob", "labels": ["x=y"], "max_tries": 3},
                ]
            },
        ),
        clients="2026-01-01",
    ),
)
