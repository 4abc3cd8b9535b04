"""`crosswind run`: server, worker and tasks in one process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.support.processes import BIN, PATIENCE, environment_of, run

HEAD = "import threading\n\nfrom crosswind import DAG, get_current_context, task\n\n"
GOOD = (
    HEAD
    + """
@task
def numbers() -> list[int]:
    print("printed by a task")
    return list(range(get_current_context().params["count"]))


@task
def double(number: int) -> int:
    assert threading.current_thread() is threading.main_thread()
    return 2 * number


@task
def total(values: list[int]) -> dict[str, int]:
    return {"total": sum(values)}


with DAG("sums", params={"count": 3}):
    total(double.expand(number=numbers()))
"""
)
BAD = (
    HEAD
    + """
@task
def divide() -> float:
    zero = 0
    secret_number = 41 + 1
    return 1 / zero


with DAG("bad"):
    divide()
"""
)


def crosswind_run(folder: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "crosswind"), "run", *arguments]
    if stdin is None:
        return run(command, folder=folder)
    return subprocess.run(
        command,
        cwd=folder,
        env=environment_of({}, folder),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sums.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    (tmp_path / "both.py").write_text(GOOD + BAD.removeprefix(HEAD))
    return tmp_path


def test_run_on_the_main_thread_shows_progress_and_result(folder):
    done = crosswind_run(folder, "sums.py")
    assert done.returncode == 0, done.stderr
    assert "printed by a task\n" in done.stdout
    assert "total returned {'total': 6}" in done.stdout
    assert "sums/" in done.stdout
    assert "succeeded after" in done.stdout
    assert "double 3/3" in done.stderr or "double succeeded" in done.stderr
    assert list(folder.glob("*.db*")) == []
    assert not (folder / ".crosswind").exists()


def test_json_is_clean_and_conf_reaches_the_tasks(folder):
    done = crosswind_run(folder, "both.py", "sums", "--conf", '{"count": 5}', "--output", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["state"], answer["results"]) == ("succeeded", {"total": {"total": 20}})
    assert "printed by a task" in done.stderr


def test_failed_task_fails_the_command(folder):
    done = crosswind_run(folder, "bad.py")
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "failed after" in done.stdout


def test_debugger_opens_where_a_task_failed(folder):
    done = crosswind_run(folder, "bad.py", "--pdb", stdin="p secret_number\nquit\n")
    assert done.returncode == 1
    assert "return 1 / zero" in done.stdout
    assert "(Pdb) 42" in done.stdout


def test_breakpoint_stops_in_a_task(folder):
    (folder / "stops.py").write_text(GOOD.replace("    return 2 * number", "    breakpoint()\n    return 2 * number"))
    done = crosswind_run(folder, "stops.py", "--conf", '{"count": 1}', stdin="p number + 100\ncontinue\n")
    assert done.returncode == 0, done.stderr
    assert "(Pdb) 100" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["none.py"], 2, "There is nothing at none.py"),
        (["both.py"], 2, "say which of bad, sums"),
        (["sums.py", "other"], 2, "has no DAG `other`: it has sums"),
        (["sums.py", "--conf", "[]"], 2, "--conf must be a JSON object"),
    ],
)
def test_refused_before_anything_starts(folder, arguments, code, says):
    done = crosswind_run(folder, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_file_that_cannot_be_read_is_named_with_its_line(folder):
    (folder / "broken.py").write_text("from crosswind import DAG\n\nwith DAG('x'):\n    nonsense(\n")
    done = crosswind_run(folder, "broken.py")
    assert done.returncode == 1
    assert done.stderr.startswith("broken.py:4:")
    assert "Traceback" not in done.stderr


def test_without_the_server_it_says_what_to_install(folder):
    program = "import sys; sys.modules['crosswind_server'] = None; from crosswind.cli import main; main()"
    done = run([sys.executable, "-c", program, "run", "sums.py"], folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install crosswind-server" in done.stderr
