"""`crosswind run` as people use it: on a terminal, with variables and connections, and with what cannot run there."""

import fcntl
import json
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support.processes import BIN, PATIENCE, environment_of, run

HEAD = "import time\n\nfrom crosswind import DAG, Connection, Variable, task\n\n"


class Terminal:
    """A command on a pseudo-terminal, typed at as a person does."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [str(BIN / "crosswind"), *arguments],
            cwd=folder,
            env=environment_of({"TERM": "dumb"}, folder),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # The terminal is the process's own, so that Ctrl-C typed there is its signal.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.text = ""

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read on until the text that came since the last match has one."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.text)):
            if not self._read(deadline):
                raise AssertionError(f"{pattern!r} did not come: {self.text}")
        self.text = self.text[found.end() :]
        return found

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait(self) -> int:
        """Read to the end; returns the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        try:
            data = os.read(self._ours, 65536) if ready else b""
        except OSError:  # the other side is closed
            data = b""
        self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def write(folder: Path, body: str, name: str = "given.py") -> None:
    (folder / name).write_text(HEAD + body)


def test_breakpoint_is_driven_on_a_terminal(tmp_path, terminals):
    write(
        tmp_path,
        """
@task
def numbers():
    return [20, 21]

@task
def double(number):
    breakpoint()
    return 2 * number

@task
def total(values):
    return sum(values)

with DAG("sums"):
    total(double.expand(number=numbers()))
""",
    )
    terminal = Terminal(tmp_path, "run", "given.py")
    terminals.append(terminal)
    for expected in (20, 21):
        terminal.wait_for(r"\(Pdb\) ")
        terminal.type("number\n")
        terminal.wait_for(rf"\n{expected}\n\(Pdb\) ")
        if expected == 20:
            terminal.type("next\n")
            terminal.wait_for(r"\(Pdb\) ")
        terminal.type("continue\n")
    terminal.wait_for("total returned 82")
    assert terminal.wait() == 0


def test_ctrl_c_cancels_the_task_and_exits_130(tmp_path, terminals):
    write(
        tmp_path,
        """
@task
def wait():
    try:
        print("the task is here", flush=True)
        time.sleep(600)
    finally:
        print("cleaned up", flush=True)

@task
def after(value):
    print("never", flush=True)

with DAG("waits"):
    after(wait())
""",
    )
    terminal = Terminal(tmp_path, "run", "given.py")
    terminals.append(terminal)
    terminal.wait_for("the task is here")
    terminal.type("\x03")
    terminal.wait_for("cleaned up")
    assert terminal.wait() == 130
    assert "never" not in terminal.text
    assert "Traceback" not in terminal.text
    assert "defect" not in terminal.text


def test_ctrl_c_while_no_task_runs_exits_130(tmp_path, terminals):
    write(
        tmp_path,
        """
@task(retries=1, retry_delay=600)
def fail():
    raise RuntimeError("the first time")

with DAG("fails"):
    fail()
""",
    )
    terminal = Terminal(tmp_path, "run", "given.py")
    terminals.append(terminal)
    terminal.wait_for("the first time")
    terminal.wait_for("(?i)retry|up_for_retry|up for retry")
    terminal.type("\x03")
    assert terminal.wait() == 130
    assert "Traceback (most recent call last)" not in terminal.text.partition("the first time")[2]


def test_failing_task_shows_its_traceback(tmp_path):
    write(tmp_path, "@task\ndef divide():\n    return 1 / 0\n\nwith DAG('bad'):\n    divide()\n")
    done = run([BIN / "crosswind", "run", "given.py"], folder=tmp_path)
    assert done.returncode == 1
    assert re.search(r'given\.py", line \d+, in divide', done.stderr)
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "failed after" in done.stdout


def test_task_of_another_bundle_is_named_instead_of_waited_for(tmp_path):
    write(
        tmp_path,
        "load = task.ref(bundle='go', entry_point='Load')\n\nwith DAG('mixed'):\n    load()\n",
    )
    done = run([BIN / "crosswind", "run", "given.py"], folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "Task Load of mixed is `Load` of the bundle go, which `crosswind run` does not have" in done.stderr
    assert "crosswind-server dev" in done.stderr


def test_nothing_waits_for_another_worker(tmp_path):
    write(
        tmp_path,
        """
@task(queue="gpu", slots=3)
def work():
    return 5

with DAG("special", is_paused_upon_creation=True):
    work()
""",
    )
    done = run([BIN / "crosswind", "run", "given.py"], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "work returned 5" in done.stdout


READING = """
@task
def read():
    warehouse = Connection.get("warehouse")
    return {
        "texts": [Variable.get("greeting"), Variable.get("from_file"), Variable.get("number", deserialize_json=True)],
        "warehouse": [warehouse.host, warehouse.port, warehouse.login, warehouse.password],
        "lake": Connection.get("lake").password,
    }

with DAG("reads"):
    read()
"""


def test_variables_and_connections_are_given_by_options_and_files(tmp_path):
    write(tmp_path, READING)
    (tmp_path / "variables.json").write_text(json.dumps({"from_file": "a=b", "greeting": "replaced", "number": 7}))
    (tmp_path / "connections.json").write_text(
        json.dumps({"lake": "s3://me:pa%2Fss@lake.example", "warehouse": "x://y"})
    )
    done = run(
        [
            *(BIN / "crosswind", "run", "given.py", "--output", "json"),
            *("--variable", "greeting=Bom dia = olá", "--variables-file", "variables.json"),
            *("--connection", "warehouse=postgres://reader@db.example:5432/flights"),
            *("--connections-file", "connections.json"),
        ],
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"]["read"] == {
        "texts": ["Bom dia = olá", "a=b", 7],
        "warehouse": ["db.example", 5432, "reader", ""],
        "lake": "pa/ss",
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--variable", "greeting"], "--variable greeting has no name and value: give --variable KEY=VALUE"),
        (["--variables-file", "none.json"], "The file none.json cannot be read"),
        (["--variables-file", "given.py"], "given.py is not JSON"),
        (["--variables-file", "list.json"], "list.json holds no JSON object"),
        (["--connection", "db=nonsense"], "The URI names no kind"),
        (["--connection", "db=pg://me:secret@db"], "The password of db on the command line can be seen by others"),
        (["--connections-file", "numbers.json"], "The connection db in numbers.json is no text"),
    ],
)
def test_presets_that_cannot_be_read_are_refused_at_once(tmp_path, arguments, says):
    write(tmp_path, READING)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "numbers.json").write_text('{"db": 1}')
    done = run([BIN / "crosswind", "run", "given.py", *arguments], folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
