"""The way to a schema, and what a server says to one that it does not know."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, NullPool, create_engine, inspect, text

from crosswind_server.store import migration, schema
from crosswind_server.store.engine import Store
from crosswind_server.store.errors import DatabaseInUse, DatabaseNotMigrated, DatabaseTooNew, DatabaseUrlInvalid
from crosswind_server.store.migration import current_revision, head_revision, known_revisions, migrate

NEXT = '''
"""A later revision."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
min_server_revision = "{oldest}"


def upgrade():
    op.create_table("later_thing", sa.Column("id", sa.Integer, primary_key=True))
    {more}
'''

AddRevision = Callable[..., str]


@pytest.fixture
def add_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AddRevision]:
    """Make this process a newer server inside `with monkeypatch.context()`: add a revision to a copy of the scripts."""
    scripts = tmp_path / "scripts"
    shutil.copytree(migration.SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))

    def add(patch: pytest.MonkeyPatch, *, oldest: str, more: str = "") -> str:
        before = head_revision()
        revision = f"{int(before) + 1:04}"
        script = NEXT.format(revision=revision, before=before, oldest=oldest, more=more)
        (scripts / "versions" / f"{revision}_later.py").write_text(script)
        patch.setattr(migration, "SCRIPTS", scripts)
        known_revisions.cache_clear()
        return revision

    yield add
    known_revisions.cache_clear()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url, poolclass=NullPool)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_a_fresh_database_gets_the_schema(database_url: str, engine: Engine) -> None:
    with Store.open(database_url) as store:
        assert store.revision == head_revision()
    assert current_revision(database_url) == head_revision()
    assert set(schema.metadata.tables) < tables(engine)


def describe(connection: Connection) -> dict[str, object]:
    """Say what Alembic's comparison passes over: the text of each index, and the default of each column."""
    if connection.dialect.name == "sqlite":
        query = text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    else:
        query = text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
    inspector = inspect(connection)
    found: dict[str, object] = {f"index {name}": sql for name, sql in connection.execute(query)}
    for table in schema.metadata.tables:
        found |= {f"{table}.{column['name']}": column["default"] for column in inspector.get_columns(table)}
    return found


def test_the_revisions_lead_to_the_schema(database_url: str, engine: Engine) -> None:
    migrate(database_url)
    bookkeeping = (migration.alembic_version, migration.schema_admission)

    def include_name(name: str | None, type_: str, _parents: object) -> bool:
        return type_ != "table" or name not in [table.name for table in bookkeeping]

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": include_name})
        assert compare_metadata(context, schema.metadata) == []
        for table in bookkeeping:
            table.drop(connection)
        migrated = describe(connection)
        schema.metadata.drop_all(connection)
        schema.metadata.create_all(connection)
        assert describe(connection) == migrated
        connection.rollback()


def test_a_command_does_not_create_what_it_was_not_asked_to(database_url: str, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        with pytest.raises(DatabaseUrlInvalid, match=r"There is no database .*; run `crosswind-server migrate`"):
            Store.open(database_url, create=False)
        assert not Path(str(engine.url.database)).exists()
        engine.connect().close()
    with pytest.raises(DatabaseNotMigrated, match=r"has no schema yet, .*; run `crosswind-server migrate`"):
        Store.open(database_url, create=False)
    assert current_revision(database_url) is None
    assert tables(engine) == set()


def test_an_older_database_is_migrated_when_allowed(
    database_url: str, engine: Engine, add_revision: AddRevision, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = migrate(database_url)
    with monkeypatch.context() as patch:
        second = add_revision(patch, oldest=first)
        with pytest.raises(DatabaseNotMigrated, match=f"has the older schema revision {first}, .* needs {second}"):
            Store.open(database_url, create=False)
        assert current_revision(database_url) == first
        with Store.open(database_url) as store:
            assert store.revision == second
    assert "later_thing" in tables(engine)


def test_a_newer_database_is_refused_in_one_sentence(
    database_url: str, add_revision: AddRevision, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = migrate(database_url)
    with monkeypatch.context() as patch:
        second = add_revision(patch, oldest=f"{int(first) + 1:04}")
        migrate(database_url)
    known_revisions.cache_clear()
    sentence = (
        f"has schema revision {second}, which admits servers from {second} on, .* knows only {first}; install a newer"
    )
    with pytest.raises(DatabaseTooNew, match=sentence):
        Store.open(database_url)
    with pytest.raises(DatabaseTooNew, match=sentence):
        migrate(database_url)


def test_a_newer_database_that_admits_this_server_is_used_as_it_is(
    database_url: str, add_revision: AddRevision, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = migrate(database_url)
    with monkeypatch.context() as patch:
        second = add_revision(patch, oldest=first)
        migrate(database_url)
    known_revisions.cache_clear()
    with Store.open(database_url, create=False) as store:
        assert store.revision == second
    assert migrate(database_url) == second


def test_a_migration_that_fails_leaves_nothing(
    database_url: str, engine: Engine, add_revision: AddRevision, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = migrate(database_url)
    with monkeypatch.context() as patch:
        add_revision(patch, oldest=first, more='op.execute("SELECT 1 FROM no_such_table")')
        with pytest.raises(Exception, match="no_such_table"):
            migrate(database_url)
    known_revisions.cache_clear()
    assert "later_thing" not in tables(engine)
    Store.open(database_url).close()


def test_two_servers_that_start_together_migrate_once(postgres_url: str) -> None:
    revisions: list[str | None] = []

    def start() -> None:
        with Store.open(postgres_url) as store:
            revisions.append(store.revision)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert revisions == [head_revision()] * 3


def test_nobody_migrates_under_a_running_server(sqlite_url: str) -> None:
    with Store.open(sqlite_url), pytest.raises(DatabaseInUse):
        migrate(sqlite_url)
    migrate(sqlite_url)


def test_a_short_command_creates_a_schema_but_does_not_migrate_under_a_server(
    sqlite_url: str, add_revision: AddRevision, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(sqlite_url, exclusive=False) as command:
        assert command.revision == head_revision()
    with Store.open(sqlite_url), monkeypatch.context() as patch:
        add_revision(patch, oldest=head_revision())
        with pytest.raises(DatabaseInUse):
            Store.open(sqlite_url, exclusive=False)


def test_a_database_in_memory_has_the_schema() -> None:
    with Store.open("sqlite://") as store:
        query = text("SELECT count(*) FROM dag_run")
        assert store.read_blocking(lambda uow: uow.execute(query).scalar_one()) == 0
