import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from tests.postgres import PostgresError, PostgresServer

ROOT = Path(__file__).resolve().parents[2]


def execute(url: str, *statements: str) -> list[sa.Row]:
    """Run statements in one transaction, on a connection of their own, and return the rows of the last."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        results = [connection.execute(sa.text(statement)) for statement in statements]
        return list(results[-1]) if results[-1].returns_rows else []


@pytest.fixture
def own_postgres():
    with PostgresServer() as server:
        yield server


def test_the_server_is_a_real_postgresql(postgres):
    ((version,),) = execute(postgres.url, "SELECT version()")
    assert version.startswith("PostgreSQL 18")


def test_each_test_gets_a_database_of_its_own(postgres, postgres_url):
    execute(postgres_url, "CREATE TABLE flight (number INT)", "INSERT INTO flight VALUES (1545)")
    other = postgres.create_database()
    assert other != postgres_url
    assert execute(other, "SELECT count(*) FROM pg_class WHERE relname = 'flight'") == [(0,)]
    postgres.drop_database(other)
    with pytest.raises(sa.exc.OperationalError, match="does not exist"):
        execute(other, "SELECT 1")


def test_a_fresh_database_of_each_kind(database_url):
    execute(database_url, "CREATE TABLE flight (number INT)", "INSERT INTO flight VALUES (1545)")
    assert execute(database_url, "SELECT number FROM flight") == [(1545,)]


@pytest.mark.parametrize("immediate", [False, True])
def test_a_restart_keeps_what_was_committed_and_the_url(own_postgres, immediate):
    url = own_postgres.create_database()
    execute(url, "CREATE TABLE flight (number INT)", "INSERT INTO flight VALUES (1545)")
    before = own_postgres.pid
    own_postgres.restart(immediate=immediate)
    assert own_postgres.pid != before
    assert execute(url, "SELECT number FROM flight") == [(1545,)]
    recovered = "automatic recovery in progress" in own_postgres.log.read_text()
    assert recovered == immediate


def test_a_stopped_server_refuses_and_its_data_goes(own_postgres):
    own_postgres.stop()
    with pytest.raises(sa.exc.OperationalError, match="refused"):
        execute(own_postgres.url, "SELECT 1")
    own_postgres.start()
    with pytest.raises(PostgresError, match="stop it first"):
        own_postgres.start()
    own_postgres.stop()
    own_postgres.remove()
    assert not own_postgres.folder.exists()


def test_a_server_that_cannot_start_says_why():
    with (
        pytest.raises(PostgresError, match='unrecognized configuration parameter "no_such_setting"'),
        PostgresServer(settings={"no_such_setting": "1"}),
    ):
        pass


def test_the_server_ends_with_the_process_that_started_it(tmp_path):
    # The server's folder goes to tmp_path, since a killed process cannot remove it.
    program = "from tests.postgres import *; s = PostgresServer(); s.start(); print(s.pid, flush=True); input()"
    starter = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert "postgres" in psutil.Process(pid).name()
        # Becomes readable when the process ends, which an orphan's new parent need not tell us.
        ended = os.pidfd_open(pid)
        try:
            starter.send_signal(signal.SIGKILL)
            readable, _, _ = select.select([ended], [], [], 30)
        finally:
            os.close(ended)
    assert readable, f"postgres {pid} outlived the process that started it"
