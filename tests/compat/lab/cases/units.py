"""Cases of fields with another type or unit, and of those that hold more."""

from __future__ import annotations

from typing import Final

from tests.compat.lab.case import Case, case
from tests.compat.lab.cases.fields import created_by_new, created_by_old

CASES: Final[tuple[Case, ...]] = (
    case(
        "FieldConverted/both/seconds are a Duration",
        *created_by_old({"timeout_seconds": 90, "queue": "q"}, {"limits": {"timeout": "90s"}}),
        clients="2026-02-01",
    ),
    case(
        "FieldConverted/both/in the first version too",
        *created_by_old({"timeout_seconds": 90}, {"limits": {"timeout": "90s"}}),
        clients="2026-01-01",
    ),
    case(
        "FieldConverted/both/a negative one",
        *created_by_old({"timeout_seconds": -5, "queue": "q"}, {"limits": {"timeout": "-5s"}}),
        clients="2026-02-01",
    ),
    case(
        "FieldConverted/both/zero is nothing, as it was",
        *created_by_old({"timeout_seconds": 0, "queue": "q"}, {"limits": None}, {"timeout_seconds": None}),
        clients="2026-02-01",
    ),
    case(
        "FieldConverted/down/half a second is cut off",
        *created_by_new({"limits": {"timeout": "1.5s"}}, {"timeout_seconds": 1}),
        clients="2026-01-01 to 2026-02-01",
    ),
    case(
        "FieldConverted/down/more than the field holds is the most that it holds",
        *created_by_new({"limits": {"timeout": "300000000000s"}}, {"timeout_seconds": 2147483647}),
        clients="2026-01-01 to 2026-02-01",
    ),
    case(
        "FieldWidened/both/a size",
        *created_by_old({"size_bytes": 2147483647, "queue": "q"}, {"size_bytes": "2147483647"}),
        clients="2026-02-01 to 2026-03-01",
    ),
    case(
        "FieldWidened/down/a size that the old field cannot hold",
        *created_by_new({"size_bytes": "5000000000"}, {"size_bytes": 2147483647}),
        clients="2026-01-01 to 2026-03-01",
    ),
    case(
        "FieldWidened/down/one that is as far below",
        *created_by_new({"size_bytes": "-5000000000"}, {"size_bytes": -2147483648}),
        clients="2026-01-01 to 2026-03-01",
    ),
    case(
        "FieldWidened/down/to those who know it, as it is",
        *created_by_new({"size_bytes": "5000000000"}, {"size_bytes": "5000000000"}),
        clients="2026-04-01 to 2026-07-01",
    ),
    case(
        "FieldWidened/down/each of a list",
        *created_by_new(
            {"steps": [{"offsets": ["1", "5000000000", "-5000000000"]}]},
            {"steps": [{"offsets": [1, 2147483647, -2147483648]}]},
        ),
        clients="2026-01-01 to 2026-03-01",
    ),
)
