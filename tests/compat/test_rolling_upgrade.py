"""Servers of two schema revisions on one PostgreSQL: the older one works on beside the newer, under load, then goes.

The newer server is a copy of this one's code with one migration more, which expands the schema.
"""

import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

import crosswind_server
from crosswind_server.store.migration import current_revision, head_revision
from tests.compat.balancer import Balancer
from tests.e2e.support.control import Control
from tests.e2e.support.processes import BIN, PATIENCE, Process, run
from tests.e2e.support.servers import Pace, ServerProcess
from tests.e2e.support.workers import PythonKind, WorkerProcess

RUNS_A_STAGE = 10
TASKS_A_RUN = 6
NOW = head_revision()
NEXT, LAST = f"{int(NOW) + 1:04}", f"{int(NOW) + 2:04}"
# Leases that a machine which is busy with other tests keeps too; all else is short.
PACE = Pace(lease_duration=60.0, start_deadline=60.0)

MIGRATION = '''"""{what}."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
min_server_revision = "{oldest}"


def upgrade():
    {steps}
'''
EXPAND = """op.add_column("task_instance", sa.Column("colour", sa.Text, nullable=True))
    op.create_index("ix_task_instance_colour", "task_instance", ["colour"])
    op.create_table("palette", sa.Column("colour", sa.Text, primary_key=True))
    op.execute("INSERT INTO palette VALUES ('blue')")"""
CONTRACT = """op.execute("UPDATE task_instance SET colour = 'blue' WHERE colour IS NULL")
    op.alter_column("task_instance", "colour", nullable=False, server_default="blue")"""
NEW_COLUMN = """
from sqlalchemy import Column, Text

task_instance.append_column(Column("colour", Text))
"""

DAG = """
import os
from crosswind import DAG, get_current_context, task

def note(value):
    context = get_current_context()
    line = f"{{context.run_id}} {{context.task_id}} {{context.map_index}} {{context.try_number}}\\n"
    descriptor = os.open({notes!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)
    return value

@task
def begin(): return note([1, 2, 3, 4])

@task
def work(item): return note(item * 10)

@task
def end(items): return note(sum(items))

@task
def wait_for(path):
    with open(path) as fifo:
        return fifo.read()

with DAG("load"):
    end(work.expand(item=begin()))

with DAG("long"):
    wait_for({fifo!r})
"""


class Load:
    """People who start runs all the time, each waiting for the end of theirs. A context manager.

    Args:
        address: what they dial, anew for every run.
        token: theirs.
    """

    def __init__(self, address: str, token: str) -> None:
        self._address, self._token = address, token
        self._changed = threading.Condition()
        self._stopping = False
        self.ended: dict[str, str] = {}
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._start_runs, args=(name,)) for name in ("ann", "bob", "cyd")]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join(2 * PATIENCE)

    def let_pass(self, runs: int = RUNS_A_STAGE) -> None:
        """Wait until so many more runs have ended."""
        with self._changed:
            until = len(self.ended) + runs
            done = self._changed.wait_for(lambda: len(self.ended) >= until or self._errors, 2 * PATIENCE)
            assert not self._errors, self._errors
            assert done, f"{len(self.ended)} runs have ended, and {until} were to"

    def stop(self) -> dict[str, str]:
        """Let nobody start more, wait for what runs, and answer how each run ended."""
        self.__exit__()
        assert not self._errors, self._errors
        return self.ended

    def _start_runs(self, name: str) -> None:
        try:
            number = 0
            while not self._stopping:
                control = Control(self._address, self._token)
                run_id = f"{name}-{number}"
                number += 1
                assert control.trigger("load", run_id=run_id) == run_id
                state = control.wait_run("load", run_id, seconds=2 * PATIENCE)
                assert state == "SUCCEEDED", [
                    attempt.failure.message for attempt in control.attempts("load", run_id, "begin")
                ]
                control.close()
                with self._changed:
                    self.ended[run_id] = state
                    self._changed.notify_all()
        except BaseException as error:
            with self._changed:
                self._errors.append(error)
                self._changed.notify_all()


def write_code(folder: Path, *migrations: str) -> dict[str, str]:
    """Write a newer server's code; returns the environment in which it is found."""
    package = folder / "crosswind_server"
    shutil.copytree(Path(crosswind_server.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    versions = package / "store" / "migrations" / "versions"
    for revision, migration in zip((NEXT, LAST), migrations, strict=False):
        (versions / f"{revision}_later.py").write_text(migration)
    schema = package / "store" / "schema" / "__init__.py"
    schema.write_text(schema.read_text() + NEW_COLUMN)
    return {"PYTHONPATH": str(folder)}


def expand() -> str:
    return MIGRATION.format(what="Add colours", revision=NEXT, before=NOW, oldest=NOW, steps=EXPAND)


def contract() -> str:
    return MIGRATION.format(what="Need colours", revision=LAST, before=NEXT, oldest=NEXT, steps=CONTRACT)


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    """What a test has started: it is ended with it, and its last words are shown where it failed."""
    started: list[Process] = []
    yield started
    for process in started:
        print(process.tail())
        process.close()


@pytest.mark.timeout(300)
def test_servers_are_exchanged_under_load_and_nothing_is_lost(postgres_url, tmp_path, processes):
    notes, fifo, dags = tmp_path / "notes", tmp_path / "fifo", tmp_path / "dags"
    notes.touch()
    dags.mkdir()
    (dags / "load.py").write_text(DAG.format(notes=str(notes), fifo=str(fifo)))
    older = ServerProcess(postgres_url, tmp_path / "older", pace=PACE, name="older")
    key = {"CROSSWIND_ENCRYPTION_KEY_FILE": str(older.home / "encryption-key")}
    newer = ServerProcess(
        postgres_url,
        tmp_path / "newer",
        pace=PACE,
        name="newer",
        environment={**key, **write_code(tmp_path / "code", expand())},
    )
    processes += [older, newer]
    older.start()
    assert current_revision(postgres_url) == NOW

    os.mkfifo(fifo)

    with Balancer(older.address) as balancer:

        def start_worker(name: str) -> WorkerProcess:
            token = older.enrolment_token_file
            worker = WorkerProcess(PythonKind(), balancer.address, token, dags=dags, folder=tmp_path / name, name=name)
            processes.append(worker)
            worker.start()
            worker.wait_on_offer()
            return worker

        start_worker("first")
        token = older.access_token_file.read_text().strip()
        before = Control(balancer.address, token)
        long_run = before.trigger("long")
        before.wait_task("long", long_run, "wait_for", "RUNNING")
        before.close()
        with Load(balancer.address, token) as load:
            load.let_pass()

            newer.start()  # migrates, while the older server works
            assert current_revision(postgres_url) == NEXT
            load.let_pass()

            balancer.lead_to(newer.address)
            start_worker("second")
            load.let_pass()

            # A worker that waits for work is told to move away; one that is about to ask finds the other by itself.
            older.terminate()
            assert older.wait() == 0
            load.let_pass()

            # It is admitted to the schema as it is now, as where the upgrade is taken back for a while.
            older.start()
            balancer.lead_to(older.address)
            newer.terminate()
            assert newer.wait() == 0
            load.let_pass()
            ended = load.stop()
        after = Control(balancer.address, token)
        with fifo.open("w") as writer:
            writer.write("it went on")
        assert after.wait_run("long", long_run) == "SUCCEEDED"
        after.close()

    assert Counter(ended.values()) == {"SUCCEEDED": len(ended)}
    lines = notes.read_text().splitlines()
    assert len(lines) == len(set(lines)) == TASKS_A_RUN * len(ended)
    assert {line.split()[-1] for line in lines} == {"1"}
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        counted = connection.execute(text("SELECT state, count(*) FROM attempt GROUP BY state"))
        states = {row[0]: row[1] for row in counted}
        assert states == {"succeeded": TASKS_A_RUN * len(ended) + 1}
    engine.dispose()
    for server in (older, newer):
        assert "defect" not in server.log, server.log


def test_server_that_a_contracted_schema_does_not_admit_says_so_and_does_not_start(postgres_url, tmp_path, processes):
    older = ServerProcess(postgres_url, tmp_path / "older", name="older")
    processes.append(older)
    older.start()
    older.terminate()
    assert older.wait() == 0
    newest = write_code(tmp_path / "code", expand(), contract())
    migrated = run([BIN / "crosswind-server", "migrate", "--db", postgres_url], folder=tmp_path, environment=newest)
    assert migrated.stdout == f"The database has schema revision {LAST}.\n", migrated
    since = older.mark()
    older.launch()
    assert older.wait() == 3
    said = "".join(older.log.splitlines(keepends=True)[since:])
    assert said.count("\n") == 1, said
    assert f"has schema revision {LAST}, which admits servers from {NEXT} on, but this one knows only {NOW}" in said
    assert "install a newer crosswind-server" in said
