"""Migrated PostgreSQL databases that tests borrow one after the other, each finding its own empty."""

from typing import Any

import psycopg

from crosswind_server.store.engine import Store
from crosswind_server.store.schema import metadata
from tests.postgres import PostgresServer

# What a migration writes itself. A test that rewrites it, as one of an upgrade does, spoils its database.
WRITTEN_BY_MIGRATION = ("alembic_version", "schema_admission")


class MigratedDatabases:
    """Those of one PostgreSQL.

    Args:
        postgres: where they are made; it must run whenever one is lent or taken back.
    """

    def __init__(self, postgres: PostgresServer) -> None:
        self._postgres = postgres
        self._unused: list[str] = []
        self._written: list[Any] = []

    def lend(self) -> str:
        """Return the SQLAlchemy URL of a database that nobody uses and that holds nothing but its schema."""
        if self._unused:
            return self._unused.pop()
        url = self._postgres.create_database()
        Store.open(url).close()
        self._written = _written_by_migration(url)
        return url

    def take_back(self, url: str) -> None:
        """Empty a database for whoever comes next, or drop it if a test has changed what the migrations wrote."""
        if _written_by_migration(url) == self._written:
            self._postgres.clear_database(url, tables=metadata.tables.keys(), keep=WRITTEN_BY_MIGRATION)
            self._unused.append(url)
        else:
            self._postgres.drop_database(url)


def _written_by_migration(url: str) -> list[Any]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        rows: list[Any] = [connection.execute(f"TABLE {name}".encode()).fetchall() for name in WRITTEN_BY_MIGRATION]
        columns = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name = ANY(%s) ORDER BY table_name, column_name",
            [sorted(metadata.tables)],
        )
        return [*rows, columns.fetchall()]
