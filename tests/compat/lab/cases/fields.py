"""Cases of fields that are renamed, split, merged, moved, required or gone, in a task."""

from __future__ import annotations

from typing import Final

from tests.compat.lab.case import Case, Fields, Step, case, new, old

CREATE: Final = "LabService/CreateTask"
GET: Final = "LabService/GetTask"
T: Final[Fields] = {"task_id": "t"}


def created_by_old(sent: Fields, kept: Fields, answered: Fields | None = None) -> tuple[Step, Step, Step]:
    """An old client makes a task and reads it again as it was; the newest reads what it has become."""
    heard = {"task": {**T, **(sent if answered is None else answered)}}
    return (
        old(CREATE, {"task": {**T, **sent}}, heard),
        new(GET, T, {"task": {**T, **kept}}),
        old(GET, T, heard),
    )


def created_by_new(sent: Fields, heard: Fields) -> tuple[Step, Step]:
    """The newest client makes a task, which an old one reads."""
    return new(CREATE, {"task": {**T, "queue": "q", **sent}}), old(GET, T, {"task": {**T, **heard}})


CASES: Final[tuple[Case, ...]] = (
    case(
        "FieldRenamed/both/the version of a task, on the same number",
        *created_by_old({"version_id": "v7", "max_tries": 3}, {"dag_version_id": "v7", "retries": {"limit": 3}}),
        clients="2026-01-01",
    ),
    case(
        "FieldRenamed/both/the owner of a task, to another number",
        *created_by_old({"owner": "Ada Lovelace"}, {"given_name": "Ada", "family_name": "Lovelace"}),
        clients="2026-01-01",
    ),
    case(
        "FieldRenamed/both/the address of a task, to another number",
        *created_by_old({"address": "ada.example:80", "queue": "q"}, {"endpoint": "ada.example:80"}),
        clients="2026-03-01 to 2026-07-01",
    ),
    case(
        "FieldRequired/up/the queue is the one that all were in",
        *created_by_old({}, {"queue": "default"}),
        clients="2026-01-01",
    ),
    case(
        "FieldRequired/up/from those who know it, it is required",
        old(CREATE, {"task": T}, refused={"reason": "INVALID_ARGUMENT", "metadata": {"field": "task.queue"}}),
        clients="2026-02-01 to 2026-07-01",
    ),
    case(
        "FieldSplit/both/the author's name",
        *created_by_old({"author": "Ada Lovelace", "queue": "q"}, {"given_name": "Ada", "family_name": "Lovelace"}),
        clients="2026-02-01 to 2026-04-01",
    ),
    case(
        "FieldSplit/both/a name of three words",
        *created_by_old({"author": "Ada King Lovelace", "queue": "q"}, {"family_name": "King Lovelace"}),
        clients="2026-02-01 to 2026-04-01",
    ),
    case(
        "FieldSplit/both/what is lossy reads as is stated",
        *created_by_old({"author": " Ada  L.", "queue": "q"}, {"family_name": "L."}, {"author": "Ada L."}),
        clients="2026-02-01 to 2026-04-01",
    ),
    case(
        "FieldSplit/down/one part alone",
        *created_by_new({"family_name": "Lovelace"}, {"author": "Lovelace"}),
        clients="2026-02-01 to 2026-04-01",
    ),
    case(
        "FieldSplit/down/no name at all",
        *created_by_new({}, {"author": None}),
        clients="2026-02-01 to 2026-04-01",
    ),
    case(
        "FieldsMerged/both/host and port are an address",
        *created_by_old({"host": "ada.example", "port": 80, "queue": "q"}, {"endpoint": "ada.example:80"}),
        clients="2026-02-01",
    ),
    case(
        "FieldsMerged/both/in the first version too",
        *created_by_old({"host": "ada.example", "port": 80}, {"endpoint": "ada.example:80"}),
        clients="2026-01-01",
    ),
    case(
        "FieldsMerged/both/a host without a port",
        *created_by_old({"host": "::1", "queue": "q"}, {"endpoint": "::1:0"}),
        clients="2026-02-01",
    ),
    case(
        "FieldsMerged/down/an address that is none",
        *created_by_new({"endpoint": "elsewhere"}, {"host": "elsewhere", "port": None}),
        clients="2026-01-01 to 2026-02-01",
    ),
    case(
        "FieldMoved/both/the timeout is a limit",
        *created_by_old({"timeout": "90s", "queue": "q"}, {"limits": {"timeout": "90s"}}),
        clients="2026-03-01",
    ),
    case(
        "FieldMoved/both/tries were a limit, and are retries",
        *created_by_old({"max_tries": 3, "queue": "q"}, {"retries": {"limit": 3}, "limits": None}),
        clients="2026-02-01 to 2026-03-01",
    ),
    case(
        "FieldMoved/both/out of one message into another",
        *created_by_old(
            {"limits": {"max_tries": 4, "timeout": "1s"}, "queue": "q"},
            {"limits": {"timeout": "1s"}, "retries": {"limit": 4}},
        ),
        clients="2026-04-01 to 2026-06-01",
    ),
    case(
        "FieldMoved/down/the holder is taken away with what it held",
        *created_by_new({"retries": {"limit": 5}}, {"max_tries": 5}),
        clients="2026-01-01 to 2026-03-01",
    ),
    case(
        "FieldRemoved/both/a comment is dropped and reads empty",
        *created_by_old({"comment": "hello", "title": "a", "queue": "q"}, {"title": "a"}, {"comment": None}),
        clients="2026-02-01 to 2026-05-01",
    ),
    case(
        "FieldRemoved/both/a rank always reads the stated one",
        *created_by_old({"rank": 3, "title": "a", "queue": "q"}, {"title": "a"}, {"rank": 7}),
        clients="2026-02-01 to 2026-05-01",
    ),
    case(
        "FreeChange/both/labels are tags",
        *created_by_old({"labels": ["env=prod", "team=core"], "queue": "q"}, {"tags": {"env": "prod", "team": "core"}}),
        clients="2026-02-01 to 2026-06-01",
    ),
    case(
        "FreeChange/both/what is lossy reads as is stated",
        *created_by_old(
            {"labels": ["z", "a=1", "a=2"], "queue": "q"}, {"tags": {"a": "2", "z": ""}}, {"labels": ["a=2", "z="]}
        ),
        clients="2026-02-01 to 2026-06-01",
    ),
    case(
        "FreeChange/down/tags are labels",
        *created_by_new({"tags": {"env": "prod"}}, {"labels": ["env=prod"]}),
        clients="2026-01-01 to 2026-06-01",
    ),
    case(
        "DefaultChanged/both/nothing said means what it meant",
        *created_by_old({"queue": "q"}, {"priority": 5}, {"priority": 5}),
        clients="2026-02-01 to 2026-04-01",
    ),
    case(
        "DefaultChanged/both/and what it meant later",
        *created_by_old({"queue": "q"}, {"priority": 3}, {"priority": 3}),
        clients="2026-05-01 to 2026-07-01",
    ),
    case(
        "DefaultChanged/down/nothing said means what it means now",
        *created_by_new({}, {"priority": 8}),
    ),
    case(
        "DefaultChanged/both/what is said stays",
        *created_by_old({"queue": "q", "priority": 0}, {"priority": 0}),
        clients="2026-02-01 to 2026-07-01",
    ),
    case(
        "DefaultChanged/up/the order of a list knows both",
        new(CREATE, {"task": {"task_id": "new", "queue": "q"}}),
        old(CREATE, {"task": {"task_id": "old", "queue": "q"}}),
        old(CREATE, {"task": {"task_id": "urgent", "queue": "q", "priority": 9}}),
        old("LabService/ListTasks", {}, {"tasks": [{"task_id": "urgent"}, {"task_id": "new"}, {"task_id": "old"}]}),
        clients="2026-02-01 to 2026-07-01",
    ),
)
