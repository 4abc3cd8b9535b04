"""Fixtures that several folders of tests share. What they start is in modules of its own, such as `postgres.py`."""

import os
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from codegen.go_toolchain import find_go, with_go
from crosswind_server.store.engine import Store
from tests.migrated_databases import MigratedDatabases
from tests.postgres import PostgresServer


def pytest_configure() -> None:
    """Lets tests, and what they start, find the Go that `make` would use, and be interrupted."""
    # A shell that starts the tests in the background makes them, and what they start, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = find_go()
    if folder is not None:
        os.environ.update(with_go(folder))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Makes what a test has printed travel between processes: a lone surrogate would end the one that sends it."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One real PostgreSQL for the whole run. A test that stops or restarts it makes a server of its own."""
    # What a statement reads is counted in tests, and must not depend on when autovacuum had last looked.
    with PostgresServer(settings={"autovacuum": "off"}) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, empty PostgreSQL database."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'crosswind.db'}"


@pytest.fixture(scope="session")
def migrated_databases(postgres: PostgresServer) -> MigratedDatabases:
    """Migrated PostgreSQL databases to lend: making and dropping one costs more than most tests."""
    return MigratedDatabases(postgres)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    file = tmp_path_factory.mktemp("template") / "crosswind.db"
    Store.open(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def migrated_postgres_url(migrated_databases: MigratedDatabases) -> Iterator[str]:
    """The SQLAlchemy URL of a PostgreSQL database that was migrated and holds nothing yet."""
    url = migrated_databases.lend()
    yield url
    migrated_databases.take_back(url)


@pytest.fixture
def migrated_sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file that was migrated and holds nothing yet."""
    file = tmp_path / "crosswind.db"
    shutil.copyfile(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """The SQLAlchemy URL of a database that was migrated and holds nothing yet: the test runs once on each kind."""
    names = {"sqlite": "migrated_sqlite_url", "postgresql": "migrated_postgres_url"}
    url: str = request.getfixturevalue(names[request.param])
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The SQLAlchemy URL of a fresh, empty database: the test runs once on each kind."""
    url: str = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    return url
