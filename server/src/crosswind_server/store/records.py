"""Rows as records: dataclasses whose fields are named as the columns that were read.

Here belongs the step from the one to the other. What a record holds belongs to the module of its noun.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import RowMapping

RecordT = TypeVar("RecordT")


def read_record(make: Callable[..., RecordT], row: RowMapping) -> RecordT:
    """Make a record of a row that has exactly its fields. Binary columns are bytes in both databases."""
    return make(**{str(name): value for name, value in row.items()})
