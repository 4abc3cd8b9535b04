"""Which revision of the schema a database has, whether this server can work with it, and how it gets there.

The steps themselves are in `migrations/versions`, the schema that they lead to in `schema`.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, String, Table, delete, insert, inspect, select, text
from sqlalchemy.schema import CreateTable

from crosswind_server.store.driver import Driver, Fault, SQLiteDriver, driver_for
from crosswind_server.store.errors import (
    DatabaseNotMigrated,
    DatabaseTooNew,
    DatabaseUrlInvalid,
    StoreError,
    StoreUnavailable,
)
from crosswind_server.store.lock_file import LockFile

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).with_name("migrations")
_ADVISORY_LOCK = 0x43524F5357494E44  # "CROSWIND"
_bookkeeping = MetaData()

alembic_version = Table("alembic_version", _bookkeeping, Column("version_num", String(32), primary_key=True))
"""Alembic's own table: the revision of the schema."""

schema_admission = Table("schema_admission", _bookkeeping, Column("min_server_revision", String(32), primary_key=True))
"""The oldest revision whose server may still work with the schema as it is; written by every migration."""


@cache
def known_revisions() -> tuple[str, ...]:
    """The revisions that this server brings, oldest first. Read from file names, since Alembic takes long to import."""
    return tuple(sorted(path.name.split("_")[0] for path in (SCRIPTS / "versions").glob("[0-9]*_*.py")))


def head_revision() -> str:
    """The revision of the schema that this server is made for."""
    return known_revisions()[-1]


def current_revision(url: str) -> str | None:
    """Read the revision of a database; None if it has no schema yet.

    Raises `DatabaseUrlInvalid` or `StoreUnavailable`.
    """
    driver = driver_for(url, create=False)
    connection = connect(driver)
    try:
        return read_revision(connection)
    finally:
        connection.close()


def migrate(url: str) -> str:
    """Bring a database to this server's schema, creating it if need be; returns its revision.

    Raises `DatabaseUrlInvalid`, `DatabaseInUse`, `DatabaseTooNew` or `StoreUnavailable`.
    """
    driver = driver_for(url, create=True)
    lock = LockFile(driver.file) if isinstance(driver, SQLiteDriver) and driver.file is not None else None
    try:
        connection = connect(driver)
        try:
            return prepare(connection, driver, create=True, locked=True)
        finally:
            connection.close()
    finally:
        if lock is not None:
            lock.close()


def connect(driver: Driver) -> Connection:
    """Open the first connection to a database, and say in words why it cannot be.

    Raises `DatabaseUrlInvalid` if it is not a database, or `StoreUnavailable`.
    """
    try:
        connection = driver.connect(writing=True)
        try:
            read_revision(connection)
        except BaseException:
            connection.close()
            raise
    except Exception as error:
        fault = driver.fault(error, None)
        if fault is Fault.REQUEST:
            raise DatabaseUrlInvalid(driver.explain(error)) from error
        raise StoreUnavailable(driver.explain(error)) from error
    return connection


def prepare(connection: Connection, driver: Driver, *, create: bool, locked: bool) -> str:
    """Check the schema, and create or migrate it if allowed; returns the database's revision.

    `locked` says that the caller holds the lock of a SQLite file. If not, it is taken for a migration; PostgreSQL's
    own lock always is. Raises `DatabaseNotMigrated`, `DatabaseInUse`, `DatabaseTooNew` or `StoreUnavailable`.
    """
    revision = read_revision(connection)
    if revision == head_revision():
        return revision
    if revision is not None and revision not in known_revisions():
        _check_admission(connection, driver, revision)
        return revision
    if not create:
        state = "has no schema yet" if revision is None else f"has the older schema revision {revision}"
        raise DatabaseNotMigrated(
            f"The database {driver.place} {state}, and this server needs {head_revision()}; "
            "run `crosswind-server migrate` with its address."
        )
    try:
        with ExitStack() as stack:
            if not locked and isinstance(driver, SQLiteDriver) and driver.file is not None:
                stack.callback(LockFile(driver.file).close)
            return _upgrade(connection, driver)
    except StoreError:
        raise
    except Exception as error:
        if driver.fault(error, connection) is Fault.REQUEST:
            raise
        raise StoreUnavailable(f"The schema could not be migrated. {driver.explain(error)}") from error


def read_revision(connection: Connection) -> str | None:
    """Read the revision of the schema, None if there is none; leaves no transaction open."""
    try:
        if not inspect(connection).has_table(alembic_version.name):
            return None
        revision: str | None = connection.execute(select(alembic_version.c.version_num)).scalar()
        return revision
    finally:
        connection.rollback()


def alembic_config(connection: Connection) -> Config:
    """Configure Alembic for a connection, in code, so that nobody needs a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


def _check_admission(connection: Connection, driver: Driver, revision: str) -> None:
    oldest = None
    if inspect(connection).has_table(schema_admission.name):
        oldest = connection.execute(select(schema_admission.c.min_server_revision)).scalar()
    connection.rollback()
    if oldest in known_revisions():
        return
    raise DatabaseTooNew(
        f"The database {driver.place} has schema revision {revision}, which admits servers from {oldest or revision} "
        f"on, but this one knows only {head_revision()}; install a newer crosswind-server, or name another database."
    )


def _upgrade(connection: Connection, driver: Driver) -> str:
    # Here and not above: it costs a tenth of a second that only a migration needs to pay.
    from alembic import command
    from alembic.script import ScriptDirectory

    sqlite = driver.name == "sqlite"
    if sqlite:
        # A table that is rebuilt must not take its children with it. Has no effect inside a transaction.
        driver.execute_raw(connection, "PRAGMA foreign_keys=OFF")
    driver.begin(connection, writing=True)
    try:
        connection.begin()
        if not sqlite:
            connection.execute(text("SET LOCAL lock_timeout=0"))
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout=0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        config = alembic_config(connection)
        command.upgrade(config, "head")
        head = ScriptDirectory.from_config(config).get_revision("head")
        _admit(connection, head.module.min_server_revision)
        driver.commit(connection)
    except BaseException:
        driver.rollback(connection)
        raise
    finally:
        if sqlite:
            driver.execute_raw(connection, "PRAGMA foreign_keys=ON")
    return head_revision()


def _admit(connection: Connection, oldest: str) -> None:
    connection.execute(CreateTable(schema_admission, if_not_exists=True))
    connection.execute(delete(schema_admission))
    connection.execute(insert(schema_admission).values(min_server_revision=oldest))
