"""What the README shows is run as it stands there."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.e2e.support.go_bundles import KIT, SDK
from tests.e2e.support.processes import BIN, Process, run

README = Path(__file__).parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


def commands(name: str) -> list[list[str]]:
    """The lines that call a program, taken apart as a shell does."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.split()[:1] == [name]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the README's DAG in the place that it names."""
    (source,) = blocks("python")
    assert len(source.splitlines()) <= 22
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "hello.py").write_text(source)
    return tmp_path


def test_its_commands_work_on_its_dag(folder):
    (start,) = commands("crosswind-server")
    dev = Process("dev", [BIN / "crosswind-server", *start, "--address", "127.0.0.1:0"], folder=folder)
    with dev:
        dev.wait_for(r"On offer: .*\bdags\b")
        said = []
        for arguments in commands("crosswind"):
            done = run([BIN / "crosswind", *arguments], folder=folder)
            assert done.returncode == 0, (arguments, done.stderr)
            said.append(done.stdout)
        trigger, tasks, log, _ = said
        assert "succeeded" in trigger
        assert tasks.count("greet") == 3
        assert all(f"Hello, {city}!" in log for city in ("Lisbon", "Oslo", "Quito"))
        dev.terminate()
        assert dev.wait() == 0


def test_its_dag_is_in_order_and_runs_in_one_process(folder):
    checked = run([BIN / "crosswind", "dags", "check", "dags"], folder=folder)
    assert checked.returncode == 0, checked.stdout
    done = run([BIN / "crosswind", "run", "dags/hello.py"], folder=folder)
    assert done.returncode == 0, done.stderr
    assert "Hello, Lisbon!" in done.stdout + done.stderr


def test_its_go_becomes_a_bundle_and_runs(tmp_path, go_bundles):
    (source,) = blocks("go")
    assert len(source.splitlines()) <= 26
    module = tmp_path / "hello"
    shutil.copytree(KIT, module)
    (module / "main.go").write_text(source)
    lines = (module / "go.mod").read_text().splitlines()
    replaced = [f"replace crosswind.dev/go => {SDK}" if line.startswith("replace") else line for line in lines]
    (module / "go.mod").write_text("\n".join(replaced))
    (pack,) = commands("crosswind-go-pack")
    (work,) = commands("crosswind-go-worker")
    packed = run([go_bundles.command("crosswind-go-pack"), *pack], folder=module)
    assert packed.returncode == 0, packed.stderr
    (tmp_path / "dags").mkdir()
    with Process("dev", [BIN / "crosswind-server", "dev", "dags", "--address", "127.0.0.1:0"], folder=tmp_path) as dev:
        dev.wait_for("Registered as")
        with Process("go", [go_bundles.command("crosswind-go-worker"), *work], folder=module) as worker:
            worker.wait_for("On offer: ")
            done = run([BIN / "crosswind", "dags", "trigger", "hello_go", "--wait"], folder=tmp_path)
            assert done.returncode == 0, done.stderr
            shown = run([BIN / "crosswind", "tasks", "list", "hello_go/latest"], folder=tmp_path)
            assert shown.stdout.count("greet") == 3


def test_every_link_leads_somewhere():
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", README.read_text())
    assert [target for target in targets if "://" not in target and not (README.parent / target).exists()] == []
