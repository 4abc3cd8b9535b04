"""The laboratory's cases, by what changes: fields, values, defaults, events, calls and refusals."""

from __future__ import annotations

from typing import Final

from tests.compat.lab.case import Case
from tests.compat.lab.cases import arms, calls, details, fields, nested, refusals, units, values

CASES: Final[tuple[Case, ...]] = (
    *fields.CASES,
    *units.CASES,
    *nested.CASES,
    *values.CASES,
    *arms.CASES,
    *calls.CASES,
    *refusals.CASES,
    *details.CASES,
)
"""All of them, each with a name of its own."""
