"""What tables share: their metadata, and how an id, a moment, a truth value and a count are stored.

Here belongs what a kind of column means in both databases. Which table has which is in `schema`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, String, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def id_column(name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    """The id of a row of ours, or of another table: UUIDv7 text."""
    return Column(name, String(36), primary_key=primary_key, nullable=nullable)


def time_column(name: str, *, nullable: bool = False) -> Column[int]:
    """A moment: microseconds UTC."""
    return Column(name, BigInteger, nullable=nullable)


def flag_column(name: str, default: bool = False) -> Column[bool]:
    """A truth value with a default of the database."""
    return Column(
        name,
        Boolean,
        nullable=False,
        server_default=text("true" if default else "false"),
    )


def count_column(name: str) -> Column[int]:
    """A number that begins at 0."""
    return Column(name, Integer, nullable=False, server_default=text("0"))
